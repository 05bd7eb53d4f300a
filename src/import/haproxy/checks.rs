//! Health checks: `option httpchk` and its kin, `http-check`, `tcp-check`, and the words of servers, as `health` of a pool.
//!
//! May depend on the ledger and the draft.

use super::proxy::Proxy;
use super::server::{At, Server};
use super::{Line, time};
use crate::import::draft::{Table, Value};
use crate::import::report::Ledger;
use crate::import::valid;

/// Options that say how servers are checked.
pub(super) const OPTIONS: [&str; 10] = [
    "httpchk",
    "tcp-check",
    "mysql-check",
    "pgsql-check",
    "redis-check",
    "smtpchk",
    "ssl-hello-chk",
    "ldap-check",
    "spop-check",
    "external-check",
];

/// The checks of a backend's servers; nothing where none is checked.
pub(super) fn health(ledger: &mut Ledger, proxy: &Proxy, servers: &[Server]) -> Option<Table> {
    let said: Vec<&Line> = OPTIONS.iter().filter_map(|kind| proxy.option(kind)).collect();
    said.iter().for_each(|line| ledger.carried(line.id));
    let Some(first) = servers.iter().find(|server| server.has("check")) else {
        for line in said.into_iter().chain(proxy.lines("http-check")).chain(proxy.lines("tcp-check")) {
            ledger.carried(line.id);
        }
        return None;
    };
    for server in servers.iter().filter(|server| !server.has("check")) {
        ledger.differs(server.line, "it is checked, as all targets of its pool are");
    }
    // The kind that is named last counts: what a backend says goes before its defaults.
    let kind = said.iter().max_by_key(|line| line.id).copied();
    let mut health = Table::new();
    match kind.map(|line| line.word(1)) {
        Some("httpchk") => http(ledger, proxy, kind, &mut health),
        Some("tcp-check") => script(ledger, proxy, &mut health),
        Some("mysql-check") => {
            health.set("type", "mysql");
            user(kind, &mut health);
        }
        Some("pgsql-check") => {
            health.set("type", "postgres");
            user(kind, &mut health);
        }
        Some("redis-check") => health.set("type", "redis"),
        Some("smtpchk") => {
            health.set("type", "smtp");
            if let Some(domain) = kind.map(|line| line.word(3)).filter(|domain| valid::host(domain)) {
                health.set("host", domain);
            }
        }
        Some("ssl-hello-chk") => {
            health.set("type", "tls");
            health.set("tls", Table::new().with("verify", false));
            if let Some(line) = kind {
                ledger.differs(line.id, "the handshake is carried to its end, by TLS 1.2 or 1.3");
            }
        }
        Some("external-check") => {
            let command = proxy.line("external-check").map_or("/bin/true", |line| line.word(2)).to_owned();
            health.set("type", "command");
            health.set("command", vec![command]);
            if let Some(line) = kind {
                ledger.differs(
                    line.id,
                    "the program is told of the target by RINGWAY_ADDRESS and RINGWAY_PORT, and not by arguments",
                );
            }
        }
        Some(other) => {
            health.set("type", "tcp");
            if let Some(line) = kind {
                ledger
                    .differs(line.id, format!("there is no `{other}`: it is checked whether a connection can be made"));
            }
        }
        None => health.set("type", "tcp"),
    }
    if kind.is_none_or(|line| line.word(1) != "httpchk") {
        proxy
            .lines("http-check")
            .iter()
            .for_each(|line| ledger.differs(line.id, "it means nothing without `option httpchk`"));
    }
    if kind.is_none_or(|line| line.word(1) != "tcp-check") {
        proxy
            .lines("tcp-check")
            .iter()
            .for_each(|line| ledger.differs(line.id, "it means nothing without `option tcp-check`"));
    }
    pace(ledger, proxy, servers, first, &mut health);
    Some(health)
}

/// How often, how long, where.
fn pace(ledger: &mut Ledger, proxy: &Proxy, servers: &[Server], first: &Server, health: &mut Table) {
    let mut interval = 2000;
    for (word, key) in [("inter", "interval"), ("fastinter", "fast_interval"), ("downinter", "down_interval")] {
        let Some(said) = first.value(word).and_then(time::milliseconds) else { continue };
        let (kept, note) = time::within(said, 100, 3_600_000);
        note.into_iter().for_each(|note| ledger.differs(first.line, format!("`{word}`: {note}")));
        health.set(key, time::duration(kept));
        if word == "inter" {
            interval = kept;
        }
    }
    let (timeout, id) = match proxy.timeout("check") {
        Some((id, time)) => (time, Some(id)),
        None => (interval, None),
    };
    let (kept, note) = time::within(timeout, 10, 60_000);
    health.set("timeout", time::duration(kept));
    if let (Some(note), Some(id)) = (note, id) {
        ledger.differs(id, note);
    }
    for word in ["fall", "rise"] {
        if let Some(number) = first.value(word).and_then(|text| text.parse::<i64>().ok()) {
            health.set(word, number.clamp(1, 100));
        }
    }
    let sockets =
        servers.iter().any(|server| matches!(&server.at, At::Address(address) if address.starts_with("unix:")));
    if let Some(port) = first.value("port").and_then(|text| text.parse::<u16>().ok()).filter(|port| *port > 0) {
        match sockets {
            true => ledger.differs(first.line, "`port`: a Unix socket has none, and is checked itself"),
            false => health.set("port", i64::from(port)),
        }
    }
    if let Some(address) = first.value("addr").filter(|text| text.parse::<std::net::IpAddr>().is_ok()) {
        health.set("address", address);
    }
    if first.has("check-ssl") && !first.has("ssl") {
        let mut tls = Table::new();
        if first.value("verify") != Some("required") {
            tls.set("verify", false);
        }
        if let Some(name) = first.value("check-sni") {
            tls.set("sni", name);
        }
        match tls.is_empty() {
            true => health.set("tls", true),
            false => health.set("tls", tls),
        }
    }
    if matches!(first.value("init-state"), Some("down" | "fully-down")) {
        health.set("initial_state", "down");
    }
    for server in servers.iter().filter(|server| server.has("check")) {
        for word in ["inter", "fastinter", "downinter", "fall", "rise", "port", "addr", "check-ssl", "check-sni"] {
            if server.value(word) != first.value(word) {
                ledger.differs(
                    server.line,
                    format!("`{word}` is said once for all targets of a pool: as `{}` has it", first.name),
                );
            }
        }
    }
}

fn user(kind: Option<&Line>, health: &mut Table) {
    let words = kind.map_or(&[][..], |line| line.rest(2));
    if let Some(place) = words.iter().position(|word| word == "user")
        && let Some(user) = words.get(place + 1)
    {
        health.set("user", user.clone());
    }
}

fn http(ledger: &mut Ledger, proxy: &Proxy, kind: Option<&Line>, health: &mut Table) {
    health.set("type", "http");
    let words: Vec<&str> = kind.map_or(&[][..], |line| line.rest(2)).iter().map(String::as_str).collect();
    let (mut method, mut path) = ("OPTIONS", "/");
    match words.as_slice() {
        [] => {}
        [uri] => path = uri,
        [verb, uri, ..] => (method, path) = (verb, uri),
    }
    health.set("method", method);
    health.set("path", path);
    // Headers were written behind the version once: `HTTP/1.1\r\nHost:\ www`.
    let behind = words.get(2..).unwrap_or_default().join(" ");
    for field in behind.split("\r\n").skip(1).filter(|field| !field.is_empty()) {
        if let Some((name, value)) = field.split_once(':') {
            header(name.trim(), value.trim(), health);
        }
    }
    for line in proxy.lines("http-check") {
        match line.word(1) {
            "send" => send(ledger, line, health),
            "expect" => expect(ledger, line, health),
            "connect" => connect(ledger, line, health),
            "disable-on-404" => ledger.unsupported(
                line.id,
                "404 is down: have the application drain by an agent, or an operator by `ringway target set`",
            ),
            "send-state" => ledger.unsupported(line.id, "targets are not told what is thought of them"),
            "comment" => ledger.carried(line.id),
            other => ledger.unsupported(line.id, format!("`http-check {other}` is not known")),
        }
    }
    if !health.text("method").is_some_and(valid::method) {
        health.set("method", "OPTIONS");
        if let Some(line) = kind {
            ledger.differs(line.id, "its method is none: `OPTIONS` is asked");
        }
    }
    if !health.text("path").is_some_and(|path| path.starts_with('/')) {
        health.set("path", "/");
        if let Some(line) = kind {
            ledger.differs(line.id, "the path begins with a slash: `/` is asked for");
        }
    }
}

fn header(name: &str, value: &str, health: &mut Table) {
    if name.eq_ignore_ascii_case("host") {
        let host =
            value.rsplit_once(':').filter(|(_, port)| port.parse::<u16>().is_ok()).map_or(value, |(host, _)| host);
        if valid::host(host) || host.parse::<std::net::Ipv4Addr>().is_ok() {
            health.set("host", host);
        }
    } else if valid::token(name) && !["connection", "content-length"].contains(&name.to_ascii_lowercase().as_str()) {
        health.below(&["headers"]).set(&name.to_ascii_lowercase(), value);
    }
}

fn send(ledger: &mut Ledger, line: &Line, health: &mut Table) {
    ledger.carried(line.id);
    let mut words = line.rest(2).iter();
    while let Some(word) = words.next() {
        let mut next = || words.next().cloned().unwrap_or_default();
        match word.as_str() {
            "meth" => health.set("method", next()),
            "uri" => health.set("path", next()),
            "ver" => {
                next();
            }
            "hdr" => {
                let (name, value) = (next(), next());
                header(&name, &value, health);
            }
            "body" => health.set("body", next()),
            other => ledger.differs(line.id, format!("`{other}` is left out")),
        }
    }
}

fn expect(ledger: &mut Ledger, line: &Line, health: &mut Table) {
    let mut words: Vec<&str> = line.rest(2).iter().map(String::as_str).collect();
    // What is told and when is decided does not count.
    while let Some(place) = words.iter().position(|word| {
        ["min-recv", "comment", "ok-status", "error-status", "tout-status", "on-success", "on-error", "status-code"]
            .contains(word)
    }) {
        words.drain(place..(place + 2).min(words.len()));
    }
    ledger.carried(line.id);
    match words.as_slice() {
        [.., ""] => ledger.unsupported(line.id, "nothing is behind it"),
        ["status", codes] => match codes
            .split(',')
            .all(|code| code.split('-').all(|code| code.trim().len() == 3 && code.trim().parse::<u16>().is_ok()))
        {
            true => health.set("expect", *codes),
            false => ledger.unsupported(line.id, format!("`{codes}` are no status codes")),
        },
        ["!", "status", code] => match code.parse::<u16>().ok().filter(|code| (200..400).contains(code)) {
            Some(code) => health.set("expect", format!("200-{}, {}-399", code - 1, code + 1)),
            None => ledger.differs(line.id, "statuses from 200 to 399 are good"),
        },
        ["rstatus", pattern] => match statuses(pattern) {
            Some(codes) => health.set("expect", codes),
            None => ledger.unsupported(line.id, "write the statuses as ranges: `expect status 200-299`"),
        },
        ["string", text] => health.set("expect_body", valid::plain(text)),
        ["rstring" | "!", .., pattern] if words.contains(&"rstring") && regex::Regex::new(pattern).is_err() => {
            ledger
                .unsupported(line.id, "the regex is not understood: there are no look-arounds and no back-references");
        }
        ["rstring", pattern] => health.set("expect_body", format!("~{pattern}")),
        ["!", "string", text] => health.set("expect_not_body", valid::plain(text)),
        ["!", "rstring", pattern] => health.set("expect_not_body", format!("~{pattern}")),
        ["hdr", "name", name] => health.below(&["expect_headers"]).set(&name.to_ascii_lowercase(), true),
        ["hdr", "name", name, "value", value] => {
            health.below(&["expect_headers"]).set(&name.to_ascii_lowercase(), *value)
        }
        _ => ledger.unsupported(line.id, "what is expected is a status, a header, or a text of the body"),
    }
}

/// The ranges that a simple regex on statuses stands for: `^2`, `(2|3)[0-9][0-9]`, `^20[0-4]$`.
fn statuses(pattern: &str) -> Option<String> {
    let regex = regex::Regex::new(pattern).ok()?;
    let good: Vec<u16> = (100..600).filter(|code: &u16| regex.is_match(&code.to_string())).collect();
    let mut ranges: Vec<(u16, u16)> = Vec::new();
    for code in good {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == code => *last = code,
            _ => ranges.push((code, code)),
        }
    }
    let written =
        |(first, last): &(u16, u16)| if first == last { first.to_string() } else { format!("{first}-{last}") };
    (!ranges.is_empty() && ranges.len() <= 16).then(|| ranges.iter().map(written).collect::<Vec<_>>().join(", "))
}

fn connect(ledger: &mut Ledger, line: &Line, health: &mut Table) {
    ledger.carried(line.id);
    let mut words = line.rest(2).iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "port" => match words.next().and_then(|port| port.parse::<u16>().ok()) {
                Some(port) => health.set("port", i64::from(port)),
                None => ledger.differs(line.id, "the port is not understood"),
            },
            "ssl" => {
                health.below(&["tls"]).set("verify", false);
            }
            "sni" => {
                let name = words.next().cloned().unwrap_or_default();
                health.below(&["tls"]).set("sni", name);
            }
            "alpn" | "proto" | "addr" | "via-socks4" => {
                words.next();
                ledger.differs(line.id, format!("`{word}` is left out"));
            }
            "default" | "linger" | "comment" => {}
            other => ledger.differs(line.id, format!("`{other}` is left out")),
        }
    }
}

fn script(ledger: &mut Ledger, proxy: &Proxy, health: &mut Table) {
    let mut steps: Vec<Value> = Vec::new();
    for line in proxy.lines("tcp-check") {
        let step = match (line.word(1), line.word(2), line.word(3), line.word(4)) {
            ("send" | "send-binary", "", ..) | ("expect", _, "", _) => {
                ledger.unsupported(line.id, "nothing is behind it");
                continue;
            }
            ("connect", ..) => {
                match steps.is_empty() {
                    true => connect(ledger, line, health),
                    false => ledger.unsupported(line.id, "a check makes one connection"),
                }
                continue;
            }
            ("send", text, ..) => Table::new().with("send", text),
            ("send-binary", hex, ..) => Table::new().with("send_hex", hex),
            ("expect", "string", text, _) => Table::new().with("expect", valid::plain(text)),
            ("expect", "rstring", pattern, _) if regex::Regex::new(pattern).is_ok() => {
                Table::new().with("expect", format!("~{pattern}"))
            }
            ("expect", "binary", hex, _) => Table::new().with("expect_hex", hex),
            ("expect", "!", "string", text) => Table::new().with("expect_not", valid::plain(text)),
            ("comment", ..) => {
                ledger.carried(line.id);
                continue;
            }
            _ => {
                ledger.unsupported(line.id, "steps send and expect texts and bytes");
                continue;
            }
        };
        ledger.carried(line.id);
        steps.push(step.into());
    }
    match steps.is_empty() {
        true => health.set("type", if health.get("tls").is_some() { "tls" } else { "tcp" }),
        false => {
            health.set("type", "script");
            health.set("steps", Value::List(steps));
        }
    }
}
