//! What a session goes by: what its listener, pool and counters are under the plan that it began in, or goes on in.

use crate::lane::{Era, Seat};
use crate::net;
use crate::observe::counters::{ListenerSet, PoolCounters, Shared, TargetSet};
use crate::plan::{self, Key, Protocol};
use crate::upstream::balance::Kind;
use crate::upstream::{Ask, Attempt, Local, Tried};
use std::net::{IpAddr, SocketAddr};
use std::rc::{Rc, Weak};
use std::time::Duration;

/// What sessions go by that began under one plan. It holds no plan.
pub(super) struct Terms {
    /// The era, of which only the identity counts.
    era: Weak<Era>,
    /// The listener's name.
    pub(super) listener: String,
    pub(super) counters: Shared<ListenerSet>,
    pub(super) udp: plan::Udp,
    pub(super) local: Rc<Local>,
    pub(super) pool: PoolCounters,
    /// Whether the balancer goes by how fast targets answer.
    pub(super) times_answers: bool,
}

impl Terms {
    /// Those of a listener for datagrams.
    pub(super) fn of(seat: &Seat) -> Option<Self> {
        let Protocol::Udp(udp) = seat.listener().protocol else { return None };
        let local = seat.era.pools.get(udp.pool)?.clone();
        Some(Self {
            era: Rc::downgrade(&seat.era),
            listener: seat.listener().name.clone(),
            counters: seat.counters().clone(),
            udp,
            times_answers: local.pool().balance == Kind::Latency,
            local,
            pool: seat.era.counters.pool(udp.pool).clone(),
        })
    }

    /// Whether they are those of `seat`.
    #[inline]
    pub(super) fn are_of(&self, seat: &Seat) -> bool {
        std::ptr::eq(self.era.as_ptr(), Rc::as_ptr(&seat.era))
    }

    /// Chooses a target for a client: none of `avoided` if there is another.
    pub(super) fn choose(&self, client: IpAddr, avoided: &Tried) -> Option<(Attempt, SocketAddr)> {
        let (key, now) = (Key::hash_ip(client), net::coarse_now());
        let attempt = match self.local.choose(&Ask::any(key, avoided), now) {
            None if !avoided.is_empty() => self.local.choose(&Ask::any(key, &Tried::default()), now),
            chosen => chosen,
        }?;
        let address = address_of(&attempt)?;
        Some((attempt, address))
    }

    /// What is counted of the target at `address`, if the pool has it.
    pub(super) fn target(&self, address: SocketAddr) -> Option<(usize, &Shared<TargetSet>)> {
        let address = net::Address::Ip(address);
        let place = self.local.pool().targets.iter().position(|target| target.address == address)?;
        Some((place, self.pool.target(place)))
    }

    /// How long a session may be silent.
    pub(super) fn idle(&self, most: Duration) -> Duration {
        self.udp.idle.min(most)
    }
}

/// Where the target of an attempt receives datagrams.
fn address_of(attempt: &Attempt) -> Option<SocketAddr> {
    match attempt.target().address {
        net::Address::Ip(address) => Some(address),
        net::Address::Unix(_) => None,
    }
}
