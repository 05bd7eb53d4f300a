//! What makes no sense in how a pool's targets are checked: keys of another type, steps that do nothing, pools that follow each other in a
//! circle.

use super::Sense;
use crate::config::model::{
    Address, Health, HealthStep, HealthTls, HealthType, HealthVersion, Pool, PoolProtocol, PoolTls, Track,
};
use crate::config::sources::{Fault, KeyPath};

/// Looks at the checks of pool `name`, which stands at `at`.
pub(super) fn check(sense: &mut Sense<'_>, name: &str, pool: &Pool, at: &KeyPath) {
    if let Some(health) = &pool.health {
        let at = at.child("health");
        if sense.is_sound(&at, "type") {
            keys_of_others(sense, health, &at);
            lacks(sense, health, &at);
            database(sense, health, &at);
            headers(sense, health, &at);
            steps(sense, health, &at);
            transport(sense, pool, health, &at);
        }
    }
    let reached = [
        ("health", pool.health.as_ref().and_then(|health| health.address)),
        ("agent", pool.agent.as_ref().and_then(|agent| agent.address)),
    ];
    for (table, address) in reached {
        unreachable(sense, pool, &at.child(table), address.is_some());
    }
    if let Some(track) = &pool.track {
        follows(sense, name, pool, track, at);
    }
}

/// Keys that mean something for checks of another type only.
fn keys_of_others(sense: &mut Sense<'_>, health: &Health, at: &KeyPath) {
    let own = Health::own_keys(health.kind);
    let mut others: Vec<&str> = HealthType::ALL.iter().flat_map(|&kind| Health::own_keys(kind)).copied().collect();
    others.sort_unstable();
    others.dedup();
    for key in others.into_iter().filter(|key| !own.contains(key)) {
        let here = at.child(key);
        if !sense.sources.has_own(&here) {
            continue;
        }
        let kinds = HealthType::ALL.into_iter().filter(|&kind| Health::own_keys(kind).contains(&key));
        let kinds: Vec<String> = kinds.map(|kind| format!("\"{}\"", kind.word())).collect();
        let what = format!("`{key}` means nothing for a health check of type \"{}\"", health.kind.word());
        let help = match &kinds[..] {
            [only] => format!("set type = {only}, or remove it"),
            kinds => format!("it goes with the types {}", kinds.join(", ")),
        };
        sense.fault(Fault::new(here, what).help(help));
    }
}

/// What a check cannot be made without.
fn lacks(sense: &mut Sense<'_>, health: &Health, at: &KeyPath) {
    let (key, help) = match health.kind {
        HealthType::Command if health.command.is_empty() => ("command", "command = [\"/usr/local/bin/check\"]"),
        HealthType::Script if health.steps.is_empty() => {
            ("steps", "steps = [{ send = \"PING\\r\\n\" }, { expect = \"+PONG\" }]")
        }
        HealthType::Postgres if health.user.is_none() => ("user", "user = \"ringway\""),
        _ => return,
    };
    if sense.is_sound(at, key) && sense.is_complete(at.clone()) {
        let what = format!("a health check of type \"{}\" needs `{key}`", health.kind.word());
        sense.fault(Fault::new(at.clone(), what).help(format!("write {help}")));
    }
}

/// What databases are asked.
fn database(sense: &mut Sense<'_>, health: &Health, at: &KeyPath) {
    if health.expect_value.is_some() && health.query.is_none() && sense.is_complete(at.clone()) {
        sense.fault(
            Fault::new(at.child("expect_value"), "`expect_value` means nothing without a `query`")
                .help("add query = \"SELECT 1\", or remove it"),
        );
    }
    if health.kind == HealthType::Mysql
        && health.query.is_some()
        && health.user.is_none()
        && sense.is_complete(at.clone())
    {
        sense
            .fault(Fault::new(at.child("query"), "nobody can ask who is not logged in").help("add user = \"ringway\""));
    }
    if health.kind == HealthType::Redis
        && health.user.is_some()
        && health.password_file.is_none()
        && sense.is_complete(at.clone())
    {
        sense.fault(
            Fault::new(at.child("user"), "`user` means nothing without a `password_file`")
                .help("add one, or remove it"),
        );
    }
    for (key, text) in [("user", &health.user), ("database", &health.database), ("query", &health.query)] {
        if text.as_ref().is_some_and(|text| text.is_empty() || text.contains('\0')) {
            sense.fault(Fault::new(at.child(key), format!("`{key}` is empty or has a zero byte")).help("write a name"));
        }
    }
}

/// Headers that a check writes itself.
fn headers(sense: &mut Sense<'_>, health: &Health, at: &KeyPath) {
    for name in ["connection", "content-length", "host", "te", "transfer-encoding", "upgrade"] {
        if health.headers.contains_key(name) {
            let help = if name == "host" { "write it as `host`" } else { "remove it: a check says it as it must" };
            let at = at.child("headers").child(name);
            sense.fault(Fault::new(at, format!("`{name}` is no header of its own")).help(help));
        }
    }
}

/// A step is one thing.
fn steps(sense: &mut Sense<'_>, health: &Health, at: &KeyPath) {
    for (index, step) in health.steps.iter().enumerate() {
        let here = at.child("steps").child(index);
        if !sense.outcome.is_sound(&here) || !sense.is_complete(here.clone()) {
            continue;
        }
        let HealthStep { send, send_hex, expect, expect_hex, expect_not, min_bytes } = step;
        let count = [send, send_hex, expect, expect_hex, expect_not].iter().filter(|part| part.is_some()).count();
        if count != 1 {
            let what = if count == 0 { "the step does nothing" } else { "the step does several things" };
            sense.fault(
                Fault::new(here, what)
                    .help("a step has exactly one of `send`, `send_hex`, `expect`, `expect_hex`, `expect_not`"),
            );
        } else if min_bytes.is_some() && expect_not.is_none() {
            sense.fault(
                Fault::new(here.child("min_bytes"), "`min_bytes` goes with `expect_not` only").help("remove it"),
            );
        }
    }
}

/// What checks are spoken over.
fn transport(sense: &mut Sense<'_>, pool: &Pool, health: &Health, at: &KeyPath) {
    let off = health.tls == Some(HealthTls::Whether(false));
    if health.kind == HealthType::Tls && off {
        sense.fault(
            Fault::new(at.child("tls"), "a health check of type \"tls\" without TLS")
                .help("set type = \"tcp\", or remove `tls`"),
        );
    }
    let in_clear = off || pool.tls.is_none() && health.tls.is_none();
    if health.kind == HealthType::Http
        && health.version == Some(HealthVersion::H2)
        && in_clear
        && pool.protocol == PoolProtocol::H1
        && pool.tls.is_some()
    {
        sense.findings.warnings.push(
            Fault::new(at.child("version"), "few servers take HTTP/2 in clear, and this pool speaks TLS")
                .help("remove `tls`, or remove `version`"),
        );
    }
    if let Some(HealthTls::How(tls)) = &health.tls {
        let PoolTls { verify, cert, key, .. } = &**tls;
        let at = at.child("tls");
        if key.is_some() && cert.is_none() && sense.is_complete(at.clone()) {
            sense.fault(
                Fault::new(at.child("key"), "a key without a certificate")
                    .help("add cert = \"cert.pem\", or remove it"),
            );
        }
        if !verify && sense.sources.has_own(&at.child("ca")) {
            sense.fault(
                Fault::new(at.child("ca"), "`ca` means nothing while nothing is verified")
                    .help("remove verify = false, or remove `ca`"),
            );
        }
    }
}

/// A port without a host that has it.
fn unreachable(sense: &mut Sense<'_>, pool: &Pool, at: &KeyPath, has_address: bool) {
    let port = at.child("port");
    if has_address || !sense.sources.has_own(&port) || !sense.is_complete(at.clone()) {
        return;
    }
    if let Some(target) = pool.targets.iter().find(|target| matches!(target.address, Address::Unix(_))) {
        sense.fault(
            Fault::new(port, format!("target `{}` has no ports", target.address)).help("add address = \"127.0.0.1\""),
        );
    }
}

/// What the targets follow must be there, be checked, and not follow them in turn.
fn follows(sense: &mut Sense<'_>, name: &str, pool: &Pool, track: &Track, at: &KeyPath) {
    let config = sense.config;
    let here = at.child("track");
    if pool.health.is_some() && sense.sources.has_own(&at.child("health")) {
        sense.fault(
            Fault::new(here.clone(), "targets are checked, or follow others, but not both")
                .also(at.child("health"), "they are checked here")
                .help("remove one of `track` and `health`"),
        );
    }
    sense.dangling(&here, "pool", "pools", &track.pool);
    let mut way = vec![name];
    let mut next = track;
    while let Some(other) = config.pools.get(&next.pool) {
        if way.contains(&next.pool.as_str()) {
            way.push(&next.pool);
            let circle = way.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" → ");
            let what = format!("pools follow each other in a circle: {circle}");
            return sense.fault(Fault::new(here, what).help("one of them must be checked itself"));
        }
        way.push(&next.pool);
        match &other.track {
            Some(further) => next = further,
            None => {
                let checked = other.health.is_some() || other.agent.is_some();
                let at = KeyPath::from(["pools", &next.pool]);
                if !checked && sense.is_sound(&at, "health") && sense.is_sound(&at, "agent") && sense.is_complete(at) {
                    let what = format!("the targets of pool `{}` are not checked", next.pool);
                    let help = format!("add health = {{ type = \"tcp\" }} to [pools.{}]", next.pool);
                    return sense.fault(Fault::new(here, what).help(help));
                }
                break;
            }
        }
    }
    counterparts(sense, pool, track, &here);
}

/// Each target has one that it follows.
fn counterparts(sense: &mut Sense<'_>, pool: &Pool, track: &Track, here: &KeyPath) {
    let Some(other) = sense.config.pools.get(&track.pool) else { return };
    let list = KeyPath::from(["pools", &track.pool]);
    // Whom there will be to follow is not known where targets are found.
    if !sense.is_sound(&list, "targets") || other.discover.is_some() {
        return;
    }
    if let Some(wanted) = &track.target {
        if !other.targets.iter().any(|target| target.address == *wanted) {
            sense.fault(
                Fault::new(here.clone(), format!("pool `{}` has no target `{wanted}`", track.pool))
                    .also(list.child("targets"), "its targets"),
            );
        }
        return;
    }
    let alone = pool.targets.iter().find(|target| track.counterpart(other, &target.address).is_none());
    if let Some(target) = alone {
        let what = format!("no target of pool `{}` is at the address or the host of `{}`", track.pool, target.address);
        sense.fault(
            Fault::new(here.clone(), what)
                .also(list.child("targets"), "its targets")
                .help("a target follows the one at its own address, or the only one on its host"),
        );
    }
}
