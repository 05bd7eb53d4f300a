//! What `bench run` wrote, read again: as charts, and two of them compared.
//!
//! The types here hold only what these two need and skip everything else, so that results of other versions stay readable.

mod canvas;
pub mod chart;
pub mod compare;
mod layout;

use anyhow::{Context, Result};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

/// Whose figures these are all about.
pub const OURS: &str = "ringway";

/// A results file.
#[derive(Debug, Deserialize)]
pub struct Report {
    /// The day of the run.
    pub date: String,
    /// What was measured.
    pub commit: String,
    /// The machine's Linux.
    pub kernel: String,
    /// The machine's processor.
    pub cpu: String,
    /// What each program says about its version.
    #[serde(default)]
    pub versions: BTreeMap<String, String>,
    /// Ringway's instructions per request, by protocol.
    pub instructions: Option<BTreeMap<String, f64>>,
    /// One for each scenario.
    pub outcomes: Vec<Outcome>,
}

/// A scenario's result.
#[derive(Debug, Deserialize)]
pub struct Outcome {
    /// What was run.
    pub scenario: Scenario,
    /// Each peer's figures, by name.
    pub peers: BTreeMap<String, Peer>,
    /// Ringway's cost divided by that peer's.
    #[serde(default)]
    pub ratios: BTreeMap<String, Option<Interval>>,
}

/// What was run.
#[derive(Debug, Deserialize)]
pub struct Scenario {
    /// Its file's name.
    pub name: String,
    /// For people.
    pub title: String,
    /// How it is measured.
    pub kind: Kind,
    /// What costs are per.
    pub unit: String,
}

/// See [`Scenario::kind`].
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// CPU time per unit.
    Load,
    /// Memory per connection.
    Idle,
    /// Anything else: it has no cost that could be drawn or compared.
    #[serde(other)]
    Other,
}

/// A peer's figures.
#[derive(Debug, Deserialize)]
pub struct Peer {
    /// CPU microseconds per unit.
    pub own: Option<Interval>,
    /// At the same fixed rate for all peers.
    pub latency: Option<Latency>,
    /// Why the figures say nothing.
    pub void: Option<String>,
    /// Bytes of memory per connection.
    pub bytes_each: Option<f64>,
}

/// Microseconds that this share of the answers took at most.
#[derive(Debug, Deserialize)]
pub struct Latency {
    /// Half of them.
    pub p50: Option<Interval>,
    /// 99 %.
    pub p99: Option<Interval>,
    /// 99.9 %.
    pub p999: Option<Interval>,
}

/// A median and what holds the true one.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Interval {
    /// The median.
    pub value: f64,
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
    /// How sure, 0 to 1.
    pub confidence: Option<f64>,
}

impl Report {
    /// The report in the file `path`.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
        serde_json::from_str(&text).with_context(|| path.display().to_string())
    }
}

/// `value` with three digits or more, and commas between thousands.
fn number(value: f64) -> String {
    let decimals = match value.abs() {
        size if size < 9.995 => 2,
        size if size < 99.95 => 1,
        _ => 0,
    };
    let text = format!("{value:.decimals$}");
    let whole = text.find('.').unwrap_or(text.len());
    let mut grouped = String::new();
    for (at, digit) in text.char_indices() {
        if at > 0 && at < whole && (whole - at) % 3 == 0 && !grouped.ends_with('-') {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_three_digits() {
        let shown = [0.5, 9.996, 21.23, 405.57, 1066.5, 1_234_567.0].map(number);
        assert_eq!(shown, ["0.50", "10.0", "21.2", "406", "1,066", "1,234,567"]);
    }

    #[test]
    fn unknown_fields_and_kinds_are_no_error() {
        let text = r#"{"date": "", "commit": "", "kernel": "", "cpu": "", "later": 1, "outcomes": [{"scenario":
            {"name": "hold", "title": "", "kind": "hold", "unit": "connection", "goals": {}}, "peers":
            {"nginx": {"rounds": [], "rate": null}}}]}"#;
        let report: Report = serde_json::from_str(text).unwrap();
        assert_eq!(report.outcomes[0].scenario.kind, Kind::Other);
        assert!(report.outcomes[0].peers["nginx"].own.is_none());
    }
}
