//! Which route passes TLS on unopened, by what a client asks for in its first message.
//!
//! The most specific one: exact name, wildcard (longer first), any name; of those with the same name, one that names a
//! protocol (ALPN), the client's first choice first, and then one that names none. A route that does not match leaves the
//! connection to the next one. Two that are equal in all of this are a [`Tie`].

use super::host::{Buffer, HostPattern, canonical};
use std::collections::{BTreeSet, HashMap};
use std::fmt;

/// The routes of a listener that pass TLS on.
#[derive(Debug, Default)]
pub struct Passages {
    exact: HashMap<Box<[u8]>, Choice>,
    /// By the suffix with its leading dot.
    wildcard: HashMap<Box<[u8]>, Choice>,
    any: Choice,
}

/// The routes of one name, as positions in the plan.
#[derive(Debug, Default)]
struct Choice {
    by_alpn: Vec<(Box<[u8]>, usize)>,
    rest: Option<usize>,
}

/// Two routes that would take the same connection.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Tie {
    pub(super) routes: [usize; 2],
    /// What both would take.
    pub(super) shared: String,
}

impl Passages {
    /// Adds a route that takes these names, or all if there are none, and these protocols, or all.
    pub(super) fn add(&mut self, route: usize, names: &[HostPattern], protocols: &[String]) -> Result<(), Tie> {
        if names.is_empty() {
            return self.any.add(route, protocols).map_err(|tie| tie.of("any name"));
        }
        for name in names {
            let choice = match name {
                HostPattern::Exact(name) => self.exact.entry(name.clone()).or_default(),
                HostPattern::Wildcard(suffix) => self.wildcard.entry(suffix.clone()).or_default(),
            };
            choice.add(route, protocols).map_err(|tie| tie.of(name))?;
        }
        Ok(())
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many routes there are.
    pub fn len(&self) -> usize {
        let all = self.exact.values().chain(self.wildcard.values()).chain([&self.any]);
        let routes = all.flat_map(|choice| choice.by_alpn.iter().map(|(_, route)| *route).chain(choice.rest));
        routes.collect::<BTreeSet<usize>>().len()
    }

    /// The route of a client that asks for `name` and offers `protocols`, its first choice first. What is no host name is none.
    pub fn find<'a>(&self, name: Option<&str>, protocols: impl Iterator<Item = &'a [u8]> + Clone) -> Option<usize> {
        let mut buffer = Buffer::new();
        let host = name.and_then(|name| canonical(name.as_bytes(), 0, &mut buffer).ok());
        let named = host.filter(|host| host.port.is_none()).and_then(|host| {
            let exact = self.exact.get(host.name);
            let suffixes = memchr::memchr_iter(b'.', host.name).filter_map(|dot| self.wildcard.get(&host.name[dot..]));
            exact.into_iter().chain(suffixes).find_map(|choice| choice.find(protocols.clone()))
        });
        named.or_else(|| self.any.find(protocols))
    }

    /// Whether a name, in canonical form, is passed on whatever protocol it is asked for with.
    pub fn has(&self, host: &[u8]) -> bool {
        let suffixes = memchr::memchr_iter(b'.', host).filter_map(|dot| self.wildcard.get(&host[dot..]));
        self.exact.get(host).into_iter().chain(suffixes).any(|choice| choice.rest.is_some())
    }
}

/// A protocol, or all, that two routes would take.
struct Shared {
    routes: [usize; 2],
    protocol: Option<String>,
}

impl Shared {
    fn of(self, name: impl fmt::Display) -> Tie {
        let shared = match self.protocol {
            Some(protocol) => format!("{name} with ALPN \"{protocol}\""),
            None => name.to_string(),
        };
        Tie { routes: self.routes, shared }
    }
}

impl Choice {
    fn add(&mut self, route: usize, protocols: &[String]) -> Result<(), Shared> {
        if protocols.is_empty() {
            return match *self.rest.get_or_insert(route) {
                other if other == route => Ok(()),
                other => Err(Shared { routes: [other, route], protocol: None }),
            };
        }
        for protocol in protocols {
            match self.by_alpn.iter().find(|(known, _)| **known == *protocol.as_bytes()) {
                Some((_, other)) if *other != route => {
                    return Err(Shared { routes: [*other, route], protocol: Some(protocol.clone()) });
                }
                Some(_) => {}
                None => self.by_alpn.push((protocol.as_bytes().into(), route)),
            }
        }
        Ok(())
    }

    fn find<'a>(&self, protocols: impl Iterator<Item = &'a [u8]>) -> Option<usize> {
        let by_alpn = |protocol: &[u8]| self.by_alpn.iter().find(|(known, _)| **known == *protocol);
        let mut offered = protocols.take(if self.by_alpn.is_empty() { 0 } else { usize::MAX });
        offered.find_map(by_alpn).map(|(_, route)| *route).or(self.rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passages(routes: &[(&[&str], &[&str])]) -> Result<Passages, Tie> {
        let mut passages = Passages::default();
        for (route, (names, protocols)) in routes.iter().enumerate() {
            let names: Vec<HostPattern> = names.iter().map(|name| name.parse().unwrap()).collect();
            let protocols: Vec<String> = protocols.iter().map(|&protocol| protocol.to_owned()).collect();
            passages.add(route, &names, &protocols)?;
        }
        Ok(passages)
    }

    #[test]
    fn the_most_specific_route_is_found() {
        let routes: [(&[&str], &[&str]); 7] = [
            (&["db.example.com"], &[]),
            (&["*.example.com"], &[]),
            (&["*.in.example.com"], &[]),
            (&["db.example.com"], &["postgresql", "h2"]),
            (&[], &["acme-tls/1"]),
            (&["only.test"], &["h2"]),
            (&["*.test"], &["x"]),
        ];
        let passages = passages(&routes).unwrap();
        let find = |name: &str, protocols: &[&str]| {
            passages.find(Some(name).filter(|name| !name.is_empty()), protocols.iter().map(|p| p.as_bytes()))
        };
        for (name, protocols, expected) in [
            ("db.example.com", &[][..], Some(0)),
            ("DB.Example.COM", &[], Some(0)),
            ("db.example.com.", &[], Some(0)),
            ("db.example.com", &["h2", "http/1.1"], Some(3)),
            ("db.example.com", &["http/1.1", "postgresql"], Some(3)),
            ("db.example.com", &["acme-tls/1"], Some(0)),
            ("a.example.com", &["h2"], Some(1)),
            ("a.in.example.com", &[], Some(2)),
            ("a.b.in.example.com", &[], Some(2)),
            ("in.example.com", &[], Some(1)),
            ("example.com", &[], None),
            ("example.com", &["acme-tls/1"], Some(4)),
            ("", &["http/1.1", "acme-tls/1"], Some(4)),
            ("", &[], None),
            ("only.test", &["h2"], Some(5)),
            ("only.test", &["x"], Some(6)),
            ("only.test", &[], None),
            ("xexample.com", &[], None),
            ("db.example.com:443", &[], None),
        ] {
            assert_eq!(find(name, protocols), expected, "{name} {protocols:?}");
        }
        assert!(passages.has(b"db.example.com") && passages.has(b"x.in.example.com"));
        assert!(!passages.has(b"only.test") && !passages.has(b"example.com"));
    }

    #[test]
    fn the_clients_first_choice_goes_first() {
        let passages = passages(&[(&["a.test"], &["b"]), (&["a.test"], &["c"])]).unwrap();
        let find = |protocols: &[&str]| passages.find(Some("a.test"), protocols.iter().map(|p| p.as_bytes()));
        assert_eq!((find(&["b", "c"]), find(&["c", "b"]), find(&["d"])), (Some(0), Some(1), None));
    }

    #[test]
    fn routes_that_would_take_the_same_tie() {
        let tie = |routes: &[(&[&str], &[&str])]| passages(routes).unwrap_err();
        let routes = [0, 1];
        assert_eq!(tie(&[(&["a.test"], &[]), (&["b.test", "A.test"], &[])]), Tie { routes, shared: "a.test".into() });
        assert_eq!(tie(&[(&["*.test"], &[]), (&["*.test"], &[])]).shared, "*.test");
        assert_eq!(tie(&[(&[], &["x", "y"]), (&[], &["y"])]).shared, "any name with ALPN \"y\"");
        assert!(passages(&[(&["a.test", "a.test"], &["x", "x"]), (&["a.test"], &[])]).is_ok());
    }
}
