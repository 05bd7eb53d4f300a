//! What there is to count of pools that are sticky; nothing where none is.

use super::{Page, Scrape};
use crate::observe::reason::Sticking;

/// A pool that is sticky.
#[derive(Clone, Debug, Default)]
pub struct StickyPool {
    /// The pool's position in the shape.
    pub pool: usize,
    /// The table in which clients are noted, if there is one.
    pub table: Option<StickyTable>,
}

/// A table in which clients are noted.
#[derive(Clone, Debug, Default)]
pub struct StickyTable {
    /// The entries that it has room for.
    pub size: usize,
    /// Entries that gave way to others before their time.
    pub evictions: u64,
    /// The entries of each target, by its position in the pool.
    pub entries: Vec<u64>,
}

impl Scrape<'_> {
    pub(super) fn write_sticky(&self, page: &mut Page) {
        if self.sticky_pools.is_empty() {
            return;
        }
        let name = |of: &StickyPool| self.shape.pools[of.pool].0.as_str();
        let mut stands = page.counter("ringway_pool_sticky_total", "Where clients stood to their targets.");
        for of in self.sticky_pools {
            let counts = self.sums(|w| w.pool(of.pool).sticky.get());
            for (how, count) in Sticking::ALL.iter().zip(counts) {
                stands.sample(&[("pool", name(of)), ("result", how.word())], count);
            }
        }
        let help = "Requests and connections of clients that belong to the target.";
        let mut kept = page.counter("ringway_target_sticky_total", help);
        for of in self.sticky_pools {
            for (at, target) in self.shape.pools[of.pool].1.iter().enumerate() {
                let count = self.sum(|w| w.pool(of.pool).target(at).kept.get());
                kept.sample(&[("pool", name(of)), ("target", target)], count);
            }
        }
        let tables = || self.sticky_pools.iter().filter_map(|of| Some((of, of.table.as_ref()?)));
        if tables().next().is_none() {
            return;
        }
        let mut size = page.gauge("ringway_pool_sticky_size", "Entries that the table has room for.");
        tables().for_each(|(of, table)| size.sample(&[("pool", name(of))], table.size));
        let help = "Entries that gave way to others before their time.";
        let mut evictions = page.counter("ringway_pool_sticky_evictions_total", help);
        tables().for_each(|(of, table)| evictions.sample(&[("pool", name(of))], table.evictions));
        let mut entries = page.gauge("ringway_target_sticky_entries", "Entries by which clients belong to the target.");
        for (of, table) in tables() {
            for (target, count) in self.shape.pools[of.pool].1.iter().zip(&table.entries) {
                entries.sample(&[("pool", name(of)), ("target", target)], count);
            }
        }
    }
}
