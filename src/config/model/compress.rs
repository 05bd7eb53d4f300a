//! `[routes.NAME.compress]`: which answers are compressed, how, and for whom.

use crate::config::formats::TypePattern;
use crate::config::units::{Share, Size};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// Whether answers are compressed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "Written", into = "Written")]
pub enum Compression {
    /// They are not.
    #[default]
    Off,
    /// They are.
    On(Box<Compress>),
}

/// `[routes.NAME.compress]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Compress {
    /// Which answers are not compressed so that their length does not tell what is in them to whoever can have the client ask and
    /// watch (BREACH): those that come over TLS to requests with cookies or other credentials if another site has made them
    /// ("cross-site"), all of these ("credentials"), or none ("off").
    pub breach: Breach,
    /// The codings that are offered; where a client likes several as much, it gets the first.
    pub codings: Vec<CodingName>,
    /// Whether what a target has compressed is decompressed for clients that do not accept it, if its type is one of `types`.
    pub decompress: bool,
    /// How much work it is.
    pub level: Levels,
    /// How busy a worker is when it goes down to the fastest levels, as a share of its time.
    pub lower_above: Share,
    /// Answers that are known to be shorter are left alone.
    #[schemars(extend("x-maximum" = "1GiB"))]
    pub min_size: Size,
    /// Whether targets are not told what clients accept, so that all is compressed here.
    pub offload: bool,
    /// How busy a worker is when it compresses no more, as a share of its time. Absent: it always does.
    pub skip_above: Option<Share>,
    /// The media types: "text/html", "text/*", "+json" for all that end so, "*". Empty: what usually compresses well.
    #[schemars(with = "Vec<TypePattern>")]
    pub types: Vec<String>,
}

impl Default for Compress {
    fn default() -> Self {
        Self {
            breach: Breach::CrossSite,
            codings: vec![CodingName::Zstd, CodingName::Br, CodingName::Gzip],
            decompress: true,
            level: Levels::default(),
            lower_above: Share(0.85),
            min_size: Size(1 << 10),
            offload: false,
            skip_above: None,
            types: Vec::new(),
        }
    }
}

/// The level of each coding: the higher, the smaller and the slower.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Levels {
    /// Of Brotli. From 10 on a worker's other clients notice.
    #[schemars(range(min = 0, max = 11))]
    pub br: u8,
    /// Of gzip.
    #[schemars(range(min = 1, max = 9))]
    pub gzip: u8,
    /// Of Zstandard. From 13 on a worker's other clients notice.
    #[schemars(range(min = 1, max = 19))]
    pub zstd: u8,
}

impl Default for Levels {
    fn default() -> Self {
        Self { br: 4, gzip: 4, zstd: 3 }
    }
}

/// A content coding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum CodingName {
    /// Zstandard.
    Zstd,
    /// Brotli.
    Br,
    /// gzip.
    Gzip,
}

impl CodingName {
    /// As it is written.
    pub fn word(self) -> &'static str {
        match self {
            Self::Zstd => "zstd",
            Self::Br => "br",
            Self::Gzip => "gzip",
        }
    }
}

/// Which answers are not compressed as their length could tell what is in them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Breach {
    /// To requests with credentials, over TLS, that another site has made.
    CrossSite,
    /// To requests with credentials, over TLS.
    Credentials,
    /// None.
    Off,
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Written {
    Switch(bool),
    Table(Box<Compress>),
}

impl From<Written> for Compression {
    fn from(written: Written) -> Self {
        match written {
            Written::Switch(false) => Self::Off,
            Written::Switch(true) => Self::On(Box::default()),
            Written::Table(compress) => Self::On(compress),
        }
    }
}

impl From<Compression> for Written {
    fn from(compression: Compression) -> Self {
        match compression {
            Compression::Off => Self::Switch(false),
            Compression::On(compress) => Self::Table(compress),
        }
    }
}

impl JsonSchema for Compression {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Compression".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [{ "type": "boolean" }, generator.subschema_for::<Compress>()] })
    }
}
