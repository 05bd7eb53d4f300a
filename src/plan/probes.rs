//! How targets are checked, agents asked, and whom targets follow instead.

use super::compile::key_path;
use super::edge;
use super::{Check, Pool};
use crate::config::model::{
    self, Config, Health, HealthStep, HealthTls, HealthType, HealthVersion, InitialState, PoolProtocol, ValueMatch,
};
use crate::config::{Fault, KeyPath};
use crate::net;
use crate::net::proxy_protocol::Form;
use crate::tls::Outbound;
use crate::upstream::Patient;
use crate::upstream::health::probe::{Field, Http, Mysql, Postgres, Redis, Step};
use crate::upstream::health::{Address, CheckSpec, Intervals, Pattern, Probe};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// The checks of all pools.
pub(super) fn compile(config: &Config, pools: &[Pool]) -> Vec<Check> {
    let followers = Followers::of(config);
    let mut checks = Vec::new();
    for (pool, (_, model)) in config.pools.iter().enumerate() {
        for (target, entry) in pools[pool].shared.targets.iter().enumerate() {
            let of = CheckSpec {
                egress: pools[pool].shared.egress.clone(),
                ..CheckSpec::of(&pools[pool].shared.name, &entry.name, address(&entry.address, None, None))
            };
            let followers = || followers.of_target(pool, target);
            if let Some(health) = &model.health {
                let spec = CheckSpec {
                    tls: tls_of(health, &pools[pool]),
                    send_proxy: header_of(health, &pools[pool]),
                    ..check(health, model, of.clone(), entry)
                };
                checks.push(Check { pool, target, spec, beside: false, followers: followers() });
            }
            if let Some(agent) = &model.agent {
                let spec = CheckSpec {
                    address: address(&entry.address, agent.address, Some(agent.port)),
                    probe: Probe::Agent { send: agent.send.clone().into_bytes() },
                    intervals: Intervals::even(agent.interval.0),
                    timeout: agent.timeout.0,
                    ..of
                };
                checks.push(Check { pool, target, spec, beside: true, followers: followers() });
            }
        }
    }
    checks
}

fn check(health: &Health, pool: &model::Pool, of: CheckSpec, target: &crate::upstream::Target) -> CheckSpec {
    let interval = health.interval.0;
    CheckSpec {
        address: address(&target.address, health.address, health.port),
        probe: probe(health, pool),
        intervals: Intervals {
            steady: interval,
            doubt: health.fast_interval.map_or(interval, |span| span.0),
            down: health.down_interval.map_or(interval, |span| span.0),
        },
        timeout: health.timeout.0,
        rise: health.rise,
        fall: health.fall,
        unproven: health.initial_state == InitialState::Down,
        ..of
    }
}

fn tls_of(health: &Health, pool: &Pool) -> Option<Arc<Outbound>> {
    pool.check_tls.clone().filter(|_| !matches!(health.kind, HealthType::Command | HealthType::Agent))
}

/// An agent, and what is asked elsewhere than clients' work goes, expects no header.
fn header_of(health: &Health, pool: &Pool) -> Option<Form> {
    let there = health.address.is_none() && health.port.is_none();
    pool.shared.send_proxy.filter(|_| there && !matches!(health.kind, HealthType::Command | HealthType::Agent))
}

/// What is asked. What cannot be read was found out before.
fn probe(health: &Health, pool: &model::Pool) -> Probe {
    // Where the pool speaks TLS it comes first; clients that ask for it themselves have theirs from the server.
    let asks_for_tls = pool.tls.is_none() && health.tls.as_ref().is_some_and(|tls| *tls != HealthTls::Whether(false));
    let pattern = |text: &Option<String>| text.as_ref().and_then(|text| Pattern::new(text).ok());
    match health.kind {
        HealthType::Tcp | HealthType::Tls => Probe::Tcp,
        HealthType::Http => Probe::Http(Box::new(Http {
            method: health.method.clone(),
            path: health.path.clone(),
            host: health.host.clone(),
            headers: health.headers.iter().map(|(name, value)| (name.clone(), value.0.clone())).collect(),
            body: health.body.clone().into_bytes(),
            h2: speech(health, pool.protocol) == PoolProtocol::H2,
            expect: health.expect.0.clone(),
            expect_headers: health.expect_headers.iter().filter_map(|(name, value)| header(name, value)).collect(),
            expect_body: pattern(&health.expect_body),
            expect_not_body: pattern(&health.expect_not_body),
        })),
        HealthType::Grpc => Probe::Grpc { service: health.service.clone(), host: health.host.clone() },
        HealthType::Postgres => Probe::Postgres(Postgres {
            user: health.user.clone().unwrap_or_default(),
            database: health.database.clone(),
            query: health.query.clone(),
            expect: pattern(&health.expect_value),
            asks_for_tls,
        }),
        HealthType::Mysql => Probe::Mysql(Mysql {
            user: health.user.clone(),
            query: health.query.clone(),
            expect: pattern(&health.expect_value),
            asks_for_tls,
        }),
        HealthType::Redis => Probe::Redis(Redis { user: health.user.clone(), password: health.password_file.clone() }),
        HealthType::Smtp => Probe::Smtp { domain: health.host.clone().unwrap_or_else(|| "localhost".to_owned()) },
        HealthType::Script => Probe::Script(health.steps.iter().filter_map(step).collect()),
        HealthType::Command => Probe::Command(health.command.clone()),
        HealthType::Agent => Probe::Agent { send: health.send.clone().into_bytes() },
    }
}

fn header(name: &str, value: &ValueMatch) -> Option<(String, Field)> {
    let wanted = match value {
        ValueMatch::Present => Field::Present,
        ValueMatch::Absent => Field::Absent,
        ValueMatch::Exact(value) => Field::Is(value.clone().into_bytes()),
        ValueMatch::Regex(regex) => Field::Holds(Pattern::new(&format!("~{regex}")).ok()?),
    };
    Some((name.to_ascii_lowercase(), wanted))
}

fn step(step: &HealthStep) -> Option<Step> {
    let HealthStep { send, send_hex, expect, expect_hex, expect_not, min_bytes } = step;
    let least = min_bytes.and_then(|bytes| usize::try_from(bytes).ok());
    match (send, send_hex, expect, expect_hex, expect_not) {
        (Some(text), ..) => Some(Step::Send(text.clone().into_bytes())),
        (_, Some(hex), ..) => Some(Step::Send(bytes(hex))),
        (_, _, Some(text), ..) => Pattern::new(text).ok().map(Step::Expect),
        (.., Some(hex), _) => Some(Step::Expect(Pattern::Text(bytes(hex)))),
        (.., Some(text)) => Pattern::new(text).ok().map(|pattern| Step::ExpectNot { pattern, least }),
        _ => None,
    }
}

fn bytes(hex: &str) -> Vec<u8> {
    let pairs = hex.as_bytes().chunks_exact(2);
    pairs.filter_map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}

/// What checks speak where they speak HTTP.
fn speech(health: &Health, protocol: PoolProtocol) -> PoolProtocol {
    match (health.kind, health.version) {
        (HealthType::Grpc, _) | (HealthType::Http, Some(HealthVersion::H2)) => PoolProtocol::H2,
        (HealthType::Http, Some(HealthVersion::H1)) => PoolProtocol::H1,
        _ => protocol,
    }
}

/// What TLS is done with in the checks of pool `name`: what its traffic has, where that is the same. Fails with what its files have wrong.
pub(super) fn outbound(
    name: &str,
    pool: &model::Pool,
    traffic: Option<&Arc<Outbound>>,
    before: Option<&Arc<Outbound>>,
) -> Result<Option<Arc<Outbound>>, Vec<Fault>> {
    let Some(health) = &pool.health else { return Ok(None) };
    let wanted = match &health.tls {
        Some(HealthTls::Whether(false)) => None,
        Some(HealthTls::How(how)) => Some((**how).clone()),
        Some(HealthTls::Whether(true)) => Some(pool.tls.clone().unwrap_or_default()),
        None if health.kind == HealthType::Tls => Some(pool.tls.clone().unwrap_or_default()),
        None => pool.tls.clone(),
    };
    let Some(wanted) = wanted else { return Ok(None) };
    let protocol = speech(health, pool.protocol);
    if pool.tls.as_ref() == Some(&wanted) && pool.protocol == protocol {
        return Ok(traffic.cloned());
    }
    let as_checked = model::Pool { protocol, ..pool.clone() };
    let own = matches!(health.tls, Some(HealthTls::How(_)));
    edge::compile_outbound(name, &as_checked, &wanted, before).map(Some).map_err(|faults| {
        let moved = |fault: Fault| match own {
            true => Fault { at: below_health(&fault.at), ..fault },
            false => fault,
        };
        faults.into_iter().map(moved).collect()
    })
}

/// `pools.NAME.tls…` as `pools.NAME.health.tls…`.
fn below_health(at: &KeyPath) -> KeyPath {
    let (pool, rest) = at.keys().split_at(2.min(at.keys().len()));
    pool.iter().cloned().chain(["health".to_owned()]).chain(rest.iter().cloned()).collect()
}

/// A password that cannot be read is told before it is missed.
pub(super) fn passwords(name: &str, pool: &model::Pool) -> Result<(), Vec<Fault>> {
    let Some(path) = pool.health.as_ref().and_then(|health| health.password_file.as_ref()) else { return Ok(()) };
    match std::fs::File::open(path) {
        Ok(_) => Ok(()),
        Err(error) => {
            let what = format!("`{}` cannot be read: {}", path.display(), net::reason(&error));
            let at = key_path(&["pools", name, "health", "password_file"]);
            Err(vec![Fault::new(at, what).help("it must be readable by the user that Ringway runs as")])
        }
    }
}

/// Where a check of a target goes.
fn address(target: &net::Address, ip: Option<IpAddr>, port: Option<u16>) -> Address {
    match (target, ip, port) {
        (net::Address::Ip(own), ip, port) => {
            Address::Ip(SocketAddr::new(ip.unwrap_or(own.ip()), port.unwrap_or(own.port())))
        }
        (net::Address::Unix(_), Some(ip), Some(port)) => Address::Ip(SocketAddr::new(ip, port)),
        (net::Address::Unix(path), ..) => Address::Unix(path.clone()),
    }
}

/// Has the targets of pools that track others follow them. These pools are new: nobody else holds them yet.
pub(super) fn follow(config: &Config, pools: &mut [Pool]) {
    // A pool that is at fault is not among them: the faults are told, and nothing comes of the plan.
    if pools.len() != config.pools.len() {
        return;
    }
    for (place, model) in config.pools.values().enumerate().filter(|(_, model)| model.track.is_some()) {
        let leads: Vec<Box<[Patient]>> = model
            .targets
            .iter()
            .map(|target| {
                let way = way(config, place, &target.address);
                way.into_iter().map(|(pool, target)| pools[pool].shared.targets[target].patient()).collect()
            })
            .collect();
        if let Some(shared) = Arc::get_mut(&mut pools[place].shared) {
            shared.targets.iter_mut().zip(leads).for_each(|(target, leads)| target.leads = leads);
        }
    }
}

/// The targets that the one at `address` of the pool at position `pool` follows, one after the other: the last is checked itself. One that was
/// added beside the configuration may follow nobody.
fn way(config: &Config, pool: usize, address: &model::Address) -> Vec<(usize, usize)> {
    let place = |name: &str| config.pools.keys().position(|known| known == name);
    let mut way = Vec::new();
    let (mut at, mut address) = (config.pools.values().nth(pool), address);
    while let Some(track) = at.and_then(|pool| pool.track.as_ref())
        && way.len() < config.pools.len()
        && let Some(other) = config.pools.get(&track.pool)
        && let Some(target) = track.counterpart(other, address)
        && let Some(pool) = place(&track.pool)
    {
        way.push((pool, target));
        (at, address) = (Some(other), &other.targets[target].address);
    }
    way
}

/// Who follows whom: a target, and the one at the end of its way.
struct Followers(Vec<((usize, usize), (usize, usize))>);

impl Followers {
    fn of(config: &Config) -> Self {
        let mut all = Vec::new();
        for (pool, model) in config.pools.values().enumerate().filter(|(_, model)| model.track.is_some()) {
            for (target, entry) in model.targets.iter().enumerate() {
                if let Some(&last) = way(config, pool, &entry.address).last() {
                    all.push(((pool, target), last));
                }
            }
        }
        Self(all)
    }

    fn of_target(&self, pool: usize, target: usize) -> Vec<(usize, usize)> {
        self.0.iter().filter(|(_, last)| *last == (pool, target)).map(|(follower, _)| *follower).collect()
    }
}
