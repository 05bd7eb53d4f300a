//! The TLS state machine without I/O: received bytes in, plaintext and bytes to send out, in buffers of the caller's.
//!
//! It stands on rustls' connection without buffers, which decrypts where the bytes lie and keeps nothing between two calls
//! but its keys: that is what an idle connection costs. The next rustls has connections of this shape alone.
//!
//! Invariants: after [`Engine::take_in`] the incoming buffer holds no whole record, unless the peer has ended its side; it is
//! the same buffer from call to call, as the connection knows places in it; after a failure the connection is let alone.

use crate::net::Lease;
use rustls::client::UnbufferedClientConnection;
use rustls::pki_types::ServerName;
use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{
    ConnectionState, EncodeError, EncryptError, InsufficientSizeError, UnbufferedStatus, WriteTraffic,
};
use rustls::{ClientConfig, CommonState, Error, HandshakeKind, ServerConfig};
use std::ops::Deref;
use std::sync::Arc;

/// The state machine of one connection.
pub(super) struct Engine {
    side: Side,
    ended: bool,
    failed: bool,
}

/// Which side of the connection is ours.
enum Side {
    Server(UnbufferedServerConnection),
    Client(UnbufferedClientConnection),
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
    /// The side of a server, at the beginning of a handshake.
    pub(super) fn server(config: Arc<ServerConfig>) -> Result<Self, Error> {
        UnbufferedServerConnection::new(config).map(|connection| Self::new(Side::Server(connection)))
    }

    /// The side of a client that wants to speak one of the protocols `alpn` with `name`, at the beginning of a handshake.
    pub(super) fn client(
        config: Arc<ClientConfig>,
        name: ServerName<'static>,
        alpn: Vec<Vec<u8>>,
    ) -> Result<Self, Error> {
        let connection = UnbufferedClientConnection::new_with_alpn(config, name, alpn)?;
        Ok(Self::new(Side::Client(connection)))
    }

    fn new(side: Side) -> Self {
        Self { side, ended: false, failed: false }
    }

    /// Whether the handshake is done.
    pub(super) fn is_ready(&self) -> bool {
        !self.is_handshaking()
    }

    /// Whether the session goes on from an earlier one.
    pub(super) fn is_resumed(&self) -> bool {
        self.handshake_kind() == Some(HandshakeKind::Resumed)
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
            let (discard, step) = match &mut self.side {
                Side::Server(connection) => step(connection.process_tls_records(incoming), plain, outgoing, &write),
                Side::Client(connection) => step(connection.process_tls_records(incoming), plain, outgoing, &write),
            };
            incoming.advance(discard);
            match step {
                Step::More => {}
                Step::Ended => self.ended = true,
                Step::Done => return Ok(()),
                Step::Refused(error) => return Err(error),
                Step::Failed(error) => {
                    self.failed = true;
                    self.encode_alert(outgoing);
                    return Err(error);
                }
            }
        }
    }

    /// Moves the alert that a failure has left behind `outgoing`.
    fn encode_alert(&mut self, outgoing: &mut Vec<u8>) {
        // While there is something to send, no received byte is looked at.
        while self.wants_write() {
            let (nothing, plain) = (&mut [][..], &mut Lease::empty());
            let (_, step) = match &mut self.side {
                Side::Server(connection) => {
                    step(connection.process_tls_records(nothing), plain, outgoing, &Write::Nothing)
                }
                Side::Client(connection) => {
                    step(connection.process_tls_records(nothing), plain, outgoing, &Write::Nothing)
                }
            };
            if !matches!(step, Step::More) {
                return;
            }
        }
    }
}

/// What one look at the connection came to.
enum Step {
    /// There may be more to do.
    More,
    /// The peer has said that this was all.
    Ended,
    /// Nothing more can be done.
    Done,
    /// What was asked for cannot be done.
    Refused(Error),
    /// The connection has failed.
    Failed(Error),
}

/// Does what the connection asks for, on either side. Returns how many received bytes are done with.
fn step<Data>(
    status: UnbufferedStatus<'_, '_, Data>,
    plain: &mut Lease,
    outgoing: &mut Vec<u8>,
    write: &Write<'_>,
) -> (usize, Step) {
    let more = |result: Result<(), Error>| result.map_or_else(Step::Refused, |()| Step::More);
    let step = match status.state {
        Ok(ConnectionState::ReadTraffic(mut traffic)) => loop {
            match traffic.next_record() {
                Some(Ok(record)) => {
                    plain.reserve(record.payload.len());
                    plain.buffer().extend_from_slice(record.payload);
                }
                Some(Err(error)) => break Step::Refused(error),
                None => break Step::More,
            }
        },
        Ok(ConnectionState::EncodeTlsData(mut data)) => more(fill(outgoing, MESSAGE, |room| {
            data.encode(room).map_err(|error| match error {
                EncodeError::InsufficientSize(InsufficientSizeError { required_size }) => Ok(required_size),
                other => Err(Error::General(other.to_string())),
            })
        })),
        Ok(ConnectionState::TransmitTlsData(data)) => {
            // It is in the caller's hands, who sends it.
            data.done();
            Step::More
        }
        Ok(ConnectionState::PeerClosed) => Step::Ended,
        Ok(ConnectionState::WriteTraffic(mut traffic)) => match write_out(&mut traffic, write, outgoing) {
            Ok(()) => Step::Done,
            Err(error) => Step::Refused(error),
        },
        // Nothing more can be done, or there is no early data as none is allowed.
        Ok(_) => Step::Done,
        Err(error) => Step::Failed(error),
    };
    (status.discard, step)
}

impl Deref for Engine {
    type Target = CommonState;

    fn deref(&self) -> &CommonState {
        match &self.side {
            Side::Server(connection) => connection,
            Side::Client(connection) => connection,
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use rustls::crypto::aws_lc_rs::default_provider;
    use rustls::pki_types::PrivatePkcs8KeyDer;
    use rustls::{ClientConnection, RootCertStore, SupportedProtocolVersion};
    use std::io::{Read, Write};

    /// A client, our engine, and what lies between them.
    struct Pair {
        client: ClientConnection,
        engine: Engine,
        incoming: Lease,
        plain: Lease,
        outgoing: Vec<u8>,
    }

    fn configs(version: &'static SupportedProtocolVersion) -> (Arc<ServerConfig>, Arc<ClientConfig>) {
        let key = rcgen::KeyPair::generate().unwrap();
        let made = rcgen::CertificateParams::new(vec!["a.test".to_owned()]).unwrap().self_signed(&key).unwrap();
        let provider = Arc::new(default_provider());
        let server = ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&[version])
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.der().clone()], PrivatePkcs8KeyDer::from(key.serialize_der()).into())
            .unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(made.der().clone()).unwrap();
        let client = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        (Arc::new(server), Arc::new(client))
    }

    impl Pair {
        fn new(version: &'static SupportedProtocolVersion) -> Self {
            let (server, client) = configs(version);
            let client = ClientConnection::new(client, "a.test".try_into().unwrap()).unwrap();
            let engine = Engine::server(server).unwrap();
            Self { client, engine, incoming: Lease::empty(), plain: Lease::empty(), outgoing: Vec::new() }
        }

        /// Moves what the client has to say to us, `each` bytes at a time, and what we have to say to it.
        fn exchange(&mut self, each: usize) -> Result<(), Error> {
            loop {
                let mut sent = Vec::new();
                while self.client.wants_write() {
                    self.client.write_tls(&mut sent).unwrap();
                }
                for part in sent.chunks(each) {
                    self.incoming.reserve(part.len());
                    self.incoming.buffer().extend_from_slice(part);
                    self.engine.take_in(&mut self.incoming, &mut self.plain, &mut self.outgoing)?;
                }
                let back = std::mem::take(&mut self.outgoing);
                let mut rest = &back[..];
                while !rest.is_empty() {
                    self.client.read_tls(&mut rest).unwrap();
                    self.client.process_new_packets()?;
                }
                if !self.client.wants_write() && self.outgoing.is_empty() {
                    return Ok(());
                }
            }
        }

        fn ready(version: &'static SupportedProtocolVersion, each: usize) -> Self {
            let mut pair = Self::new(version);
            pair.exchange(each).unwrap();
            assert!(pair.engine.is_ready() && !pair.client.is_handshaking());
            pair
        }

        fn read(&mut self, count: usize) -> Vec<u8> {
            let mut got = vec![0; count];
            self.client.reader().read_exact(&mut got).unwrap();
            got
        }
    }

    #[test]
    fn bytes_pass_both_ways_however_they_are_cut() {
        for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
            for each in [1, 7, 100, 5000, 1 << 20] {
                let mut pair = Pair::ready(version, each);
                for size in [1, 100, FRAGMENT, FRAGMENT + 1, 60_000] {
                    let text: Vec<u8> = (0..size).map(|n| (n * 7 % 251) as u8).collect();
                    pair.client.writer().write_all(&text).unwrap();
                    pair.exchange(each).unwrap();
                    assert!(pair.plain[..] == text[..], "{size} bytes up, {each} at a time");
                    assert!(pair.incoming.is_empty());
                    pair.plain = Lease::empty();
                    let Pair { engine, incoming, outgoing, .. } = &mut pair;
                    engine.seal(&text, incoming, outgoing).unwrap();
                    let mut back = &pair.outgoing[..];
                    let mut got = Vec::new();
                    while !back.is_empty() {
                        pair.client.read_tls(&mut back).unwrap();
                        let state = pair.client.process_new_packets().unwrap();
                        let mut some = vec![0; state.plaintext_bytes_to_read()];
                        pair.client.reader().read_exact(&mut some).unwrap();
                        got.extend(some);
                    }
                    pair.outgoing.clear();
                    assert!(got == text, "{size} bytes down");
                }
            }
        }
    }

    #[test]
    fn our_two_sides_understand_each_other_however_it_is_cut() {
        let (server, client) = configs(&rustls::version::TLS13);
        for each in [1, 100, 1 << 20] {
            let mut sides = [
                (
                    Engine::client(client.clone(), "a.test".try_into().unwrap(), Vec::new()).unwrap(),
                    Lease::empty(),
                    Vec::new(),
                ),
                (Engine::server(server.clone()).unwrap(), Lease::empty(), Vec::new()),
            ];
            let mut plain = [Lease::empty(), Lease::empty()];
            let (mut sent, mut said) = (Vec::new(), [false; 2]);
            for round in 0..12 {
                let own = round % 2;
                let (engine, incoming, outgoing) = &mut sides[own];
                engine.take_in(incoming, &mut plain[own], outgoing).unwrap();
                for part in std::mem::take(&mut sent).chunks(each) {
                    incoming.reserve(part.len());
                    incoming.buffer().extend_from_slice(part);
                    engine.take_in(incoming, &mut plain[own], outgoing).unwrap();
                }
                if engine.is_ready() && !std::mem::replace(&mut said[own], true) {
                    engine.seal(&[own as u8; 20_000], incoming, outgoing).unwrap();
                }
                sent = std::mem::take(outgoing);
            }
            assert!(plain[0].starts_with(&[1; 20_000]) && plain[1].starts_with(&[0; 20_000]), "{each} at a time");
        }
    }

    #[test]
    fn sealing_in_the_middle_of_a_received_record_disturbs_nothing() {
        let mut pair = Pair::ready(&rustls::version::TLS13, 1 << 20);
        for round in 0..3 {
            pair.client.writer().write_all(b"up").unwrap();
            let mut sent = Vec::new();
            pair.client.write_tls(&mut sent).unwrap();
            let half = sent.len() / 2;
            pair.incoming.buffer().extend_from_slice(&sent[..half]);
            pair.engine.take_in(&mut pair.incoming, &mut pair.plain, &mut pair.outgoing).unwrap();
            pair.engine.seal(b"down", &mut pair.incoming, &mut pair.outgoing).unwrap();
            pair.incoming.buffer().extend_from_slice(&sent[half..]);
            pair.engine.take_in(&mut pair.incoming, &mut pair.plain, &mut pair.outgoing).unwrap();
            pair.exchange(1 << 20).unwrap();
            assert_eq!(pair.read(4), b"down", "round {round}");
            assert_eq!(&std::mem::take(&mut pair.plain)[..], b"up");
        }
    }

    #[test]
    fn new_keys_are_taken_up_and_answered() {
        let mut pair = Pair::ready(&rustls::version::TLS13, 3);
        for _ in 0..3 {
            pair.client.refresh_traffic_keys().unwrap();
            pair.client.writer().write_all(b"up").unwrap();
            pair.exchange(3).unwrap();
            assert_eq!(&std::mem::take(&mut pair.plain)[..], b"up");
            pair.engine.seal(b"down", &mut pair.incoming, &mut pair.outgoing).unwrap();
            pair.exchange(3).unwrap();
            assert_eq!(pair.read(4), b"down");
        }
    }

    #[test]
    fn a_farewell_is_heard_and_can_be_answered() {
        for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
            let mut pair = Pair::ready(version, 100);
            pair.client.writer().write_all(b"last").unwrap();
            pair.client.send_close_notify();
            pair.exchange(100).unwrap();
            assert!(pair.engine.has_ended());
            assert_eq!(&pair.plain[..], b"last");
            let Pair { engine, incoming, outgoing, .. } = &mut pair;
            engine.seal(b"answer", incoming, outgoing).unwrap();
            engine.say_farewell(incoming, outgoing).unwrap();
            pair.exchange(100).unwrap();
            assert_eq!(pair.read(6), b"answer");
            assert_eq!(pair.client.reader().read(&mut [0]).unwrap(), 0, "an orderly end");
        }
    }

    #[test]
    fn changed_bytes_fail_with_an_alert_and_never_panic() {
        for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
            for place in 0..60 {
                let mut pair = Pair::ready(version, 1 << 20);
                pair.client.writer().write_all(b"good").unwrap();
                pair.client.writer().write_all(&[7; 20]).unwrap();
                let mut sent = Vec::new();
                pair.client.write_tls(&mut sent).unwrap();
                let place = place % sent.len();
                sent[place] ^= 0x55;
                for part in sent.chunks(9) {
                    pair.incoming.buffer().extend_from_slice(part);
                    let Pair { engine, incoming, plain, outgoing, .. } = &mut pair;
                    let _ = engine.take_in(incoming, plain, outgoing);
                    let _ = engine.seal(b"x", incoming, outgoing);
                }
                let Pair { engine, incoming, outgoing, .. } = &mut pair;
                let _ = engine.say_farewell(incoming, outgoing);
                assert!(pair.plain.is_empty() || pair.plain.starts_with(b"good"), "byte {place}");
            }
        }
    }

    #[test]
    fn random_bytes_never_panic() {
        let mut random = fastrand::Rng::with_seed(7);
        for _ in 0..300 {
            let mut pair = Pair::new(&rustls::version::TLS13);
            let mut hello = Vec::new();
            pair.client.write_tls(&mut hello).unwrap();
            for _ in 0..random.usize(1..6) {
                let place = random.usize(..hello.len());
                hello[place] = random.u8(..);
            }
            for part in hello.chunks(random.usize(1..600)) {
                pair.incoming.reserve(part.len());
                pair.incoming.buffer().extend_from_slice(part);
                let Pair { engine, incoming, plain, outgoing, .. } = &mut pair;
                let _ = engine.take_in(incoming, plain, outgoing);
            }
        }
    }
}
