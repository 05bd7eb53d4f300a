//! What stands in the tables: values that can be sorted, out of two looks. Pure.

use super::latency::{Buckets, Histograms};
use super::sample::Sample;
use crate::cli::table::Tone;
use crate::control::admin::view;
use crate::control::overrides::State;
use std::cmp::Ordering;

/// A table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tab {
    /// Targets, which keys change.
    #[default]
    Targets,
    /// Pools.
    Pools,
    /// Routes.
    Routes,
    /// Listeners.
    Listeners,
}

/// A value of a row.
#[derive(Clone, Debug, PartialEq)]
pub struct Value {
    /// As it is shown.
    pub text: String,
    /// How it is shown.
    pub tone: Tone,
    /// What it is sorted by; `None`: its text.
    number: Option<f64>,
}

/// A row of a table.
#[derive(Clone, Debug)]
pub struct Row {
    /// One for each column.
    pub values: Vec<Value>,
    /// The pool and the address of the target that it is about, if it is about one.
    pub target: Option<(String, String)>,
    /// Its weight, then.
    pub weight: u32,
}

impl Tab {
    /// All of them, in the order of their keys.
    pub const ALL: [Self; 4] = [Self::Targets, Self::Pools, Self::Routes, Self::Listeners];

    /// What it is called.
    pub fn title(self) -> &'static str {
        match self {
            Self::Targets => "targets",
            Self::Pools => "pools",
            Self::Routes => "routes",
            Self::Listeners => "listeners",
        }
    }

    /// The heads of its columns.
    pub fn columns(self) -> &'static [&'static str] {
        match self {
            Self::Targets => &["POOL", "TARGET", "STATE", "WEIGHT", "IN FLIGHT", "REQ/S", "ERR/S", "ERRORS", "CHECK"],
            Self::Pools => &["POOL", "UP", "REQ/S", "ERR/S", "IN FLIGHT", "WAITING", "P50", "P99", "BALANCE"],
            Self::Routes => &["ROUTE", "REQ/S", "ERR/S", "ERRORS", "P50", "P99", "ACTION", "POOL"],
            Self::Listeners => {
                &["LISTENER", "PROTOCOL", "OPEN", "CONN/S", "REQ/S", "REFUSED/S", "IN/S", "OUT/S", "ADDRESS"]
            }
        }
    }

    /// Its rows, of what happened between two looks; latencies since `since`.
    pub fn rows(self, now: &Sample, before: &Sample, since: &Sample) -> Vec<Row> {
        let rate = Rate(now.at.saturating_duration_since(before.at).as_secs_f64());
        match self {
            Self::Targets => targets(now, before, rate),
            Self::Pools => pools(now, before, since, rate),
            Self::Routes => routes(now, before, since, rate),
            Self::Listeners => listeners(now, before, rate),
        }
    }
}

/// Sorts rows by a column; those that are equal there stay as they are.
pub fn sort(rows: &mut [Row], column: usize, descending: bool) {
    rows.sort_by(|one, other| {
        let (Some(one), Some(other)) = (one.values.get(column), other.values.get(column)) else {
            return Ordering::Equal;
        };
        let order = match (one.number, other.number) {
            (Some(one), Some(other)) => one.total_cmp(&other),
            _ => one.text.cmp(&other.text),
        };
        if descending { order.reverse() } else { order }
    });
}

impl Value {
    fn text(text: impl Into<String>) -> Self {
        Self { text: text.into(), tone: Tone::Plain, number: None }
    }

    fn number(number: f64, text: String) -> Self {
        Self { text, tone: Tone::Plain, number: Some(number) }
    }

    fn toned(self, tone: Tone) -> Self {
        Self { tone, ..self }
    }

    /// Whether it stands at the right of its column.
    pub fn is_number(&self) -> bool {
        self.number.is_some()
    }

    /// A count; nothing where it is none.
    fn count(count: u64) -> Self {
        Self::number(count as f64, if count == 0 { "-".to_owned() } else { count.to_string() })
    }

    /// A count that should be none.
    fn trouble(count: u64) -> Self {
        let tone = if count > 0 { Tone::Warn } else { Tone::Plain };
        Self::count(count).toned(tone)
    }

    fn seconds(seconds: Option<f64>) -> Self {
        seconds.map_or(Self::number(-1.0, "-".to_owned()), |seconds| Self::number(seconds, duration(seconds)))
    }
}

/// Seconds between two looks.
#[derive(Clone, Copy)]
struct Rate(f64);

impl Rate {
    /// How many a second, where a counter was `before` and is `now`; one that fell began anew.
    fn of(self, now: u64, before: Option<u64>) -> f64 {
        let Some(before) = before.filter(|before| *before <= now && self.0 > 0.0) else { return 0.0 };
        (now - before) as f64 / self.0
    }

    fn value(self, now: u64, before: Option<u64>) -> Value {
        let rate = self.of(now, before);
        Value::number(rate, self::rate(rate))
    }

    /// The same of what should not be.
    fn trouble(self, now: u64, before: Option<u64>) -> Value {
        let rate = self.of(now, before);
        let tone = if rate > 0.0 { Tone::Bad } else { Tone::Plain };
        Value::number(rate, self::rate(rate)).toned(tone)
    }

    fn bytes(self, now: u64, before: Option<u64>) -> Value {
        let rate = self.of(now, before);
        Value::number(rate, bytes(rate))
    }
}

fn targets(now: &Sample, before: &Sample, rate: Rate) -> Vec<Row> {
    let mut rows = Vec::new();
    for pool in &now.pools {
        let old = before.pools.iter().find(|old| old.name == pool.name);
        for target in &pool.targets {
            let old = old.and_then(|old| old.targets.iter().find(|old| old.address == target.address));
            let view::Weight { configured, in_force } = target.weight;
            let weight =
                if configured == in_force { in_force.to_string() } else { format!("{in_force} of {configured}") };
            let check =
                target.check.as_ref().map_or(String::new(), |check| format!("{} {}", check.result, check.detail));
            let values = vec![
                Value::text(&pool.name),
                Value::text(&target.address),
                state(target),
                Value::number(in_force.into(), weight),
                Value::count(target.in_flight),
                rate.value(target.requests, old.map(|old| old.requests)),
                rate.trouble(target.errors, old.map(|old| old.errors)),
                Value::trouble(target.errors),
                Value::text(check.trim_end()),
            ];
            let name = (pool.name.clone(), target.address.clone());
            rows.push(Row { values, target: Some(name), weight: configured });
        }
    }
    rows
}

/// How a target is: what an operator wants goes before what is found.
fn state(target: &view::Target) -> Value {
    let (text, tone) = match (target.state, &target.ejected) {
        (State::Maintenance, _) => ("maintenance".to_owned(), Tone::Warn),
        (State::Drain, _) => ("drain".to_owned(), Tone::Warn),
        (State::Ready, _) if !target.up => ("down".to_owned(), Tone::Bad),
        (State::Ready, Some(ejection)) => (format!("ejected {}s", ejection.left), Tone::Bad),
        (State::Ready, None) => match target.slow_start {
            Some(share) => (format!("up, slow start {share} %"), Tone::Good),
            None if target.backup => ("up, backup".to_owned(), Tone::Good),
            None => ("up".to_owned(), Tone::Good),
        },
    };
    Value::text(text).toned(tone)
}

fn pools(now: &Sample, before: &Sample, since: &Sample, rate: Rate) -> Vec<Row> {
    let row = |pool: &view::Pool| {
        let old = before.pools.iter().find(|old| old.name == pool.name);
        let all = pool.targets.len();
        let tone = match pool.up {
            0 => Tone::Bad,
            up if up < all => Tone::Warn,
            _ => Tone::Good,
        };
        let (half, most) = percentiles(&now.first_bytes, &since.first_bytes, &pool.name);
        let waiting = pool.queue.map_or(0, |queue| queue.waiting as u64);
        vec![
            Value::text(&pool.name),
            Value::number(pool.up as f64, format!("{} of {all}", pool.up)).toned(tone),
            rate.value(pool.requests, old.map(|old| old.requests)),
            rate.trouble(pool.errors, old.map(|old| old.errors)),
            Value::count(pool.in_flight),
            Value::trouble(waiting),
            half,
            most,
            Value::text(&pool.balance),
        ]
    };
    now.pools.iter().map(row).map(plain).collect()
}

fn routes(now: &Sample, before: &Sample, since: &Sample, rate: Rate) -> Vec<Row> {
    let row = |route: &view::Route| {
        let old = before.routes.iter().find(|old| old.name == route.name);
        let (half, most) = percentiles(&now.durations, &since.durations, &route.name);
        vec![
            Value::text(&route.name),
            rate.value(route.requests, old.map(|old| old.requests)),
            rate.trouble(route.errors, old.map(|old| old.errors)),
            Value::trouble(route.errors),
            half,
            most,
            Value::text(&route.action),
            Value::text(route.pool.as_deref().unwrap_or_default()),
        ]
    };
    now.routes.iter().map(row).map(plain).collect()
}

fn listeners(now: &Sample, before: &Sample, rate: Rate) -> Vec<Row> {
    let row = |listener: &view::Listener| {
        let old = before.listeners.iter().find(|old| old.name == listener.name);
        let old = |count: fn(&view::Listener) -> u64| old.map(count);
        let protocol = format!("{}{}", listener.protocol, if listener.tls { "+tls" } else { "" });
        vec![
            Value::text(&listener.name),
            Value::text(protocol),
            Value::count(listener.sessions.unwrap_or(listener.connections)),
            rate.value(listener.accepted, old(|old| old.accepted)),
            rate.value(
                listener.datagrams.unwrap_or(listener.requests),
                old(|old| old.datagrams.unwrap_or(old.requests)),
            ),
            rate.trouble(listener.refused, old(|old| old.refused)),
            rate.bytes(listener.received, old(|old| old.received)),
            rate.bytes(listener.sent, old(|old| old.sent)),
            Value::text(listener.addresses.join(" ")),
        ]
    };
    now.listeners.iter().map(row).map(plain).collect()
}

fn plain(values: Vec<Value>) -> Row {
    Row { values, target: None, weight: 0 }
}

fn percentiles(now: &Histograms, since: &Histograms, name: &str) -> (Value, Value) {
    let buckets = now.get(name).map_or_else(Buckets::default, |buckets| buckets.since(since.get(name)));
    (Value::seconds(buckets.quantile(0.5)), Value::seconds(buckets.quantile(0.99)))
}

/// A rate in few digits; nothing where it is none.
pub fn rate(rate: f64) -> String {
    match rate {
        0.0 => "-".to_owned(),
        ..10.0 => format!("{rate:.1}"),
        ..100_000.0 => format!("{rate:.0}"),
        _ => format!("{:.0}k", rate / 1000.0),
    }
}

/// Bytes in few digits.
pub fn bytes(bytes: f64) -> String {
    let units = [(1e9, "G"), (1e6, "M"), (1e3, "k")];
    match units.iter().find(|(size, _)| bytes >= *size) {
        _ if bytes <= 0.0 => "-".to_owned(),
        Some((size, unit)) => format!("{:.1}{unit}", bytes / size),
        None => format!("{bytes:.0}"),
    }
}

/// A span in few digits.
pub fn duration(seconds: f64) -> String {
    match seconds {
        ..0.001 => format!("{:.0} µs", seconds * 1e6),
        ..1.0 => format!("{:.1} ms", seconds * 1e3),
        _ => format!("{seconds:.1} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_take_few_digits() {
        for (shown, expected) in [
            (rate(0.0), "-"),
            (rate(0.25), "0.2"),
            (rate(1234.4), "1234"),
            (rate(250_000.0), "250k"),
            (bytes(0.0), "-"),
            (bytes(999.0), "999"),
            (bytes(1_500_000.0), "1.5M"),
            (duration(0.000_25), "250 µs"),
            (duration(0.25), "250.0 ms"),
            (duration(2.5), "2.5 s"),
        ] {
            assert_eq!(shown, expected);
        }
    }

    #[test]
    fn a_counter_that_fell_began_anew() {
        let rate = Rate(2.0);
        assert_eq!((rate.of(30, Some(10)), rate.of(5, Some(10)), rate.of(5, None)), (10.0, 0.0, 0.0));
        assert_eq!(Rate(0.0).of(5, Some(1)), 0.0);
    }

    #[test]
    fn rows_are_sorted_by_numbers_where_there_are_any() {
        let row = |name: &str, count: u64| plain(vec![Value::text(name), Value::count(count)]);
        let mut rows = [row("b", 9), row("a", 10), row("c", 0)];
        let names = |rows: &[Row]| rows.iter().map(|row| row.values[0].text.clone()).collect::<String>();
        sort(&mut rows, 1, true);
        assert_eq!(names(&rows), "abc");
        sort(&mut rows, 0, true);
        assert_eq!(names(&rows), "cba");
        sort(&mut rows, 7, true);
        assert_eq!(names(&rows), "cba");
    }
}
