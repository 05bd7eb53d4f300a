//! Plugins as rules, and as keys of routes.
//!
//! What always holds: where a plugin would have asked who somebody is, and that cannot be carried over, nobody is let in.
//! May depend on the tree.

use super::Work;
use super::consumers::plain;
use super::tree::{Node, carried, others, unsupported};
use crate::import::draft::{Table, Value};

/// The plugins that hold for a route: of each name the one that is nearest.
#[derive(Clone, Default)]
pub(super) struct Plugins(Vec<Node>);

impl Plugins {
    /// These.
    pub fn new(plugins: &[&Node]) -> Plugins {
        Plugins(plugins.iter().map(|&plugin| plugin.clone()).collect())
    }

    /// With these, which are nearer.
    pub fn with(&self, nearer: &[&Node]) -> Plugins {
        let name = |plugin: &Node| plugin.text_of("name").unwrap_or_default().to_owned();
        let mut all: Vec<Node> =
            self.0.iter().filter(|plugin| !nearer.iter().any(|other| name(other) == name(plugin))).cloned().collect();
        all.extend(nearer.iter().map(|&plugin| plugin.clone()));
        Plugins(all)
    }

    /// Puts what they mean into a route.
    pub fn apply(&self, work: &mut Work<'_>, name: &str, route: &mut Table) {
        for plugin in &self.0 {
            others(
                &mut work.ledger,
                plugin,
                &["name", "config", "service", "route", "protocols", "instance_name", "consumer"],
            );
            if let Some(config) = plugin.get("config") {
                carried(&mut work.ledger, config);
            }
            for key in ["protocols", "service", "route"] {
                if let Some(node) = plugin.get(key) {
                    carried(&mut work.ledger, node);
                }
            }
            if plugin.flag_of("enabled", true) {
                one(work, plugin, name, route);
            }
        }
    }
}

/// A rule that a route names.
fn rule(work: &mut Work<'_>, route: &mut Table, wanted: &str, table: Table) {
    let name = work.draft.shared("rules", wanted, table);
    route.push("rules", name);
}

fn one(work: &mut Work<'_>, plugin: &Node, name: &str, route: &mut Table) {
    let empty = Node { line: plugin.line, value: super::tree::Yaml::Map(Vec::new()) };
    let config = plugin.get("config").unwrap_or(&empty).clone();
    let at = plugin.line_of("name");
    let called = plugin.text_of("name").unwrap_or_default();
    match called {
        "key-auth" => {
            let names = config.texts_of("key_names");
            let first = names.first().map_or("apikey", String::as_str).to_ascii_lowercase();
            let mut table = Table::new().with("type", "api-key");
            if config.flag_of("key_in_header", true) {
                table.set("header", first.clone());
            }
            if config.flag_of("key_in_query", true) {
                table.set("query", first);
            }
            if names.len() > 1 {
                work.ledger.differs(config.line_of("key_names"), "of the names the first counts");
            }
            if config.flag_of("key_in_body", false) {
                work.ledger.differs(config.line_of("key_in_body"), "keys are not looked for in bodies");
            }
            if !config.flag_of("hide_credentials", false) {
                work.ledger.differs(at, "targets do not see keys");
            }
            identity(work, &config, at, route, "key-auth", table);
        }
        "basic-auth" => {
            let table = Table::new().with("type", "basic").with("users_file", "kong.htpasswd");
            work.ledger
                .differs(at, "make `kong.htpasswd`, which has to be there, with `htpasswd -nB NAME` for each consumer");
            identity(work, &config, at, route, "basic-auth", table);
        }
        "mtls-auth" => identity(work, &config, at, route, "mtls-auth", Table::new().with("type", "mtls")),
        "acl" => {
            let allow: Vec<String> = config
                .texts_of("allow")
                .iter()
                .chain(&config.texts_of("whitelist"))
                .map(|group| plain(group))
                .collect();
            let deny: Vec<String> =
                config.texts_of("deny").iter().chain(&config.texts_of("blacklist")).map(|group| plain(group)).collect();
            if allow.is_empty() {
                let list: Vec<String> = deny.iter().map(|group| format!("!(\"{group}\" in consumer.groups)")).collect();
                let allow = format!(
                    "has(consumer.name) && {}",
                    if list.is_empty() { "true".to_owned() } else { list.join(" && ") }
                );
                rule(work, route, "acl", Table::new().with("type", "cel").with("allow", allow));
            } else {
                rule(work, route, "acl", Table::new().with("type", "groups").with("allow", allow));
            }
        }
        "rate-limiting" | "rate-limiting-advanced" => limits(work, &config, at, route, called),
        "request-size-limiting" => {
            let unit = match config.text_of("size_unit").unwrap_or("megabytes") {
                "kilobytes" => "KB",
                "bytes" => "B",
                _ => "MB",
            };
            let most = config.number_of("allowed_payload_size").unwrap_or(128).max(1);
            rule(
                work,
                route,
                "request-size",
                Table::new().with("type", "request-size").with("max", format!("{most}{unit}")),
            );
        }
        "cors" => cors(work, &config, route),
        "ip-restriction" => {
            let mut table = Table::new().with("type", "ip");
            for (key, old) in [("allow", "whitelist"), ("deny", "blacklist")] {
                for node in config.list_of(key).iter().chain(config.list_of(old)) {
                    match node.text().and_then(crate::import::haproxy::network) {
                        Some(net) => table.push(key, net),
                        None => work.ledger.opens(node.line, "it is no address range"),
                    }
                }
            }
            rule(work, route, "ip-restriction", table);
        }
        "bot-detection" => {
            let list = |key: &str| {
                config
                    .texts_of(key)
                    .into_iter()
                    .filter(|pattern| regex::Regex::new(pattern).is_ok())
                    .map(|pattern| format!("~{pattern}"))
                    .collect::<Vec<_>>()
            };
            let (allow, deny) = (list("allow"), list("deny"));
            if deny.is_empty() && allow.is_empty() {
                return work.ledger.unsupported(
                    at,
                    "who is a bot is said by a rule of type user-agent: there is no list of Ringway's own",
                );
            }
            let mut table = Table::new().with("type", "user-agent");
            if !deny.is_empty() {
                table.set("deny", deny);
            }
            work.ledger.differs(at, "there is no list of bots beside what is named");
            rule(work, route, "bot-detection", table);
        }
        "request-transformer" | "request-transformer-advanced" => transform(work, &config, route, true),
        "response-transformer" | "response-transformer-advanced" => transform(work, &config, route, false),
        "request-termination" => {
            let mut respond =
                Table::new().with("status", config.number_of("status_code").unwrap_or(503).clamp(200, 599));
            if let Some(body) = config.text_of("body") {
                respond.set("body", body);
                respond
                    .set("content_type", config.text_of("content_type").unwrap_or("application/json; charset=utf-8"));
            } else if let Some(message) = config.text_of("message") {
                respond.set("body", serde_json::json!({ "message": message }).to_string());
                respond.set("content_type", "application/json; charset=utf-8");
            }
            for key in ["pool", "host", "retry", "strip_prefix", "rewrite", "cache", "compress", "request"] {
                route.remove(key);
            }
            route.set("respond", respond);
        }
        "proxy-cache" | "proxy-cache-advanced" if route.get("pool").is_some() => {
            let cache = work.draft.shared("caches", "kong", Table::new().with("memory", "256MiB"));
            let mut table = Table::new().with("store", cache);
            if let Some(ttl) = config.number_of("cache_ttl").filter(|ttl| *ttl > 0) {
                for code in if config.texts_of("response_code").is_empty() {
                    vec!["200".to_owned(), "301".to_owned(), "404".to_owned()]
                } else {
                    config.texts_of("response_code")
                } {
                    table.below(&["default_ttl"]).set(&code, format!("{}s", ttl.min(365 * 86_400)));
                }
            }
            work.ledger.differs(at, "what an answer says of itself decides as RFC 9111 has it; `Cache-Status` takes the place of X-Cache-Status");
            route.set("cache", table);
        }
        "correlation-id" => {
            let header = config.text_of("header_name").unwrap_or("Kong-Request-ID").to_ascii_lowercase();
            if route.get("pool").is_some() {
                route.below(&["request", "headers", "add"]).set(&header, "{request.id}");
            }
            if config.flag_of("echo_downstream", false) {
                route.below(&["response", "headers", "set"]).set(&header, "{request.id}");
            }
            work.ledger.differs(at, "the id has a form of Ringway's own");
        }
        "file-log" | "syslog" => {
            let log = &mut work.draft.single("access_log").table;
            if log.is_empty() {
                match config.text_of("path") {
                    Some("/dev/stdout" | "/dev/stderr") | None => log.set("path", "stdout"),
                    Some(path) => log.set("path", path),
                }
            }
            work.ledger.differs(at, "the access log has one place for all routes; `routes` and `listeners` choose, and its JSON has names of Ringway's own");
        }
        "prometheus" => {
            work.ledger.differs(at, "metrics are at `/metrics` of the admin listener, under names of Ringway's own")
        }
        "opentelemetry" | "zipkin" => {
            match config.text_of("traces_endpoint").or(config.text_of("endpoint")).or(config.text_of("http_endpoint")) {
                Some(url) if called == "opentelemetry" && url.starts_with("http") => {
                    work.draft.single("tracing").table.set("otlp", url);
                    work.ledger.differs(at, "all routes are traced; `tracing.sample` says how many");
                }
                _ => work.ledger.unsupported(at, "spans are sent by OTLP over HTTP: `tracing.otlp`"),
            }
        }
        "grpc-gateway" | "grpc-web" => work.ledger.unsupported(at, "calls of gRPC go on as they come"),
        "jwt"
        | "hmac-auth"
        | "ldap-auth"
        | "ldap-auth-advanced"
        | "oauth2"
        | "openid-connect"
        | "oauth2-introspection"
        | "session"
        | "key-auth-enc"
        | "vault-auth"
        | "jwt-signer" => {
            rule(work, route, "not-imported", Table::new().with("type", "cel").with("allow", "false"));
            unsupported(&mut work.ledger, plugin, refused(called));
        }
        other => unsupported(&mut work.ledger, plugin, &format!("there is no `{other}`: {}", elsewhere(other))),
    }
    let _ = name;
}

fn refused(plugin: &str) -> &'static str {
    match plugin {
        "jwt" => {
            "nobody is let in until a rule of type jwt takes its place, which needs the issuer's keys: `jwks_url`, `key_file` or `secret_file`"
        }
        "hmac-auth" => {
            "nobody is let in until a rule of type signature takes its place: requests are signed as RFC 9421 has it"
        }
        "openid-connect" => "nobody is let in until a rule of type oidc or jwt takes its place",
        "oauth2-introspection" => "nobody is let in until a rule of type introspection takes its place",
        _ => "nobody is let in until another rule takes its place: api-key, basic, jwt, oidc, mtls or forward-auth",
    }
}

fn elsewhere(plugin: &str) -> &'static str {
    match plugin {
        "pre-function" | "post-function" => {
            "Lua is not run; `when` of routes, and rules, decide by what a request says"
        }
        "http-log" | "tcp-log" | "udp-log" | "loggly" | "datadog" | "statsd" => {
            "records go to a file, stdout or syslog by `access_log`, numbers by `/metrics`"
        }
        "aws-lambda" | "azure-functions" => "targets are servers of HTTP",
        "acme" => "`tls.acme` of a listener has certificates issued",
        "response-ratelimiting" => "what targets say does not count; rules of type rate-limit and quota count requests",
        _ => "see the rules in docs/configuration.md",
    }
}

/// A rule that finds out who asks; with `anonymous` all others are that consumer.
fn identity(work: &mut Work<'_>, config: &Node, at: usize, route: &mut Table, wanted: &str, table: Table) {
    let Some(anonymous) = config.text_of("anonymous") else { return rule(work, route, wanted, table) };
    let known = work.draft.entries.iter().any(|entry| entry.path == ["consumers", anonymous]);
    if !known {
        work.ledger
            .differs(at, "no consumer of the file is called as `anonymous` says: all have to prove who they are");
        return rule(work, route, wanted, table);
    }
    let one = work.draft.shared("rules", wanted, table);
    let nobody =
        work.draft.shared("rules", "anonymous", Table::new().with("type", "anonymous").with("consumer", anonymous));
    rule(
        work,
        route,
        &format!("{wanted}-or-anonymous"),
        Table::new().with("type", "any-of").with("rules", vec![one, nobody]),
    );
    work.ledger.differs(at, "who sends a wrong key is refused, and not taken for nobody");
}

fn limits(work: &mut Work<'_>, config: &Node, at: usize, route: &mut Table, called: &str) {
    if called != "rate-limiting" {
        return work.ledger.opens(at, "write its windows as rules of type rate-limit");
    }
    let key = match config.text_of("limit_by").unwrap_or("consumer") {
        "ip" => "client-ip".to_owned(),
        "service" => "route".to_owned(),
        "header" => format!("header:{}", config.text_of("header_name").unwrap_or_default().to_ascii_lowercase()),
        "path" => "{request.path}".to_owned(),
        _ => "consumer".to_owned(),
    };
    // Who is known to nobody counts by the address: without a rule that finds out who asks that is everybody.
    let key = if key == "consumer" && !asks_who(work, route) { "client-ip".to_owned() } else { key };
    for (unit, period) in [("second", "s"), ("minute", "minute"), ("hour", "hour"), ("day", "day"), ("month", "month")]
    {
        let Some(limit) = config.number_of(unit).filter(|limit| *limit > 0) else { continue };
        let mut table = match unit {
            "second" => Table::new()
                .with("type", "rate-limit")
                .with("rate", format!("{limit}/s"))
                .with("algorithm", "sliding-window"),
            _ => Table::new().with("type", "quota").with("limit", limit).with("period", period),
        };
        if key != "client-ip" {
            table.set("key", key.clone());
        }
        table.set("headers", if config.flag_of("hide_client_headers", false) { "none" } else { "both" });
        rule(work, route, &format!("limit-by-{unit}"), table);
    }
    if config.get("year").is_some() {
        work.ledger.unsupported(config.line_of("year"), "a month is the longest period of a quota");
    }
    if matches!(config.text_of("policy"), Some("redis" | "cluster")) {
        work.ledger.differs(config.line_of("policy"), "each host counts by itself");
    }
    work.ledger
        .differs(at, "what is refused does not count; all workers count together, and quotas outlive the process");
    if let Some(code) = config.number_of("error_code").filter(|code| *code != 429) {
        work.ledger.differs(config.line_of("error_code"), format!("who is refused gets 429, and not {code}"));
    }
}

/// Whether a rule of a route finds out who asks.
fn asks_who(work: &Work<'_>, route: &Table) -> bool {
    let Some(Value::List(rules)) = route.get("rules") else { return false };
    let kinds = ["api-key", "basic", "mtls", "any-of"];
    rules.iter().any(|rule| {
        let Value::Text(rule) = rule else { return false };
        let found = work.draft.entries.iter().find(|entry| entry.path == ["rules", rule.as_str()]);
        found.and_then(|entry| entry.table.text("type")).is_some_and(|kind| kinds.contains(&kind))
    })
}

fn cors(work: &mut Work<'_>, config: &Node, route: &mut Table) {
    let mut origins = config.texts_of("origins");
    let wild = origins.is_empty() || origins.iter().any(|origin| origin == "*");
    if wild {
        origins = vec!["*".to_owned()];
    }
    let good: Vec<String> = origins
        .iter()
        .filter(|origin| *origin == "*" || origin.contains("://") && !origin.contains(['(', '[', '\\', '^', '$']))
        .cloned()
        .collect();
    if good.len() < origins.len() {
        work.ledger.differs(
            config.line_of("origins"),
            "origins are no regexes: \"https://*.example.com\" stands for all below it",
        );
    }
    if good.is_empty() {
        return work.ledger.unsupported(config.line_of("origins"), "no origin can be carried over");
    }
    let mut table = Table::new().with("type", "cors").with("origins", good);
    if config.flag_of("credentials", false) {
        match wild {
            true => work
                .ledger
                .differs(config.line_of("credentials"), "cookies do not come along from all sites: name the origins"),
            false => table.set("credentials", true),
        }
    }
    for (key, name) in [("methods", "methods"), ("headers", "headers"), ("exposed_headers", "expose_headers")] {
        let list = config.texts_of(key);
        if !list.is_empty() && !list.iter().any(|item| item == "*") {
            table.set(name, list);
        }
    }
    if let Some(age) = config.number_of("max_age") {
        table.set("max_age", format!("{}s", age.clamp(0, 86_400)));
    }
    rule(work, route, "cors", table);
}

fn transform(work: &mut Work<'_>, config: &Node, route: &mut Table, request: bool) {
    let mut table = Table::new();
    let side = if request { "request" } else { "response" };
    for (verb, edit) in
        [("remove", "remove"), ("rename", "rename"), ("replace", "set"), ("add", "add"), ("append", "append")]
    {
        let Some(node) = config.get(verb) else { continue };
        for (kind, line, values) in node.pairs() {
            let place = match kind.as_str() {
                "headers" => "headers",
                "querystring" if request => "query",
                _ if values.items().is_empty() => continue,
                "uri" => {
                    work.ledger.unsupported(*line, "`path` of a rule of type transform says another path");
                    continue;
                }
                _ => {
                    work.ledger.unsupported(*line, "bodies are edited as JSON by `body` of a rule of type transform");
                    continue;
                }
            };
            for value in values.items() {
                let Some(text) = value.text() else { continue };
                let (name, to) = text.split_once(':').unwrap_or((text, ""));
                let name = if place == "headers" { name.to_ascii_lowercase() } else { name.to_owned() };
                if place == "headers"
                    && let Err(why) = crate::import::haproxy::editable(&name)
                {
                    work.ledger.unsupported(value.line, why);
                    continue;
                }
                let edits = table.below(&[side, place]);
                if to.contains("$(") {
                    work.ledger.unsupported(
                        value.line,
                        "a template of Kong: fields in braces are called otherwise here, `{request.headers.x-a}`",
                    );
                    continue;
                }
                match edit {
                    "remove" => edits.push("remove", name),
                    "rename" => edits.below(&["rename"]).set(&name, to.to_ascii_lowercase()),
                    edit => edits.below(&[edit]).set(&name, to.replace('{', "{{").replace('}', "}}")),
                }
            }
            if verb == "replace" {
                work.ledger.differs(*line, "it is set, whether it was there or not");
            }
        }
    }
    if config.get("http_method").is_some() || config.get("dots_in_keys").is_some() {
        work.ledger.differs(config.line, "`method` of a rule of type transform says another method");
    }
    if !table.is_empty() {
        let mut rule_table = Table::new().with("type", "transform");
        rule_table.0.extend(table.0);
        rule(work, route, &format!("{side}-transformer"), rule_table);
    }
}
