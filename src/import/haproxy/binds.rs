//! `bind` lines: the addresses of a frontend, in groups that have all else in common: each becomes a listener.
//!
//! May depend on the ledger and the draft.

use super::global::minimum;
use super::proxy::Proxy;
use super::{Line, Work, time};
use crate::import::draft::{Table, Value};
use crate::import::emit::ENV;
use crate::import::report::LineId;
use crate::import::valid;

/// Addresses that have all else in common.
#[derive(Clone, Debug)]
pub(super) struct Group {
    pub lines: Vec<LineId>,
    /// Keys of the listener: `listen`, `tls` and the like.
    pub table: Table,
    pub tls: bool,
    /// The ports, where they are known.
    pub ports: Option<Vec<u16>>,
}

/// The groups of a frontend; with `apart` each port is a group of its own.
pub(super) fn groups(work: &mut Work<'_>, proxy: &Proxy, apart: bool) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    let wild: Vec<u16> =
        proxy.lines("bind").iter().flat_map(|line| line.word(1).split(',')).filter_map(ipv4_any).collect();
    for line in proxy.lines("bind") {
        let Some(whole) = bind(work, proxy, line, &wild) else { continue };
        let each = if apart { split(whole) } else { vec![whole] };
        for one in each {
            let with = |group: &Group| {
                let plain = |table: &Table| Table(table.0.iter().filter(|(key, _)| key != "listen").cloned().collect());
                plain(&group.table) == plain(&one.table) && (!apart || group.ports == one.ports)
            };
            match groups.iter_mut().find(|group| with(group)) {
                Some(group) => {
                    if let Some(Value::List(addresses)) = one.table.get("listen") {
                        addresses.iter().for_each(|address| group.table.push("listen", address.clone()));
                    }
                    group.lines.extend(one.lines);
                    group.ports = match (group.ports.take(), one.ports) {
                        (Some(mut all), Some(more)) => {
                            all.extend(more);
                            Some(all)
                        }
                        _ => None,
                    };
                }
                None => groups.push(one),
            }
        }
    }
    groups
}

/// The same, each port by itself.
fn split(group: Group) -> Vec<Group> {
    let (Some(ports), Some(Value::List(addresses))) = (&group.ports, group.table.get("listen")) else {
        return vec![group];
    };
    if ports.len() != addresses.len() {
        return vec![group];
    }
    let one = |(port, address): (&u16, &Value)| {
        let mut one = group.clone();
        one.table.set("listen", Value::List(vec![address.clone()]));
        one.ports = Some(vec![*port]);
        one
    };
    ports.iter().zip(addresses).map(one).collect()
}

/// The port of an address that is all of IPv4.
fn ipv4_any(address: &str) -> Option<u16> {
    let address = address.trim_start_matches("ipv4@");
    ["*:", ":", "0.0.0.0:"].iter().find_map(|any| address.strip_prefix(any)).and_then(|port| port.parse().ok())
}

fn bind(work: &mut Work<'_>, proxy: &Proxy, line: &Line, wild: &[u16]) -> Option<Group> {
    let mut words = line.rest(1).to_vec();
    // `bind ADDRESS :PORT`, as it was written once.
    if words.get(1).is_some_and(|word| word.starts_with(':')) {
        let port = words.remove(1);
        words[0].push_str(&port);
    }
    let mut addresses = Vec::new();
    let mut ports = Some(Vec::new());
    let mut six = None;
    for address in words.first().map_or("", String::as_str).split(',') {
        match listens(address, &mut addresses).and_then(|range| possible(&mut addresses, range)) {
            Ok(range) => {
                six = six.or(range
                    .first()
                    .copied()
                    .filter(|_| addresses.last().is_some_and(|last| last.starts_with("[::]"))));
                match (range.is_empty(), &mut ports) {
                    (false, Some(ports)) => ports.extend(range),
                    _ => ports = None,
                }
            }
            Err(why) => work.ledger.unsupported(line.id, why),
        }
    }
    let free: Vec<bool> = addresses.iter().map(|address| work.draft.bind(address, false)).collect();
    if free.contains(&false) {
        work.ledger.unsupported(line.id, "an address is listened on once, and a line before this one does: what differs here belongs into routes of that listener");
        let mut kept = free.iter().copied();
        addresses.retain(|_| kept.next().unwrap_or(true));
        if let Some(ports) = &mut ports {
            let mut kept = free.iter().copied();
            ports.retain(|_| kept.next().unwrap_or(true));
        }
    }
    if addresses.is_empty() {
        return None;
    }
    work.ledger.carried(line.id);
    let mut table = Table::new().with("listen", addresses);
    let rest = words.get(1..).unwrap_or_default();
    let has = |name: &str| rest.iter().any(|word| word == name);
    if let Some(port) = six
        && !has("v6only")
        && (has("v4v6") || !wild.contains(&port))
    {
        table.set("v6only", false);
    }
    let tls = has("ssl");
    parameters(work, line, rest, &mut table);
    if tls && !secure(work, proxy, line, rest, &mut table) {
        work.ledger.unsupported(line.id, "TLS has no certificate here: name it by `crt`, and import again");
        return None;
    }
    Some(Group { lines: vec![line.id], table, tls, ports })
}

/// Puts what an address stands for behind `addresses`, and gives its ports.
fn listens(address: &str, addresses: &mut Vec<String>) -> Result<Vec<u16>, String> {
    let plain = ["ipv4@", "ipv6@", "tcp@", "tcp4@", "tcp6@"]
        .iter()
        .find_map(|scheme| address.strip_prefix(scheme))
        .unwrap_or(address);
    if let Some(path) = plain.strip_prefix("unix@").or(plain.starts_with('/').then_some(plain)) {
        addresses.push(format!("unix:{path}"));
        return Ok(Vec::new());
    }
    if plain.starts_with("quic") {
        return Err("HTTP/3 is not spoken: clients come by HTTP/2".to_owned());
    }
    if plain.contains('@') {
        return Err(format!("`{address}`: addresses of IP and Unix sockets are listened on"));
    }
    let Some((host, port)) = plain.rsplit_once(':') else { return Err(format!("`{address}` says no port")) };
    let host = match host {
        "*" | "" => String::new(),
        "::" | "[::]" => "[::]".to_owned(),
        "localhost" => "127.0.0.1".to_owned(),
        host if host.parse::<std::net::Ipv6Addr>().is_ok() => format!("[{host}]"),
        host => host.to_owned(),
    };
    let host = if address.starts_with("ipv6@") && host.is_empty() { "[::]".to_owned() } else { host };
    let known =
        host.is_empty() || host.contains(ENV.0) || host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok();
    if !known {
        return Err(format!("`{host}` is a name, and an address is listened on"));
    }
    if port.contains(ENV.0) {
        addresses.push(format!("{host}:{port}"));
        return Ok(Vec::new());
    }
    let (first, last) = port.split_once('-').unwrap_or((port, port));
    let (Ok(first), Ok(last)) = (first.parse::<u16>(), last.parse::<u16>()) else {
        return Err(format!("`{port}` is no port"));
    };
    if last < first || last - first > 1000 {
        return Err("of a range 1000 ports are taken at most".to_owned());
    }
    addresses.extend((first..=last).map(|port| format!("{host}:{port}")));
    Ok((first..=last).collect())
}

/// The ports of the addresses at the end, if those can be listened on; they are taken away otherwise.
fn possible(addresses: &mut Vec<String>, range: Vec<u16>) -> Result<Vec<u16>, String> {
    match addresses.last().filter(|last| !last.contains(ENV.0) && !valid::listen(last)).cloned() {
        Some(last) => {
            addresses.truncate(addresses.len().saturating_sub(range.len().max(1)));
            Err(format!("`{last}` is no address that can be listened on"))
        }
        None => Ok(range),
    }
}

/// Words that have a value and are looked at elsewhere, or say nothing that counts.
const WITH_VALUE: [&str; 33] = [
    "crt",
    "crt-list",
    "ca-file",
    "verify",
    "crl-file",
    "alpn",
    "ssl-min-ver",
    "ssl-max-ver",
    "ciphers",
    "ciphersuites",
    "curves",
    "name",
    "id",
    "mode",
    "user",
    "group",
    "uid",
    "gid",
    "process",
    "thread",
    "shards",
    "level",
    "severity-output",
    "npn",
    "ecdhe",
    "sigalgs",
    "client-sigalgs",
    "ca-sign-file",
    "ca-verify-file",
    "crt-ignore-err",
    "ca-ignore-err",
    "tls-ticket-keys",
    "nbconn",
];

fn parameters(work: &mut Work<'_>, line: &Line, words: &[String], table: &mut Table) {
    let ledger = &mut work.ledger;
    let id = line.id;
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let mut number = |most: i64| {
            words.next().and_then(|text| text.parse::<i64>().ok()).map_or(0, |number| number.clamp(0, most))
        };
        match word.as_str() {
            "ssl"
            | "v4v6"
            | "v6only"
            | "strict-sni"
            | "no-sslv3"
            | "no-tlsv10"
            | "no-tlsv11"
            | "force-tlsv13"
            | "no-tlsv12"
            | "prefer-client-ciphers" => {}
            "accept-proxy" => {
                let from = vec!["0.0.0.0/0", "::/0"];
                table.set("proxy_protocol", Table::new().with("from", from).with("require", true));
                ledger.differs(
                    id,
                    "whoever connects may say whose connection it is: name the proxies in `proxy_protocol.from`",
                );
            }
            "interface" => {
                if let Some(name) = words.next() {
                    table.set("interface", name.clone());
                }
            }
            "transparent" => table.set("transparent", true),
            "tfo" => table.below(&["tcp"]).set("fast_open", true),
            "defer-accept" => table.below(&["tcp"]).set("defer_accept", true),
            "mss" => {
                let mss = number(32_767).max(88);
                table.below(&["tcp"]).set("mss", mss);
            }
            "backlog" => {
                let backlog = number(1_000_000).max(1);
                table.below(&["tcp"]).set("backlog", backlog);
            }
            "tcp-ut" => {
                if let Some(time) = words.next().and_then(|text| time::milliseconds(text)).filter(|time| *time >= 10) {
                    table.below(&["tcp"]).set("user_timeout", time::duration(time.min(86_400_000)));
                }
            }
            "maxconn" | "nice" => {
                words.next();
                ledger.differs(id, format!("`{word}`: `runtime.max_connections` bounds all listeners together"));
            }
            "proto" => match words.next().map(String::as_str) {
                Some("h2" | "h1") => {}
                _ => ledger.differs(id, "HTTP/1.1 and HTTP/2 are spoken"),
            },
            "mode" | "user" | "group" | "uid" | "gid" => {
                words.next();
                ledger.differs(id, format!("`{word}`: a socket is its owner's"));
            }
            "ciphers" | "ciphersuites" | "curves" | "ecdhe" | "sigalgs" | "client-sigalgs" => {
                words.next();
                ledger.differs(id, format!("`{word}`: what is spoken is said by `tls.level` alone"));
            }
            "tls-ticket-keys" => {
                words.next();
                ledger.differs(
                    id,
                    "`tls-ticket-keys`: keys of tickets have a form of Ringway's own: `tls.tickets.keys_file`",
                );
            }
            "no-tls-tickets" => {
                table.below(&["tls", "tickets"]).set("lifetime", "0s");
            }
            "allow-0rtt" => ledger.differs(id, "there is no early data"),
            "namespace" => {
                words.next();
                ledger.differs(id, "it is listened in the network namespace of the process");
            }
            word if WITH_VALUE.contains(&word) => {
                words.next();
            }
            other => ledger.differs(id, format!("`{other}` is left out")),
        }
    }
}

/// `tls` of a listener; whether it has a certificate.
fn secure(work: &mut Work<'_>, proxy: &Proxy, line: &Line, words: &[String], table: &mut Table) -> bool {
    let values = |name: &'static str| {
        words.iter().enumerate().filter(move |(_, word)| *word == name).filter_map(|(place, _)| words.get(place + 1))
    };
    let globals = work.globals.clone();
    let below = |base: &Option<String>, path: &str| match base {
        Some(base) if !path.starts_with('/') && !path.starts_with(ENV.0) => {
            format!("{}/{path}", base.trim_end_matches('/'))
        }
        _ => path.to_owned(),
    };
    let mut certificates: Vec<Value> = Vec::new();
    for path in values("crt").filter(|path| !path.is_empty()) {
        let path = below(&globals.crt_base, path);
        certificates.push(certificate(work, &path).into());
    }
    for list in values("crt-list") {
        match work.around.read(list) {
            Some(text) => {
                for entry in text.lines().map(str::trim).filter(|entry| !entry.is_empty() && !entry.starts_with('#')) {
                    let path = below(&globals.crt_base, entry.split_whitespace().next().unwrap_or_default());
                    certificates.push(certificate(work, &path).into());
                }
                work.ledger.differs(line.id, "the list was read now: certificates are for the names that they hold, and what stands beside them does not count");
            }
            None => work.ledger.unsupported(
                line.id,
                format!("`{list}` cannot be read here: name its certificates in `tls.certificates`"),
            ),
        }
    }
    if certificates.is_empty() {
        return false;
    }
    let tls = table.below(&["tls"]);
    tls.set("certificates", Value::List(certificates));
    if words.iter().any(|word| word == "strict-sni") {
        tls.set("strict_sni", true);
    }
    if minimum(words) || globals.tls13 && !words.iter().any(|word| word == "ssl-min-ver") {
        tls.set("level", "modern");
    }
    if let Some(alpn) = values("alpn").next() {
        let protocols: Vec<&str> =
            alpn.split(',').filter(|protocol| !proxy.http || ["h2", "http/1.1"].contains(protocol)).collect();
        if alpn.contains("h3") || proxy.http && alpn.contains("http/1.0") {
            work.ledger.differs(line.id, "by ALPN HTTP/1.1 and HTTP/2 are agreed on");
        }
        if !protocols.is_empty() && (protocols != ["h2", "http/1.1"] || !proxy.http) {
            tls.set("alpn", protocols);
        }
    }
    let mode = values("verify").next().map(String::as_str);
    let ca = values("ca-file").next().filter(|ca| !ca.is_empty() && !ca.starts_with('@'));
    if ca.is_none() && matches!(mode, Some("required" | "optional")) {
        work.ledger.opens(
            line.id,
            "clients' certificates are not asked for: `tls.client_auth` names a file of their authorities, `ca`",
        );
    }
    if let (Some(mode @ ("required" | "optional")), Some(ca)) = (mode, ca) {
        let mut auth = Table::new().with("mode", mode).with("ca", below(&globals.ca_base, ca));
        if let Some(crl) = values("crl-file").next() {
            auth.set("crl", below(&globals.ca_base, crl));
        }
        tls.set("client_auth", auth);
    }
    true
}

fn certificate(work: &Work<'_>, path: &str) -> Table {
    if path.ends_with('/') || work.around.is_folder(path) {
        let folder = path.trim_end_matches('/');
        return Table::new().with("directory", if folder.is_empty() { "/" } else { folder });
    }
    let mut table = Table::new().with("cert", path);
    // HAProxy looks for the key beside the certificate where that has none.
    let key = format!("{path}.key");
    if work.around.read(&key).is_some() {
        table.set("key", key);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_all_kinds_are_listened_on() {
        let of = |text: &str| {
            let mut addresses = Vec::new();
            listens(text, &mut addresses).map(|ports| (addresses.join(" "), ports))
        };
        assert_eq!(of("*:80"), Ok((":80".into(), vec![80])));
        assert_eq!(of(":::443"), Ok(("[::]:443".into(), vec![443])));
        assert_eq!(of("ipv6@:443"), Ok(("[::]:443".into(), vec![443])));
        assert_eq!(of("10.0.0.1:80-82"), Ok(("10.0.0.1:80 10.0.0.1:81 10.0.0.1:82".into(), vec![80, 81, 82])));
        assert_eq!(of("/run/a.sock"), Ok(("unix:/run/a.sock".into(), vec![])));
        assert!(of("quic4@:443").is_err() && of("www:80").is_err() && of("abns@x").is_err() && of("*:x").is_err());
    }
}
