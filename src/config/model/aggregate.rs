//! `aggregate` of a route: one answer that is put together of what several pools say.

use super::QueryEdits;
use crate::config::formats::{HeaderValue, Name};
use crate::config::template::Captured;
use crate::config::units::{Size, Span};
use crate::config::words::StatusRanges;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Several pools are asked at the same time, by GET, and what they answer as JSON is put together into one object.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Aggregate {
    /// What is put together, in this order; 16 at most.
    pub parts: Vec<AggregatePart>,
    /// How long all parts have.
    #[serde(default = "timeout")]
    #[schemars(extend("x-minimum" = "10ms", "x-maximum" = "10m"))]
    pub timeout: Span,
    /// What becomes of the answer where a part fails that does not say whether it is `required`: "fail", or "partial".
    #[serde(default)]
    pub on_failure: OnFailure,
    /// The longest answer of a part that is taken.
    #[serde(default = "one_mebibyte")]
    #[schemars(extend("x-minimum" = "1B", "x-maximum" = "16MiB"))]
    pub max_body: Size,
    /// How long the answers of all parts may be together.
    #[serde(default = "four_mebibytes")]
    #[schemars(extend("x-minimum" = "1B", "x-maximum" = "64MiB"))]
    pub max_total: Size,
    /// Levels of objects and arrays that a part's answer may have.
    #[serde(default = "deep")]
    #[schemars(range(min = 1, max = 100))]
    pub max_depth: usize,
    /// Members of objects and items of arrays that a part's answer may have in all.
    #[serde(default = "many_members")]
    #[schemars(range(min = 1, max = 10_000_000))]
    pub max_members: usize,
    /// The Cache-Control of an answer of which nothing is missing; any other has "no-store".
    #[serde(default = "no_store")]
    #[schemars(with = "HeaderValue")]
    pub cache_control: String,
}

/// What is put together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AggregatePart {
    /// What it is called in logs, metrics and errors, and the member that its answer becomes.
    #[schemars(with = "Name")]
    pub name: String,
    /// The pool that is asked.
    #[schemars(with = "Name")]
    pub pool: String,
    /// The path that the pool gets. {id} stands for what the route's "=/v1/{id}" takes, other fields are called as in headers. Absent:
    /// the client's.
    #[serde(default)]
    pub path: Option<Captured>,
    /// What becomes of the client's query.
    #[serde(default)]
    pub query: QueryEdits,
    /// The member that its answer becomes, where that is not called as the part.
    #[serde(default)]
    pub into: Option<String>,
    /// Whether the members of its answer, an object, become members of the whole. Of two with one name, the first counts.
    #[serde(default)]
    pub merge: bool,
    /// Whether there is no answer without it. Absent: with `on_failure` = "fail".
    #[serde(default)]
    pub required: Option<bool>,
    /// What stands for it where it fails and is not required, as JSON: '{"items":[]}'. Absent: null, or nothing with `merge`.
    #[serde(default)]
    pub default: Option<String>,
    /// The statuses by which it has not failed.
    #[serde(default = "good_status")]
    pub expect: StatusRanges,
    /// Statuses of a required part that the client gets for the whole: "404", "401,403". Absent: it gets 502.
    #[serde(default)]
    pub pass_status: Option<StatusRanges>,
}

fn timeout() -> Span {
    Span::secs(5)
}

fn one_mebibyte() -> Size {
    Size(1 << 20)
}

fn four_mebibytes() -> Size {
    Size(4 << 20)
}

fn deep() -> usize {
    32
}

fn many_members() -> usize {
    100_000
}

fn no_store() -> String {
    "no-store".into()
}

fn good_status() -> StatusRanges {
    StatusRanges(vec![(200, 299)])
}

/// What becomes of an answer of which a part fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(extend("type" = "string"))]
pub enum OnFailure {
    /// It is an error.
    #[default]
    Fail,
    /// It is what there is, and says what is missing.
    Partial,
}

impl Aggregate {
    /// Whether there is no answer without a part.
    pub fn requires(&self, part: &AggregatePart) -> bool {
        part.required.unwrap_or(self.on_failure == OnFailure::Fail)
    }
}

impl AggregatePart {
    /// The member that it becomes; `None`: its own members do.
    pub fn member(&self) -> Option<&str> {
        (!self.merge).then(|| self.into.as_deref().unwrap_or(&self.name))
    }
}
