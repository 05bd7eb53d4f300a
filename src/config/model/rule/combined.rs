//! Rules of type any-of and all-of.

use crate::config::formats::Name;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A rule of type any-of: the first of its rules that lets a request through counts. Who is let through by none is told what the first
/// of them says that has found something to look at.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AnyOf {
    /// Other rules. They are not counted by themselves.
    #[schemars(with = "Vec<Name>", length(min = 1, max = 16))]
    pub rules: Vec<String>,
}

/// A rule of type all-of: each of its rules has to let a request through, as each of a route has. It is for rules of type any-of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AllOf {
    /// Other rules. They are not counted by themselves.
    #[schemars(with = "Vec<Name>", length(min = 1, max = 16))]
    pub rules: Vec<String>,
}
