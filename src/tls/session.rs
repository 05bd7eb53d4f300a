//! A TLS session over a stream: plaintext out of received bytes, and sent bytes out of plaintext.
//!
//! Invariants: no borrow is held over an await; receiving never sends, so that the two directions may run side by side:
//! what the session itself has to say waits in `outgoing` for the next send. What was received lies in `incoming` or
//! `plain` until it is asked for. An idle session holds no lease.

use super::engine::Engine;
use super::identity::Identity;
use super::outbound::Purpose;
use super::shown::Shown;
use crate::net::{self, Lease, Stream};
use crate::observe::access::Tls;
use crate::observe::reason::Handshake;
use rustls::{CipherSuite, Error, ProtocolVersion};
use std::cell::{Cell, OnceCell, RefCell};
use std::io::{self, ErrorKind};
use std::time::Duration;

/// A TLS session.
pub struct Session {
    engine: RefCell<Engine>,
    /// Received bytes that are no whole record yet.
    incoming: RefCell<Lease>,
    /// What they were for, until it is asked for.
    plain: RefCell<Lease>,
    /// What the session has to say by itself: tickets, answers to new keys, an alert.
    outgoing: RefCell<Vec<u8>>,
    end: Cell<End>,
    /// What it failed with.
    failure: OnceCell<Box<Error>>,
    /// Whether a part of a record may have gone out and the rest has not.
    torn: Cell<bool>,
    /// How much is received behind a part of a record.
    gulp: Cell<usize>,
    facts: Facts,
}

/// What a handshake agreed on.
#[derive(Debug)]
pub struct Facts {
    /// `1.2` or `1.3`.
    pub version: &'static str,
    /// The cipher suite, by its name in IANA's registry.
    pub cipher: &'static str,
    /// The name that the client asked for, if any; with a target, the one that it has proven.
    pub name: Option<Box<str>>,
    /// Whether it went on from an earlier session.
    pub resumed: bool,
    /// Whether HTTP/2 is spoken (ALPN, RFC 7301).
    pub h2: bool,
    /// Who the client's certificate says it is, if it showed one.
    pub identity: Option<Box<Identity>>,
    /// That certificate.
    pub shown: Option<Box<Shown>>,
    /// With a client: the position of the policy that the handshake went by, among those of the listener.
    pub policy: u32,
    /// With a target: the state of the files that it was verified by.
    pub state: u64,
}

impl Facts {
    /// As metrics count it.
    pub fn kind(&self) -> Handshake {
        match (self.version, self.resumed) {
            ("1.3", false) => Handshake::Full13,
            ("1.3", true) => Handshake::Resumed13,
            (_, false) => Handshake::Full12,
            (_, true) => Handshake::Resumed12,
        }
    }

    /// Whether a connection to a target may be used for `purpose`.
    pub fn are_for(&self, purpose: &Purpose) -> bool {
        self.state == purpose.state && self.name.as_ref() == Some(&purpose.name)
    }

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
    /// It sent what cannot be opened.
    Failed,
}

/// Plaintext that is sealed and sent in one go: with its records it fits the third size of leases.
const PIECE: usize = 64 << 10;
/// What records and a first ticket add to a piece.
const OVERHEAD: usize = 1 << 10;
/// The least and the most that is received in one go behind a part of a record: with it, it fits a size of leases.
const GULPS: [usize; 2] = [4 << 10, 54 << 10];
/// The most that is held of something unfinished: a record is smaller, and no message needs to be larger.
pub(super) const LONGEST: usize = 64 << 10;
/// How long a peer may take none of the last words.
const LAST_WORDS: Duration = Duration::from_secs(1);

impl Session {
    /// A session whose handshake is done, with what was received behind it and what there is to say.
    pub(super) fn new(engine: Engine, incoming: Lease, plain: Lease, outgoing: Vec<u8>, facts: Facts) -> Self {
        let end = if engine.has_ended() { End::Orderly } else { End::Open };
        Self {
            engine: RefCell::new(engine),
            incoming: RefCell::new(whole(incoming)),
            plain: RefCell::new(whole(plain)),
            outgoing: RefCell::new(outgoing),
            end: Cell::new(end),
            failure: OnceCell::new(),
            torn: Cell::new(false),
            gulp: Cell::new(GULPS[0]),
            facts,
        }
    }

    /// What the handshake agreed on.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// The protocol that the handshake agreed on (ALPN, RFC 7301).
    pub fn agreed(&self) -> Option<Vec<u8>> {
        self.engine.borrow().alpn_protocol().map(<[u8]>::to_vec)
    }

    /// What the peer did wrong, or says that we did.
    pub fn failure(&self) -> Option<&Error> {
        self.failure.get().map(|error| &**error)
    }

    /// Whether nothing has come on an armed stream but what the session says by itself, such as tickets, which is taken
    /// in. `now`: as the kernel has it, not as the driver has heard.
    pub fn is_quiet(&self, stream: &Stream, now: bool) -> bool {
        let quiet = |now: bool| if now { stream.is_quiet_now() } else { stream.is_quiet() };
        if !quiet(now) && self.receive_now(stream).is_err() {
            return false;
        }
        let held = !self.incoming.borrow().is_empty() || !self.plain.borrow().is_empty();
        self.end.get() == End::Open && !held && quiet(now)
    }

    /// Whether the stream ended without the peer having said so: it may be an attacker who ended it.
    pub(super) fn is_truncated(&self) -> bool {
        self.end.get() == End::Truncated
    }

    /// As [`Stream::recv`].
    pub async fn recv(&self, stream: &Stream) -> io::Result<Lease> {
        self.wait(stream).await?;
        self.check()?;
        Ok(self.plain.take())
    }

    /// As [`Stream::recv_into`]; the lease may grow, by a record or a few.
    pub(super) async fn recv_into(&self, stream: &Stream, lease: &mut Lease) -> io::Result<usize> {
        self.wait(stream).await?;
        self.give(lease)
    }

    /// As [`Stream::wait`].
    pub(super) async fn wait(&self, stream: &Stream) -> io::Result<()> {
        while !self.has_come() {
            if self.incoming.borrow().is_empty() {
                // As much as the stream is used to.
                let received = stream.recv().await?;
                if received.is_empty() {
                    self.end.set(End::Truncated);
                } else {
                    self.incoming.replace(received);
                    self.take_in();
                }
            } else {
                stream.wait().await?;
                self.receive_now(stream)?;
            }
        }
        Ok(())
    }

    /// As [`Stream::recv_now`]; the lease may grow, by a record or a few.
    pub(super) fn recv_now(&self, stream: &Stream, lease: &mut Lease) -> io::Result<Option<usize>> {
        if !self.has_come() {
            self.gulp.set(lease.room().clamp(self.gulp.get(), GULPS[1]));
            self.receive_now(stream)?;
        }
        self.has_come().then(|| self.give(lease)).transpose()
    }

    /// As [`Stream::has_more`].
    pub(super) fn has_more(&self, stream: &Stream) -> bool {
        stream.has_more() || !self.plain.borrow().is_empty()
    }

    /// As [`Stream::closed`].
    pub(super) async fn closed(&self, stream: &Stream) -> bool {
        // A session that has failed is as good as closed.
        self.wait(stream).await.is_err() || self.plain.borrow().is_empty()
    }

    /// As [`Stream::send`].
    pub(super) async fn send(&self, stream: &Stream, lease: Lease, stall: Duration) -> io::Result<()> {
        self.send_both(stream, Lease::empty(), lease, stall).await
    }

    /// As [`Stream::send_both`].
    pub(super) async fn send_both(
        &self,
        stream: &Stream,
        mut head: Lease,
        mut bulk: Lease,
        stall: Duration,
    ) -> io::Result<()> {
        while !(head.is_empty() && bulk.is_empty()) {
            let of_head = head.len().min(PIECE);
            let of_bulk = bulk.len().min(PIECE - of_head);
            let mut sealed = Lease::with_room(of_head + of_bulk + OVERHEAD);
            self.say(&mut sealed);
            for (from, count) in [(&mut head, of_head), (&mut bulk, of_bulk)] {
                if count > 0 {
                    self.seal(&from[..count], &mut sealed)?;
                    from.advance(count);
                }
            }
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
        self.say(&mut last);
        // After a failure there is but the alert to send.
        let _ = self.engine.borrow_mut().say_farewell(&mut self.incoming.borrow_mut(), last.buffer());
        // Whoever has gone need not be told.
        let _ = self.pass(stream, last, LAST_WORDS).await;
    }

    /// Ends it in order, and then its stream, which nobody waits for.
    pub fn part(self: Box<Self>, stream: Stream) {
        net::spawn("last words of TLS", async move { self.end(&stream).await });
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

    /// Whether there is plaintext, or the end.
    fn has_come(&self) -> bool {
        !self.plain.borrow().is_empty() || self.end.get() != End::Open
    }

    /// Gives away the plaintext there is.
    fn give(&self, lease: &mut Lease) -> io::Result<usize> {
        self.check()?;
        let plain = self.plain.take();
        lease.reserve(plain.len());
        lease.buffer().extend_from_slice(&plain);
        Ok(plain.len())
    }

    /// Fails if there is nothing but a failure: what was good before it goes first.
    fn check(&self) -> io::Result<()> {
        if self.end.get() == End::Failed && self.plain.borrow().is_empty() {
            return Err(ErrorKind::InvalidData.into());
        }
        Ok(())
    }

    fn seal(&self, plain: &[u8], sealed: &mut Lease) -> io::Result<()> {
        let mut engine = self.engine.borrow_mut();
        engine.seal(plain, &mut self.incoming.borrow_mut(), sealed.buffer()).map_err(io::Error::other)
    }

    /// What waited to be said goes first: its records were sealed first.
    fn say(&self, sealed: &mut Lease) {
        let outgoing = self.outgoing.take();
        if !outgoing.is_empty() {
            sealed.buffer().extend_from_slice(&outgoing);
        }
    }

    /// Receives what is there behind what is left of the last time.
    fn receive_now(&self, stream: &Stream) -> io::Result<()> {
        if self.incoming.borrow().len() > LONGEST {
            self.end.set(End::Failed);
            return Ok(());
        }
        let gulp = self.gulp.get();
        let received = {
            let mut incoming = self.incoming.borrow_mut();
            incoming.reserve(gulp);
            stream.recv_now(&mut incoming)
        };
        match received {
            Ok(Some(0)) => {
                self.end.set(End::Truncated);
                Ok(())
            }
            Ok(Some(count)) => {
                let next = if stream.has_more() { gulp * 2 } else { gulp.min(count * 8) };
                self.gulp.set(next.clamp(GULPS[0], GULPS[1]));
                self.take_in();
                Ok(())
            }
            Ok(None) => {
                self.let_go();
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Opens what has been received.
    fn take_in(&self) {
        let mut engine = self.engine.borrow_mut();
        let mut incoming = self.incoming.borrow_mut();
        let mut plain = self.plain.borrow_mut();
        let room = incoming.len();
        if plain.room() < room {
            plain.reserve(room);
        }
        if let Err(error) = engine.take_in(&mut incoming, &mut plain, &mut self.outgoing.borrow_mut()) {
            tracing::debug!(%error, "a TLS session failed");
            // The first one is the cause of the others.
            let _ = self.failure.set(Box::new(error));
            self.end.set(End::Failed);
        } else if engine.has_ended() {
            self.end.set(End::Orderly);
        }
        if plain.is_empty() {
            *plain = Lease::empty();
        }
        drop((engine, incoming, plain));
        self.let_go();
    }

    /// Gives an empty buffer back to the pool.
    fn let_go(&self) {
        let mut incoming = self.incoming.borrow_mut();
        // The engine still knows what it is a part of if the stream was truncated.
        if incoming.is_empty() || matches!(self.end.get(), End::Orderly | End::Failed) {
            *incoming = Lease::empty();
        }
    }
}

/// A lease that holds bytes, or no buffer.
fn whole(lease: Lease) -> Lease {
    if lease.is_empty() { Lease::empty() } else { lease }
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
