//! `http` with its servers: which are on which addresses, and what they take from around them.
//!
//! May depend on the readers of upstreams, locations and listeners.

use super::tree::Directive;
use super::{Work, known, listeners, location, text, upstream};
use crate::import::condition::{Cond, Fact, How, Match, Subject};
use crate::import::draft::{Table, Value};

/// A server with what holds in it.
#[derive(Clone, Debug)]
pub(super) struct Server {
    pub id: usize,
    pub names: Vec<String>,
    pub listens: Vec<Directive>,
    /// What stands in it, after what stands around it.
    pub directives: Vec<Directive>,
}

/// Reads `http`.
pub(super) fn http(work: &mut Work<'_>, directives: &[Directive]) {
    let mut around = Vec::new();
    let mut servers = Vec::new();
    for directive in directives {
        match directive.name.as_str() {
            "upstream" => upstream::read(work, directive),
            "server" => servers.push(directive),
            "map" => map(work, directive),
            "limit_req_zone" | "limit_conn_zone" => zone(work, directive),
            "proxy_cache_path" => cache(work, directive),
            "log_format" => work
                .ledger
                .differs(directive.id, "`access_log.format` takes \"combined\", or a template with fields in braces"),
            _ => around.push(directive.clone()),
        }
    }
    let servers: Vec<Server> = servers.into_iter().map(|directive| server(work, directive, &around)).collect();
    for directive in &around {
        // What servers and locations look at gets its verdict there, unless there is none that does.
        if !location::is_looked_at(directive) && !listeners::is_looked_at(directive) {
            known::other(work, directive);
        }
    }
    listeners::make(work, &servers);
    for directive in &around {
        if !work.ledger.has_verdict(directive.id) {
            work.ledger.differs(directive.id, "nothing in this file goes by it");
        }
    }
    for directive in work.maps.clone().into_values() {
        if !work.ledger.has_verdict(directive.id) {
            work.ledger
                .unsupported(directive.id, "what a request leads to is said by routes: `headers`, `hosts`, `when`");
            known::all(work, &directive, "it belongs to `map`");
        }
    }
}

fn server(work: &mut Work<'_>, directive: &Directive, around: &[Directive]) -> Server {
    work.ledger.carried(directive.id);
    let mut server = Server { id: directive.id, names: Vec::new(), listens: Vec::new(), directives: Vec::new() };
    for inner in directive.inner() {
        match inner.name.as_str() {
            "server_name" => {
                work.ledger.carried(inner.id);
                server
                    .names
                    .extend(inner.arguments.iter().filter(|name| !["_", "\"\"", ""].contains(&name.as_str())).cloned());
            }
            "listen" => server.listens.push(inner.clone()),
            _ => {}
        }
    }
    let own = |directive: &&Directive| !["server_name", "listen"].contains(&directive.name.as_str());
    let mut directives = location::inherit(around, directive.inner().iter().filter(own).cloned().collect());
    let first = server.names.first().filter(|name| !name.contains(['*', '~'])).map(|name| name.trim_start_matches('.'));
    if let Some(first) = first {
        directives.iter_mut().for_each(|directive| named_after(directive, first));
    }
    server.directives = directives;
    server
}

/// Puts the name of its server in place of `$server_name`.
fn named_after(directive: &mut Directive, name: &str) {
    for argument in &mut directive.arguments {
        *argument = argument.replace("$server_name", name).replace("${server_name}", name);
    }
    directive.block.iter_mut().flatten().for_each(|inner| named_after(inner, name));
}

fn map(work: &mut Work<'_>, directive: &Directive) {
    let name = directive.argument(1).trim_start_matches('$').to_owned();
    if directive.argument(0) == "$http_upgrade" {
        work.ledger.carried(directive.id);
        directive.inner().iter().for_each(|inner| work.ledger.carried(inner.id));
    }
    work.maps.insert(name, directive.clone());
}

fn zone(work: &mut Work<'_>, directive: &Directive) {
    let zone = directive.named("zone").and_then(|zone| zone.split(':').next()).unwrap_or_default().to_owned();
    let key = match directive.argument(0) {
        "$binary_remote_addr" | "$remote_addr" => Ok("client-ip".to_owned()),
        "$server_name" | "$host" | "$http_host" => Ok("{request.host}".to_owned()),
        "$uri" | "$request_uri" => Ok("{request.path}".to_owned()),
        other => match text::template(other) {
            Ok(key) if other.starts_with("$http_") => {
                Ok(format!("header:{}", key.trim_start_matches("{request.headers.").trim_end_matches('}')))
            }
            Ok(key) => Ok(key),
            Err(why) => Err(why),
        },
    };
    let rate = directive.named("rate").unwrap_or_default().replace("r/", "/");
    let counts = |rate: &str| {
        let number = rate.strip_suffix("/s").or(rate.strip_suffix("/m"));
        number.and_then(|number| number.parse::<u32>().ok()).is_some_and(|number| number > 0)
    };
    if directive.name == "limit_req_zone" && !counts(&rate) {
        return work.ledger.unsupported(directive.id, "its rate is not understood: `rate=10r/s`");
    }
    match key {
        Ok(key) if !key.contains('{') && !key.starts_with("header:") && key != "client-ip" => {
            work.ledger
                .unsupported(directive.id, "a fixed text is no key: `route` counts all requests of a route together");
        }
        Ok(key) => {
            work.ledger.carried(directive.id);
            work.zones.insert(zone, (key, rate));
        }
        Err(why) => work.ledger.unsupported(directive.id, why),
    }
}

fn cache(work: &mut Work<'_>, directive: &Directive) {
    let zone = directive.named("keys_zone").and_then(|zone| zone.split(':').next()).unwrap_or("cache").to_owned();
    let folder = Value::from(directive.argument(0));
    let taken = work.draft.entries.iter().filter(|entry| entry.path.first().is_some_and(|kind| kind == "caches"));
    let mut taken = taken.filter_map(|entry| entry.table.get("disk"));
    if directive.argument(0).is_empty()
        || work.caches.contains_key(&zone)
        || taken.any(|disk| matches!(disk, Value::Table(disk) if disk.get("path") == Some(&folder)))
    {
        return work.ledger.unsupported(
            directive.id,
            "a cache has a folder and a name of its own: write `[caches.NAME]` with another `disk.path`",
        );
    }
    let size = directive.named("max_size").and_then(text::bytes).unwrap_or(10 << 30).max(64 << 20);
    let disk = Table::new().with("path", directive.argument(0)).with("size", text::size(size));
    let name = work.draft.name("caches", &zone);
    work.draft.add("caches", &name, Table::new().with("disk", disk), Vec::new());
    work.caches.insert(zone, name);
    work.ledger.differs(directive.id, "what was kept there before is not read; what is asked for often is kept in memory as well, and nothing is dropped for not being asked for");
}

/// How exact names are, so that the most exact goes first: a number, and what a host has to be.
pub(super) fn named(names: &[String]) -> Vec<(u32, Cond)> {
    let mut exact = Vec::new();
    let mut all: Vec<(u32, Cond)> = Vec::new();
    let host = |how, value: String| Cond::Fact(Fact::Text(Subject::Host, Match::new(how, vec![value])));
    for name in names {
        let name = name.to_ascii_lowercase();
        if let Some(pattern) = name.strip_prefix('~') {
            let pattern = pattern.replace("(?<", "(?P<");
            all.push((1, host(How::Regex, pattern)));
        } else if let Some(rest) = name.strip_prefix("*.") {
            all.push((3, host(How::Suffix, format!(".{rest}"))));
        } else if let Some(rest) = name.strip_prefix('.') {
            exact.push(rest.to_owned());
            all.push((3, host(How::Suffix, format!(".{rest}"))));
        } else if let Some(rest) = name.strip_suffix(".*") {
            all.push((2, host(How::Prefix, format!("{rest}."))));
        } else {
            exact.push(name);
        }
    }
    if !exact.is_empty() {
        all.push((4, Cond::Fact(Fact::Text(Subject::Host, Match::new(How::Exact, exact)))));
    }
    // The most exact first; of those that are as exact, together.
    all.sort_by_key(|(rank, _)| std::cmp::Reverse(*rank));
    let mut joined: Vec<(u32, Cond)> = Vec::new();
    for (rank, cond) in all {
        match joined.last_mut() {
            Some((last, before)) if *last == rank => *before = Cond::any([before.clone(), cond]),
            _ => joined.push((rank, cond)),
        }
    }
    joined
}
