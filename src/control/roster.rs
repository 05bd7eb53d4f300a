//! What operators have changed of consumers beside the configuration: a model without I/O.
//!
//! What always holds: a key is kept as its SHA-256 alone. It lies over the configuration and its file of consumers: who is made here goes
//! before one of the same name there, and who is removed here is nobody, wherever they are named.

use crate::config::model::{Config, Consumer, Secret};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What operators have changed of consumers. Replaced as a whole when they change something.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Roster(BTreeMap<String, Option<Arc<Consumer>>>);

/// As many changes as are kept.
pub const MOST: usize = 200_000;
/// The version of the text.
const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    version: u32,
    consumers: BTreeMap<String, Row>,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Row {
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    removed: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    groups: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    keys: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    certificates: Vec<String>,
}

impl Roster {
    /// The same with this consumer. Its keys are hashes.
    pub fn with(&self, name: &str, consumer: Consumer) -> Self {
        let mut next = self.clone();
        next.0.insert(name.to_owned(), Some(Arc::new(consumer)));
        next
    }

    /// The same without them. `below`: the configuration has one of that name.
    pub fn without(&self, name: &str, below: bool) -> Self {
        let mut next = self.clone();
        if below {
            next.0.insert(name.to_owned(), None);
        } else {
            next.0.remove(name);
        }
        next
    }

    /// Whether a consumer is here.
    pub fn has(&self, name: &str) -> bool {
        self.0.get(name).is_some_and(Option::is_some)
    }

    /// Whether there is room for a change of one of this name.
    pub fn has_room_for(&self, name: &str) -> bool {
        self.0.len() < MOST || self.0.contains_key(name)
    }

    /// Changes the consumers of a configuration.
    pub fn lay_over(&self, config: &mut Config) {
        for (name, consumer) in &self.0 {
            match consumer {
                Some(consumer) => drop(config.consumers.insert(name.clone(), (**consumer).clone())),
                None => drop(config.consumers.remove(name)),
            }
        }
    }

    /// The text that it is kept as.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn to_text(&self) -> Result<String, String> {
        let row = |consumer: &Option<Arc<Consumer>>| match consumer {
            None => Row { removed: true, ..Row::default() },
            Some(of) => Row {
                removed: false,
                groups: of.groups.clone(),
                keys: of.keys.iter().map(|key| key.0.clone()).collect(),
                certificates: of.certificates.clone(),
            },
        };
        let consumers = self.0.iter().map(|(name, consumer)| (name.clone(), row(consumer))).collect();
        serde_json::to_string(&Text { version: VERSION, consumers }).map_err(|error| error.to_string())
    }

    /// Reads such a text.
    ///
    /// # Errors
    /// It is none; nothing of what stands in it is shown.
    pub fn from_text(text: &str) -> Result<Self, String> {
        let wrong = |error: serde_json::Error| format!("line {}, column {}", error.line(), error.column());
        let Text { version, consumers } = serde_json::from_str(text).map_err(wrong)?;
        if version != VERSION {
            return Err(format!("it has version {version}, and this process knows {VERSION}"));
        }
        let of = |row: Row| {
            let keys = row.keys.into_iter().map(Secret).collect();
            let (groups, certificates) = (row.groups, row.certificates);
            (!row.removed).then(|| Arc::new(Consumer { groups, keys, certificates, keys_file: None }))
        };
        Ok(Self(consumers.into_iter().map(|(name, row)| (name, of(row))).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn consumer(key: &str) -> Consumer {
        Consumer { groups: vec!["g".into()], keys: vec![Secret(key.into())], ..Consumer::default() }
    }

    #[test]
    fn what_is_changed_here_goes_before_the_configuration_and_is_read_again() {
        let hash = format!("sha256:{}", "ab".repeat(32));
        let roster = Roster::default().with("a", consumer(&hash)).with("new", consumer(&hash)).without("b", true);
        let mut config = Config::default();
        for name in ["a", "b", "c"] {
            config.consumers.insert(name.into(), consumer("key-in-clear"));
        }
        let read = Roster::from_text(&roster.to_text().unwrap()).unwrap();
        assert_eq!(read, roster);
        read.lay_over(&mut config);
        assert_eq!(config.consumers.keys().collect::<Vec<_>>(), ["a", "c", "new"]);
        assert_eq!((&*config.consumers["a"].keys[0].0, &*config.consumers["c"].keys[0].0), (&*hash, "key-in-clear"));
        assert_eq!(roster.without("new", false).without("a", false), Roster::default().without("b", true));
        assert!(roster.has("a") && !roster.has("b") && !roster.has("c"));
    }

    #[test]
    fn a_text_that_is_none_shows_nothing_of_itself() {
        for text in [
            "",
            "{}",
            "{\"version\":2,\"consumers\":{}}",
            "{\"version\":1,\"consumers\":{\"a\":{\"keys\":\"secret\"}}}",
        ] {
            let why = Roster::from_text(text).unwrap_err();
            assert!(!why.contains("secret"), "{why}");
        }
    }
}
