//! The files behind a configuration: what is wrong with a key is shown where it was written.

use super::model::Address;
use super::report::{Entry, File, Place, Report};
use super::tree::{Node, Table, Value};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

/// The way to a key: `["routes", "api", "paths", "0"]`. Elements of arrays are numbers from 0.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyPath(Vec<String>);

impl KeyPath {
    /// The way to a key within this one, or to an array's element.
    pub fn child(&self, key: impl fmt::Display) -> Self {
        let mut keys = self.0.clone();
        keys.push(key.to_string());
        Self(keys)
    }

    /// The keys from the top.
    pub fn keys(&self) -> &[String] {
        &self.0
    }

    /// Whether `other` is this key or above it.
    pub fn is_within(&self, other: &Self) -> bool {
        self.0.starts_with(&other.0)
    }
}

impl<const N: usize> From<[&str; N]> for KeyPath {
    fn from(keys: [&str; N]) -> Self {
        keys.into_iter().collect()
    }
}

impl From<Vec<String>> for KeyPath {
    fn from(keys: Vec<String>) -> Self {
        Self(keys)
    }
}

impl<S: Into<String>> FromIterator<S> for KeyPath {
    fn from_iter<I: IntoIterator<Item = S>>(keys: I) -> Self {
        Self(keys.into_iter().map(Into::into).collect())
    }
}

impl fmt::Display for KeyPath {
    /// `pools.api.targets[0]`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, key) in self.0.iter().enumerate() {
            match key.parse::<usize>() {
                Ok(index) if at > 1 => write!(f, "[{index}]")?,
                _ if at > 0 => write!(f, ".{key}")?,
                _ => f.write_str(key)?,
            }
        }
        Ok(())
    }
}

/// Something wrong with a key's value, found by whoever understands it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The key. Where it was not written, the nearest one above that was is shown.
    pub at: KeyPath,
    /// A second key, and what it has to do with the first.
    pub also: Option<(KeyPath, String)>,
    /// What is wrong.
    pub what: String,
    /// What to do.
    pub help: Option<String>,
}

impl Fault {
    /// A fault of a key.
    pub fn new(at: impl Into<KeyPath>, what: impl Into<String>) -> Self {
        Self { at: at.into(), also: None, what: what.into(), help: None }
    }

    /// Adds what to do.
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Adds a second key.
    pub fn also(mut self, at: impl Into<KeyPath>, label: impl Into<String>) -> Self {
        self.also = Some((at.into(), label.into()));
        self
    }
}

/// The files that a configuration was read from, and where in them each key stands.
#[derive(Clone, Debug)]
pub struct Sources {
    pub(super) files: Arc<Vec<File>>,
    /// The folders in which included files are looked for by a pattern.
    pub(super) folders: Vec<PathBuf>,
    pub(super) root: Table,
}

impl Sources {
    /// Shows faults that were found after reading.
    pub fn report(&self, faults: &[Fault]) -> Report {
        Report::faults(self.files.clone(), self.entries(faults))
    }

    /// Shows what is allowed but likely a mistake.
    pub fn warn(&self, warnings: &[Fault]) -> Report {
        Report::warnings(self.files.clone(), self.entries(warnings))
    }

    /// The keys that a table has by itself, not by defaults.
    pub(super) fn own_keys(&self, at: &KeyPath) -> Vec<String> {
        let table = at.keys().iter().try_fold(&self.root, |table, key| table.get(key)?.table());
        let own = table.into_iter().flatten().filter(|(_, node)| !node.inherited);
        own.map(|(key, _)| key.clone()).collect()
    }

    /// Puts the placeholders back into a configuration as JSON where it has what came from the environment.
    pub fn conceal_in(&self, json: &mut serde_json::Value) {
        for (key, node) in &self.root {
            if let Some(value) = json.get_mut(key) {
                self.conceal_node(node, value);
            }
        }
    }

    fn conceal_node(&self, node: &Node, json: &mut serde_json::Value) {
        match (&node.value, json) {
            (Value::Text { secret: true, .. }, json) => {
                let raw = self.files[node.at.file].text.get(node.at.start..node.at.end).unwrap_or_default();
                // A target that was written as its address alone is a table here.
                let at = match json {
                    serde_json::Value::Object(table) => table.get_mut("address"),
                    other => Some(other),
                };
                at.into_iter().for_each(|at| *at = raw.trim_matches(['"', '\'']).into());
            }
            (Value::Table(table), json) => {
                for (key, node) in table {
                    if let Some(value) = json.get_mut(key) {
                        self.conceal_node(node, value);
                    }
                }
            }
            (Value::List(items), serde_json::Value::Array(values)) => {
                for (place, item) in items.iter().enumerate().filter(|(_, item)| !item.secrets().is_empty()) {
                    // Targets may have come and gone since: what is meant is found by what it says.
                    let says = |value: &serde_json::Value| item.secrets().iter().any(|(text, _)| mentions(value, text));
                    let found = values.iter().position(says);
                    let found =
                        found.or_else(|| Some(place).filter(|&place| values.get(place).is_some_and(|v| !is_target(v))));
                    if let Some(value) = found.and_then(|found| values.get_mut(found)) {
                        self.conceal_node(item, value);
                    }
                }
            }
            _ => {}
        }
    }

    /// The files, the one given first.
    pub fn files(&self) -> impl Iterator<Item = &std::path::Path> {
        self.files.iter().map(|file| file.path.as_path())
    }

    /// The files, and the folders in which more of them may come to be.
    pub fn places(&self) -> Vec<PathBuf> {
        self.files.iter().map(|file| file.path.clone()).chain(self.folders.iter().cloned()).collect()
    }

    /// The names of a kind of things, whole or not; `None` where they cannot be told.
    pub(super) fn names(&self, plural: &str) -> Option<Vec<&str>> {
        match self.root.get(plural) {
            None => Some(Vec::new()),
            Some(node) => node.table().map(|things| things.keys().map(String::as_str).collect()),
        }
    }

    /// Whether the key was written, in its place or in `[defaults]`.
    pub(super) fn has(&self, path: &KeyPath) -> bool {
        self.find(path).1 == path.0.len()
    }

    /// Whether the key was written in its place.
    pub(super) fn has_own(&self, path: &KeyPath) -> bool {
        self.has(path) && self.find(path).0.is_some_and(|node| !node.inherited)
    }

    pub(super) fn entries(&self, faults: &[Fault]) -> Vec<Entry> {
        faults.iter().map(|fault| self.entry(fault)).collect()
    }

    fn entry(&self, fault: &Fault) -> Entry {
        let also = fault.also.as_ref().and_then(|(path, label)| Some((self.mark(path)?, self.conceal(label, path))));
        let conceal = |text: &str| match &fault.also {
            Some((path, _)) => self.conceal(&self.conceal(text, path), &fault.at),
            None => self.conceal(text, &fault.at),
        };
        Entry {
            at: self.mark(&fault.at).or_else(|| self.files.first().map(|_| Place::new(0, 0..0))),
            also,
            what: conceal(&fault.what),
            help: fault.help.as_deref().map(conceal),
        }
    }

    fn mark(&self, path: &KeyPath) -> Option<Place> {
        self.find(path).0.map(|node| node.mark(&self.files).clone())
    }

    /// Puts the placeholder back where a text has what came from the environment.
    fn conceal(&self, text: &str, path: &KeyPath) -> String {
        let mut text = text.to_owned();
        for (secret, at) in self.find(path).0.map(Node::secrets).unwrap_or_default() {
            let raw = self.files[at.file].text.get(at.start..at.end).unwrap_or_default();
            let placeholder = raw.trim_matches(['"', '\'']);
            if secret.len() >= 3 {
                text = text.replace(secret, placeholder);
                let lower = secret.to_lowercase();
                if lower != secret {
                    text = text.replace(&lower, placeholder);
                }
            }
        }
        text
    }

    /// The key's node or the nearest above, and how many keys of the path lead there.
    fn find(&self, path: &KeyPath) -> (Option<&Node>, usize) {
        let mut found: Option<&Node> = None;
        for (depth, key) in path.0.iter().enumerate() {
            let next = match found.map(|node| &node.value) {
                None => self.root.get(key),
                Some(Value::Table(table)) => table.get(key),
                Some(Value::List(items)) => key.parse::<usize>().ok().and_then(|index| items.get(index)),
                Some(_) => None,
            };
            match next {
                Some(node) => found = Some(node),
                None => return (found, depth),
            }
        }
        (found, path.0.len())
    }
}

fn mentions(json: &serde_json::Value, text: &str) -> bool {
    match json {
        serde_json::Value::String(string) => {
            string == text || text.parse::<Address>().is_ok_and(|address| address.to_string() == *string)
        }
        serde_json::Value::Number(number) => number.to_string() == text,
        serde_json::Value::Object(table) => table.values().any(|value| mentions(value, text)),
        _ => false,
    }
}

fn is_target(json: &serde_json::Value) -> bool {
    json.get("address").is_some() && json.get("weight").is_some()
}
