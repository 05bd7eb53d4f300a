//! What metrics and the next process are told of listeners that count clients, and of rules that count requests.

use super::handover::GuardText;
use crate::gateway::limits::shares::UNIT;
use crate::gateway::limits::{Clients, Record, Table};
use crate::net::coarse_now;
use crate::observe::scrape::{Guard, RuleKeys, SharedKeys};
use crate::plan::{Counted, KeptKeys, Keys, Plan};
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// What stands in place of what makes a key, of nonces.
const NONCES: &str = "nonces";
/// The same, of requests that are carried out once.
const ONCE: &str = "idempotency-keys";
/// Keys that are handed over, of all listeners together, and as many of all rules.
const MOST: usize = 200_000;

/// The listeners of a plan that count clients, as of `now`.
pub(super) fn of(plan: &Plan, now: Duration) -> Vec<Guard> {
    let counting = plan.guards().filter_map(|(listener, guard)| {
        let table = guard.table()?;
        Some(Guard {
            listener,
            clients: table.len(now),
            size: table.size(),
            evictions: table.evictions(),
            uncounted: table.uncounted(),
        })
    });
    counting.collect()
}

/// What a plan's rules count, as of `now`.
pub(super) fn of_rules(plan: &Plan, now: Duration) -> Vec<RuleKeys> {
    fn of<R: Record>(rule: &str, table: &Table<R>, now: Duration) -> RuleKeys {
        RuleKeys {
            rule: rule.to_owned(),
            keys: table.len(now),
            size: table.size(),
            evictions: table.evictions(),
            open: None,
            shared: None,
        }
    }
    let today = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let rates = plan.counted.iter().map(|counted| {
        let shared = counted.limiter.shares().map(|shares| SharedKeys {
            share: f64::from(shares.base()) / f64::from(UNIT),
            divided: shares.divided(),
            passed_over: shares.passed_over(),
        });
        RuleKeys { shared, ..of(&counted.rule, counted.limiter.table(), now) }
    });
    let flights = plan.lasting.flights().iter().map(|kept| {
        let open = Some(kept.flight.open());
        RuleKeys { open, ..of(&kept.rule, kept.flight.table(), now) }
    });
    let rates = rates.chain(flights);
    let quotas = plan.lasting.quotas().iter().chain(plan.lasting.shared_quotas());
    let quotas = quotas.map(|kept| of(&kept.rule, kept.quota.table(), today));
    let nonces = plan.lasting.all_nonces().iter().map(|(rule, nonces)| of(rule, nonces.table(), today));
    rates.chain(quotas).chain(nonces).collect()
}

/// What a plan's listeners and rules have counted, with their names and what makes a key there.
pub(super) struct Counts {
    listeners: Vec<(String, String, Arc<dyn Kept>)>,
    rules: Vec<(String, String, Arc<dyn Kept>)>,
}

/// What another process can count on from.
pub(super) trait Kept: Send + Sync {
    /// As many of its keys as that, in a form of its own.
    fn to_bytes(&self, now: Duration, most: usize) -> Vec<u8>;
    /// Takes them. Returns how many there were; `None`: their form is not known here.
    fn take_bytes(&self, bytes: &[u8], now: Duration) -> Option<usize>;
}

impl<R: Record + Send + Sync> Kept for Table<R> {
    fn to_bytes(&self, now: Duration, most: usize) -> Vec<u8> {
        Table::to_bytes(self, now, most)
    }

    fn take_bytes(&self, bytes: &[u8], now: Duration) -> Option<usize> {
        Table::take_bytes(self, bytes, now)
    }
}

impl Kept for Keys {
    fn to_bytes(&self, now: Duration, most: usize) -> Vec<u8> {
        Keys::to_bytes(self, now, most)
    }

    fn take_bytes(&self, bytes: &[u8], now: Duration) -> Option<usize> {
        Keys::take_bytes(self, bytes, now)
    }
}

impl Counts {
    /// That of `plan`.
    pub(super) fn of(plan: &Plan) -> Self {
        let listeners = plan.guards().filter_map(|(listener, guard)| {
            let (under, table) = guard.counts()?;
            Some((plan.listeners.get(listener)?.name.clone(), under, table as Arc<dyn Kept>))
        });
        let rules = plan.counted.iter().map(|Counted { rule, under, limiter }| {
            (rule.clone(), under.clone(), limiter.table().clone() as Arc<dyn Kept>)
        });
        let nonces = plan
            .lasting
            .all_nonces()
            .iter()
            .map(|(rule, nonces)| (rule.clone(), NONCES.to_owned(), nonces.table().clone() as Arc<dyn Kept>));
        let keys = plan.lasting.all_keys().iter();
        let keys =
            keys.map(|KeptKeys { rule, keys, .. }| (rule.clone(), ONCE.to_owned(), keys.clone() as Arc<dyn Kept>));
        Self { listeners: listeners.collect(), rules: rules.chain(nonces).chain(keys).collect() }
    }

    /// What another process is told of it, of listeners and of rules. Takes a while if that is much.
    pub(super) fn hand_over(self) -> [Vec<GuardText>; 2] {
        [self.listeners, self.rules].map(told)
    }

    /// Counts on from what another process has told.
    pub(super) fn take(self, [listeners, rules]: [&[GuardText]; 2]) {
        heard(&self.listeners, listeners);
        heard(&self.rules, rules);
    }
}

fn told(counts: Vec<(String, String, Arc<dyn Kept>)>) -> Vec<GuardText> {
    let mut room = MOST;
    let count = counts.len();
    let text = |(done, (listener, under, table)): (usize, (String, String, Arc<dyn Kept>))| {
        // What one does not need is for those behind it.
        let bytes = table.to_bytes(coarse_now(), room / (count - done));
        room = room.saturating_sub(Clients::clients_of(&bytes));
        GuardText { listener, under, clients: STANDARD_NO_PAD.encode(bytes) }
    };
    counts.into_iter().enumerate().map(text).collect()
}

fn heard(counts: &[(String, String, Arc<dyn Kept>)], texts: &[GuardText]) {
    for (of, under, table) in counts {
        let Some(text) = texts.iter().find(|text| text.listener == *of && text.under == *under) else { continue };
        let bytes = STANDARD_NO_PAD.decode(&text.clients).ok();
        match bytes.and_then(|bytes| table.take_bytes(&bytes, coarse_now())) {
            Some(keys) => tracing::debug!(of, keys, "what was counted is counted on"),
            None => tracing::warn!(of, "what was counted is in a form that is not known here: it is counted anew"),
        }
    }
}
