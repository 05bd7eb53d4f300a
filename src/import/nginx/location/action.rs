//! What a location does with requests: pass them on, answer them, send files; and who may ask, how often, with which headers.
//!
//! May depend on texts with variables, and the pools of upstreams.

mod beside;
mod early;

use super::{Kind, Location, branch};
use crate::import::condition::{Cond, is_path};
use crate::import::draft::{Table, Value};
use crate::import::nginx::tree::Directive;
use crate::import::nginx::{Work, text, upstream};
use crate::import::valid;
pub(super) use beside::answers;
use beside::beside;

/// Where a location is.
pub(in crate::import::nginx) struct At<'a> {
    pub name: &'a str,
    pub host: &'a Cond,
    pub secure: bool,
    /// Whether X-Forwarded-For and its kin are told anyway.
    pub forwards: bool,
    pub server: &'a [Directive],
}

/// Whether locations look at a directive.
pub(in crate::import::nginx) fn is_looked_at(directive: &Directive) -> bool {
    [
        "location",
        "return",
        "rewrite",
        "if",
        "try_files",
        "proxy_pass",
        "alias",
        "root",
        "index",
        "proxy_set_header",
        "add_header",
        "proxy_hide_header",
        "proxy_connect_timeout",
        "proxy_read_timeout",
        "proxy_send_timeout",
        "proxy_next_upstream",
        "proxy_next_upstream_tries",
        "proxy_next_upstream_timeout",
        "proxy_cache",
        "proxy_cache_valid",
        "proxy_cache_key",
        "proxy_cache_use_stale",
        "proxy_redirect",
        "proxy_intercept_errors",
        "client_max_body_size",
        "allow",
        "deny",
        "auth_basic",
        "auth_basic_user_file",
        "auth_request",
        "auth_request_set",
        "limit_req",
        "limit_conn",
        "limit_rate",
        "expires",
        "gzip",
        "gzip_types",
        "gzip_min_length",
        "gzip_comp_level",
        "gzip_static",
        "brotli_static",
        "error_page",
        "proxy_ssl_verify",
        "proxy_ssl_trusted_certificate",
        "proxy_ssl_name",
        "proxy_ssl_certificate",
        "proxy_ssl_certificate_key",
        "grpc_pass",
        "grpc_set_header",
        "grpc_read_timeout",
        "internal",
        "limit_except",
        "set",
        "break",
    ]
    .contains(&directive.name.as_str())
}

/// Puts the route of a location behind `all`.
#[expect(clippy::too_many_arguments, reason = "where a location is, in its parts")]
pub(super) fn route(
    work: &mut Work<'_>,
    at: &At<'_>,
    kind: &Kind,
    path: &Cond,
    directives: &[Directive],
    named: &[Location],
    locations: &[Location],
    all: &mut Vec<(String, Table)>,
) -> Result<(), String> {
    let mut route = match Cond::all([at.host.clone(), path.clone()]).lower() {
        Ok(lowered) => {
            let mut keys = lowered.keys;
            if let Some(when) = lowered.when {
                keys.set("when", when);
            }
            // A prefix that ends with a slash is one of ours.
            if let Kind::Prefix(prefix, _) = kind
                && prefix.ends_with('/')
                && prefix.len() > 1
                && is_path(prefix)
            {
                keys.set("paths", vec![prefix.clone()]);
            }
            keys
        }
        Err(why) => return Err(why),
    };
    for directive in directives.iter().filter(|directive| directive.name == "if") {
        early::conditional(work, at, path, directive, directives, all);
    }
    for directive in directives.iter().filter(|directive| directive.name == "rewrite" && branch::redirects(directive)) {
        early::moved(work, at, path, directive, all);
    }
    for directive in directives.iter().filter(|directive| directive.name == "limit_except") {
        early::excepted(work, at, path, directive, all);
    }
    let ends = end(work, at, kind, directives, named, locations, &mut route);
    beside(work, directives, locations, ends, &mut route);
    if ends.is_none() {
        route.set("respond", Table::new().with("status", if passes(directives) { 502 } else { 404 }));
    }
    if ends != Some(End::Pool) {
        without_pool(work, directives, ends == Some(End::Files), &mut route);
    }
    let last = match kind {
        Kind::Exact(path) | Kind::Prefix(path, _) => path.trim_matches('/').replace('/', "-"),
        Kind::Regex(..) => "regex".to_owned(),
        Kind::Named(name) => name.trim_start_matches('@').to_owned(),
    };
    all.push((if last.is_empty() { at.name.to_owned() } else { format!("{}-{last}", at.name) }, route));
    Ok(())
}

/// Whether a location would have passed requests on.
fn passes(directives: &[Directive]) -> bool {
    let all = ["proxy_pass", "grpc_pass", "fastcgi_pass", "uwsgi_pass", "scgi_pass", "memcached_pass"];
    directives.iter().any(|directive| all.contains(&directive.name.as_str()))
}

/// Takes out of a route what is about targets, where it has none.
fn without_pool(work: &mut Work<'_>, directives: &[Directive], files: bool, route: &mut Table) {
    if route.get("rewrite").is_some() {
        for directive in
            directives.iter().filter(|directive| directive.name == "rewrite" && !branch::redirects(directive))
        {
            work.ledger.unsupported(
                directive.id,
                "no target is behind it that would be asked for another path: write a location for what it leads to",
            );
        }
    }
    for key in ["rewrite", "limits", "retry", "cache", "compress", "host", "request"] {
        route.remove(key);
    }
    if !files {
        route.remove("strip_prefix");
    }
}

/// How a route ends.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum End {
    Pool,
    Answer,
    Files,
}

fn end(
    work: &mut Work<'_>,
    at: &At<'_>,
    kind: &Kind,
    directives: &[Directive],
    named: &[Location],
    locations: &[Location],
    route: &mut Table,
) -> Option<End> {
    let one = |name: &str| directives.iter().rfind(|directive| directive.name == name);
    if let Some(directive) = one("return") {
        match branch::returned(directive) {
            Ok(mut table) => {
                work.ledger.carried(directive.id);
                branch::silence_note(work, directive);
                let kind = one("default_type").map(|kind| kind.argument(0)).filter(|kind| valid::media_type(kind));
                if let (Some(Value::Table(respond)), Some(kind)) = (table.get("respond").cloned(), kind)
                    && respond.get("body").is_some()
                {
                    table.set("respond", respond.with("content_type", kind));
                }
                route.0.extend(table.0);
            }
            Err(why) => {
                work.ledger.unsupported(directive.id, why);
                route.set("respond", Table::new().with("status", 403));
            }
        }
        return Some(End::Answer);
    }
    for directive in directives.iter().filter(|directive| directive.name == "rewrite" && !branch::redirects(directive))
    {
        rewrite(work, directive, route);
    }
    for directive in directives.iter().filter(|directive| ["set", "break"].contains(&directive.name.as_str())) {
        work.ledger.differs(directive.id, "variables stand for what they are set to in `proxy_pass` alone");
    }
    if let Some(directive) = one("proxy_pass").or(one("grpc_pass")) {
        return pass(work, at, kind, directive, directives, route).then_some(End::Pool);
    }
    let files = one("try_files");
    let root = one("alias").or(one("root"));
    let Some(root) = root else {
        if let Some(files) = files {
            work.ledger.unsupported(files.id, "no `root` is said");
        }
        return None;
    };
    if root.argument(0).contains('$') {
        work.ledger.unsupported(root.id, "a folder is a fixed one: a route for each, with `files`");
        return None;
    }
    work.ledger.carried(root.id);
    let mut table = Table::new().with("root", root.argument(0).trim_end_matches('/'));
    if root.name == "alias" {
        match kind {
            Kind::Prefix(prefix, _) if prefix.len() > 1 => route.set("strip_prefix", prefix.trim_end_matches('/')),
            Kind::Prefix(..) => {}
            _ => work.ledger.differs(root.id, "the path is looked for below it"),
        }
    }
    if let Some(index) = one("index") {
        table.set(
            "index",
            index
                .arguments
                .iter()
                .filter(|name| !name.is_empty() && !name.contains(['/', '$']))
                .cloned()
                .collect::<Vec<_>>(),
        );
        work.ledger.carried(index.id);
    }
    if one("gzip_static").or(one("brotli_static")).is_some_and(|directive| directive.argument(0) != "off") {
        table.set("precompressed", true);
    }
    if let Some(files) = files {
        work.ledger.carried(files.id);
        match files.arguments.last().map(String::as_str) {
            Some(last) if last.starts_with('@') => {
                match named.iter().find(|location| location.kind == Kind::Named(last.to_owned())) {
                    Some(location) => {
                        let directives = location.directives.clone();
                        if let Some(directive) = directives.iter().find(|directive| directive.name == "proxy_pass") {
                            pass(work, at, &location.kind, directive, &directives, route);
                        } else {
                            work.ledger.unsupported(files.id, format!("`{last}` passes nothing on"));
                        }
                    }
                    None => work.ledger.unsupported(files.id, format!("there is no `{last}`")),
                }
            }
            Some(last) if last.starts_with('=') => {}
            Some(last) if last.starts_with('/') && leads_elsewhere(last, kind, locations) => {
                work.ledger.unsupported(files.id, format!("`{last}` is looked for in another location: name a file below `root`, or the location by `@NAME`"));
            }
            Some(last) if last.starts_with('/') && !last.contains('$') => {
                table.set("fallback", last.split('?').next().unwrap_or(last))
            }
            Some(last) if last.starts_with('/') => {
                table.set("fallback", last.split(['?', '$']).next().unwrap_or(last));
                work.ledger.differs(files.id, "what is sent in place of what is not there has a fixed path");
            }
            _ => {}
        }
    }
    route.set("files", table);
    Some(if route.get("pool").is_some() { End::Pool } else { End::Files })
}

/// Whether nginx would find another location for what is sent in place of what is not there, which is more than a file below the same root.
fn leads_elsewhere(last: &str, kind: &Kind, locations: &[Location]) -> bool {
    let path = last.split(['?', '$']).next().unwrap_or(last);
    let takes = |location: &&Location| match &location.kind {
        Kind::Exact(exact) => exact == path,
        Kind::Prefix(prefix, _) => path.starts_with(prefix.as_str()),
        Kind::Regex(pattern, any_case) => regex::RegexBuilder::new(pattern)
            .case_insensitive(*any_case)
            .build()
            .is_ok_and(|regex| regex.is_match(path)),
        Kind::Named(_) => false,
    };
    // They stand in the order in which they are found.
    let Some(found) = locations.iter().find(takes) else { return false };
    let passes = found.own.iter().any(|directive| directive.name.ends_with("_pass") || directive.name == "return");
    found.kind != *kind && passes
}

/// `rewrite … break|last` in a location: another path for targets.
fn rewrite(work: &mut Work<'_>, directive: &Directive, route: &mut Table) {
    let (pattern, to) = (directive.argument(0), directive.argument(1));
    let id = directive.id;
    if let Err(why) = crate::import::condition::regex(pattern) {
        return work.ledger.unsupported(id, why);
    }
    if route.get("rewrite").is_some() {
        return work.ledger.unsupported(id, "a route rewrites once; rules of type transform go one after the other");
    }
    let (path, query) = to.split_once('?').unwrap_or((to, ""));
    let mut template = String::new();
    let mut rest = path;
    while let Some(place) = rest.find('$') {
        text::literal(&rest[..place], &mut template);
        rest = &rest[place + 1..];
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        if digits == 0 {
            return work.ledger.unsupported(id, "a new path is made of what the regex has captured");
        }
        template.push_str(&format!("{{{}}}", &rest[..digits]));
        rest = &rest[digits..];
    }
    text::literal(rest, &mut template);
    let groups = regex::Regex::new(pattern).map_or(0, |regex| regex.captures_len());
    if !template.starts_with(['/', '{']) || (groups..10).any(|number| to.contains(&format!("${number}"))) {
        return work.ledger.unsupported(id, format!("`{to}` is no path that `{pattern}` could give"));
    }
    let table = route.below(&["rewrite"]);
    table.set("match", pattern);
    table.set("path", template);
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let digits =
            value.strip_prefix('$').filter(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit()));
        let value = digits.map_or_else(|| value.to_owned(), |number| format!("{{{number}}}"));
        if value.contains('$') {
            work.ledger.differs(id, format!("`{pair}` is left out"));
            continue;
        }
        table.below(&["query", "append"]).set(name, value);
    }
    match directive.argument(2) {
        "break" => work.ledger.carried(id),
        _ => work.ledger.differs(id, "a location is not looked for again"),
    }
}

fn pass(
    work: &mut Work<'_>,
    at: &At<'_>,
    kind: &Kind,
    directive: &Directive,
    directives: &[Directive],
    route: &mut Table,
) -> bool {
    let id = directive.id;
    let mut url = directive.argument(0).to_owned();
    // A variable that is set to a text once is that text.
    for set in directives.iter().chain(at.server).filter(|other| other.name == "set") {
        url = url.replace(set.argument(0), set.argument(1));
        work.ledger.carried(set.id);
    }
    // The request's own URI is what goes on anyway.
    for own in ["$request_uri", "$uri$is_args$args"] {
        if let Some(place) = url.strip_suffix(own).filter(|place| !place.ends_with('/')) {
            url = place.to_owned();
        }
    }
    let (secure, rest) = match url.split_once("://") {
        Some(("http" | "grpc", rest)) => (false, rest),
        Some(("https" | "grpcs", rest)) => (true, rest),
        None if directive.name == "grpc_pass" => (false, url.as_str()),
        _ => {
            work.ledger.unsupported(id, "it leads to no URL of HTTP");
            return false;
        }
    };
    let (authority, uri) = match rest.strip_prefix("unix:").and_then(|path| path.split_once(':')) {
        Some((path, uri)) => (format!("unix:{path}"), uri.to_owned()),
        None => rest.find('/').filter(|_| !rest.starts_with("unix:")).map_or_else(
            || (rest.to_owned(), String::new()),
            |place| (rest[..place].to_owned(), rest[place..].to_owned()),
        ),
    };
    if authority.contains('$') {
        work.ledger.unsupported(
            id,
            "where it leads is made of a request: give each place a route, or find targets by `discover`",
        );
        return false;
    }
    let more = reach(work, directives, secure, directive.name == "grpc_pass");
    let (pool, host) = match upstream::pool(work, id, &authority, secure, more) {
        Ok(found) => found,
        Err(why) => {
            work.ledger.unsupported(id, why);
            return false;
        }
    };
    work.ledger.carried(id);
    route.set("pool", pool);
    // What stands behind the host takes the place of the location's prefix.
    match (kind, uri.as_str()) {
        (_, "") => {}
        (Kind::Prefix(prefix, _), uri) if is_path(uri) => match (prefix.strip_suffix('/'), uri.strip_suffix('/')) {
            (Some(from), Some(to)) => {
                if !from.is_empty() {
                    route.set("strip_prefix", from);
                }
                if !to.is_empty() {
                    route.below(&["rewrite"]).set("add_prefix", to);
                }
            }
            _ => {
                let rewrite = route.below(&["rewrite"]);
                rewrite.set("match", format!("^{}(.*)$", regex::escape(prefix)));
                rewrite.set("path", format!("{uri}{{1}}"));
            }
        },
        (Kind::Exact(_), uri) if is_path(uri) => route.below(&["rewrite"]).set("path", uri),
        (Kind::Regex(pattern, any_case), uri) => match captured(uri) {
            Some(path) => {
                let rewrite = route.below(&["rewrite"]);
                rewrite
                    .set("match", format!("{}{}", if *any_case { "(?i)" } else { "" }, pattern.replace("(?<", "(?P<")));
                rewrite.set("path", path);
                if !uri.ends_with("$is_args$args") {
                    work.ledger.differs(id, "the query goes along");
                }
            }
            None => work.ledger.differs(id, "the path goes on as it came"),
        },
        _ => work.ledger.differs(id, "the path goes on as it came"),
    }
    headers(work, at, directives, &host, route);
    true
}

/// A path that is made of what the regex of its location has captured, as a template.
fn captured(uri: &str) -> Option<String> {
    let mut path = String::new();
    let mut rest = uri.strip_suffix("$is_args$args").unwrap_or(uri);
    while let Some(place) = rest.find('$') {
        text::literal(&rest[..place], &mut path);
        rest = &rest[place + 1..];
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        if digits == 0 {
            return None;
        }
        path.push_str(&format!("{{{}}}", &rest[..digits]));
        rest = &rest[digits..];
    }
    text::literal(rest, &mut path);
    (path.starts_with('/') && !path.contains('?')).then_some(path)
}

/// Keys of the pool that nginx says where it passes requests on.
fn reach(work: &mut Work<'_>, directives: &[Directive], secure: bool, grpc: bool) -> Table {
    let mut table = Table::new();
    let one = |name: &str| directives.iter().rfind(|directive| directive.name == name);
    for (name, keys) in [
        ("proxy_connect_timeout", &["connect"][..]),
        ("proxy_read_timeout", &["response_head", "response_idle", "tunnel"][..]),
        ("grpc_read_timeout", &["response_head", "response_idle"][..]),
    ] {
        let Some(directive) = one(name) else { continue };
        match text::duration(
            directive.argument(0),
            10,
            if name == "proxy_connect_timeout" { 3_600_000 } else { 86_400_000 },
        ) {
            Some(time) => {
                keys.iter().for_each(|key| table.below(&["timeouts"]).set(key, time.clone()));
                work.ledger.carried(directive.id);
            }
            None => work.ledger.unsupported(directive.id, "it is no time"),
        }
    }
    if let Some(directive) = one("proxy_send_timeout") {
        work.ledger.differs(directive.id, "`timeouts.response_head` of the pool bounds it");
    }
    if grpc {
        table.set("protocol", "h2");
    }
    if secure {
        let mut tls = Table::new();
        let verify = one("proxy_ssl_verify").is_some_and(|directive| directive.argument(0) == "on");
        if !verify {
            tls.set("verify", false);
        }
        for (name, key) in [
            ("proxy_ssl_trusted_certificate", "ca"),
            ("proxy_ssl_certificate", "cert"),
            ("proxy_ssl_certificate_key", "key"),
            ("proxy_ssl_name", "sni"),
        ] {
            if let Some(directive) = one(name) {
                work.ledger.carried(directive.id);
                if (verify || key != "ca") && !directive.argument(0).contains('$') {
                    tls.set(key, directive.argument(0));
                }
            }
        }
        if let Some(directive) = one("proxy_ssl_verify") {
            work.ledger.carried(directive.id);
        }
        table.set("tls", tls);
    }
    table
}

/// The headers that targets get, and their Host.
fn headers(work: &mut Work<'_>, at: &At<'_>, directives: &[Directive], host: &str, route: &mut Table) {
    let mut sent = host.to_owned();
    for directive in
        directives.iter().filter(|directive| ["proxy_set_header", "grpc_set_header"].contains(&directive.name.as_str()))
    {
        let (id, name, value) = (directive.id, directive.argument(0).to_ascii_lowercase(), directive.argument(1));
        work.ledger.carried(id);
        match (name.as_str(), value) {
            ("host", "$host" | "$http_host" | "$server_name" | "$host:$server_port" | "$http_host:$server_port") => {
                sent = "client".to_owned()
            }
            ("host", "$proxy_host") => {}
            ("host", value) if valid::host(value) || value.parse::<std::net::Ipv4Addr>().is_ok() => {
                sent = value.to_owned()
            }
            ("host", _) => work.ledger.unsupported(
                id,
                "the Host that a target is sent is the client's, the target's address, or a fixed name",
            ),
            ("upgrade" | "connection", _) => {}
            ("x-forwarded-for" | "x-forwarded-proto" | "x-forwarded-host" | "x-forwarded-port", value)
                if at.forwards && value.starts_with('$') =>
            {
                work.ledger.differs(id, "X-Forwarded-For, -Proto, -Host and -Port are told by `forwarded`, and what clients say under these names does not count: name proxies in front in `trusted_proxies`");
            }
            (name, "") => match editable(name) {
                Ok(()) => route.below(&["request", "headers"]).push("remove", name),
                Err(why) => work.ledger.unsupported(id, why),
            },
            (name, value) => match editable(name).and_then(|()| text::template(value)) {
                Ok(value) => route.below(&["request", "headers", "set"]).set(name, value),
                Err(why) => work.ledger.unsupported(id, why),
            },
        }
    }
    if sent != "client" {
        route.set("host", sent);
    }
}

fn editable(name: &str) -> Result<(), String> {
    crate::import::haproxy::editable(name)
}
