//! kong.yml as a tree: each key and each item of a list with the line that it stands on.
//!
//! What always holds: a line has one place in the ledger, whatever stands on it.
//! May depend on the ledger.

use crate::import::Wrong;
use crate::import::report::{Ledger, LineId};
use saphyr::{LoadableYamlNode, MarkedYaml, Scalar, YamlData};
use std::collections::{BTreeMap, BTreeSet};

/// A value with its line.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub line: LineId,
    pub value: Yaml,
}

/// A value.
#[derive(Clone, Debug)]
pub(super) enum Yaml {
    /// A text, a number, a boolean, as it was written; nothing for null.
    Scalar(Option<String>),
    List(Vec<Node>),
    /// Keys with the lines that they stand on.
    Map(Vec<(String, LineId, Node)>),
}

/// Keys whose values let one in.
const SECRET: [&str; 14] = [
    "key",
    "secret",
    "password",
    "cert",
    "rsa_public_key",
    "cert_alt",
    "key_alt",
    "client_secret",
    "session_secret",
    "redis_password",
    "aws_secret",
    "token",
    "ldap_password",
    "api_key",
];

/// Reads a file.
///
/// # Errors
/// Why it is no YAML.
pub(super) fn read(name: &str, text: &str, ledger: &mut Ledger) -> Result<Node, Wrong> {
    let mut all = MarkedYaml::load_from_str(text).map_err(|error| Wrong {
        line: u32::try_from(error.marker().line()).unwrap_or(0),
        what: format!("it is no YAML: {}", error.info()),
    })?;
    if all.len() != 1 {
        return Err(Wrong { line: 0, what: format!("it has {} documents, and one is taken", all.len()) });
    }
    let lines: Vec<&str> = text.lines().collect();
    let mut reader = Reader { name, lines, ledger, places: BTreeMap::new(), more: Vec::new(), hidden: BTreeSet::new() };
    let root = reader.node(&all.remove(0), None, 0)?;
    reader.rest();
    Ok(root)
}

struct Reader<'a> {
    name: &'a str,
    lines: Vec<&'a str>,
    ledger: &'a mut Ledger,
    places: BTreeMap<usize, LineId>,
    /// Texts that have more than one line: where they begin, and the lines from and to which they go on.
    more: Vec<(LineId, usize, usize)>,
    /// Lines of which nothing is shown.
    hidden: BTreeSet<usize>,
}

/// How deep values may be nested.
const DEEP: usize = 64;

impl Reader<'_> {
    fn place(&mut self, line: usize) -> LineId {
        if let Some(id) = self.places.get(&line) {
            return *id;
        }
        let raw = self.lines.get(line.saturating_sub(1)).copied().unwrap_or_default();
        let text = if self.hidden.contains(&line) { "…".to_owned() } else { shown(raw) };
        let id = self.ledger.open(self.name, u32::try_from(line).unwrap_or(u32::MAX), text);
        self.places.insert(line, id);
        id
    }

    /// Notes the further lines of texts that have several.
    fn rest(&mut self) {
        for (of, from, to) in std::mem::take(&mut self.more) {
            for line in from..=to.min(self.lines.len()) {
                let text = self.lines.get(line.saturating_sub(1)).map_or("", |text| text.trim());
                let says = !text.is_empty() && !text.starts_with('#');
                if says && !self.places.contains_key(&line) {
                    self.ledger.goes_on(self.name, u32::try_from(line).unwrap_or(u32::MAX), of);
                    self.places.insert(line, of);
                }
            }
        }
    }

    /// A value; `key` is the line of the key that it is of: a text shares it, wherever it stands.
    fn node(&mut self, yaml: &MarkedYaml<'_>, key: Option<LineId>, depth: usize) -> Result<Node, Wrong> {
        let at = yaml.span.start.line();
        let wrong = |what: &str| Wrong { line: u32::try_from(at).unwrap_or(0), what: what.to_owned() };
        if depth > DEEP {
            return Err(wrong("values are nested too deep"));
        }
        let value = match &yaml.data {
            YamlData::Value(scalar) => Yaml::Scalar(written(scalar)),
            YamlData::Representation(text, ..) => Yaml::Scalar(Some(text.to_string())),
            YamlData::Tagged(_, inner) => return self.node(inner, key, depth + 1),
            YamlData::Sequence(items) => {
                let mut list = Vec::new();
                for item in items {
                    let node = self.node(item, None, depth + 1)?;
                    if matches!(node.value, Yaml::Scalar(Some(_))) {
                        self.more.push((node.line, item.span.start.line() + 1, item.span.end.line()));
                    }
                    list.push(node);
                }
                Yaml::List(list)
            }
            YamlData::Mapping(pairs) => {
                let mut map = Vec::new();
                for (key, value) in pairs {
                    let line = self.place(key.span.start.line());
                    let YamlData::Value(name) = &key.data else { return Err(wrong("a key is a text")) };
                    let name = written(name).unwrap_or_default();
                    let (from, to) = (value.span.start.line(), value.span.end.line());
                    if SECRET.contains(&name.as_str()) {
                        self.hidden.extend((from..=to).filter(|line| *line > key.span.start.line()));
                    }
                    let node = self.node(value, Some(line), depth + 1)?;
                    if matches!(node.value, Yaml::Scalar(Some(_))) {
                        self.more.push((line, key.span.start.line() + 1, to));
                    }
                    map.push((name, line, node));
                }
                Yaml::Map(map)
            }
            YamlData::Alias(_) | YamlData::BadValue => return Err(wrong("it cannot be read")),
        };
        // A value behind its key shares its line; an empty document has none.
        let line = match (&value, key) {
            (Yaml::Scalar(_), Some(key)) => key,
            _ if self.lines.is_empty() => 0,
            _ => self.place(at.min(self.lines.len()).max(1)),
        };
        Ok(Node { line, value })
    }
}

fn written(scalar: &Scalar<'_>) -> Option<String> {
    match scalar {
        Scalar::Null => None,
        Scalar::Boolean(value) => Some(value.to_string()),
        Scalar::Integer(value) => Some(value.to_string()),
        Scalar::FloatingPoint(value) => Some(value.to_string()),
        Scalar::String(text) => Some(text.to_string()),
    }
}

/// A line as the report shows it, without what lets one in.
fn shown(raw: &str) -> String {
    let text = raw.trim();
    let bare = text.trim_start_matches("- ").trim_start();
    let name = bare.split(':').next().unwrap_or_default().trim_matches('"');
    let secret = SECRET.contains(&name) || bare.to_ascii_lowercase().contains("authorization:");
    // A flow mapping may hold one anywhere.
    let within = bare.contains('{') && SECRET.iter().any(|key| bare.contains(&format!("{key}:")));
    match text.find(':') {
        Some(place) if secret && bare.contains(": ") => format!("{}: …", &text[..place]),
        _ if within => format!("{} …", text.split('{').next().unwrap_or_default().trim()),
        _ => text.to_owned(),
    }
}

impl Node {
    /// What a key is.
    pub fn get(&self, key: &str) -> Option<&Node> {
        match &self.value {
            Yaml::Map(map) => {
                map.iter().find(|(name, ..)| name == key).map(|(_, _, node)| node).filter(|node| !node.is_null())
            }
            _ => None,
        }
    }

    /// The line of a key, or of all of it.
    pub fn line_of(&self, key: &str) -> LineId {
        match &self.value {
            Yaml::Map(map) => map.iter().find(|(name, ..)| name == key).map_or(self.line, |(_, line, _)| *line),
            _ => self.line,
        }
    }

    fn is_null(&self) -> bool {
        matches!(self.value, Yaml::Scalar(None))
    }

    /// It as a text.
    pub fn text(&self) -> Option<&str> {
        match &self.value {
            Yaml::Scalar(text) => text.as_deref(),
            _ => None,
        }
    }

    /// The text that a key is.
    pub fn text_of(&self, key: &str) -> Option<&str> {
        self.get(key)?.text()
    }

    /// The number that a key is.
    pub fn number_of(&self, key: &str) -> Option<i64> {
        let text = self.text_of(key)?;
        text.parse::<i64>().ok().or_else(|| text.parse::<f64>().ok().map(|number| number as i64))
    }

    /// Whether a key is true, or what it is by default.
    pub fn flag_of(&self, key: &str, default: bool) -> bool {
        self.text_of(key).map_or(default, |text| text == "true")
    }

    /// The items of a list; a single value is one.
    pub fn items(&self) -> &[Node] {
        match &self.value {
            Yaml::List(list) => list,
            Yaml::Scalar(Some(_)) => std::slice::from_ref(self),
            _ => &[],
        }
    }

    /// The items of a list that a key is.
    pub fn list_of(&self, key: &str) -> &[Node] {
        self.get(key).map_or(&[], Node::items)
    }

    /// The texts of a list that a key is.
    pub fn texts_of(&self, key: &str) -> Vec<String> {
        self.list_of(key).iter().filter_map(|node| node.text().map(str::to_owned)).collect()
    }

    /// The keys with their lines and values.
    pub fn pairs(&self) -> &[(String, LineId, Node)] {
        match &self.value {
            Yaml::Map(map) => map,
            _ => &[],
        }
    }

    /// Calls `act` with every line in it.
    pub fn each(&self, act: &mut dyn FnMut(LineId)) {
        act(self.line);
        match &self.value {
            Yaml::Scalar(_) => {}
            Yaml::List(list) => list.iter().for_each(|node| node.each(act)),
            Yaml::Map(map) => map.iter().for_each(|(_, line, node)| {
                act(*line);
                node.each(act);
            }),
        }
    }
}

/// Says of every line in a value that is carried over.
pub(super) fn carried(ledger: &mut Ledger, node: &Node) {
    node.each(&mut |line| ledger.carried(line));
}

/// Says of every line in a value that it is not supported.
pub(super) fn unsupported(ledger: &mut Ledger, node: &Node, why: &str) {
    node.each(&mut |line| ledger.unsupported(line, why));
}

/// Says of keys that nothing looks at that they are not known.
pub(super) fn others(ledger: &mut Ledger, node: &Node, known: &[&str]) {
    for (name, line, value) in node.pairs() {
        if known.contains(&name.as_str()) {
            ledger.carried(*line);
        } else if ["id", "tags", "created_at", "updated_at", "enabled"].contains(&name.as_str()) {
            ledger.carried(*line);
            carried(ledger, value);
        } else {
            ledger.unsupported(*line, format!("`{name}` is not known"));
            value.each(&mut |line| ledger.unsupported(line, "it belongs to a key that is not known"));
        }
    }
}
