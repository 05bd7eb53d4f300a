//! One connection of the backend: a state machine over a non-blocking socket.

use super::answer::{Answers, Upload};
use super::h2c::Http2;
use super::journal::Journal;
use super::request::{self, Request, Wanted};
use crate::messages;
use anyhow::{Result, anyhow, bail, ensure};
use mio::net::TcpStream;
use std::io::{ErrorKind, Read, Write};

/// Output that may wait for a slow peer before no more requests are taken, in bytes.
const OUT: usize = 256 << 10;
/// Longest head, in bytes.
const HEAD: usize = 64 << 10;

/// What all connections of a backend share.
pub struct Shared {
    /// Renders the answers.
    pub answers: Answers,
    /// Where requests that must not arrive twice are noted.
    pub journal: Option<Journal>,
    /// For reads.
    pub buffer: Vec<u8>,
    /// Whether all connections are to be reset.
    pub reset: bool,
}

/// A connection.
pub struct Connection {
    socket: TcpStream,
    speech: Speech,
    messages: bool,
    input: Vec<u8>,
    current: Option<(Request, Upload)>,
    out: Vec<u8>,
    written: usize,
    bulk: usize,
    closing: bool,
}

/// What a listener's connections speak.
pub enum Speech {
    /// HTTP/1.1.
    Http,
    /// HTTP/2.
    Http2(Http2),
    /// Back comes what was sent.
    Echo,
}

/// What a read brought.
enum Received {
    Nothing,
    Short,
    Full,
    End,
}

impl Connection {
    /// A new one.
    pub fn new(socket: TcpStream, speech: Speech) -> Self {
        let (input, out) = (Vec::new(), Vec::new());
        Self { socket, speech, messages: false, input, current: None, out, written: 0, bulk: 0, closing: false }
    }

    /// Ends it by a reset.
    pub fn reset(self) {
        let _ = socket2::SockRef::from(&self.socket).set_linger(Some(std::time::Duration::ZERO));
    }

    /// Does what can be done without waiting; `false` when the connection is over. `peer_ended` says that the peer sends
    /// no more, so that the end must be looked for after the last byte.
    pub fn advance(&mut self, peer_ended: bool, shared: &mut Shared) -> bool {
        self.turn(peer_ended, shared).unwrap_or(false)
    }

    fn turn(&mut self, peer_ended: bool, shared: &mut Shared) -> Result<bool> {
        let mut drained = false;
        loop {
            self.serve(&[], shared)?;
            let produced = !self.out.is_empty() || self.bulk > 0;
            if !self.flush(shared)? {
                return Ok(true);
            }
            match produced {
                _ if self.closing => return Ok(false),
                true => continue,
                false if drained => return Ok(true),
                false => {}
            }
            match self.receive(shared)? {
                Received::End => return Ok(false),
                Received::Nothing => drained = true,
                // The edge-triggered event comes again for what arrives after a short read.
                Received::Short => drained = !peer_ended,
                Received::Full => {}
            }
        }
    }

    fn receive(&mut self, shared: &mut Shared) -> Result<Received> {
        let mut buffer = std::mem::take(&mut shared.buffer);
        let result = (&self.socket).read(&mut buffer);
        let outcome = match result {
            Ok(0) => Ok(Received::End),
            Ok(count) => {
                let served = self.serve(&buffer[..count], shared);
                served.map(|()| if count == buffer.len() { Received::Full } else { Received::Short })
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(Received::Nothing),
            Err(_) => Err(anyhow!("connection lost")),
        };
        shared.buffer = buffer;
        outcome
    }

    /// Takes requests from what was kept and `fresh`; keeps the rest.
    fn serve(&mut self, fresh: &[u8], shared: &mut Shared) -> Result<()> {
        match &mut self.speech {
            Speech::Http => {}
            Speech::Http2(http2) => {
                shared.answers.given += http2.take(fresh, &mut self.out)?;
                return Ok(());
            }
            Speech::Echo => {
                self.out.extend_from_slice(fresh);
                return Ok(());
            }
        }
        if self.input.is_empty() {
            let taken = self.take(fresh, shared)?;
            self.input.extend_from_slice(&fresh[taken..]);
        } else {
            let mut input = std::mem::take(&mut self.input);
            input.extend_from_slice(fresh);
            let taken = self.take(&input, shared)?;
            input.drain(..taken);
            self.input = input;
        }
        Ok(())
    }

    fn take(&mut self, input: &[u8], shared: &mut Shared) -> Result<usize> {
        let mut taken = 0;
        while self.messages
            && let Some(message) = messages::first(&input[taken..])?
        {
            let frame = message.start + taken..message.end + taken;
            taken = frame.end;
            messages::push(&mut self.out, &input[frame], false);
            shared.answers.given += 1;
        }
        while !self.messages && !self.closing && self.bulk == 0 && self.out.len() - self.written < OUT {
            if self.current.is_none() && !self.begin(&input[taken..], shared)? {
                break;
            }
            let Some((request, upload)) = &mut self.current else { break };
            taken += std::mem::take(&mut request.head);
            taken += request.body.feed(&input[taken..], |piece| upload.feed(piece))?;
            if !request.body.is_complete() {
                break;
            }
            let Some((request, upload)) = self.current.take() else { break };
            let Request { wanted, bodiless, close, .. } = request;
            self.messages = wanted == Wanted::WebSocket;
            shared.reset |= wanted == Wanted::Reset;
            self.bulk = shared.answers.render(wanted, bodiless, close, &upload, &mut self.out);
            self.closing = close;
        }
        Ok(taken)
    }

    fn begin(&mut self, input: &[u8], shared: &mut Shared) -> Result<bool> {
        if input.is_empty() {
            return Ok(false);
        }
        match request::parse(input) {
            Ok(Some(request)) => {
                if let (Wanted::Strict { id, .. }, false, Some(journal)) =
                    (request.wanted, request.idempotent, &mut shared.journal)
                {
                    journal.note(id)?;
                }
                if request.expects_continue {
                    self.out.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
                }
                let upload = Upload::new(request.wanted);
                self.current = Some((request, upload));
                Ok(true)
            }
            Ok(None) => {
                ensure!(input.len() <= HEAD, "head too long");
                Ok(false)
            }
            Err(error) => {
                let text = error.to_string();
                self.out.extend_from_slice(b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n");
                write!(self.out, "content-length: {}\r\n\r\n{text}", text.len())?;
                self.closing = true;
                Ok(false)
            }
        }
    }

    /// Writes what waits; `false` if the peer takes no more now.
    fn flush(&mut self, shared: &Shared) -> Result<bool> {
        while self.written < self.out.len() {
            match (&self.socket).write(&self.out[self.written..]) {
                Ok(count) => self.written += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(_) => bail!("connection lost"),
            }
        }
        self.written = 0;
        self.out.clear();
        self.out.shrink_to(OUT);
        while self.bulk > 0 {
            match shared.answers.write_bulk(self.bulk, &self.socket) {
                Ok(count) => self.bulk -= count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(_) => bail!("connection lost"),
            }
        }
        Ok(true)
    }
}
