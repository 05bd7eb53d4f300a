//! The handshake with a client.

use super::acme::PROTOCOL;
use super::edge::{Edge, Served};
use super::engine::Engine;
use super::identity::{Identity, Unfit};
use super::session::{Facts, LONGEST, Session, cipher, version};
use super::shown::Shown;
use super::trust::Trust;
use crate::net::{Lease, Stream};
use crate::observe::reason::Reason;
use rustls::server::Acceptor;
use rustls::{AlertDescription, CertificateError, Error, ServerConfig};
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::Duration;

/// Why a handshake came to nothing.
#[derive(Debug)]
pub enum Refusal {
    /// The client left without a byte, as those do that only look whether the port is open.
    Silent,
    /// The client left in the middle.
    Left,
    /// It took too long.
    Timeout,
    /// The client speaks HTTP in clear.
    PlainHttp,
    /// No certificate holds the name that the client asked for, or it asked for none.
    UnknownName,
    /// The client has no certificate, or not a good one.
    ClientCertificate(Error),
    /// Anything else that the two cannot agree on.
    Failed(Error),
    /// None was: an authority has looked at the certificate of a challenge, and wants nothing else (RFC 8737 §3).
    Challenge,
}

/// How long a refused client gets to read why.
const LINGER: Duration = Duration::from_secs(1);

/// Does the handshake that a client begins on `stream`.
///
/// `http`: a client that speaks HTTP in clear is told that it should not.
pub async fn accept(edge: &Edge, stream: &Stream, http: bool) -> Result<Box<Session>, Refusal> {
    let stall = edge.spec().handshake;
    stream.set_deadline(Some(stall));
    stream.expect_now();
    let result = Handshake { edge, stream, stall }.run().await;
    if let Err(refusal) = &result {
        if matches!(refusal, Refusal::PlainHttp) && http {
            let mut answer = Lease::new();
            answer.buffer().extend_from_slice(SPEAK_TLS);
            let _ = stream.send(answer, LINGER).await;
        }
        if !matches!(refusal, Refusal::Silent | Refusal::Left) {
            linger(stream).await;
        }
    }
    result
}

const SPEAK_TLS: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: 51\r\n\
    Connection: close\r\n\r\n400 Bad Request\nThis port speaks TLS: use https://\n";

struct Handshake<'a> {
    edge: &'a Edge,
    stream: &'a Stream,
    stall: Duration,
}

impl Handshake<'_> {
    async fn run(&self) -> Result<Box<Session>, Refusal> {
        let Hello { name, challenge, mut incoming } = self.hello().await?;
        let policy = self.edge.policy_of(name.as_deref());
        let served = self.edge.served();
        let config = match challenge {
            true => self.edge.spec().answers.as_ref().and_then(|answers| answers.session(name.as_deref())),
            false => self.config(&served, name.as_deref(), policy),
        };
        let Some(config) = config else {
            self.say(alert(AlertDescription::UnrecognisedName)).await;
            return Err(Refusal::UnknownName);
        };
        let mut engine = Engine::server(config).map_err(Refusal::Failed)?;
        let mut plain = Lease::empty();
        loop {
            let mut flight = Lease::empty();
            let taken = engine.take_in(&mut incoming, &mut plain, flight.buffer());
            if let Err(error) = taken {
                self.say(flight).await;
                return Err(refused(error));
            }
            if engine.is_ready() {
                if challenge {
                    let _ = engine.say_farewell(&mut incoming, flight.buffer());
                    self.say(flight).await;
                    return Err(Refusal::Challenge);
                }
                let facts = facts(&engine, name, policy, &served.asked[policy as usize])?;
                let mut outgoing = Vec::new();
                // What version 1.3 adds behind the handshake, tickets, goes out with the first answer.
                match facts.version {
                    "1.3" => outgoing.extend_from_slice(&flight),
                    _ => self.send(flight, self.stall).await?,
                }
                return Ok(Box::new(Session::new(engine, incoming, plain, outgoing, facts)));
            }
            self.send(flight, self.stall).await?;
            self.receive(&mut incoming).await?;
        }
    }

    /// What a client gets that asks for `name` and goes by `policy`, if it gets anything.
    fn config(&self, served: &Served, name: Option<&str>, policy: u32) -> Option<Arc<ServerConfig>> {
        let refused = match self.edge.spec().strict {
            true => !name.is_some_and(|name| served.store.knows(name)),
            // An authority is asked for the first certificate.
            false => served.store.len() == 0,
        };
        (!refused).then(|| served.configs[policy as usize].clone())
    }

    /// Receives until the client's first message is complete.
    async fn hello(&self) -> Result<Hello, Refusal> {
        let mut acceptor = Acceptor::default();
        let mut incoming = Lease::empty();
        let mut seen = 0;
        loop {
            match self.receive(&mut incoming).await {
                Err(Refusal::Left) if incoming.is_empty() => return Err(Refusal::Silent),
                other => other?,
            }
            if is_http(&incoming) {
                return Err(Refusal::PlainHttp);
            }
            while seen < incoming.len() {
                match acceptor.read_tls(&mut &incoming[seen..]) {
                    Ok(count @ 1..) => seen += count,
                    _ => return Err(Refusal::Failed(Error::General("the first message is too long".to_owned()))),
                }
                match acceptor.accept() {
                    Ok(Some(accepted)) => {
                        let hello = accepted.client_hello();
                        let name = hello.server_name().map(Into::into);
                        let challenge = self.edge.spec().answers.is_some()
                            && hello.alpn().is_some_and(|mut protocols| protocols.any(|protocol| protocol == PROTOCOL));
                        return Ok(Hello { name, challenge, incoming });
                    }
                    Ok(None) => {}
                    Err((error, mut alert)) => {
                        let mut last = Lease::new();
                        // Writing to memory does not fail.
                        let _ = alert.write_all(last.buffer());
                        self.say(last).await;
                        return Err(Refusal::Failed(error));
                    }
                }
            }
        }
    }

    /// Receives more behind what is left.
    async fn receive(&self, incoming: &mut Lease) -> Result<(), Refusal> {
        if incoming.len() > LONGEST {
            return Err(Refusal::Failed(Error::General("a message is too long".to_owned())));
        }
        incoming.reserve(MORE);
        match self.stream.recv_into(incoming).await {
            Ok(0) => Err(Refusal::Left),
            result => result.map(drop).map_err(|error| gone(&error)),
        }
    }

    /// Sends an alert to a client that may have gone.
    async fn say(&self, alert: Lease) {
        let _ = self.send(alert, LINGER).await;
    }

    async fn send(&self, bytes: Lease, stall: Duration) -> Result<(), Refusal> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.stream.send(bytes, stall).await.map_err(|error| gone(&error))
    }
}

/// A client's first message.
struct Hello {
    /// The name that it asks for.
    name: Option<Box<str>>,
    /// Whether it is an authority that asks for the certificate of a challenge.
    challenge: bool,
    /// What was received.
    incoming: Lease,
}

/// Room for what is received next.
const MORE: usize = 2 << 10;

fn facts(engine: &Engine, name: Option<Box<str>>, policy: u32, trust: &Trust) -> Result<Facts, Refusal> {
    let chain = engine.peer_certificates();
    let certificate = chain.and_then(<[_]>::first);
    let identity = certificate.map(Identity::read).transpose().map_err(|unfit| {
        let error = match unfit {
            Unfit::Expired => CertificateError::Expired,
            Unfit::Malformed => CertificateError::BadEncoding,
        };
        Refusal::ClientCertificate(Error::InvalidCertificate(error))
    })?;
    let shown = chain.zip(identity.as_deref()).map(|(chain, identity)| Shown::new(chain, identity.until, trust.digest));
    Ok(Facts {
        version: version(engine.protocol_version()),
        cipher: engine.negotiated_cipher_suite().map_or("", |suite| cipher(suite.suite())),
        name,
        resumed: engine.is_resumed(),
        h2: engine.alpn_protocol() == Some(b"h2"),
        identity,
        shown: shown.map(Box::new),
        policy,
        state: 0,
    })
}

/// Whether the first bytes are those of an HTTP request rather than of a TLS record.
fn is_http(bytes: &[u8]) -> bool {
    let method = bytes.iter().take_while(|byte| byte.is_ascii_uppercase()).count();
    method >= 3 && bytes.get(method).is_none_or(|&byte| byte == b' ')
}

/// An alert in clear that ends the handshake (RFC 8446 §6).
fn alert(description: AlertDescription) -> Lease {
    let mut alert = Lease::new();
    alert.buffer().extend_from_slice(&[21, 3, 3, 0, 2, 2, description.into()]);
    alert
}

fn refused(error: Error) -> Refusal {
    match error {
        Error::NoCertificatesPresented | Error::InvalidCertificate(_) => Refusal::ClientCertificate(error),
        other => Refusal::Failed(other),
    }
}

fn gone(error: &io::Error) -> Refusal {
    if error.kind() == ErrorKind::TimedOut { Refusal::Timeout } else { Refusal::Left }
}

/// Reads on for a moment: closing over unread bytes would reset the connection, and the client would not read why.
async fn linger(stream: &Stream) {
    stream.shutdown();
    stream.set_deadline(Some(LINGER));
    while stream.recv().await.is_ok_and(|bytes| !bytes.is_empty()) {}
}

impl Refusal {
    /// What it counts as; a client that only looked whether the port is open counts as nothing.
    pub fn reason(&self) -> Option<Reason> {
        match self {
            Self::Silent | Self::Challenge => None,
            Self::Timeout => Some(Reason::HandshakeTimeout),
            Self::PlainHttp => Some(Reason::PlainHttp),
            Self::UnknownName => Some(Reason::UnknownName),
            Self::ClientCertificate(_) => Some(Reason::ClientCertificate),
            Self::Left | Self::Failed(_) => Some(Reason::Handshake),
        }
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Silent => f.write_str("the client left without a byte"),
            Self::Left => f.write_str("the client left in the middle of the handshake"),
            Self::Timeout => f.write_str("the handshake took too long"),
            Self::PlainHttp => f.write_str("the client speaks HTTP in clear"),
            Self::UnknownName => f.write_str("no certificate holds the name that the client asked for"),
            Self::ClientCertificate(error) => write!(f, "the client's certificate: {error}"),
            Self::Failed(error) => write!(f, "{error}"),
            Self::Challenge => f.write_str("an authority has looked at the certificate of a challenge"),
        }
    }
}
