//! Ways to targets: connections that wait or are opened for one exchange, and streams on those that carry several.
//!
//! What always holds: over TLS an exchange takes only what was verified for the very host that it asks; where targets are told
//! of clients, only what they were told the same on.

use super::connection::Connection;
use super::forward::Forwarding;
use super::h2;
use crate::net::proxy_protocol::Header;
use crate::net::{self, Stream};
use crate::observe::reason::Failure;
use crate::plan::Host;
use crate::stream::announce;
use crate::tls::{Cargo, Channel, Multiplexed, Session};
use crate::upstream::{Attempt, Errand, Protocol, Trunk, Way};
use std::rc::Rc;
use std::time::Duration;

/// A way to a target, and whether its connection has carried an exchange before.
pub(super) struct Leased {
    pub(super) link: Link,
    pub(super) reused: bool,
}

/// A way to a target.
pub(super) enum Link {
    /// A connection for this exchange alone.
    Own(Stream),
    /// The same over TLS.
    Secure(Stream, Box<Session>),
    /// A stream among others.
    Shared(Box<dyn Multiplexed>),
    /// A connection whose target was told of the client, for this exchange alone.
    Announced(Box<Announced>),
}

/// A connection that began with a header.
pub(super) struct Announced {
    pub(super) stream: Stream,
    pub(super) session: Option<Box<Session>>,
    pub(super) header: Header,
}

/// A connection with its session, and what its target was told on it.
type Keepable = ((Stream, Option<Box<Session>>), Option<Header>);

impl Link {
    pub(super) fn channel(&self) -> Channel<'_> {
        match self {
            Self::Own(stream) => stream.into(),
            Self::Secure(stream, session) => Channel::Secure(stream, session),
            Self::Shared(stream) => Channel::Multiplexed(&**stream),
            Self::Announced(link) => Channel::new(&link.stream, link.session.as_deref()),
        }
    }

    /// What can be kept for another exchange, and what its target was told; nothing of a stream among others.
    pub(super) fn into_kept(self) -> Option<Keepable> {
        match self {
            Self::Own(stream) => Some(((stream, None), None)),
            Self::Secure(stream, session) => Some(((stream, Some(session)), None)),
            Self::Shared(_) => None,
            Self::Announced(link) => Some(((link.stream, link.session), Some(link.header))),
        }
    }

    /// Lets go of it. The target of a session is told that this was all.
    pub(super) fn end(self) {
        match self {
            Self::Secure(stream, session) => session.part(stream),
            Self::Announced(link) => {
                if let Announced { stream, session: Some(session), .. } = *link {
                    session.part(stream);
                }
            }
            Self::Own(_) | Self::Shared(_) => {}
        }
    }

    /// A connection that was opened on an errand.
    fn opened((stream, session): (Stream, Option<Box<Session>>), errand: &Errand) -> Self {
        match (&errand.header, session) {
            (Some(header), session) => Self::Announced(Box::new(Announced { stream, session, header: header.clone() })),
            (None, Some(session)) => Self::Secure(stream, session),
            (None, None) => Self::Own(stream),
        }
    }
}

impl Forwarding<'_, '_> {
    /// Finds or opens a way to the target of `attempt`. `once`: for a request that must not be sent twice; `fresh`: on a
    /// connection that has carried nothing.
    pub(super) async fn connect(
        &mut self,
        attempt: &Attempt,
        once: bool,
        fresh: bool,
        now: Duration,
    ) -> Result<Leased, Failure> {
        let local = &self.exchange.connection.era.pools[self.rule.pool];
        if !local.pool().is_plain {
            // Larger, and not for those who have no use for it.
            return Box::pin(self.reach(attempt, once, fresh, now)).await;
        }
        if !fresh && let Some(stream) = local.lease(attempt.index(), once, now) {
            self.exchange.outcome.connected(Duration::ZERO);
            return Ok(Leased { link: Link::Own(stream), reused: true });
        }
        self.exchange.outcome.waits();
        let (stream, _) = self.dial(attempt, &Errand::default()).await?;
        Ok(Leased { link: Link::Own(stream), reused: false })
    }

    /// As [`Forwarding::connect`], over TLS or HTTP/2 or both, or with a header.
    async fn reach(&mut self, attempt: &Attempt, once: bool, fresh: bool, now: Duration) -> Result<Leased, Failure> {
        let local = &self.exchange.connection.era.pools[self.rule.pool];
        let Connection { lane, ticket, peer, client, .. } = self.exchange.connection;
        let errand = Errand {
            purpose: local.pool().tls.as_ref().map(|tls| tls.purpose(self.host(attempt))),
            client: local.pool().source_for(peer),
            header: local.pool().send_proxy.map(|form| announce(form, lane, ticket, peer, client, None)),
        };
        match local.pool().protocol {
            Protocol::Http1 => self.own(attempt, &errand, once, fresh, now).await,
            Protocol::Agreed if local.trunks.speaks_h2(attempt.index()) == Some(false) => {
                self.own(attempt, &errand, once, fresh, now).await
            }
            _ => self.board(attempt, &errand, once, fresh).await,
        }
    }

    /// The host that the target is asked for.
    fn host<'t>(&'t self, attempt: &'t Attempt) -> &'t [u8] {
        let asked = match &self.rule.host {
            Host::Client => self.exchange.heads.request.authority.of(&self.exchange.text),
            Host::Target => &[],
            Host::Fixed(host) => host.as_bytes(),
        };
        if asked.is_empty() { attempt.target().authority() } else { asked }
    }

    /// A connection for this exchange alone.
    async fn own(
        &mut self,
        attempt: &Attempt,
        errand: &Errand,
        once: bool,
        fresh: bool,
        now: Duration,
    ) -> Result<Leased, Failure> {
        let local = &self.exchange.connection.era.pools[self.rule.pool];
        if !fresh && let Some(leased) = local.lease_for(attempt.index(), errand, once, now) {
            self.exchange.outcome.connected(Duration::ZERO);
            return Ok(Leased { link: Link::opened(leased, errand), reused: true });
        }
        self.exchange.outcome.waits();
        let (stream, session) = self.dial(attempt, errand).await?;
        if !session.as_ref().is_some_and(|session| session.facts().h2) {
            return Ok(Leased { link: Link::opened((stream, session), errand), reused: false });
        }
        // The target used to speak HTTP/1.1.
        let trunk = self.start(stream, session);
        local.trunks.note(attempt.index(), true);
        local.trunks.hold(attempt.index(), errand, trunk.clone());
        let stream = trunk.open().map_err(|_| Failure::Connect)?;
        self.exchange.connection.era.counters.pool(self.rule.pool).h2_streams.inc();
        Ok(Leased { link: Link::Shared(stream), reused: false })
    }

    /// Opens a connection.
    async fn dial(&mut self, attempt: &Attempt, errand: &Errand) -> Result<(Stream, Option<Box<Session>>), Failure> {
        let era = self.exchange.connection.era;
        let started = net::now();
        self.exchange.heads.trace.connecting(started);
        let opened = attempt.open(errand, Cargo::Exchanges).await;
        let took = started.elapsed();
        let opened = opened.inspect_err(|_| self.exchange.outcome.not_connected(took))?;
        let counters = era.counters.pool(self.rule.pool);
        counters.target(attempt.index()).connects.inc();
        if let Some(session) = &opened.1 {
            counters.handshakes.shaken(session.facts().kind());
        }
        era.latencies.connect(self.rule.pool, u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
        self.exchange.outcome.connected(took);
        self.exchange.heads.trace.connected(took);
        Ok(opened)
    }

    /// Begins a stream on a connection that carries several.
    async fn board(&mut self, attempt: &Attempt, errand: &Errand, once: bool, fresh: bool) -> Result<Leased, Failure> {
        let local = &self.exchange.connection.era.pools[self.rule.pool];
        let limit = local.pool().timeouts.connect;
        let due = net::coarse_now().saturating_add(limit);
        let mut reused = true;
        loop {
            let left = due.saturating_sub(net::coarse_now());
            if left.is_zero() {
                return Err(Failure::ConnectTimeout);
            }
            match local.trunks.way(attempt.index(), errand).ok_or(Failure::Connect)? {
                Way::Use(trunk) => {
                    self.exchange.outcome.waits();
                    match trunk.open() {
                        Ok(stream) => {
                            self.exchange.connection.era.counters.pool(self.rule.pool).h2_streams.inc();
                            if reused {
                                self.exchange.outcome.connected(Duration::ZERO);
                            }
                            return Ok(Leased { link: Link::Shared(stream), reused });
                        }
                        // It has just ended, which its load says from now on.
                        Err(_) if trunk.is_over() => {}
                        Err(_) => return Err(Failure::Connect),
                    }
                }
                Way::Wait(opened) => {
                    self.exchange.outcome.waits();
                    if net::timeout(left, opened.raised()).await.is_none() {
                        return Err(Failure::ConnectTimeout);
                    }
                    // Whoever opened it has learnt that there is nothing to share.
                    if errand.purpose.is_some() && local.trunks.speaks_h2(attempt.index()) == Some(false) {
                        return Box::pin(self.own(attempt, errand, once, fresh, net::coarse_now())).await;
                    }
                }
                Way::Open(opening) => {
                    self.exchange.outcome.waits();
                    reused = false;
                    let (stream, session) = self.dial(attempt, errand).await?;
                    let h2 = session.as_ref().is_none_or(|session| session.facts().h2);
                    local.trunks.note(attempt.index(), h2);
                    if !h2 {
                        return Ok(Leased { link: Link::opened((stream, session), errand), reused });
                    }
                    opening.done(self.start(stream, session));
                }
            }
        }
    }

    /// Begins to speak HTTP/2 on a connection.
    fn start(&self, stream: Stream, session: Option<Box<Session>>) -> Rc<dyn Trunk> {
        let era = self.exchange.connection.era;
        let stall = self.exchange.connection.listener.timeouts.write_stall;
        let silence = era.pools[self.rule.pool].pool().timeouts.connect;
        era.counters.pool(self.rule.pool).h2_connections.inc();
        match session {
            None => h2::start(stream, |stream| stream.into(), "http", stall, silence),
            Some(session) => h2::start(
                (stream, session),
                |(stream, session)| Channel::Secure(stream, session),
                "https",
                stall,
                silence,
            ),
        }
    }
}
