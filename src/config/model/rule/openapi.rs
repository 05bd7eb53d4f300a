//! Rules of type openapi.

use crate::config::formats::Name;
use crate::config::units::Size;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A rule of type openapi: a request that is not as its API is described gets 400, 404, 405 or 415, with a document that says what is wrong
/// (RFC 9457).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OpenApi {
    /// The API, a name of `[apis]`.
    #[schemars(with = "Name")]
    pub api: String,
    /// The largest JSON body that is taken; a larger one gets 413. It is held until it has come whole.
    #[serde(default = "one_mebibyte")]
    #[schemars(extend("x-minimum" = "1B", "x-maximum" = "64MiB"))]
    pub max_body: Size,
    /// Levels of objects and arrays that a JSON body may have.
    #[serde(default = "deep")]
    #[schemars(range(min = 1, max = 100))]
    pub max_depth: usize,
    /// Members of objects and items of arrays that a JSON body may have in all.
    #[serde(default = "many_members")]
    #[schemars(range(min = 1, max = 10_000_000))]
    pub max_members: usize,
}

fn one_mebibyte() -> Size {
    Size(1 << 20)
}

fn deep() -> usize {
    32
}

fn many_members() -> usize {
    20_000
}
