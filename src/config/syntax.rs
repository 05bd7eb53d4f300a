//! What is told about text that is no TOML, and what can still be believed of the rest.

use super::report::{Entry, Place};
use super::sources::KeyPath;
use super::tree::{Node, Table, Value};
use std::collections::BTreeSet;

/// The parser's message for a key or a header that is there twice.
const DUPLICATE: &str = "duplicate key";

/// The syntax errors of one file.
pub struct Broken<'t> {
    /// What is told about them.
    pub entries: Vec<Entry>,
    text: &'t str,
    /// Where they begin.
    at: BTreeSet<usize>,
    /// Whether something was opened and never closed.
    unclosed: bool,
}

impl<'t> Broken<'t> {
    /// Takes over what the parser says, without what only follows from an error before.
    pub fn new(file: usize, text: &'t str, errors: &[toml::de::Error]) -> Self {
        let mut broken = Self { entries: Vec::new(), text, at: BTreeSet::new(), unclosed: false };
        let mut twice = None;
        for error in errors {
            let place = Place::new(file, error.span().unwrap_or(0..0));
            let header = header_above(text, place.start);
            broken.at.insert(place.start);
            if error.message() == DUPLICATE {
                if line_at(text, place.start).1.starts_with('[') {
                    twice = Some(line_at(text, place.start).0);
                } else if twice.is_some() && twice == header {
                    continue;
                }
                broken.entries.push(duplicate(text, &place));
            } else if is_unclosed(text, place.start, error.message()) {
                let help = "an array, a table or a string before this line is not closed";
                broken.entries.push(Entry::at(&place, error.message()).help(Some(help.into())));
                broken.unclosed = true;
                break;
            } else {
                broken.entries.push(Entry::at(&place, error.message()));
            }
        }
        broken
    }

    /// Whether whole tables are lost: a header after the first error is missing from what the parser recovered.
    pub fn is_torn(&self, table: &Table) -> bool {
        let Some(&first) = self.at.first() else { return false };
        let mut headers = BTreeSet::new();
        each_table(table, &KeyPath::default(), &mut |_, node| {
            headers.insert(node.at.start);
        });
        let mut start = line_at(self.text, first).0;
        let lost = self.text[start..].split_inclusive('\n').any(|line| {
            let at = start + line.len() - line.trim_start().len();
            start += line.len();
            line.trim_start().starts_with('[') && !headers.contains(&at)
        });
        self.unclosed || lost
    }

    /// The tables that have a line with an error: what seems missing there may not be.
    pub fn gaps(&self, table: &Table) -> Vec<KeyPath> {
        self.at.iter().map(|&at| table_of(table, at)).collect()
    }

    /// Removes what the parser guessed on a line with an error: nothing further is said about it.
    pub fn prune(&self, table: &mut Table) {
        if !self.at.is_empty() {
            let lines = self.at.iter().map(|&at| line_number(self.text, at)).collect();
            prune(table, self.text, &lines);
        }
    }
}

/// Whether the parser took a line of its own for part of what was opened before: all that it says after is a guess.
fn is_unclosed(text: &str, at: usize, message: &str) -> bool {
    let (start, line) = line_at(text, at);
    let key = line.split('=').next().unwrap_or_default().trim_end();
    let named = key.len() < line.len() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    let own = start == at && (line.starts_with('[') || named);
    own && ["comma", "inline table", "array"].iter().any(|part| message.contains(part))
}

fn duplicate(text: &str, place: &Place) -> Entry {
    let key = text.get(place.start..place.end).unwrap_or_default();
    let entry = Entry::at(place, format!("`{key}` is defined twice"));
    match first_definition(text, place) {
        Some(first) => entry.also(&first, "first defined here"),
        None => entry,
    }
}

/// The parser does not say where a duplicate key stood before: looks for the same header, or the same key in the table.
fn first_definition(text: &str, place: &Place) -> Option<Place> {
    let key = text.get(place.start..place.end)?;
    let bare = |line: &str| line.split('#').next().unwrap_or_default().replace([' ', '\t'], "");
    let (begin, this) = line_at(text, place.start);
    let mut end = begin;
    while end > 0 {
        let (start, line) = line_at(text, end - 1);
        let found = if this.starts_with('[') {
            (bare(line) == bare(this)).then(|| line.rfind(key)).flatten()
        } else if line.trim_start().starts_with('[') {
            return None;
        } else {
            let rest = line.trim_start().strip_prefix(key);
            rest.filter(|rest| rest.trim_start().starts_with('=')).and_then(|_| line.find(key))
        };
        if let Some(at) = found {
            return Some(Place::new(place.file, start + at..start + at + key.len()));
        }
        end = start;
    }
    None
}

/// The line that a byte is on: where it begins, and its text.
fn line_at(text: &str, at: usize) -> (usize, &str) {
    let before = text.get(..at).unwrap_or(text);
    let start = before.rfind('\n').map_or(0, |n| n + 1);
    (start, text[start..].lines().next().unwrap_or_default())
}

/// Where the line of the last header above a byte begins.
fn header_above(text: &str, at: usize) -> Option<usize> {
    let mut end = line_at(text, at).0;
    while end > 0 {
        let (start, line) = line_at(text, end - 1);
        if line.trim_start().starts_with('[') {
            return Some(start);
        }
        end = start;
    }
    None
}

fn line_number(text: &str, at: usize) -> usize {
    text.get(..at).unwrap_or(text).matches('\n').count()
}

fn prune(table: &mut Table, text: &str, broken: &BTreeSet<usize>) {
    table.retain(|_, node| match &mut node.value {
        Value::Table(inner) => {
            prune(inner, text, broken);
            true
        }
        _ => {
            // In a text that is not sound a value may lie before its key: an array of tables whose last part is broken.
            let (key, end) = (line_number(text, node.key.start), line_number(text, node.at.end));
            broken.range(key.min(end)..=key.max(end)).next().is_none()
        }
    });
}

/// The table that a line belongs to: the last one whose header is before it.
fn table_of(table: &Table, at: usize) -> KeyPath {
    let mut last = (0, KeyPath::default());
    each_table(table, &KeyPath::default(), &mut |path, node| {
        if (last.0..=at).contains(&node.at.start) {
            last = (node.at.start, path.clone());
        }
    });
    last.1
}

fn each_table(table: &Table, path: &KeyPath, look: &mut dyn FnMut(&KeyPath, &Node)) {
    for (key, node) in table {
        if let Value::Table(inner) = &node.value {
            let path = path.child(key);
            look(&path, node);
            each_table(inner, &path, look);
        }
    }
}
