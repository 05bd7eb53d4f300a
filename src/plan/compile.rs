//! From the configuration to the plan.

mod listener;

use super::aggregate::{self, Aggregate};
use super::alike::Alike;
use super::apis::{Apis, Unfolded};
use super::edits::{Edit, Edits};
use super::files::Files;
use super::live;
use super::mirror::Mirror;
use super::path::Forms;
use super::rewrite::Rewrite;
use super::rules::{Issuers, Rules, bodies};
use super::sharing;
use super::split::{self, Split};
use super::sticky;
use super::tracing;
use super::translation::Translations;
use super::{
    Action, Compress, Forward, Host, Key, Lifecycle, Limits, Plan, Pool, Redirect, Respond, Retry, Route, Runtime, Site,
};
use super::{Store, cache, edge, front, pages, probes, sockets, vary};
use crate::config::model::{self, Config};
use crate::config::{Fault, KeyPath};
use crate::net;
use crate::observe::counters::Shape;
use crate::tls::Rings;
use crate::upstream::outlier::Outlier;
use crate::upstream::queue::{Adaptive, AdaptiveSettings, Limits as QueueLimits, Queue};
use crate::upstream::{self, balance::Kind};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// Compiles a configuration. Fails with every fault that concerns several of its values, such as routes that tie.
///
/// `workers` is how many threads will run it.
pub fn compile(config: &Config, workers: usize) -> Result<Plan, Vec<Fault>> {
    build(config, workers, Before::default(), Rings::default(), Files::read(config))
}

/// The same for a process that another one hands over to, with the keys of that one's tickets.
pub fn inherit(config: &Config, workers: usize, rings: Rings) -> Result<Plan, Vec<Fault>> {
    build(config, workers, Before::default(), rings, Files::read(config))
}

/// Compiles a configuration that follows the one of `previous` in the same process. What is the same in both is one: a pool is
/// known by its name, a target by its pool and address.
pub fn succeed(config: &Config, previous: &Plan) -> Result<Plan, Vec<Fault>> {
    let before = Before { plan: Some(previous), beside: None };
    build(config, previous.runtime.workers, before, previous.rings.succeed(), Files::read(config))
}

/// The same of one that differs from `previous` in its targets alone. Where `beside` runs at the same time, what `previous` does not
/// know is what it is there.
pub fn renew(config: &Config, previous: &Plan, beside: Option<&Plan>) -> Result<Plan, Vec<Fault>> {
    let before = Before { plan: Some(previous), beside };
    build(config, previous.runtime.workers, before, previous.rings.succeed(), previous.files.clone())
}

/// The plans that a new one goes on from.
#[derive(Clone, Copy, Default)]
struct Before<'a> {
    /// The one that it follows.
    plan: Option<&'a Plan>,
    /// One that runs at the same time.
    beside: Option<&'a Plan>,
}

fn build(config: &Config, workers: usize, before: Before<'_>, rings: Rings, files: Files) -> Result<Plan, Vec<Fault>> {
    let previous = before.plan;
    let mut faults = Vec::new();
    let pool_index: BTreeMap<&str, usize> = config.pools.keys().enumerate().map(|(i, n)| (n.as_str(), i)).collect();
    let mut pools: Vec<Pool> = Vec::new();
    for (name, pool) in &config.pools {
        match compile_pool(name, pool, workers, before, &files) {
            Ok(pool) => pools.push(pool),
            Err(found) => faults.extend(found),
        }
    }
    probes::follow(config, &mut pools);
    let tracing = compile_tracing(config, previous, &files).unwrap_or_else(|found| {
        faults.extend(found);
        None
    });
    let sharing = sharing::follow(config, previous, &files).unwrap_or_else(|found| {
        faults.push(found);
        None
    });
    let mut caches = cache::stores(config, previous);
    let known = [before.plan, before.beside].into_iter().flatten().flat_map(|plan| &plan.issuers);
    let issuers = Issuers::new(known.map(|(_, issuer)| issuer.clone()).collect());
    let apis = Apis::compile(config, &files, previous.map(|plan| &plan.apis), &mut faults);
    let before_them = previous.map(|plan| &plan.translations);
    let translations = Translations::compile(config, &files, before_them, &mut faults);
    let (rules, lasting) = Rules::compile(config, &files, &apis, (previous, issuers), &mut faults);
    let written = config;
    let unfolded = Unfolded::new(written, &apis, &mut faults);
    let config = &*unfolded.config;
    let mut routes = Vec::new();
    let mut conditions = Vec::new();
    let forwards = Alike::default();
    let chosen_by = vary::compile(&unfolded, &mut faults);
    for ((name, route), (mut condition, varies)) in config.routes.iter().zip(chosen_by) {
        let compiled = compile_route(
            (unfolded.origin(name), name, route, varies),
            &rules,
            &config.limits,
            (&pool_index, &pools, &caches),
            (workers, previous),
            (&forwards, &translations),
        );
        match compiled.and_then(|compiled| pages::add(compiled, route, &files)) {
            Ok(mut route) => {
                route.name.clone_from(name);
                if let Some(when) = &mut condition.when {
                    when.route = routes.len();
                    route.when = Some(when.condition.clone());
                }
                routes.push(route);
                conditions.push(condition);
            }
            Err(found) => faults.extend(found),
        }
    }
    if !faults.is_empty() {
        faults.dedup_by(|a, b| a.at == b.at && a.what == b.what);
        return Err(faults);
    }
    let mut listeners = Vec::new();
    let context = listener::Context {
        config,
        rules: &rules,
        workers,
        pools: &pool_index,
        conditions: &conditions,
        previous,
        files: &files,
    };
    let mut shared = edge::Shared::new(config, previous, rings);
    for (index, (name, listener)) in config.listeners.iter().enumerate() {
        match listener::compile(index, name, listener, &context, &mut shared) {
            Ok(listener) => listeners.push(Arc::new(listener)),
            Err(found) => faults.extend(found.into_iter().map(|fault| unfolded.as_written(written, fault))),
        }
    }
    if !faults.is_empty() {
        faults.dedup_by(|a, b| a.at == b.at && a.what == b.what);
        return Err(faults);
    }
    let shape = Shape {
        listeners: config.listeners.keys().cloned().collect(),
        routes: config.routes.keys().cloned().chain([NO_ROUTE.to_owned()]).collect(),
        conditional_routes: (0..routes.len()).filter(|&route| routes[route].when.is_some()).collect(),
        passing: (0..routes.len()).filter(|&route| matches!(routes[route].action, Action::Pass(_))).collect(),
        pools: pools
            .iter()
            .map(|pool| {
                (pool.shared.name.clone(), pool.shared.targets.iter().map(|target| target.name.clone()).collect())
            })
            .collect(),
        caches: caches.iter().map(|store| store.shared.name.clone()).collect(),
        rules: config.rules.keys().cloned().collect(),
        banning: rules.banning(),
        slowing: (0..)
            .zip(config.rules.values())
            .filter(|(_, rule)| matches!(rule.kind, model::RuleKind::Bandwidth(_)))
            .map(|(i, _)| i)
            .collect(),
        conditional_rules: (0..)
            .zip(config.rules.values())
            .filter(|(_, rule)| rule.when.is_some())
            .map(|(i, _)| i)
            .collect(),
    };
    let fronted = config.listeners.values().any(|listener| !listener.trusted_proxies.is_empty());
    cache::note_uses(&mut caches, &routes, fronted);
    let checks = probes::compile(config, &pools);
    let counted = rules.counted();
    Ok(Plan {
        runtime: Runtime {
            workers,
            driver: match config.runtime.driver {
                model::Driver::Auto => net::Driver::Auto,
                model::Driver::IoUring => net::Driver::IoUring,
                model::Driver::Epoll => net::Driver::Epoll,
            },
            shutdown_timeout: config.runtime.shutdown_timeout.0,
            upgrade_drain: config.upgrade.drain.0,
            upgrade_max_old: config.upgrade.max_old,
            max_connections: config.runtime.max_connections,
            slow: config
                .admin
                .as_ref()
                .filter(|admin| admin.dashboard)
                .map(|admin| u64::try_from(admin.slow.0.as_nanos()).unwrap_or(u64::MAX)),
        },
        limits: Limits {
            request_head: usize::try_from(config.limits.request_head.0).unwrap_or(usize::MAX),
            headers: config.limits.headers,
            request_body: config.limits.request_body.map(|size| size.0),
            compression: usize::try_from(config.limits.compression.0).unwrap_or(usize::MAX),
            verified_tokens: config.limits.verified_tokens.0,
            retry_bodies: usize::try_from(config.limits.retry_bodies.0).unwrap_or(usize::MAX),
            buffers: usize::try_from(config.limits.buffers.0).unwrap_or(usize::MAX),
            buffers_disk: config.limits.buffers_disk.0,
            temp_dir: config.runtime.temp_dir.as_path().into(),
        },
        tracing,
        sharing,
        listeners,
        routes,
        pools,
        caches,
        lasting,
        apis: apis.with(&unfolded),
        translations,
        issuers: rules.issuers(),
        checks,
        acme: edge::acme(config),
        answers: shared.answers,
        rings: shared.rings,
        config: written.clone(),
        files,
        tarpits: rules.tarpits(),
        shape,
        counted,
    })
}

/// The label of requests that no route took. No configured name has parentheses.
const NO_ROUTE: &str = "(none)";

pub(super) fn fault(at: &[&str], what: impl Into<String>, help: Option<String>) -> Fault {
    Fault { at: key_path(at), also: None, what: what.into(), help }
}

pub(super) fn key_path(at: &[&str]) -> KeyPath {
    at.iter().map(|&segment| segment.to_owned()).collect()
}

fn address(address: &model::Address) -> net::Address {
    match address {
        model::Address::Ip(ip) => net::Address::Ip(*ip),
        model::Address::Unix(path) => net::Address::Unix(path.clone()),
    }
}

/// Traces are delivered as before where nothing of that has changed.
fn compile_tracing(
    config: &Config,
    previous: Option<&Plan>,
    files: &Files,
) -> Result<Option<Arc<tracing::Tracing>>, Vec<Fault>> {
    let at = key_path(&["tracing"]);
    let is_same = |plan: &&Plan| plan.config.tracing == config.tracing && plan.files.are_the_same(files, &at);
    match previous.filter(is_same) {
        Some(same) => Ok(same.tracing.clone()),
        None => Ok(config.tracing.as_ref().map(tracing::compile).transpose()?.map(Arc::new)),
    }
}

fn compile_pool(
    name: &str,
    pool: &model::Pool,
    workers: usize,
    before: Before<'_>,
    files: &Files,
) -> Result<Pool, Vec<Fault>> {
    let at = key_path(&["pools", name]);
    // Whom targets follow may have changed although they have not.
    let is_same = |plan: &&Plan| {
        let same = plan.config.pools.get(name) == Some(pool) && pool.track.is_none();
        same && plan.files.are_the_same(files, &at)
    };
    let both = before.plan.into_iter().chain(before.beside);
    if let Some(same) = both.filter(is_same).find_map(|plan| plan.pool(name)) {
        return Ok(same.clone());
    }
    let (before, beside) =
        (before.plan.and_then(|plan| plan.pool(name)), before.beside.and_then(|plan| plan.pool(name)));
    let check_tls_before = before.and_then(|before| before.check_tls.as_ref());
    let before = before.map(|before| &before.shared);
    let balance = match pool.balance {
        model::Balance::RoundRobin => Kind::RoundRobin,
        model::Balance::LeastConn => Kind::LeastConn,
        model::Balance::Latency => Kind::Latency,
        model::Balance::Random => Kind::Random,
        model::Balance::Hash => Kind::Hash,
    };
    let key = (pool.balance == model::Balance::Hash).then(|| match &pool.key {
        model::HashKey::ClientIp => Key::ClientIp,
        model::HashKey::Path => Key::Path,
        model::HashKey::Header(name) => Key::Header(name.to_ascii_lowercase()),
        model::HashKey::Cookie(name) => Key::Cookie(name.clone()),
        model::HashKey::Query(name) => Key::Query(name.clone()),
    });
    let beside = beside.map(|beside| &beside.shared);
    // What comes later in it counts.
    let known: HashMap<&net::Address, &upstream::Target> = beside
        .into_iter()
        .chain(before)
        .flat_map(|pool| &pool.targets)
        .map(|target| (&target.address, target))
        .collect();
    let unproven = pool.health.as_ref().is_some_and(|health| health.initial_state == model::InitialState::Down);
    let target = |target: &model::Target| {
        let address = address(&target.address);
        let known = known.get(&address).copied();
        let next = match known {
            Some(known) => known.succeed(target.weight, target.backup),
            None => upstream::Target::new(address, target.weight, target.backup, workers),
        };
        if known.is_none() && unproven {
            next.set_up(false);
        }
        next.limited(target.max_in_flight, compile_adaptive(pool, known), known.is_none())
    };
    let targets: Vec<_> = pool.targets.iter().map(target).collect();
    let sticky_before = before.and_then(|before| before.sticky.as_ref());
    let sticky =
        pool.sticky.as_ref().map(|sticky| sticky::compile(name, sticky, &targets, sticky_before, files)).transpose()?;
    let outlier = pool.outlier.as_ref().map(live::outlier);
    if outlier.as_ref().is_some_and(Outlier::judges) {
        targets.iter().for_each(upstream::Target::count_traffic);
    }
    let tls_before = before.and_then(|before| before.tls.as_ref());
    let tls = pool.tls.as_ref().map(|tls| edge::compile_outbound(name, pool, tls, tls_before)).transpose()?;
    let by_client = pool.source == Some(model::SourceAddress::Client);
    let shared = Arc::new(upstream::Pool {
        name: name.to_owned(),
        balance,
        targets,
        sticky,
        open_when_down: pool.all_down == model::AllDown::Open,
        outlier,
        panic: pool.panic.map(|share| share.0),
        slow_start: pool.slow_start.map(|span| span.0),
        on_down: live::on_down(pool.on_down),
        on_up: live::on_up(pool.on_up),
        timeouts: upstream::Timeouts {
            connect: pool.timeouts.connect.0,
            queue: pool.timeouts.queue.0,
            response_head: pool.timeouts.response_head.0,
            response_idle: pool.timeouts.response_idle.0,
            tunnel: pool.timeouts.tunnel.0,
        },
        protocol: match pool.protocol {
            model::PoolProtocol::H1 => upstream::Protocol::Http1,
            model::PoolProtocol::H2 => upstream::Protocol::Http2,
            model::PoolProtocol::Alpn => upstream::Protocol::Agreed,
        },
        tls,
        send_proxy: pool.send_proxy.map(front::form),
        egress: sockets::egress(pool),
        is_plain: pool.tls.is_none()
            && pool.protocol == model::PoolProtocol::H1
            && pool.send_proxy.is_none()
            && !by_client,
        keepalive: upstream::Keepalive {
            // One client's connections are of no use to another.
            max_idle: if by_client { 0 } else { pool.keepalive.max_idle },
            idle: pool.keepalive.idle.0,
        },
        queue: compile_queue(pool, before, workers),
    });
    if before.is_some_and(|before| before.queue.is_none()) {
        shared.expect_uncounted();
    }
    let check_tls = probes::outbound(name, pool, shared.tls.as_ref(), check_tls_before)?;
    probes::passwords(name, pool)?;
    let waits = pool.health.as_ref().filter(|health| health.initial_state == model::InitialState::Down);
    let unproven_for = waits.map(|health| upstream::health::SOON.saturating_add(health.timeout.0));
    Ok(Pool { shared, key, check_tls, unproven_for })
}

/// What a target's limit has learnt stays with it.
fn compile_adaptive(pool: &model::Pool, known: Option<&upstream::Target>) -> Option<Arc<Adaptive>> {
    let model::Adaptive { min, max, tolerance, window, probe } = pool.adaptive.clone()?;
    let settings = AdaptiveSettings { min, max, tolerance: tolerance.0, window: window.0, probe: probe.0 };
    let before = known.and_then(|known| known.adaptive.clone()).filter(|before| before.is_by(&settings));
    Some(before.unwrap_or_else(|| Arc::new(Adaptive::new(settings))))
}

/// A pool that had limits goes on counting, so that who waits is served when they are gone.
fn compile_queue(pool: &model::Pool, before: Option<&Arc<upstream::Pool>>, workers: usize) -> Option<Queue> {
    let limits = QueueLimits { max_in_flight: pool.max_in_flight, length: pool.queue.length };
    let of_targets = pool.adaptive.is_some() || pool.targets.iter().any(|target| target.max_in_flight.is_some());
    let asks_agent = |health: &model::Health| health.kind == model::HealthType::Agent;
    let by_agent = pool.agent.is_some() || pool.health.as_ref().is_some_and(asks_agent);
    let is_limited = pool.max_in_flight.is_some() || of_targets || by_agent;
    match before.and_then(|before| before.queue.as_ref()) {
        Some(queue) => Some(queue.succeed(limits)),
        None => is_limited.then(|| Queue::new(limits, workers)),
    }
}

fn compile_route(
    (name, own, route, varies): (&str, &str, &model::Route, Option<Edit>),
    rules: &Rules<'_>,
    limits: &model::Limits,
    (pools, built, caches): (&BTreeMap<&str, usize>, &[Pool], &[Store]),
    (workers, previous): (usize, Option<&Plan>),
    (forwards, translations): (&Alike<Forward>, &Translations),
) -> Result<Route, Vec<Fault>> {
    let mut faults = Vec::new();
    let (written, lead) = (route, split::lead(route));
    let route = &*lead;
    let told = rules.edits(route);
    let identified = rules.identify(route);
    let secret: Vec<String> = rules.secret_parameters(route).map(str::to_owned).collect();
    let cors = rules.cors(route);
    let chain = rules.chain(name, route).unwrap_or_else(|found| {
        faults.extend(found);
        None
    });
    let transforms = rules.transforms(route);
    let edits =
        Edits::compile(route, told, rules.answer_edits(route), &transforms, varies).map(|edits| rules.shared(edits));
    let asks: Vec<u64> = transforms.iter().map(|rule| rule.asks).collect();
    let cache = route
        .cache
        .as_ref()
        .map(|cache| cache::compile(name, route, cache, caches, (identified, &secret, &asks)))
        .transpose();
    let cache = cache.unwrap_or_else(|fault| {
        faults.push(fault);
        None
    });
    let forward_to = |route: &model::Route, pool: usize| Forward {
        pool,
        strip_prefix: route.strip_prefix.clone(),
        host: match &route.host {
            model::HostPolicy::Client => Host::Client,
            model::HostPolicy::Target => Host::Target,
            model::HostPolicy::Fixed(name) => Host::Fixed(name.clone()),
        },
        retry: Retry::new(&route.retry, workers, previous.and_then(|plan| plan.retry(own))),
        hedge: route.hedge.map(|hedge| hedge.after.0),
        priority_class: route.priority_class,
        edits: edits.clone(),
        rewrite: Rewrite::compile(
            route,
            transforms.iter().filter_map(|rule| rule.step.clone()).collect(),
            secret.clone(),
        ),
        method: transforms.iter().rev().find_map(|rule| rule.method.clone()),
        bodies: bodies(&transforms),
        buffer_request: route.buffer.request.map(|size| usize::try_from(size.0).unwrap_or(usize::MAX)),
        buffer_response: route.buffer.response.map(|size| usize::try_from(size.0).unwrap_or(usize::MAX)),
        buffer_disk: route.buffer.disk.map(|size| size.0),
        scheme: route.rewrite.scheme.map(|scheme| match scheme {
            model::RewriteScheme::Http => "http",
            model::RewriteScheme::Https => "https",
        }),
        request_body: request_body(route, rules.body(route), limits),
        cache: None,
        compress: Compress::compile(&route.compress),
        translate: translations.of(&route.translate),
        split: None,
        mirror: None,
    };
    let pool_of = |pool: &str| pools.get(pool).copied();
    let action = match (&route.pool, &route.respond, &route.redirect) {
        (Some(pool), ..) if route.passthrough => match pools.get(pool.as_str()) {
            Some(&pool) => Some(Action::Pass(pool)),
            None => {
                faults.push(fault(&["routes", name, "pool"], format!("no pool is named `{pool}`"), None));
                None
            }
        },
        (Some(pool), None, None) => match pools.get(pool.as_str()) {
            Some(&pool) => {
                let forward = Forward { cache, ..forward_to(route, pool) };
                let before = previous.and_then(|plan| plan.mirror(own)).map(|mirror| &**mirror);
                let mirror = Mirror::compile((name, route), &forward, pool_of, workers, before);
                let mirror = mirror.unwrap_or_else(|found| {
                    faults.extend(found);
                    None
                });
                let forward = Forward { mirror, ..forward };
                let as_for = |pool: &str| {
                    let (pool, route) = (*pools.get(pool)?, split::as_for(written, pool));
                    let of = route.cache.as_ref();
                    // What is wrong with it was found out above.
                    let cache =
                        of.map(|of| cache::compile(name, &route, of, caches, (identified, &secret, &asks)).ok());
                    Some(Forward { pool, cache: cache.flatten(), ..forward.clone() })
                };
                let before = previous.and_then(|plan| plan.split(own));
                let split = Split::compile((name, written), as_for, workers, before).unwrap_or_else(|found| {
                    faults.extend(found);
                    None
                });
                let whole = Forward { split, ..forward };
                Some(Action::Forward(forwards.shared(Arc::new(whole), Forward::is_like)))
            }
            None => {
                faults.push(fault(&["routes", name, "pool"], format!("no pool is named `{pool}`"), None));
                None
            }
        },
        (None, None, None) if let Some(aggregate) = &route.aggregate => {
            // What defaults say of one pool's path is nothing to several.
            let plain = model::Route { rewrite: model::Rewrite::default(), ..route.clone() };
            let common = aggregate::Common {
                route,
                base: forward_to(&plain, 0),
                pool_of: &pool_of,
                secret: secret.clone(),
                before: previous.and_then(|plan| plan.aggregate(own)),
            };
            match Aggregate::compile(name, aggregate, &common) {
                Ok(compiled) => Some(Action::Aggregate(Arc::new(compiled))),
                Err(found) => {
                    faults.extend(found);
                    None
                }
            }
        }
        (None, None, None) if let Some(files) = &route.files => {
            Some(Action::Files(Site::compile(files, route.strip_prefix.as_ref(), None)))
        }
        (None, Some(respond), None) => {
            let place = |pool: &String| built.get(*pools.get(pool.as_str())?);
            let watched = respond.fail_if_down.iter().filter_map(place).map(|pool| pool.shared.clone());
            let answer = Respond::new(respond.status, respond.body.clone(), &respond.content_type);
            Some(Action::Respond(Arc::new(Respond { fail_if_down: watched.collect(), ..answer })))
        }
        (None, None, Some(redirect)) => Some(Action::Redirect(Redirect {
            scheme: redirect.scheme.clone(),
            host: redirect.host.clone(),
            port: redirect.port,
            path: redirect.path.clone(),
            status: redirect.status,
        })),
        _ => {
            faults.push(fault(
                &["routes", name],
                "a route has one of `pool`, `split`, `aggregate`, `files`, `respond`, `redirect` and `portal`",
                None,
            ));
            None
        }
    };
    let action = match (action, &route.files) {
        (Some(Action::Forward(forward)), Some(files)) => {
            Some(Action::Files(Site::compile(files, route.strip_prefix.as_ref(), Some(forward))))
        }
        (action, _) => action,
    };
    match action {
        Some(action) if faults.is_empty() => Ok(Route {
            name: name.to_owned(),
            version: route.version.clone().unwrap_or_default(),
            action,
            allowed: Forms::of_names(&route.allow_in_path),
            rules: chain,
            aftermath: rules.aftermath(&route.rules),
            cors,
            edits,
            pages: None,
            maintenance: None,
            lifecycle: route.deprecated.as_ref().map(|of| Arc::new(Lifecycle::compile(of))),
            when: None,
        }),
        _ => Err(faults),
    }
}

/// Bytes that a body may have where something else is said than in `[limits]`.
fn request_body(route: &model::Route, by_rules: Option<u64>, limits: &model::Limits) -> Option<u64> {
    let own = route.limits.request_body.map(|limit| match limit {
        model::BodyLimit::Unlimited => u64::MAX,
        model::BodyLimit::Bytes(size) => size.0,
    });
    let all = limits.request_body.map_or(u64::MAX, |size| size.0);
    by_rules.map(|most| most.min(own.unwrap_or(all))).or(own)
}
