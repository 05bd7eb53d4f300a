//! Which route takes a request: of all routes that match, the most specific one.
//!
//! As in the Kubernetes Gateway API, in this order: higher `priority`; exact host, wildcard host (longer first), any
//! host; exact path, template, longest prefix, regex, every path (`/`, or none given); a method given, more headers, more query
//! parameters, a client address given, a condition (`when`). A more specific route that does not match leaves the request to the next one,
//! over host patterns too. Two routes that are equal in all of this and could match one request are a [`Tie`].
//!
//! Hosts and prefixes are found by hash, so a lookup costs the same with one route and with thousands; it allocates
//! nothing. Only regexes and routes that share host and path are tried one by one.
//!
//! May use `config` (compiling [`Conditions`]), `gateway` (conditions in CEL), [`super::path`] and [`super::host`]; no I/O.

mod conditions;
mod media;
mod shared;
mod table;
mod why;

pub use conditions::{Conditions, Fault, Match, PathPattern, When};
pub use media::{Accepts, Media};
pub use shared::settle;
pub use why::{Condition, Standing};

use super::host::HostPattern;
use super::path::{self, Forms, Forward, Refusal, Verdict};
use crate::gateway::condition;
use smallvec::SmallVec;
use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use table::{Map, Table};

/// What a router looks at.
pub trait Request {
    /// As sent; methods are case-sensitive.
    fn method(&self) -> &[u8];
    /// The name of a [`super::host::Host`].
    fn host(&self) -> &[u8];
    /// The normal form, see [`path::normalise`].
    fn path(&self) -> &[u8];
    /// What follows `?`, as sent.
    fn query(&self) -> Option<&[u8]>;
    /// The values of all fields of this lower-case name, without blanks around them.
    fn header<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]>;
    /// The client's address, after trusted proxies.
    fn client_ip(&self) -> IpAddr;
    /// Whether it meets a condition, with this path in place of its own.
    ///
    /// # Errors
    /// Why that cannot be said: then it counts as not met.
    fn meets(&self, when: &When, path: &[u8]) -> Result<bool, condition::Error>;
}

/// The route of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its place in the list that the router was made of.
    pub route: usize,
    /// How many bytes of the normal path the pattern took: the prefix without a slash at its end, all of an exact path,
    /// nothing of a regex.
    pub prefix: usize,
}

/// What becomes of a request whose path was judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Admitted {
    /// Its route, if one takes it.
    pub found: Option<Found>,
    /// The path that a target is sent.
    pub forward: Forward,
}

/// Two routes of which neither is more specific and which could match one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tie {
    /// The routes' names, in the order of the list.
    pub routes: [String; 2],
    /// The host and path that both have, for the message.
    pub shared: String,
}

impl fmt::Display for Tie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [first, second] = &self.routes;
        write!(f, "routes {first:?} and {second:?} tie: both could take a request for {}", self.shared)
    }
}

impl Tie {
    /// What to do about it.
    pub fn help(&self) -> String {
        format!(
            "give {:?} or {:?} a `priority`, or a condition that the other does not meet",
            self.routes[0], self.routes[1]
        )
    }
}

/// All routes of a listener, ready for look-ups.
#[derive(Debug, Default)]
pub struct Router {
    routes: Vec<Conditions>,
    /// Highest priority first; nearly always one.
    tiers: Vec<Tier>,
}

/// The routes of one priority.
#[derive(Debug, Default)]
struct Tier {
    exact: Map<Table>,
    /// By the suffix with its leading dot.
    wildcard: Map<Table>,
    any: Table,
}

impl Router {
    /// Builds the router of these named routes.
    ///
    /// # Errors
    /// Every pair of routes that tie.
    pub fn new(named: Vec<(String, Conditions)>) -> Result<Router, Vec<Tie>> {
        let (names, routes): (Vec<String>, Vec<Conditions>) = named.into_iter().unzip();
        let mut tiers = BTreeMap::<i64, Tier>::new();
        for (index, route) in routes.iter().enumerate() {
            tiers.entry(route.priority).or_default().insert(index, route);
        }
        let mut tiers: Vec<Tier> = tiers.into_values().rev().collect();
        let mut ties = BTreeMap::<(usize, usize), String>::new();
        for tier in &mut tiers {
            tier.finish(&routes, &mut ties);
        }
        if ties.is_empty() {
            return Ok(Router { routes, tiers });
        }
        let tie = |((first, second), shared): ((usize, usize), String)| Tie {
            routes: [names[first].clone(), names[second].clone()],
            shared,
        };
        Err(ties.into_iter().map(tie).collect())
    }

    /// The most specific route that matches.
    #[inline]
    pub fn find(&self, request: &impl Request) -> Option<Found> {
        self.tiers.iter().find_map(|tier| tier.find(request, &self.routes))
    }

    /// Finds the route of a request whose path was judged by [`path::normalise`] and decides what goes on.
    ///
    /// A path that targets read differently is let through only if each reading takes the same route, or if every route
    /// that a reading takes allows those forms by name: `/blocked;x` cannot pass a route for `/blocked` by. `scratch`
    /// is used for such paths alone.
    ///
    /// # Errors
    /// The path must not reach any target.
    #[inline]
    pub fn admit(&self, request: &impl Request, verdict: Verdict, scratch: &mut Vec<u8>) -> Result<Admitted, Refusal> {
        match verdict {
            Verdict::Plain | Verdict::Normalised => Ok(Admitted { found: self.find(request), forward: Forward::Raw }),
            Verdict::Ambiguous(forms) => self.admit_ambiguous(request, forms, scratch),
        }
    }

    #[cold]
    fn admit_ambiguous<R: Request>(
        &self,
        request: &R,
        forms: Forms,
        scratch: &mut Vec<u8>,
    ) -> Result<Admitted, Refusal> {
        let found = self.find(request);
        let allowed = |found: Option<Found>| found.map_or(Forms::NONE, |found| self.routes[found.route].allowed);
        let forward = path::forward(forms, allowed(found))?;
        let mut disputed = Forms::NONE;
        let mut accepted = SmallVec::<[Option<usize>; 4]>::from_slice(&[found.map(|found| found.route)]);
        path::readings(request.path(), forms, scratch, |reading, used| {
            let other = self.find(&Reading { request, path: reading });
            let route = other.map(|other| other.route);
            if !accepted.contains(&route) {
                // A reading that no route takes has nobody but the chosen route to object.
                let allowed = if other.is_some() { allowed(found).and(allowed(other)) } else { allowed(found) };
                disputed = used.without(allowed);
                accepted.push(route);
            }
            disputed.is_empty()
        });
        if disputed.is_empty() { Ok(Admitted { found, forward }) } else { Err(Refusal::new(disputed)) }
    }
}

/// A request as a target could read it.
struct Reading<'a, R> {
    request: &'a R,
    path: &'a [u8],
}

impl<R: Request> Request for Reading<'_, R> {
    fn method(&self) -> &[u8] {
        self.request.method()
    }
    fn host(&self) -> &[u8] {
        self.request.host()
    }
    fn path(&self) -> &[u8] {
        self.path
    }
    fn query(&self) -> Option<&[u8]> {
        self.request.query()
    }
    fn header<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.request.header(name)
    }
    fn client_ip(&self) -> IpAddr {
        self.request.client_ip()
    }
    fn meets(&self, when: &When, path: &[u8]) -> Result<bool, condition::Error> {
        self.request.meets(when, path)
    }
}

impl Tier {
    fn insert(&mut self, index: usize, route: &Conditions) {
        if route.hosts.is_empty() {
            self.any.insert(index, route);
        }
        for host in &route.hosts {
            let table = match host {
                HostPattern::Exact(name) => self.exact.entry(name.clone()).or_default(),
                HostPattern::Wildcard(suffix) => self.wildcard.entry(suffix.clone()).or_default(),
            };
            table.insert(index, route);
        }
    }

    fn finish(&mut self, routes: &[Conditions], ties: &mut BTreeMap<(usize, usize), String>) {
        let exact = self.exact.iter_mut().map(|(name, table)| (HostPattern::Exact(name.clone()).to_string(), table));
        let wildcard =
            self.wildcard.iter_mut().map(|(suffix, table)| (HostPattern::Wildcard(suffix.clone()).to_string(), table));
        for (host, table) in exact.chain(wildcard).chain([("any host".to_owned(), &mut self.any)]) {
            table.finish(routes, |pair, path| {
                ties.entry(pair).or_insert_with(|| format!("{host}, {path}"));
            });
        }
    }

    #[inline]
    fn find(&self, request: &impl Request, routes: &[Conditions]) -> Option<Found> {
        if !self.exact.is_empty()
            && let Some(found) = self.exact.get(request.host()).and_then(|table| table.find(request, routes))
        {
            return Some(found);
        }
        if !self.wildcard.is_empty()
            && let Some(found) = self.find_wildcard(request, routes)
        {
            return Some(found);
        }
        self.any.find(request, routes)
    }

    fn find_wildcard(&self, request: &impl Request, routes: &[Conditions]) -> Option<Found> {
        let host = request.host();
        memchr::memchr_iter(b'.', host)
            .filter_map(|dot| self.wildcard.get(&host[dot..]))
            .find_map(|table| table.find(request, routes))
    }
}

#[cfg(test)]
mod tests;
