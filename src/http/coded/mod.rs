//! Content codings on their way through: what is compressed or decompressed, the heads that go with it, and the bodies.
//!
//! What always holds: whether and how an answer is recoded depends on its route's settings, the two heads and what is told beside
//! them ([`Setting`]), nothing else; [`rewrite`] then makes the head say so. An answer to HEAD says what one to GET would. What a
//! target has sent reaches the client as soon as nothing more is at hand; what ends early is never made to look complete.

pub(super) mod edited;
pub(super) mod head;
mod pass;
mod request;
mod tags;

pub(super) use pass::of;
pub(super) use request::onward;

use super::head::RequestHead;
use crate::compress::{Choice, negotiate};
use crate::plan::Compress;

/// What a client that sends this is given, of an answer that is compressed.
pub(super) fn offer(rule: &Compress, request: &RequestHead, asked: &[u8]) -> Choice {
    negotiate(request.values(asked, b"accept-encoding"), &rule.codings)
}
