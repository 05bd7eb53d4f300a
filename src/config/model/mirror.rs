//! `mirror` of a route: requests that another pool gets as well, and how its answers differ.

use crate::config::formats::{HeaderName, JsonPath, Method, Name};
use crate::config::units::{Share, Size, Span};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// Another pool that gets a copy of requests. Its answers go to nobody, and whatever it does, clients notice nothing of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Mirror {
    /// The pool.
    #[schemars(with = "Name")]
    pub pool: String,
    /// The share of requests that it gets, spread evenly.
    #[serde(default = "all")]
    pub share: Share,
    /// The methods of requests that it gets: "safe" (GET, HEAD, OPTIONS), "all", or a list. What changes something is done twice where
    /// both pools write to the same place.
    #[serde(default)]
    pub methods: MirrorMethods,
    /// How much of a request's body is copied; a request with a longer one is not mirrored.
    #[serde(default = "body")]
    #[schemars(extend("x-maximum" = "16MiB"))]
    pub body: Size,
    /// How long the pool has for a request, from when it is there as a whole to the end of the answer.
    #[serde(default = "timeout")]
    #[schemars(extend("x-minimum" = "10ms", "x-maximum" = "10m"))]
    pub timeout: Span,
    /// Copies under way at a time, of all workers; what comes beyond is not mirrored.
    #[serde(default = "in_flight")]
    #[schemars(range(min = 1, max = 100_000))]
    pub max_in_flight: u32,
    /// Which answers are compared with those that clients get, and how. Absent: none are.
    #[serde(default)]
    pub compare: Option<Compare>,
}

/// How answers of both pools are compared: by their status, their headers, and their bodies, of which JSON by its fields.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Compare {
    /// The share of mirrored requests of which answers are compared.
    pub share: Share,
    /// How much of a body is held for that; of a longer one only the status and the headers are compared.
    #[schemars(extend("x-maximum" = "4MiB"))]
    pub body: Size,
    /// Headers that may differ. What concerns a connection or a length alone is never compared.
    #[schemars(with = "Vec<HeaderName>")]
    pub ignore_headers: Vec<String>,
    /// JSON that may differ, with all that is within: "/created", or "/items/*/id" for all items.
    #[schemars(with = "Vec<JsonPath>")]
    pub ignore_fields: Vec<String>,
    /// Whether values are shown beside where they differ. They may be secrets.
    pub values: bool,
    /// Examples that are kept, the last ones.
    #[schemars(range(min = 0, max = 100))]
    pub examples: usize,
}

impl Default for Compare {
    fn default() -> Self {
        let ignored = ["age", "date", "server", "via", "x-request-id"];
        Self {
            share: Share(1.0),
            body: Size(64 << 10),
            ignore_headers: ignored.map(str::to_owned).to_vec(),
            ignore_fields: Vec::new(),
            values: false,
            examples: 10,
        }
    }
}

fn all() -> Share {
    Share(1.0)
}

fn body() -> Size {
    Size(64 << 10)
}

fn timeout() -> Span {
    Span::secs(10)
}

fn in_flight() -> u32 {
    100
}

/// Which requests are mirrored.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Written", into = "Written")]
pub enum MirrorMethods {
    /// Those that change nothing (RFC 9110 §9.2.1).
    #[default]
    Safe,
    /// Any.
    All,
    /// These.
    List(Vec<String>),
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Written {
    Word(Word),
    List(Vec<String>),
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Word {
    Safe,
    All,
}

impl From<Written> for MirrorMethods {
    fn from(written: Written) -> Self {
        match written {
            Written::Word(Word::Safe) => Self::Safe,
            Written::Word(Word::All) => Self::All,
            Written::List(methods) => Self::List(methods),
        }
    }
}

impl From<MirrorMethods> for Written {
    fn from(methods: MirrorMethods) -> Self {
        match methods {
            MirrorMethods::Safe => Self::Word(Word::Safe),
            MirrorMethods::All => Self::Word(Word::All),
            MirrorMethods::List(methods) => Self::List(methods),
        }
    }
}

impl JsonSchema for MirrorMethods {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "MirrorMethods".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [
            { "type": "string", "enum": ["safe", "all"] },
            { "type": "array", "items": Method::json_schema(generator) },
        ] })
    }
}
