//! The key under which an answer is stored: what of a request decides what it is answered.
//!
//! What always holds: no two requests have the same bytes that differ in anything that counts, as each part carries its length; and
//! what does not count, the ignored parameters of a query, is not sent to the origin either ([`KeyRules::write_query`]), so that it
//! cannot change what others get.

use super::fields::Fields;
use super::uri::Uri;
use super::vary::write_combined;
use smallvec::SmallVec;
use xxhash_rust::xxh3::xxh3_128_with_seed;

/// What of a request counts besides scheme, host and path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRules {
    /// Which parameters of the query.
    pub query: Query,
    /// Whether the order of parameters with different names does not count.
    pub sort: bool,
    /// Fields, by their names in lower case.
    pub headers: Vec<Box<[u8]>>,
    /// Cookies, by their names.
    pub cookies: Vec<Box<[u8]>>,
}

impl Default for KeyRules {
    fn default() -> Self {
        Self { query: Query::All, sort: false, headers: Vec::new(), cookies: Vec::new() }
    }
}

/// Which parameters of a query count. Names are compared as they are written; a `*` in a pattern stands for any text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Query {
    /// All of it, to the letter.
    #[default]
    All,
    /// All but these.
    Except(Vec<Box<[u8]>>),
    /// These alone.
    Only(Vec<Box<[u8]>>),
    /// None.
    None,
}

impl Query {
    fn counts(&self, parameter: &[u8]) -> bool {
        let name = parameter.split(|&byte| byte == b'=').next().unwrap_or_default();
        match self {
            Query::All => true,
            Query::None => false,
            Query::Except(patterns) => !patterns.iter().any(|pattern| fits(pattern, name)),
            Query::Only(patterns) => patterns.iter().any(|pattern| fits(pattern, name)),
        }
    }
}

/// Whether a name fits a pattern in which `*` stands for any text.
fn fits(pattern: &[u8], name: &[u8]) -> bool {
    match pattern.split_first() {
        None => name.is_empty(),
        Some((b'*', rest)) => (0..=name.len()).any(|at| fits(rest, &name[at..])),
        Some((first, rest)) => name.split_first().is_some_and(|(other, name)| first == other && fits(rest, name)),
    }
}

impl KeyRules {
    /// Whether the query is sent on and counts as it is.
    pub fn keeps_query(&self) -> bool {
        self.query == Query::All && !self.sort
    }

    /// Writes the query as it counts, with its `?`; nothing if none of it does. The origin is to be sent this.
    pub fn write_query(&self, query: Option<&[u8]>, into: &mut Vec<u8>) {
        let Some(query) = query else { return };
        if self.keeps_query() {
            into.push(b'?');
            into.extend_from_slice(query);
            return;
        }
        let counting = query.split(|&byte| byte == b'&').filter(|part| !part.is_empty() && self.query.counts(part));
        let mut put = |sign: u8, parameter: &[u8]| {
            into.push(sign);
            into.extend_from_slice(parameter);
            b'&'
        };
        if self.sort {
            let mut parameters: SmallVec<[&[u8]; 16]> = counting.collect();
            // Of one name they stay in order, as the origin may take the first or the last.
            parameters.sort_by_key(|parameter| parameter.split(|&byte| byte == b'=').next());
            parameters.iter().fold(b'?', |sign, parameter| put(sign, parameter));
        } else {
            counting.fold(b'?', put);
        }
    }

    /// Writes the key of a request over what is in `key`. `consumer` is who the client is, where that counts.
    pub fn write(&self, uri: &Uri<'_>, request: &(impl Fields + ?Sized), consumer: Option<&[u8]>, key: &mut Vec<u8>) {
        key.clear();
        key.extend_from_slice(&[0; 4]);
        key.extend_from_slice(uri.scheme);
        key.extend_from_slice(b"://");
        key.extend_from_slice(uri.host);
        key.extend_from_slice(uri.path);
        self.write_query(uri.query, key);
        close(key, 0);
        for name in &self.headers {
            let at = open(key, b'h');
            if !write_combined(request, name, key) {
                key[at] = b'-';
            }
            close(key, at + 1);
        }
        for name in &self.cookies {
            for value in request.values(b"cookie").flat_map(|line| cookie(line, name)) {
                let at = open(key, b'c');
                key.extend_from_slice(value);
                close(key, at + 1);
            }
            key.push(b'.');
        }
        if let Some(consumer) = consumer {
            let at = open(key, b'u');
            key.extend_from_slice(consumer);
            close(key, at + 1);
        }
    }
}

/// Adds a part of this kind, of what `write` writes.
pub fn part(key: &mut Vec<u8>, kind: u8, write: impl FnOnce(&mut Vec<u8>)) {
    let at = open(key, kind);
    write(key);
    close(key, at + 1);
}

/// Begins a part of this kind; returns where.
fn open(key: &mut Vec<u8>, kind: u8) -> usize {
    let at = key.len();
    key.extend_from_slice(&[kind, 0, 0, 0, 0]);
    at
}

/// Writes the length of a part before it.
fn close(key: &mut [u8], at: usize) {
    let length = u32::try_from(key.len() - at - 4).unwrap_or(u32::MAX);
    key[at..at + 4].copy_from_slice(&length.to_be_bytes());
}

/// The values of the cookies of this name.
fn cookie<'a>(line: &'a [u8], name: &[u8]) -> impl Iterator<Item = &'a [u8]> {
    line.split(|&byte| byte == b';').filter_map(move |pair| pair.trim_ascii().strip_prefix(name)?.strip_prefix(b"="))
}

/// The hash of a key. `seed` is a random number of the cache that nobody outside knows.
pub fn hash(seed: u64, key: &[u8]) -> u128 {
    xxh3_128_with_seed(key, seed)
}

/// The URI of a key, `scheme://host/path?query`: for logs, and for purging by host and prefix.
pub fn uri(key: &[u8]) -> &[u8] {
    let Some((length, rest)) = key.split_first_chunk::<4>() else { return &[] };
    rest.get(..u32::from_be_bytes(*length) as usize).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const URI: Uri<'_> = Uri { scheme: b"https", host: b"a.test", path: b"/x", query: None };

    fn names(names: &[&str]) -> Vec<Box<[u8]>> {
        names.iter().map(|name| name.as_bytes().into()).collect()
    }

    fn key(rules: &KeyRules, uri: Uri<'_>, head: &[(&str, &str)], consumer: Option<&str>) -> Vec<u8> {
        let head: Vec<(&[u8], &[u8])> = head.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect();
        let mut key = b"what was there before".to_vec();
        rules.write(&uri, &head[..], consumer.map(str::as_bytes), &mut key);
        key
    }

    fn query(rules: &KeyRules, query: &str) -> String {
        let mut written = Vec::new();
        rules.write_query(Some(query.as_bytes()), &mut written);
        String::from_utf8_lossy(&written).into_owned()
    }

    #[test]
    fn each_part_of_the_uri_counts() {
        let rules = KeyRules::default();
        let keys = [
            key(&rules, URI, &[], None),
            key(&rules, Uri { scheme: b"http", ..URI }, &[], None),
            key(&rules, Uri { host: b"b.test", ..URI }, &[], None),
            key(&rules, Uri { host: b"a.test:8443", ..URI }, &[], None),
            key(&rules, Uri { path: b"/y", ..URI }, &[], None),
            key(&rules, Uri { path: b"/x/", ..URI }, &[], None),
            key(&rules, Uri { path: b"/x%2Fy", ..URI }, &[], None),
            key(&rules, Uri { path: b"/x/y", ..URI }, &[], None),
            key(&rules, Uri { query: Some(b""), ..URI }, &[], None),
            key(&rules, Uri { query: Some(b"a=1"), ..URI }, &[], None),
            key(&rules, Uri { query: Some(b"a=2"), ..URI }, &[], None),
            key(&rules, Uri { query: Some(b"a=1&b=2"), ..URI }, &[], None),
            key(&rules, Uri { query: Some(b"b=2&a=1"), ..URI }, &[], None),
            key(&rules, URI, &[], Some("")),
            key(&rules, URI, &[], Some("acme")),
        ];
        let mut distinct: Vec<u128> = keys.iter().map(|key| hash(1, key)).collect();
        distinct.sort_unstable();
        distinct.dedup();
        assert_eq!(distinct.len(), keys.len());
        assert_eq!(uri(&keys[9]), b"https://a.test/x?a=1");
        assert_eq!(uri(&keys[14]), b"https://a.test/x");
        assert_ne!(hash(1, &keys[0]), hash(2, &keys[0]));
        assert_eq!((uri(b""), uri(b"\xff\xff\xff\xffx")), (&b""[..], &b""[..]));
    }

    #[test]
    fn ignored_parameters_do_not_count_and_are_not_sent() {
        let rules = KeyRules { query: Query::Except(names(&["utm_*", "fbclid"])), ..KeyRules::default() };
        assert_eq!(query(&rules, "a=1&utm_source=x&b=2&fbclid=3&UTM_x=1"), "?a=1&b=2&UTM_x=1");
        assert_eq!(query(&rules, "utm_source=x&utm_=1&fbclid"), "");
        let of = |text: &'static str| key(&rules, Uri { query: Some(text.as_bytes()), ..URI }, &[], None);
        assert_eq!(of("a=1&utm_source=x"), of("utm_source=evil&a=1"));
        assert_ne!(of("a=1"), of("a=2"));
        for hidden in ["a=1;utm_source=x", "a=1&utm%5Fsource=x", "a=1&xutm_source=x", "a=1%26utm_source=x"] {
            assert_ne!(of(hidden), of("a=1"), "{hidden}: the origin may read it otherwise");
            assert_eq!(query(&rules, hidden), format!("?{hidden}"), "and is sent it");
        }
    }

    #[test]
    fn only_chosen_parameters_count_and_are_sent() {
        let rules = KeyRules { query: Query::Only(names(&["id", "p*e"])), ..KeyRules::default() };
        assert_eq!(query(&rules, "x=1&id=2&page=3&id=4&pag=5&i%64=6"), "?id=2&page=3&id=4");
        assert_eq!(query(&KeyRules { query: Query::None, ..KeyRules::default() }, "id=1"), "");
        assert!(!rules.keeps_query() && KeyRules::default().keeps_query());
    }

    #[test]
    fn sorting_keeps_the_order_of_one_name() {
        let rules = KeyRules { sort: true, ..KeyRules::default() };
        assert_eq!(query(&rules, "b=2&a=2&&a=1&a&c"), "?a=2&a=1&a&b=2&c");
        assert_eq!(query(&rules, "b=2&a=1"), query(&rules, "a=1&b=2"));
        assert_ne!(query(&rules, "a=1&a=2"), query(&rules, "a=2&a=1"));
    }

    #[test]
    fn chosen_fields_and_cookies_count() {
        let rules =
            KeyRules { headers: names(&["x-lang", "x-kind"]), cookies: names(&["tier", "ab"]), ..KeyRules::default() };
        let of = |head: &[(&str, &str)]| key(&rules, URI, head, None);
        assert_eq!(of(&[("X-Lang", "en, de"), ("other", "1")]), of(&[("x-lang", "en"), ("x-lang", "de")]));
        assert_eq!(of(&[("Cookie", "a=1; tier=gold")]), of(&[("cookie", "tier=gold"), ("cookie", "a=2")]));
        let heads: [&[(&str, &str)]; 12] = [
            &[],
            &[("x-lang", "")],
            &[("x-lang", "en")],
            &[("x-kind", "en")],
            &[("x-lang", "enx-kind")],
            &[("cookie", "tier=")],
            &[("cookie", "tier=gold")],
            &[("cookie", "ab=gold")],
            &[("cookie", "tier=gold; tier=x")],
            &[("cookie", "tier=x; tier=gold")],
            &[("cookie", "tier=gol; ab=d")],
            &[("cookie", "tier=\"gold; ab=d\"")],
        ];
        let mut keys: Vec<Vec<u8>> = heads.iter().map(|head| of(head)).collect();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), heads.len());
        assert_eq!(of(&[("cookie", "tiers=1; xtier=2; tier")]), of(&[]), "other names");
    }

    #[test]
    fn text_does_not_move_from_one_part_to_another() {
        let mut random = fastrand::Rng::with_seed(13);
        let rules = KeyRules { headers: names(&["h"]), cookies: names(&["c"]), ..KeyRules::default() };
        let pieces = ["", "a", "/", "?", "=", "&", ",", ".", "h", "c", "u", "-", "\u{0}\u{0}\u{0}\u{1}"];
        let mut seen = std::collections::HashMap::new();
        for _ in 0..30_000 {
            let mut piece = || pieces[random.usize(..pieces.len())];
            let parts = [piece(), piece(), piece(), piece(), piece()];
            let uri = Uri { host: b"a", path: b"/", query: Some(parts[0].as_bytes()), ..URI };
            let cookie = format!("c={}", parts[2]);
            let head = [("h", parts[1]), ("cookie", cookie.as_str()), ("cookie", parts[3])];
            let key = key(&rules, uri, &head, Some(parts[4]));
            // What counts of the parts: a member is written without blanks and empty ones, a cookie must have the name.
            let counts = [parts[0], parts[1].trim_matches(','), parts[2], parts[4]].map(str::to_owned);
            assert_eq!(seen.entry(key).or_insert_with(|| counts.clone()), &counts);
        }
    }

    #[test]
    fn patterns_stand_for_any_text() {
        for (pattern, name, fit) in [
            ("utm_*", "utm_source", true),
            ("utm_*", "utm_", true),
            ("utm_*", "utm", false),
            ("*", "", true),
            ("a*c", "abbc", true),
            ("a*c", "abcd", false),
            ("*id", "fbclid", true),
            ("a", "a", true),
            ("a", "A", false),
            ("", "", true),
        ] {
            assert_eq!(fits(pattern.as_bytes(), name.as_bytes()), fit, "{pattern} {name}");
        }
    }
}
