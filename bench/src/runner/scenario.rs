//! A scenario: one small file in bench/scenarios/.

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// What is measured.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// The file's name without `.toml`.
    #[serde(skip_deserializing)]
    pub name: String,
    /// For the table.
    pub title: String,
    /// How it is measured.
    pub kind: Kind,
    /// Which listener of the proxies is used.
    pub protocol: Protocol,
    /// What the load asks for.
    pub path: String,
    /// The load's connections.
    pub connections: usize,
    /// What costs are per.
    pub unit: Unit,
    /// Who makes the load.
    #[serde(default)]
    pub load: Load,
    /// Whether it runs without being named.
    #[serde(default)]
    pub default: bool,
    /// What Ringway must reach.
    pub goal: Option<Goal>,
}

/// See [`Scenario::kind`].
#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// CPU per unit under full load.
    Load,
    /// Resident bytes per idle connection.
    Idle,
    /// Requests without their answer on many open connections.
    Hold,
}

/// See [`Scenario::protocol`].
#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// The HTTP listener.
    Http,
    /// The TCP listener.
    Tcp,
}

/// See [`Scenario::unit`]. An answer of a bulk scenario is 1 MB (2^20 bytes).
#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq)]
pub enum Unit {
    /// A request with its answer.
    #[serde(rename = "request")]
    Request,
    /// An answer of one MB.
    #[serde(rename = "MB")]
    Megabyte,
    /// An open connection.
    #[serde(rename = "connection")]
    Connection,
}

/// See [`Scenario::load`].
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Load {
    /// wrk.
    #[default]
    Wrk,
    /// `bench bulk`, which does not copy the bodies that it receives: wrk's core would be full first.
    Bulk,
}

/// See [`Scenario::goal`].
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Goal {
    /// The peer whose value divides Ringway's; without it the value itself counts.
    pub against: Option<String>,
    /// The largest good value.
    pub at_most: f64,
}

/// The scenarios of `directory`: those named, else all if `all`, else the default ones.
pub fn choose(directory: &Path, names: &[String], all: bool) -> Result<Vec<Scenario>> {
    let mut known = Vec::new();
    for entry in std::fs::read_dir(directory).with_context(|| directory.display().to_string())? {
        let path = entry?.path();
        let text = std::fs::read_to_string(&path)?;
        let mut scenario: Scenario = toml::from_str(&text).with_context(|| path.display().to_string())?;
        scenario.name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        known.push(scenario);
    }
    known.sort_by(|a, b| (!a.default, a.kind as u8, &a.name).cmp(&(!b.default, b.kind as u8, &b.name)));
    if let Some(name) = names.iter().find(|name| known.iter().all(|scenario| scenario.name != **name)) {
        let names: Vec<&str> = known.iter().map(|scenario| scenario.name.as_str()).collect();
        bail!("no scenario {name:?}; there are {}", names.join(", "));
    }
    known.retain(|scenario| if names.is_empty() { all || scenario.default } else { names.contains(&scenario.name) });
    Ok(known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scenario_in_the_repository_is_readable() {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
        let all = choose(&directory, &[], true).unwrap();
        assert!(all.iter().any(|scenario| scenario.default) && all.iter().any(|scenario| !scenario.default));
        assert!(choose(&directory, &["h1-c46".into()], false).unwrap_err().to_string().contains("h1-c64"));
    }
}
