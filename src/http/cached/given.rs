//! An answer that was made here, given as one that is stored: heads are edited and bodies edited and coded as those of targets are.

use super::coded::Recoder;
use super::deliver::{Given, deliver};
use crate::cache::store::body::Body;
use crate::cache::store::entry::Entry;
use crate::cache::{Freshness, Vary};
use crate::http::exchange::Exchange;
use crate::net::coarse_now;
use crate::plan::{Bodies, Compress};
use std::sync::Arc;
use std::time::Duration;

/// Gives an answer whose head is `head`, a status line and whole lines. What a client asks for of what it has, or of a part, does not
/// count: another time the answer may be another one.
pub(in crate::http) async fn give(
    exchange: &mut Exchange<'_>,
    head: Vec<u8>,
    content: Vec<u8>,
    compress: Option<&Compress>,
    bodies: Option<&Bodies>,
) {
    const PARTS: [&[u8]; 6] =
        [b"if-match", b"if-modified-since", b"if-none-match", b"if-range", b"if-unmodified-since", b"range"];
    let Exchange { heads, text, .. } = &mut *exchange;
    heads.request.fields.retain(|field| !PARTS.iter().any(|part| field.name.of(text).eq_ignore_ascii_case(part)));
    let edited = exchange.edits_of_answers().is_some();
    let recoder = compress.map(|rule| Recoder { rule, store: None });
    let given = Given { age: None, status: b"", edited, bodies, recoder, silence: SILENCE };
    // All of it is here, so that nothing of it can be lost on the way.
    let entry = entry(head, content);
    deliver(exchange, &entry, &given).await;
}

/// For how long nothing may come of what is coded on its way.
const SILENCE: Duration = Duration::from_secs(60);

/// What is stored nowhere. It has a copy of the content, which goes once that is made.
fn entry(head: Vec<u8>, content: Vec<u8>) -> Arc<Entry> {
    Arc::new(Entry {
        status: 200,
        head: head.into(),
        freshness: Freshness::default(),
        vary: Vary::default(),
        variant: (0, None),
        tags: Box::default(),
        key: Arc::default(),
        host: 0,
        stamp: 0.into(),
        received: (coarse_now(), 0),
        length: Some(content.len() as u64),
        body: Arc::new(Body::of(&content)),
        parts: None,
        coded: Default::default(),
    })
}
