//! HTTP/2 (RFC 9113) with clients and targets. The frames are the `h2` crate's; here stands what joins it to the rest.
//!
//! What always holds:
//! - A request takes the same way as one of HTTP/1.1: [`head`] writes it down as text, which the strict parser of
//!   [`h1`](super::h1) reads, and what an exchange sends is taken apart again into frames by [`outgoing`]. So nothing that is
//!   true of the one can be untrue of the other.
//! - All streams of a client's connection run in its one task, so that what a turn of the loop produced goes out in one
//!   send ([`pipe`] is what `h2` takes for a socket).
//! - Back-pressure goes from end to end: a stream's window opens when the far side has taken the bytes, and `h2` is told
//!   to wait while too much waits for the peer already.

mod client;
mod connection;
mod head;
mod inbox;
mod incoming;
mod meter;
mod outgoing;
mod pipe;
mod respond;
mod stream;
mod wire;

use std::io::{self, ErrorKind};

pub(super) use client::start;
pub(super) use connection::{preface, serve};

/// The beginning of every connection (RFC 9113 §3.4).
pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Whether these first bytes are those of an HTTP/2 connection, as far as they go, and could be nothing else.
pub(super) fn begins(bytes: &[u8]) -> bool {
    let length = bytes.len().min(PREFACE.len());
    length >= b"PRI ".len() && bytes[..length] == PREFACE[..length]
}

/// What a failure of a stream or a connection is to those who know nothing of HTTP/2. `ConnectionRefused`: the peer has not
/// looked at the request, and says so (RFC 9113 §8.7).
fn broken(error: &::h2::Error) -> io::Error {
    tracing::debug!(%error, "stream of HTTP/2 broken");
    let unseen = error.is_remote() && error.reason() == Some(::h2::Reason::REFUSED_STREAM);
    if unseen { ErrorKind::ConnectionRefused.into() } else { ErrorKind::ConnectionReset.into() }
}
