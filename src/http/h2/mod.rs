//! HTTP/2 (RFC 9113) with clients and targets.
//!
//! What always holds:
//! - A request takes the same way as one of HTTP/1.1: [`head`] writes it down as text, which the strict parser of
//!   [`h1`](super::h1) reads, and what an exchange sends is taken apart again by [`stream`] and [`fields`]. So nothing that is
//!   true of the one can be untrue of the other.
//! - All streams of a client's connection run in its one task, so that what a turn of the loop produced goes out in one
//!   send; [`session`] knows no socket.
//! - Back-pressure goes from end to end: a stream's window opens when the far side has taken the bytes, and a stream waits
//!   while too much waits for the peer already.

mod client;
mod connection;
mod fields;
mod frame;
mod head;
mod hpack;
mod meter;
mod receive;
mod send;
mod session;
mod stream;
mod streams;
#[cfg(test)]
mod tests;
mod wire;

pub(super) use client::start;
pub(super) use connection::{preface, serve};

/// The beginning of every connection (RFC 9113 §3.4).
pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Whether these first bytes are those of an HTTP/2 connection, as far as they go, and could be nothing else.
pub(super) fn begins(bytes: &[u8]) -> bool {
    let length = bytes.len().min(PREFACE.len());
    length >= b"PRI ".len() && bytes[..length] == PREFACE[..length]
}
