//! The configuration: the TOML model (serde), reading, includes, environment, diagnostics with spans, JSON Schema.
//!
//! [`load`] goes through it in one direction: `read` makes one tree of all files, `defaults` fills it, `walk` checks it
//! against the schema that the `model` gives, serde reads the model, `sense` looks at the whole. Every step keeps going
//! after a fault, so that a user sees all faults at once. Uses no other module of the crate but `observe::access`, for the
//! grammar of its templates; reads files, opens nothing.

mod address;
mod defaults;
pub mod diff;
mod environment;
mod formats;
mod glob;
pub mod limit_key;
mod listed;
mod logs;
mod masked;
pub mod model;
pub mod moment;
mod names;
mod patterns;
pub mod pointer;
mod protected;
pub mod rate;
mod read;
pub mod redis_url;
pub mod reference;
mod report;
pub mod schema;
mod sense;
mod sources;
mod syntax;
pub mod template;
mod tree;
pub mod units;
pub mod url;
mod walk;
pub mod words;

pub use listed::{Listed, read as read_consumers};
pub use patterns::client_address;
pub use report::Report;
pub use sources::{Fault, KeyPath, Sources};
pub use units::Invalid;
pub use walk::{choice, nearest};

use model::{Config, RuleKind};
use report::Entry;
use std::path::Path;
use std::sync::Arc;

/// A configuration that can be used.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// What is configured.
    pub config: Config,
    /// The consumers of it that stand in the file that is named for them.
    pub listed: Arc<Listed>,
    /// Where it was written, for what is found wrong later.
    pub sources: Sources,
    /// What is allowed but likely a mistake; may be empty.
    pub warnings: Report,
}

/// Reads a file with what it includes; `env` gives the values for `${NAME}`. Binds nothing and changes nothing.
///
/// # Errors
/// All faults of all files: what cannot be read, is no TOML, is unknown, has a wrong type or an impossible value, or makes
/// no sense together.
pub fn load(path: &Path, env: &dyn Fn(&str) -> Option<String>) -> Result<Loaded, Report> {
    let read::Reading { files, folders, mut root, mut entries, gaps, torn } = read::read(path, env, read::FILE_MAX);
    let files = Arc::new(files);
    if files.is_empty() {
        return Err(Report::faults(files, entries));
    }
    defaults::apply(&mut root);
    let mut outcome = walk::walk(&root, &schema::schema(), &files, gaps, torn);
    entries.append(&mut outcome.entries);
    let sources = Sources { files: files.clone(), folders, root };
    let mut config: Config = match serde_json::from_value(std::mem::take(&mut outcome.json).into()) {
        Ok(config) => config,
        Err(error) => {
            let what = format!("the configuration cannot be read: {error}");
            entries.push(Entry { at: None, also: None, what, help: None });
            return Err(Report::faults(files, entries));
        }
    };
    let listed = match config.runtime.consumers_file.as_deref().map(|path| listed::read(path, env)) {
        None => Listed::new(),
        Some(Ok(listed)) => listed,
        Some(Err(report)) if entries.is_empty() => return Err(report),
        Some(Err(_)) => return Err(Report::faults(files, entries)),
    };
    if let Some(name) = listed.keys().find(|name| config.consumers.contains_key(*name)) {
        let fault = Fault::new(["consumers", name], twice(name));
        entries.extend(sources.entries(&[fault.help("name the consumer in one of them")]));
    }
    config.consumers.extend(listed.clone());
    let findings = sense::check(&config, &sources, &outcome);
    entries.extend(sources.entries(&findings.faults));
    if !entries.is_empty() {
        return Err(Report::faults(files, entries));
    }
    for pool in config.pools.values_mut() {
        let tls = pool.tls.is_some();
        pool.discover.iter_mut().for_each(|discover| discover.settle(tls));
    }
    let state_dir = &config.runtime.state_dir;
    for rule in config.rules.values_mut() {
        if let RuleKind::Oidc(of) = &mut rule.kind {
            of.settle(state_dir);
        }
    }
    config.hide_keys();
    let warnings = sources.warn(&findings.warnings);
    Ok(Loaded { config, listed: Arc::new(listed), sources, warnings })
}

impl Loaded {
    /// Warns of what was found later, too.
    pub fn warn(&mut self, warnings: &[Fault]) {
        self.warnings = self.warnings.clone().with(self.sources.entries(warnings));
    }

    /// The same, where these stand in the file of consumers.
    ///
    /// # Errors
    /// One of them stands in the configuration as well.
    pub fn with(&self, listed: Arc<Listed>) -> Result<Self, String> {
        let mut loaded = self.clone();
        loaded.config.consumers.retain(|name, _| !self.listed.contains_key(name));
        if let Some(name) = listed.keys().find(|name| loaded.config.consumers.contains_key(*name)) {
            return Err(twice(name));
        }
        loaded.config.consumers.extend(listed.iter().map(|(name, consumer)| (name.clone(), consumer.clone())));
        loaded.listed = listed;
        Ok(loaded)
    }
}

fn twice(name: &str) -> String {
    format!("consumer `{name}` is defined twice: in the configuration, and in `runtime.consumers_file`")
}

/// The name of a thing.
///
/// # Errors
/// Why it is none.
pub fn name(text: &str) -> Result<String, units::Invalid> {
    patterns::name(text)
}

/// An address range, or one address.
///
/// # Errors
/// Why it is none.
pub fn network(text: &str) -> Result<ipnet::IpNet, units::Invalid> {
    let plain = patterns::network(text)?;
    plain.parse().map_err(|_| units::Invalid::new("it is no address range"))
}
