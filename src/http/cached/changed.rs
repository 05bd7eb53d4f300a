//! What an answer that was not asked for by the cache says of what is stored (RFC 9111 §4.3.5, §4.4; RFC 9875 §3).
//!
//! What always holds: what an unsafe method has changed is forgotten before its answer goes to the client, so that whoever learns of
//! the change sees it.

use super::view::View;
use super::{front, key_of};
use crate::cache::groups::{self, invalidated, invalidates};
use crate::cache::store::purge::Purge;
use crate::cache::{Lines, Method, Response, Uri, key, validation};
use crate::http::decide::raw_path;
use crate::http::exchange::Exchange;
use crate::http::forward::Path;
use crate::plan::{Caching, path};

/// An answer has come whose head, in `text`, is in the exchange.
#[cold]
pub(in crate::http) fn answered(exchange: &mut Exchange<'_>, caching: &Caching, route: Path, text: &[u8]) {
    let method = Method::of(exchange.heads.request.method_text.of(&exchange.text));
    let status = exchange.heads.response.status;
    if method.changes() && invalidates(status) {
        forget(exchange, caching, route, text);
    } else if method == Method::Head && status == 200 {
        compare(exchange, caching, route, text);
    }
}

/// Forgets what an unsafe method has changed: what it was for, what its answer names of the same origin, and the groups.
fn forget(exchange: &mut Exchange<'_>, caching: &Caching, route: Path, text: &[u8]) {
    key_of(exchange, caching, route);
    let Exchange { connection, heads, text: asked, .. } = &*exchange;
    let answer = View { fields: &heads.response.fields, text };
    let response = Response::of(heads.response.status, &answer, &caching.rules);
    let trusted = connection.http.trusts(connection.peer.ip);
    let uri = Uri {
        scheme: front::scheme(&heads.request, asked, connection.listener, trusted),
        host: &heads.keys.named,
        path: if route.plain { raw_path(heads.request.form, heads.request.path.of(asked)) } else { &heads.path },
        query: heads.request.query.map(|query| query.of(asked)),
    };
    let request = View { fields: &heads.request.fields, text: asked };
    let kept = &connection.era.plan.caches[caching.index];
    let forget = |uri: &Uri<'_>| {
        let (mut bytes, mut noted) = (Vec::new(), None);
        for known in &kept.uses {
            known.key.write(uri, &request, None, &mut bytes);
            caching.store.forget(key::hash(known.seed(), &bytes));
            let tag = groups::tag(key::uri(&bytes));
            if kept.has_longer_keys && noted.replace(tag) != Some(tag) {
                caching.store.invalidate(Purge::Uri(tag));
            }
        }
    };
    forget(&uri);
    for reference in [response.location, response.content_location].into_iter().flatten() {
        let mut resolved = Vec::new();
        if uri.resolve(reference, &mut resolved) {
            let (raw, query) = match memchr::memchr(b'?', &resolved) {
                Some(mark) => (&resolved[..mark], Some(&resolved[mark + 1..])),
                None => (&resolved[..], None),
            };
            let mut normal = Vec::new();
            let path = if path::normalise(raw, &mut normal) == path::Verdict::Plain { raw } else { &normal };
            forget(&Uri { path, query, ..uri });
        }
    }
    invalidated(&answer, response.status, uri.scheme, uri.host, |group| {
        caching.store.invalidate(Purge::Tag(group));
    });
}

/// Lets go of what a HEAD shows to be another by now.
fn compare(exchange: &mut Exchange<'_>, caching: &Caching, route: Path, text: &[u8]) {
    let key = key_of(exchange, caching, route);
    let Some(slot) = caching.store.find(key) else { return };
    let answer = View { fields: &exchange.heads.response.fields, text };
    let update = Response::of(200, &answer, &caching.rules);
    for entry in slot.variants.iter().filter(|entry| entry.vary.is_empty()) {
        let lines = Lines(entry.lines());
        let stored = Response { content_length: None, ..Response::of(entry.status, &lines, &caching.rules) };
        if validation::head(&stored, &Response { content_length: None, ..update }) == validation::Head::Outdates {
            caching.store.drop_entry(key, entry);
        }
    }
}
