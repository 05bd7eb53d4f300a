//! `stream`: servers of TCP and UDP as listeners, and maps on the name that TLS is asked for as routes that pass it on.
//!
//! May depend on the readers of upstreams and listeners.

use super::tree::Directive;
use super::{Work, known, listeners, text, upstream};
use crate::import::draft::{Entry, Table, Value};
use crate::import::valid;
use std::collections::BTreeSet;

/// Reads `stream`.
pub(super) fn stream(work: &mut Work<'_>, directives: &[Directive]) {
    for directive in directives.iter().filter(|directive| directive.name == "upstream") {
        upstream::read(work, directive);
    }
    for directive in directives {
        match directive.name.as_str() {
            "upstream" | "server" => {}
            "map" => {
                work.maps.insert(directive.argument(1).trim_start_matches('$').to_owned(), directive.clone());
            }
            "log_format" | "access_log" | "error_log" => {
                work.ledger.differs(directive.id, "connections are in the access log beside requests")
            }
            "limit_conn_zone" => work.ledger.carried(directive.id),
            _ => {}
        }
    }
    let around: Vec<&Directive> = directives.iter().filter(|directive| is_handed_on(directive)).collect();
    for directive in directives.iter().filter(|directive| directive.name == "server") {
        server(work, directive, &around);
    }
    for directive in
        directives.iter().filter(|directive| !["upstream", "server", "map"].contains(&directive.name.as_str()))
    {
        if !work.ledger.has_verdict(directive.id) {
            known::other(work, directive);
        }
    }
}

fn is_handed_on(directive: &Directive) -> bool {
    ["proxy_timeout", "proxy_connect_timeout", "proxy_protocol", "proxy_ssl", "preread_timeout"]
        .contains(&directive.name.as_str())
}

fn server(work: &mut Work<'_>, directive: &Directive, around: &[&Directive]) {
    work.ledger.carried(directive.id);
    let inner = directive.inner();
    let one = |name: &str| {
        inner.iter().rfind(|inner| inner.name == name).or(around.iter().copied().rfind(|other| other.name == name))
    };
    let mut listener = Table::new();
    let (mut addresses, mut udp, mut secure) = (Vec::new(), false, false);
    for listen in inner.iter().filter(|inner| inner.name == "listen") {
        udp |= listen.has("udp");
        secure |= listen.has("ssl");
        if listen.has("proxy_protocol") {
            listener.set("proxy_protocol", Table::new().with("from", vec!["0.0.0.0/0", "::/0"]).with("require", true));
            work.ledger.differs(
                listen.id,
                "whoever connects may say whose connection it is: name the proxies in `proxy_protocol.from`",
            );
        }
        match listeners::place(listen.argument(0)) {
            Some(address) if work.draft.bind(&address, listen.has("udp")) => {
                work.ledger.carried(listen.id);
                addresses.push(address);
            }
            Some(address) => {
                work.ledger.unsupported(listen.id, format!("`{address}` is listened on by a server before this one"))
            }
            None => work.ledger.unsupported(listen.id, "it is no address that can be listened on"),
        }
    }
    if addresses.is_empty() {
        work.ledger.unsupported(directive.id, "it listens nowhere: give it a `listen` with an address");
        return known::all(work, directive, "it belongs to a server that listens nowhere");
    }
    listener.set("protocol", if udp { "udp" } else { "tcp" });
    let mut more = Table::new();
    let mut times = Table::new();
    for (name, key) in [("proxy_connect_timeout", "connect"), ("proxy_timeout", "tunnel")] {
        let Some(directive) = one(name) else { continue };
        match text::duration(
            directive.argument(0),
            if udp { 100 } else { 10 },
            match (udp, key) {
                (true, _) => 86_400_000,
                (_, "connect") => 3_600_000,
                _ => 30 * 86_400_000,
            },
        ) {
            Some(time) if udp && key == "tunnel" => {
                listener.below(&["udp"]).set("idle", time);
                work.ledger.carried(directive.id);
            }
            Some(_) if udp => work.ledger.differs(directive.id, "datagrams make no connections"),
            Some(time) => {
                times.set(key, time);
                work.ledger.carried(directive.id);
            }
            None => work.ledger.unsupported(directive.id, "it is no time"),
        }
    }
    if !times.is_empty() {
        more.set("timeouts", times);
    }
    if let Some(directive) = one("proxy_protocol").filter(|directive| directive.argument(0) == "on") {
        more.set("send_proxy", "v1");
        work.ledger.carried(directive.id);
    }
    if let Some(directive) = one("proxy_ssl").filter(|directive| directive.argument(0) == "on") {
        more.set("tls", Table::new().with("verify", false));
        work.ledger.carried(directive.id);
    }
    for (name, key) in [("proxy_responses", "responses"), ("proxy_requests", "requests")] {
        let Some(directive) = inner.iter().find(|inner| inner.name == name) else { continue };
        match directive.argument(0).parse::<i64>() {
            Ok(number) if udp => {
                listener.below(&["udp"]).set(key, number.clamp(0, 65_535));
                work.ledger.carried(directive.id);
            }
            _ => work.ledger.differs(directive.id, "it is about datagrams"),
        }
    }
    if secure {
        let cert = inner.iter().find(|inner| inner.name == "ssl_certificate");
        let key = inner.iter().find(|inner| inner.name == "ssl_certificate_key");
        cert.iter().chain(key.iter()).for_each(|directive| work.ledger.carried(directive.id));
        if let Some(cert) = cert {
            let mut certificate = Table::new().with("cert", cert.argument(0));
            if let Some(key) = key {
                certificate.set("key", key.argument(0));
            }
            listener.set("tls", Table::new().with("certificates", Value::List(vec![certificate.into()])));
        }
    }
    addresses_of(work, inner, &mut listener);
    let port = addresses.first().and_then(|address| address.rsplit_once(':')).map_or("", |(_, port)| port).to_owned();
    let name = work.draft.name("listeners", &format!("{}-{port}", if udp { "udp" } else { "tcp" }));
    let mut table = Table::new().with("listen", addresses);
    table.0.append(&mut listener.0);
    let Some(pass) = inner.iter().find(|inner| inner.name == "proxy_pass") else {
        return work.ledger.unsupported(directive.id, "it passes nothing on");
    };
    let preread = one("ssl_preread").is_some_and(|directive| directive.argument(0) == "on");
    for directive in inner
        .iter()
        .filter(|inner| ["ssl_preread", "preread_timeout", "preread_buffer_size"].contains(&inner.name.as_str()))
    {
        work.ledger.carried(directive.id);
    }
    match pass.argument(0).strip_prefix('$') {
        Some(variable) if preread => by_name(work, pass, variable, &name, &more, &mut table),
        Some(_) => return work.ledger.unsupported(pass.id, "where it leads is made of a connection"),
        None => match pool(work, pass, pass.argument(0), &more) {
            Ok(pool) => {
                table.set("pool", pool);
                work.ledger.carried(pass.id);
            }
            Err(why) => return work.ledger.unsupported(pass.id, why),
        },
    }
    let leads = |entry: &Entry| matches!(entry.table.get("listeners"), Some(Value::List(list)) if list.contains(&name.as_str().into()));
    if table.get("pool").is_none() && !work.draft.entries.iter().any(leads) {
        work.ledger.unsupported(directive.id, "there is nobody to pass connections on to");
    } else {
        work.draft.add("listeners", &name, table, Vec::new());
    }
    for inner in inner.iter() {
        if !work.ledger.has_verdict(inner.id) {
            known::other(work, inner);
        }
    }
}

fn pool(work: &mut Work<'_>, pass: &Directive, authority: &str, more: &Table) -> Result<String, String> {
    upstream::pool(work, pass.id, authority, false, more.clone()).map(|(pool, _)| pool)
}

fn addresses_of(work: &mut Work<'_>, inner: &[Directive], listener: &mut Table) {
    let lines: Vec<&Directive> =
        inner.iter().filter(|inner| ["allow", "deny"].contains(&inner.name.as_str())).collect();
    let closed = lines.last().is_some_and(|last| last.name == "deny" && last.argument(0) == "all");
    for line in lines {
        match crate::import::haproxy::network(line.argument(0)) {
            Some(net) if line.name == "deny" || closed => {
                listener.push(if line.name == "deny" { "deny" } else { "allow" }, net);
                work.ledger.carried(line.id);
            }
            Some(_) => work.ledger.differs(line.id, "all who are not denied come in"),
            None => work.ledger.carried(line.id),
        }
    }
}

/// Routes for the names of a map, and the pool of what it calls default.
fn by_name(work: &mut Work<'_>, pass: &Directive, variable: &str, listener: &str, more: &Table, table: &mut Table) {
    let map = work.maps.get(variable).filter(|map| map.argument(0) == "$ssl_preread_server_name").cloned();
    let Some(map) = map else {
        return work.ledger.unsupported(pass.id, "a map on `$ssl_preread_server_name` says where names lead");
    };
    work.ledger.carried(map.id);
    work.ledger.carried(pass.id);
    let mut seen = BTreeSet::new();
    for entry in map.inner() {
        let name = entry.name.trim_start_matches('.').to_ascii_lowercase();
        if ["hostnames", "volatile", "include"].contains(&name.as_str()) {
            work.ledger.carried(entry.id);
            continue;
        }
        let pool = match pool(work, entry, entry.argument(0), more) {
            Ok(pool) => pool,
            Err(why) => {
                work.ledger.unsupported(entry.id, why);
                continue;
            }
        };
        if name == "default" {
            table.set("pool", pool);
            work.ledger.carried(entry.id);
            continue;
        }
        if name.starts_with('~') || name.ends_with('*') {
            work.ledger.unsupported(
                entry.id,
                "names that are asked for are compared as wholes, or by their ends: `*.example.com`",
            );
            continue;
        }
        if !name.starts_with('~')
            && !valid::host(name.trim_start_matches("*."))
            && name != "default"
            && !name.ends_with('*')
        {
            work.ledger.unsupported(entry.id, "it is no name that TLS could be asked for");
            continue;
        }
        if !seen.insert(name.clone()) {
            work.ledger.unsupported(entry.id, "the name stands in the map already");
            continue;
        }
        let mut names = vec![name.clone()];
        if entry.name.starts_with('.') {
            names.push(format!("*.{name}"));
        }
        let route = Table::new()
            .with("listeners", vec![listener.to_owned()])
            .with("sni", names)
            .with("passthrough", true)
            .with("pool", pool);
        let called = work.draft.name("routes", &name);
        work.draft.add("routes", &called, route, Vec::new());
        work.ledger.carried(entry.id);
    }
}
