//! A backend as a pool: its servers as targets, how they are chosen, reached and checked.
//!
//! May depend on the readers of servers, checks and stickiness.

use super::proxy::Proxy;
use super::server::{At, Server};
use super::{Work, checks, sticky, time};
use crate::import::draft::{Table, Value};
use crate::import::emit::ENV;
use crate::import::report::Ledger;
use crate::import::valid;

/// Makes the pool of a backend that has servers.
pub(super) fn pool(work: &mut Work<'_>, proxy: &Proxy) {
    if !proxy.backs || proxy.is_page() {
        return;
    }
    let lines = [proxy.lines("server"), proxy.lines("server-template")].concat();
    if lines.is_empty() {
        return;
    }
    let mut table = Table::new();
    let mut notes = Vec::new();
    let servers = servers(work, proxy);
    targets(work, proxy, &servers, &mut table);
    let ledger = &mut work.ledger;
    if table.is_empty() {
        servers.iter().for_each(|(server, _)| {
            ledger.differs(server.line, "no target of its pool can be used: what goes there gets 503")
        });
        return;
    }
    let all: Vec<Server> = servers.into_iter().map(|(server, _)| server).collect();
    balance(ledger, proxy, &mut table);
    reach(work, proxy, &all, &mut table, &mut notes);
    let ledger = &mut work.ledger;
    if let Some(health) = checks::health(ledger, proxy, &all) {
        table.set("health", health);
    }
    transitions(ledger, &all, &mut table);
    follow(work, &all, &mut table);
    let ledger = &mut work.ledger;
    if let Some(sticky) = sticky::sticky(ledger, proxy, &all) {
        table.set("sticky", sticky);
    }
    times(ledger, proxy, &all, &mut table);
    if let Some(line) = proxy.line("fullconn") {
        ledger.differs(
            line.id,
            "limits of targets do not grow and shrink with the load: `adaptive` of the pool has them follow latency",
        );
    }
    if let Some(line) = proxy.line("http-reuse") {
        match line.word(1) {
            "never" => {
                table.below(&["keepalive"]).set("max_idle", 0);
                ledger.carried(line.id);
            }
            _ => ledger.carried(line.id),
        }
    }
    let called = work.draft.name("pools", &proxy.name);
    work.draft.add("pools", &called, table, notes);
    work.pools.insert(proxy.name.clone(), called);
}

/// The servers, and of templates how many they are.
fn servers(work: &mut Work<'_>, proxy: &Proxy) -> Vec<(Server, Option<u32>)> {
    let defaults = proxy.line("default-server").map(|line| line.rest(1).to_vec()).unwrap_or_default();
    let port = match proxy.lines("bind") {
        [only] => only.word(1).rsplit_once(':').and_then(|(_, port)| port.parse().ok()),
        _ => None,
    };
    let ledger = &mut work.ledger;
    let servers = proxy.lines("server").iter().map(|line| (Server::read(ledger, line, &defaults, port), None));
    let mut all: Vec<(Server, Option<u32>)> = servers.collect();
    for line in proxy.lines("server-template") {
        let (server, count) = Server::template(ledger, line, &defaults, port);
        all.push((server, Some(count)));
    }
    all
}

fn targets(work: &mut Work<'_>, proxy: &Proxy, servers: &[(Server, Option<u32>)], table: &mut Table) {
    let mut list: Vec<Value> = Vec::new();
    let mut seen: Vec<String> = Vec::new();
    let mut works = false;
    let mut backups = 0;
    let mut found: Option<(String, u16)> = None;
    for (server, count) in servers {
        let address = match &server.at {
            At::Address(address) => address.clone(),
            At::Nowhere(why) => {
                work.ledger.unsupported(server.line, why.clone());
                continue;
            }
            At::Name(host, port) => match look_up(work, server, host, *port, *count, &mut found, table) {
                Some(address) => address,
                None => continue,
            },
        };
        if seen.contains(&address) {
            work.ledger
                .differs(server.line, "its address is in the pool already: give the first one the weight of both");
            continue;
        }
        seen.push(address.clone());
        let mut target = Table::new().with("address", address.clone());
        if server.has("backup") {
            backups += 1;
            target.set("backup", true);
            if backups == 2 && proxy.option("allbackups").is_none() {
                work.ledger
                    .differs(server.line, "all backups work when no other target is up, and not the first alone");
            }
        }
        if server.has("disabled") {
            target.set("weight", 0);
            work.ledger.differs(
                server.line,
                "it is there with a weight of 0: `ringway target set POOL TARGET --weight 1` has it work",
            );
        } else if let Some(weight) = server.value("weight").filter(|weight| weight.parse::<i64>().is_err()) {
            work.ledger.differs(server.line, format!("`weight {weight}` is no number, and left out"));
            works = true;
        } else if let Some(weight) = server.value("weight").and_then(|text| text.parse::<i64>().ok()) {
            if weight != 1 {
                target.set("weight", weight.clamp(0, 256));
            }
            works |= weight != 0;
        } else {
            works = true;
        }
        if let Some(most) = server.value("maxconn").and_then(|text| text.parse::<i64>().ok()).filter(|most| *most > 0) {
            target.set("max_in_flight", most.min(1_000_000));
        }
        if server.has("minconn") {
            work.ledger.differs(server.line, "`minconn`: limits of targets do not grow with the load; `adaptive` of the pool has them follow latency");
        }
        list.push(if target.0.len() == 1 { Value::Text(address) } else { target.into() });
    }
    if let Some(line) = proxy.option("allbackups") {
        work.ledger.carried(line.id);
    }
    let finds = table.get("discover").is_some();
    if !list.is_empty() && (works || finds) {
        let mut with_targets = Table::new().with("targets", Value::List(list));
        with_targets.0.append(&mut table.0);
        *table = with_targets;
    }
}

/// The address of a name that is to be looked up here and now, or nothing where the pool itself looks for it.
fn look_up(
    work: &mut Work<'_>,
    server: &Server,
    host: &str,
    port: u16,
    count: Option<u32>,
    found: &mut Option<(String, u16)>,
    table: &mut Table,
) -> Option<String> {
    if found.is_none() && !host.contains(ENV.0) {
        *found = Some((host.to_owned(), port));
        let mut discover = Table::new();
        if host.starts_with('_') {
            discover.set("srv", host);
        } else {
            discover.set("dns", host);
            discover.set("port", i64::from(port));
        }
        match server.value("resolve-prefer") {
            Some("ipv6") => discover.set("family", "prefer-ipv6"),
            _ if count.is_some() => discover.set("family", "both"),
            _ => {}
        }
        if server.value("resolve-prefer") == Some("ipv4") {
            discover.set("family", "prefer-ipv4");
        }
        if let Some(servers) =
            server.value("resolvers").and_then(|name| work.resolvers.get(name)).filter(|list| !list.is_empty())
        {
            discover.set("servers", servers.clone());
        }
        if let Some(count) = count {
            discover.set("max_targets", i64::from(count));
        }
        if server.has("backup") {
            discover.set("backup", true);
        }
        for (word, key) in [("maxconn", "max_in_flight"), ("weight", "weight")] {
            let number = server.value(word).and_then(|text| text.parse::<i64>().ok()).filter(|number| *number > 0);
            if let Some(number) = number.filter(|_| !(key == "weight" && host.starts_with('_'))) {
                discover.set(key, number.min(if key == "weight" { 256 } else { 1_000_000 }));
            }
        }
        table.set("discover", discover);
        if count.is_none() {
            work.ledger.differs(
                server.line,
                "its name is asked for again when its TTL is over, and all of its addresses are targets",
            );
        }
        return None;
    }
    if *found == Some((host.to_owned(), port)) {
        work.ledger.differs(server.line, "its name is looked up already: all of its addresses are targets");
        return None;
    }
    match work.around.resolve(host) {
        Some(address) => {
            work.ledger
                .differs(server.line, "its name was looked up here and now: a pool looks for one name, by `discover`");
            Some(std::net::SocketAddr::new(address, port).to_string())
        }
        None => {
            work.ledger.unsupported(server.line, "its name cannot be looked up here, and a pool looks for one name: write its address, or one name for all servers");
            None
        }
    }
}

fn balance(ledger: &mut Ledger, proxy: &Proxy, table: &mut Table) {
    let hash = |table: &mut Table, key: &str| {
        table.set("balance", "hash");
        if key != "client-ip" {
            table.set("key", key);
        }
    };
    let consistent = proxy.line("hash-type").is_some_and(|line| line.word(1) == "consistent");
    match proxy.line("balance") {
        None => table.set("balance", "round-robin"),
        Some(line) => {
            ledger.carried(line.id);
            let argument = |word: &str| {
                let inner = word.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')'));
                inner.unwrap_or_default().trim().to_ascii_lowercase()
            };
            let word = line.word(1);
            match word.split('(').next().unwrap_or_default() {
                "roundrobin" | "static-rr" => table.set("balance", "round-robin"),
                "leastconn" => table.set("balance", "least-conn"),
                "random" => table.set("balance", "random"),
                "source" => hash(table, "client-ip"),
                "uri" => {
                    hash(table, "path");
                    if line.words.len() > 2 {
                        ledger.differs(line.id, "the path as a whole counts, without the query");
                    }
                }
                "url_param" if !line.word(2).is_empty() => hash(table, &format!("query:{}", line.word(2))),
                "hdr" if valid::token(&argument(word)) => hash(table, &format!("header:{}", argument(word))),
                "hash" => match hashed(line.word(2)) {
                    Some(key) => hash(table, &key),
                    None => {
                        table.set("balance", "round-robin");
                        ledger.unsupported(line.id, "`key` hashes the client's address, the path, a header, a cookie or a parameter of the query: it goes in turn");
                    }
                },
                "first" => {
                    table.set("balance", "least-conn");
                    ledger.unsupported(line.id, "there is no `first`: the target with the least in flight is taken");
                }
                other => {
                    table.set("balance", "round-robin");
                    ledger.unsupported(line.id, format!("there is no `{other}`: it goes in turn"));
                }
            }
            if table.text("balance") == Some("hash") && !consistent {
                ledger.differs(
                    line.id,
                    "it is always consistent: when a target comes or goes, the others keep their clients",
                );
            }
        }
    }
    if let Some(line) = proxy.line("hash-type") {
        match consistent {
            true => ledger.carried(line.id),
            false => ledger.differs(line.id, "`balance = \"hash\"` is always consistent"),
        }
    }
    if let Some(line) = proxy.line("hash-balance-factor") {
        ledger.differs(line.id, "loads are bounded by a factor of Ringway's own");
    }
}

fn hashed(sample: &str) -> Option<String> {
    let pieces = super::sample::pieces(sample);
    let first = pieces.first()?;
    let argument = first.argument.to_ascii_lowercase();
    Some(match first.name.as_str() {
        "src" => "client-ip".to_owned(),
        "path" | "url" => "path".to_owned(),
        "hdr" | "req.hdr" | "req.fhdr" => format!("header:{argument}"),
        "cook" | "req.cook" => format!("cookie:{}", first.argument),
        "url_param" | "urlp" => format!("query:{}", first.argument),
        _ => return None,
    })
}

/// What of servers' words is said once for a pool: TLS, the PROXY protocol, the protocol, addresses to go out by.
fn reach(work: &mut Work<'_>, proxy: &Proxy, servers: &[Server], table: &mut Table, notes: &mut Vec<String>) {
    let globals = work.globals.clone();
    let ledger = &mut work.ledger;
    let Some(first) = servers.first() else { return };
    for server in servers {
        for word in [
            "ssl",
            "send-proxy",
            "send-proxy-v2",
            "send-proxy-v2-ssl",
            "send-proxy-v2-ssl-cn",
            "verify",
            "ca-file",
            "sni",
            "alpn",
            "proto",
            "crt",
            "source",
            "slowstart",
        ] {
            if server.value(word) != first.value(word) {
                ledger.differs(
                    server.line,
                    format!("`{word}` is said once for all targets of a pool: as `{}` has it", first.name),
                );
            }
        }
    }
    if first.has("send-proxy") {
        table.set("send_proxy", "v1");
    } else if first.has("send-proxy-v2") || first.has("send-proxy-v2-ssl") || first.has("send-proxy-v2-ssl-cn") {
        table.set("send_proxy", "v2");
    }
    if first.has("ssl") {
        tls(ledger, proxy, first, &globals, table, notes);
    }
    let alpn: Vec<&str> = first.value("alpn").map(|list| list.split(',').collect()).unwrap_or_default();
    let h2 = first.value("proto") == Some("h2") || alpn == ["h2"];
    if proxy.http && h2 {
        table.set("protocol", "h2");
    } else if proxy.http && alpn.contains(&"h2") && first.has("ssl") {
        table.set("protocol", "alpn");
    }
    if matches!(first.value("proto"), Some(other) if other != "h2" && other != "h1") {
        ledger.differs(first.line, "HTTP/1.1 is spoken");
    }
    match first.value("source").map(|source| source.split(':').next().unwrap_or_default()) {
        _ if first.value("usesrc").is_some_and(|who| who.starts_with("client")) => table.set("source", "client"),
        Some(source) if source.parse::<std::net::IpAddr>().is_ok() && source != "0.0.0.0" => {
            table.set("source", vec![source])
        }
        Some(_) => ledger.differs(first.line, "`source`: an IP address is taken"),
        None => {}
    }
    if let Some(line) = proxy.line("source") {
        match line.word(1).parse::<std::net::IpAddr>() {
            Ok(_) if line.words.len() == 2 => {
                table.set("source", vec![line.word(1)]);
                ledger.carried(line.id);
            }
            _ => ledger.unsupported(line.id, "`source` of a pool takes addresses, or \"client\" for the client's own"),
        }
    }
    if let Some(interface) = first.value("interface") {
        table.set("interface", interface);
    }
    if first.has("tfo") {
        table.below(&["tcp"]).set("fast_open", true);
    }
    for option in ["tcpka", "srvtcpka"] {
        if proxy.option(option).is_some() {
            table.below(&["tcp"]).set("keepalive", Table::new());
        }
    }
    if let Some(time) = first.value("tcp-ut").and_then(time::milliseconds).filter(|time| *time >= 10) {
        table.below(&["tcp"]).set("user_timeout", time::duration(time.min(86_400_000)));
    }
    if let Some(most) = first.value("pool-max-conn").and_then(|text| text.parse::<i64>().ok()).filter(|most| *most >= 0)
    {
        table.below(&["keepalive"]).set("max_idle", most.min(65_536));
    }
    if let Some(idle) = first.value("pool-purge-delay").and_then(time::milliseconds) {
        table.below(&["keepalive"]).set("idle", time::duration(idle.clamp(10, 3_600_000)));
    }
    if let Some(length) =
        servers.iter().filter_map(|server| server.value("maxqueue")?.parse::<i64>().ok()).filter(|n| *n > 0).max()
    {
        table.set("queue", Table::new().with("length", length.min(1_000_000)));
    }
}

fn tls(
    ledger: &mut Ledger,
    proxy: &Proxy,
    first: &Server,
    globals: &super::global::Globals,
    table: &mut Table,
    notes: &mut Vec<String>,
) {
    let mut tls = Table::new();
    let below = |base: &Option<String>, path: &str| match base {
        Some(base) if !path.starts_with('/') && !path.starts_with(ENV.0) => {
            format!("{}/{path}", base.trim_end_matches('/'))
        }
        _ => path.to_owned(),
    };
    let verify = match first.value("verify") {
        Some("none") => false,
        Some(_) => true,
        None => first.has("ca-file") || !globals.unverified,
    };
    if !verify {
        tls.set("verify", false);
        notes.push("Whoever is on the way to these targets can read and change everything: `ca` names whose certificates are taken.".to_owned());
    } else if let Some(ca) = first.value("ca-file").filter(|ca| *ca != "@system-ca") {
        tls.set("ca", below(&globals.ca_base, ca));
    }
    if verify && first.value("verify").is_none() && first.value("ca-file").is_none() {
        ledger.differs(first.line, "targets prove their names by what the system trusts");
    }
    if let Some(cert) = first.value("crt") {
        tls.set("cert", below(&globals.crt_base, cert));
    }
    let name = first.value("verifyhost").map(str::to_owned).or_else(|| {
        let sni = first.value("sni")?;
        let text = sni.strip_prefix("str(").and_then(|rest| rest.strip_suffix(')'))?;
        Some(text.trim_matches('\'').to_owned())
    });
    match name {
        Some(name) => tls.set("sni", name),
        // By default it is the name of the request, which is what nearly all of these are.
        None if first.value("sni").is_some_and(|sni| !sni.contains("host") && !sni.contains("ssl_fc_sni")) => {
            ledger.differs(first.line, "`sni`: the name of the request's host is asked for");
        }
        None => {}
    }
    let alpn: Vec<&str> = first.value("alpn").map(|list| list.split(',').collect()).unwrap_or_default();
    if !proxy.http && !alpn.is_empty() {
        tls.set("alpn", alpn);
    }
    if first.value("ssl-min-ver") == Some("TLSv1.3") || first.has("force-tlsv13") {
        tls.set("level", "modern");
    }
    table.set("tls", tls);
}

/// What becomes of connections when targets come and go, and what live traffic says of them.
fn transitions(ledger: &mut Ledger, servers: &[Server], table: &mut Table) {
    let any = |word: &str, value: &str| servers.iter().any(|server| server.value(word) == Some(value));
    if any("on-marked-down", "shutdown-sessions") {
        table.set("on_down", "close");
    }
    if any("on-marked-up", "shutdown-backup-sessions") {
        table.set("on_up", "close-backups");
    }
    let slow = servers.iter().find_map(|server| server.value("slowstart").and_then(time::milliseconds));
    if let Some(slow) = slow.filter(|slow| *slow > 0) {
        table.set("slow_start", time::duration(slow.clamp(100, 3_600_000)));
    }
    if let Some(server) = servers.iter().find(|server| server.has("observe")) {
        let errors = server.value("error-limit").and_then(|text| text.parse::<i64>().ok()).unwrap_or(10);
        table.set("outlier", Table::new().with("errors", errors.clamp(1, 10_000)));
        ledger
            .differs(server.line, "`observe`: errors in a row eject a target for a while, and do not wait for a check");
    }
    if let Some(server) = servers.iter().find(|server| server.has("agent-check")) {
        let Some(port) = server.value("agent-port").and_then(|text| text.parse::<u16>().ok()) else {
            return ledger.differs(server.line, "`agent-check`: no port is said, and no agent asked");
        };
        let mut agent = Table::new().with("port", i64::from(port));
        if let Some(inter) = server.value("agent-inter").and_then(time::milliseconds) {
            agent.set("interval", time::duration(inter.clamp(100, 3_600_000)));
        }
        if let Some(address) = server.value("agent-addr").filter(|text| text.parse::<std::net::IpAddr>().is_ok()) {
            agent.set("address", address);
        }
        if let Some(send) = server.value("agent-send") {
            agent.set("send", send);
        }
        table.set("agent", agent);
    }
}

/// `track` of servers: the pool whose targets these are as healthy as.
fn follow(work: &mut Work<'_>, servers: &[Server], table: &mut Table) {
    let Some(tracked) = servers.iter().find_map(|server| server.value("track")) else { return };
    let backend = tracked.split('/').next().unwrap_or_default();
    let checked =
        work.pools.get(backend).filter(|_| table.get("health").is_none() && table.get("agent").is_none()).cloned();
    for server in servers.iter().filter(|server| server.has("track")) {
        match &checked {
            Some(_) => work.ledger.differs(server.line, "`track`: each target follows the one at its address"),
            None => work.ledger.differs(
                server.line,
                "`track`: it follows nobody; a pool that is checked, and stands before it, can be followed",
            ),
        }
    }
    if let Some(pool) = checked {
        table.set("track", pool);
    }
}

fn times(ledger: &mut Ledger, proxy: &Proxy, servers: &[Server], table: &mut Table) {
    let mut times = Table::new();
    let mut put = |ledger: &mut Ledger, key: &str, id, said: u64, most: u64| {
        let (kept, note) = time::within(said, 10, most);
        times.set(key, time::duration(kept));
        note.into_iter().for_each(|note| ledger.differs(id, note));
    };
    const HOUR: u64 = 3_600_000;
    if let Some((id, time)) = proxy.timeout("connect") {
        put(ledger, "connect", id, time, HOUR);
    }
    // Who waits for a server does so as long as a connect may take, unless it is said.
    let waits = servers.iter().any(|server| server.value("maxconn").is_some_and(|most| most != "0"));
    if let Some((id, time)) = proxy.timeout("queue").or(proxy.timeout("connect")).filter(|_| waits) {
        put(ledger, "queue", id, time, HOUR);
    }
    if proxy.http {
        if let Some((id, time)) = proxy.timeout("server") {
            put(ledger, "response_head", id, time, 24 * HOUR);
            put(ledger, "response_idle", id, time, 24 * HOUR);
        }
        if let Some((id, time)) = proxy.timeout("tunnel") {
            put(ledger, "tunnel", id, time, 720 * HOUR);
        }
    } else {
        let both = [proxy.timeout("server"), proxy.timeout("client")].into_iter().flatten();
        if let Some((id, time)) = proxy.timeout("tunnel").or(both.min_by_key(|(_, time)| *time)) {
            put(ledger, "tunnel", id, time, 720 * HOUR);
        }
    }
    if !times.is_empty() {
        table.set("timeouts", times);
    }
}
