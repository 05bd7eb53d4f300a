//! What holds for a route whatever it does: who may ask and how often, headers of answers, pages, caches, compression.
//!
//! May depend on texts with variables.

use super::super::{Kind, Location};
use super::End;
use crate::import::draft::Table;
use crate::import::nginx::tree::Directive;
use crate::import::nginx::{Work, text};
use crate::import::valid;

/// Puts into a route what its directives say beside what it does. What is answered by `return` is so before anybody is asked who they are.
pub(super) fn beside(
    work: &mut Work<'_>,
    directives: &[Directive],
    locations: &[Location],
    ends: Option<End>,
    route: &mut Table,
) {
    let asks = ends != Some(End::Answer);
    if asks {
        addresses(work, directives, route);
        users(work, directives, locations, route);
    } else {
        let lines = directives.iter().filter(|directive| {
            ["allow", "deny", "auth_basic", "auth_basic_user_file", "auth_request", "limit_req", "limit_conn"]
                .contains(&directive.name.as_str())
        });
        lines.for_each(|line| work.ledger.carried(line.id));
    }
    answers(work, directives, route);
    if ends == Some(End::Pool) {
        tries(work, directives, route);
        cached(work, directives, route);
        compressed(work, directives, route);
    }
    let intercepts =
        directives.iter().any(|directive| directive.name == "proxy_intercept_errors" && directive.argument(0) == "on");
    let root = directives
        .iter()
        .rfind(|directive| directive.name == "root")
        .map(|directive| directive.argument(0).trim_end_matches('/').to_owned());
    for directive in directives {
        let (id, first) = (directive.id, directive.argument(0));
        match directive.name.as_str() {
            "client_max_body_size" => match text::bytes(first) {
                Some(0) => {
                    route.below(&["limits"]).set("request_body", "unlimited");
                    work.ledger.carried(id);
                }
                Some(bytes) => {
                    route.below(&["limits"]).set("request_body", text::size(bytes));
                    work.ledger.carried(id);
                }
                None => work.ledger.unsupported(id, "it is no size"),
            },
            "limit_req" | "limit_conn" if asks => limited(work, directive, route),
            "limit_rate" => match text::bytes(first).filter(|bytes| *bytes >= 1024) {
                Some(bytes) => {
                    let rule = Table::new()
                        .with("type", "bandwidth")
                        .with("download", format!("{}KB/s", bytes.div_ceil(1000)));
                    let rule = work.draft.shared("rules", "bandwidth", rule);
                    route.push("rules", rule);
                    work.ledger.carried(id);
                }
                None => work.ledger.carried(id),
            },
            "error_page" => page(work, directive, locations, root.as_deref(), intercepts, route),
            "proxy_intercept_errors" => work.ledger.carried(id),
            "proxy_redirect" => match first {
                "off" => {
                    if route.get("rewrite").is_some() || route.get("strip_prefix").is_some() {
                        route.below(&["rewrite"]).set("back", false);
                    }
                    work.ledger.carried(id);
                }
                "default" => work.ledger.carried(id),
                _ => {
                    route.below(&["rewrite"]).set("back", true);
                    work.ledger.differs(id, "places of targets become the client's by `rewrite.back`");
                }
            },
            "index" | "gzip_static" | "brotli_static" | "root" if !work.ledger.has_verdict(id) => {
                work.ledger.carried(id)
            }
            _ => {}
        }
    }
}

fn addresses(work: &mut Work<'_>, directives: &[Directive], route: &mut Table) {
    let lines: Vec<&Directive> =
        directives.iter().filter(|directive| ["allow", "deny"].contains(&directive.name.as_str())).collect();
    let Some(last) = lines.last() else { return };
    let mut rule = Table::new().with("type", "ip");
    // The first that fits counts: with one kind before `all` it is a list.
    let kind = if last.name == "deny" && last.argument(0) == "all" { "allow" } else { "deny" };
    let mut seen = false;
    for line in &lines {
        match line.argument(0) {
            "all" => work.ledger.carried(line.id),
            address => match crate::import::haproxy::network(address) {
                Some(net) if line.name == kind => {
                    seen = true;
                    rule.push(kind, net);
                    work.ledger.carried(line.id);
                }
                Some(net) if line.name == "deny" => {
                    seen = true;
                    rule.push("deny", net);
                    work.ledger.differs(line.id, "what is denied is denied, whatever is allowed before it");
                }
                Some(_) => work.ledger.differs(
                    line.id,
                    "all who are not denied come in, and what is denied is denied, whatever is allowed before it",
                ),
                None => work.ledger.opens(line.id, "it is no address range"),
            },
        }
    }
    if kind == "allow" && rule.get("allow").is_none() {
        rule.push("deny", "0.0.0.0/0");
        rule.push("deny", "::/0");
        seen = true;
    }
    if seen {
        let rule = work.draft.shared("rules", "addresses", rule);
        route.push("rules", rule);
    }
}

fn users(work: &mut Work<'_>, directives: &[Directive], locations: &[Location], route: &mut Table) {
    let one = |name: &str| directives.iter().rfind(|directive| directive.name == name);
    if let Some(basic) = one("auth_basic") {
        work.ledger.carried(basic.id);
        let file = one("auth_basic_user_file");
        if basic.argument(0) == "off" {
            file.into_iter().for_each(|file| work.ledger.carried(file.id));
        } else if let Some(file) = file {
            let rule = Table::new()
                .with("type", "basic")
                .with("users_file", file.argument(0))
                .with("realm", basic.argument(0));
            let rule = work.draft.shared("rules", "users", rule);
            route.push("rules", rule);
            work.ledger.differs(file.id, "hashes are those of bcrypt and Argon2 alone: `htpasswd -nB NAME`");
        } else {
            work.ledger.opens(basic.id, "no file of users is named");
        }
    }
    let Some(asked) = one("auth_request").filter(|directive| directive.argument(0) != "off") else { return };
    let location = locations.iter().find(|location| match &location.kind {
        Kind::Exact(path) | Kind::Prefix(path, _) => path == asked.argument(0),
        _ => false,
    });
    let url = location.and_then(|location| location.directives.iter().find(|directive| directive.name == "proxy_pass"));
    let Some(url) = url.filter(|url| {
        ["http://", "https://"].iter().any(|scheme| url.argument(0).starts_with(scheme))
            && !url.argument(0).contains('$')
    }) else {
        return work
            .ledger
            .opens(asked.id, "what is asked is no location that passes on: use a rule of type forward-auth");
    };
    work.ledger.carried(url.id);
    for directive in location.iter().flat_map(|location| &location.directives) {
        if ["proxy_set_header", "proxy_pass_request_body"].contains(&directive.name.as_str())
            && !work.ledger.has_verdict(directive.id)
        {
            work.ledger.differs(
                directive.id,
                "who decides is told of the request by X-Forwarded-Method, -Uri, -Host and the like, and gets no body",
            );
        }
    }
    let rule = Table::new().with("type", "forward-auth").with("url", url.argument(0));
    let rule = work.draft.shared("rules", "forward-auth", rule);
    route.push("rules", rule);
    work.ledger.differs(asked.id, "who decides is told of the request by X-Forwarded-Method, -Uri, -Host and the like");
    for set in directives.iter().filter(|directive| directive.name == "auth_request_set") {
        work.ledger.differs(set.id, "`response_headers` of the rule names headers of its answer that targets are told");
    }
}

/// The headers of answers.
pub(in crate::import::nginx::location) fn answers(work: &mut Work<'_>, directives: &[Directive], route: &mut Table) {
    for directive in directives {
        let (id, name) = (directive.id, directive.argument(0).to_ascii_lowercase());
        match directive.name.as_str() {
            "add_header" => match super::editable(&name).and_then(|()| text::template(directive.argument(1))) {
                Ok(value) => {
                    route.below(&["response", "headers", "append"]).set(&name, value);
                    work.ledger.carried(id);
                    if directive.argument(2) != "always" {
                        work.ledger.differs(id, "it is in answers of every status");
                    }
                }
                Err(why) => work.ledger.unsupported(id, why),
            },
            "proxy_hide_header" => {
                match super::editable(&name) {
                    Ok(()) => {
                        let headers = route.below(&["response", "headers"]);
                        // What is added in its place stands alone.
                        match headers.below(&["append"]).text(&name).map(str::to_owned) {
                            Some(value) => {
                                headers.below(&["append"]).remove(&name);
                                headers.below(&["set"]).set(&name, value);
                            }
                            None => headers.push("remove", name),
                        }
                        headers.0.retain(|(_, value)| !matches!(value, crate::import::draft::Value::Table(table) if table.is_empty()));
                        work.ledger.carried(id);
                    }
                    Err(why) => work.ledger.unsupported(id, why),
                }
            }
            "expires" => {
                let value = match name.as_str() {
                    "off" => {
                        work.ledger.carried(id);
                        continue;
                    }
                    "epoch" => "no-cache".to_owned(),
                    past if past.starts_with('-') => "no-cache".to_owned(),
                    "max" => "max-age=315360000".to_owned(),
                    time => match text::duration(time, 0, u64::MAX).and_then(|_| seconds(time)) {
                        Some(seconds) => format!("max-age={seconds}"),
                        None => {
                            work.ledger
                                .unsupported(id, "Cache-Control says how long an answer is fresh: `response.headers`");
                            continue;
                        }
                    },
                };
                match route.get("files").is_some() {
                    true => route.below(&["files"]).set("cache_control", value),
                    false => route.below(&["response", "headers", "set"]).set("cache-control", value),
                }
                work.ledger.differs(id, "Cache-Control says so, and not Expires");
            }
            _ => {}
        }
    }
}

/// The seconds of a time.
fn seconds(time: &str) -> Option<u64> {
    let text = text::duration(time, 0, u64::MAX)?;
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let number: u64 = text[..digits].parse().ok()?;
    let length = [("ms", 0), ("s", 1), ("m", 60), ("h", 3600), ("d", 86_400)]
        .into_iter()
        .find(|(unit, _)| *unit == &text[digits..])?
        .1;
    Some(number * length)
}

fn tries(work: &mut Work<'_>, directives: &[Directive], route: &mut Table) {
    for directive in directives {
        let id = directive.id;
        match directive.name.as_str() {
            "proxy_next_upstream" => {
                let retry = route.below(&["retry"]);
                for word in &directive.arguments {
                    match word.as_str() {
                        "off" => retry.set("attempts", 0),
                        "error" => ["connect", "reset"].iter().for_each(|on| retry.push("on", *on)),
                        "timeout" => retry.push("on", "timeout"),
                        "invalid_header" => retry.push("on", "bad-response"),
                        "non_idempotent" => retry.set("methods", "all"),
                        word => match word.strip_prefix("http_") {
                            Some(code) => retry.push("on", code),
                            None => work.ledger.differs(id, format!("`{word}` is left out")),
                        },
                    }
                }
                work.ledger.carried(id);
            }
            "proxy_next_upstream_tries" => match directive.argument(0).parse::<i64>() {
                Ok(tries @ 1..) => {
                    route.below(&["retry"]).set("attempts", (tries - 1).min(10));
                    work.ledger.carried(id);
                }
                _ => work.ledger.differs(id, "two tries beyond the first, unless `retry.attempts` says otherwise"),
            },
            "proxy_next_upstream_timeout" => work.ledger.differs(id, "`retry.per_try` bounds one try"),
            _ => {}
        }
    }
}

fn cached(work: &mut Work<'_>, directives: &[Directive], route: &mut Table) {
    let one = |name: &str| directives.iter().rfind(|directive| directive.name == name);
    let Some(directive) = one("proxy_cache") else { return };
    let zone = directive.argument(0);
    if zone == "off" {
        return work.ledger.carried(directive.id);
    }
    let Some(name) = work.caches.get(zone).cloned() else {
        return work.ledger.unsupported(directive.id, "there is no such cache");
    };
    work.ledger.differs(
        directive.id,
        "what an answer says of itself decides as RFC 9111 has it: `private`, `Vary`, `Authorization` and ranges count",
    );
    let mut cache = Table::new().with("store", name);
    for said in directives.iter().filter(|directive| directive.name == "proxy_cache_valid") {
        let Some((time, codes)) = said.arguments.split_last() else { continue };
        let Some(time) = text::duration(time, 0, 365 * 86_400_000) else {
            work.ledger.unsupported(said.id, "it is no time");
            continue;
        };
        let codes: Vec<&str> =
            if codes.is_empty() { vec!["200", "301", "302"] } else { codes.iter().map(String::as_str).collect() };
        for code in codes {
            let code = if code == "any" { "200-599" } else { code };
            if !valid::statuses(code) {
                work.ledger.differs(said.id, format!("`{code}` is no status, and left out"));
                continue;
            }
            cache.below(&["default_ttl"]).set(code, time.clone());
        }
        work.ledger.carried(said.id);
    }
    if let Some(key) = one("proxy_cache_key") {
        work.ledger.differs(
            key.id,
            "scheme, host, path and query are the key; `cache.key` adds headers and cookies, and leaves parameters out",
        );
    }
    if let Some(stale) = one("proxy_cache_use_stale") {
        if stale.arguments == ["off"] {
            cache.set("stale_if_error", "0s");
        }
        work.ledger.differs(stale.id, "`cache.stale_if_error` says for how long, a day by default");
    }
    route.set("cache", cache);
}

fn compressed(work: &mut Work<'_>, directives: &[Directive], route: &mut Table) {
    let one = |name: &str| directives.iter().rfind(|directive| directive.name == name);
    let on = one("gzip").is_some_and(|directive| directive.argument(0) == "on");
    for directive in directives.iter().filter(|directive| directive.name.starts_with("gzip")) {
        if !["gzip_static", "gzip"].contains(&directive.name.as_str()) || directive.name == "gzip" {
            work.ledger.carried(directive.id);
        }
    }
    if !on {
        return;
    }
    let mut compress = Table::new().with("codings", vec!["gzip"]);
    if let Some(types) = one("gzip_types") {
        let mut all = vec!["text/html".to_owned()];
        all.extend(types.arguments.iter().filter(|kind| *kind != "text/html" && valid::media_type(kind)).cloned());
        compress.set("types", if types.has("*") { vec!["*".to_owned()] } else { all });
    }
    if let Some(bytes) = one("gzip_min_length").and_then(|directive| text::bytes(directive.argument(0))) {
        compress.set("min_size", text::size(bytes.min(1 << 30)));
    }
    if let Some(level) = one("gzip_comp_level").and_then(|directive| directive.argument(0).parse::<i64>().ok()) {
        compress.set("level", Table::new().with("gzip", level.clamp(1, 9)));
    }
    route.set("compress", compress);
}

fn limited(work: &mut Work<'_>, directive: &Directive, route: &mut Table) {
    let id = directive.id;
    let zone = directive.named("zone").unwrap_or(directive.argument(0)).to_owned();
    let Some((key, rate)) = work.zones.get(&zone).cloned() else {
        return work.ledger.opens(id, format!("no zone is named `{zone}`"));
    };
    let mut rule = Table::new();
    if directive.name == "limit_req" {
        let burst = directive.named("burst").and_then(|text| text.parse::<i64>().ok()).unwrap_or(0);
        rule.set("type", "rate-limit");
        rule.set("rate", rate);
        rule.set("burst", (burst + 1).clamp(1, 100_000_000));
        work.ledger.differs(id, "who is refused gets 429, and not 503");
        if burst > 0 && !directive.has("nodelay") {
            work.ledger.differs(id, "a burst goes on at once, and is not held back");
        }
    } else {
        rule.set("type", "concurrency");
        rule.set("max", directive.argument(1).parse::<i64>().unwrap_or(1).clamp(1, 200_000));
        work.ledger.differs(id, "requests under way are counted; who is refused gets 429, and not 503");
    }
    if key != "client-ip" {
        rule.set("key", key);
    }
    let rule = work.draft.of_one("rules", &zone, &format!("{} {zone}", directive.name), rule);
    route.push("rules", rule);
}

fn page(
    work: &mut Work<'_>,
    directive: &Directive,
    locations: &[Location],
    root: Option<&str>,
    intercepts: bool,
    route: &mut Table,
) {
    let id = directive.id;
    let Some((uri, codes)) = directive.arguments.split_last() else { return };
    let codes: Vec<&String> = codes.iter().filter(|code| !code.starts_with('=')).collect();
    if !uri.starts_with('/') {
        return work.ledger.unsupported(id, "a page is a file: what leads elsewhere is a route with `redirect`");
    }
    // The location of a page may have a root of its own.
    let own = locations
        .iter()
        .find(|location| matches!(&location.kind, Kind::Exact(path) | Kind::Prefix(path, _) if path == uri));
    if own.is_some_and(|location| {
        location.own.iter().any(|inner| inner.name.ends_with("_pass") || inner.name == "return")
    }) {
        return work
            .ledger
            .unsupported(id, "a page is a file: of an answer that a location makes, write a route with `respond`");
    }
    let own = own.and_then(|location| location.directives.iter().rfind(|directive| directive.name == "root"));
    let root = own.map(|directive| directive.argument(0).trim_end_matches('/')).or(root);
    let Some(root) = root.filter(|root| !root.contains('$')) else {
        return work.ledger.unsupported(id, "no `root` says where the file is");
    };
    for code in codes.into_iter().filter(|code| code.parse::<u16>().is_ok_and(|code| (400..600).contains(&code))) {
        let file = Table::new().with("file", format!("{root}{uri}"));
        let file = if intercepts { file.with("intercept", true) } else { file };
        route.below(&["error_pages"]).set(code, file);
    }
    work.ledger.carried(id);
    if directive.arguments.iter().any(|argument| argument.starts_with('=')) {
        work.ledger.differs(id, "the status stays: `status` of the page says another one");
    }
}
