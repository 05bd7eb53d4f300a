//! The handshake with a target.

use super::engine::Engine;
use super::outbound::{Cargo, Outbound, Purpose, Speech};
use super::session::{Facts, LONGEST, Session, cipher, version};
use crate::net::{Lease, Stream};
use rustls::{AlertDescription, Error};
use std::fmt;
use std::io::{self, ErrorKind};
use std::time::Duration;

/// Why a handshake with a target came to nothing.
#[derive(Debug)]
pub enum Trouble {
    /// It took too long.
    Timeout,
    /// The target left in the middle.
    Left,
    /// No certificate could be for the host that is asked.
    Name,
    /// The target's certificate is not verified.
    Certificate(Error),
    /// The target does not speak what it is offered.
    Speech,
    /// Anything else that the two cannot agree on.
    Failed(Error),
}

/// How long a target gets to take in why it is left.
const LINGER: Duration = Duration::from_millis(100);
/// Room for what is received next: a certificate's chain comes first.
const MORE: usize = 4 << 10;

/// Does the handshake for `purpose` on `stream`, which leads to the target at position `target`, within `limit`.
pub async fn dial(
    outbound: &Outbound,
    stream: &Stream,
    target: usize,
    purpose: &Purpose,
    cargo: Cargo<'_>,
    limit: Duration,
) -> Result<Box<Session>, Trouble> {
    let served = outbound.served();
    let (Some(name), Some(config)) = (purpose.server_name(), served.config(target, cargo)) else {
        return Err(Trouble::Name);
    };
    let offered = match cargo {
        // Another protocol than the client's would be of no use to it.
        Cargo::Bytes(Some(agreed)) if config.alpn_protocols.iter().any(|own| own == agreed) => vec![agreed.to_vec()],
        _ => config.alpn_protocols.clone(),
    };
    let mut engine = Engine::client(config, name, offered).map_err(Trouble::Failed)?;
    let (mut incoming, mut plain) = (Lease::empty(), Lease::empty());
    stream.set_deadline(Some(limit));
    loop {
        let mut flight = Lease::empty();
        if let Err(error) = engine.take_in(&mut incoming, &mut plain, flight.buffer()) {
            // It has failed, whether the target hears of it or not.
            let _ = stream.send(flight, LINGER).await;
            return Err(troubled(error));
        }
        if engine.is_ready() {
            let facts = Facts {
                version: version(engine.protocol_version()),
                cipher: engine.negotiated_cipher_suite().map_or("", |suite| cipher(suite.suite())),
                name: Some(purpose.name.clone()),
                resumed: engine.is_resumed(),
                h2: engine.alpn_protocol() == Some(b"h2"),
                identity: None,
                shown: None,
                policy: 0,
                state: served.state,
            };
            if cargo == Cargo::Exchanges && outbound.spec().speech == Speech::Http2 && !facts.h2 {
                return Err(Trouble::Speech);
            }
            let mut outgoing = Vec::new();
            match cargo {
                // The end of the handshake goes out with the request.
                Cargo::Exchanges => outgoing.extend_from_slice(&flight),
                // The target may be the first to speak, but not before it has that.
                Cargo::Bytes(_) => send(stream, flight, limit).await?,
            }
            stream.set_deadline(None);
            return Ok(Box::new(Session::new(engine, incoming, plain, outgoing, facts)));
        }
        send(stream, flight, limit).await?;
        if incoming.len() > LONGEST {
            return Err(Trouble::Failed(Error::General("a message is too long".to_owned())));
        }
        incoming.reserve(MORE);
        if stream.recv_into(&mut incoming).await.map_err(|error| gone(&error))? == 0 {
            return Err(Trouble::Left);
        }
    }
}

async fn send(stream: &Stream, flight: Lease, limit: Duration) -> Result<(), Trouble> {
    if flight.is_empty() {
        return Ok(());
    }
    stream.send(flight, limit).await.map_err(|error| gone(&error))
}

fn gone(error: &io::Error) -> Trouble {
    if error.kind() == ErrorKind::TimedOut { Trouble::Timeout } else { Trouble::Left }
}

fn troubled(error: Error) -> Trouble {
    match error {
        Error::NoCertificatesPresented | Error::InvalidCertificate(_) => Trouble::Certificate(error),
        Error::AlertReceived(AlertDescription::NoApplicationProtocol) => Trouble::Speech,
        other => Trouble::Failed(other),
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Timeout => f.write_str("the handshake took too long"),
            Self::Left => f.write_str("the target left in the middle of the handshake: does it speak TLS?"),
            Self::Name => {
                f.write_str("no certificate could be for the host that is asked; set `sni` to the target's name")
            }
            Self::Certificate(error) => write!(f, "the certificate is not verified: {error}"),
            Self::Speech => f.write_str(
                "the target speaks nothing that it is offered (ALPN): see `protocol` and `tls.alpn` of the pool",
            ),
            Self::Failed(error) => write!(f, "{error}"),
        }
    }
}
