//! A JSON text that was read, as one list of its values in their order, with texts where they stand in it.
//!
//! What always holds: a value is followed by what is within it, and says where that ends; names stand before their values. An object has each
//! name once. Nothing is copied but texts with escapes.

use jsonschema::JsonType;
use jsonschema::json::{Array, Json, Node, NodeIdentity, Object, cmp};
use serde_json::{Map, Number, Value};
use smallvec::SmallVec;
use std::borrow::Cow;

/// Values of one JSON text.
#[derive(Debug, Default)]
pub(super) struct Tree<'t> {
    entries: Vec<Entry<'t>>,
    /// Of objects with many members: where their names stand, in the order of the names.
    sorted: Vec<Box<[u32]>>,
}

#[derive(Debug)]
struct Entry<'t> {
    what: What<'t>,
    /// The place behind it and all that is within.
    end: u32,
}

#[derive(Debug)]
pub(super) enum What<'t> {
    Null,
    Bool(bool),
    Number(Number),
    Text(Cow<'t, str>),
    /// With so many items.
    Array(u32),
    /// With so many members, and its place among those that are sorted.
    Object(u32, Option<u32>),
}

/// Members up to which names are looked for one by one.
const FEW: u32 = 16;

/// A value of a tree, or a name that is looked at as one.
#[derive(Clone, Copy)]
pub(super) enum At<'a> {
    In(&'a Tree<'a>, u32),
    Name(&'a str),
}

/// What is amiss with what was added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Amiss {
    /// A name is there twice.
    Twice,
    /// There are more values than are counted.
    TooMany,
}

impl<'t> Tree<'t> {
    /// One for a text of so many bytes.
    pub(super) fn with_room_for(bytes: usize) -> Self {
        Self { entries: Vec::with_capacity((bytes / 8).min(1 << 12)), sorted: Vec::new() }
    }

    /// Whether the whole is an object.
    pub(super) fn is_object(&self) -> bool {
        matches!(self.entries.first(), Some(Entry { what: What::Object(..), .. }))
    }

    /// Adds a value, or a name; gives its place. What is within it comes next, and is ended by [`Self::end`].
    pub(super) fn add(&mut self, what: What<'t>) -> Result<u32, Amiss> {
        let at = u32::try_from(self.entries.len()).map_err(|_| Amiss::TooMany)?;
        self.entries.push(Entry { what, end: at + 1 });
        Ok(at)
    }

    /// All is there of an array or an object.
    pub(super) fn end(&mut self, at: u32, count: u32) -> Result<(), Amiss> {
        let end = u32::try_from(self.entries.len()).map_err(|_| Amiss::TooMany)?;
        let is_object = matches!(self.entries.get(at as usize), Some(Entry { what: What::Object(..), .. }));
        let sorted = if is_object { self.sort(at, count)? } else { None };
        let Some(entry) = self.entries.get_mut(at as usize) else { return Ok(()) };
        entry.end = end;
        entry.what = if is_object { What::Object(count, sorted) } else { What::Array(count) };
        Ok(())
    }

    /// Sees to it that no name is there twice.
    fn sort(&mut self, at: u32, count: u32) -> Result<Option<u32>, Amiss> {
        let names = Names { tree: self, next: at + 1, left: count };
        if count <= FEW {
            let mut known: SmallVec<[&str; FEW as usize]> = SmallVec::new();
            for (_, name) in names {
                if known.contains(&name) {
                    return Err(Amiss::Twice);
                }
                known.push(name);
            }
            return Ok(None);
        }
        let mut all: Vec<(u32, &str)> = names.collect();
        all.sort_unstable_by_key(|(_, name)| *name);
        if all.windows(2).any(|pair| pair[0].1 == pair[1].1) {
            return Err(Amiss::Twice);
        }
        let places = all.into_iter().map(|(at, _)| at).collect();
        let index = u32::try_from(self.sorted.len()).map_err(|_| Amiss::TooMany)?;
        self.sorted.push(places);
        Ok(Some(index))
    }

    /// The outermost value.
    pub(super) fn root(&self) -> At<'_> {
        At::In(self, 0)
    }

    /// All of it, copied.
    pub(super) fn to_value(&self) -> Value {
        self.value(0)
    }

    fn what(&self, at: u32) -> &What<'t> {
        self.entries.get(at as usize).map_or(&What::Null, |entry| &entry.what)
    }

    fn behind(&self, at: u32) -> u32 {
        self.entries.get(at as usize).map_or(at + 1, |entry| entry.end)
    }

    fn text(&self, at: u32) -> &str {
        match self.what(at) {
            What::Text(text) => text,
            _ => "",
        }
    }

    fn value(&self, at: u32) -> Value {
        match self.what(at) {
            What::Null => Value::Null,
            What::Bool(is) => Value::Bool(*is),
            What::Number(number) => Value::Number(number.clone()),
            What::Text(text) => Value::String(text.to_string()),
            What::Array(count) => {
                let items = Items { tree: self, next: at + 1, left: *count };
                Value::Array(items.map(|item| item.to_value().into_owned()).collect())
            }
            What::Object(count, _) => {
                let names = Names { tree: self, next: at + 1, left: *count };
                Value::Object(names.map(|(at, name)| (name.to_owned(), self.value(at + 1))).collect::<Map<_, _>>())
            }
        }
    }
}

/// Names of an object, with their places.
#[derive(Clone)]
struct Names<'a> {
    tree: &'a Tree<'a>,
    next: u32,
    left: u32,
}

impl<'a> Iterator for Names<'a> {
    type Item = (u32, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let at = self.next;
        self.next = self.tree.behind(at + 1);
        Some((at, self.tree.text(at)))
    }
}

/// Trees as values of JSON.
pub(super) struct Read;

impl Json for Read {
    type Node<'a> = At<'a>;
    type PreparedKey = Box<str>;
    type StringBuffer = ();

    const KEYS_PER_LOOKUP: usize = 2;
    const ACYCLIC: bool = true;

    fn prepare_key(key: &str) -> Box<str> {
        key.into()
    }

    fn with_string_node<T>((): &mut (), name: &str, f: impl FnOnce(At<'_>) -> T) -> T {
        f(At::Name(name))
    }
}

impl<'a> At<'a> {
    fn what(self) -> Option<&'a What<'a>> {
        match self {
            At::In(tree, at) => Some(tree.what(at)),
            At::Name(_) => None,
        }
    }
}

impl<'a> Node<'a, Read> for At<'a> {
    type Object = Members<'a>;
    type Array = Items<'a>;
    type Number = &'a Number;

    fn as_object(&self) -> Option<Members<'a>> {
        match *self {
            At::In(tree, at) => match tree.what(at) {
                What::Object(count, sorted) => {
                    let sorted = sorted.and_then(|index| tree.sorted.get(index as usize)).map(|sorted| &**sorted);
                    Some(Members { names: Names { tree, next: at + 1, left: *count }, sorted })
                }
                _ => None,
            },
            At::Name(_) => None,
        }
    }

    fn as_array(&self) -> Option<Items<'a>> {
        match *self {
            At::In(tree, at) => match tree.what(at) {
                What::Array(count) => Some(Items { tree, next: at + 1, left: *count }),
                _ => None,
            },
            At::Name(_) => None,
        }
    }

    fn as_string(&self) -> Option<Cow<'a, str>> {
        match *self {
            At::Name(name) => Some(Cow::Borrowed(name)),
            At::In(tree, at) => match tree.what(at) {
                What::Text(text) => Some(Cow::Borrowed(text)),
                _ => None,
            },
        }
    }

    fn as_number(&self) -> Option<&'a Number> {
        match self.what()? {
            What::Number(number) => Some(number),
            _ => None,
        }
    }

    fn as_boolean(&self) -> Option<bool> {
        match self.what()? {
            What::Bool(is) => Some(*is),
            _ => None,
        }
    }

    fn is_null(&self) -> bool {
        matches!(self.what(), Some(What::Null))
    }

    fn json_type(&self) -> JsonType {
        match self.what() {
            Some(What::Null) => JsonType::Null,
            Some(What::Bool(_)) => JsonType::Boolean,
            Some(What::Number(_)) => JsonType::Number,
            Some(What::Text(_)) | None => JsonType::String,
            Some(What::Array(_)) => JsonType::Array,
            Some(What::Object(..)) => JsonType::Object,
        }
    }

    fn string_length_within(&self, min: u64, max: u64) -> Option<bool> {
        let text = self.as_string()?;
        // A character takes one byte to four.
        let bytes = text.len() as u64;
        let fewest = bytes.div_ceil(4);
        if bytes < min || fewest > max {
            return Some(false);
        }
        Some((min <= fewest && bytes <= max) || (min..=max).contains(&(text.chars().count() as u64)))
    }

    fn equals_value(&self, expected: &Value) -> bool {
        match (self.as_string(), self.what()) {
            (Some(text), _) => matches!(expected, Value::String(expected) if *expected == text),
            (_, Some(What::Bool(is))) => *expected == Value::Bool(*is),
            (_, Some(What::Null)) => expected.is_null(),
            _ => cmp::equal(&self.to_value(), expected),
        }
    }

    fn to_value(&self) -> Cow<'a, Value> {
        Cow::Owned(match *self {
            At::In(tree, at) => tree.value(at),
            At::Name(name) => Value::String(name.to_owned()),
        })
    }

    fn identity(&self) -> Option<NodeIdentity> {
        Some(match *self {
            At::In(tree, at) => NodeIdentity::tagged(tree.entries.as_ptr() as usize, at),
            At::Name(name) => NodeIdentity::tagged(name.as_ptr() as usize, u32::MAX),
        })
    }
}

/// An object.
pub(super) struct Members<'a> {
    names: Names<'a>,
    sorted: Option<&'a [u32]>,
}

/// What it has, one by one.
pub(super) struct Each<'a>(Names<'a>);

impl<'a> Iterator for Each<'a> {
    type Item = (&'a str, At<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let tree = self.0.tree;
        self.0.next().map(|(at, name)| (name, At::In(tree, at + 1)))
    }
}

impl<'a> Object<'a, Read> for Members<'a> {
    type Node = At<'a>;
    type MemberName = &'a str;
    type MembersIter = Each<'a>;

    fn len(&self) -> usize {
        self.names.left as usize
    }

    fn get(&self, key: &Box<str>) -> Option<At<'a>> {
        let tree = self.names.tree;
        let at = match self.sorted {
            None => self.names.clone().find(|(_, name)| **name == **key)?.0,
            Some(sorted) => {
                let found = sorted.binary_search_by(|at| tree.text(*at).cmp(key)).ok()?;
                *sorted.get(found)?
            }
        };
        Some(At::In(tree, at + 1))
    }

    fn members(&self) -> Each<'a> {
        Each(self.names.clone())
    }
}

/// An array, and its items one by one.
#[derive(Clone)]
pub(super) struct Items<'a> {
    tree: &'a Tree<'a>,
    next: u32,
    left: u32,
}

impl<'a> Iterator for Items<'a> {
    type Item = At<'a>;

    fn next(&mut self) -> Option<At<'a>> {
        self.left = self.left.checked_sub(1)?;
        let at = self.next;
        self.next = self.tree.behind(at);
        Some(At::In(self.tree, at))
    }
}

impl<'a> Array<'a, Read> for Items<'a> {
    type Node = At<'a>;
    type ElementsIter = Self;

    fn len(&self) -> usize {
        self.left as usize
    }

    fn elements(&self) -> Self {
        self.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::super::json::{Bounds, read};
    use super::*;
    use serde_json::json;

    const BOUNDS: Bounds = Bounds { depth: 100, members: 100_000 };

    fn valid(schema: &Value, text: &str) -> bool {
        let tree = read(text.as_bytes(), BOUNDS).unwrap();
        let ours = jsonschema::options_for::<Read>().build(schema).unwrap().is_valid(tree.root());
        let theirs = jsonschema::options().build(schema).unwrap().is_valid(&serde_json::from_str(text).unwrap());
        assert_eq!(ours, theirs, "{schema} {text}");
        ours
    }

    #[test]
    fn it_holds_what_was_written() {
        let many: Vec<String> = (0..50).map(|n| format!("\"k{}\":{{\"n\":[{n},-{n}]}}", 97 * n % 50)).collect();
        for text in [
            "null".to_owned(),
            "\"\"".to_owned(),
            "[]".to_owned(),
            "{}".to_owned(),
            r#"{"a":{"b":[1,-2,3.5,1e3,18446744073709551615],"c":{}},"d\u00e9\n":"\ud83e\udd80","é":[[],{},[{}]],"t":true}"#.to_owned(),
            format!("{{{}}}", many.join(",")),
        ] {
            let tree = read(text.as_bytes(), BOUNDS).unwrap();
            assert_eq!(tree.to_value(), serde_json::from_str::<Value>(&text).unwrap(), "{text}");
        }
    }

    #[test]
    fn members_are_found_among_few_and_many() {
        for count in [1, 16, 17, 300] {
            let members: Vec<String> = (0..count).map(|n| format!("\"k{}\":{n}", (7 * n + 3) % count)).collect();
            let text = format!("{{{}}}", members.join(","));
            let tree = read(text.as_bytes(), BOUNDS).unwrap();
            let object = tree.root().as_object().unwrap();
            assert_eq!((object.len(), object.members().count()), (count, count));
            for n in 0..count {
                let found = object.get(&Read::prepare_key(&format!("k{}", (7 * n + 3) % count)));
                assert_eq!(found.and_then(|at| at.as_number()), Some(&n.into()));
            }
            assert!(object.get(&Read::prepare_key("k")).is_none());
            let twice = format!("{{{},\"k0\":1}}", members.join(","));
            assert!(read(twice.as_bytes(), BOUNDS).is_err(), "{twice}");
        }
    }

    #[test]
    fn schemas_say_of_it_what_they_say_of_other_values() {
        let text = r#"{"s":"héllo","e":"a\tb","i":42,"f":1.5,"w":3.0,"b":true,"z":null,"l":[1,{"a":1},{"a":1.0}],"o":{"n":"v"}}"#;
        for (schema, expected) in [
            (json!({ "required": ["s", "z"], "properties": { "s": { "minLength": 5, "maxLength": 5 } } }), true),
            (json!({ "properties": { "s": { "maxLength": 4 } } }), false),
            (
                json!({ "properties": { "e": { "const": "a\tb" }, "i": { "enum": [1, 42.0] }, "z": { "const": null } } }),
                true,
            ),
            (json!({ "properties": { "b": { "const": 1 } } }), false),
            (json!({ "properties": { "w": { "type": "integer" }, "f": { "multipleOf": 0.5 } } }), true),
            (json!({ "properties": { "f": { "type": "integer" } } }), false),
            (json!({ "properties": { "l": { "uniqueItems": true } } }), false),
            (
                json!({ "properties": { "l": { "contains": { "const": { "a": 1 } }, "minItems": 3, "maxItems": 3 } } }),
                true,
            ),
            (json!({ "propertyNames": { "maxLength": 1 } }), true),
            (json!({ "propertyNames": { "pattern": "^[a-y]$" } }), false),
            (
                json!({ "properties": { "o": { "const": { "n": "v" } } }, "additionalProperties": { "type": ["string", "number", "boolean", "null", "array"] } }),
                true,
            ),
            (json!({ "unevaluatedProperties": false, "allOf": [{ "properties": { "s": {} } }] }), false),
            (
                json!({ "$defs": { "any": { "anyOf": [{ "type": "object", "additionalProperties": { "$ref": "#/$defs/any" } }, { "type": ["string", "number", "boolean", "null", "array"] }] } }, "$ref": "#/$defs/any" }),
                true,
            ),
        ] {
            assert_eq!(valid(&schema, text), expected, "{schema}");
        }
    }
}
