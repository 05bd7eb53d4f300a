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
