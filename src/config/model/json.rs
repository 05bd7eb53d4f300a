//! Values of JSON as TOML writes them, whose texts are templates.

use crate::config::template::Text;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;

/// A value of JSON. TOML has no null.
#[derive(Clone, Debug, PartialEq)]
pub enum Filled {
    /// A text with fields, which are filled in for each request.
    Text(Text),
    /// A number, true or false, as JSON writes it.
    Plain(String),
    /// An array.
    List(Vec<Filled>),
    /// An object.
    Table(Vec<(String, Filled)>),
}

impl Filled {
    /// Shows the texts in it.
    pub fn each_text<'f>(&'f self, see: &mut impl FnMut(&'f Text)) {
        match self {
            Self::Text(text) => see(text),
            Self::Plain(_) => {}
            Self::List(items) => items.iter().for_each(|item| item.each_text(see)),
            Self::Table(members) => members.iter().for_each(|(_, value)| value.each_text(see)),
        }
    }

    fn of(json: &serde_json::Value) -> Result<Self, String> {
        use serde_json::Value;
        Ok(match json {
            Value::String(text) => Self::Text(text.parse().map_err(|wrong: crate::config::Invalid| wrong.what)?),
            Value::Array(items) => Self::List(items.iter().map(Self::of).collect::<Result<_, _>>()?),
            Value::Object(members) => {
                let each = members.iter().map(|(name, value)| Ok((name.clone(), Self::of(value)?)));
                Self::Table(each.collect::<Result<_, String>>()?)
            }
            plain => Self::Plain(plain.to_string()),
        })
    }

    fn json(&self) -> serde_json::Value {
        match self {
            Self::Text(text) => text.to_string().into(),
            Self::Plain(plain) => serde_json::from_str(plain).unwrap_or_default(),
            Self::List(items) => items.iter().map(Self::json).collect(),
            Self::Table(members) => members.iter().map(|(name, value)| (name.clone(), value.json())).collect(),
        }
    }
}

impl<'de> Deserialize<'de> for Filled {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Self::of(&serde_json::Value::deserialize(from)?).map_err(D::Error::custom)
    }
}

impl Serialize for Filled {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.json().serialize(to)
    }
}

impl std::fmt::Display for Filled {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.json().fmt(f)
    }
}

impl JsonSchema for Filled {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "json".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "integer", "number", "boolean", "array", "object"], "format": "json" })
    }
}
