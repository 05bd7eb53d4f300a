//! Plugins as rules, and as keys of routes.
//!
//! What always holds: where a plugin would have asked who somebody is, and that cannot be carried over, nobody is let in.
//! May depend on the tree.

use super::Work;
use super::consumers::plain;
use super::tree::{Node, carried, others, unsupported};
use crate::import::draft::{Table, Value};
use crate::import::report::Ledger;
use crate::import::valid;
use std::collections::BTreeSet;

/// Plugins that find out who asks.
const FIND_OUT: [&str; 16] = [
    "header-cert-auth",
    "saml",
    "key-auth",
    "basic-auth",
    "mtls-auth",
    "jwt",
    "hmac-auth",
    "ldap-auth",
    "ldap-auth-advanced",
    "oauth2",
    "openid-connect",
    "oauth2-introspection",
    "session",
    "key-auth-enc",
    "vault-auth",
    "jwt-signer",
];

/// Plugins that keep something out, whoever asks.
const KEEP_OUT: [&str; 16] = [
    "acl",
    "ai-prompt-guard",
    "bot-detection",
    "injection-protection",
    "ip-restriction",
    "json-threat-protection",
    "oas-validation",
    "opa",
    "rate-limiting",
    "rate-limiting-advanced",
    "request-size-limiting",
    "request-termination",
    "request-validator",
    "response-ratelimiting",
    "websocket-validator",
    "xml-threat-protection",
];

/// The plugins that hold for a route: of each name the one that is nearest.
#[derive(Clone, Default)]
pub(super) struct Plugins(Vec<Node>);

impl Plugins {
    /// These.
    pub fn new(plugins: &[&Node]) -> Plugins {
        Plugins(plugins.iter().map(|&plugin| plugin.clone()).collect())
    }

    /// With these, which are nearer. One that is disabled takes nobody's place, nor does one for some consumers alone.
    pub fn with(&self, nearer: &[&Node]) -> Plugins {
        let name = |plugin: &Node| plugin.text_of("name").unwrap_or_default().to_owned();
        let counts = |plugin: &Node| plugin.flag_of("enabled", true) && !is_of_some(plugin);
        let mut all: Vec<Node> = self
            .0
            .iter()
            .filter(|plugin| !nearer.iter().any(|other| counts(other) && name(other) == name(plugin)))
            .cloned()
            .collect();
        all.extend(nearer.iter().map(|&plugin| plugin.clone()));
        Plugins(all)
    }

    /// Puts what they mean into a route.
    pub fn apply(&self, work: &mut Work<'_>, name: &str, route: &mut Table) {
        let mut seen: BTreeSet<&str> = BTreeSet::new();
        // Who asks is found out before that counts for anything, as Kong has it.
        let mut all: Vec<&Node> = self.0.iter().collect();
        all.sort_by_key(|plugin| match plugin.text_of("name").unwrap_or_default() {
            "acl" => 2,
            called if FIND_OUT.contains(&called) => 0,
            "rate-limiting" | "rate-limiting-advanced" | "proxy-cache" | "request-termination" => 3,
            _ => 1,
        });
        for plugin in all {
            if is_of_some(plugin) {
                left_out(
                    &mut work.ledger,
                    plugin,
                    "what holds for some consumers is said by their groups: `[plans]`, or `when` of a rule",
                );
                continue;
            }
            let enabled = plugin.flag_of("enabled", true);
            if enabled && !seen.insert(plugin.text_of("name").unwrap_or_default()) {
                unsupported(&mut work.ledger, plugin, "the same plugin stands there already, and the first counts");
                continue;
            }
            others(&mut work.ledger, plugin, &["name", "config", "service", "route", "protocols", "instance_name"]);
            if let Some(config) = plugin.get("config") {
                carried(&mut work.ledger, config);
            }
            for key in ["protocols", "service", "route"] {
                if let Some(node) = plugin.get(key) {
                    carried(&mut work.ledger, node);
                }
            }
            let said = plugin.texts_of("protocols");
            if !said.is_empty() && !["http", "https"].iter().all(|name| said.iter().any(|other| other == name)) {
                work.ledger.differs(plugin.line_of("protocols"), "it holds for all protocols of its routes");
            }
            if enabled {
                one(work, plugin, name, route);
            }
        }
    }
}

/// Says of a plugin that nothing is made of it, and whether it kept something out.
pub(super) fn left_out(ledger: &mut Ledger, plugin: &Node, why: &str) {
    unsupported(ledger, plugin, why);
    let called = plugin.text_of("name").unwrap_or_default();
    if plugin.flag_of("enabled", true) && (KEEP_OUT.contains(&called) || FIND_OUT.contains(&called)) {
        ledger.opens(plugin.line_of("name"), why);
    }
}

/// Whether a plugin is for a consumer, or a group of them.
pub(super) fn is_of_some(plugin: &Node) -> bool {
    plugin.get("consumer").is_some() || plugin.get("consumer_group").is_some()
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
            let first =
                names.first().filter(|name| valid::token(name)).map_or("apikey", String::as_str).to_ascii_lowercase();
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
        "acl" if !asks_who(work, route) => {
            rule(work, route, "not-imported", Table::new().with("type", "cel").with("allow", "false"));
            let why = "nobody is let in: no rule of the route finds out who asks; name a rule of type groups behind one that does";
            unsupported(&mut work.ledger, plugin, why);
        }
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
                "kilobytes" => "KiB",
                "bytes" => "B",
                _ => "MiB",
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
            for key in ["status", "message"] {
                if config.get(key).is_some() {
                    work.ledger.differs(config.line_of(key), "who is refused gets 403, with an error of Ringway's own");
                }
            }
            match table.0.len() {
                1 => work.ledger.opens(at, "it keeps nobody out: neither `allow` nor `deny` has an address range"),
                _ => rule(work, route, "ip-restriction", table),
            }
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
            let deny = list("deny");
            if deny.is_empty() {
                return work
                    .ledger
                    .opens(at, "who is a bot is said by a rule of type user-agent: there is no list of Ringway's own");
            }
            if deny.len() < config.texts_of("deny").len() {
                work.ledger.opens(
                    config.line_of("deny"),
                    "a regex is not understood: there are no look-arounds and no back-references",
                );
            }
            if config.get("allow").is_some() {
                work.ledger.differs(config.line_of("allow"), "who is denied is so, whatever is allowed");
            }
            let table = Table::new().with("type", "user-agent").with("deny", deny);
            work.ledger.differs(at, "there is no list of bots beside what is named");
            rule(work, route, "bot-detection", table);
        }
        "request-transformer" | "request-transformer-advanced" => transform(work, &config, route, true),
        "response-transformer" | "response-transformer-advanced" => transform(work, &config, route, false),
        "request-termination" if config.get("trigger").is_some() || config.flag_of("echo", false) => {
            let why = "it answers some requests alone: write a route with `respond` and their `headers` or `query`";
            left_out(&mut work.ledger, plugin, why);
        }
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
            if let Some(ttl) = Some(config.number_of("cache_ttl").unwrap_or(300)).filter(|ttl| *ttl > 0) {
                for code in if config.texts_of("response_code").is_empty() {
                    vec!["200".to_owned(), "301".to_owned(), "404".to_owned()]
                } else {
                    config.texts_of("response_code")
                } {
                    if !valid::statuses(&code) {
                        continue;
                    }
                    table.below(&["default_ttl"]).set(&code, format!("{}s", ttl.min(365 * 86_400)));
                }
            }
            work.ledger.differs(at, "what an answer says of itself decides as RFC 9111 has it; `Cache-Status` takes the place of X-Cache-Status");
            route.set("cache", table);
        }
        "correlation-id" => {
            let header = config.text_of("header_name").unwrap_or("Kong-Request-ID").to_ascii_lowercase();
            if let Err(why) = crate::import::haproxy::editable(&header) {
                return work.ledger.unsupported(config.line_of("header_name"), why);
            }
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
        | "header-cert-auth"
        | "saml"
        | "jwt-signer" => {
            rule(work, route, "not-imported", Table::new().with("type", "cel").with("allow", "false"));
            unsupported(&mut work.ledger, plugin, refused(called));
        }
        other => left_out(&mut work.ledger, plugin, &format!("there is no `{other}`: {}", elsewhere(other))),
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
        if key == "route" {
            work.ledger.differs(at, "each route of the service counts by itself");
        }
        table.set("headers", if config.flag_of("hide_client_headers", false) { "none" } else { "both" });
        // What two plugins count, they count by themselves, even if they are alike.
        let name = work.draft.of_one("rules", &format!("limit-by-{unit}"), &format!("plugin {at}"), table);
        route.push("rules", name);
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
        let fine = |item: &String| if key == "methods" { valid::method(item) } else { valid::token(item) };
        if !list.iter().all(fine) {
            work.ledger.differs(config.line_of(key), "what is no name is left out");
        }
        let list: Vec<String> = list.into_iter().filter(fine).collect();
        if !list.is_empty() && !list.iter().any(|item| item == "*") {
            table.set(name, list);
        }
    }
    if config.flag_of("preflight_continue", false) {
        work.ledger.differs(config.line_of("preflight_continue"), "preflights are answered here, and do not go on");
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
                let (name, to) = text.split_once(':').map_or((text, ""), |(name, to)| (name.trim(), to.trim()));
                let name = if place == "headers" { name.to_ascii_lowercase() } else { name.to_owned() };
                if name.is_empty() {
                    work.ledger.unsupported(value.line, "it has no name");
                    continue;
                }
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
                    "rename" if place == "headers" && !valid::token(to) || to.is_empty() && edit == "rename" => {
                        work.ledger.unsupported(value.line, format!("`{to}` is no name"));
                    }
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
    // What had no edit that can be said is nothing.
    for (_, part) in &mut table.0 {
        if let Value::Table(part) = part {
            part.0.retain(|(_, edits)| !matches!(edits, Value::Table(edits) if edits.is_empty()));
        }
    }
    table.0.retain(|(_, part)| !matches!(part, Value::Table(part) if part.is_empty()));
    if !table.is_empty() {
        let mut rule_table = Table::new().with("type", "transform");
        rule_table.0.extend(table.0);
        rule(work, route, &format!("{side}-transformer"), rule_table);
    }
}
