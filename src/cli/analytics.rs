//! `ringway analytics`: who asks for what, how often and with what success.

use super::ask::{Asked, Trouble, encoded};
use super::status::say;
use super::table::{Cell, Table, Tone, colour};
use crate::control::admin::view::{Analytics, Sums};
use clap::Args;
use std::io;
use std::process::ExitCode;

/// Which sums are wanted, and how.
#[derive(Args)]
pub struct Arguments {
    #[command(flatten)]
    asked: Asked,
    /// From then on: how long ago ("90m"), "2026-11-29T08:00:00Z", or seconds since 1970.
    #[arg(long, value_name = "TIME", default_value = "1d")]
    from: String,
    /// Until then, without it, in the same forms; else now.
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
    /// What rows are told apart by, with commas between.
    #[arg(long, value_name = "consumer,route,version,status", default_value = "consumer,route,version")]
    by: String,
    /// The time that a row is about: minute, hour or day (UTC); else all of it.
    #[arg(long, value_name = "STEP")]
    step: Option<String>,
    /// Of routes alone that are deprecated, with the time of the last request.
    #[arg(long)]
    deprecated: bool,
    /// Print CSV.
    #[arg(long, conflicts_with_all = ["jsonl", "json"])]
    csv: bool,
    /// Print a row in JSON on each line.
    #[arg(long, conflicts_with = "json")]
    jsonl: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Shows them.
pub fn analytics(arguments: &Arguments) -> Result<ExitCode, Trouble> {
    let Arguments { asked, from, to, by, step, deprecated, csv, jsonl, json } = arguments;
    let mut path = format!("/v1/analytics?from={}&by={}", encoded(from), encoded(by));
    for (name, value) in [("to", to), ("step", step)] {
        if let Some(value) = value {
            path += &format!("&{name}={}", encoded(value));
        }
    }
    if *deprecated {
        path += "&deprecated=true";
    }
    let line = asked.line()?;
    let format = [(*csv, "csv"), (*jsonl, "jsonl"), (*json, "json")].into_iter().find(|(wanted, _)| *wanted);
    match format {
        Some((_, format)) => say(&line.text(&format!("{path}&format={format}"))?),
        None => say(&table(&line.get::<Analytics>(&path)?.items, *deprecated).text(colour(&io::stdout()))),
    }
    Ok(ExitCode::SUCCESS)
}

fn table(items: &[Sums], with_last: bool) -> Table {
    let has = |is_there: fn(&Sums) -> bool| items.first().is_some_and(is_there);
    let columns = [
        ("TIME", has(|sums| sums.at.is_some())),
        ("CONSUMER", has(|sums| sums.consumer.is_some())),
        ("ROUTE", has(|sums| sums.route.is_some())),
        ("VERSION", has(|sums| sums.version.is_some())),
        ("STATUS", has(|sums| sums.status.is_some())),
    ];
    let mut head: Vec<&str> = columns.iter().filter(|(_, is_there)| *is_there).map(|(name, _)| *name).collect();
    head.extend(["REQUESTS", "ERRORS", "BYTES IN", "BYTES OUT", "MEAN MS", "P50", "P95", "P99"]);
    if with_last {
        head.push("LAST");
    }
    let mut table = Table::new(&head);
    for sums in items {
        let name = |text: &String| if text.is_empty() { "-".to_owned() } else { text.clone() };
        let about = [
            sums.at.map(time),
            sums.consumer.as_ref().map(name),
            sums.route.as_ref().map(name),
            sums.version.as_ref().map(name),
            sums.status.map(|status| if status == 0 { "-".to_owned() } else { status.to_string() }),
        ];
        let mut cells: Vec<Cell> = about.into_iter().flatten().map(Cell::from).collect();
        let tone = if sums.errors > 0 { Tone::Bad } else { Tone::Plain };
        cells.push(sums.requests.into());
        cells.push(Cell::new(sums.errors, tone));
        cells.extend([Cell::from(sums.bytes_in), sums.bytes_out.into()]);
        let mean = sums.latency_ms / sums.requests.max(1) as f64;
        cells.extend([mean, sums.p50_ms, sums.p95_ms, sums.p99_ms].map(|ms| Cell::from(format!("{ms:.1}"))));
        if with_last {
            cells.push(time(sums.last).into());
        }
        table.row(cells);
    }
    table
}

/// A moment, as people write it.
fn time(seconds: u64) -> String {
    let stamp = i64::try_from(seconds).ok().and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
    stamp.map_or_else(|| seconds.to_string(), |stamp| stamp.to_string())
}
