//! `[routes.NAME.rewrite]`: what of a request's URL targets see otherwise.

use crate::config::formats::{PlainPath, QueryKey, Regex};
use crate::config::template::Captured;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// `[routes.NAME.rewrite]`
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Rewrite {
    /// A regex on the path as routes see it, without what `strip_prefix` takes; `path` and `query` are changed only where it matches.
    #[serde(rename = "match")]
    #[schemars(with = "Option<Regex>")]
    pub pattern: Option<String>,
    /// The path in place of the client's. {1} and {name} stand for what `match` has captured, other fields are called as in headers.
    pub path: Option<Captured>,
    /// What is put before the path, once all else is done.
    #[schemars(with = "Option<PlainPath>")]
    pub add_prefix: Option<String>,
    /// What becomes of the query.
    pub query: QueryEdits,
    /// How targets are told that the client came: by `X-Forwarded-Proto` and the like. Absent: as it did.
    pub scheme: Option<RewriteScheme>,
    /// Whether `Location`, `Content-Location`, `Refresh`, `Link` and the path and domain of cookies are put back into what the client
    /// knows. Absent: where `strip_prefix`, `host`, `rewrite.path` or `rewrite.add_prefix` change that.
    pub back: Option<bool>,
}

/// Edits of a query, done in this order: keep, remove, rename, set, add, append. Names are compared decoded.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct QueryEdits {
    /// Parameters that pass; the others do not. Absent: all do.
    #[schemars(with = "Option<Vec<QueryKey>>")]
    pub keep: Option<Vec<String>>,
    /// Parameters that do not pass.
    #[schemars(with = "Vec<QueryKey>")]
    pub remove: Vec<String>,
    /// Parameters that pass under another name, in place of those that have it.
    #[schemars(with = "BTreeMap<String, QueryKey>", extend("propertyNames" = { "format": "query-key" }))]
    pub rename: BTreeMap<String, String>,
    /// Parameters with their values, in place of all of their name; without them where a value is nothing.
    #[schemars(extend("propertyNames" = { "format": "query-key" }))]
    pub set: BTreeMap<String, Captured>,
    /// Parameters with their values where there is none of their name.
    #[schemars(extend("propertyNames" = { "format": "query-key" }))]
    pub add: BTreeMap<String, Captured>,
    /// Parameters with what one more of them is to be.
    #[schemars(extend("propertyNames" = { "format": "query-key" }))]
    pub append: BTreeMap<String, Captured>,
}

/// How a client came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(extend("type" = "string"))]
pub enum RewriteScheme {
    /// In clear.
    Http,
    /// Over TLS.
    Https,
}

impl QueryEdits {
    /// What is filled in for each request.
    pub fn values(&self) -> impl Iterator<Item = (&'static str, &String, &Captured)> {
        let all = [("set", &self.set), ("add", &self.add), ("append", &self.append)];
        all.into_iter().flat_map(|(edit, map)| map.iter().map(move |(name, value)| (edit, name, value)))
    }
}
