//! Bytes both ways between two streams.

use super::frames::{Frames, GOING_AWAY, GOING_AWAY_MASKED};
use crate::net::{Either, Lease, Signal, coarse_now, race, try_join};
use crate::observe::reason::Failure;
use crate::tls::Channel;
use crate::upstream::Attempt;
use std::cell::{Cell, RefCell};
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
    /// Raised when it has to end.
    pub ending: &'a Signal,
    /// Whether it is a WebSocket, whose sides are told so before it ends.
    pub websocket: bool,
    /// The target's turn. It learns when the target has said its first word, unless that was before.
    pub attempt: Option<&'a Attempt>,
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
    /// Whether the client had ended its side before.
    pub client_ended: bool,
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
    /// The process ends.
    Ours,
    /// It was ended as its target is down.
    Down,
    /// An operator has ended it.
    Cut,
    /// There was no target to talk to.
    Unreached(Failure),
}

/// How long a frame that is under way when a WebSocket has to end may take to come to its own end.
const LAST_FRAME: Duration = Duration::from_millis(500);

impl End {
    /// What the end counts as in metrics and logs; `None` for a normal one, and for ours.
    pub fn failure(&self) -> Option<Failure> {
        match self {
            Self::Both | Self::Ours => None,
            Self::Client(_) => Some(Failure::ClientAbort),
            Self::Target(ErrorKind::TimedOut) => Some(Failure::WriteStall),
            Self::Target(_) => Some(Failure::Reset),
            Self::Down => Some(Failure::Down),
            Self::Cut => Some(Failure::Operator),
            Self::Silence => Some(Failure::TunnelTimeout),
            Self::Unreached(failure) => Some(*failure),
        }
    }
}

/// Pumps until both sides have ended, one is broken, or it has to end. A broken side makes the other's close a reset.
pub async fn tunnel(tunnel: Tunnel<'_>) -> Done {
    let [up, down] = [true, false].map(|up| Half {
        tunnel: &tunnel,
        up,
        count: Cell::new(0),
        ended: Cell::new(false),
        frames: RefCell::default(),
    });
    let (client, target) = (tunnel.client, tunnel.target);
    let end = match try_join(up.run(), down.run()).await {
        _ if client.is_cut() => End::Cut,
        _ if tunnel.attempt.is_some_and(Attempt::is_cut) => End::Down,
        Ok(()) => End::Both,
        Err(Broken { cut: true, .. }) => End::Ours,
        Err(Broken { kind: ErrorKind::TimedOut, reading: true, .. }) => End::Silence,
        // Going up we read from the client and write to the target; going down it is the other way round.
        Err(Broken { kind, reading, up, .. }) if reading == up => End::Client(kind),
        Err(Broken { kind, .. }) => End::Target(kind),
    };
    match end {
        End::Both | End::Silence | End::Unreached(_) => {}
        End::Client(_) | End::Cut => target.reset_on_close(),
        End::Target(_) | End::Down => client.reset_on_close(),
        End::Ours => {
            if tunnel.websocket {
                // What is under way of either direction is seen to its end before the last word.
                let _ = try_join(up.say_goodbye(), down.say_goodbye()).await;
            } else {
                client.reset_on_close();
                target.reset_on_close();
            }
        }
    }
    Done { sent: up.count.get(), received: down.count.get(), end, client_ended: up.ended.get() }
}

struct Broken {
    kind: ErrorKind,
    reading: bool,
    up: bool,
    /// Nothing is broken, but it has to end.
    cut: bool,
}

/// One direction.
struct Half<'a> {
    tunnel: &'a Tunnel<'a>,
    up: bool,
    count: Cell<u64>,
    /// Whether whom it comes from has said that this was all.
    ended: Cell<bool>,
    frames: RefCell<Frames>,
}

impl Half<'_> {
    async fn run(&self) -> Result<(), Broken> {
        let Self { tunnel, up, .. } = *self;
        let (from, to) = self.ends();
        let broken = |reading| move |error: io::Error| Broken { kind: error.kind(), reading, up, cut: false };
        loop {
            // Either direction's traffic keeps both alive.
            tunnel.client.set_deadline(Some(tunnel.silence));
            tunnel.target.set_deadline(Some(tunnel.silence));
            let bytes = match race(from.recv(), tunnel.ending.raised()).await {
                Either::Left(received) => received.map_err(broken(true))?,
                Either::Right(()) => return Err(Broken { kind: ErrorKind::Interrupted, reading: true, up, cut: true }),
            };
            if bytes.is_empty() {
                self.ended.set(true);
                to.shutdown().await;
                return Ok(());
            }
            if !up
                && !tunnel.websocket
                && self.count.get() == 0
                && let Some(attempt) = tunnel.attempt
            {
                attempt.has_spoken(coarse_now());
            }
            self.send(bytes).await.map_err(broken(false))?;
            from.follow(to);
        }
    }

    fn ends(&self) -> (Channel<'_>, Channel<'_>) {
        let Tunnel { client, target, .. } = *self.tunnel;
        if self.up { (client, target) } else { (target, client) }
    }

    async fn send(&self, bytes: Lease) -> io::Result<()> {
        self.count.set(self.count.get() + bytes.len() as u64);
        if self.tunnel.websocket {
            self.frames.borrow_mut().pass(&bytes);
        }
        self.ends().1.send(bytes, self.tunnel.stall).await
    }

    /// Passes on what is under way of a frame, and then says that this was all.
    async fn say_goodbye(&self) -> Result<(), io::Error> {
        let (from, to) = self.ends();
        from.set_deadline(Some(LAST_FRAME));
        while !self.frames.borrow().is_between() {
            let bytes = from.recv().await?;
            if bytes.is_empty() {
                return Ok(());
            }
            self.send(bytes).await?;
        }
        let mut last = Lease::new();
        last.buffer().extend_from_slice(if self.up { &GOING_AWAY_MASKED } else { &GOING_AWAY });
        to.send(last, LAST_FRAME).await?;
        to.shutdown().await;
        Ok(())
    }
}
