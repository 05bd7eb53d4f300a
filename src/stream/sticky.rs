//! Where the client of a connection belongs, by its address.

use crate::net::coarse_now;
use crate::observe::counters::PoolCounters;
use crate::observe::reason::{Failure, Sticking};
use crate::upstream::sticky::Noted;
use crate::upstream::{Ask, Pool, Sticky, Tried};
use std::net::IpAddr;

/// Where a client belongs; nowhere, in a pool that is not sticky by address.
#[derive(Clone, Copy)]
pub(super) struct Belonging<'a> {
    /// The table, and what the client is noted under.
    noted: Option<(&'a Noted, u64)>,
    owner: Option<usize>,
    strict: bool,
}

impl<'a> Belonging<'a> {
    /// Looks at a client at `ip`.
    pub(super) fn look(pool: &'a Pool, ip: IpAddr) -> Self {
        let sticky = pool.sticky.as_ref();
        let noted = sticky.and_then(Sticky::noted).and_then(|noted| Some((noted, noted.source(ip)?)));
        let owner = noted.and_then(|(noted, key)| noted.find(key, coarse_now()));
        Self { noted, owner, strict: sticky.is_some_and(|sticky| sticky.strict) && owner.is_some() }
    }

    /// What a target is chosen by.
    pub(super) fn ask<'t>(&self, key: u64, tried: &'t Tried) -> Ask<'t> {
        Ask { key, tried, owner: self.owner, only_owner: self.strict }
    }

    /// What went wrong where there is no target.
    pub(super) fn nowhere(&self) -> Failure {
        if self.strict { Failure::StickyTarget } else { Failure::NoTarget }
    }

    /// The target at `target` is to be connected to. Connections that come several at a time from one address then go to the same.
    pub(super) fn chosen(&self, target: usize) {
        if let Some((noted, key)) = self.noted.filter(|_| self.owner.is_none()) {
            noted.claim(key, target, coarse_now());
        }
    }

    /// The connection stands; `again`: another target was tried before.
    pub(super) fn connected(&self, target: usize, again: bool) {
        if let Some((noted, key)) = self.noted
            && self.owner.map_or(again, |owner| owner != target)
        {
            noted.note(key, target, coarse_now());
        }
    }

    /// Counts how the client stood, once the target at `target` was the last that was tried.
    pub(super) fn count(&self, counters: &PoolCounters, target: Option<usize>) {
        if self.noted.is_none() {
            return;
        }
        let how = match self.owner {
            None => Sticking::New,
            owner if owner == target => Sticking::Kept,
            _ if self.strict => Sticking::Refused,
            _ => Sticking::Moved,
        };
        counters.stuck(how, self.owner);
    }
}
