//! `upstream` blocks, and what `proxy_pass` names, as pools.
//!
//! May depend on the ledger and the draft.

use super::tree::Directive;
use super::{Work, text};
use crate::import::draft::{Table, Value};
use crate::import::valid;

/// A group of servers.
#[derive(Clone, Debug, Default)]
pub(super) struct Upstream {
    /// Keys of the pool.
    pub table: Table,
}

/// Reads an `upstream` block.
pub(super) fn read(work: &mut Work<'_>, directive: &Directive) {
    work.ledger.carried(directive.id);
    let mut table = Table::new().with("targets", Value::List(Vec::new())).with("balance", "round-robin");
    let mut outlier: Option<Table> = None;
    for inner in directive.inner() {
        let id = inner.id;
        match inner.name.as_str() {
            "server" => server(work, inner, &mut table, &mut outlier),
            "least_conn" => {
                table.set("balance", "least-conn");
                work.ledger.carried(id);
            }
            "least_time" => {
                table.set("balance", "latency");
                work.ledger.differs(id, "the one that has answered fastest of late");
            }
            "random" => {
                table.set("balance", "random");
                work.ledger.carried(id);
            }
            "ip_hash" => {
                table.set("balance", "hash");
                work.ledger.differs(id, "the whole address counts, and not its network; it is always consistent");
            }
            "hash" => match key(inner.argument(0)) {
                Some(key) => {
                    table.set("balance", "hash");
                    if key != "client-ip" {
                        table.set("key", key);
                    }
                    work.ledger.differs(id, "it is always consistent");
                    if inner.argument(0).contains("request_uri") {
                        work.ledger.differs(id, "the path counts, without the query");
                    }
                }
                None => work.ledger.unsupported(
                    id,
                    "`key` hashes the client's address, the path, a header, a cookie or a parameter of the query",
                ),
            },
            "keepalive" => match inner.argument(0).parse::<i64>() {
                Ok(most) => {
                    table.below(&["keepalive"]).set("max_idle", most.clamp(0, 65_536));
                    work.ledger.differs(id, "so many for each target, and not for each worker");
                }
                Err(_) => work.ledger.unsupported(id, "it is no number"),
            },
            "keepalive_timeout" => match text::duration(inner.argument(0), 10, 3_600_000) {
                Some(idle) => {
                    table.below(&["keepalive"]).set("idle", idle);
                    work.ledger.carried(id);
                }
                None => work.ledger.unsupported(id, "it is no time"),
            },
            "keepalive_requests" | "keepalive_time" | "zone" | "resolver" | "resolver_timeout" => {
                work.ledger.carried(id)
            }
            "sticky" if inner.argument(0) == "cookie" => {
                let mut sticky = Table::new().with("cookie", inner.argument(1));
                if let Some(domain) = inner.named("domain") {
                    sticky.set("domain", domain.trim_start_matches('.'));
                }
                if let Some(age) = inner.named("expires").and_then(|age| text::duration(age, 1000, 400 * 86_400_000)) {
                    sticky.set("max_age", age);
                }
                table.set("sticky", sticky);
                work.ledger
                    .differs(id, "its value is a hash of the target's address, so that each client chooses anew once");
            }
            "sticky" => work.ledger.unsupported(id, "`sticky = { learn = { cookie = \"…\" } }` notes what targets set"),
            "queue" => {
                work.ledger.differs(id, "who waits does so for `timeouts.queue`, where targets have a `max_in_flight`");
            }
            "ntlm" | "state" => work.ledger.unsupported(id, "there is no such thing"),
            other => {
                let why = format!("`{other}` is not known");
                work.ledger.unsupported(id, why);
            }
        }
    }
    let servers = directive.inner().iter().filter(|inner| inner.name == "server");
    if outlier.is_none() && servers.clone().count() > 1 && !servers.clone().any(|server| server.has("max_fails=0")) {
        work.ledger.differs(directive.id, "a server that has failed is asked again with the next request, and not left alone for 10 s: `outlier` of the pool ejects it");
    }
    if let Some(outlier) = outlier {
        table.set("outlier", outlier);
    }
    if matches!(table.get("targets"), Some(Value::List(list)) if list.is_empty()) {
        table.remove("targets");
    }
    let name = directive.argument(0).to_owned();
    work.upstreams.insert(name, Upstream { table });
}

fn key(variable: &str) -> Option<String> {
    Some(match variable {
        "$remote_addr" | "$binary_remote_addr" => "client-ip".to_owned(),
        "$uri" | "$request_uri" => "path".to_owned(),
        other => {
            let name = other.strip_prefix('$')?;
            if let Some(header) = name.strip_prefix("http_") {
                format!("header:{}", header.replace('_', "-"))
            } else if let Some(cookie) = name.strip_prefix("cookie_") {
                format!("cookie:{cookie}")
            } else {
                format!("query:{}", name.strip_prefix("arg_")?)
            }
        }
    })
}

fn server(work: &mut Work<'_>, directive: &Directive, table: &mut Table, outlier: &mut Option<Table>) {
    let id = directive.id;
    work.ledger.carried(id);
    let Some(address) = target(work, id, directive.argument(0), 80, table) else { return };
    let mut target = Table::new().with("address", address.clone());
    if directive.has("down") {
        target.set("weight", 0);
        work.ledger.differs(id, "it is there with a weight of 0: an operator can have it work");
    } else if let Some(weight) = directive.named("weight").and_then(|text| text.parse::<i64>().ok()) {
        target.set("weight", weight.clamp(1, 256));
    }
    if directive.has("backup") {
        target.set("backup", true);
    }
    if let Some(most) = directive.named("max_conns").and_then(|text| text.parse::<i64>().ok()).filter(|most| *most > 0)
    {
        target.set("max_in_flight", most.min(1_000_000));
    }
    if let Some(start) = directive.named("slow_start").and_then(|text| text::duration(text, 100, 3_600_000)) {
        table.set("slow_start", start);
    }
    if let Some(fails) = directive.named("max_fails").and_then(|text| text.parse::<i64>().ok()) {
        match fails {
            0 => work.ledger.differs(id, "`max_fails=0`: nothing is ejected unless another server of the pool says so"),
            fails => {
                outlier.get_or_insert_default().set("errors", fails.clamp(1, 10_000));
                work.ledger.differs(id, "`max_fails`: errors in a row eject a target, of all workers together, and answers 502 to 504 are errors");
            }
        }
    }
    if let Some(time) = directive.named("fail_timeout").and_then(|text| text::duration(text, 100, 3_600_000)) {
        // One failure is enough where nothing is said.
        match directive.named("max_fails") {
            Some("0") => {}
            Some(_) => outlier.get_or_insert_default().set("eject", time),
            None => {
                let outlier = outlier.get_or_insert_default();
                outlier.set("eject", time);
                if outlier.get("errors").is_none() {
                    outlier.set("errors", 1);
                }
                work.ledger
                    .differs(id, "`fail_timeout`: one error ejects a target for so long, of all workers together");
            }
        }
    }
    for argument in directive.arguments.iter().skip(1) {
        let name = argument.split('=').next().unwrap_or_default();
        let known = ["down", "weight", "backup", "max_conns", "slow_start", "max_fails", "fail_timeout", "resolve"];
        if !known.contains(&name) {
            work.ledger.differs(id, format!("`{argument}` is left out"));
        }
    }
    let plain = target.0.len() == 1;
    table.push("targets", if plain { Value::Text(address) } else { target.into() });
}

/// The address of a target; a name is looked for by the pool, or here and now where it looks for another one.
pub(super) fn target(work: &mut Work<'_>, id: usize, text: &str, port: u16, table: &mut Table) -> Option<String> {
    if let Some(path) = text.strip_prefix("unix:") {
        return Some(format!("unix:{}", path.trim_end_matches(':')));
    }
    if let Ok(address) = text.parse::<std::net::SocketAddr>() {
        return Some(address.to_string());
    }
    let (host, port) = match text.rsplit_once(':').map(|(host, port)| (host, port.parse::<u16>())) {
        Some((host, Ok(port))) => (host, port),
        Some((_, Err(_))) if !text.starts_with('[') => {
            work.ledger.unsupported(id, format!("`{text}` is no address"));
            return None;
        }
        _ => (text, port),
    };
    if let Ok(ip) = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>() {
        return Some(std::net::SocketAddr::new(ip, port).to_string());
    }
    if !valid::host(host) && host != "localhost" || port == 0 {
        work.ledger.unsupported(id, format!("`{text}` is no address and no name"));
        return None;
    }
    if host == "localhost" {
        return Some(format!("localhost:{port}"));
    }
    if table.get("discover").is_none() {
        table.set("discover", Table::new().with("dns", host).with("port", i64::from(port)));
        work.ledger
            .differs(id, "its name is asked for again when its TTL is over, and all of its addresses are targets");
        return None;
    }
    match work.around.resolve(host) {
        Some(address) => {
            work.ledger.differs(id, "its name was looked up here and now: a pool looks for one name, by `discover`");
            Some(std::net::SocketAddr::new(address, port).to_string())
        }
        None => {
            work.ledger.unsupported(id, "its name cannot be looked up here, and a pool looks for one name: write its address, or one name for all servers");
            None
        }
    }
}

/// The pool that a URL of `proxy_pass` leads to, with more keys than its upstream has; and the Host that nginx would send there.
///
/// # Errors
/// Why there is none.
pub(super) fn pool(
    work: &mut Work<'_>,
    id: usize,
    authority: &str,
    secure: bool,
    more: Table,
) -> Result<(String, String), String> {
    let (name, mut table) = match work.upstreams.get(authority) {
        Some(upstream) => (authority.to_owned(), upstream.table.clone()),
        None => {
            let mut table = Table::new();
            match target(work, id, authority, if secure { 443 } else { 80 }, &mut table) {
                Some(address) => table.set("targets", vec![address]),
                None if table.get("discover").is_some() => {}
                None => return Err(format!("`{authority}` is no address")),
            }
            (authority.split(':').next().unwrap_or(authority).to_owned(), table)
        }
    };
    if table.get("targets").is_none() && table.get("discover").is_none() {
        return Err(format!("no server of `{authority}` can be used"));
    }
    let idle =
        |target: &Value| matches!(target, Value::Table(target) if target.get("weight") == Some(&Value::Number(0)));
    if table.get("discover").is_none() && matches!(table.get("targets"), Some(Value::List(all)) if all.iter().all(idle))
    {
        return Err(format!("all servers of `{authority}` are `down`"));
    }
    table.0.extend(more.0);
    let host = if work.upstreams.contains_key(authority) {
        authority
    } else {
        authority.split(':').next().unwrap_or(authority)
    };
    let host = if host.parse::<std::net::IpAddr>().is_ok()
        || authority.starts_with(['[', 'u']) && authority.contains("unix:")
    {
        "target".to_owned()
    } else {
        host.to_owned()
    };
    Ok((work.draft.shared("pools", &name, table), host))
}
