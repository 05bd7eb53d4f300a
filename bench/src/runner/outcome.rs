//! What a scenario showed: medians per peer, ratios, and whether the goal was met.

use super::crowd::Crowd;
use super::round::Round;
use super::scenario::{Kind, Scenario, Unit};
use crate::ratio::Median;
use serde::Serialize;
use std::collections::BTreeMap;

/// The ratios' divisor where the goal names none.
const REFERENCE: &str = "haproxy";

/// A scenario's result.
#[derive(Debug, Serialize)]
pub struct Outcome {
    /// What was run.
    pub scenario: Scenario,
    /// Each peer's figures, by name.
    pub peers: BTreeMap<String, Figures>,
    /// Whether the goal was met; `None` without a goal, or when the rows that it needs are void or missing.
    pub met: Option<bool>,
}

/// A peer's figures.
#[derive(Debug, Default, Serialize)]
pub struct Figures {
    /// Units a second.
    pub rate: Option<Median>,
    /// CPU microseconds per unit by the process's own account.
    pub own: Option<Median>,
    /// CPU microseconds per unit by the busy time of the proxy's core.
    pub core: Option<Median>,
    /// Per-round ratio of `own` to the reference's.
    pub own_ratio: Option<Median>,
    /// Per-round ratio of `core` to the reference's.
    pub core_ratio: Option<Median>,
    /// Why the row is void.
    pub void: Option<String>,
    /// All rounds, in order.
    pub rounds: Vec<Round>,
    /// The crowd, in place of rounds.
    pub crowd: Option<Crowd>,
}

impl Outcome {
    /// Of a load: `rounds` holds each peer's, all of one length.
    pub fn of_load(scenario: &Scenario, rounds: BTreeMap<String, Vec<Round>>) -> Self {
        let reference = scenario.goal.as_ref().and_then(|goal| goal.against.as_deref()).unwrap_or(REFERENCE);
        let against = rounds.get(reference).cloned().unwrap_or_default();
        let peers = rounds.into_iter().map(|(name, rounds)| (name, Figures::of_load(rounds, &against))).collect();
        Self { scenario: scenario.clone(), peers, met: None }.judge()
    }

    /// Of a crowd.
    pub fn of_crowd(scenario: &Scenario, crowds: BTreeMap<String, Crowd>) -> Self {
        let figures = |crowd| Figures { crowd: Some(crowd), ..Figures::default() };
        let peers = crowds.into_iter().map(|(name, crowd)| (name, figures(crowd))).collect();
        Self { scenario: scenario.clone(), peers, met: None }.judge()
    }

    /// The scenario's name.
    pub fn name(&self) -> &str {
        &self.scenario.name
    }

    fn judge(mut self) -> Self {
        let (Some(goal), Some(ours)) = (&self.scenario.goal, self.peers.get("ringway")) else { return self };
        let value = match (self.scenario.kind, &ours.crowd) {
            (Kind::Load, _) if ours.void.is_some() => None,
            (Kind::Load, _) => ours.own_ratio.map(|ratio| ratio.value),
            (Kind::Idle, Some(crowd)) if crowd.failed == 0 => Some(crowd.bytes_each),
            (Kind::Hold, Some(crowd)) => Some(crowd.failed as f64),
            _ => None,
        };
        self.met = value.map(|value| value <= goal.at_most);
        self
    }
}

impl Figures {
    fn of_load(rounds: Vec<Round>, against: &[Round]) -> Self {
        let counted: Vec<&Round> = rounds.iter().filter(|round| round.void.is_none()).collect();
        let void = rounds.iter().find_map(|round| round.void.clone()).filter(|_| counted.len() * 2 <= rounds.len());
        let median = |value: fn(&Round) -> f64| Median::of(counted.iter().map(|round| value(round)).collect());
        let ratio = |value: fn(&Round) -> f64| {
            let pairs = rounds.iter().zip(against).filter(|(a, b)| a.void.is_none() && b.void.is_none());
            Median::of(pairs.map(|(a, b)| value(a) / value(b)).collect())
        };
        Self {
            rate: median(|round| round.rate),
            own: median(|round| round.own),
            core: median(|round| round.core),
            own_ratio: ratio(|round| round.own),
            core_ratio: ratio(|round| round.core),
            void,
            crowd: None,
            rounds,
        }
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let scenario = &self.scenario;
        writeln!(f, "{} ({})", scenario.title, scenario.name)?;
        match scenario.kind {
            Kind::Load => self.load_table(f)?,
            Kind::Idle | Kind::Hold => self.crowd_table(f)?,
        }
        let Some(goal) = &scenario.goal else { return Ok(()) };
        let against = goal.against.as_ref().map(|peer| format!(" of {peer}'s")).unwrap_or_default();
        let verdict = match self.met {
            Some(true) => "met",
            Some(false) => "MISSED",
            None => "not decided",
        };
        writeln!(f, "  goal: at most {}{against}: {verdict}", goal.at_most)
    }
}

impl Outcome {
    fn load_table(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let unit = if self.scenario.unit == Unit::Megabyte { "MB" } else { "req" };
        let heads = [format!("{unit}/s"), format!("own µs/{unit}"), format!("core µs/{unit}")];
        let [rate, own, core] = &heads;
        writeln!(f, "  {:<14} {rate:>9} {own:>11} {core:>11}  {:<20} {:<20} cores", "", "own ratio", "core ratio")?;
        for (name, peer) in &self.peers {
            let value = |median: Option<Median>| median.map_or("-".into(), |median| format!("{:.1}", median.value));
            let ratio = |median: Option<Median>| {
                median.map_or("-".into(), |m| format!("{:.3} [{:.3}, {:.3}]", m.value, m.low, m.high))
            };
            let busy = |share: fn(&Round) -> f64| {
                Median::of(peer.rounds.iter().map(share).collect()).map_or(0.0, |median| median.value * 100.0)
            };
            let (rate, own, core) = (value(peer.rate), value(peer.own), value(peer.core));
            let (own_ratio, core_ratio) = (ratio(peer.own_ratio), ratio(peer.core_ratio));
            let (proxy, load) = (busy(|round| round.proxy_busy), busy(|round| round.load_busy));
            write!(f, "  {name:<14} {rate:>9} {own:>11} {core:>11}  {own_ratio:<20} {core_ratio:<20} ")?;
            writeln!(f, "proxy {proxy:.0} %, load {load:.0} %")?;
            if let Some(void) = &peer.void {
                writeln!(f, "  {name:<14} VOID: {void}")?;
            }
        }
        Ok(())
    }

    fn crowd_table(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "  {:<14} {:>16} {:>9} {:>7}", "", "bytes/connection", "requests", "failed")?;
        for (name, peer) in &self.peers {
            let Some(crowd) = &peer.crowd else { continue };
            writeln!(f, "  {name:<14} {:>16.0} {:>9} {:>7}", crowd.bytes_each, crowd.requests, crowd.failed)?;
            if let Some(failure) = &crowd.first_failure {
                writeln!(f, "  {name:<14} first failure: {failure}")?;
            }
        }
        Ok(())
    }
}
