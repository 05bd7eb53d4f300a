//! A scenario: one small file in bench/scenarios/.

use super::load::{LoadSpec, Tool};
use super::peer::Setup;
use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::SocketAddr;
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
    /// Whether the load and the HTTP listener speak TLS.
    #[serde(default)]
    pub tls: bool,
    /// Whether the backend is reached by HTTP/2, by the proxies that can; it then answers all with 128 bytes.
    #[serde(default)]
    pub h2_pool: bool,
    /// What the proxies do beyond forwarding, such as "log"; those that cannot are left out. Ringway without it takes part, too.
    #[serde(default)]
    pub extra: Option<String>,
    /// What the load asks for.
    #[serde(default)]
    pub path: String,
    /// How many numbers `{key}` in the path may be, at random; each is asked for once before. 0: none.
    #[serde(default)]
    pub keys: usize,
    /// Header lines that the load sends, as NAME: VALUE; `{key}` is a number in them, too.
    #[serde(default)]
    pub fields: Vec<String>,
    /// The load's connections.
    pub connections: usize,
    /// What costs are per.
    pub unit: Unit,
    /// Who makes the load.
    #[serde(default)]
    pub load: Tool,
    /// Routes that the proxies are given, `/route-0001/` and on; 0: all goes to one pool.
    #[serde(default)]
    pub routes: usize,
    /// Pools that share the routes and the targets among them, of Ringway alone; 0: there is one pool.
    #[serde(default)]
    pub pools: usize,
    /// Targets that the pool has; 0 is 1.
    #[serde(default)]
    pub targets: usize,
    /// Whether it is measured at a fixed rate too, where the latency counts.
    #[serde(default)]
    pub paced: bool,
    /// Whether it runs without being named.
    #[serde(default)]
    pub default: bool,
    /// By peer: the largest good ratio of Ringway's cost to its.
    #[serde(default)]
    pub goals: BTreeMap<String, f64>,
    /// The largest good value of Ringway's: bytes per idle connection, or failed requests.
    pub limit: Option<f64>,
}

/// The extra by which answers come from a cache on the disk.
pub const DISK: &str = "cache-disk";

/// See [`Scenario::kind`].
#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// CPU per unit under full load.
    Load,
    /// Bytes per idle connection.
    Idle,
    /// Bytes per connection whose client does not read its answer.
    Slow,
    /// Requests without their answer on many open connections.
    Hold,
    /// How long a worker keeps its clients waiting while the process reloads, or tells its metrics.
    Turns,
}

/// See [`Scenario::protocol`].
#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// The HTTP listener.
    Http,
    /// The TCP listener.
    Tcp,
    /// The UDP listener.
    Udp,
}

/// See [`Scenario::unit`]. An answer of a bulk scenario is 1 MB (2^20 bytes).
#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq)]
pub enum Unit {
    /// A request with its answer.
    #[serde(rename = "request")]
    Request,
    /// A message there and back.
    #[serde(rename = "message")]
    Message,
    /// An answer of one MB.
    #[serde(rename = "MB")]
    Megabyte,
    /// An open connection.
    #[serde(rename = "connection")]
    Connection,
}

impl Unit {
    /// As it stands in tables.
    pub fn short(self) -> &'static str {
        match self {
            Self::Request => "req",
            Self::Message => "msg",
            Self::Megabyte => "MB",
            Self::Connection => "conn",
        }
    }
}

impl Scenario {
    /// Fails if it asks for what the runner does not have.
    fn check(&self) -> Result<()> {
        ensure!((self.keys > 0) == self.path.contains("{key}"), "keys are for a path with {{key}}, and it for them");
        let sends = matches!(self.load, Tool::Bulk | Tool::Wrk { .. });
        ensure!(self.fields.is_empty() || sends, "this load sends no other header lines");
        ensure!(self.keys == 0 || self.load == Tool::Bulk, "this load knows no keys");
        ensure!(!self.tls || self.protocol == Protocol::Http, "the TCP and UDP listeners are in clear");
        let datagrams = self.load == Tool::Datagrams;
        ensure!(datagrams == (self.protocol == Protocol::Udp), "datagrams are for the UDP listener, and it for them");
        ensure!(!self.tls || !self.paced, "the client at a fixed rate speaks no TLS");
        ensure!(!self.tls || self.kind != Kind::Load || self.load.speaks_tls(), "this load speaks no TLS");
        Ok(())
    }

    /// Whether the backend gives hardly any of the answers.
    pub fn is_answered_by_the_proxy(&self) -> bool {
        matches!(self.extra.as_deref(), Some("cache" | DISK))
    }

    /// The load that it asks for.
    pub fn spec(&self) -> LoadSpec {
        let Self { load, tls, path, connections, keys, fields, .. } = self;
        let (tool, path, fields) = (load.clone(), path.clone(), fields.clone());
        LoadSpec { tool, tls: *tls, path, connections: *connections, keys: *keys, fields }
    }

    /// What stands around the peers: the backend at `target` and, for HTTP/2, `h2c`; files in `directory`.
    pub fn setup<'a>(&'a self, target: SocketAddr, h2c: SocketAddr, directory: &'a Path) -> Setup<'a> {
        let Self { routes, pools, targets, tls, connections, .. } = *self;
        let h2c = self.h2_pool.then_some(h2c);
        let extra = self.extra.as_deref();
        Setup { routes, pools, targets, tls, h2c, extra, connections, ..Setup::plain(target, directory) }
    }
}

/// The scenarios of `directory`: those named, else all if `all`, else the default ones.
pub fn choose(directory: &Path, names: &[String], all: bool) -> Result<Vec<Scenario>> {
    let mut known = Vec::new();
    for entry in std::fs::read_dir(directory).with_context(|| directory.display().to_string())? {
        let path = entry?.path();
        let text = std::fs::read_to_string(&path)?;
        let mut scenario: Scenario = toml::from_str(&text).with_context(|| path.display().to_string())?;
        scenario.check().with_context(|| path.display().to_string())?;
        scenario.name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        known.push(scenario);
    }
    known.sort_by(|a, b| (!a.default, a.kind, &a.name).cmp(&(!b.default, b.kind, &b.name)));
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

    #[test]
    fn tls_is_for_what_speaks_it() {
        let read = |more: &str| -> Scenario {
            let text = "title = 't'\nkind = 'load'\nconnections = 1\nunit = 'request'\ntls = true\n";
            toml::from_str(&format!("{text}{more}")).unwrap()
        };
        let good = read("protocol = 'http'\nload = { h2load = { streams = 16 } }");
        assert!(good.check().is_ok() && good.spec().tls);
        assert_eq!(good.load, Tool::H2load { streams: Some(16) });
        let keys = "protocol = 'http'\nload = 'bulk'\npath = '/{key}'";
        assert!(read(keys).check().is_err() && read(&format!("{keys}\nkeys = 3")).check().is_ok());
        for bad in ["protocol = 'tcp'", "protocol = 'http'\npaced = true", "protocol = 'http'\nload = 'messages'"] {
            assert!(read(bad).check().is_err(), "{bad}");
        }
    }
}
