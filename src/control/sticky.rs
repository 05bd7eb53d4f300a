//! The tables in which clients of pools are noted, as metrics, operators and the next process see them.

use super::handover::TableText;
use crate::net::coarse_now;
use crate::observe::scrape::{StickyPool, StickyTable};
use crate::plan::Plan;
use crate::upstream::sticky::{Noted, Table};
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use std::sync::Arc;

/// Entries that are handed over, of all tables together: a third less than a letter has room for.
const MOST: usize = 2_000_000;

/// The pools that are sticky.
pub(super) fn pools(plan: &Plan) -> Vec<StickyPool> {
    let pools = plan.pools.iter().enumerate().filter_map(|(pool, of)| Some((pool, of.shared.sticky.as_ref()?)));
    let seen = pools.map(|(pool, sticky)| StickyPool {
        pool,
        table: sticky.noted().map(|noted| StickyTable {
            size: noted.table.size(),
            evictions: noted.table.evictions(),
            entries: noted.counts(coarse_now()),
        }),
    });
    seen.collect()
}

/// The tables of a plan, with the names of their pools.
pub(super) struct Tables(Vec<(String, String, Arc<Table>)>);

fn tables(plan: &Plan) -> impl Iterator<Item = (&str, &Noted)> {
    plan.pools.iter().filter_map(|pool| Some((pool.shared.name.as_str(), pool.shared.sticky.as_ref()?.noted()?)))
}

impl Tables {
    /// Those of `plan`.
    pub(super) fn of(plan: &Plan) -> Self {
        let table = |(pool, noted): (&str, &Noted)| (pool.to_owned(), noted.under.to_string(), noted.table.clone());
        Self(tables(plan).map(table).collect())
    }

    /// What is in them, for another process. Takes a while if that is much.
    pub(super) fn hand_over(self) -> Vec<TableText> {
        let mut room = MOST;
        let mut texts = Vec::new();
        let count = self.0.len();
        for (done, (pool, under, table)) in self.0.into_iter().enumerate() {
            // What one does not need is for those behind it.
            let bytes = table.to_bytes(coarse_now(), room / (count - done));
            room = room.saturating_sub(Table::entries_of(&bytes));
            texts.push(TableText { pool, under, entries: STANDARD_NO_PAD.encode(bytes) });
        }
        texts
    }
}

/// Takes up what another process has noted.
pub(super) fn inherit(plan: &Plan, texts: &[TableText]) {
    for (pool, noted) in tables(plan) {
        let under = noted.under.to_string();
        let Some(text) = texts.iter().find(|text| text.pool == pool && text.under == under) else { continue };
        let bytes = STANDARD_NO_PAD.decode(&text.entries).ok();
        match bytes.and_then(|bytes| noted.table.take_bytes(&bytes, coarse_now())) {
            Some(entries) => tracing::debug!(pool, entries, "clients stay with their targets"),
            None => tracing::warn!(pool, "where clients belong is in a form that is not known here: they choose anew"),
        }
    }
}
