//! What a cache would do with a request, as far as the request says it.

use super::view::View;
use super::{front, passes_by};
use crate::cache::{Request, Uri, key};
use crate::http::decide::raw_path;
use crate::http::exchange::Heads;
use crate::http::forward::Path;
use crate::http::h1::Incoming;
use crate::plan::{Caching, Listener, host};

/// How a request stands to the cache of its route.
#[derive(Debug)]
pub struct Lookup {
    /// The part of its key that is a URI.
    pub uri: Vec<u8>,
    /// Why it passes the cache by; `None`: it is looked up.
    pub passes: Option<&'static str>,
    /// Whether what it is answered may make something forgotten.
    pub changes: bool,
}

/// Finds how a request stands to the cache of its route.
pub(in crate::http) fn would(
    caching: &Caching,
    listener: &Listener,
    (heads, text): (&Heads, &[u8]),
    path: Path,
    incoming: &Incoming,
    (grpc, trusted): (bool, bool),
) -> Lookup {
    let head = &heads.request;
    let mut buffer = host::Buffer::new();
    // What is no host was refused before.
    let named = host::canonical(head.authority.of(text), listener.own_port(), &mut buffer);
    let named = named.map(|host| match host.port {
        Some(port) => [host.name, b":", port.to_string().as_bytes()].concat(),
        None => host.name.to_vec(),
    });
    let uri = Uri {
        scheme: front::scheme(head, text, listener, trusted),
        host: &named.unwrap_or_default(),
        path: if path.plain { raw_path(head.form, head.path.of(text)) } else { &heads.path },
        query: head.query.map(|query| query.of(text)),
    };
    let view = View { fields: &head.fields, text };
    let mut bytes = Vec::new();
    caching.key.write(&uri, &view, None, &mut bytes);
    let request = Request::of(&view, caching.rules.honour);
    let only_origin = || match request.conditions.are_for_origin() {
        true => Some("only the origin can judge its If-Match or If-Unmodified-Since"),
        false => request.overrides.then_some("a header of it says another method or URI"),
    };
    Lookup {
        uri: key::uri(&bytes).to_vec(),
        passes: passes_by(head.method, incoming, grpc).or_else(only_origin),
        changes: crate::cache::Method::of(head.method_text.of(text)).changes(),
    }
}
