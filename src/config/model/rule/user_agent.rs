//! Rules of type user-agent.

use crate::config::formats::ValuePattern;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A rule of type user-agent: who is kept out gets 403.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct UserAgent {
    /// What may come in: a part of what the client says in User-Agent, in any case, or "~regex". Empty: all that is not kept out.
    #[schemars(with = "Vec<ValuePattern>", length(max = 10_000))]
    pub allow: Vec<String>,
    /// What is kept out, whatever `allow` says, in the same form.
    #[schemars(with = "Vec<ValuePattern>", length(max = 10_000))]
    pub deny: Vec<String>,
    /// Whether who says nothing is kept out, as it is where something is in `allow`.
    pub require: bool,
}
