//! Who comes in by a listener, as its plan has it, and what comes of it if somebody does not.

use super::feed::Wanted;
use super::{Era, Lane, Seat};
use crate::gateway::{Refusal, Strikes};
use crate::net::{self, Accepted, Peer};
use crate::observe::reason::Reason;
use crate::plan::Guard;
use crate::plan::guard::{Held, Turned};
use std::net::IpAddr;

impl Seat {
    /// Looks whether who connects may come in, before anything is read of it; who may not is refused and counted. What is returned
    /// counts the connection among those of its client, where they are.
    #[inline]
    pub fn admit(&self, lane: &Lane, accepted: &Accepted) -> Result<Option<Held>, Reason> {
        match &self.listener().guard {
            Some(guard) if guard.judges(accepted.peer) => self.look_at(accepted).map_err(|turned| {
                self.refuse(lane, accepted.peer, turned);
                let (listener, client) = (&self.listener().name, accepted.peer.ip);
                tracing::debug!(listener, %client, reason = turned.word, "connection refused");
                turned.reason
            }),
            _ => Ok(None),
        }
    }

    /// The same for the client that it is of, whoever connects, and without counting it as refused. On a connection that may not come
    /// in nothing is sent any more.
    pub fn look_at(&self, accepted: &Accepted) -> Result<Option<Held>, Turned> {
        let Some(guard) = &self.listener().guard else { return Ok(None) };
        let admitted = guard.admit(accepted.peer.ip, net::coarse_now(), |rule, shadow, refuses| {
            self.count_door(rule, shadow, refuses);
        });
        admitted.inspect_err(|_| match guard.silent {
            true => accepted.stream.vanish_on_close(),
            false => accepted.stream.reset_on_close(),
        })
    }

    /// Looks whether a datagram of a client may come in.
    pub fn look_at_datagram(&self, guard: &Guard, client: IpAddr) -> Result<(), Reason> {
        match guard.bars(client) {
            Some(_) => Err(Reason::Denied),
            None => {
                let note = |rule, shadow, refuses| self.count_door(rule, shadow, refuses);
                guard.ask(client, net::coarse_now(), note).map_err(|turned| turned.reason)
            }
        }
    }

    fn count_door(&self, rule: usize, shadow: bool, refuses: bool) {
        let counts = self.era.counters.rule(rule);
        match (refuses, shadow) {
            (false, _) => counts.passed.inc(),
            (true, false) => counts.denied.inc(),
            (true, true) => counts.shadowed.inc(),
        }
    }

    /// Counts that a connection is refused, and has come of it what does.
    pub fn refuse(&self, lane: &Lane, peer: Peer, why: impl Into<Turned>) {
        let Turned { reason, rule, .. } = why.into();
        self.counters().refusals.refused(reason);
        let listener = self.listener();
        if let Some(aftermath) = listener.aftermath.as_ref().filter(|_| !peer.local && !listener.is_fronted_by(peer.ip))
        {
            let refusal = Refusal { rule, reason, status: None };
            aftermath.strikes.iter().for_each(|strikes| lane.strike(&self.era, strikes, peer.ip, &refusal));
        }
    }
}

impl Lane {
    /// Counts that a client was refused, and wants it to be banned if that is too often.
    #[cold]
    pub fn strike(&self, era: &Era, strikes: &Strikes, client: IpAddr, refusal: &Refusal) {
        let Some(net) = strikes.count(client, refusal, net::coarse_now()) else { return };
        let (shadow, counts) = (strikes.shadow, era.counters.rule(strikes.index));
        if shadow {
            counts.shadow_bans.inc()
        } else {
            counts.bans.inc()
        }
        let (span, rule, reason) = (strikes.span, strikes.name.clone(), strikes.reason.clone());
        self.bans.feed().want(Wanted { client: net, span, rule, reason, shadow });
    }
}
