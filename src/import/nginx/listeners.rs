//! The addresses of servers as listeners: each is one, with all servers that are on it.
//!
//! May depend on the reader of locations.

use super::server::{Server, named};
use super::tree::Directive;
use super::{Work, location, text};
use crate::import::condition::Cond;
use crate::import::draft::{Table, Value};
use crate::import::valid;

/// An address with the servers on it.
struct Place {
    address: String,
    secure: bool,
    /// Servers by their places, and whether one is the default.
    servers: Vec<(usize, bool)>,
    table: Table,
}

/// Whether listeners look at a directive.
pub(super) fn is_looked_at(directive: &Directive) -> bool {
    [
        "ssl_certificate",
        "ssl_certificate_key",
        "ssl_protocols",
        "ssl_client_certificate",
        "ssl_verify_client",
        "ssl_crl",
        "ssl_session_tickets",
        "ssl_reject_handshake",
        "ssl_verify_depth",
        "ssl",
        "client_header_timeout",
        "client_body_timeout",
        "keepalive_timeout",
        "set_real_ip_from",
        "real_ip_header",
        "real_ip_recursive",
        "access_log",
    ]
    .contains(&directive.name.as_str())
}

/// Makes the listeners of all servers, and their routes.
pub(super) fn make(work: &mut Work<'_>, servers: &[Server]) {
    let mut places: Vec<Place> = Vec::new();
    for (place, server) in servers.iter().enumerate() {
        if server.listens.is_empty() {
            join(&mut places, ":80".to_owned(), false, place, false, Table::new());
        }
        for listen in &server.listens {
            address(work, listen, place, server, &mut places);
        }
    }
    places.retain(|place| usable(work, servers, place));
    // Addresses with the same servers are one listener: in clear and over TLS apart.
    let mut joined: Vec<(Vec<String>, Place)> = Vec::new();
    for place in places {
        let same = |other: &&mut (Vec<String>, Place)| {
            other.1.secure == place.secure && other.1.servers == place.servers && other.1.table == place.table
        };
        match joined.iter_mut().find(same) {
            Some((addresses, _)) => addresses.push(place.address),
            None => joined.push((vec![place.address.clone()], place)),
        }
    }
    let mut routes: Vec<(Vec<String>, String, Table)> = Vec::new();
    for (addresses, place) in joined {
        let port =
            addresses.first().and_then(|address| address.rsplit_once(':')).map_or("", |(_, port)| port).to_owned();
        let wanted = match (port.as_str(), place.secure) {
            ("80", false) => "http".to_owned(),
            ("443", true) => "https".to_owned(),
            (port, true) => format!("https-{port}"),
            (port, false) => format!("http-{port}"),
        };
        let name = work.draft.name("listeners", &wanted);
        let mut table = Table::new().with("listen", addresses);
        table.0.extend(place.table.0.clone());
        let on: Vec<(&Server, bool)> =
            place.servers.iter().filter_map(|(at, default)| Some((servers.get(*at)?, *default))).collect();
        settings(work, &on, place.secure, &mut table);
        let forwards = on.iter().any(|(server, _)| location::tells_forwarded(&server.directives));
        if !forwards {
            table.set("forwarded", "none");
        }
        work.draft.add("listeners", &name, table, Vec::new());
        for (wanted, route) in of_servers(work, &on, place.secure, forwards) {
            match routes.iter_mut().find(|(_, other, table)| *other == wanted && *table == route) {
                Some((listeners, ..)) => listeners.push(name.clone()),
                None => routes.push((vec![name.clone()], wanted, route)),
            }
        }
    }
    for (listeners, wanted, table) in routes {
        let name = work.draft.name("routes", &wanted);
        let mut route = Table::new().with("listeners", listeners);
        route.0.extend(table.0);
        work.draft.add("routes", &name, route, Vec::new());
    }
}

/// Whether an address can be listened on: it is nobody else's, and has a certificate where TLS ends. Its lines are told of where it cannot.
fn usable(work: &mut Work<'_>, servers: &[Server], here: &Place) -> bool {
    let on: Vec<&Server> = here.servers.iter().filter_map(|(at, _)| servers.get(*at)).collect();
    let named = |server: &&Server| server.directives.iter().any(|directive| directive.name == "ssl_certificate");
    let why = if here.secure && !on.iter().any(named) {
        "TLS has no certificate here: name it by `ssl_certificate`, and import again"
    } else if !work.draft.bind(&here.address, false) {
        "another server listens there already"
    } else {
        return true;
    };
    let listens = on.into_iter().flat_map(|server| &server.listens);
    for listen in listens.filter(|listen| place(listen.argument(0)).as_deref() == Some(here.address.as_str())) {
        work.ledger.unsupported(listen.id, why);
    }
    false
}

/// Puts a server behind those of an address.
fn join(places: &mut Vec<Place>, address: String, secure: bool, server: usize, default: bool, table: Table) {
    match places.iter_mut().find(|place| place.address == address) {
        Some(place) => {
            place.secure |= secure;
            place.servers.push((server, default));
            table.0.into_iter().for_each(|(key, value)| place.table.set(&key, value));
        }
        None => places.push(Place { address, secure, servers: vec![(server, default)], table }),
    }
}

/// The servers of an address as routes: those with names first, the default last.
fn of_servers(work: &mut Work<'_>, on: &[(&Server, bool)], secure: bool, forwards: bool) -> Vec<(String, Table)> {
    let default = on.iter().position(|(_, default)| *default).unwrap_or(0);
    let mut ranked: Vec<(u32, Cond, &Server)> = Vec::new();
    for (place, (server, _)) in on.iter().enumerate() {
        for (rank, cond) in named(&server.names) {
            // What leads to the default anyway need not be said.
            if place != default || on.len() > 1 {
                ranked.push((rank, cond, server));
            }
        }
    }
    if let Some((server, _)) = on.get(default) {
        ranked.retain(|(_, _, other)| other.id != server.id || rank_matters(on, server));
        ranked.push((0, Cond::Const(true), server));
    }
    ranked.sort_by_key(|(rank, ..)| std::cmp::Reverse(*rank));
    let mut all = Vec::new();
    for (_, cond, server) in ranked {
        location::routes(work, server, &cond, secure, forwards, &mut all);
    }
    let count = i64::try_from(all.len()).unwrap_or(0);
    for ((_, route), place) in all.iter_mut().zip(0_i64..) {
        if place + 1 < count {
            let mut numbered = Table::new().with("priority", (count - place) * 10);
            numbered.0.append(&mut route.0);
            *route = numbered;
        }
    }
    all
}

/// Whether a name of the default server is less exact than that of another one, which could take it.
fn rank_matters(on: &[(&Server, bool)], server: &Server) -> bool {
    let fuzzy = |names: &[String]| names.iter().any(|name| name.contains('*') || name.starts_with(['.', '~']));
    on.iter().any(|(other, _)| other.id != server.id && fuzzy(&other.names))
}

fn address(work: &mut Work<'_>, listen: &Directive, server: usize, of: &Server, places: &mut Vec<Place>) {
    let id = listen.id;
    work.ledger.carried(id);
    let mut table = Table::new();
    let mut secure = of.directives.iter().any(|directive| directive.name == "ssl" && directive.argument(0) == "on");
    let text = listen.argument(0);
    let mut v6only = true;
    for argument in listen.arguments.iter().skip(1) {
        match argument.as_str() {
            "ssl" => secure = true,
            "default_server" | "default" | "http2" | "deferred" | "reuseport" | "spdy" | "bind" => {}
            "proxy_protocol" => {
                let proxies = of.directives.iter().filter(|directive| directive.name == "set_real_ip_from");
                let from: Vec<String> =
                    proxies.map(|directive| directive.argument(0).to_owned()).filter(|net| net != "unix:").collect();
                if from.is_empty() {
                    work.ledger.differs(
                        id,
                        "whoever connects may say whose connection it is: name the proxies in `proxy_protocol.from`",
                    );
                }
                let from = if from.is_empty() { vec!["0.0.0.0/0".to_owned(), "::/0".to_owned()] } else { from };
                table.set("proxy_protocol", Table::new().with("from", from).with("require", true));
            }
            "quic" => {
                work.ledger.unsupported(id, "HTTP/3 is not spoken: clients come by HTTP/2");
                return;
            }
            "ipv6only=off" => v6only = false,
            "ipv6only=on" => {}
            other => match other.strip_prefix("backlog=").and_then(|text| text.parse::<i64>().ok()) {
                Some(backlog) => table.below(&["tcp"]).set("backlog", backlog.clamp(1, 1_000_000)),
                None if other.starts_with("so_keepalive") => table.below(&["tcp"]).set("keepalive", Table::new()),
                None if other.starts_with("fastopen") => table.below(&["tcp"]).set("fast_open", true),
                None => work.ledger.differs(id, format!("`{other}` is left out")),
            },
        }
    }
    if !v6only {
        table.set("v6only", false);
    }
    let place = place(text);
    match place {
        Some(address) => {
            join(places, address, secure, server, listen.has("default_server") || listen.has("default"), table)
        }
        None => work.ledger.unsupported(id, format!("`{text}` is no address that can be listened on")),
    }
}

/// An address as listeners have it.
pub(super) fn place(text: &str) -> Option<String> {
    if text.starts_with("unix:") {
        return Some(text.to_owned()).filter(|address| valid::listen(address));
    }
    if text.parse::<u16>().is_ok() {
        return Some(format!(":{text}"));
    }
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !text.ends_with(']') => (host, port.parse::<u16>().ok()?),
        _ => (text, 80),
    };
    match host {
        "*" => Some(format!(":{port}")),
        "localhost" => Some(format!("127.0.0.1:{port}")),
        host if host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok() => Some(format!("{host}:{port}")),
        _ => None,
    }
}

fn settings(work: &mut Work<'_>, on: &[(&Server, bool)], secure: bool, table: &mut Table) {
    if secure {
        tls(work, on, table);
    }
    let default = on.iter().find(|(_, default)| *default).or(on.first());
    let Some((server, _)) = default else { return };
    for directive in on.iter().flat_map(|(server, _)| &server.directives) {
        let id = directive.id;
        let is_default = server.directives.iter().any(|other| other.id == id);
        let time = text::duration(directive.argument(0), 10, 3_600_000);
        match directive.name.as_str() {
            "client_header_timeout" | "client_body_timeout" | "keepalive_timeout" => {
                let key = match directive.name.as_str() {
                    "client_header_timeout" => "request_head",
                    "client_body_timeout" => "client_body",
                    _ => "idle",
                };
                match time {
                    Some(time) if is_default => {
                        table.below(&["timeouts"]).set(key, time);
                        work.ledger.carried(id);
                    }
                    Some(_) => work
                        .ledger
                        .differs(id, "it is said once for all names of an address: as the default server has it"),
                    None => work.ledger.unsupported(id, "it is no time"),
                }
            }
            "set_real_ip_from" => match super::super::haproxy::network(directive.argument(0)) {
                Some(net) => {
                    if table.get("proxy_protocol").is_none() {
                        table.push("trusted_proxies", net);
                    }
                    work.ledger.carried(id);
                }
                None => work.ledger.differs(id, "on a Unix socket clients have no address"),
            },
            "real_ip_header" => match directive.argument(0).to_ascii_lowercase().as_str() {
                "x-forwarded-for" | "proxy_protocol" | "forwarded" => work.ledger.carried(id),
                other => work.ledger.unsupported(
                    id,
                    format!("trusted proxies name clients by X-Forwarded-For or Forwarded, and not by {other}"),
                ),
            },
            "real_ip_recursive" => work.ledger.differs(id, "the last address that is no trusted proxy's counts"),
            "access_log" => log(work, directive),
            _ => {}
        }
    }
}

fn log(work: &mut Work<'_>, directive: &Directive) {
    let id = directive.id;
    let path = directive.argument(0);
    if path == "off" {
        return work.ledger.differs(id, "`access_log.except_routes` leaves routes out");
    }
    let log = &mut work.draft.single("access_log").table;
    if path.is_empty() || path.ends_with('/') || path.contains('$') {
        return work.ledger.unsupported(id, "the access log is one file: `access_log.path`");
    }
    let place = match path {
        "/dev/stdout" | "/dev/stderr" => "stdout",
        path => path,
    };
    if let Some(rest) = path.strip_prefix("syslog:") {
        let server = rest.split(',').find_map(|part| part.strip_prefix("server=")).unwrap_or_default();
        let to = match server.strip_prefix("unix:") {
            Some(path) => format!("unix:{path}"),
            None if server.contains(':') => format!("udp://{server}"),
            None => format!("udp://{server}:514"),
        };
        if log.is_empty() {
            log.set("syslog", Table::new().with("to", to));
            log.set("format", "combined");
        }
        return work.ledger.carried(id);
    }
    match log.text("path").map(str::to_owned) {
        None if log.get("syslog").is_none() => {
            log.set("path", place);
            log.set("format", "combined");
            work.ledger.carried(id);
        }
        Some(before) if before == place => work.ledger.carried(id),
        _ => work.ledger.unsupported(
            id,
            "the access log has one place, which is named already; its records say listener and route",
        ),
    }
    if directive.arguments.len() > 1 {
        work.ledger.differs(id, "its form is \"combined\": `access_log.format` takes a template with fields in braces");
    }
}

fn tls(work: &mut Work<'_>, on: &[(&Server, bool)], table: &mut Table) {
    let mut certificates: Vec<Value> = Vec::new();
    let mut by_name: Vec<Value> = Vec::new();
    let mut modern = true;
    // Of two servers with one name the first counts.
    let mut said: Vec<String> = Vec::new();
    let ordered = on.iter().filter(|(_, default)| *default).chain(on.iter().filter(|(_, default)| !*default));
    for (server, _) in ordered {
        let one = |name: &str| server.directives.iter().filter(|directive| directive.name == name).collect::<Vec<_>>();
        let keys = one("ssl_certificate_key");
        for (place, directive) in one("ssl_certificate").iter().enumerate() {
            let mut certificate = Table::new().with("cert", directive.argument(0));
            work.ledger.carried(directive.id);
            if let Some(key) = keys.get(place) {
                work.ledger.carried(key.id);
                if !key.argument(0).is_empty() && key.argument(0) != directive.argument(0) {
                    certificate.set("key", key.argument(0));
                }
            }
            if !certificates.contains(&certificate.clone().into()) {
                certificates.push(certificate.into());
            }
        }
        let protocols = one("ssl_protocols");
        protocols.iter().for_each(|directive| work.ledger.carried(directive.id));
        modern &= protocols.last().is_some_and(|directive| directive.arguments == ["TLSv1.3"]);
        for directive in one("ssl_reject_handshake") {
            table.below(&["tls"]).set("strict_sni", directive.argument(0) == "on");
            work.ledger.carried(directive.id);
        }
        for directive in one("ssl_session_tickets") {
            if directive.argument(0) == "off" {
                table.below(&["tls", "tickets"]).set("lifetime", "0s");
            }
            work.ledger.carried(directive.id);
        }
        for directive in one("ssl_verify_depth") {
            work.ledger.differs(directive.id, "a chain may be as long as it has to be");
        }
        let mut auth = Table::new();
        for directive in one("ssl_verify_client") {
            work.ledger.carried(directive.id);
            match directive.argument(0) {
                "on" => auth.set("mode", "required"),
                "optional" => auth.set("mode", "optional"),
                "optional_no_ca" => {
                    auth.set("mode", "optional");
                    work.ledger.differs(directive.id, "a certificate that is shown has to be good");
                }
                _ => {}
            }
        }
        for (name, key) in [("ssl_client_certificate", "ca"), ("ssl_crl", "crl")] {
            for directive in one(name) {
                work.ledger.carried(directive.id);
                auth.set(key, directive.argument(0));
            }
        }
        if auth.get("mode").is_some() {
            let fine = |name: &&String| !name.starts_with('~') && !name.ends_with('*');
            let plain: Vec<String> = server.names.iter().filter(fine).cloned().collect();
            let fresh: Vec<String> = plain.iter().filter(|name| !said.contains(*name)).cloned().collect();
            said.extend(fresh.iter().cloned());
            if on.len() == 1 || plain.is_empty() {
                table.below(&["tls"]).set("client_auth", auth);
            } else if !fresh.is_empty() {
                by_name.push(Table::new().with("names", fresh).with("client_auth", auth).into());
            }
        }
    }
    let tls = table.below(&["tls"]);
    tls.set("certificates", Value::List(certificates));
    if modern {
        tls.set("level", "modern");
    }
    if !by_name.is_empty() {
        tls.set("by_name", Value::List(by_name));
    }
}
