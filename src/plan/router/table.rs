//! The routes of one host pattern, by path.

use super::conditions::{Conditions, PathPattern};
use super::{Found, Request};
use crate::gateway::openapi::Paths;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// A map by bytes. Its keys come from the configuration, so nobody can choose them to collide.
pub(super) type Map<V> = HashMap<Box<[u8]>, V, BuildHasherDefault<BytesHasher>>;

/// Routes by path, each list with the most specific first.
#[derive(Debug, Default)]
pub(super) struct Table {
    exact: Map<Vec<Entry>>,
    /// Which of the lists that follow.
    templates: Paths,
    of_templates: Vec<(Box<str>, Vec<Entry>)>,
    /// Without the slash at their end.
    prefix: Map<Vec<Entry>>,
    prefix_lengths: Lengths,
    regex: Vec<(regex::bytes::Regex, Entry)>,
    any: Vec<Entry>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    route: usize,
    /// Matches whatever method, headers, query and client are.
    unconditional: bool,
}

impl Entry {
    #[inline]
    fn holds(&self, request: &impl Request, routes: &[Conditions]) -> bool {
        self.unconditional || routes[self.route].hold(request)
    }
}

impl Table {
    /// Adds a route under each of its paths.
    pub(super) fn insert(&mut self, index: usize, route: &Conditions) {
        let entry = Entry { route: index, unconditional: route.is_unconditional() };
        if route.paths.is_empty() {
            self.any.push(entry);
        }
        for path in &route.paths {
            match path {
                PathPattern::Exact(path) => self.exact.entry(path.clone()).or_default().push(entry),
                PathPattern::Template(template) => {
                    let next = self.of_templates.len();
                    let Ok((place, _)) = self.templates.place(&template.text, next) else { continue };
                    if place == next {
                        self.of_templates.push((template.text.clone(), Vec::new()));
                    }
                    self.of_templates[place].1.push(entry);
                }
                PathPattern::Prefix(prefix) if prefix.is_empty() => self.any.push(entry),
                PathPattern::Prefix(prefix) => {
                    self.prefix_lengths.insert(prefix.len());
                    self.prefix.entry(prefix.clone()).or_default().push(entry);
                }
                PathPattern::Regex(regex) => self.regex.push((regex.clone(), entry)),
            }
        }
    }

    /// Sorts what was inserted and calls `tie` with each pair of routes that tie and the path that they share.
    pub(super) fn finish(&mut self, routes: &[Conditions], mut tie: impl FnMut((usize, usize), String)) {
        let show = |path: &[u8]| path.escape_ascii().to_string();
        for (path, entries) in &mut self.exact {
            finish_entries(entries, routes, |pair| tie(pair, format!("path \"={}\"", show(path))));
        }
        for (path, entries) in &mut self.of_templates {
            finish_entries(entries, routes, |pair| tie(pair, format!("path \"={path}\"")));
        }
        for (path, entries) in &mut self.prefix {
            finish_entries(entries, routes, |pair| tie(pair, format!("path \"{}/\"", show(path))));
        }
        finish_entries(&mut self.any, routes, |pair| tie(pair, "every path".to_owned()));
        self.regex.sort_by_key(|(_, entry)| std::cmp::Reverse(routes[entry.route].rank()));
        for (at, (first_regex, first)) in self.regex.iter().enumerate() {
            for (second_regex, second) in &self.regex[at + 1..] {
                let disjoint = disjoint_prefixes(first_regex.as_str(), second_regex.as_str());
                if !disjoint && ties(first, second, routes) {
                    let shared = format!("paths \"~{first_regex}\" and \"~{second_regex}\"");
                    tie(ordered(first.route, second.route), shared);
                }
            }
        }
    }

    #[inline]
    pub(super) fn find(&self, request: &impl Request, routes: &[Conditions]) -> Option<Found> {
        let path = request.path();
        let first = |entries: &[Entry], prefix| {
            let entry = entries.iter().find(|entry| entry.holds(request, routes))?;
            Some(Found { route: entry.route, prefix })
        };
        if !self.exact.is_empty()
            && let Some(found) = self.exact.get(path).and_then(|entries| first(entries, path.len()))
        {
            return Some(found);
        }
        if !self.of_templates.is_empty()
            && let Some((place, _)) = self.templates.find(path)
            && let Some(found) = self.of_templates.get(place).and_then(|(_, entries)| first(entries, 0))
        {
            return Some(found);
        }
        if !self.prefix_lengths.is_empty() {
            let mut end = path.len();
            while end > 0 {
                if self.prefix_lengths.may_contain(end)
                    && let Some(found) = self.prefix.get(&path[..end]).and_then(|entries| first(entries, end))
                {
                    return Some(found);
                }
                // The next border at which a prefix that is known could end.
                end = memchr::memrchr(b'/', &path[..end.min(self.prefix_lengths.longest + 1)]).unwrap_or(0);
            }
        }
        for (regex, entry) in &self.regex {
            if regex.is_match(path) && entry.holds(request, routes) {
                return Some(Found { route: entry.route, prefix: 0 });
            }
        }
        first(&self.any, 0)
    }
}

fn finish_entries(entries: &mut Vec<Entry>, routes: &[Conditions], mut tie: impl FnMut((usize, usize))) {
    // A route that names the same path twice, as "/v1" and "/v1/", was inserted twice in a row.
    entries.dedup_by_key(|entry| entry.route);
    entries.sort_by_key(|entry| std::cmp::Reverse(routes[entry.route].rank()));
    for (at, first) in entries.iter().enumerate() {
        let equals =
            entries[at + 1..].iter().take_while(|other| routes[other.route].rank() == routes[first.route].rank());
        for second in equals.filter(|second| ties(first, second, routes)) {
            tie(ordered(first.route, second.route));
        }
    }
}

fn ties(first: &Entry, second: &Entry, routes: &[Conditions]) -> bool {
    let (one, other) = (&routes[first.route], &routes[second.route]);
    first.route != second.route && one.rank() == other.rank() && one.overlaps(other)
}

fn ordered(one: usize, other: usize) -> (usize, usize) {
    (one.min(other), one.max(other))
}

/// Whether no path can match both regexes because each fixes how a path begins. Says `false` when in doubt.
pub(super) fn disjoint_prefixes(one: &str, other: &str) -> bool {
    let (one, other) = (fixed_prefix(one), fixed_prefix(other));
    !one.starts_with(other) && !other.starts_with(one)
}

/// The literal text that an anchored regex begins with.
fn fixed_prefix(regex: &str) -> &str {
    let Some(text) = regex.strip_prefix('^').filter(|text| !text.contains('|')) else { return "" };
    let is_literal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'-' | b'_' | b'~' | b'%');
    let end = text.bytes().position(|byte| !is_literal(byte)).unwrap_or(text.len());
    match text.as_bytes().get(end) {
        // The last character is optional or counted.
        Some(b'?' | b'*' | b'{') => &text[..end.saturating_sub(1)],
        _ => &text[..end],
    }
}

/// The lengths that occur among keys, so that most lengths that do not occur cost no hash.
#[derive(Debug, Default)]
struct Lengths {
    /// Bit n for length n, the last for all from 63 on.
    set: u64,
    longest: usize,
}

impl Lengths {
    fn insert(&mut self, length: usize) {
        self.set |= 1 << length.min(63);
        self.longest = self.longest.max(length);
    }

    #[inline]
    fn is_empty(&self) -> bool {
        self.set == 0
    }

    #[inline]
    fn may_contain(&self, length: usize) -> bool {
        self.set >> length.min(63) & 1 == 1
    }
}

/// XXH3 over the bytes of one key.
#[derive(Default)]
pub(super) struct BytesHasher(u64);

impl Hasher for BytesHasher {
    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        self.0 = xxh3_64_with_seed(bytes, self.0);
    }

    /// A slice's length comes first; there is one slice to a key, whose hash holds its length already.
    #[inline]
    fn write_usize(&mut self, _length: usize) {}

    #[inline]
    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regexes_that_begin_differently_are_disjoint() {
        assert!(disjoint_prefixes("^/users/[0-9]+$", "^/posts/[0-9]+$"));
        assert!(disjoint_prefixes("^/a/x", "^/a/y"));
        assert!(disjoint_prefixes("^/ab?/x", "^/b"));
        assert!(!disjoint_prefixes("^/ab?/x", "^/a/"));
        assert!(!disjoint_prefixes("^/ab{0}/x", "^/a/"));
        assert!(!disjoint_prefixes("^/users/", "^/users/[0-9]+"));
        assert!(!disjoint_prefixes("/users/", "^/posts/"));
        assert!(!disjoint_prefixes("^/users|^/posts", "^/posts/"));
        assert!(!disjoint_prefixes("(?i)^/users", "^/USERS"));
    }
}
