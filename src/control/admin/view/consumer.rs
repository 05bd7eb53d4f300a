//! Consumers, as they are told and taken.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

/// A consumer, without what they prove themselves with.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Consumer {
    /// The name.
    pub name: String,
    /// What they belong to.
    pub groups: Vec<String>,
    /// What the SHA-256 of each of their keys begins with, those of a file of keys aside.
    pub keys: Vec<String>,
    /// What tells their certificates from others'.
    pub certificates: Vec<String>,
    /// Where they come from: "configuration", "file" or "api".
    pub from: String,
}

/// What a consumer is to be.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct NewConsumer {
    /// What they belong to.
    pub groups: Vec<String>,
    /// Their keys, each as it is or as "sha256:" and the SHA-256 of it: kept as that alone, and never shown.
    #[serde(deserialize_with = "keys")]
    pub keys: Vec<String>,
    /// What tells their certificates from others', as in the configuration.
    pub certificates: Vec<String>,
}

/// Keys of a consumer. What stands in their place and is none is not said again.
fn keys<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    let value = serde_json::Value::deserialize(from)?;
    serde_json::from_value(value).map_err(|_| serde::de::Error::custom("`keys` has to be an array of strings"))
}
