//! What operators have changed of targets and splits beside the configuration: a model without I/O.
//!
//! There are two layers. What lasts *for ever* is kept in a file and outlives the process; what lasts *until the next start* lies
//! over it and goes with the process, so that what is below shows again. A reload leaves both as they are.
//!
//! What always holds: no pool is emptied by it; what names a pool or a target that is not there has no effect, and is kept, as
//! the next configuration may have it again. May depend on `config`, `plan` and `upstream`.

mod splits;

pub use splits::{HEAVIEST, SplitRow, Splits};

use crate::config::diff::Change;
use crate::config::model::{self, Address, Config};
use crate::plan::Plan;
use crate::upstream::Mode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// What operators have changed. Replaced as a whole when they change something.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// One more with each change, within a process.
    pub revision: u64,
    kept: Layer,
    passing: Layer,
    splits: Splits,
}

type Layer = BTreeMap<Key, Parts>;

/// A target: its pool and its address in its one form.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// The pool's name.
    pub pool: String,
    /// The address as text.
    pub target: String,
}

/// What is overridden of a target.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Parts {
    state: Option<State>,
    weight: Option<u32>,
    agent: Option<Heed>,
    presence: Option<Presence>,
}

/// Whether a target is there at all.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Presence {
    Added(Added),
    Removed,
}

/// A target that the configuration does not have, or has otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Added {
    /// Its part of the work beside the others'; 0 to 256.
    pub weight: u32,
    /// Whether it is used only while no other target can be.
    pub backup: bool,
}

/// What an operator wants of a target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It works.
    #[default]
    Ready,
    /// It takes no new work and finishes what it has.
    Drain,
    /// It is taken for down: nothing new, whatever its checks say, and no idle connections.
    Maintenance,
}

/// Whether what an agent says of a target counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Heed {
    /// It does.
    #[default]
    On,
    /// It does not, whatever it says.
    Off,
}

/// How long a change lasts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Until {
    /// Until the process is started again. A reload or an upgrade does not end it.
    Restart,
    /// Until it is taken back: it is kept in `runtime.state_dir`.
    #[default]
    Forever,
}

/// One overridden thing, as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Row {
    /// The pool's name.
    pub pool: String,
    /// The target's address.
    pub target: String,
    /// What is overridden: "state", "weight", "agent" or "presence".
    pub what: String,
    /// What it is by the configuration's files; absent: they do not have the target.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub from: Option<String>,
    /// What it is to be.
    pub to: String,
    /// How long that lasts.
    pub until: Until,
    /// Whether it changes anything: false where it names what is not there, or where another one lies over it.
    pub effect: bool,
}

/// Targets that may be overridden at a time.
const MOST: usize = 10_000;
/// The version of the text form.
const VERSION: u32 = 1;

impl State {
    /// As targets know it.
    pub fn mode(self) -> Mode {
        match self {
            Self::Ready => Mode::Ready,
            Self::Drain => Mode::Drain,
            Self::Maintenance => Mode::Maintenance,
        }
    }

    /// From what targets know.
    pub fn of(mode: Mode) -> Self {
        match mode {
            Mode::Ready => Self::Ready,
            Mode::Drain => Self::Drain,
            Mode::Maintenance => Self::Maintenance,
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ready => "ready",
            Self::Drain => "drain",
            Self::Maintenance => "maintenance",
        })
    }
}

impl fmt::Display for Heed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::On => "on",
            Self::Off => "off",
        })
    }
}

impl fmt::Display for Presence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Added(Added { weight, backup: false }) => write!(f, "added, weight {weight}"),
            Self::Added(Added { weight, backup: true }) => write!(f, "added, weight {weight}, backup"),
            Self::Removed => f.write_str("removed"),
        }
    }
}

impl Parts {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl Overrides {
    /// How many targets are overridden.
    pub fn len(&self) -> usize {
        self.keys().len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty() && self.passing.is_empty() && self.splits.is_empty()
    }

    /// What is overridden of splits.
    pub fn splits(&self) -> &Splits {
        &self.splits
    }

    /// These with weights of a route's split set.
    pub fn with_split(&self, route: &str, weights: &BTreeMap<String, u32>) -> Self {
        Self { revision: self.revision + 1, splits: self.splits.with(route, weights), ..self.clone() }
    }

    /// These with the split of a route as the configuration has it.
    pub fn without_split(&self, route: &str) -> Self {
        Self { revision: self.revision + 1, splits: self.splits.without(route), ..self.clone() }
    }

    /// Whether there is room for one more target.
    pub fn has_room(&self) -> bool {
        self.len() < MOST
    }

    /// Whether anything of the target is overridden.
    pub fn concerns(&self, key: &Key) -> bool {
        self.kept.contains_key(key) || self.passing.contains_key(key)
    }

    /// Whether a target is there because it was added.
    pub fn adds(&self, key: &Key) -> bool {
        matches!(self.presence(key), Some(Presence::Added(_)))
    }

    /// Whether the same is overridden by both.
    pub fn is_same(&self, other: &Self) -> bool {
        self.kept == other.kept && self.passing == other.passing && self.splits == other.splits
    }

    /// Whether what is kept in the file is the same in both.
    pub fn keeps_the_same(&self, other: &Self) -> bool {
        self.kept == other.kept && self.splits == other.splits
    }

    /// Whether pools have the same targets by both.
    pub fn has_the_same_targets(&self, other: &Self) -> bool {
        let presences = |of: &Self| -> Vec<(Key, Presence)> {
            of.keys().into_iter().filter_map(|key| Some((key.clone(), of.presence(key)?.clone()))).collect()
        };
        presences(self) == presences(other)
    }

    /// What an operator wants of a target, and its weight if that is overridden.
    pub fn mode(&self, key: &Key) -> (State, Option<u32>) {
        (self.part(key, |parts| parts.state).unwrap_or_default(), self.part(key, |parts| parts.weight))
    }

    /// Whether what an agent says of a target counts.
    pub fn heed(&self, key: &Key) -> Heed {
        self.part(key, |parts| parts.agent).unwrap_or_default()
    }

    /// These with the agent of a target heeded, or not.
    pub fn with_agent(&self, key: &Key, heed: Heed, until: Until) -> Self {
        self.changed(key, |kept, passing| match until {
            Until::Forever => {
                kept.agent = Some(heed).filter(|&heed| heed != Heed::On);
                passing.agent = None;
            }
            // That it counts goes without saying where nothing below says otherwise.
            Until::Restart => passing.agent = Some(heed).filter(|&heed| heed != kept.agent.unwrap_or_default()),
        })
    }

    /// These with a target's state or weight changed. A weight of `Some(None)` is the configuration's again.
    pub fn with(&self, key: &Key, state: Option<State>, weight: Option<Option<u32>>, until: Until) -> Self {
        self.changed(key, |kept, passing| match until {
            Until::Forever => {
                if let Some(state) = state {
                    kept.state = Some(state).filter(|&state| state != State::Ready);
                    passing.state = None;
                }
                if let Some(weight) = weight {
                    (kept.weight, passing.weight) = (weight, None);
                }
            }
            Until::Restart => {
                if let Some(state) = state {
                    // Ready goes without saying where nothing below says otherwise.
                    passing.state = Some(state).filter(|&state| state != kept.state.unwrap_or_default());
                }
                if let Some(weight) = weight {
                    passing.weight = weight.filter(|&weight| Some(weight) != kept.weight);
                }
            }
        })
    }

    /// These with a target more.
    pub fn with_added(&self, key: &Key, added: Added, until: Until) -> Self {
        let fresh = Parts { presence: Some(Presence::Added(added)), ..Parts::default() };
        self.changed(key, |kept, passing| match until {
            Until::Forever => (*kept, *passing) = (fresh, Parts::default()),
            Until::Restart => *passing = fresh,
        })
    }

    /// These with a target less. `in_file`: the configuration has it, so that its absence must be remembered.
    pub fn without(&self, key: &Key, in_file: bool, until: Until) -> Self {
        let removed = |remember: bool| Parts { presence: remember.then_some(Presence::Removed), ..Parts::default() };
        self.changed(key, |kept, passing| match until {
            Until::Forever => (*kept, *passing) = (removed(in_file), Parts::default()),
            Until::Restart => {
                let below = matches!(kept.presence, Some(Presence::Added(_)));
                *passing = removed(in_file || below);
            }
        })
    }

    /// These with nothing of a target overridden.
    pub fn reset(&self, key: &Key) -> Self {
        self.changed(key, |kept, passing| (*kept, *passing) = (Parts::default(), Parts::default()))
    }

    /// None at all.
    pub fn reset_all(&self) -> Self {
        Self { revision: self.revision + 1, ..Self::default() }
    }

    /// Lays what is added and removed over a configuration. States and weights are not in it: targets know them.
    pub fn lay_over(&self, config: &mut Config) {
        for key in self.keys() {
            let Some(Presence::Added(added)) = self.presence(key) else { continue };
            let (Some(pool), Ok(address)) = (config.pools.get_mut(&key.pool), Address::parse_target(&key.target))
            else {
                continue;
            };
            let target = model::Target { address, weight: added.weight, backup: added.backup, max_in_flight: None };
            match pool.targets.iter_mut().find(|known| known.address == target.address) {
                Some(known) => *known = target,
                None => pool.targets.push(target),
            }
        }
        for key in self.keys() {
            let (Some(Presence::Removed), Some(pool)) = (self.presence(key), config.pools.get_mut(&key.pool)) else {
                continue;
            };
            // A pool without a target is no pool.
            if pool.targets.len() > 1 {
                pool.targets.retain(|target| target.address.to_string() != key.target);
            }
        }
    }

    /// Tells all targets and splits of a plan what is wanted of them.
    pub fn set_modes(&self, plan: &Plan) {
        self.splits.set(plan);
        for pool in &plan.pools {
            for target in &pool.shared.targets {
                let key = Key { pool: pool.shared.name.clone(), target: target.name.clone() };
                let (state, weight) = self.mode(&key);
                target.set_mode(state.mode(), weight);
                target.heed_agent(self.heed(&key) == Heed::On);
            }
        }
    }

    /// All that is overridden, in the order of pools and targets. `file` is the configuration without it, `in_force` the one with it.
    pub fn rows(&self, file: &Config, in_force: &Config) -> Vec<Row> {
        let mut rows = Vec::new();
        for key in self.keys() {
            for (layer, until) in [(&self.kept, Until::Forever), (&self.passing, Until::Restart)] {
                let Some(parts) = layer.get(key) else { continue };
                let over = self.passing.get(key).filter(|_| until == Until::Forever);
                let shown = find(file, key);
                let there = find(in_force, key);
                let row = |what: &str, from: Option<String>, to: String, effect: bool| Row {
                    pool: key.pool.clone(),
                    target: key.target.clone(),
                    what: what.to_owned(),
                    from,
                    to,
                    until,
                    effect,
                };
                if let Some(presence) = &parts.presence {
                    let as_wanted = match presence {
                        Presence::Added(_) => there.is_some(),
                        Presence::Removed => there.is_none() && in_force.pools.contains_key(&key.pool),
                    };
                    let covered = over.is_some_and(|over| over.presence.is_some());
                    let from = shown.map(|target| format!("weight {}", target.weight));
                    rows.push(row("presence", from, presence.to_string(), as_wanted && !covered));
                }
                if let Some(state) = parts.state {
                    let covered = over.is_some_and(|over| over.state.is_some());
                    let from = shown.map(|_| State::Ready.to_string());
                    rows.push(row("state", from, state.to_string(), there.is_some() && !covered));
                }
                if let Some(heed) = parts.agent {
                    let covered = over.is_some_and(|over| over.agent.is_some());
                    let from = shown.map(|_| Heed::On.to_string());
                    rows.push(row("agent", from, heed.to_string(), there.is_some() && !covered));
                }
                if let Some(weight) = parts.weight {
                    let covered = over.is_some_and(|over| over.weight.is_some());
                    let from = shown.map(|target| target.weight.to_string());
                    rows.push(row("weight", from, weight.to_string(), there.is_some() && !covered));
                }
            }
        }
        rows
    }

    /// What differs in effect from `before`.
    pub fn changes_since(&self, before: &Self) -> Vec<Change> {
        let mut keys = self.keys();
        keys.extend(before.keys());
        keys.sort_unstable();
        keys.dedup();
        let mut changes = Vec::new();
        for key in keys {
            let at = |what: &str| format!("pools.{}.targets[{}].{what}", key.pool, key.target);
            let mut note = |what: &str, from: Option<String>, to: Option<String>| {
                if from != to {
                    changes.push(Change { key: at(what), from, to });
                }
            };
            let presence = |of: &Self| of.presence(key).map(Presence::to_string);
            note("presence", presence(before), presence(self));
            let state = |of: &Self| of.part(key, |parts| parts.state).map(|state| state.to_string());
            note("state", state(before), state(self));
            let weight = |of: &Self| of.part(key, |parts| parts.weight).map(|weight| weight.to_string());
            note("weight", weight(before), weight(self));
            let heed = |of: &Self| of.part(key, |parts| parts.agent).map(|heed| heed.to_string());
            note("agent", heed(before), heed(self));
        }
        changes.extend(self.splits.changes_since(&before.splits));
        changes
    }

    fn keys(&self) -> Vec<&Key> {
        let mut keys: Vec<&Key> = self.kept.keys().chain(self.passing.keys()).collect();
        keys.sort_unstable();
        keys.dedup();
        keys
    }

    fn part<T>(&self, key: &Key, of: impl Fn(&Parts) -> Option<T>) -> Option<T> {
        self.passing.get(key).and_then(&of).or_else(|| self.kept.get(key).and_then(&of))
    }

    fn presence(&self, key: &Key) -> Option<&Presence> {
        let of = |layer: &'_ Layer| layer.get(key).is_some_and(|parts| parts.presence.is_some());
        let layer = if of(&self.passing) { &self.passing } else { &self.kept };
        layer.get(key)?.presence.as_ref()
    }

    fn changed(&self, key: &Key, change: impl FnOnce(&mut Parts, &mut Parts)) -> Self {
        let mut next = self.clone();
        let (mut kept, mut passing) =
            (next.kept.remove(key).unwrap_or_default(), next.passing.remove(key).unwrap_or_default());
        change(&mut kept, &mut passing);
        for (layer, parts) in [(&mut next.kept, kept), (&mut next.passing, passing)] {
            if !parts.is_empty() {
                layer.insert(key.clone(), parts);
            }
        }
        next.revision += 1;
        next
    }
}

fn find<'c>(config: &'c Config, key: &Key) -> Option<&'c model::Target> {
    config.pools.get(&key.pool)?.targets.iter().find(|target| target.address.to_string() == key.target)
}

/// The text form.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    version: u32,
    revision: u64,
    #[serde(default, rename = "override")]
    rows: Vec<TextRow>,
    #[serde(default, rename = "split", skip_serializing_if = "Vec::is_empty")]
    splits: Vec<splits::TextSplit>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TextRow {
    pool: String,
    target: String,
    until: Until,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    state: Option<State>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    weight: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    agent: Option<Heed>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    removed: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    added: Option<Added>,
}

impl Overrides {
    /// All of them as TOML, for the process that follows this one.
    pub fn to_text(&self) -> Result<String, String> {
        self.text(&[(&self.kept, Until::Forever), (&self.passing, Until::Restart)])
    }

    /// Those that outlive the process, as TOML.
    pub fn to_kept_text(&self) -> Result<String, String> {
        self.text(&[(&self.kept, Until::Forever)])
    }

    /// Reads what [`Self::to_text`] or [`Self::to_kept_text`] has written. Fails with what is wrong with the text.
    pub fn from_text(text: &str) -> Result<Self, String> {
        let Text { version, revision, rows, splits } = toml::from_str(text).map_err(|error| error.to_string())?;
        if version != VERSION {
            return Err(format!("it has version {version}, and this Ringway reads version {VERSION}"));
        }
        if rows.len() > 2 * MOST {
            return Err(format!("it has {} entries, and at most {} may be", rows.len(), 2 * MOST));
        }
        let mut overrides = Self { revision, splits: Splits::from_text(splits)?, ..Self::default() };
        for row in rows {
            let TextRow { pool, target, until, state, weight, agent, removed, added } = row;
            let address = Address::parse_target(&target)
                .map_err(|invalid| format!("`{target}` is not a target's address: {invalid}"))?;
            if let Some(weight) = weight.into_iter().chain(added.map(|added| added.weight)).find(|&weight| weight > 256)
            {
                return Err(format!("the weight {weight} of `{target}` is above 256"));
            }
            let presence = match (removed, added) {
                (true, Some(_)) => return Err(format!("`{target}` of pool `{pool}` is both added and removed")),
                (true, None) => Some(Presence::Removed),
                (false, added) => added.map(Presence::Added),
            };
            let layer = if until == Until::Forever { &mut overrides.kept } else { &mut overrides.passing };
            let key = Key { pool, target: address.to_string() };
            let parts = Parts { state, weight, agent, presence };
            if !parts.is_empty() && layer.insert(key, parts).is_some() {
                return Err(format!("`{target}` is named twice"));
            }
        }
        Ok(overrides)
    }

    fn text(&self, layers: &[(&Layer, Until)]) -> Result<String, String> {
        let rows = layers.iter().flat_map(|(layer, until)| {
            layer.iter().map(|(key, parts)| TextRow {
                pool: key.pool.clone(),
                target: key.target.clone(),
                until: *until,
                state: parts.state,
                weight: parts.weight,
                agent: parts.agent,
                removed: parts.presence == Some(Presence::Removed),
                added: match parts.presence {
                    Some(Presence::Added(added)) => Some(added),
                    _ => None,
                },
            })
        });
        let text =
            Text { version: VERSION, revision: self.revision, rows: rows.collect(), splits: self.splits.to_text() };
        toml::to_string(&text).map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests;
