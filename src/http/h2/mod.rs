//! HTTP/2 (RFC 9113) with clients. The frames are the `h2` crate's; here stands what joins it to the rest.
//!
//! What always holds:
//! - A request takes the same way as one of HTTP/1.1: [`head`] writes it down as text, which the strict parser of
//!   [`h1`](super::h1) reads, and what an exchange sends is taken apart again into frames by [`stream`]. So nothing that is
//!   true of the one can be untrue of the other.
//! - All streams of a connection run in the connection's one task, so that what a turn of the loop produced goes out in one
//!   send ([`pipe`] is what `h2` takes for a socket).
//! - Back-pressure goes from end to end: a stream's window opens when the far side has taken the bytes, and `h2` is told
//!   to wait while more than [`pipe::ROOM`] bytes wait for the client.

mod connection;
mod head;
mod pipe;
mod stream;

pub(super) use connection::{preface, serve};

/// The beginning of every connection (RFC 9113 §3.4).
pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Whether these first bytes are those of an HTTP/2 connection, as far as they go, and could be nothing else.
pub(super) fn begins(bytes: &[u8]) -> bool {
    let length = bytes.len().min(PREFACE.len());
    length >= b"PRI ".len() && bytes[..length] == PREFACE[..length]
}
