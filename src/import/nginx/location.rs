//! The locations of a server as routes, in the order in which nginx would look at them.
//!
//! May depend on the readers of actions.

mod action;
mod branch;

use super::server::Server;
use super::tree::Directive;
use super::{Work, listeners};
use crate::import::condition::{Cond, Fact, How, Match, Subject};
use crate::import::draft::Table;

pub(super) use action::is_looked_at;

/// Directives that do what they do where they stand, and are not handed on to blocks within.
const HERE_ALONE: [&str; 12] = [
    "location",
    "return",
    "rewrite",
    "if",
    "try_files",
    "proxy_pass",
    "alias",
    "internal",
    "fastcgi_pass",
    "uwsgi_pass",
    "scgi_pass",
    "stub_status",
];

/// What holds in a block: its own directives, and of what stands around it all that it does not say itself.
pub(super) fn inherit(around: &[Directive], own: Vec<Directive>) -> Vec<Directive> {
    let taken = |directive: &&Directive| {
        !HERE_ALONE.contains(&directive.name.as_str())
            && !own.iter().any(|mine| mine.name == directive.name && alike(mine, directive))
    };
    let mut all: Vec<Directive> = around.iter().filter(taken).cloned().collect();
    all.extend(own);
    all
}

/// Whether one of them is said in place of the other.
fn alike(mine: &Directive, other: &Directive) -> bool {
    // Each status has its own page.
    mine.name != "error_page"
        || mine.arguments.split_last().map(|(_, codes)| codes) == other.arguments.split_last().map(|(_, codes)| codes)
}

/// Whether targets are told of the client by X-Forwarded-For.
pub(super) fn tells_forwarded(directives: &[Directive]) -> bool {
    directives.iter().any(|directive| {
        directive.name == "proxy_set_header" && directive.argument(0).eq_ignore_ascii_case("x-forwarded-for")
            || directive.name == "location" && tells_forwarded(directive.inner())
    })
}

/// A location with all that holds in it.
#[derive(Clone, Debug)]
struct Location {
    id: usize,
    kind: Kind,
    directives: Vec<Directive>,
}

#[derive(Clone, Debug, PartialEq)]
enum Kind {
    Exact(String),
    /// A prefix, and whether it keeps regexes from being asked.
    Prefix(String, bool),
    Regex(String, bool),
    Named(String),
}

/// Puts the routes of a server behind `all`: for hosts that meet `host`, in clear or over TLS.
pub(super) fn routes(
    work: &mut Work<'_>,
    server: &Server,
    host: &Cond,
    secure: bool,
    forwards: bool,
    all: &mut Vec<(String, Table)>,
) {
    let name = server
        .names
        .iter()
        .find(|name| !name.starts_with('~'))
        .map_or("default", String::as_str)
        .trim_start_matches(['*', '.'])
        .to_owned();
    let at = action::At { name: &name, host, secure, forwards, server: &server.directives };
    if branch::before_locations(work, &at, all) {
        for directive in &server.directives {
            let elsewhere = is_looked_at(directive) || listeners::is_looked_at(directive);
            if directive.name == "location" {
                below(work, directive);
            } else if !elsewhere && !work.ledger.has_verdict(directive.id) {
                super::known::other(work, directive);
            }
        }
        return;
    }
    let mut locations = Vec::new();
    for directive in server.directives.iter().filter(|directive| directive.name == "location") {
        collect(work, directive, &server.directives, &mut locations);
    }
    for directive in &server.directives {
        let elsewhere = is_looked_at(directive) || listeners::is_looked_at(directive) || directive.name == "location";
        if !elsewhere && !work.ledger.has_verdict(directive.id) {
            super::known::other(work, directive);
        }
    }
    locations.sort_by_key(|location| order(&location.kind));
    let named: Vec<Location> =
        locations.iter().filter(|location| matches!(location.kind, Kind::Named(_))).cloned().collect();
    let mut whole = false;
    for location in &locations {
        if let Some(path) = path(&location.kind) {
            let internal = location.directives.iter().find(|directive| directive.name == "internal");
            if let Some(internal) = internal {
                work.ledger.differs(internal.id, "clients cannot ask for it: there is no route for it");
                work.ledger.carried(location.id);
                continue;
            }
            whole |= location.kind == Kind::Prefix("/".to_owned(), false)
                || location.kind == Kind::Prefix("/".to_owned(), true);
            action::route(work, &at, &location.kind, &path, &location.directives, &named, &locations, all);
        }
        work.ledger.carried(location.id);
    }
    if !whole {
        let path = Cond::Const(true);
        action::route(
            work,
            &at,
            &Kind::Prefix("/".to_owned(), false),
            &path,
            &inherit(&server.directives, Vec::new()),
            &named,
            &locations,
            all,
        );
    }
}

/// The place of a location among others: a name at last, as nothing leads there by itself.
fn order(kind: &Kind) -> (u8, std::cmp::Reverse<usize>) {
    match kind {
        Kind::Exact(_) => (0, std::cmp::Reverse(0)),
        Kind::Prefix(path, true) => (1, std::cmp::Reverse(path.len())),
        // Regexes stay in their order.
        Kind::Regex(..) => (2, std::cmp::Reverse(0)),
        Kind::Prefix(path, false) => (3, std::cmp::Reverse(path.len())),
        Kind::Named(_) => (4, std::cmp::Reverse(0)),
    }
}

fn collect(work: &mut Work<'_>, directive: &Directive, around: &[Directive], locations: &mut Vec<Location>) {
    let (first, second) = (directive.argument(0), directive.argument(1));
    let kind = match (first, second) {
        ("=", path) => Kind::Exact(path.to_owned()),
        ("^~", path) => Kind::Prefix(path.to_owned(), true),
        ("~", pattern) => Kind::Regex(pattern.to_owned(), false),
        ("~*", pattern) => Kind::Regex(pattern.to_owned(), true),
        (name, _) if name.starts_with('@') => Kind::Named(name.to_owned()),
        (path, _) => Kind::Prefix(path.to_owned(), false),
    };
    let directives = inherit(around, directive.inner().to_vec());
    for inner in directive.inner().iter().filter(|inner| inner.name == "location") {
        collect(work, inner, &directives, locations);
    }
    for inner in directive.inner() {
        if !is_looked_at(inner) && !listeners::is_looked_at(inner) && inner.name != "location" {
            super::known::other(work, inner);
        }
    }
    locations.push(Location { id: directive.id, kind, directives });
}

/// What the path has to be.
fn path(kind: &Kind) -> Option<Cond> {
    let compared = |how, value: &str, any_case| {
        Cond::Fact(Fact::Text(Subject::Path, Match { how, values: vec![value.to_owned()], any_case }))
    };
    Some(match kind {
        Kind::Exact(path) => compared(How::Exact, path, false),
        Kind::Prefix(path, _) if path == "/" => Cond::Const(true),
        Kind::Prefix(path, _) => compared(How::Prefix, path, false),
        Kind::Regex(pattern, any_case) => compared(How::Regex, &pattern.replace("(?<", "(?P<"), *any_case),
        Kind::Named(_) => return None,
    })
}

/// Says of all of a location that nothing comes as far as that.
fn below(work: &mut Work<'_>, directive: &Directive) {
    work.ledger.differs(directive.id, "nothing comes as far as that: the server answers before");
    for inner in directive.inner() {
        below(work, inner);
    }
}
