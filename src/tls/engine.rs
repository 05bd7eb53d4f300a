//! The TLS state machine without I/O: received bytes in, plaintext and bytes to send out, in buffers of the caller's.
//!
//! It stands on rustls' connection without buffers, which decrypts where the bytes lie and keeps nothing between two calls
//! but its keys: that is what an idle connection costs. The next rustls has connections of this shape alone.
//!
//! Invariants: after [`Engine::take_in`] the incoming buffer holds no whole record, unless the peer has ended its side; it is
//! the same buffer from call to call, as the connection knows places in it; after a failure the connection is let alone.

use crate::net::Lease;
use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{ConnectionState, EncodeError, EncryptError, InsufficientSizeError, WriteTraffic};
use rustls::{CommonState, Error, HandshakeKind, ServerConfig};
use std::ops::Deref;
use std::sync::Arc;

/// The state machine of one connection.
pub(super) struct Engine {
    connection: UnbufferedServerConnection,
    ended: bool,
    failed: bool,
}

/// What a call is to write, once it may.
enum Write<'a> {
    Nothing,
    Plain(&'a [u8]),
    Farewell,
}

/// What a record adds to its plaintext, at most.
const RECORD: usize = 40;
/// The most plaintext of a record.
const FRAGMENT: usize = 16 << 10;
/// Room for what a handshake sends in one message.
const MESSAGE: usize = 2 << 10;

impl Engine {
    /// At the beginning of a handshake.
    pub(super) fn new(config: Arc<ServerConfig>) -> Result<Self, Error> {
        UnbufferedServerConnection::new(config).map(|connection| Self { connection, ended: false, failed: false })
    }

    /// Whether the handshake is done.
    pub(super) fn is_ready(&self) -> bool {
        !self.connection.is_handshaking()
    }

    /// Whether the session goes on from an earlier one.
    pub(super) fn is_resumed(&self) -> bool {
        self.connection.handshake_kind() == Some(HandshakeKind::Resumed)
    }

    /// Whether the peer has said that this was all.
    pub(super) fn has_ended(&self) -> bool {
        self.ended
    }

    /// Takes in all whole records of `incoming`. Plaintext goes behind `plain`, what is to be sent behind `outgoing`; after
    /// a failure that is the alert.
    pub(super) fn take_in(
        &mut self,
        incoming: &mut Lease,
        plain: &mut Lease,
        outgoing: &mut Vec<u8>,
    ) -> Result<(), Error> {
        self.drive(incoming, plain, outgoing, Write::Nothing)
    }

    /// Seals `text` behind `outgoing`. `incoming` is what was left by [`Engine::take_in`].
    pub(super) fn seal(&mut self, text: &[u8], incoming: &mut Lease, outgoing: &mut Vec<u8>) -> Result<(), Error> {
        let mut plain = Lease::empty();
        let sealed = self.drive(incoming, &mut plain, outgoing, Write::Plain(text));
        debug_assert!(plain.is_empty(), "no whole record was left");
        sealed
    }

    /// Says behind `outgoing` that this was all.
    pub(super) fn say_farewell(&mut self, incoming: &mut Lease, outgoing: &mut Vec<u8>) -> Result<(), Error> {
        self.drive(incoming, &mut Lease::empty(), outgoing, Write::Farewell)
    }

    fn drive(
        &mut self,
        incoming: &mut Lease,
        plain: &mut Lease,
        outgoing: &mut Vec<u8>,
        write: Write<'_>,
    ) -> Result<(), Error> {
        if self.failed {
            return Err(Error::HandshakeNotComplete);
        }
        loop {
            let status = self.connection.process_tls_records(incoming);
            let discard = status.discard;
            let mut done = false;
            let failed = match status.state {
                Ok(ConnectionState::ReadTraffic(mut traffic)) => loop {
                    match traffic.next_record() {
                        Some(Ok(record)) => {
                            plain.reserve(record.payload.len());
                            plain.buffer().extend_from_slice(record.payload);
                        }
                        Some(Err(error)) => break Some(error),
                        None => break None,
                    }
                },
                Ok(ConnectionState::EncodeTlsData(mut data)) => fill(outgoing, MESSAGE, |room| {
                    data.encode(room).map_err(|error| match error {
                        EncodeError::InsufficientSize(InsufficientSizeError { required_size }) => Ok(required_size),
                        other => Err(Error::General(other.to_string())),
                    })
                })
                .err(),
                Ok(ConnectionState::TransmitTlsData(data)) => {
                    // It is in the caller's hands, who sends it.
                    data.done();
                    None
                }
                Ok(ConnectionState::PeerClosed) => {
                    self.ended = true;
                    None
                }
                Ok(ConnectionState::WriteTraffic(mut traffic)) => {
                    done = true;
                    write_out(&mut traffic, &write, outgoing).err()
                }
                // Nothing more can be done, or there is no early data as none is allowed.
                Ok(_) => {
                    done = true;
                    None
                }
                Err(error) => {
                    incoming.advance(discard);
                    self.failed = true;
                    self.encode_alert(outgoing);
                    return Err(error);
                }
            };
            incoming.advance(discard);
            if let Some(error) = failed {
                return Err(error);
            }
            if done {
                return Ok(());
            }
        }
    }

    /// Moves the alert that a failure has left behind `outgoing`.
    fn encode_alert(&mut self, outgoing: &mut Vec<u8>) {
        // While there is something to send, no received byte is looked at.
        while self.connection.wants_write()
            && let Ok(ConnectionState::EncodeTlsData(mut data)) = self.connection.process_tls_records(&mut []).state
        {
            let encoded =
                fill(outgoing, MESSAGE, |room| data.encode(room).map_err(|_| Err(Error::General(String::new()))));
            if encoded.is_err() {
                return;
            }
        }
    }
}

impl Deref for Engine {
    type Target = CommonState;

    fn deref(&self) -> &CommonState {
        &self.connection
    }
}

fn write_out<Data>(
    traffic: &mut WriteTraffic<'_, Data>,
    write: &Write<'_>,
    outgoing: &mut Vec<u8>,
) -> Result<(), Error> {
    let needs = |error| match error {
        EncryptError::InsufficientSize(InsufficientSizeError { required_size }) => Ok(required_size),
        EncryptError::EncryptExhausted => Err(Error::EncryptError),
    };
    match write {
        Write::Nothing => Ok(()),
        Write::Plain(text) => {
            let size = text.len() + (text.len() / FRAGMENT + 1) * RECORD;
            fill(outgoing, size, |room| traffic.encrypt(text, room).map_err(needs))
        }
        Write::Farewell => fill(outgoing, RECORD, |room| traffic.queue_close_notify(room).map_err(needs)),
    }
}

/// Appends what `write` writes into a room of `size` bytes, or of as many as it says that it needs.
fn fill(
    outgoing: &mut Vec<u8>,
    size: usize,
    mut write: impl FnMut(&mut [u8]) -> Result<usize, Result<usize, Error>>,
) -> Result<(), Error> {
    let before = outgoing.len();
    let mut size = size;
    for _ in 0..2 {
        outgoing.resize(before + size, 0);
        match write(&mut outgoing[before..]) {
            Ok(count) => {
                outgoing.truncate(before + count);
                return Ok(());
            }
            Err(Ok(required)) => size = required,
            Err(Err(error)) => {
                outgoing.truncate(before);
                return Err(error);
            }
        }
    }
    outgoing.truncate(before);
    Err(Error::EncryptError)
}
