//! The files as one tree of values, each with the place that it was written at.

use super::environment::expand;
use super::report::{Entry, File, Place};
use std::collections::BTreeMap;
use toml::de::{DeTable, DeValue};

/// Keys and values.
pub type Table = BTreeMap<String, Node>;

/// A value with its places.
#[derive(Clone, Debug)]
pub struct Node {
    /// The key, or the value itself in an array.
    pub key: Place,
    /// The value; of a table with a header, the header.
    pub at: Place,
    /// What was written.
    pub value: Value,
    /// Whether it comes from `[defaults]`.
    pub inherited: bool,
}

/// What was written.
#[derive(Clone, Debug)]
pub enum Value {
    /// A string. A secret one came from the environment and is not shown.
    Text { text: String, secret: bool },
    /// An integer, cut to what fits.
    Integer(i64),
    /// A number with a fraction, as text.
    Fraction(String),
    /// `true`, `false`.
    Boolean(bool),
    /// An array.
    List(Vec<Node>),
    /// A table.
    Table(Table),
    /// What no key takes: a date.
    Other(&'static str),
    /// A string whose placeholders could not be replaced; that was reported.
    Lost,
}

impl Node {
    /// What kind of value it is, with its article.
    pub fn kind(&self) -> &'static str {
        match &self.value {
            Value::Text { .. } => "a string",
            Value::Integer(_) => "a number",
            Value::Fraction(_) => "a fraction",
            Value::Boolean(_) => "a boolean",
            Value::List(_) => "an array",
            Value::Table(_) => "a table",
            Value::Other(kind) => kind,
            Value::Lost => "a string",
        }
    }

    /// The table in it.
    pub fn table(&self) -> Option<&Table> {
        match &self.value {
            Value::Table(table) => Some(table),
            _ => None,
        }
    }

    /// The string in it.
    pub fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text { text, .. } => Some(text),
            _ => None,
        }
    }

    /// What to underline: the value, or its key where the value is a table or has many lines.
    pub fn mark(&self, files: &[File]) -> &Place {
        let lines = files[self.at.file].text.get(self.at.start..self.at.end).is_none_or(|t| t.contains('\n'));
        if lines || self.table().is_some() { &self.key } else { &self.at }
    }

    /// The value as the file has it: what came from the environment stays a placeholder.
    pub fn shown<'f>(&self, files: &'f [File]) -> &'f str {
        files[self.at.file].text.get(self.at.start..self.at.end).unwrap_or_default()
    }

    /// The texts within that came from the environment.
    pub fn secrets(&self) -> Vec<(&str, &Place)> {
        match &self.value {
            Value::Text { text, secret: true } => vec![(text, &self.at)],
            Value::List(items) => items.iter().flat_map(Self::secrets).collect(),
            Value::Table(table) => table.values().flat_map(Self::secrets).collect(),
            _ => Vec::new(),
        }
    }

    /// Marks it and all within as coming from `[defaults]`.
    pub fn inherit(mut self) -> Self {
        self.inherited = true;
        self.value = match self.value {
            Value::List(items) => Value::List(items.into_iter().map(Self::inherit).collect()),
            Value::Table(table) => Value::Table(table.into_iter().map(|(key, node)| (key, node.inherit())).collect()),
            scalar => scalar,
        };
        self
    }
}

/// Makes nodes of what the parser gives for one file, with strings expanded.
pub struct Planter<'a> {
    /// Which of the files.
    pub file: usize,
    /// Its text.
    pub text: &'a str,
    /// The environment.
    pub env: &'a dyn Fn(&str) -> Option<String>,
    /// Placeholders that could not be replaced.
    pub faults: Vec<Entry>,
}

impl Planter<'_> {
    /// The keys and values of a table.
    pub fn table(&mut self, table: DeTable<'_>) -> Table {
        let mut planted = Table::new();
        for (key, value) in table {
            let place = Place::new(self.file, key.span());
            let node = self.node(Some(place), value);
            planted.insert(key.into_inner().into_owned(), node);
        }
        planted
    }

    fn node(&mut self, key: Option<Place>, value: toml::Spanned<DeValue<'_>>) -> Node {
        let at = Place::new(self.file, value.span());
        let value = match value.into_inner() {
            DeValue::String(text) => self.string(&text, &at),
            DeValue::Integer(number) => Value::Integer(integer(&number)),
            DeValue::Boolean(boolean) => Value::Boolean(boolean),
            DeValue::Float(number) => Value::Fraction(number.as_str().to_owned()),
            DeValue::Datetime(_) => Value::Other("a date"),
            DeValue::Array(items) => Value::List(items.into_iter().map(|item| self.node(None, item)).collect()),
            DeValue::Table(table) => Value::Table(self.table(table)),
        };
        Node { key: key.unwrap_or_else(|| at.clone()), at, value, inherited: false }
    }

    fn string(&mut self, text: &str, at: &Place) -> Value {
        let expanded = expand(text, self.env);
        let lost = !expanded.broken.is_empty();
        for (placeholder, invalid) in expanded.broken {
            let raw = self.text.get(at.start..at.end).unwrap_or_default();
            let place = match raw.find(&placeholder) {
                Some(n) => Place { file: at.file, start: at.start + n, end: at.start + n + placeholder.len() },
                None => at.clone(),
            };
            self.faults.push(Entry::at(&place, invalid.what).help(invalid.help));
        }
        if lost { Value::Lost } else { Value::Text { text: expanded.text, secret: expanded.secret } }
    }
}

/// No key takes numbers near the ends of `i64`, so that one beyond is out of range as well.
fn integer(number: &toml::de::DeInteger<'_>) -> i64 {
    let text = number.as_str();
    let cut = if text.starts_with('-') { i64::MIN } else { i64::MAX };
    i64::from_str_radix(text, number.radix()).unwrap_or(cut)
}
