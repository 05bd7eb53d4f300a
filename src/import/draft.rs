//! A configuration that is being written: tables in the order in which they will stand in the file, with words for the user.
//!
//! What always holds: names are valid and each is used once of its kind.
//! May depend on nothing.

use std::collections::BTreeSet;

/// A value, as TOML has them.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A text.
    Text(String),
    /// A whole number.
    Number(i64),
    /// A boolean.
    Flag(bool),
    /// An array.
    List(Vec<Value>),
    /// A table.
    Table(Table),
}

/// Keys with values, in their order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table(pub Vec<(String, Value)>);

/// A table of the file, such as `[routes.api]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// What it is called: `["routes", "api"]`.
    pub path: Vec<String>,
    /// What the user should know of it.
    pub notes: Vec<String>,
    /// What it holds.
    pub table: Table,
}

/// All of the configuration.
#[derive(Clone, Debug, Default)]
pub struct Draft {
    /// The tables, in the order in which they were made.
    pub entries: Vec<Entry>,
    names: BTreeSet<(String, String)>,
    bound: BTreeSet<(String, bool)>,
    /// What tables were made of, with their names.
    things: Vec<(String, String)>,
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

impl From<i32> for Value {
    fn from(number: i32) -> Self {
        Self::Number(number.into())
    }
}

impl From<Table> for Value {
    fn from(table: Table) -> Self {
        Self::Table(table)
    }
}

impl<T: Into<Value>> From<Vec<T>> for Value {
    fn from(list: Vec<T>) -> Self {
        Self::List(list.into_iter().map(Into::into).collect())
    }
}

impl Table {
    /// A table without keys.
    pub fn new() -> Self {
        Self::default()
    }

    /// With this key as well.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.set(key, value);
        self
    }

    /// Sets a key, in place of what it was.
    pub fn set(&mut self, key: &str, value: impl Into<Value>) {
        let value = value.into();
        match self.0.iter_mut().find(|(name, _)| name == key) {
            Some((_, old)) => *old = value,
            None => self.0.push((key.to_owned(), value)),
        }
    }

    /// What a key is.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.0.iter().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    /// The text that a key is.
    pub fn text(&self, key: &str) -> Option<&str> {
        match self.get(key) {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// Takes a key away.
    pub fn remove(&mut self, key: &str) {
        self.0.retain(|(name, _)| name != key);
    }

    /// The table below these keys, made where it is missing.
    pub fn below(&mut self, keys: &[&str]) -> &mut Table {
        let Some((first, rest)) = keys.split_first() else { return self };
        let place = match self.0.iter().position(|(name, value)| name == first && matches!(value, Value::Table(_))) {
            Some(place) => place,
            None => {
                self.remove(first);
                self.0.push(((*first).to_owned(), Value::Table(Table::new())));
                self.0.len() - 1
            }
        };
        match self.0.get_mut(place) {
            Some((_, Value::Table(table))) => table.below(rest),
            _ => unreachable!("it was found or made there"),
        }
    }

    /// Puts a value behind those that a key has.
    pub fn push(&mut self, key: &str, value: impl Into<Value>) {
        let value = value.into();
        match self.0.iter_mut().find(|(name, _)| name == key) {
            Some((_, Value::List(list))) => {
                if !list.contains(&value) {
                    list.push(value);
                }
            }
            _ => self.set(key, Value::List(vec![value])),
        }
    }

    /// Whether it has no key.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Draft {
    /// Adds a table.
    pub fn add(&mut self, kind: &str, name: &str, table: Table, notes: Vec<String>) {
        self.entries.push(Entry { path: vec![kind.to_owned(), name.to_owned()], notes, table });
    }

    /// The name of a table that is like this one, made where there is none.
    pub fn shared(&mut self, kind: &str, wanted: &str, table: Table) -> String {
        let same = |entry: &&Entry| entry.table == table && entry.path.first().is_some_and(|first| first == kind);
        if let Some(name) = self.entries.iter().find(same).and_then(|entry| entry.path.get(1)) {
            return name.clone();
        }
        let name = self.name(kind, wanted);
        self.add(kind, &name, table, Vec::new());
        name
    }

    /// The name of a table that is of this thing alone: where the same is asked for again, the same name; what another thing made is another
    /// table, even if both are alike.
    pub fn of_one(&mut self, kind: &str, wanted: &str, thing: &str, table: Table) -> String {
        let made = self.things.iter().find(|(of, name)| {
            of == thing
                && self.entries.iter().any(|entry| {
                    entry.table == table
                        && matches!(entry.path.as_slice(), [first, second] if first == kind && second == name)
                })
        });
        if let Some((_, name)) = made {
            return name.clone();
        }
        let name = self.name(kind, wanted);
        self.add(kind, &name, table, Vec::new());
        self.things.push((thing.to_owned(), name.clone()));
        name
    }

    /// Whether an address, of UDP or else of TCP, is nobody's yet: from now on it is the asker's.
    pub fn bind(&mut self, address: &str, udp: bool) -> bool {
        let whole = if address.starts_with(':') { format!("0.0.0.0{address}") } else { address.to_owned() };
        let any = whole.ends_with(":0") && !whole.starts_with("unix:");
        any || self.bound.insert((whole, udp))
    }

    /// The table of the process that is called so, such as `[runtime]`.
    pub fn single(&mut self, name: &str) -> &mut Entry {
        let place = match self.entries.iter().position(|entry| entry.path == [name]) {
            Some(place) => place,
            None => {
                self.entries.push(Entry { path: vec![name.to_owned()], notes: Vec::new(), table: Table::new() });
                self.entries.len() - 1
            }
        };
        match self.entries.get_mut(place) {
            Some(entry) => entry,
            None => unreachable!("it was found or made there"),
        }
    }

    /// A name that nothing else of this kind has, as near to `wanted` as names may be.
    pub fn name(&mut self, kind: &str, wanted: &str) -> String {
        let allowed = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '-' };
        let plain: String = wanted.chars().map(allowed).take(56).collect();
        let plain = match plain.trim_matches('-') {
            "" => "unnamed",
            some => some,
        };
        let mut name = plain.to_owned();
        let mut number = 1;
        while !self.names.insert((kind.to_owned(), name.clone())) {
            number += 1;
            name = format!("{plain}-{number}");
        }
        name
    }
}
