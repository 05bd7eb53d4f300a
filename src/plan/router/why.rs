//! Why a request takes one route and not another, in words for people.
//!
//! What always holds: of the conditions of a route the first that fails is told, in the order host, path, method,
//! headers, query, client, condition; what goes before what is compared as [`Router::find`] looks for it.

use super::conditions::{Conditions, Match, PathPattern, parameters};
use super::media::Media;
use super::{Request, Router};
use crate::plan::host::HostPattern;
use std::cmp::Ordering;
use std::fmt::Display;

/// How a route stands to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It takes it, by these conditions.
    Takes(Vec<String>),
    /// This condition does not hold, as the words say.
    Misses(Condition, String),
    /// All hold, but the route that takes it goes first: how it does, as the rest of a sentence that began with its name.
    Yields(String),
}

/// The kinds of conditions in the order in which they are looked at here: the later one fails, the nearer it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Condition {
    /// `hosts`
    Host,
    /// `paths`
    Path,
    /// `methods`
    Method,
    /// `headers`
    Header,
    /// `query`
    Query,
    /// `client_ip`
    Client,
    /// `when`
    When,
}

impl Condition {
    /// Its name.
    pub const fn word(self) -> &'static str {
        match self {
            Condition::Host => "host",
            Condition::Path => "path",
            Condition::Method => "method",
            Condition::Header => "header",
            Condition::Query => "query",
            Condition::Client => "client_ip",
            Condition::When => "when",
        }
    }
}

/// How many of several patterns are told.
const SHOWN: usize = 4;

/// What of a route fits a request best: how specific its host and its path are, more is more.
#[derive(Clone, Copy)]
struct Fit<'a> {
    host: (Kind, usize),
    path: (Kind, usize),
    host_pattern: Option<&'a HostPattern>,
    path_pattern: Option<&'a PathPattern>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Every,
    Regex,
    Part,
    Template,
    Exact,
}

impl Router {
    /// How each route stands to a request, in the order of the list that the router was made of. `taken` is the one that
    /// [`Router::find`] has found.
    pub fn standings(&self, request: &impl Request, taken: Option<usize>) -> Vec<Standing> {
        let first = taken.and_then(|index| Some((index, self.routes.get(index)?)));
        let standing = |(index, route): (usize, &Conditions)| match route.fit(request) {
            Err((condition, told)) => Standing::Misses(condition, told),
            Ok(fit) => match first {
                Some((taken, winner)) if taken != index => Standing::Yields(winner.goes_before(route, request)),
                _ => Standing::Takes(route.told(&fit, request)),
            },
        };
        self.routes.iter().enumerate().map(standing).collect()
    }
}

impl Conditions {
    /// What fits best, or what does not hold.
    fn fit(&self, request: &impl Request) -> Result<Fit<'_>, (Condition, String)> {
        let (host, path) = (request.host(), request.path());
        let hosts = self.hosts.iter().filter(|pattern| pattern.matches(host));
        let best_host = hosts.map(|pattern| (host_kind(pattern), pattern)).max_by_key(|(kind, _)| *kind);
        if best_host.is_none() && !self.hosts.is_empty() {
            return Err((Condition::Host, miss("host", host, &self.hosts)));
        }
        let paths = self.paths.iter().filter(|pattern| pattern.matches(path));
        let best_path = paths.map(|pattern| (path_kind(pattern), pattern)).max_by_key(|(kind, _)| *kind);
        if best_path.is_none() && !self.paths.is_empty() {
            return Err((Condition::Path, miss("path", path, &self.paths)));
        }
        if let Some(miss) = self.other_miss(request) {
            return Err(miss);
        }
        Ok(Fit {
            host: best_host.map_or((Kind::Every, 0), |(kind, _)| kind),
            path: best_path.map_or((Kind::Every, 0), |(kind, _)| kind),
            host_pattern: best_host.map(|(_, pattern)| pattern),
            path_pattern: best_path.map(|(_, pattern)| pattern),
        })
    }

    /// What does not hold beyond host and path.
    fn other_miss(&self, request: &impl Request) -> Option<(Condition, String)> {
        let method = request.method();
        if !self.methods.is_empty() && !self.methods.iter().any(|wanted| **wanted == *method) {
            let wanted: Vec<String> = self.methods.iter().map(|method| shown(method)).collect();
            return Some((Condition::Method, miss("method", method, &wanted)));
        }
        for (name, wanted) in &self.headers {
            if !wanted.holds(request.header(name)) {
                let told = miss_value("header", name, wanted, request.header(name).next());
                return Some((Condition::Header, told));
            }
        }
        let named = |name: &'static str, noun: &str, types: &[Media]| {
            let value = request.header(name).next();
            let wanted: Vec<String> = types.iter().map(|media| format!("`{media}`")).collect();
            let told = match value {
                None => format!("header {name} is absent"),
                Some(value) => format!("header {name} is `{}`, which {noun} {}", shown(value), list(&wanted)),
            };
            Some((Condition::Header, told))
        };
        if let Some(accepts) = self.accept.as_ref().filter(|accepts| !accepts.hold(request.header("accept"))) {
            return named("accept", "does not name, or wants less,", &accepts.types);
        }
        if !self.content_type.is_empty() && !self.is_of_its_type(request) {
            return named("content-type", "is not", &self.content_type);
        }
        for (name, wanted) in &self.query {
            if !wanted.holds(parameters(request.query(), name)) {
                let value = parameters(request.query(), name).next();
                return Some((Condition::Query, miss_value("query", name, wanted, value.as_deref())));
            }
        }
        let client = request.client_ip().to_canonical();
        if !self.client_ip.is_empty() && !self.client_ip.iter().any(|network| network.contains(&client)) {
            let told = format!("client {client} is not within {}", list(&self.client_ip));
            return Some((Condition::Client, told));
        }
        let when = self.when.as_ref()?;
        let told = match request.meets(when, request.path()) {
            Ok(true) => return None,
            Ok(false) => format!("`{}` does not hold", when.condition),
            Err(error) => format!("`{}` cannot be told: {error}", when.condition),
        };
        Some((Condition::When, told))
    }

    /// Why a request that both could take goes here.
    fn goes_before(&self, other: &Conditions, request: &impl Request) -> String {
        let (Ok(own), Ok(its)) = (self.fit(request), other.fit(request)) else {
            return " goes first".to_owned();
        };
        if self.priority != other.priority {
            return format!(" has the higher priority: {} goes before {}", self.priority, other.priority);
        }
        debug_assert!((own.host, own.path) >= (its.host, its.path), "the router takes the most specific one");
        let hosts = ["any host", "any host", "a wildcard host", "a wildcard host", "an exact host"];
        let paths = ["every path", "a regex", "a prefix", "a template", "an exact path"];
        for (own, its, names) in [(own.host, its.host, hosts), (own.path, its.path, paths)] {
            let name = |kind: Kind| names[kind as usize];
            match own.cmp(&its) {
                Ordering::Equal => {}
                _ if own.0 == its.0 => {
                    let noun = name(own.0).trim_start_matches("a ");
                    return format!(" is more specific: a longer {noun} goes before a shorter one");
                }
                _ => return format!(" is more specific: {} goes before {}", name(own.0), name(its.0)),
            }
        }
        if let (Some(PathPattern::Template(own)), Some(PathPattern::Template(its))) =
            (own.path_pattern, its.path_pattern)
            && own.text != its.text
        {
            return " is more specific: its template says more of the path in words of its own".to_owned();
        }
        let counted = |count: usize, noun: &str| match count {
            0 => "none".to_owned(),
            1 => format!("one {noun}"),
            _ => format!("{count} {noun}s"),
        };
        let given = [
            (usize::from(!self.methods.is_empty()), usize::from(!other.methods.is_empty()), "method condition"),
            (self.header_conditions(), other.header_conditions(), "header condition"),
            (self.query.len(), other.query.len(), "query condition"),
            (usize::from(!self.client_ip.is_empty()), usize::from(!other.client_ip.is_empty()), "client condition"),
            (usize::from(self.when.is_some()), usize::from(other.when.is_some()), "`when`"),
        ];
        match given.into_iter().find(|(own, its, _)| own != its) {
            Some((own, its, noun)) => {
                let verb = if own == 1 { "goes" } else { "go" };
                format!(" is more specific: {} {verb} before {}", counted(own, noun), counted(its, noun))
            }
            None => " comes first by name, and neither is more specific".to_owned(),
        }
    }

    /// The conditions by which a request is taken.
    fn told(&self, fit: &Fit<'_>, request: &impl Request) -> Vec<String> {
        let mut told = Vec::new();
        told.extend(fit.host_pattern.map(|pattern| format!("host {pattern}")));
        told.push(match fit.path_pattern {
            None => "every path".to_owned(),
            Some(pattern @ PathPattern::Exact(_)) => format!("path {pattern}, exact"),
            Some(pattern @ PathPattern::Template(_)) => format!("path {pattern}, a template"),
            Some(pattern @ PathPattern::Prefix(_)) => format!("path {pattern}, a prefix"),
            Some(pattern @ PathPattern::Regex(_)) => format!("path {pattern}, a regex"),
        });
        if !self.methods.is_empty() {
            told.push(format!("method {}", shown(request.method())));
        }
        for (kind, all) in [("header", &self.headers), ("query", &self.query)] {
            told.extend(all.iter().map(|(name, wanted)| match wanted {
                Match::Present => format!("{kind} {name} is present"),
                Match::Absent => format!("{kind} {name} is absent"),
                Match::Regex(_) => format!("{kind} {name} matches {wanted}"),
                Match::Exact(_) => format!("{kind} {name} is {wanted}"),
            }));
        }
        let types = |types: &[Media]| list(&types.iter().map(|media| format!("`{media}`")).collect::<Vec<_>>());
        told.extend(self.accept.as_ref().map(|accepts| format!("header accept names {}", types(&accepts.types))));
        if !self.content_type.is_empty() {
            told.push(format!("header content-type is {}", types(&self.content_type)));
        }
        let client = request.client_ip().to_canonical();
        let network = self.client_ip.iter().find(|network| network.contains(&client));
        told.extend(network.map(|network| format!("client within {network}")));
        told.extend(self.when.as_ref().map(|when| format!("`{}` holds", when.condition)));
        if self.priority != 0 {
            told.push(format!("priority {}", self.priority));
        }
        told
    }
}

pub(super) fn host_kind(pattern: &HostPattern) -> (Kind, usize) {
    match pattern {
        HostPattern::Exact(_) => (Kind::Exact, 0),
        HostPattern::Wildcard(suffix) => (Kind::Part, suffix.len()),
    }
}

pub(super) fn path_kind(pattern: &PathPattern) -> (Kind, usize) {
    match pattern {
        PathPattern::Exact(_) => (Kind::Exact, 0),
        PathPattern::Template(_) => (Kind::Template, 0),
        PathPattern::Prefix(prefix) if prefix.is_empty() => (Kind::Every, 0),
        PathPattern::Prefix(prefix) => (Kind::Part, prefix.len()),
        PathPattern::Regex(_) => (Kind::Regex, 0),
    }
}

fn miss(noun: &str, value: &[u8], wanted: &[impl Display]) -> String {
    let is = if wanted.len() == 1 { "is not" } else { "is none of" };
    match value {
        [] => format!("no {noun} is named, and it {is} {}", list(wanted)),
        value => format!("{noun} {} {is} {}", shown(value), list(wanted)),
    }
}

fn miss_value(noun: &str, name: &str, wanted: &Match, value: Option<&[u8]>) -> String {
    match (wanted, value) {
        (Match::Absent, _) => format!("{noun} {name} is present"),
        (_, None) => format!("{noun} {name} is absent"),
        (Match::Regex(_), Some(value)) => format!("{noun} {name} is `{}`, which {wanted} does not match", shown(value)),
        (_, Some(value)) => format!("{noun} {name} is `{}`, not {wanted}", shown(value)),
    }
}

fn list(items: &[impl Display]) -> String {
    let more = if items.len() > SHOWN { ", …" } else { "" };
    let shown: Vec<String> = items.iter().take(SHOWN).map(ToString::to_string).collect();
    shown.join(", ") + more
}

fn shown(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}
