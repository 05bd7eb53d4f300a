//! Rules of type transform.

use crate::config::formats::{JsonPath, Method, Regex};
use crate::config::model::{Filled, HeaderEdits, QueryEdits};
use crate::config::template::Captured;
use crate::config::units::Size;
use crate::config::words::StatusRanges;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A rule of type transform: requests go on, and answers go back, otherwise than they came.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Transform {
    /// What becomes of requests on their way to targets.
    pub request: TransformedRequest,
    /// What becomes of answers on their way to clients.
    pub response: TransformedResponse,
}

/// What becomes of requests.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TransformedRequest {
    /// What becomes of headers, those that Ringway writes itself included.
    pub headers: HeaderEdits,
    /// The method in place of the client's. HEAD stays HEAD, and a handshake of a WebSocket stays one.
    #[schemars(with = "Option<Method>")]
    pub method: Option<String>,
    /// A regex on the path as rules before this one left it, without what `strip_prefix` takes; `path` and `query` are changed only where it matches.
    #[serde(rename = "match")]
    #[schemars(with = "Option<Regex>")]
    pub pattern: Option<String>,
    /// The path in place of the client's. {1} and {name} stand for what `match` has captured, other fields are called as in headers.
    pub path: Option<Captured>,
    /// What becomes of the query.
    pub query: QueryEdits,
    /// What becomes of a JSON body.
    pub body: BodyEdits,
    /// The largest body that is edited; a larger one gets 413. It is held until it has come whole.
    #[schemars(extend("x-minimum" = "1B", "x-maximum" = "64MiB"))]
    pub max_body: Size,
    /// Whether a body that is no JSON gets 415 instead of going on as it is, where there is something to edit.
    pub only_json: bool,
}

/// What becomes of answers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TransformedResponse {
    /// Of answers with which status anything is changed: "200-299", "404". Absent: of all.
    pub if_status: Option<StatusRanges>,
    /// What becomes of headers, in Ringway's own answers as well.
    pub headers: HeaderEdits,
    /// The status in place of the target's.
    #[schemars(range(min = 200, max = 599))]
    pub status: Option<u16>,
    /// What becomes of a JSON body that a target has sent.
    pub body: BodyEdits,
}

/// Edits of a JSON body, done in this order: remove, rename, set, add, append. Paths are JSON pointers (RFC 6901) like "/user/name" and
/// "/items/0", in which "*" stands for all items of an array.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct BodyEdits {
    /// Paths of what does not pass.
    #[schemars(with = "Vec<JsonPath>")]
    pub remove: Vec<String>,
    /// Paths of what passes under another name, with that name.
    #[schemars(extend("propertyNames" = { "format": "json-path" }))]
    pub rename: BTreeMap<String, String>,
    /// Paths with values, in place of what is there or not.
    #[schemars(extend("propertyNames" = { "format": "json-path" }))]
    pub set: BTreeMap<String, Filled>,
    /// Paths with values where there is nothing.
    #[schemars(extend("propertyNames" = { "format": "json-path" }))]
    pub add: BTreeMap<String, Filled>,
    /// Paths of arrays with one more item; what is no array becomes one.
    #[schemars(extend("propertyNames" = { "format": "json-path" }))]
    pub append: BTreeMap<String, Filled>,
}

impl Default for TransformedRequest {
    fn default() -> Self {
        Self {
            headers: HeaderEdits::default(),
            method: None,
            pattern: None,
            path: None,
            query: QueryEdits::default(),
            body: BodyEdits::default(),
            max_body: Size(1 << 20),
            only_json: false,
        }
    }
}

impl Transform {
    /// Whether it changes nothing.
    pub fn is_empty(&self) -> bool {
        let TransformedRequest { headers, method, path, query, body, .. } = &self.request;
        let is_same = headers.is_empty() && method.is_none() && path.is_none() && *query == QueryEdits::default();
        let TransformedResponse { headers, status, body: answer, .. } = &self.response;
        is_same && body.is_empty() && headers.is_empty() && status.is_none() && answer.is_empty()
    }
}

impl BodyEdits {
    /// Whether nothing is edited.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// What is given values, by the edit and the path.
    pub fn values(&self) -> impl Iterator<Item = (&'static str, &String, &Filled)> {
        let all = [("set", &self.set), ("add", &self.add), ("append", &self.append)];
        all.into_iter().flat_map(|(edit, map)| map.iter().map(move |(path, value)| (edit, path, value)))
    }
}
