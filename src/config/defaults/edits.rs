//! What `[defaults.route]` says of headers, beside what a route says of them itself: of a header that a route names, in whatever
//! edit, the defaults say nothing; of all others they hold.

use crate::config::tree::{Node, Table, Value};

/// Names by what becomes of them: tables, of which the keys are headers, and the list `remove`.
const MAPS: [&str; 4] = ["rename", "set", "add", "append"];

/// Leaves out of the defaults of a route what it says itself.
pub(super) fn fit(default: &mut Table, own: &Table) {
    for side in ["request", "response"] {
        let headers = |table: &Table| table.get(side)?.table()?.get("headers")?.table().cloned();
        let Some(named) = headers(own).map(|own| named(&own)) else { continue };
        let is_own = |name: &str| named.iter().any(|own| own.eq_ignore_ascii_case(name));
        let Some(headers) = within(default, side).and_then(|side| within(side, "headers")) else { continue };
        for map in MAPS {
            if let Some(map) = within(headers, map) {
                map.retain(|name, _| !is_own(name));
            }
        }
        if let Some(Value::List(removed)) = headers.get_mut("remove").map(|node| &mut node.value) {
            removed.retain(|node| !node.text().is_some_and(is_own));
        }
    }
}

/// The headers that a table of edits names.
fn named(edits: &Table) -> Vec<String> {
    let maps = MAPS.into_iter().filter_map(|map| edits.get(map)?.table());
    let removed = match edits.get("remove").map(|node| &node.value) {
        Some(Value::List(removed)) => removed.as_slice(),
        _ => &[],
    };
    let keys = maps.flat_map(|map| map.keys().cloned());
    keys.chain(removed.iter().filter_map(Node::text).map(str::to_owned)).collect()
}

fn within<'t>(table: &'t mut Table, key: &str) -> Option<&'t mut Table> {
    match table.get_mut(key).map(|node| &mut node.value) {
        Some(Value::Table(table)) => Some(table),
        _ => None,
    }
}
