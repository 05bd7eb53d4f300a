//! What precedes TLS and the protocol of a connection.

use super::secure::log_refusal;
use crate::lane::Visit;
use crate::net::proxy_protocol::{self, LONGEST, Malformed, Read, Told};
use crate::net::{self, Accepted, Lease, Peer, Stream};
use crate::observe::reason::Reason;
use crate::plan::Headers;
use std::fmt;
use std::io::{self, ErrorKind};

/// Takes what precedes TLS and the protocol, and notes whose connection it is. False: it came to nothing, and all is said.
pub async fn pass_front(visit: &mut Visit, accepted: &mut Accepted) -> bool {
    let seat = visit.seat();
    let Some(front) = &seat.listener().front else { return true };
    let started = net::now();
    accepted.stream.set_deadline(Some(front.limit));
    accepted.stream.expect_now();
    let result = match &front.header {
        Some(headers) => announced(visit, accepted, headers).await,
        None => Ok(()),
    };
    accepted.stream.set_deadline(None);
    let Err(refusal) = result else { return true };
    if let Some(reason) = refusal.reason() {
        seat.counters().refusals.refused(reason);
        let (listener, client) = (&seat.listener().name, accepted.peer.ip);
        tracing::debug!(listener, %client, %refusal, "connection refused");
        log_refusal(&visit.lane, &seat, accepted, started, reason);
    }
    false
}

/// Why nothing came of a connection.
enum Refusal {
    /// The peer left without a byte, as those do that only look whether the port is open.
    Silent,
    /// The peer left in the middle of its header.
    Left,
    /// It took too long.
    Timeout,
    /// The header cannot be understood.
    Malformed(Malformed),
    /// There is no header, but one is required.
    Missing,
    /// A header is required, but none from here counts.
    Elsewhere,
    /// An operator has banned whom the header names.
    Banned,
}

/// Reads the header that a connection may begin with. What comes behind it stays to be received.
async fn announced(visit: &mut Visit, accepted: &mut Accepted, headers: &Headers) -> Result<(), Refusal> {
    if !headers.count_from(accepted.peer) {
        return if headers.required { Err(Refusal::Elsewhere) } else { Ok(()) };
    }
    let Told::Addresses { source, destination } = (match read(&accepted.stream).await? {
        Some(told) => told,
        None if headers.required => return Err(Refusal::Missing),
        None => Told::Nobody,
    }) else {
        return Ok(());
    };
    accepted.peer = Peer::from(source);
    accepted.port = destination.port();
    visit.is_of(accepted.peer, destination);
    if visit.lane.bans.holds(source.ip(), net::coarse_now()) {
        return Err(Refusal::Banned);
    }
    Ok(())
}

/// What the header says; `None`: there is none, and nothing was taken.
async fn read(stream: &Stream) -> Result<Option<Told>, Refusal> {
    let mut shown = Lease::new();
    let mut seen = 0;
    loop {
        let count = stream.peek_beyond(seen, &mut shown).await.map_err(|error| gone(&error))?;
        match proxy_protocol::read(&shown).map_err(Refusal::Malformed)? {
            Read::Whole(length, told) => {
                stream.skip(length).map_err(|error| gone(&error))?;
                return Ok(Some(told));
            }
            Read::Nothing => return Ok(None),
            Read::Partial if count == 0 => return Err(Refusal::Silent),
            Read::Partial if count <= seen => return Err(Refusal::Left),
            Read::Partial => seen = count,
        }
        if shown.room() == 0 {
            shown = Lease::with_room(LONGEST);
        }
    }
}

fn gone(error: &io::Error) -> Refusal {
    if error.kind() == ErrorKind::TimedOut { Refusal::Timeout } else { Refusal::Left }
}

impl Refusal {
    /// What it counts as; a peer that only looked whether the port is open counts as nothing.
    fn reason(&self) -> Option<Reason> {
        match self {
            Self::Silent => None,
            Self::Timeout => Some(Reason::HandshakeTimeout),
            Self::Left | Self::Malformed(_) | Self::Missing => Some(Reason::ProxyHeader),
            Self::Elsewhere => Some(Reason::ProxyAddress),
            Self::Banned => Some(Reason::Banned),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Silent => f.write_str("the peer left without a byte"),
            Self::Left => f.write_str("the peer left in the middle of its PROXY header"),
            Self::Timeout => f.write_str("no whole PROXY header came in time"),
            Self::Malformed(fault) => write!(f, "the PROXY header is refused: {fault}"),
            Self::Missing => f.write_str("a PROXY header is required, and there is none"),
            Self::Elsewhere => f.write_str("a PROXY header is required, and the peer is not in `proxy_protocol.from`"),
            Self::Banned => f.write_str("an operator has banned the client"),
        }
    }
}
