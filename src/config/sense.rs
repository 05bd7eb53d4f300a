//! What single values cannot show: dangling names, the same bind twice, keys that exclude each other, things that do
//! nothing. Works on what is left of a configuration with faults, and says nothing that one of these could have caused.

mod aggregate;
mod analytics;
mod api;
mod buffer;
mod cache;
mod compress;
mod discover;
mod edit;
mod expect;
mod files;
mod guard;
mod health;
mod lifecycle;
mod live;
mod log;
mod mirror;
mod pages;
mod passage;
mod proxy;
mod queue;
mod rewrite;
mod rule;
mod secure;
mod sockets;
mod split;
mod stage;
pub(in crate::config) mod sticky;
mod store;
mod tracing;
mod translation;
mod udp;
mod user;

use super::defaults::{HTTP_ONLY, OUTCOMES};
use super::model::{Address, Balance, Config, Listener, Pool, Protocol, Redirect, Route};
use super::sources::{Fault, KeyPath, Sources};
use super::walk::{Outcome, choice, nearest};
use std::collections::{BTreeMap, BTreeSet};

/// What makes no sense, and what is likely a mistake.
#[derive(Default)]
pub struct Findings {
    /// What keeps the configuration from being used.
    pub faults: Vec<Fault>,
    /// What does not.
    pub warnings: Vec<Fault>,
}

/// Looks at a whole configuration.
pub fn check(config: &Config, sources: &Sources, outcome: &Outcome) -> Findings {
    let mut sense = Sense { config, sources, outcome, findings: Findings::default() };
    if config.listeners.is_empty() && sources.names("listeners").is_some_and(|n| n.is_empty()) && sense.is_complete([])
    {
        sense.fault(
            Fault::new([], "there is no listener: nothing would be served")
                .help("add [listeners.web] with listen = [\"127.0.0.1:8080\"] and a pool"),
        );
    }
    user::check(&mut sense);
    sense.admin();
    config.listeners.iter().for_each(|(name, listener)| sense.listener(name, listener));
    sense.binds();
    config.routes.iter().for_each(|(name, route)| sense.route(name, route));
    config.pools.iter().for_each(|(name, pool)| sense.pool(name, pool));
    config.tests.iter().for_each(|(name, test)| expect::check(&mut sense, name, test));
    if let Some(access_log) = &config.access_log {
        log::check(&mut sense, access_log);
    }
    sense.unused_pools();
    translation::unused(&mut sense);
    cache::folders(&mut sense);
    cache::unused(&mut sense);
    api::unused(&mut sense);
    stage::all(&mut sense);
    rule::all(&mut sense);
    if let Some(of) = &config.tracing {
        tracing::check(&mut sense, of);
    }
    if let Some(of) = &config.store.redis {
        store::check(&mut sense, of);
    }
    if let Some(of) = &config.analytics {
        analytics::check(&mut sense, of);
    }
    sense.findings
}

/// The keys of a route that mean something only where targets are asked.
const OF_TARGETS: [&str; 13] = [
    "strip_prefix",
    "host",
    "retry",
    "hedge",
    "mirror",
    "priority_class",
    "request",
    "limits",
    "rewrite",
    "cache",
    "compress",
    "buffer",
    "translate",
];

struct Sense<'a> {
    config: &'a Config,
    sources: &'a Sources,
    outcome: &'a Outcome,
    findings: Findings,
}

impl Sense<'_> {
    fn admin(&mut self) {
        let at = KeyPath::from(["admin"]);
        let Some(admin) = self.config.admin.as_ref().filter(|_| self.is_complete(at.clone())) else { return };
        if admin.listen.is_none() && admin.socket.is_none() && !self.has(&at, "listen") && !self.has(&at, "socket") {
            self.fault(
                Fault::new(at.clone(), "the admin listener listens nowhere")
                    .help("add listen = \"127.0.0.1:9901\" or socket = \"/run/ringway/admin.sock\""),
            );
        }
        if let Some(listen) = admin.listen
            && !listen.ip().is_loopback()
            && !self.has(&at, "token_file")
        {
            self.fault(
                Fault::new(
                    at.child("listen"),
                    format!("other hosts can reach `{listen}`, and nobody is asked for a token"),
                )
                .help(format!("add `token_file`, or write \"127.0.0.1:{}\"", listen.port())),
            );
        }
        if self.has(&at, "token_file") && !self.has(&at, "listen") {
            self.findings.warnings.push(
                Fault::new(at.child("token_file"), "the token is asked for over TCP only, and there is no `listen`")
                    .help("add listen = \"127.0.0.1:9901\", or remove it"),
            );
        }
    }

    fn listener(&mut self, name: &str, listener: &Listener) {
        let at = KeyPath::from(["listeners", name]);
        if listener.listen.is_empty() && self.has(&at, "listen") && self.is_sound(&at, "listen") {
            self.fault(
                Fault::new(at.child("listen"), format!("listener `{name}` listens nowhere"))
                    .help("write listen = [\"127.0.0.1:8080\"]"),
            );
        }
        if let Some(pool) = &listener.pool {
            self.dangling(&at.child("pool"), "pool", "pools", pool);
        }
        if !self.is_sound(&at, "protocol") || !self.is_complete(at.clone()) {
            return;
        }
        guard::check(self, listener, &at);
        pages::check(self, &listener.error_pages, None, &at);
        sockets::check(self, listener, &at);
        proxy::check(self, listener, &at);
        if let Some(tls) = listener.tls.as_ref().filter(|_| listener.protocol != Protocol::Udp) {
            secure::check(self, name, listener.protocol, tls, &at.child("tls"));
        }
        if listener.protocol != Protocol::Udp {
            udp::elsewhere(self, listener.protocol, &at);
        }
        match listener.protocol {
            Protocol::Udp => udp::check(self, name, listener, &at),
            Protocol::Tcp => self.tcp_listener(name, &at),
            Protocol::Http => {
                self.redirect_to_itself(name, listener, &at);
                let answered = self.has(&at, "pool") || self.has(&at, "redirect") || self.may_be_routed(name);
                if !answered && self.is_complete([]) {
                    self.fault(
                        Fault::new(at, format!("nothing answers on listener `{name}`"))
                            .help("give it a pool or a redirect, or define a route"),
                    );
                }
            }
        }
    }

    fn tcp_listener(&mut self, name: &str, at: &KeyPath) {
        let config = self.config;
        let passes = config.routes.values().any(|route| config.passes_on(route, name));
        if !self.has(at, "pool") && !passes {
            self.fault(Fault::new(at.clone(), format!("tcp listener `{name}` has no pool")).help("add pool = \"…\""));
        }
        for key in HTTP_ONLY {
            if self.sources.has_own(&at.child(key)) {
                self.fault(
                    Fault::new(at.child(key), format!("`{key}` means nothing on a tcp listener"))
                        .help("remove it, or set protocol = \"http\""),
                );
            }
        }
    }

    /// A listener with TLS that redirects to https.
    fn redirect_to_itself(&mut self, name: &str, listener: &Listener, at: &KeyPath) {
        if listener.tls.is_some() && listener.redirect.is_some() {
            self.fault(
                Fault::new(at.child("redirect"), format!("listener `{name}` redirects to where it is: it has TLS"))
                    .help("remove `redirect` here; it belongs on the listener in clear"),
            );
        }
    }

    /// Whether a route could be on a listener, be it only once its faults are mended.
    fn may_be_routed(&self, listener: &str) -> bool {
        let Some(routes) = self.sources.names("routes") else { return true };
        routes.iter().any(|name| match self.config.routes.get(*name) {
            None => true,
            Some(route) => {
                let sound = self.is_sound(&KeyPath::from(["routes", name]), "listeners");
                let mut stages = route.stages.iter().filter_map(|stage| self.config.stages.get(stage));
                !sound
                    || self.config.is_on(route, listener)
                    || stages.any(|stage| stage.listeners.iter().any(|named| named == listener))
            }
        })
    }

    fn binds(&mut self) {
        // A port of TCP and one of UDP are two.
        let mut bound: BTreeMap<(&Address, bool), KeyPath> = BTreeMap::new();
        let admin = self.config.admin.as_ref().and_then(|admin| admin.listen).map(Address::Ip);
        let socket = self.config.admin.as_ref().and_then(|admin| admin.socket.clone()).map(Address::Unix);
        if let Some(socket) = socket.as_ref().filter(|_| self.is_sound(&KeyPath::from(["admin"]), "socket")) {
            bound.insert((socket, false), KeyPath::from(["admin", "socket"]));
        }
        if let Some(admin) = admin.as_ref().filter(|_| self.is_sound(&KeyPath::from(["admin"]), "listen")) {
            bound.insert((admin, false), KeyPath::from(["admin", "listen"]));
        }
        for (name, listener) in &self.config.listeners {
            let list = KeyPath::from(["listeners", name, "listen"]);
            if !self.outcome.is_sound(&list) {
                continue;
            }
            for (index, address) in listener.listen.iter().enumerate() {
                if matches!(address, Address::Ip(socket) if socket.port() == 0) {
                    continue;
                }
                let here = list.child(index);
                let what = (address, listener.protocol == Protocol::Udp);
                match bound.get(&what) {
                    Some(first) => self.findings.faults.push(
                        Fault::new(here, format!("`{address}` is bound twice")).also(first.clone(), "first bound here"),
                    ),
                    None => drop(bound.insert(what, here)),
                }
            }
        }
    }

    fn route(&mut self, name: &str, route: &Route) {
        let at = KeyPath::from(["routes", name]);
        if let Some(pool) = &route.pool {
            self.dangling(&at.child("pool"), "pool", "pools", pool);
        }
        split::check(self, route, &at);
        mirror::check(self, route, &at);
        lifecycle::check(self, route, &at);
        aggregate::check(self, route, &at);
        if let Some(cache) = &route.cache {
            cache::route(self, cache, &at);
        }
        rule::route(self, route, &at);
        api::route(self, route, &at);
        stage::route(self, route, &at);
        if passage::check(self, name, route, &at) {
            return;
        }
        self.outcome_of(name, &at);
        edit::check(self, route, &at);
        rewrite::check(self, route, &at);
        translation::route(self, route, &at);
        buffer::check(self, route, &at);
        self.route_listeners(&at, route);
        pages::check(self, &route.error_pages, route.maintenance.as_ref(), &at);
        if let Some(of) = &route.files {
            files::check(self, route, of, &at);
        }
        compress::check(self, route, &at);
        if let Some(redirect) = &route.redirect {
            self.redirect(&at.child("redirect"), redirect);
        }
        for (index, pool) in route.respond.iter().flat_map(|respond| respond.fail_if_down.iter().enumerate()) {
            self.dangling(&at.child("respond").child("fail_if_down").child(index), "pool", "pools", pool);
        }
        if let Some(respond) = &route.respond
            && matches!(respond.status, 204 | 205 | 304)
            && !respond.body.is_empty()
        {
            let what = format!("an answer with status {} has no body", respond.status);
            self.fault(Fault::new(at.child("respond").child("body"), what).help("remove the body"));
        }
        if let Some(prefix) = &route.strip_prefix
            && self.is_sound(&at, "paths")
            && !route.paths.is_empty()
            && !route.paths.iter().any(|path| starts_with(path, prefix))
        {
            self.fault(
                Fault::new(at.child("strip_prefix"), format!("no path of route `{name}` starts with `{prefix}`"))
                    .also(at.child("paths"), "its paths"),
            );
        }
    }

    fn outcome_of(&mut self, name: &str, at: &KeyPath) {
        let mut set: Vec<&str> = OUTCOMES.into_iter().filter(|key| self.has(at, key)).collect();
        if set[..] == ["pool", "files"] {
            set.truncate(1);
        }
        match &set[..] {
            [] if self.is_complete(at.clone()) => self.fault(
                Fault::new(at.clone(), format!("route `{name}` does nothing"))
                    .help("give it one of `pool`, `split`, `aggregate`, `files`, `respond`, `redirect`, `portal`"),
            ),
            [first, second, ..] => self.fault(
                Fault::new(at.child(second), format!("route `{name}` has both `{first}` and `{second}`"))
                    .also(at.child(first), "the other one")
                    .help("a route has exactly one of `pool`, `split`, `aggregate`, `files`, `respond`, `redirect`, `portal`"),
            ),
            [only @ ("files" | "respond" | "redirect")] => {
                for key in OF_TARGETS {
                    if !(*only == "files" && key == "strip_prefix") && self.sources.has_own(&at.child(key)) {
                        let what = format!("`{key}` means nothing without a pool");
                        self.fault(Fault::new(at.child(key), what).help("remove it: this route asks no target"));
                    }
                }
            }
            _ => {}
        }
    }

    fn route_listeners(&mut self, at: &KeyPath, route: &Route) {
        let list = at.child("listeners");
        if !self.outcome.is_sound(&list) {
            return;
        }
        for (index, listener) in route.listeners.iter().enumerate() {
            self.http_listener(&list.child(index), "routes need", listener);
        }
        let http = self.config.listeners.values().any(|listener| listener.protocol == Protocol::Http);
        if route.listeners.is_empty() && !http && !self.config.listeners.is_empty() {
            self.findings.warnings.push(
                Fault::new(at.clone(), format!("route `{}` is on no listener", at.keys()[1]))
                    .help("routes are on http listeners, and there is none"),
            );
        }
    }

    /// A listener that is named at `at` by what needs HTTP.
    fn http_listener(&mut self, at: &KeyPath, who: &str, listener: &str) {
        self.dangling(at, "listener", "listeners", listener);
        let speaks = match self.config.listeners.get(listener).map(|listener| listener.protocol) {
            Some(Protocol::Tcp) => "tcp",
            Some(Protocol::Udp) => "udp",
            Some(Protocol::Http) | None => return,
        };
        if self.is_sound(&KeyPath::from(["listeners", listener]), "protocol") {
            self.fault(
                Fault::new(at.clone(), format!("`{listener}` is a {speaks} listener: {who} HTTP"))
                    .also(["listeners", listener, "protocol"], "declared here"),
            );
        }
    }

    fn redirect(&mut self, at: &KeyPath, redirect: &Redirect) {
        let Redirect { scheme, host, port, path, .. } = redirect;
        let nowhere = scheme.is_none() && host.is_none() && port.is_none() && path.is_none();
        if nowhere && self.outcome.is_sound(at) && self.is_complete(at.clone()) {
            self.fault(
                Fault::new(at.clone(), "the redirect leads to where it came from")
                    .help("set one of `scheme`, `host`, `port`, `path`"),
            );
        }
    }

    fn pool(&mut self, name: &str, pool: &Pool) {
        let at = KeyPath::from(["pools", name]);
        let targets = at.child("targets");
        if self.sources.has(&targets) && self.outcome.is_sound(&targets) {
            self.targets(name, pool, &targets);
        }
        discover::check(self, name, pool, &at);
        if self.sources.has_own(&at.child("key")) && pool.balance != Balance::Hash && self.is_sound(&at, "balance") {
            self.fault(
                Fault::new(at.child("key"), "`key` means nothing unless the balance is \"hash\"")
                    .help("set balance = \"hash\", or remove `key`"),
            );
        }
        queue::check(self, name, pool, &at);
        secure::check_pool(self, name, pool, &at);
        sockets::check_pool(self, pool, &at);
        health::check(self, name, pool, &at);
        sticky::check(self, name, pool, &at);
        live::check(self, name, pool, &at);
    }

    fn targets(&mut self, name: &str, pool: &Pool, at: &KeyPath) {
        if pool.targets.is_empty() && self.has(&KeyPath::from(["pools", name]), "discover") {
            return;
        }
        if pool.targets.is_empty() {
            let what = format!("pool `{name}` is empty");
            return self.fault(Fault::new(at.clone(), what).help("write targets = [\"127.0.0.1:9000\"]"));
        }
        if pool.targets.iter().all(|target| target.weight == 0) {
            self.fault(
                Fault::new(at.clone(), format!("all targets of pool `{name}` have weight 0"))
                    .help("a target of weight 0 takes no new work: give one a weight of 1 or more"),
            );
        }
        let mut seen: BTreeMap<&Address, usize> = BTreeMap::new();
        for (index, target) in pool.targets.iter().enumerate() {
            match seen.get(&target.address) {
                Some(first) => self.findings.faults.push(
                    Fault::new(at.child(index), format!("target `{}` is in pool `{name}` twice", target.address))
                        .also(at.child(first), "first named here")
                        .help("name it once, and use `weight` to give it more of the work"),
                ),
                None => drop(seen.insert(&target.address, index)),
            }
        }
    }

    fn unused_pools(&mut self) {
        let config = self.config;
        let asked = config.routes.values().flat_map(|route| config.pools_of(route));
        let watched = config.routes.values().filter_map(|route| route.respond.as_ref()).flat_map(|r| &r.fail_if_down);
        let listened = config.listeners.values().filter_map(|listener| listener.pool.as_ref());
        let used: BTreeSet<&String> = listened.chain(asked).chain(watched).collect();
        for name in config.pools.keys().filter(|name| !used.contains(name)) {
            self.findings.warnings.push(
                Fault::new(["pools", name], format!("nothing uses pool `{name}`"))
                    .help("name it as the pool of a listener or a route"),
            );
        }
    }

    fn dangling(&mut self, at: &KeyPath, kind: &str, plural: &str, name: &str) {
        let Some(known) = self.sources.names(plural).filter(|_| self.is_complete([])) else { return };
        if known.contains(&name) {
            return;
        }
        let help = match nearest(name, &known) {
            Some(near) => format!("did you mean `{near}`?"),
            None if known.is_empty() => format!("define [{plural}.{name}]"),
            None => choice(kind, &known),
        };
        self.fault(Fault::new(at.clone(), format!("no {kind} is named `{name}`")).help(help));
    }

    fn fault(&mut self, fault: Fault) {
        self.findings.faults.push(fault);
    }

    fn has(&self, at: &KeyPath, key: &str) -> bool {
        self.sources.has(&at.child(key))
    }

    fn is_sound(&self, at: &KeyPath, key: &str) -> bool {
        self.outcome.is_sound(&at.child(key))
    }

    fn is_complete(&self, at: impl Into<KeyPath>) -> bool {
        self.outcome.is_complete(&at.into())
    }
}

/// Whether a path pattern begins with a prefix on a segment border. What a regex begins with cannot be told.
fn starts_with(pattern: &str, prefix: &str) -> bool {
    if pattern.starts_with('~') {
        return true;
    }
    let path = pattern.strip_prefix('=').unwrap_or(pattern);
    let prefix = prefix.trim_end_matches('/');
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
