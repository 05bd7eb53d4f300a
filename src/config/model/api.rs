//! `[apis.NAME]`: what APIs take and give, as a document describes them.

use crate::config::formats::{FilePath, PlainPath};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// `[apis.NAME]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Api {
    /// A file with its description in OpenAPI 3.0 or 3.1, as JSON or YAML. References stay within it: nothing is fetched.
    #[schemars(with = "FilePath")]
    pub openapi: PathBuf,
    /// What stands before its paths, such as "/v1". Absent: the path of the first server that the description names.
    #[schemars(with = "Option<PlainPath>")]
    pub base: Option<String>,
    /// Whether what is not understood of the description is a fault; otherwise it is a warning, and nothing is held against it.
    #[serde(default)]
    pub strict: bool,
}
