//! What a request asks a cache for.

use super::quick::key_of;
use super::view::View;
use crate::cache::store::Key;
use crate::cache::{Request, RequestDirectives};
use crate::http::exchange::Exchange;
use crate::http::forward::Path;
use crate::plan::Caching;

/// What is asked for.
pub(super) struct Asked {
    pub(super) key: Key,
    pub(super) control: RequestDirectives,
    /// Whether only the origin can decide: it has conditions of that kind, or says that it is another request than it seems.
    pub(super) past: bool,
    pub(super) range: bool,
}

impl Asked {
    /// What a request asks for.
    pub(super) fn of(exchange: &mut Exchange<'_>, caching: &Caching, path: Path) -> Self {
        let key = key_of(exchange, caching, path);
        let view = View { fields: &exchange.heads.request.fields, text: &exchange.text };
        let request = Request::of(&view, caching.rules.honour);
        let past = request.conditions.are_for_origin() || request.overrides;
        // From the first byte to the last is what all others ask for as well.
        let range = request.range.is_some_and(|range| !range.trim_ascii().eq_ignore_ascii_case(b"bytes=0-"));
        Self { key, control: request.control, past, range }
    }

    /// What a plain request asks for.
    pub(super) fn plain(key: Key) -> Self {
        Self { key, control: RequestDirectives::default(), past: false, range: false }
    }
}
