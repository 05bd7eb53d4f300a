//! A TLS session over a stream: plaintext out of received bytes, and sent bytes out of plaintext.
//!
//! Invariants: no borrow of the connection is held over an await; receiving never sends, so that the two directions may
//! run side by side; what was received lies in `pending` or in the connection until it is asked for. An idle session
//! holds no lease.

use super::identity::Identity;
use crate::net::{Lease, Stream};
use crate::observe::access::Tls;
use rustls::{CipherSuite, ProtocolVersion, ServerConnection};
use std::cell::{Cell, RefCell};
use std::io::{self, BufRead, ErrorKind, Write};
use std::time::Duration;

/// A TLS session.
pub struct Session {
    connection: RefCell<ServerConnection>,
    /// Received bytes that have not been opened.
    pending: RefCell<Lease>,
    end: Cell<End>,
    /// Whether a part of a record may have gone out and the rest has not.
    torn: Cell<bool>,
    facts: Facts,
}

/// What a handshake agreed on.
#[derive(Debug)]
pub struct Facts {
    /// `1.2` or `1.3`.
    pub version: &'static str,
    /// The cipher suite, by its name in IANA's registry.
    pub cipher: &'static str,
    /// The name that the client asked for, if any.
    pub name: Option<Box<str>>,
    /// Whether it went on from an earlier session.
    pub resumed: bool,
    /// Who the client's certificate says it is, if it showed one.
    pub identity: Option<Identity>,
}

impl Facts {
    /// As the access log tells them.
    pub fn record(&self) -> Tls<'_> {
        Tls { version: self.version, cipher: self.cipher, name: self.name.as_deref().unwrap_or_default() }
    }
}

/// How far the peer's side is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// More may come.
    Open,
    /// It said that this was all.
    Orderly,
    /// The connection ended without a word.
    Truncated,
}

/// Plaintext that is sealed and sent in one go: with its records it fits the third size of leases.
const PIECE: usize = 64 << 10;
/// What records and a first ticket add to a piece.
const OVERHEAD: usize = 1 << 10;
/// The most that is received in one go without a wait.
const GULP: usize = 72 << 10;
/// How long a peer may take none of the last words.
const LAST_WORDS: Duration = Duration::from_secs(1);

impl Session {
    /// A session whose handshake is done, with what was received behind it.
    pub(super) fn new(connection: ServerConnection, pending: Lease, facts: Facts) -> Self {
        Self {
            connection: RefCell::new(connection),
            pending: RefCell::new(pending),
            end: Cell::new(End::Open),
            torn: Cell::new(false),
            facts,
        }
    }

    /// What the handshake agreed on.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Whether the stream ended without the peer having said so: it may be an attacker who ended it.
    pub(super) fn is_truncated(&self) -> bool {
        self.end.get() == End::Truncated
    }

    /// As [`Stream::recv`].
    pub(super) async fn recv(&self, stream: &Stream) -> io::Result<Lease> {
        loop {
            if self.pull()? {
                let mut out = Lease::with_room(self.pending.borrow().len());
                self.open(&mut out)?;
                return Ok(out);
            }
            self.receive(stream).await?;
        }
    }

    /// As [`Stream::recv_into`].
    pub(super) async fn recv_into(&self, stream: &Stream, lease: &mut Lease) -> io::Result<usize> {
        loop {
            if self.pull()? {
                return self.open(lease);
            }
            self.receive(stream).await?;
        }
    }

    /// As [`Stream::wait`].
    pub(super) async fn wait(&self, stream: &Stream) -> io::Result<()> {
        while !self.pull()? {
            self.receive(stream).await?;
        }
        Ok(())
    }

    /// As [`Stream::recv_now`].
    pub(super) fn recv_now(&self, stream: &Stream, lease: &mut Lease) -> io::Result<Option<usize>> {
        if !self.pull()? {
            let mut received = Lease::with_room(lease.room().min(GULP));
            match stream.recv_now(&mut received)? {
                None => return Ok(None),
                Some(0) => self.end.set(End::Truncated),
                Some(_) => drop(self.pending.replace(received)),
            }
            if !self.pull()? {
                return Ok(None);
            }
        }
        self.open(lease).map(Some)
    }

    /// As [`Stream::has_more`].
    pub(super) fn has_more(&self, stream: &Stream) -> bool {
        stream.has_more() || !self.pending.borrow().is_empty() || self.has_plaintext()
    }

    /// As [`Stream::closed`].
    pub(super) async fn closed(&self, stream: &Stream) -> bool {
        // A session that has failed is as good as closed.
        self.wait(stream).await.is_err() || !self.has_plaintext()
    }

    /// As [`Stream::send`].
    pub(super) async fn send(&self, stream: &Stream, mut lease: Lease, stall: Duration) -> io::Result<()> {
        while !lease.is_empty() {
            let piece = lease.len().min(PIECE);
            let mut sealed = Lease::with_room(piece + OVERHEAD);
            self.seal(&lease[..piece], &mut sealed)?;
            lease.advance(piece);
            self.pass(stream, sealed, stall).await?;
        }
        Ok(())
    }

    /// Tells the peer that this was all, or what it did wrong. Not after a send that failed or was given up.
    pub(super) async fn end(&self, stream: &Stream) {
        if self.torn.get() {
            return;
        }
        let mut last = Lease::new();
        {
            let mut connection = self.connection.borrow_mut();
            connection.send_close_notify();
            flush(&mut connection, &mut last);
        }
        // Whoever has gone need not be told.
        let _ = self.pass(stream, last, LAST_WORDS).await;
    }

    /// Keeps the peer from taking what it got for complete.
    pub(super) fn cut(&self) {
        self.torn.set(true);
    }

    /// Sends sealed bytes; if that is given up, nothing can be sent any more.
    async fn pass(&self, stream: &Stream, sealed: Lease, stall: Duration) -> io::Result<()> {
        if self.torn.replace(true) {
            return Err(ErrorKind::BrokenPipe.into());
        }
        stream.send(sealed, stall).await?;
        self.torn.set(false);
        Ok(())
    }

    fn seal(&self, plain: &[u8], sealed: &mut Lease) -> io::Result<()> {
        let mut connection = self.connection.borrow_mut();
        let mut rest = plain;
        while !rest.is_empty() {
            let count = connection.writer().write(rest)?;
            rest = &rest[count..];
            if flush(&mut connection, sealed) == 0 {
                return Err(ErrorKind::WriteZero.into());
            }
        }
        Ok(())
    }

    /// Takes in what the stream has, once there is something.
    async fn receive(&self, stream: &Stream) -> io::Result<()> {
        debug_assert!(self.pending.borrow().is_empty());
        let received = stream.recv().await?;
        if received.is_empty() {
            self.end.set(End::Truncated);
        } else {
            self.pending.replace(received);
        }
        Ok(())
    }

    /// Opens what is pending up to the first plaintext. Returns whether there is any, or the end.
    fn pull(&self) -> io::Result<bool> {
        let mut connection = self.connection.borrow_mut();
        let mut pending = self.pending.borrow_mut();
        loop {
            if has_plaintext(&mut connection) || self.end.get() != End::Open {
                return Ok(true);
            }
            if pending.is_empty() {
                // It goes back to the pool.
                *pending = Lease::empty();
                return Ok(false);
            }
            self.feed(&mut connection, &mut pending)?;
        }
    }

    /// Opens what is pending into `out`, until that is full. Returns how many bytes came.
    fn open(&self, out: &mut Lease) -> io::Result<usize> {
        let mut connection = self.connection.borrow_mut();
        let mut pending = self.pending.borrow_mut();
        let before = out.len();
        loop {
            let full = drain(&mut connection, out);
            if full || pending.is_empty() || self.end.get() != End::Open {
                break;
            }
            if let Err(error) = self.feed(&mut connection, &mut pending) {
                // What was good before it goes first; the failure shows with the next receive.
                if out.len() == before {
                    return Err(error);
                }
                break;
            }
        }
        if pending.is_empty() {
            *pending = Lease::empty();
        }
        Ok(out.len() - before)
    }

    fn feed(&self, connection: &mut ServerConnection, pending: &mut Lease) -> io::Result<()> {
        let count = connection.read_tls(&mut &pending[..])?;
        pending.advance(count);
        let state = connection.process_new_packets().map_err(|error| io::Error::new(ErrorKind::InvalidData, error))?;
        if state.peer_has_closed() {
            self.end.set(End::Orderly);
            *pending = Lease::empty();
        }
        Ok(())
    }

    fn has_plaintext(&self) -> bool {
        has_plaintext(&mut self.connection.borrow_mut())
    }
}

fn has_plaintext(connection: &mut ServerConnection) -> bool {
    connection.reader().fill_buf().is_ok_and(|chunk| !chunk.is_empty())
}

/// Moves plaintext to `out`. Returns whether there may be more than it had room for.
fn drain(connection: &mut ServerConnection, out: &mut Lease) -> bool {
    loop {
        let room = out.room();
        if room == 0 {
            return true;
        }
        let mut reader = connection.reader();
        let Ok(chunk) = reader.fill_buf() else { return false };
        let count = chunk.len().min(room);
        if count == 0 {
            return false;
        }
        out.buffer().extend_from_slice(&chunk[..count]);
        reader.consume(count);
    }
}

/// Moves all records that are to be sent behind `out`. Returns how many bytes they have.
pub(super) fn flush(connection: &mut ServerConnection, out: &mut Lease) -> usize {
    let before = out.len();
    while connection.wants_write() {
        // Writing to memory does not fail.
        if !connection.write_tls(out.buffer()).is_ok_and(|count| count > 0) {
            break;
        }
    }
    out.len() - before
}

/// The number of a version.
pub(super) fn version(version: Option<ProtocolVersion>) -> &'static str {
    match version {
        Some(ProtocolVersion::TLSv1_3) => "1.3",
        _ => "1.2",
    }
}

/// The name of a cipher suite; only those that the provider has can be agreed on.
pub(super) fn cipher(suite: CipherSuite) -> &'static str {
    match suite {
        CipherSuite::TLS13_AES_128_GCM_SHA256 => "TLS_AES_128_GCM_SHA256",
        CipherSuite::TLS13_AES_256_GCM_SHA384 => "TLS_AES_256_GCM_SHA384",
        CipherSuite::TLS13_CHACHA20_POLY1305_SHA256 => "TLS_CHACHA20_POLY1305_SHA256",
        other => other.as_str().unwrap_or_default(),
    }
}
