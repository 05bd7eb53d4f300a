//! `[defaults.…]` put under each named thing, key by key.

mod edits;

use super::schema::KINDS;
use super::sense::sticky;
use super::tree::{Node, Table, Value};

/// The keys of a listener that mean something only for HTTP.
pub const HTTP_ONLY: [&str; 5] = ["redirect", "trusted_proxies", "forwarded", "upgrades", "error_pages"];

/// The keys of a listener that mean something only where there are connections.
pub const STREAMS_ONLY: [&str; 6] = ["interface", "limits", "on_refuse", "tcp", "transparent", "v6only"];

/// The keys of a route of which one says what becomes of a request.
pub const OUTCOMES: [&str; 7] = ["pool", "split", "aggregate", "files", "respond", "redirect", "portal"];

/// The keys of `discover` that say where targets are found.
pub const SOURCES: [&str; 4] = ["dns", "srv", "file", "http"];

/// Gives each thing what it does not say itself. The defaults stay in the tree, so that they are checked once even where
/// nothing takes them.
pub fn apply(root: &mut Table) {
    let Some(defaults) = root.get("defaults").and_then(Node::table).cloned() else { return };
    for (kind, plural, _) in KINDS {
        let Some(Value::Table(default)) = defaults.get(kind).map(|node| node.clone().inherit().value) else { continue };
        let Some(Value::Table(things)) = root.get_mut(plural).map(|node| &mut node.value) else { continue };
        for thing in things.values_mut() {
            if let Value::Table(thing) = &mut thing.value {
                fill(thing, &fitting(&default, thing, kind));
            }
        }
    }
}

/// Leaves out the defaults that a thing cannot have beside what it says itself.
fn fitting(default: &Table, thing: &Table, kind: &str) -> Table {
    let text = |key: &str| thing.get(key).or(default.get(key)).and_then(Node::text);
    let mut fitting = default.clone();
    match kind {
        "listener" => {
            if text("protocol") == Some("tcp") {
                fitting.retain(|key, _| !HTTP_ONLY.contains(&key.as_str()));
                if let Some(Value::Table(tls)) = fitting.get_mut("tls").map(|node| &mut node.value) {
                    tls.remove("hsts");
                }
            }
            if text("protocol") == Some("udp") {
                fitting.retain(|key, _| {
                    ![&HTTP_ONLY[..], &STREAMS_ONLY, &["proxy_protocol", "timeouts", "tls"]]
                        .concat()
                        .contains(&key.as_str())
                });
            } else {
                fitting.remove("udp");
            }
            // It says how an authority is asked, not that it is.
            let asks = |tls: &Table| tls.contains_key("acme");
            if let Some(Value::Table(tls)) = fitting.get_mut("tls").map(|node| &mut node.value)
                && !thing.get("tls").and_then(Node::table).is_some_and(asks)
            {
                tls.remove("acme");
            }
            // It says how TLS is spoken, not that it is.
            if !thing.contains_key("tls") {
                fitting.remove("tls");
            }
        }
        "route" => {
            if OUTCOMES.iter().any(|key| thing.contains_key(*key)) {
                fitting.retain(|key, _| !OUTCOMES.contains(&key.as_str()) || thing.contains_key(key));
            }
            edits::fit(&mut fitting, thing);
        }
        "pool" => {
            if text("balance") != Some("hash") {
                fitting.remove("key");
            }
            if !thing.contains_key("tls") {
                fitting.remove("tls");
            }
            // What says by what a client is known stands alone beside another such way.
            let way = |table: &Table| {
                let sticky = table.get("sticky").and_then(Node::table)?;
                sticky::WAYS.into_iter().find(|way| sticky.contains_key(*way))
            };
            if way(thing).is_some_and(|own| way(&fitting) != Some(own)) {
                fitting.remove("sticky");
            }
            match (thing.contains_key("discover"), fitting.get_mut("discover").map(|node| &mut node.value)) {
                // It says how targets are looked for, not where.
                (true, Some(Value::Table(discover))) => SOURCES.iter().for_each(|key| drop(discover.remove(*key))),
                _ => drop(fitting.remove("discover")),
            }
        }
        _ => {}
    }
    fitting
}

fn fill(table: &mut Table, default: &Table) {
    for (key, value) in default {
        match (table.get_mut(key).map(|node| &mut node.value), &value.value) {
            (None, _) => drop(table.insert(key.clone(), value.clone())),
            (Some(Value::Table(own)), Value::Table(default)) if same_type(own, default) => fill(own, default),
            (Some(Value::List(own)), Value::List(default)) if key == "remove" => own.extend(default.iter().cloned()),
            // What is just switched on is as the defaults have it.
            (Some(own @ Value::Boolean(true)), Value::Table(_)) => *own = value.value.clone(),
            _ => {}
        }
    }
}

/// A table of another `type` has other keys: it stands alone.
fn same_type(own: &Table, default: &Table) -> bool {
    let of = |table: &Table| table.get("type").and_then(Node::text).map(str::to_owned);
    of(own).is_none() || of(default).is_none() || of(own) == of(default)
}
