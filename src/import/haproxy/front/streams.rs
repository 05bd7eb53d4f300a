//! A frontend of TCP as listeners: one pool for all that comes, and routes that pass TLS on by the name that is asked for.
//!
//! May depend on the readers of conditions.

use crate::import::condition::{Cond, Fact, How, Subject};
use crate::import::draft::Table;
use crate::import::haproxy::acl::{self, Scope};
use crate::import::haproxy::binds;
use crate::import::haproxy::proxy::Proxy;
use crate::import::haproxy::{Work, time};
use crate::import::report::Ledger;
use crate::import::valid;

/// Makes the listeners of a frontend of TCP.
pub(super) fn listeners(work: &mut Work<'_>, proxy: &Proxy) {
    let mut passed: Vec<(Table, String)> = Vec::new();
    let mut pool = None;
    let acls = proxy.lines("acl").to_vec();
    let scope = Scope { acls: &acls, around: work.around, http: false, past: Default::default() };
    let secure = proxy.lines("bind").iter().any(|line| line.words.iter().any(|word| word == "ssl"));
    for line in proxy.lines("use_backend").iter().chain(proxy.line("default_backend")) {
        let (words, cond) = acl::split(line.rest(1));
        let cond = scope.condition(&mut work.ledger, line.id, cond);
        let name = words.first().map_or("", String::as_str);
        work.used.insert(name.to_owned());
        let Some(found) = work.pools.get(name).cloned() else {
            work.ledger.unsupported(line.id, format!("no backend `{name}` has servers"));
            continue;
        };
        if pool.is_some() {
            work.ledger.differs(line.id, "nothing comes as far as that");
            continue;
        }
        if cond == Cond::Const(true) {
            pool = Some(found);
            work.ledger.carried(line.id);
            continue;
        }
        match passage(&cond) {
            _ if secure => work.ledger.unsupported(
                line.id,
                "what TLS was ended for goes to one pool: pass it on by routes with `passthrough`, or speak HTTP",
            ),
            Ok(keys) => {
                passed.push((keys, found));
                work.ledger.carried(line.id);
            }
            Err(why) => work.ledger.unsupported(line.id, why),
        }
    }
    if pool.is_none() && proxy.backs {
        pool = work.pools.get(&proxy.name).cloned();
        work.used.insert(proxy.name.clone());
    }
    let groups = binds::groups(work, proxy, false);
    if pool.is_none() && passed.is_empty() {
        for line in groups.iter().flat_map(|group| &group.lines) {
            work.ledger.unsupported(*line, "there is nobody to pass connections on to");
        }
        return;
    }
    let delay = proxy.lines("tcp-request").iter().find(|line| line.word(1) == "inspect-delay");
    let delay = delay.and_then(|line| time::milliseconds(line.word(2)));
    let mut names = Vec::new();
    for group in &groups {
        let called = work.draft.name("listeners", &proxy.name);
        let mut table = super::listener(work, proxy, group);
        table.set("protocol", "tcp");
        if let Some(pool) = &pool {
            table.set("pool", pool.clone());
        }
        if let Some(delay) = delay.filter(|_| !passed.is_empty()) {
            table.below(&["timeouts"]).set("handshake", time::duration(delay.clamp(10, 3_600_000)));
        }
        work.draft.add("listeners", &called, table, Vec::new());
        names.push(called);
    }
    let mut taken: Vec<Table> = Vec::new();
    for (keys, pool) in passed {
        if taken.contains(&keys) {
            continue;
        }
        taken.push(keys.clone());
        let name = work.draft.name("routes", &format!("{}-{pool}", proxy.name));
        let mut route = Table::new().with("listeners", names.clone());
        route.0.extend(keys.0);
        route.set("passthrough", true);
        route.set("pool", pool);
        work.draft.add("routes", &name, route, Vec::new());
    }
}

/// The keys of a route that passes on what meets a condition.
fn passage(cond: &Cond) -> Result<Table, String> {
    let mut keys = Table::new();
    for part in cond.parts() {
        match part {
            Cond::Fact(Fact::Opening) => {}
            Cond::Fact(Fact::Alpn(protocols)) => keys.set("alpn", protocols.clone()),
            Cond::Fact(Fact::Text(Subject::Sni, compared))
                if matches!(compared.how, How::Exact | How::Suffix)
                    && compared.values.iter().any(|name| !valid::host(name.trim_start_matches('.'))) =>
            {
                return Err("what stands there is no name that TLS could be asked for".to_owned());
            }
            Cond::Fact(Fact::Text(Subject::Sni, compared)) => match compared.how {
                How::Exact if compared.values.iter().any(|name| name.starts_with('.')) => {
                    return Err("no name that is asked for begins with a dot: `-m end` compares ends".to_owned());
                }
                How::Exact => {
                    keys.set("sni", compared.values.iter().map(|name| name.to_lowercase()).collect::<Vec<_>>())
                }
                How::Suffix if compared.values.iter().all(|name| name.starts_with('.')) => {
                    let names: Vec<String> =
                        compared.values.iter().map(|name| format!("*{}", name.to_lowercase())).collect();
                    keys.set("sni", names);
                }
                How::Present => {}
                _ => {
                    return Err(
                        "names that are asked for are compared as wholes, or by their ends: `*.example.com`".to_owned()
                    );
                }
            },
            Cond::Any(parts) => {
                for part in parts {
                    let alike = passage(part)?;
                    let Some(crate::import::draft::Value::List(names)) = alike.get("sni") else {
                        return Err("of connections the name that TLS is asked for counts".to_owned());
                    };
                    names.iter().for_each(|name| keys.push("sni", name.clone()));
                }
            }
            Cond::Unknown(why) => return Err(why.clone()),
            _ => {
                return Err(
                    "where connections go is decided by what TLS is asked for: a tcp listener has one pool beside that"
                        .to_owned(),
                );
            }
        }
    }
    match keys.is_empty() {
        true => {
            Err("of connections the name that TLS is asked for counts, and the protocols that are offered".to_owned())
        }
        false => Ok(keys),
    }
}

/// Says of rules of HTTP that there is none here.
pub(super) fn without_http(ledger: &mut Ledger, proxy: &Proxy) {
    for word in [
        "http-request",
        "http-response",
        "http-after-response",
        "redirect",
        "reqadd",
        "reqdel",
        "reqidel",
        "reqrep",
        "reqirep",
        "reqdeny",
        "reqideny",
        "rspadd",
        "rspdel",
        "rspidel",
        "capture",
        "compression",
        "block",
        "monitor",
        "http-error",
    ] {
        for line in proxy.lines(word) {
            ledger.differs(line.id, "it means nothing in TCP");
        }
    }
    if let Some(line) = proxy.option("forwardfor") {
        ledger.differs(line.id, "it means nothing in TCP: `send_proxy` of the pool tells targets of clients");
    }
    for name in ["monitor-uri", "unique-id-header", "unique-id-format"] {
        if let Some(line) = proxy.line(name) {
            ledger.differs(line.id, "it means nothing in TCP");
        }
    }
}
