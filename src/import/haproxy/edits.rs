//! What rules change of requests and answers, put together for one route.
//!
//! What always holds: what a route ends up with says of each header what the rules say one after the other.
//! May depend on the draft.

use crate::import::draft::{Table, Value};

/// A change of what passes.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Edit {
    /// Of a header.
    Header(Side, Op, String, String),
    /// The Host that targets are sent.
    Host(String),
    /// The path: by a regex on it, or always.
    Path(Option<String>, String),
    /// What is put before the path.
    Prefix(String),
    /// A rule that looks at requests.
    Rule(String),
    /// A cache that keeps answers.
    Cache(String),
}

/// Of what a header is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Request,
    /// Of answers of targets.
    Response,
    /// Of all answers.
    Always,
}

/// What becomes of a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Op {
    Set,
    Append,
    Remove,
}

/// Headers that are no matter of edits.
const KEPT: [&str; 14] = [
    "host",
    "content-length",
    "transfer-encoding",
    "trailer",
    "connection",
    "keep-alive",
    "te",
    "upgrade",
    "expect",
    "max-forwards",
    "proxy-connection",
    "proxy-authenticate",
    "proxy-authorization",
    "sec-websocket-key",
];

/// Whether a header may be edited.
///
/// # Errors
/// Why not.
pub(in crate::import) fn editable(name: &str) -> Result<(), String> {
    let lower = name.to_ascii_lowercase();
    let token =
        !lower.is_empty() && lower.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b));
    if !token {
        return Err(format!("`{name}` is no name of a header"));
    }
    if KEPT.contains(&lower.as_str()) || lower.starts_with("sec-websocket") {
        return Err(format!("`{lower}` is Ringway's to write: it is about one connection, or frames a message"));
    }
    Ok(())
}

/// Puts edits into a route that forwards.
pub(super) fn apply(route: &mut Table, edits: &[&Edit], rules: &mut dyn FnMut(&str, &str) -> String) {
    let paths: Vec<&Edit> = edits.iter().filter(|edit| matches!(edit, Edit::Path(..))).copied().collect();
    for edit in edits {
        match edit {
            Edit::Header(side, op, name, value) => header(route, *side, *op, name, value),
            Edit::Host(host) => route.set("host", host.clone()),
            Edit::Prefix(prefix) => route.below(&["rewrite"]).set("add_prefix", prefix.clone()),
            Edit::Rule(rule) => route.push("rules", rule.clone()),
            Edit::Cache(cache) => route.set("cache", cache.clone()),
            Edit::Path(pattern, path) if paths.len() == 1 => {
                let rewrite = route.below(&["rewrite"]);
                if let Some(pattern) = pattern {
                    rewrite.set("match", pattern.clone());
                }
                rewrite.set("path", path.clone());
            }
            // Several are done one after the other by rules.
            Edit::Path(pattern, path) => {
                let rule = rules(pattern.as_deref().unwrap_or_default(), path);
                route.push("rules", rule);
            }
        }
    }
}

/// Puts edits that are for all answers into a route that answers by itself, and the rules that were met before it.
pub(super) fn apply_always(route: &mut Table, edits: &[&Edit]) {
    for edit in edits {
        match edit {
            Edit::Header(Side::Always, op, name, value) => header(route, Side::Always, *op, name, value),
            Edit::Rule(rule) => route.push("rules", rule.clone()),
            _ => {}
        }
    }
}

/// Puts one edit of a header behind those that there are.
pub(super) fn header(route: &mut Table, side: Side, op: Op, name: &str, value: &str) {
    let name = name.to_ascii_lowercase();
    // What clients say of these never arrives: there is nothing to remove, and nothing that a value would stand beside.
    let ours = side == Side::Request && (name.starts_with("x-forwarded-") || name == "forwarded");
    let op = match op {
        Op::Remove if ours => return,
        Op::Append if ours => Op::Set,
        op => op,
    };
    let part = if side == Side::Request { "request" } else { "response" };
    let headers = route.below(&[part, "headers"]);
    let removed = matches!(headers.get("remove"), Some(Value::List(list)) if list.contains(&name.as_str().into()));
    match op {
        Op::Remove => {
            forget(headers, "set", &name);
            forget(headers, "append", &name);
            headers.push("remove", name);
        }
        Op::Set => {
            unremove(headers, &name);
            forget(headers, "append", &name);
            headers.below(&["set"]).set(&name, value);
        }
        // What is added behind a removal stands alone.
        Op::Append if removed => {
            unremove(headers, &name);
            headers.below(&["set"]).set(&name, value);
        }
        Op::Append => {
            let lines = headers.below(&["append"]);
            let both = lines
                .text(&name)
                .filter(|old| *old != value && name != "set-cookie")
                .map(|old| format!("{old}, {value}"));
            lines.set(&name, both.unwrap_or_else(|| value.to_owned()));
        }
    }
    headers.0.retain(|(_, value)| match value {
        Value::Table(table) => !table.is_empty(),
        Value::List(list) => !list.is_empty(),
        _ => true,
    });
}

fn forget(headers: &mut Table, edit: &str, name: &str) {
    if headers.get(edit).is_some() {
        headers.below(&[edit]).remove(name);
    }
}

fn unremove(headers: &mut Table, name: &str) {
    if let Some((_, Value::List(list))) = headers.0.iter_mut().find(|(key, _)| key == "remove") {
        list.retain(|other| *other != Value::from(name));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_of_one_header_are_told_as_one() {
        let mut route = Table::new();
        let mut edit = |op, name, value| header(&mut route, Side::Request, op, name, value);
        edit(Op::Append, "X-A", "1");
        edit(Op::Remove, "X-A", "");
        edit(Op::Append, "X-A", "2");
        edit(Op::Set, "x-b", "1");
        edit(Op::Append, "x-b", "2");
        edit(Op::Append, "x-b", "3");
        edit(Op::Set, "x-c", "1");
        edit(Op::Remove, "x-c", "");
        let headers = route.below(&["request", "headers"]).clone();
        assert_eq!(headers.get("set"), Some(&Table::new().with("x-a", "2").with("x-b", "1").into()));
        assert_eq!(headers.get("append"), Some(&Table::new().with("x-b", "2, 3").into()));
        assert_eq!(headers.get("remove"), Some(&vec!["x-c"].into()));
        let mut route = Table::new();
        header(&mut route, Side::Request, Op::Remove, "X-Forwarded-For", "");
        header(&mut route, Side::Request, Op::Append, "X-Forwarded-Proto", "https");
        let set = Table::new().with("x-forwarded-proto", "https");
        assert_eq!(route.below(&["request"]), &Table::new().with("headers", Table::new().with("set", set)));
        assert!(editable("X-Forwarded-For").is_ok() && editable("connection").is_err() && editable("a b").is_err());
    }
}
