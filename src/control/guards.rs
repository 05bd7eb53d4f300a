//! What metrics and the next process are told of listeners that count clients.

use super::handover::GuardText;
use crate::net::coarse_now;
use crate::observe::scrape::Guard;
use crate::plan::Plan;
use crate::plan::guard::Table;
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use std::sync::Arc;
use std::time::Duration;

/// Clients that are handed over, of all listeners together.
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

/// What a plan's listeners have counted, with their names and what makes a client there.
pub(super) struct Counts(Vec<(String, String, Arc<Table>)>);

fn counts(plan: &Plan) -> impl Iterator<Item = (&str, String, Arc<Table>)> {
    plan.guards().filter_map(|(listener, guard)| {
        let (under, table) = guard.counts()?;
        Some((plan.listeners.get(listener)?.name.as_str(), under, table))
    })
}

impl Counts {
    /// That of `plan`.
    pub(super) fn of(plan: &Plan) -> Self {
        Self(counts(plan).map(|(listener, under, table)| (listener.to_owned(), under, table)).collect())
    }

    /// What another process is told of it. Takes a while if that is much.
    pub(super) fn hand_over(self) -> Vec<GuardText> {
        let mut room = MOST;
        let count = self.0.len();
        let text = |(done, (listener, under, table)): (usize, (String, String, Arc<Table>))| {
            // What one does not need is for those behind it.
            let bytes = table.to_bytes(coarse_now(), room / (count - done));
            room = room.saturating_sub(Table::clients_of(&bytes));
            GuardText { listener, under, clients: STANDARD_NO_PAD.encode(bytes) }
        };
        self.0.into_iter().enumerate().map(text).collect()
    }
}

/// Counts on from what another process has counted.
pub(super) fn inherit(plan: &Plan, texts: &[GuardText]) {
    for (listener, under, table) in counts(plan) {
        let Some(text) = texts.iter().find(|text| text.listener == listener && text.under == under) else { continue };
        let bytes = STANDARD_NO_PAD.decode(&text.clients).ok();
        match bytes.and_then(|bytes| table.take_bytes(&bytes, coarse_now())) {
            Some(clients) => tracing::debug!(listener, clients, "clients are counted on"),
            None => tracing::warn!(
                listener,
                "how often clients came is in a form that is not known here: they are counted anew"
            ),
        }
    }
}
