//! Bytes both ways between two streams.

use crate::net::{Lease, try_join};
use crate::observe::reason::Failure;
use crate::tls::Channel;
use std::cell::Cell;
use std::io::{self, ErrorKind};
use std::time::Duration;

/// Two streams to be joined.
#[derive(Clone, Copy)]
pub struct Tunnel<'a> {
    /// Who dialled us.
    pub client: Channel<'a>,
    /// Whom we dialled.
    pub target: Channel<'a>,
    /// How long both sides may be silent.
    pub silence: Duration,
    /// How long a side may take no byte that we have for it.
    pub stall: Duration,
}

/// How a tunnel went.
#[derive(Debug)]
pub struct Done {
    /// Bytes that went to the target.
    pub sent: u64,
    /// Bytes that came from the target.
    pub received: u64,
    /// What ended it.
    pub end: End,
}

/// What ended a tunnel.
#[derive(Debug, PartialEq, Eq)]
pub enum End {
    /// Both sides said that they were done.
    Both,
    /// The client's side broke.
    Client(ErrorKind),
    /// The target's side broke.
    Target(ErrorKind),
    /// Neither side had anything to say for too long.
    Silence,
    /// There was no target to talk to.
    Unreached(Failure),
}

impl End {
    /// What the end counts as in metrics and logs; `None` for a normal one.
    pub fn failure(&self) -> Option<Failure> {
        match self {
            Self::Both => None,
            Self::Client(_) => Some(Failure::ClientAbort),
            Self::Target(_) => Some(Failure::Reset),
            Self::Silence => Some(Failure::TunnelTimeout),
            Self::Unreached(failure) => Some(*failure),
        }
    }
}

/// Pumps until both sides have ended or one is broken. A broken side makes the other's close a reset.
pub async fn tunnel(tunnel: Tunnel<'_>) -> Done {
    let (sent, received) = (Cell::new(0), Cell::new(0));
    let (client, target) = (tunnel.client, tunnel.target);
    let end = match try_join(half(&tunnel, true, &sent), half(&tunnel, false, &received)).await {
        Ok(()) => End::Both,
        Err(Broken { kind: ErrorKind::TimedOut, reading: true, .. }) => End::Silence,
        // Going up we read from the client and write to the target; going down it is the other way round.
        Err(Broken { kind, reading, up }) if reading == up => End::Client(kind),
        Err(Broken { kind, .. }) => End::Target(kind),
    };
    match end {
        End::Both | End::Silence | End::Unreached(_) => {}
        End::Client(_) => target.reset_on_close(),
        End::Target(_) => client.reset_on_close(),
    }
    Done { sent: sent.get(), received: received.get(), end }
}

struct Broken {
    kind: ErrorKind,
    reading: bool,
    up: bool,
}

async fn half(tunnel: &Tunnel<'_>, up: bool, count: &Cell<u64>) -> Result<(), Broken> {
    let (from, to) = if up { (tunnel.client, tunnel.target) } else { (tunnel.target, tunnel.client) };
    let broken = |reading| move |error: io::Error| Broken { kind: error.kind(), reading, up };
    loop {
        // Either direction's traffic keeps both alive.
        tunnel.client.set_deadline(Some(tunnel.silence));
        tunnel.target.set_deadline(Some(tunnel.silence));
        let bytes: Lease = from.recv().await.map_err(broken(true))?;
        if bytes.is_empty() {
            to.shutdown().await;
            return Ok(());
        }
        count.set(count.get() + bytes.len() as u64);
        to.send(bytes, tunnel.stall).await.map_err(broken(false))?;
        from.follow(to);
    }
}
