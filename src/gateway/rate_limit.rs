//! Limits on how often requests are made, and what clients are told of them.

use super::limits::{Decision, fields, several};
use super::meter::{Meter, Now};
use super::{Asked, CountKey, Denial, Ranges, Who};
use crate::observe::reason::Reason;
use smallvec::SmallVec;
use std::sync::Arc;
use std::time::Duration;

/// A rule of type rate-limit or quota.
#[derive(Debug)]
pub struct RateLimit {
    /// Its place among all rules.
    pub index: usize,
    /// What requests are counted by.
    pub key: CountKey,
    /// Whether that is known only once it is known who asks.
    pub late: bool,
    /// Who is not counted.
    pub except: Ranges,
    /// What counts.
    pub meter: Meter,
}

/// What limits have said of a request: each by its place among all rules.
pub type Said = SmallVec<[(usize, Decision); 2]>;

/// What clients are told in answers, of a route's limits.
#[derive(Debug, PartialEq, Eq)]
pub struct Told {
    /// By their places among all rules.
    limits: Box<[ToldOf]>,
}

/// What clients are told of a limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToldOf {
    /// Its place among all rules.
    pub index: usize,
    /// Its name.
    pub name: Box<str>,
    /// The value of `RateLimit-Policy` for it alone.
    pub policy: Box<[u8]>,
    /// By the fields of the draft.
    pub standard: bool,
    /// By those that were usual before.
    pub former: bool,
}

/// Puts a request to several limits at once, and counts it for all of them if none denies it. What they say of it is added to `who`.
///
/// # Errors
/// The one that denies it for the longest time, by its position, and how it does.
pub(super) fn decide_all(limits: &[&RateLimit], asked: &Asked<'_>, who: &mut Who) -> Result<(), (usize, Denial)> {
    let counting = limits.iter().enumerate().filter(|(_, limit)| !limit.except.contains(asked.client));
    let asking: SmallVec<[(usize, (&Meter, u64)); 4]> =
        counting.map(|(at, limit)| (at, (&limit.meter, limit.meter.key(&limit.key, asked, who)))).collect();
    let keyed: SmallVec<[(&Meter, u64); 4]> = asking.iter().map(|(_, keyed)| *keyed).collect();
    let now = Now { running: asked.now, clock: Duration::from_secs(asked.clock) };
    let said = match asked.dry {
        false => several::decide_all(&keyed, now),
        true => several::look_all(&keyed, now),
    };
    let denied = said.iter().zip(&asking).filter(|(decision, _)| !decision.allowed);
    let denied = denied.max_by_key(|(decision, _)| decision.more).map(|(decision, (at, _))| (*at, *decision));
    who.limits.extend(asking.iter().map(|(at, _)| limits[*at].index).zip(said));
    match denied {
        None => Ok(()),
        Some((at, decision)) => {
            let retry_after = u32::try_from(decision.more).unwrap_or(u32::MAX);
            Err((at, Denial { retry_after, ..Denial::new(429, Reason::RateLimit, limits[at].meter.word()) }))
        }
    }
}

impl Told {
    /// The header fields of which it says something, which nobody else's answer has.
    pub const FIELDS: [&str; 5] =
        [fields::POLICY, fields::LIMIT, "X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"];

    /// What is told of these limits; `None`: nothing.
    pub fn new(limits: Vec<ToldOf>) -> Option<Arc<Self>> {
        let mut limits: Vec<ToldOf> = limits.into_iter().filter(|limit| limit.standard || limit.former).collect();
        limits.sort_by_key(|limit| limit.index);
        limits.dedup_by_key(|limit| limit.index);
        (!limits.is_empty()).then(|| Arc::new(Self { limits: limits.into() }))
    }

    /// Shows each header line that tells of what was `said`: its name and its value.
    pub fn each(&self, said: &[(usize, Decision)], mut see: impl FnMut(&str, &[u8])) {
        let of = |index: usize| self.limits.binary_search_by_key(&index, |limit| limit.index).ok();
        let known = || said.iter().filter_map(|(index, decision)| Some((&self.limits[of(*index)?], *decision)));
        let mut value = Vec::new();
        for (limit, _) in known().filter(|(limit, _)| limit.standard) {
            value.extend_from_slice(if value.is_empty() { b"" } else { b", " });
            value.extend_from_slice(&limit.policy);
        }
        if !value.is_empty() {
            see(fields::POLICY, &value);
            value.clear();
            let told: SmallVec<[(&ToldOf, Decision); 4]> = known().filter(|(limit, _)| limit.standard).collect();
            fields::write_limit(&mut value, told.iter().map(|(limit, decision)| (&*limit.name, decision)));
            see(fields::LIMIT, &value);
        }
        let former: SmallVec<[Decision; 4]> =
            known().filter(|(limit, _)| limit.former).map(|(_, decision)| decision).collect();
        for (name, number) in several::tightest(&former).map(fields::former).into_iter().flatten() {
            see(name, itoa::Buffer::new().format(number).as_bytes());
        }
    }
}
