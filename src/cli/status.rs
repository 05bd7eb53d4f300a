//! `ringway status`: what runs, on one screen.

use super::ask::{Asked, Line, Trouble};
use super::table::{Cell, Table, Tone, colour, span, tinted};
use crate::control::admin::view::{self, Page};
use crate::control::overrides::{Row, SplitRow, State, Until};
use crate::observe::wall;
use clap::Args;
use serde_json::{Value, json};
use std::io::{self, Write};
use std::process::ExitCode;

/// What is wanted of it.
#[derive(Args)]
pub struct Arguments {
    #[command(flatten)]
    asked: Asked,
    /// Show what operators have changed beside the configuration.
    #[arg(long)]
    diff: bool,
    /// Show everything as JSON.
    #[arg(long, conflicts_with = "diff")]
    json: bool,
}

/// Shows it.
pub fn status(arguments: &Arguments) -> Result<ExitCode, Trouble> {
    let line = arguments.asked.line()?;
    let text = if arguments.json {
        let get = |path: &str| line.get::<Value>(path);
        let overrides = get("/v1/overrides")?;
        let all = json!({
            "status": get("/v1/status")?,
            "listeners": get("/v1/listeners")?["items"],
            "pools": get("/v1/pools")?["items"],
            "caches": get("/v1/caches")?["items"],
            "overrides": overrides["items"],
            "overridden_splits": overrides["splits"],
        });
        format!("{all:#}\n")
    } else if arguments.diff {
        let overrides: view::Overrides = line.get("/v1/overrides")?;
        differences(&overrides, colour(&io::stdout()))
    } else {
        let status: view::Status = line.get("/v1/status")?;
        let colour = colour(&io::stdout());
        let page = page(&status, &all(&line, "/v1/listeners")?, &all(&line, "/v1/pools")?, colour);
        page + &caches(&all(&line, "/v1/caches")?, colour)
    };
    say(&text);
    Ok(ExitCode::SUCCESS)
}

/// Writes to standard output; who reads it may have left.
pub fn say(text: &str) {
    let _ = io::stdout().write_all(text.as_bytes());
}

/// All parts of a list.
pub fn all<T: serde::de::DeserializeOwned>(line: &Line, path: &str) -> Result<Vec<T>, Trouble> {
    let mut items = Vec::new();
    let mut after = String::new();
    loop {
        let part: Page<T> = line.get(&format!("{path}{after}"))?;
        items.extend(part.items);
        let Some(next) = part.next else { return Ok(items) };
        after = format!("?after={}", super::ask::encoded(&next));
    }
}

fn page(status: &view::Status, listeners: &[view::Listener], pools: &[view::Pool], colour: bool) -> String {
    let tone = if status.state == "ready" { Tone::Good } else { Tone::Bad };
    let state = tinted(&status.state, tone, colour);
    let view::Status { version, pid, plan, workers, connections, overrides, bans, log_level, .. } = status;
    let up = span(status.uptime);
    let mut text = format!("ringway {version}  {state}  plan {plan}  up {up}  pid {pid}  workers {workers}\n");
    let tone = if *overrides > 0 { Tone::Warn } else { Tone::Plain };
    let overridden = tinted(&format!("overrides {overrides}"), tone, colour);
    let full = connections.open.saturating_mul(10) >= connections.max.saturating_mul(9);
    let open = format!("connections {} of {}", connections.open, connections.max);
    let open = tinted(&open, if full { Tone::Bad } else { Tone::Plain }, colour);
    let (all, takes) = (pools.iter().map(|pool| pool.targets.len()).sum::<usize>(), pools.iter().map(|pool| pool.up));
    let tone = match takes.clone().sum::<usize>() {
        _ if takes.clone().any(|up| up == 0) => Tone::Bad,
        up if up < all => Tone::Warn,
        _ => Tone::Plain,
    };
    let working = tinted(&format!("targets {} of {all}", takes.sum::<usize>()), tone, colour);
    text += &format!("{open}  {working}  {overridden}  bans {bans}  log {log_level}\n");
    if let Some(reload) = &status.last_reload {
        let tone = if matches!(reload.result.as_str(), "failed" | "rolled-back") { Tone::Bad } else { Tone::Plain };
        let ago = span(wall::now().saturating_sub(reload.at));
        let result = tinted(&reload.result, tone, colour);
        text += &format!("last change {ago} ago by {}: {result}, plan {}\n", reload.by, reload.plan);
    }
    if let Some(store) = &status.store {
        let tone = if store.state == "up" { Tone::Good } else { Tone::Bad };
        let (state, since) = (tinted(&store.state, tone, colour), span(wall::now().saturating_sub(store.since)));
        let seen = hosts(store);
        let trouble = store.trouble.as_ref().map_or(String::new(), |trouble| format!(": {trouble}"));
        text += &format!("store {}  {state} for {since}  {seen}{trouble}\n", store.place);
    }
    for (pool, queue) in pools.iter().filter_map(|pool| Some((pool, pool.queue.filter(|queue| queue.waiting > 0)?))) {
        let tone = if queue.waiting >= queue.length { Tone::Bad } else { Tone::Warn };
        text += &tinted(&format!("queue of {}: {} of {} wait\n", pool.name, queue.waiting, queue.length), tone, colour);
    }
    let mut table = Table::new(&["LISTENER", "PROTOCOL", "CONNECTIONS", "REQUESTS", "REFUSED", "ADDRESS"]);
    for listener in listeners {
        let protocol = format!("{}{}", listener.protocol, if listener.tls { "+tls" } else { "" });
        // Of datagrams those that came, those of them that went no further, and the sessions that they make.
        let refused = listener.refused + listener.datagrams_lost.unwrap_or(0);
        let refused = Cell::new(refused, if refused > 0 { Tone::Warn } else { Tone::Plain });
        let (open, came) = (listener.sessions, listener.datagrams);
        let counts = [open.unwrap_or(listener.connections).into(), came.unwrap_or(listener.requests).into(), refused];
        let name = Cell::from(&listener.name);
        table.row([name, protocol.into()].into_iter().chain(counts).chain([listener.addresses.join(" ").into()]));
    }
    format!("{text}\n{}\n{}{}", table.text(colour), targets(pools, colour), sources(pools, colour))
}

/// The hosts that share, as far as that is known.
fn hosts(store: &view::Store) -> String {
    let names = store.hosts.iter().take(HOSTS).map(|host| match host.id == store.id {
        true => format!("{} {} (this one)", host.name, host.id),
        false => format!("{} {}", host.name, host.id),
    });
    let mut names: Vec<String> = names.collect();
    if store.hosts.len() > HOSTS {
        names.push("…".to_owned());
    }
    // What was heard last may be long ago.
    let last = if store.state == "up" { "" } else { " when it was up" };
    let count = format!("{} of {} hosts{last}", store.hosts.len(), store.expected);
    if names.is_empty() { count } else { format!("{count}: {}", names.join(", ")) }
}

/// Hosts that are named, of those that share.
const HOSTS: usize = 8;

/// Where targets are found, a row for each pool that looks for them; nothing where none does.
pub fn sources(pools: &[view::Pool], colour: bool) -> String {
    let mut table = Table::new(&["POOL", "DISCOVERY", "TARGETS", "ANSWER", "NEXT", ""]);
    let found = pools.iter().filter_map(|pool| Some((pool, pool.discovery.as_ref()?)));
    for (pool, source) in found.clone() {
        let count = source.targets.map_or("none yet".to_owned(), |targets| targets.to_string());
        let tone = if source.targets.is_none_or(|targets| targets == 0) { Tone::Bad } else { Tone::Plain };
        let age = source.age.map_or("never".to_owned(), |age| format!("{} ago", span(age)));
        let next = source.next.map_or(String::new(), |next| format!("in {}", span(next)));
        let trouble = Cell::new(source.trouble.clone().unwrap_or_default(), Tone::Bad);
        let row = [Cell::from(&pool.name), Cell::from(&source.source), Cell::new(count, tone), age.into(), next.into()];
        table.row(row.into_iter().chain([trouble]));
    }
    match found.count() {
        0 => String::new(),
        _ => format!("\n{}", table.text(colour)),
    }
}

/// Caches, a row for each place in which they keep answers; nothing where there are none.
fn caches(caches: &[view::Cache], colour: bool) -> String {
    let head =
        ["CACHE", "TIER", "BYTES", "OBJECTS", "EVICTED", "HITS", "STALE", "COLLAPSED", "MISSES", "BYPASS", "HIT RATE"];
    let mut table = Table::new(&head);
    for cache in caches {
        let view::CacheRequests { hit, stale, revalidated, collapsed, miss, bypass } = cache.requests;
        let counts = [hit, stale, collapsed, miss.saturating_add(revalidated), bypass];
        let asked = [hit, stale, collapsed, miss, revalidated].iter().sum::<u64>();
        let rate = (asked > 0).then(|| format!("{}%", hit.saturating_add(stale).saturating_mul(100) / asked));
        let mut counts = Some(counts.map(Cell::from).into_iter().chain([rate.unwrap_or_default().into()]));
        for of in &cache.tiers {
            let bytes = format!("{} of {}", bytes(of.bytes), bytes(of.max));
            let row =
                [Cell::from(&cache.name), Cell::from(&of.tier), bytes.into(), of.objects.into(), of.evicted.into()];
            table.row(row.into_iter().chain(counts.take().into_iter().flatten()));
        }
    }
    match caches.is_empty() {
        true => String::new(),
        false => format!("\n{}", table.text(colour)),
    }
}

/// Bytes in the unit in which they are three digits at most.
fn bytes(bytes: u64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut scaled = bytes as f64;
    let mut unit = 0;
    while scaled >= 1000.0 && unit + 1 < units.len() {
        scaled /= 1024.0;
        unit += 1;
    }
    match unit {
        _ if scaled >= 10.0 || scaled.fract() == 0.0 => format!("{scaled:.0} {}", units[unit]),
        _ => format!("{scaled:.1} {}", units[unit]),
    }
}

/// The targets of pools, a row each.
pub fn targets(pools: &[view::Pool], colour: bool) -> String {
    let mut table = Table::new(&["POOL", "TARGET", "STATE", "CHECK", "WEIGHT", "IN FLIGHT", "REQUESTS", "ERRORS", ""]);
    for pool in pools {
        for target in &pool.targets {
            let weight = match target.weight {
                weight if weight.configured == weight.in_force => weight.configured.to_string(),
                weight => format!("{} ({})", weight.in_force, weight.configured),
            };
            let failing = target.errors.saturating_mul(100) > target.requests;
            let errors = Cell::new(target.errors, if failing { Tone::Bad } else { Tone::Plain });
            let ejected = target.ejected.as_ref().map(|ejected| match ejected.left {
                0 => format!("ejected for {}, to be tried", ejected.reason),
                left => format!("ejected for {}, {} left", ejected.reason, span(left)),
            });
            let slow_start = target.slow_start.map(|percent| format!("slow start, at {percent}%"));
            let backup = target.backup.then(|| "backup".to_owned());
            let panic = pool.panic.then(|| "panic: health is not believed".to_owned());
            let origin = match target.origin.as_str() {
                "override" => Some("overridden".to_owned()),
                "discovery" => Some("discovered".to_owned()),
                _ => None,
            };
            let off = |agent: &view::Agent| if agent.off { " (off)" } else { "" };
            let agent = target.agent.as_ref().map(|agent| format!("agent{}: {}", off(agent), agent.said));
            let follows = target.follows.as_ref().map(|other| format!("follows {other}"));
            let noted = target.sticky.and_then(|sticky| sticky.noted).map(|noted| format!("{noted} sticky"));
            let notes = [backup, origin, agent, follows, noted, ejected, slow_start, panic];
            let notes = notes.into_iter().flatten().collect::<Vec<_>>().join(", ");
            let in_flight = match target.max_in_flight {
                Some(most) => {
                    let tone = if target.in_flight >= u64::from(most) { Tone::Warn } else { Tone::Plain };
                    Cell::new(format!("{} of {most}", target.in_flight), tone)
                }
                None => target.in_flight.into(),
            };
            let tail = [in_flight, target.requests.into(), errors, Cell::new(notes, Tone::Warn)];
            let state = [state_of(target), check_of(target)];
            let head =
                [Cell::from(&pool.name), Cell::from(&target.address)].into_iter().chain(state).chain([weight.into()]);
            table.row(head.chain(tail));
        }
    }
    table.text(colour)
}

/// In one word what matters most of a target: an operator's word, then that of its checks.
fn state_of(target: &view::Target) -> Cell {
    match (target.state, target.up) {
        (State::Maintenance, _) => Cell::new("maintenance", Tone::Warn),
        (_, false) => Cell::new(if target.state == State::Drain { "down, drain" } else { "down" }, Tone::Bad),
        (State::Drain, true) => Cell::new("drain", Tone::Warn),
        (State::Ready, true) if target.ejected.is_some() => Cell::new("ejected", Tone::Bad),
        (State::Ready, true) => Cell::new("up", Tone::Good),
    }
}

/// What the last check found, as HAProxy shows it: "L7STS/503 in 3ms".
fn check_of(target: &view::Target) -> Cell {
    let Some(check) = &target.check else { return Cell::new("", Tone::Plain) };
    let code = check.code.map(|code| format!("/{code}")).unwrap_or_default();
    let good = matches!(check.result.as_str(), "L4OK" | "L6OK" | "L7OK" | "PROCOK");
    let text = format!("{}{code} in {}ms", check.result, check.took_ms);
    Cell::new(text, if good { Tone::Plain } else { Tone::Bad })
}

/// What is overridden, as the differences of two files are shown.
fn differences(all: &view::Overrides, colour: bool) -> String {
    if all.items.is_empty() && all.splits.is_empty() {
        return "nothing is overridden: targets and splits are as the configuration has them\n".to_owned();
    }
    let idle = || tinted("  (without effect)", Tone::Warn, colour);
    let mut text = String::new();
    for Row { pool, target, what, from, to, until, effect } in &all.items {
        let sign = match (what.as_str(), to.as_str()) {
            ("presence", "removed") => "-",
            ("presence", _) => "+",
            _ => "~",
        };
        let from = from.as_ref().map(|from| format!("{from} → ")).unwrap_or_default();
        let until = if *until == Until::Restart { ", until the next start" } else { "" };
        let effect = if *effect { String::new() } else { idle() };
        text += &format!("{sign} {pool} {target} {what}: {from}{to}{until}{effect}\n");
    }
    for SplitRow { route, pool, from, to } in &all.splits {
        text += &match from {
            Some(from) => format!("~ route {route} split {pool} weight: {from} → {to}\n"),
            None => format!("~ route {route} split {pool} weight: {to}{}\n", idle()),
        };
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::admin::view::{Target, Used, Weight};

    #[test]
    fn a_page_shows_what_matters_in_columns() {
        let target = |address: &str, state, up| Target {
            address: address.into(),
            weight: Weight { configured: 3, in_force: if state == State::Drain { 0 } else { 3 } },
            backup: address.ends_with('2'),
            state,
            up,
            check: Some(view::Check {
                result: if up { "L4OK" } else { "L7STS" }.into(),
                code: (!up).then_some(503),
                detail: String::new(),
                took_ms: 3,
                at: 0,
            }),
            agent: up.then(|| view::Agent { said: "up 75%".into(), off: false, limit: None, asked: None }),
            follows: (!up).then(|| "web/10.0.0.1:80".into()),
            ejected: None,
            slow_start: None,
            in_flight: 1,
            max_in_flight: Some(10).filter(|_| state == State::Ready),
            requests: 1000,
            errors: 0,
            origin: if state == State::Ready { "config" } else { "override" }.into(),
            sticky: (state == State::Drain).then_some(view::Belonging { served: 9, noted: Some(12) }),
        };
        let pool = view::Pool {
            name: "api".into(),
            balance: "random".into(),
            protocol: "h1".into(),
            tls: false,
            checked: true,
            up: 1,
            panic: false,
            in_flight: 2,
            max_in_flight: None,
            queue: Some(view::Queue { waiting: 3, length: 1024, queued: 8 }),
            requests: 9,
            errors: 0,
            targets: vec![target("10.0.0.1:81", State::Drain, true), target("10.0.0.1:82", State::Ready, false)],
            discovery: None,
        };
        let status = view::Status {
            version: "1.2.3".into(),
            pid: 7,
            started: 0,
            uptime: 3700,
            state: "ready".into(),
            plan: 4,
            workers: 2,
            connections: Used { open: 5, max: 100 },
            overrides: 1,
            bans: 0,
            log_level: "info".into(),
            analytics: false,
            store: None,
            last_reload: None,
        };
        let expected = "\
ringway 1.2.3  ready  plan 4  up 1h 1m  pid 7  workers 2
connections 5 of 100  targets 1 of 2  overrides 1  bans 0  log info
queue of api: 3 of 1024 wait

LISTENER  PROTOCOL  CONNECTIONS  REQUESTS  REFUSED  ADDRESS

POOL  TARGET       STATE  CHECK             WEIGHT  IN FLIGHT  REQUESTS  ERRORS
api   10.0.0.1:81  drain  L4OK in 3ms       0 (3)   1          1000      0       overridden, agent: up 75%, 12 sticky
api   10.0.0.1:82  down   L7STS/503 in 3ms  3       1 of 10    1000      0       backup, follows web/10.0.0.1:80
";
        assert_eq!(page(&status, &[], std::slice::from_ref(&pool), false), expected);
        let discovery = view::Discovery {
            source: "srv _http._tcp.a.test".into(),
            targets: Some(2),
            since: Some(1),
            age: Some(61),
            next: Some(3),
            trouble: Some("no answer in time".into()),
        };
        let found = view::Pool { discovery: Some(discovery), ..pool.clone() };
        let expected = format!(
            "{expected}
POOL  DISCOVERY              TARGETS  ANSWER     NEXT
api   srv _http._tcp.a.test  2        1m 1s ago  in 3s  no answer in time
"
        );
        assert_eq!(page(&status, &[], &[found], false), expected);
        assert!(page(&status, &[], &[pool], true).contains("\u{1b}[1;31mdown"));
    }

    #[test]
    fn caches_show_what_they_hold_and_how_often_they_helped() {
        let tier = |name: &str, max| view::Tier { tier: name.into(), bytes: 1_500_000, max, objects: 12, evicted: 3 };
        let cache = view::Cache {
            name: "static".into(),
            routes: vec!["site".into()],
            tiers: vec![tier("memory", 64 << 20), tier("disk", 20 << 30)],
            requests: view::CacheRequests { hit: 70, stale: 5, revalidated: 5, collapsed: 10, miss: 10, bypass: 4 },
            sent: 9,
            fills: 0,
            stored: 10,
            validated: 5,
            not_stored: Default::default(),
            purged: 0,
        };
        let expected = "
CACHE   TIER    BYTES              OBJECTS  EVICTED  HITS  STALE  COLLAPSED  MISSES  BYPASS  HIT RATE
static  memory  1.4 MiB of 64 MiB  12       3        70    5      10         15      4       75%
static  disk    1.4 MiB of 20 GiB  12       3
";
        assert_eq!(caches(&[cache], false), expected);
        assert_eq!(caches(&[], false), "");
        assert_eq!([0, 999, 1000, 1024, 10 << 20].map(bytes), ["0 B", "999 B", "1.0 KiB", "1 KiB", "10 MiB"]);
    }

    #[test]
    fn differences_say_how_long_they_last_and_whether_they_count() {
        let row = |what: &str, from: Option<&str>, to: &str, until, effect| Row {
            pool: "api".into(),
            target: "10.0.0.1:81".into(),
            what: what.into(),
            from: from.map(str::to_owned),
            to: to.into(),
            until,
            effect,
        };
        let rows = [
            row("state", Some("ready"), "drain", Until::Forever, true),
            row("weight", None, "5", Until::Restart, false),
            row("presence", Some("weight 1"), "removed", Until::Forever, true),
        ];
        let expected = "\
~ api 10.0.0.1:81 state: ready → drain
~ api 10.0.0.1:81 weight: 5, until the next start  (without effect)
- api 10.0.0.1:81 presence: weight 1 → removed
~ route all split b weight: 30 → 0
~ route gone split b weight: 5  (without effect)
";
        let split = |route: &str, from, to| SplitRow { route: route.into(), pool: "b".into(), from, to };
        let splits = vec![split("all", Some(30), 0), split("gone", None, 5)];
        let all = view::Overrides { revision: 1, items: rows.into(), splits };
        assert_eq!(differences(&all, false), expected);
    }
}
