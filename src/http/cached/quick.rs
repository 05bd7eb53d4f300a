//! What is asked most: a small answer that is stored whole and fresh, by a client who wants it as it is.
//!
//! What always holds: it is what the long way would give; whatever is not plain goes that way.

use super::view::View;
use super::{Subject, front, is_for_cache};
use crate::cache::store::Key;
use crate::cache::store::entry::Entry;
use crate::cache::{self, CacheStatus, Conditions, Freshness, Request, RequestDirectives, Uri, Use, Vary};
use crate::http::decide::raw_path;
use crate::http::exchange::Exchange;
use crate::http::forward::Path;
use crate::http::h1::Incoming;
use crate::http::head::{Method, Version};
use crate::http::transfer::INLINE;
use crate::net::Lease;
use crate::plan::{self, Caching};
use xxhash_rust::xxh3::xxh3_64;

/// Room in which keys are made. Reused by the next request, so that looking up allocates nothing.
#[derive(Default)]
pub(in crate::http) struct Room {
    /// The host, in canonical form, with its port unless that is the scheme's own.
    pub(super) named: Vec<u8>,
    /// The key.
    pub(super) key: Vec<u8>,
    /// That of a variant.
    variant: Vec<u8>,
}

impl Room {
    /// The key that was made last.
    pub(super) fn key(&self) -> &[u8] {
        &self.key
    }

    /// The hash of the host.
    pub(super) fn host(&self) -> u64 {
        xxh3_64(&self.named)
    }

    /// What the key that was made last is made of.
    pub(super) fn subject(&self) -> Subject {
        (self.key.as_slice().into(), self.host(), self.named.as_slice().into())
    }
}

/// Makes the key of a request.
pub(super) fn key_of(exchange: &mut Exchange<'_>, caching: &Caching, path: Path) -> Key {
    let Exchange { connection, heads, text, .. } = exchange;
    let Room { named, key, .. } = &mut heads.keys;
    named.clear();
    // What is no host was refused before.
    if let Ok(host) = heads.hosts.canonical(heads.request.authority.of(text), connection.listener.own_port()) {
        named.extend_from_slice(host.name);
        if let Some(port) = host.port {
            named.push(b':');
            named.extend_from_slice(itoa::Buffer::new().format(port).as_bytes());
        }
    }
    let trusted = connection.http.trusts(connection.peer.ip);
    let scheme = front::scheme(&heads.request, text, connection.listener, trusted);
    let uri = Uri {
        scheme,
        host: named,
        path: match path.plain {
            true => raw_path(heads.request.form, heads.request.path.of(text)),
            false => &heads.path,
        },
        query: heads.request.query.map(|query| query.of(text)),
    };
    let view = View { fields: &heads.request.fields, text };
    caching.key.write(&uri, &view, None, key);
    if trusted {
        front::write(&heads.request, text, scheme, named, key);
    }
    cache::key::hash(caching.seed(), key)
}

/// What comes of the short way.
pub(in crate::http) enum Quick {
    /// The whole answer.
    Answer(Lease),
    /// Nothing. The key, if the request and what its route does with answers are plain.
    Later(Option<Key>),
}

/// The whole answer to a request, if a small one is stored that fits and is fresh.
pub(in crate::http) fn quick(
    exchange: &mut Exchange<'_>,
    rule: &plan::Forward,
    caching: &Caching,
    path: Path,
    incoming: &Incoming,
) -> Quick {
    let http = exchange.connection.http;
    let changes = rule.edits.is_some() || rule.compress.is_some() || rule.edits_answers() || !http.hsts.is_empty();
    if changes || !is_for_cache(exchange, incoming) {
        return Quick::Later(None);
    }
    if !is_plain(exchange, caching) {
        return Quick::Later(None);
    }
    let key = key_of(exchange, caching, path);
    small(exchange, caching, key).map_or(Quick::Later(Some(key)), Quick::Answer)
}

/// The whole answer to a plain request, if it is small.
fn small(exchange: &mut Exchange<'_>, caching: &Caching, key: Key) -> Option<Lease> {
    let slot = caching.store.find(key)?;
    let mut wanted = Wanted::default();
    let entry = slot.variants.iter().find(|entry| fits(exchange, caching, key, entry, &mut wanted))?;
    let resident = entry.resident();
    let usable = entry.parts.is_none()
        && caching.store.purged(entry).is_none()
        && entry.freshness.verdict(resident, &RequestDirectives::default()) == Use::Fresh;
    let length = entry.body.length().filter(|length| usable && *length <= INLINE as u64)?;
    let stored = AsStored { head: &entry.head, status: entry.status, freshness: &entry.freshness, resident, length };
    let is_head = exchange.heads.request.method == Method::Head;
    let room = usize::try_from(if is_head { 0 } else { length }).unwrap_or(0);
    let mut out = write_head(exchange, caching, &stored, room);
    if !is_head {
        entry.body.segments().into_iter().flatten().for_each(|segment| out.buffer().extend_from_slice(segment));
    }
    Some(out)
}

/// Whether a request wants the answer as it is stored.
pub(super) fn is_plain(exchange: &Exchange<'_>, caching: &Caching) -> bool {
    let view = View { fields: &exchange.heads.request.fields, text: &exchange.text };
    let request = Request::of(&view, caching.rules.honour);
    request.control == RequestDirectives::default()
        && request.conditions == Conditions::default()
        && request.range.is_none()
        && !request.overrides
}

/// Whether an answer is one to this request, in everything that it varies on but the language that it wants most.
fn fits<'e>(
    exchange: &mut Exchange<'_>,
    caching: &Caching,
    key: Key,
    entry: &'e Entry,
    wanted: &mut Wanted<'e>,
) -> bool {
    let Exchange { heads, text, .. } = exchange;
    let view = View { fields: &heads.request.fields, text };
    let scratch = &mut heads.keys.variant;
    entry.vary.is_empty()
        || wanted.of(&entry.vary, |vary| vary.key(caching.store.seed(), key, &view, scratch)) == entry.variant.0
}

/// The key of the variant that a request wants, by what answers vary on: mostly all of a slot vary on the same.
#[derive(Default)]
pub(super) struct Wanted<'e>(Option<(&'e Vary, Key)>);

impl<'e> Wanted<'e> {
    /// That by `vary`, which `make` makes where it was not the last.
    pub(super) fn of(&mut self, vary: &'e Vary, make: impl FnOnce(&Vary) -> Key) -> Key {
        match self.0 {
            Some((known, key)) if known == vary => key,
            _ => self.0.insert((vary, make(vary))).1,
        }
    }
}

/// An answer that is given as it is stored.
pub(super) struct AsStored<'a> {
    pub(super) head: &'a [u8],
    pub(super) status: u16,
    pub(super) freshness: &'a Freshness,
    /// How long it has been stored, in milliseconds.
    pub(super) resident: u64,
    /// Bytes of its content.
    pub(super) length: u64,
}

/// Writes the head of a hit, with room for so many bytes behind it.
pub(super) fn write_head(exchange: &mut Exchange<'_>, caching: &Caching, stored: &AsStored<'_>, room: usize) -> Lease {
    let AsStored { head, status, freshness, resident, length } = *stored;
    exchange.keep_alive &= !exchange.connection.is_leaving();
    let mut out = Lease::with_room(head.len() + 256 + room);
    let text = out.buffer();
    text.extend_from_slice(head);
    let mut digits = itoa::Buffer::new();
    let mut number = |text: &mut Vec<u8>, name: &[u8], number: u64| {
        text.extend_from_slice(name);
        text.extend_from_slice(digits.format(number).as_bytes());
        text.extend_from_slice(b"\r\n");
    };
    number(text, b"Age: ", u64::from(freshness.age_seconds(resident)));
    if caching.status_header {
        text.extend_from_slice(b"Cache-Status: ");
        CacheStatus { hit: true, ttl: Some(freshness.ttl(resident)), ..CacheStatus::default() }.write("Ringway", text);
        text.extend_from_slice(b"\r\n");
    }
    if !matches!(status, 204 | 304) {
        number(text, b"Content-Length: ", length);
    }
    match (exchange.keep_alive, exchange.heads.request.version) {
        (false, _) => text.extend_from_slice(b"Connection: close\r\n"),
        (true, Version::Http10) => text.extend_from_slice(b"Connection: keep-alive\r\n"),
        (true, Version::Http11) => {}
    }
    text.extend_from_slice(b"\r\n");
    exchange.outcome.status = status;
    exchange.outcome.cached();
    out
}
