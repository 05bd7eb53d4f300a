//! What analytics sum up: the same as the access log says, whatever happens to the process and to the disk.

mod hooks;
mod reading;
mod sums;

use crate::support::proxy::{Directory, Proxy, Setup};
use crate::support::target::{Target, refused};
use crate::support::toml::http;
use rusqlite::Connection;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Consumers, by the key that each has.
pub const CONSUMERS: [&str; 3] = ["ann", "bob", "eve"];

/// What is summed up of a series: requests, errors, bytes in, bytes out, microseconds.
pub type Totals = [u64; 5];

/// A series: consumer, route, version, status.
pub type Series = (String, String, String, u64);

/// Routes of two versions that consumers are known on, and others; `more` follows `[analytics]`.
pub fn config(target: &Target, state: &Directory, more: &str) -> String {
    let keys: String =
        CONSUMERS.iter().map(|name| format!("[consumers.{name}]\nkeys = [\"key-of-{name}\"]\n")).collect();
    http(&[target])
        + &format!(
            "\n[routes.first]\npaths = [\"/v1/\"]\nversion = \"v1\"\nrules = [\"key\"]\nrespond = {{ status = 200, body = \"one\" }}\n\
             [routes.second]\npaths = [\"/v2/\"]\nversion = \"v2\"\nrules = [\"key\"]\nrespond = {{ status = 201, body = \"two\" }}\n\
             [routes.gone]\npaths = [\"/gone\"]\nrespond = {{ status = 410 }}\n\
             [routes.broken]\npaths = [\"/broken\"]\npool = \"nobody\"\n\
             [pools.nobody]\ntargets = [\"{}\"]\n\
             [rules.key]\ntype = \"api-key\"\nquery = \"key\"\n{keys}\
             [access_log]\npath = {:?}\n[analytics]\n{more}",
            refused(),
            log_of(state)
        )
}

/// Which path a request has, by its number: those of each kind are many.
pub fn path(n: usize) -> String {
    let key = CONSUMERS[n % CONSUMERS.len()];
    match n % 20 {
        0..8 => format!("/v1/x?key=key-of-{key}"),
        8..15 => format!("/v2/y?key=key-of-{key}"),
        15 => "/v1/nobody".to_owned(),
        16 => "/gone".to_owned(),
        17 => "/broken".to_owned(),
        _ => "/other".to_owned(),
    }
}

pub fn start(config: &str, state: &Directory) -> Proxy {
    Setup::new(config).runtime(&format!("state_dir = {:?}", state.path())).start()
}

pub fn log_of(state: &Directory) -> PathBuf {
    state.path().join("access.log")
}

/// The sums of the access log.
pub fn logged(state: &Directory) -> BTreeMap<Series, Totals> {
    let mut all = BTreeMap::new();
    for line in std::fs::read_to_string(log_of(state)).unwrap().lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        if line["protocol"] == "TCP" {
            continue;
        }
        let text = |key: &str| line[key].as_str().unwrap_or_default().to_owned();
        let number = |key: &str| line[key].as_u64().unwrap_or(0);
        let status = number("status");
        let broke_off = text("termination").starts_with(['S', 's', 'D', 'I', 'R']) && status != 101;
        let us = (line["total_ms"].as_f64().unwrap() * 1000.0).round() as u64;
        let own = [1, u64::from(status >= 500 || broke_off), number("bytes_in"), number("bytes_out"), us];
        let sums: &mut Totals = all.entry((text("consumer"), text("route"), text("version"), status)).or_default();
        sums.iter_mut().zip(own).for_each(|(sum, own)| *sum += own);
    }
    all
}

/// The sums in the database.
pub fn kept(state: &Directory) -> BTreeMap<Series, Totals> {
    let Ok(database) = Connection::open(state.path().join("analytics.sqlite")) else { return BTreeMap::new() };
    let found = database.prepare(
        "SELECT consumer, route, version, status, sum(requests), sum(errors), sum(bytes_in), sum(bytes_out), sum(latency_us)
         FROM sums JOIN series ON series.id = sums.series GROUP BY series",
    );
    let Ok(mut found) = found else { return BTreeMap::new() };
    let rows = found.query_map([], |row| {
        let number = |column: usize| row.get::<_, i64>(column).map(|number| number as u64);
        let sums = [number(4)?, number(5)?, number(6)?, number(7)?, number(8)?];
        Ok(((row.get(0)?, row.get(1)?, row.get(2)?, number(3)?), sums))
    });
    rows.unwrap().map(Result::unwrap).collect()
}

pub fn requests(sums: &BTreeMap<Series, Totals>) -> u64 {
    sums.values().map(|sums| sums[0]).sum()
}
