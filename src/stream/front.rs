//! What precedes TLS and the protocol of a connection.

use super::hello::{Opening, look};
use super::secure::log_refusal;
use crate::lane::Visit;
use crate::net::proxy_protocol::{self, LONGEST, Malformed, Read, Told};
use crate::net::{self, Accepted, Lease, Peer, Stream};
use crate::observe::reason::Reason;
use crate::plan::guard::{Held, Turned};
use crate::plan::{Action, Front, Headers, Protocol};
use crate::tls::hello::Hello;
use std::fmt;
use std::io::{self, ErrorKind};

/// Where a connection goes.
pub enum Lead {
    /// To where its listener has it.
    Own,
    /// To the pool of a route that passes TLS on.
    Passage(Passage),
    /// Nowhere: it came to nothing, and all is said.
    Nowhere,
}

/// A route that passes a connection on as it comes.
pub struct Passage {
    /// Its position in the plan.
    pub route: usize,
    /// Its pool's.
    pub pool: usize,
    /// The name that the client asks for.
    pub name: Option<Box<str>>,
}

/// Takes what precedes TLS and the protocol, notes whose connection it is, and finds where it goes. The connection is counted among those
/// of its client for as long as `held` lives.
pub async fn pass_front(visit: &mut Visit, accepted: &mut Accepted, held: &mut Option<Held>) -> Lead {
    let seat = visit.seat();
    let Some(front) = &seat.listener().front else { return Lead::Own };
    let started = net::now();
    accepted.stream.set_deadline(Some(front.limit));
    accepted.stream.expect_now();
    let result = lead(visit, accepted, front, held).await;
    accepted.stream.set_deadline(None);
    let refusal = match result {
        Ok(lead) => return lead,
        Err(refusal) => refusal,
    };
    if let Some(reason) = refusal.reason() {
        let rule = refusal.rule();
        seat.refuse(&visit.lane, accepted.peer, Turned { reason, word: reason.word(), rule });
        let (listener, client) = (&seat.listener().name, accepted.peer.ip);
        tracing::debug!(listener, %client, %refusal, "connection refused");
        log_refusal(&visit.lane, &seat, accepted, started, reason);
    }
    Lead::Nowhere
}

async fn lead(
    visit: &mut Visit,
    accepted: &mut Accepted,
    front: &Front,
    held: &mut Option<Held>,
) -> Result<Lead, Refusal> {
    if let Some(headers) = &front.header {
        announced(visit, accepted, headers, held).await?;
    }
    // Another plan may be tried out on the client that was named.
    let seat = visit.seat();
    let listener = seat.listener();
    let Some(passages) = listener.front.as_ref().and_then(|front| front.passages.as_ref()) else {
        return Ok(Lead::Own);
    };
    // Whoever ends TLS here has more to say to what is no good.
    let ends_here = listener.tls.is_some();
    let has_own = ends_here || matches!(listener.protocol, Protocol::Tcp { pool: Some(_) });
    match look(&accepted.stream).await.map_err(|error| gone(&error))? {
        Opening::Hello(Hello { name, protocols }) => {
            let route = passages.find(name.as_deref(), protocols.iter().map(|protocol| &**protocol));
            match route.map(|route| (route, &seat.era.plan.routes[route].action)) {
                Some((route, &Action::Pass(pool))) => Ok(Lead::Passage(Passage { route, pool, name })),
                _ if has_own => Ok(Lead::Own),
                _ => Err(Refusal::Unrouted(name)),
            }
        }
        Opening::Other if has_own => Ok(Lead::Own),
        // Where the target speaks first, the client waits for it.
        Opening::Nothing | Opening::Torn if has_own && !ends_here => Ok(Lead::Own),
        Opening::Other => Err(Refusal::NoHello),
        Opening::Nothing => Err(Refusal::Timeout),
        Opening::Torn => Err(Refusal::Torn),
        Opening::Left => Err(Refusal::Silent),
    }
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
    /// Whom the header names may not come in.
    Kept(Turned),
    /// A client that begins with something else than TLS, where nothing else gets anywhere.
    NoHello,
    /// A client's first message that did not come to its end.
    Torn,
    /// A name that no route passes on.
    Unrouted(Option<Box<str>>),
}

/// Reads the header that a connection may begin with. What comes behind it stays to be received.
async fn announced(
    visit: &mut Visit,
    accepted: &mut Accepted,
    headers: &Headers,
    held: &mut Option<Held>,
) -> Result<(), Refusal> {
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
    *held = visit.seat().look_at(accepted).map_err(Refusal::Kept)?;
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
            Self::NoHello | Self::Torn => Some(Reason::Handshake),
            Self::Unrouted(_) => Some(Reason::UnknownName),
            Self::Left | Self::Malformed(_) | Self::Missing => Some(Reason::ProxyHeader),
            Self::Elsewhere => Some(Reason::ProxyAddress),
            Self::Banned => Some(Reason::Banned),
            Self::Kept(turned) => Some(turned.reason),
        }
    }

    /// The place of the rule that says so, if one does.
    fn rule(&self) -> Option<usize> {
        match self {
            Self::Kept(turned) => turned.rule,
            _ => None,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Silent => f.write_str("the peer left without a byte"),
            Self::Left => f.write_str("the peer left in the middle of its PROXY header"),
            Self::Timeout => f.write_str("no whole PROXY header, or no TLS, came in time"),
            Self::Malformed(fault) => write!(f, "the PROXY header is refused: {fault}"),
            Self::Missing => f.write_str("a PROXY header is required, and there is none"),
            Self::Elsewhere => f.write_str("a PROXY header is required, and the peer is not in `proxy_protocol.from`"),
            Self::Banned => f.write_str("the client is banned"),
            Self::Kept(turned) => {
                write!(f, "the client that the PROXY header names may not come in: {}", turned.word)
            }
            Self::NoHello => f.write_str("the client speaks no TLS, and no route and no pool is for anything else"),
            Self::Torn => f.write_str("the client's first message of TLS has no end"),
            Self::Unrouted(Some(name)) => write!(f, "no route passes on TLS for `{name}`, and there is no pool"),
            Self::Unrouted(None) => f.write_str("no route passes on TLS that asks for no name, and there is no pool"),
        }
    }
}
