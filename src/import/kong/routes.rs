//! Routes, in the order in which Kong would match them.
//!
//! May depend on the readers of plugins.

use super::Work;
use super::plugins::Plugins;
use super::services::{Target, points};
use super::tree::{Node, carried, others, unsupported};
use crate::import::condition::{self, Cond, Fact, How, Match, Subject};
use crate::import::draft::Table;
use crate::import::valid;

/// All routes with how much goes before what.
#[derive(Default)]
pub(super) struct Routes(Vec<(Rank, String, Table)>);

/// How exact a route is, as Kong weighs it: kinds of fields, hosts without a star, headers, a regex, its priority, the length of the path.
type Rank = (usize, bool, usize, bool, i64, usize);

impl Routes {
    /// Writes them, the most exact with the highest priority.
    pub fn write(mut self, work: &mut Work<'_>) {
        self.0.sort_by(|(one, ..), (other, ..)| other.cmp(one));
        let count = self.0.len();
        for (place, (_, wanted, table)) in self.0.into_iter().enumerate() {
            let name = work.draft.name("routes", &wanted);
            let mut route = Table::new();
            if count > 1 {
                route.set("priority", i64::try_from(count - place).unwrap_or(0) * 10);
            }
            route.0.extend(table.0);
            work.draft.add("routes", &name, route, Vec::new());
        }
    }
}

/// Reads a route that leads to `target`.
pub(super) fn read(
    work: &mut Work<'_>,
    root: &Node,
    route: &Node,
    service: &str,
    target: &Target,
    around: &Plugins,
    all: &mut Routes,
) {
    let known = [
        "name",
        "protocols",
        "methods",
        "hosts",
        "paths",
        "headers",
        "snis",
        "sources",
        "destinations",
        "strip_path",
        "preserve_host",
        "regex_priority",
        "https_redirect_status_code",
        "path_handling",
        "request_buffering",
        "response_buffering",
        "plugins",
        "service",
        "expression",
        "priority",
    ];
    others(&mut work.ledger, route, &known);
    if route.get("expression").is_some() {
        return work.ledger.unsupported(route.line_of("expression"), "write it as `when` of a route: it is nearly CEL");
    }
    for key in ["protocols", "methods", "hosts", "paths", "headers", "snis", "sources"] {
        if let Some(node) = route.get(key) {
            carried(&mut work.ledger, node);
        }
    }
    if let Some(node) = route.get("destinations") {
        unsupported(
            &mut work.ledger,
            node,
            "the address that a client has dialled is no part of a route: use a listener for each",
        );
    }
    for key in ["request_buffering", "response_buffering"] {
        if route.get(key).is_some() {
            work.ledger.differs(
                route.line_of(key),
                "bodies stream both ways; `buffer` of a route holds them for slow clients",
            );
        }
    }
    if route.text_of("path_handling").is_some_and(|handling| handling != "v0") {
        work.ledger.differs(route.line_of("path_handling"), "paths are joined as with v0");
    }
    let name = route.text_of("name").unwrap_or(service).to_owned();
    let mut own: Vec<&Node> = route.list_of("plugins").iter().collect();
    own.extend(root.list_of("plugins").iter().filter(|plugin| points(plugin, "route", &name)));
    let plugins = around.with(&own);
    let strips = route.flag_of("strip_path", true);
    let paths = route.texts_of("paths");
    // What is stripped is one prefix, so that each has a route of its own.
    let groups: Vec<Vec<String>> = match paths.len() {
        0 => vec![Vec::new()],
        _ if strips => paths.into_iter().map(|path| vec![path]).collect(),
        _ => vec![paths],
    };
    for paths in groups {
        one(work, route, &name, target, &plugins, &paths, strips, all);
    }
}

#[expect(clippy::too_many_arguments, reason = "a route in its parts")]
fn one(
    work: &mut Work<'_>,
    route: &Node,
    name: &str,
    target: &Target,
    plugins: &Plugins,
    paths: &[String],
    strips: bool,
    all: &mut Routes,
) {
    let (cond, rank) = asked(work, route, paths);
    let mut table = match cond.lower() {
        Ok(lowered) => {
            let mut keys = lowered.keys;
            if let Some(when) = lowered.when {
                keys.set("when", when);
            }
            keys
        }
        Err(why) => return work.ledger.unsupported(route.line, why),
    };
    match protocols(work, route) {
        Some(listeners) => {
            let mut with = Table::new().with("listeners", listeners);
            with.0.append(&mut table.0);
            table = with;
        }
        None => return,
    }
    if let Some(code) = redirects(work, route) {
        let mut clear = table.clone();
        clear.set("listeners", vec!["http"]);
        match code {
            426 => clear.set("respond", Table::new().with("status", 426)),
            code => clear.set("redirect", Table::new().with("scheme", "https").with("status", code)),
        }
        all.0.push((rank, format!("{name}-https"), clear));
    }
    match &target.pool {
        Some(pool) => {
            table.set("pool", pool.clone());
            if let Some(attempts) = target.attempts {
                table.set("retry", Table::new().with("attempts", attempts));
            }
            if !route.flag_of("preserve_host", false) {
                table.set("host", target.host.clone());
            }
            rewritten(work, route, target, paths, strips, &mut table);
        }
        None => table.set("respond", Table::new().with("status", 503)),
    }
    plugins.apply(work, name, &mut table);
    all.0.push((rank, name.to_owned(), table));
}

/// What becomes of the path: what the route matched is taken away, and the service's own path put before.
fn rewritten(work: &mut Work<'_>, route: &Node, target: &Target, paths: &[String], strips: bool, table: &mut Table) {
    if strips && let [path] = paths {
        match path.strip_prefix('~') {
            None if path != "/" => {
                table.set("strip_prefix", path.trim_end_matches('/'));
                if !path.ends_with('/') {
                    work.ledger.differs(
                        route.line_of("paths"),
                        format!(
                            "of a path such as `{path}x` nothing is taken away: a prefix ends where a segment does"
                        ),
                    );
                }
            }
            None => {}
            Some(pattern) => {
                let whole = format!("^(?:{})/?(.*)$", pattern.trim_start_matches('^').trim_end_matches('$'));
                match regex::Regex::new(&whole) {
                    Ok(regex) => {
                        let rewrite = table.below(&["rewrite"]);
                        rewrite.set("match", whole);
                        rewrite.set("path", format!("/{{{}}}", regex.captures_len() - 1));
                    }
                    Err(_) => work.ledger.unsupported(
                        route.line_of("paths"),
                        "the regex is not understood: there are no look-arounds and no back-references",
                    ),
                }
            }
        }
    }
    if !target.prefix.is_empty() {
        table.below(&["rewrite"]).set("add_prefix", target.prefix.clone());
    }
}

/// What a request has to be, and how exact that is.
fn asked(work: &mut Work<'_>, route: &Node, paths: &[String]) -> (Cond, Rank) {
    let text = |subject: Subject, how, value: String| Cond::Fact(Fact::Text(subject, Match::new(how, vec![value])));
    let mut all = Vec::new();
    let hosts = route.texts_of("hosts");
    let plain = !hosts.is_empty() && hosts.iter().all(|host| !host.contains('*'));
    let host = |host: &String| {
        let host = host.split(':').next().unwrap_or(host).to_ascii_lowercase();
        match (host.strip_prefix('*'), host.strip_suffix('*')) {
            (Some(rest), _) => text(Subject::Host, How::Suffix, rest.to_owned()),
            (_, Some(rest)) => text(Subject::Host, How::Prefix, rest.to_owned()),
            _ => text(Subject::Host, How::Exact, host),
        }
    };
    if !hosts.is_empty() {
        all.push(Cond::any(hosts.iter().map(host)));
    }
    let methods = route.texts_of("methods");
    if let Some(method) = methods.iter().find(|method| !valid::method(method)) {
        all.push(Cond::Unknown(format!("no client sends the method `{method}`")));
    } else if !methods.is_empty() {
        all.push(Cond::Fact(Fact::Method(methods)));
    }
    let headers = route.get("headers").map(Node::pairs).unwrap_or_default();
    for (name, _, values) in headers {
        let value = |node: &Node| {
            let value = node.text()?;
            Some(match value.strip_prefix("~*") {
                Some(pattern) => text(Subject::Header(name.to_ascii_lowercase()), How::Regex, format!("(?i){pattern}")),
                None => Cond::Fact(Fact::Text(
                    Subject::Header(name.to_ascii_lowercase()),
                    Match { how: How::Exact, values: vec![value.to_owned()], any_case: true },
                )),
            })
        };
        all.push(Cond::any(values.items().iter().filter_map(value)));
    }
    let snis = route.texts_of("snis");
    if !snis.is_empty() {
        // In clear no name is asked for, and none is looked at.
        let clear = Cond::Fact(Fact::Tls).negate();
        all.push(Cond::any(snis.iter().map(|sni| text(Subject::Sni, How::Exact, sni.clone())).chain([clear])));
    }
    let range = |source: &Node| source.text_of("ip").and_then(crate::import::haproxy::network);
    for source in
        route.list_of("sources").iter().filter(|source| source.get("port").is_some() || range(source).is_none())
    {
        let why = "of clients the address is looked at, and not the port: it is no range of addresses";
        match route.list_of("sources").iter().any(|source| range(source).is_some()) {
            true => work.ledger.unsupported(source.line, why),
            false => work.ledger.opens(source.line, why),
        }
    }
    if hosts.iter().any(|host| host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok())) {
        work.ledger.differs(route.line_of("hosts"), "hosts are compared without their ports");
    }
    let sources: Vec<String> = route.list_of("sources").iter().filter_map(range).collect();
    if !sources.is_empty() {
        all.push(Cond::Fact(Fact::Client(sources)));
    }
    let path = |path: &String| match path.strip_prefix('~') {
        Some(pattern) => {
            let pattern = if pattern.starts_with('^') { pattern.to_owned() } else { format!("^{pattern}") };
            if let Err(why) = condition::regex(&pattern) {
                return Cond::Unknown(why);
            }
            text(Subject::Path, How::Regex, pattern)
        }
        None if path == "/" => Cond::Const(true),
        None if !condition::is_path(path) => {
            Cond::Unknown(format!("`{path}` is no path in the form that paths are matched in"))
        }
        None => text(Subject::Path, How::Prefix, path.clone()),
    };
    if !paths.is_empty() {
        all.push(Cond::any(paths.iter().map(path)));
    }
    let kinds = ["hosts", "methods", "headers", "snis", "sources", "paths"]
        .iter()
        .filter(|key| route.get(key).is_some())
        .count();
    let regex = paths.iter().any(|path| path.starts_with('~'));
    let longest = paths.iter().map(String::len).max().unwrap_or(0);
    (
        Cond::all(all),
        (
            kinds,
            plain,
            headers.len(),
            regex,
            route.number_of("regex_priority").unwrap_or(0),
            if regex { 0 } else { longest },
        ),
    )
}

/// The listeners that a route is on.
fn protocols(work: &mut Work<'_>, route: &Node) -> Option<Vec<&'static str>> {
    let said = route.texts_of("protocols");
    let clear = said.is_empty() || said.iter().any(|protocol| ["http", "grpc", "ws"].contains(&protocol.as_str()));
    let secure = said.is_empty() || said.iter().any(|protocol| ["https", "grpcs", "wss"].contains(&protocol.as_str()));
    if !clear && !secure {
        work.ledger.unsupported(
            route.line_of("protocols"),
            "streams have listeners of their own: a tcp or udp listener with a pool",
        );
        return None;
    }
    match (clear, secure, work.secure) {
        (true, true, true) => Some(vec!["http", "https"]),
        (true, _, _) => Some(vec!["http"]),
        (false, _, true) => Some(vec!["https"]),
        (false, _, false) => {
            work.ledger.differs(
                route.line_of("protocols"),
                "there are no certificates in the file: it is served in clear until a listener has `tls`",
            );
            Some(vec!["http"])
        }
    }
}

/// The status by which clients in clear are sent to TLS.
fn redirects(work: &mut Work<'_>, route: &Node) -> Option<i64> {
    let said = route.texts_of("protocols");
    let only = !said.is_empty() && said.iter().all(|protocol| ["https", "grpcs", "wss"].contains(&protocol.as_str()));
    let said = route.number_of("https_redirect_status_code");
    let code = said.filter(|code| [301, 302, 307, 308, 426].contains(code)).unwrap_or(426);
    if said.is_some_and(|said| said != code) {
        work.ledger.differs(
            route.line_of("https_redirect_status_code"),
            "it is 426: statuses are 301, 302, 307 and 308 beside it",
        );
    }
    (only && work.secure).then_some(code)
}
