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
const HERE_ALONE: [&str; 13] = [
    "location",
    "return",
    "rewrite",
    "if",
    "try_files",
    "proxy_pass",
    "alias",
    "internal",
    "limit_except",
    "fastcgi_pass",
    "uwsgi_pass",
    "scgi_pass",
    "stub_status",
];

/// What holds in a block: its own directives, and of what stands around it all that it does not say itself.
pub(super) fn inherit(around: &[Directive], own: Vec<Directive>) -> Vec<Directive> {
    let taken = |directive: &&Directive| {
        !HERE_ALONE.contains(&directive.name.as_str()) && !own.iter().any(|mine| alike(mine, directive))
    };
    let mut all: Vec<Directive> = around.iter().filter(taken).cloned().collect();
    all.extend(own);
    all
}

/// Whether one of them is said in place of the other: of what adds up nothing is handed on where any of it is said anew.
fn alike(mine: &Directive, other: &Directive) -> bool {
    let lists = |directive: &Directive| ["allow", "deny"].contains(&directive.name.as_str());
    mine.name == other.name || lists(mine) && lists(other)
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
    /// What the locations around it ask of the path.
    within: Cond,
    /// How many there are around it.
    depth: usize,
    /// What stands in it.
    own: Vec<Directive>,
    /// The same, with what is handed on from around it.
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
        collect(work, directive, &server.directives, (&Cond::Const(true), 0), &mut locations);
    }
    for directive in &server.directives {
        let elsewhere = is_looked_at(directive) || listeners::is_looked_at(directive) || directive.name == "location";
        if !elsewhere && !work.ledger.has_verdict(directive.id) {
            super::known::other(work, directive);
        }
    }
    locations.sort_by_key(order);
    let named: Vec<Location> =
        locations.iter().filter(|location| matches!(location.kind, Kind::Named(_))).cloned().collect();
    let mut whole = false;
    for location in &locations {
        if let Some(path) = whole_path(location, &locations) {
            let internal = location.directives.iter().find(|directive| directive.name == "internal");
            if let Some(internal) = internal {
                work.ledger.differs(internal.id, "clients cannot ask for it: there is no route for it");
                work.ledger.carried(location.id);
                continue;
            }
            whole |= location.kind == Kind::Prefix("/".to_owned(), false)
                || location.kind == Kind::Prefix("/".to_owned(), true);
            if let Err(why) =
                action::route(work, &at, &location.kind, &path, &location.directives, &named, &locations, all)
            {
                left_out(work, location, &why);
            }
        }
        work.ledger.carried(location.id);
    }
    if !whole {
        let path = Cond::Const(true);
        let _ = action::route(
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
fn order(location: &Location) -> (u8, std::cmp::Reverse<usize>) {
    match &location.kind {
        Kind::Exact(_) => (0, std::cmp::Reverse(0)),
        Kind::Prefix(path, true) => (1, std::cmp::Reverse(path.len())),
        // Regexes stay in their order, the innermost first.
        Kind::Regex(..) => (2, std::cmp::Reverse(location.depth)),
        Kind::Prefix(path, false) => (3, std::cmp::Reverse(path.len())),
        Kind::Named(_) => (4, std::cmp::Reverse(0)),
    }
}

/// What the path has to be for a location to be the one that nginx finds.
fn whole_path(location: &Location, all: &[Location]) -> Option<Cond> {
    let own = path(&location.kind)?;
    let mut conds = vec![location.within.clone(), own];
    // `^~` counts where it is the longest prefix, and not where a longer one without it is.
    if let Kind::Prefix(prefix, true) = &location.kind {
        let longer = all.iter().filter(|other| {
            matches!(&other.kind, Kind::Prefix(path, false) if path.len() > prefix.len() && path.starts_with(prefix.as_str()))
        });
        conds.push(Cond::any(longer.filter_map(|other| path(&other.kind))).negate());
    }
    Some(Cond::all(conds))
}

/// Says of a location that there is no route for it, and whether it kept something out.
fn left_out(work: &mut Work<'_>, location: &Location, why: &str) {
    let keeps = |directive: &Directive| match directive.name.as_str() {
        "deny" | "auth_basic" | "auth_request" | "limit_req" | "limit_conn" => true,
        "return" => directive.argument(0).parse::<u16>().is_ok_and(|code| code >= 400),
        _ => false,
    };
    match location.own.iter().any(keeps) {
        true => work.ledger.opens(location.id, why),
        false => work.ledger.unsupported(location.id, why),
    }
    for directive in &location.own {
        if directive.name != "location" {
            work.ledger.unsupported(directive.id, "it belongs to a location that is left out");
            super::known::all(work, directive, "it belongs to a location that is left out");
        }
    }
}

fn collect(
    work: &mut Work<'_>,
    directive: &Directive,
    around: &[Directive],
    (within, depth): (&Cond, usize),
    locations: &mut Vec<Location>,
) {
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
    let below = Cond::all(std::iter::once(within.clone()).chain(path(&kind)));
    for inner in directive.inner().iter().filter(|inner| inner.name == "location") {
        collect(work, inner, &directives, (&below, depth + 1), locations);
    }
    for inner in directive.inner() {
        if !is_looked_at(inner) && !listeners::is_looked_at(inner) && inner.name != "location" {
            super::known::other(work, inner);
        }
    }
    let own = directive.inner().to_vec();
    locations.push(Location { id: directive.id, kind, within: within.clone(), depth, own, directives });
}

/// What the path has to be.
fn path(kind: &Kind) -> Option<Cond> {
    let compared = |how, value: &str, any_case| {
        Cond::Fact(Fact::Text(Subject::Path, Match { how, values: vec![value.to_owned()], any_case }))
    };
    Some(match kind {
        Kind::Exact(path) | Kind::Prefix(path, _) if !path.starts_with('/') => {
            Cond::Unknown(format!("`{path}` is no path: it begins with `/`"))
        }
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
