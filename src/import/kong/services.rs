//! Services and the upstreams behind them, as pools, and their routes.
//!
//! May depend on the readers of plugins and routes.

use super::Work;
use super::plugins::Plugins;
use super::routes::{self, Routes};
use super::tree::{Node, carried, others, unsupported};
use crate::import::draft::Table;
use crate::import::valid;

/// Where a service leads.
#[derive(Clone, Debug, Default)]
pub(super) struct Target {
    pub pool: Option<String>,
    /// What is put before paths.
    pub prefix: String,
    /// The Host that it is sent where that of the client is not kept.
    pub host: String,
    pub attempts: Option<i64>,
}

/// Reads a service with its routes.
pub(super) fn service(work: &mut Work<'_>, root: &Node, service: &Node, global: &Plugins, all: &mut Routes) {
    let known = [
        "name",
        "url",
        "protocol",
        "host",
        "port",
        "path",
        "retries",
        "connect_timeout",
        "read_timeout",
        "write_timeout",
        "routes",
        "plugins",
        "tls_verify",
        "ca_certificates",
        "client_certificate",
        "tls_verify_depth",
    ];
    others(&mut work.ledger, service, &known);
    if !service.flag_of("enabled", true) {
        return unsupported(&mut work.ledger, service, "a service that is disabled is left out");
    }
    let name = service.text_of("name").unwrap_or("service").to_owned();
    let target = target(work, service, &name);
    let mut plugins: Vec<&Node> = service.list_of("plugins").iter().collect();
    plugins.extend(root.list_of("plugins").iter().filter(|plugin| points(plugin, "service", &name)));
    let plugins = global.with(&plugins);
    let mut routes: Vec<&Node> = service.list_of("routes").iter().collect();
    routes.extend(root.list_of("routes").iter().filter(|route| points(route, "service", &name)));
    for route in routes {
        routes::read(work, root, route, &name, &target, &plugins, all);
    }
}

/// A route without a service: plugins answer it.
pub(super) fn alone(work: &mut Work<'_>, root: &Node, route: &Node, global: &Plugins, all: &mut Routes) {
    if route.get("service").is_none() {
        routes::read(work, root, route, "route", &Target::default(), global, all);
    }
}

/// Whether a thing belongs to another one that is called so.
pub(super) fn points(node: &Node, key: &str, name: &str) -> bool {
    node.get(key).is_some_and(|of| of.text() == Some(name) || of.text_of("name") == Some(name))
}

fn target(work: &mut Work<'_>, service: &Node, name: &str) -> Target {
    let (mut protocol, mut host, mut port, mut path) = (
        service.text_of("protocol").unwrap_or("http").to_owned(),
        service.text_of("host").unwrap_or_default().to_owned(),
        service.number_of("port"),
        service.text_of("path").unwrap_or_default().to_owned(),
    );
    let at = if service.get("url").is_some() { service.line_of("url") } else { service.line_of("host") };
    if let Some(url) = service.text_of("url")
        && let Some((scheme, rest)) = url.split_once("://")
    {
        protocol = scheme.to_owned();
        let (authority, rest) = rest.find('/').map_or((rest, ""), |place| rest.split_at(place));
        path = rest.to_owned();
        match authority.rsplit_once(':').map(|(host, port)| (host, port.parse::<i64>())) {
            Some((name, Ok(number))) => {
                host = name.to_owned();
                port = Some(number);
            }
            _ => host = authority.to_owned(),
        }
    }
    if host.is_empty() {
        work.ledger.unsupported(service.line, "a service leads to a `host` or a `url`: requests get 503");
        return Target::default();
    }
    let secure = ["https", "grpcs", "tls", "wss"].contains(&protocol.as_str());
    if ["tcp", "udp", "tls_passthrough"].contains(&protocol.as_str()) {
        work.ledger.unsupported(at, "streams have listeners of their own: a tcp or udp listener with a pool");
        return Target::default();
    }
    let port = port.unwrap_or(if secure { 443 } else { 80 }).clamp(1, 65_535);
    let mut table = match work.upstreams.get(&host).cloned() {
        Some(upstream) => pool_of(work, &upstream),
        None => {
            let mut table = Table::new();
            place(work, at, &format!("{host}:{port}"), None, &mut table);
            table
        }
    };
    if table.get("targets").is_none() && table.get("discover").is_none() {
        work.ledger.unsupported(at, "no target of it can be used: requests get 503");
        return Target::default();
    }
    if protocol.starts_with("grpc") {
        table.set("protocol", "h2");
    }
    if secure {
        let mut tls = Table::new();
        if !service.flag_of("tls_verify", false) {
            tls.set("verify", false);
        }
        table.set("tls", tls);
        for key in ["ca_certificates", "client_certificate"] {
            if service.get(key).is_some() {
                work.ledger.unsupported(service.line_of(key), "`tls.ca` and `tls.cert` of the pool name files");
            }
        }
    }
    for (key, names) in
        [("connect_timeout", &["connect"][..]), ("read_timeout", &["response_head", "response_idle"][..])]
    {
        let Some(time) = service.number_of(key) else { continue };
        let most = if key == "connect_timeout" { 3_600_000 } else { 86_400_000 };
        for name in names {
            table.below(&["timeouts"]).set(name, format!("{}ms", time.clamp(10, most)));
        }
    }
    if service.get("write_timeout").is_some() {
        work.ledger.differs(service.line_of("write_timeout"), "`timeouts.response_head` of the pool bounds it");
    }
    let attempts = service.number_of("retries").map(|tries| tries.clamp(0, 10));
    if service.number_of("retries").is_some_and(|tries| tries > 10) {
        work.ledger.differs(service.line_of("retries"), "10 tries beyond the first are the most");
    }
    let prefix = path.trim_end_matches('/').to_owned();
    let header = work.upstreams.get(&host).and_then(|upstream| upstream.text_of("host_header")).map(str::to_owned);
    let host = if host.parse::<std::net::IpAddr>().is_ok() { "target".to_owned() } else { header.unwrap_or(host) };
    let pool = work.draft.shared("pools", name, table);
    Target { pool: Some(pool), prefix, host, attempts }
}

/// Puts a target into a pool: an address as it is, a name as what the pool looks for.
fn place(work: &mut Work<'_>, line: usize, target: &str, weight: Option<i64>, table: &mut Table) {
    let (host, port) = match target.rsplit_once(':').map(|(host, port)| (host, port.parse::<u16>())) {
        Some((host, Ok(port))) => (host, port),
        _ => (target, 8000),
    };
    let address = match host.trim_matches(['[', ']']).parse::<std::net::IpAddr>() {
        Ok(ip) => std::net::SocketAddr::new(ip, port).to_string(),
        Err(_) if !valid::host(host) || port == 0 => {
            return work.ledger.unsupported(line, format!("`{target}` is no address and no name: write `HOST:PORT`"));
        }
        Err(_) if host == "localhost" => format!("localhost:{port}"),
        Err(_) if table.get("discover").is_none() => {
            let mut discover = Table::new().with("dns", host).with("port", i64::from(port));
            if let Some(weight) = weight {
                discover.set("weight", weight);
            }
            table.set("discover", discover);
            return;
        }
        Err(_) => match work.around.resolve(host) {
            Some(ip) => {
                work.ledger
                    .differs(line, "its name was looked up here and now: a pool looks for one name, by `discover`");
                std::net::SocketAddr::new(ip, port).to_string()
            }
            None => {
                return work.ledger.unsupported(
                    line,
                    "its name cannot be looked up here, and a pool looks for one name: write its address",
                );
            }
        },
    };
    if !valid::target(&address) {
        return work.ledger.unsupported(line, format!("nothing can be reached at `{address}`"));
    }
    match weight {
        Some(weight) => table.push("targets", Table::new().with("address", address).with("weight", weight)),
        None => table.push("targets", address),
    }
}

fn pool_of(work: &mut Work<'_>, upstream: &Node) -> Table {
    let mut table = Table::new();
    let weights: Vec<i64> =
        upstream.list_of("targets").iter().map(|target| target.number_of("weight").unwrap_or(100)).collect();
    let equal = weights.windows(2).all(|pair| pair.first() == pair.last()) && weights.first() != Some(&0);
    let most = weights.iter().copied().max().unwrap_or(0).max(1);
    for target in upstream.list_of("targets") {
        let weight = target.number_of("weight").unwrap_or(100);
        // Weights go up to 256 here.
        let weight = if most > 256 { ((weight * 256 + most - 1) / most).min(256) } else { weight };
        place(work, target.line, target.text_of("target").unwrap_or_default(), (!equal).then_some(weight), &mut table);
    }
    match upstream.text_of("algorithm").unwrap_or("round-robin") {
        "least-connections" => table.set("balance", "least-conn"),
        "latency" => table.set("balance", "latency"),
        "consistent-hashing" => {
            table.set("balance", "hash");
            let of = |key: &str| upstream.text_of(key).unwrap_or_default().to_owned();
            let key = match upstream.text_of("hash_on").unwrap_or("none") {
                "ip" => None,
                "header" => Some(format!("header:{}", of("hash_on_header").to_ascii_lowercase())),
                "cookie" => Some(format!("cookie:{}", of("hash_on_cookie"))),
                "query_arg" => Some(format!("query:{}", of("hash_on_query_arg"))),
                "path" => Some("path".to_owned()),
                other => {
                    work.ledger
                        .differs(upstream.line_of("hash_on"), format!("`{other}`: the client's address is hashed"));
                    None
                }
            };
            if let Some(key) = key {
                table.set("key", key);
            }
        }
        _ => table.set("balance", "round-robin"),
    }
    if let Some(checks) = upstream.get("healthchecks") {
        health(work, checks, &mut table);
    }
    table
}

fn health(work: &mut Work<'_>, checks: &Node, table: &mut Table) {
    if let Some(active) = checks.get("active") {
        let (good, bad) = (active.get("healthy"), active.get("unhealthy"));
        let intervals = [good, bad].into_iter().flatten().filter_map(|node| node.number_of("interval"));
        let interval = intervals.filter(|interval| *interval > 0).min().unwrap_or(0);
        if interval > 0 {
            let kind = active.text_of("type").unwrap_or("http");
            let mut health = Table::new().with(
                "type",
                if kind == "tcp" {
                    "tcp"
                } else if kind.starts_with("grpc") {
                    "grpc"
                } else {
                    "http"
                },
            );
            if kind.starts_with("http") {
                health.set("path", active.text_of("http_path").filter(|path| path.starts_with('/')).unwrap_or("/"));
                let mut codes = good.map(|good| good.texts_of("http_statuses")).unwrap_or_default();
                codes.retain(|code| valid::statuses(code));
                health.set("expect", if codes.is_empty() { "200, 302".to_owned() } else { codes.join(", ") });
            }
            if kind == "https" {
                health.set("tls", Table::new().with("verify", false));
            }
            health.set("interval", format!("{}s", interval.clamp(1, 3600)));
            if let Some(timeout) = active.number_of("timeout") {
                health.set("timeout", format!("{}s", timeout.clamp(1, 60)));
            }
            for (node, key, name) in [(good, "successes", "rise"), (bad, "http_failures", "fall")] {
                if let Some(count) = node.and_then(|node| node.number_of(key)).filter(|count| *count > 0) {
                    health.set(name, count.clamp(1, 100));
                }
            }
            table.set("health", health);
        }
        if bad.is_some() {
            work.ledger.differs(
                active.line_of("unhealthy"),
                "failures of all kinds count together; what is not expected is a failure",
            );
        }
    }
    if let Some(bad) = checks.get("passive").and_then(|passive| passive.get("unhealthy")) {
        let failures = ["http_failures", "tcp_failures", "timeouts"]
            .iter()
            .filter_map(|key| bad.number_of(key))
            .filter(|count| *count > 0)
            .min();
        if let Some(failures) = failures {
            table.set("outlier", Table::new().with("errors", failures.clamp(1, 10_000)));
            work.ledger.differs(bad.line, "errors in a row eject a target for a while, and it comes back by itself");
        }
    }
}

/// Says what became of upstreams.
pub(super) fn upstreams(work: &mut Work<'_>, root: &Node) {
    for upstream in root.list_of("upstreams") {
        let known = [
            "name",
            "algorithm",
            "hash_on",
            "hash_on_header",
            "hash_on_cookie",
            "hash_on_query_arg",
            "hash_fallback",
            "hash_on_cookie_path",
            "slots",
            "targets",
            "healthchecks",
            "host_header",
            "use_srv_name",
        ];
        others(&mut work.ledger, upstream, &known);
        for key in ["targets", "healthchecks"] {
            if let Some(node) = upstream.get(key) {
                carried(&mut work.ledger, node);
            }
        }
        if upstream.get("hash_fallback").is_some() {
            work.ledger.differs(upstream.line_of("hash_fallback"), "what has no such thing is spread by load");
        }
    }
}
