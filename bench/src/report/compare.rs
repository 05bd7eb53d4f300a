//! `bench compare`: whether the second of two results is worse than the first beyond their noise.
//!
//! CPU costs are compared as ratios to each peer, because those hardly move with the machine's mood; memory and
//! instructions hardly vary at all and have fixed limits. What is void or only in one of the files is named, not judged.

use super::{Interval, Kind, OURS, Outcome, Report};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::PathBuf;
use std::process::ExitCode;

/// Memory per connection may differ by this share: pages and the allocator's rounding come and go.
const MEMORY_NOISE: f64 = 0.05;
/// Instructions per request may differ by this share: hash seeds and the number of wake-ups.
const INSTRUCTION_NOISE: f64 = 0.01;
/// Intervals that are less sure than this come from too few rounds.
const SURE: f64 = 0.9;
/// The exit code for input that cannot be read.
const UNREADABLE: u8 = 2;

/// Arguments of `bench compare`. The exit code is 1 if something got worse, 2 if a file could not be read.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The earlier results.
    pub a: PathBuf,
    /// The later results.
    pub b: PathBuf,
}

/// Prints the comparison.
pub fn run(args: Args) -> ExitCode {
    match Report::read(&args.a).and_then(|a| Ok((a, Report::read(&args.b)?))) {
        Ok((a, b)) => {
            let comparison = Comparison::of(&a, &b);
            print!("{}", comparison.text());
            if comparison.is_worse() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
        }
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::from(UNREADABLE)
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Worse(&'static str),
    Better(&'static str),
    Within,
    Void(&'static str),
    Missing(&'static str),
}

#[derive(Debug)]
struct Row {
    scenario: String,
    measure: String,
    a: String,
    b: String,
    verdict: Verdict,
}

#[derive(Debug, Default)]
struct Comparison {
    head: String,
    rows: Vec<Row>,
    notes: Vec<String>,
}

impl Comparison {
    fn of(a: &Report, b: &Report) -> Self {
        let mut this = Self::default();
        for (name, report) in [("A", a), ("B", b)] {
            let Report { commit, date, kernel, cpu, .. } = report;
            this.head += &format!("{name}: {commit}, {date}, Linux {kernel}, {cpu}\n");
        }
        if (&a.cpu, &a.kernel) != (&b.cpu, &b.kernel) {
            this.notes.push("A and B come from different machines: ratios move with processor and kernel too.".into());
        }
        let by_name = |report: &'_ Report| -> Vec<String> {
            report.outcomes.iter().map(|outcome| outcome.scenario.name.clone()).collect()
        };
        for (name, here, there) in [("A", a, b), ("B", b, a)] {
            let others = by_name(there);
            let alone: Vec<_> = by_name(here).into_iter().filter(|scenario| !others.contains(scenario)).collect();
            if !alone.is_empty() {
                this.notes.push(format!("Scenarios only in {name}: {}.", alone.join(", ")));
            }
        }
        for before in &a.outcomes {
            if let Some(after) = b.outcomes.iter().find(|after| after.scenario.name == before.scenario.name) {
                match before.scenario.kind {
                    Kind::Load => this.ratios(before, after),
                    Kind::Idle => this.memory(before, after),
                    Kind::Other => {}
                }
            }
        }
        this.instructions(a, b);
        this
    }

    fn ratios(&mut self, a: &Outcome, b: &Outcome) {
        let names: BTreeSet<_> = a.ratios.keys().chain(b.ratios.keys()).filter(|name| *name != OURS).collect();
        for name in names {
            let find = |outcome: &Outcome| outcome.ratios.get(name).copied().flatten();
            let (before, after) = (find(a), find(b));
            let unsure = |ratio: Option<Interval>| ratio.and_then(|r| r.confidence).is_some_and(|sure| sure < SURE);
            let verdict = match (before, after) {
                _ if is_void(a, name) => Verdict::Void("A"),
                _ if is_void(b, name) => Verdict::Void("B"),
                (None, _) => Verdict::Missing("A"),
                (_, None) => Verdict::Missing("B"),
                (Some(before), Some(after)) if after.low > before.high => Verdict::Worse("slower"),
                (Some(before), Some(after)) if after.high < before.low => Verdict::Better("faster"),
                _ => Verdict::Within,
            };
            let is_judged = !matches!(verdict, Verdict::Void(_) | Verdict::Missing(_));
            if is_judged && (unsure(before) || unsure(after)) {
                let scenario = &a.scenario.name;
                self.notes
                    .push(format!("{scenario}, {name}: an interval is less than 90 % sure; measure more rounds."));
            }
            let show = |ratio: Option<Interval>| {
                ratio.map_or("-".into(), |r| format!("{:.3} [{:.3}, {:.3}]", r.value, r.low, r.high))
            };
            self.rows.push(Row {
                scenario: a.scenario.name.clone(),
                measure: format!("CPU ÷ {name}'s"),
                a: show(before),
                b: show(after),
                verdict,
            });
        }
    }

    fn memory(&mut self, a: &Outcome, b: &Outcome) {
        let find = |outcome: &Outcome| outcome.peers.get(OURS).and_then(|peer| peer.bytes_each);
        let verdict = match (is_void(a, OURS), is_void(b, OURS)) {
            (true, _) => Some(Verdict::Void("A")),
            (_, true) => Some(Verdict::Void("B")),
            _ => None,
        };
        self.count(&a.scenario.name, "bytes each", (find(a), find(b)), MEMORY_NOISE, verdict);
    }

    fn instructions(&mut self, a: &Report, b: &Report) {
        let none = BTreeMap::new();
        let (before, after) = (a.instructions.as_ref().unwrap_or(&none), b.instructions.as_ref().unwrap_or(&none));
        for name in before.keys().chain(after.keys()).collect::<BTreeSet<_>>() {
            let pair = (before.get(name).copied(), after.get(name).copied());
            self.count(name, "instructions each", pair, INSTRUCTION_NOISE, None);
        }
    }

    /// Adds what is counted rather than timed; `settled` is the verdict where the numbers do not decide.
    fn count(
        &mut self,
        scenario: &str,
        measure: &str,
        (before, after): (Option<f64>, Option<f64>),
        noise: f64,
        settled: Option<Verdict>,
    ) {
        let verdict = settled.unwrap_or(match (before, after) {
            (None, _) => Verdict::Missing("A"),
            (_, None) => Verdict::Missing("B"),
            (Some(before), Some(after)) if after > before * (1.0 + noise) => Verdict::Worse("more"),
            (Some(before), Some(after)) if after < before * (1.0 - noise) => Verdict::Better("fewer"),
            _ => Verdict::Within,
        });
        let show = |value: Option<f64>| value.map_or("-".into(), super::number);
        let change = match (before, after) {
            (Some(before), Some(after)) if before > 0.0 => format!(" ({:+.1} %)", (after / before - 1.0) * 100.0),
            _ => String::new(),
        };
        let (a, b) = (show(before), show(after) + &change);
        self.rows.push(Row { scenario: scenario.to_owned(), measure: measure.to_owned(), a, b, verdict });
    }

    fn is_worse(&self) -> bool {
        self.rows.iter().any(|row| matches!(row.verdict, Verdict::Worse(_)))
    }

    fn text(&self) -> String {
        let heads = ["", "", "A", "B"].map(String::from);
        let cells = |row: &Row| [&row.scenario, &row.measure, &row.a, &row.b].map(String::clone);
        let table: Vec<_> = std::iter::once(heads).chain(self.rows.iter().map(cells)).collect();
        let widths = [0, 1, 2, 3].map(|at| table.iter().map(|row| row[at].chars().count()).max().unwrap_or(0));
        let verdicts = std::iter::once(String::new()).chain(self.rows.iter().map(|row| row.verdict.to_string()));
        let mut text = format!("{}\n", self.head);
        for (row, verdict) in table.iter().zip(verdicts) {
            let cells: String = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}  ")).collect();
            text += format!("{cells}{verdict}").trim_end();
            text.push('\n');
        }
        text.push('\n');
        self.notes.iter().for_each(|note| text += &format!("{note}\n"));
        let count = |is: fn(&Verdict) -> bool| self.rows.iter().filter(|row| is(&row.verdict)).count();
        let worse = count(|verdict| matches!(verdict, Verdict::Worse(_)));
        let better = count(|verdict| matches!(verdict, Verdict::Better(_)));
        let within = count(|verdict| matches!(verdict, Verdict::Within));
        let left = self.rows.len() - worse - better - within;
        let _ = writeln!(text, "{worse} worse, {better} better, {within} within the noise, {left} not judged");
        text
    }
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Worse(word) => write!(f, "{}", word.to_uppercase()),
            Self::Better(word) => write!(f, "{word}"),
            Self::Within => write!(f, "within the noise"),
            Self::Void(file) => write!(f, "not judged: void in {file}"),
            Self::Missing(file) => write!(f, "not judged: not in {file}"),
        }
    }
}

/// Whether the figures of Ringway or of `peer` in `outcome` say nothing.
fn is_void(outcome: &Outcome, peer: &str) -> bool {
    [OURS, peer].iter().any(|name| outcome.peers.get(*name).is_some_and(|peer| peer.void.is_some()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn report(ratio: [f64; 3], bytes: f64, instructions: f64) -> Value {
        let [value, low, high] = ratio;
        json!({
            "date": "2026-11-25", "commit": "712c3c0", "kernel": "6.18", "cpu": "EPYC",
            "instructions": {"h1": instructions},
            "outcomes": [
                {
                    "scenario": {"name": "h1-c64", "title": "h1", "kind": "load", "unit": "request"},
                    "peers": {"ringway": {"void": null}, "nginx": {"void": null}},
                    "ratios": {"nginx": {"value": value, "low": low, "high": high, "confidence": 0.96}},
                },
                {
                    "scenario": {"name": "idle", "title": "idle", "kind": "idle", "unit": "connection"},
                    "peers": {"ringway": {"bytes_each": bytes, "void": null}},
                },
            ],
        })
    }

    fn base() -> Value {
        report([0.80, 0.75, 0.85], 450.0, 10_000.0)
    }

    fn compare(a: &Value, b: &Value) -> Comparison {
        let read = |value: &Value| serde_json::from_value::<Report>(value.clone()).unwrap();
        Comparison::of(&read(a), &read(b))
    }

    fn verdicts(a: &Value, b: &Value) -> Vec<Verdict> {
        compare(a, b).rows.iter().map(|row| row.verdict).collect()
    }

    #[test]
    fn what_lies_beyond_the_noise_is_worse() {
        let b = report([0.90, 0.86, 0.95], 480.0, 10_150.0);
        let all = [Verdict::Worse("slower"), Verdict::Worse("more"), Verdict::Worse("more")];
        assert_eq!(verdicts(&base(), &b), all);
        assert!(compare(&base(), &b).text().contains("3 worse, 0 better"));
    }

    #[test]
    fn the_same_the_other_way_round_is_better() {
        let a = report([0.90, 0.86, 0.95], 480.0, 10_150.0);
        let all = [Verdict::Better("faster"), Verdict::Better("fewer"), Verdict::Better("fewer")];
        assert_eq!(verdicts(&a, &base()), all);
        assert!(!compare(&a, &base()).is_worse());
    }

    #[test]
    fn overlapping_intervals_and_small_changes_are_noise() {
        let b = report([0.90, 0.85, 0.95], 470.0, 10_090.0);
        assert_eq!(verdicts(&base(), &b), [Verdict::Within; 3]);
    }

    #[test]
    fn void_rows_are_not_judged() {
        let mut b = report([2.0, 1.9, 2.1], 9000.0, 10_000.0);
        b["outcomes"][0]["peers"]["nginx"]["void"] = "the load's core was full".into();
        b["outcomes"][1]["peers"]["ringway"]["void"] = "failed".into();
        assert_eq!(verdicts(&base(), &b), [Verdict::Void("B"), Verdict::Void("B"), Verdict::Within]);
        assert!(!compare(&base(), &b).is_worse());
    }

    #[test]
    fn what_only_one_file_has_is_named() {
        let mut b = base();
        b["outcomes"][1]["scenario"]["name"] = "idle-tls".into();
        b["outcomes"][0]["ratios"] = json!({"haproxy": null});
        b["instructions"] = Value::Null;
        let all = [Verdict::Missing("A"), Verdict::Missing("B"), Verdict::Missing("B")];
        assert_eq!(verdicts(&base(), &b), all);
        let text = compare(&base(), &b).text();
        assert!(text.contains("only in A: idle.") && text.contains("only in B: idle-tls."), "{text}");
    }

    #[test]
    fn other_machines_and_unsure_intervals_are_pointed_out() {
        let mut b = base();
        assert!(!compare(&base(), &b).text().contains("different machines"));
        b["cpu"] = "Xeon".into();
        b["outcomes"][0]["ratios"]["nginx"]["confidence"] = 0.5.into();
        let text = compare(&base(), &b).text();
        assert!(text.contains("different machines") && text.contains("measure more rounds"), "{text}");
    }

    #[test]
    fn the_columns_are_aligned() {
        let text = compare(&base(), &report([0.90, 0.86, 0.95], 480.0, 10_000.0)).text();
        let starts = ["SLOWER", "MORE", "within the"].map(|verdict| {
            let line = text.lines().find(|line| line.contains(verdict)).unwrap();
            line.split(verdict).next().unwrap().chars().count()
        });
        assert!(starts.iter().all(|start| *start == starts[0]), "{text}");
    }

    #[test]
    fn the_exit_code_tells_worse_from_good_and_from_unreadable() {
        let directory = std::env::temp_dir().join(format!("bench-compare-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let file = |name: &str, text: String| {
            let path = directory.join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let good = file("good.json", base().to_string());
        let bad = file("bad.json", report([0.90, 0.86, 0.95], 450.0, 10_000.0).to_string());
        let cut = file("cut.json", base().to_string()[..100].to_owned());
        let code = |a: &PathBuf, b: &PathBuf| run(Args { a: a.clone(), b: b.clone() });
        assert_eq!(code(&good, &bad), ExitCode::from(1));
        assert_eq!(code(&bad, &good), ExitCode::SUCCESS);
        assert_eq!(code(&good, &cut), ExitCode::from(2));
        assert_eq!(code(&directory.join("missing.json"), &good), ExitCode::from(2));
        std::fs::remove_dir_all(&directory).unwrap();
    }
}
