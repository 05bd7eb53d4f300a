//! What live traffic says of targets, of the pools that go by it.

use super::super::prometheus::Page;
use super::super::reason::Ejected;
use super::Scrape;

/// A pool that goes by live traffic.
#[derive(Clone, Debug, Default)]
pub struct LivePool {
    /// The pool's position in the shape.
    pub pool: usize,
    /// Whether its health is not believed; `None`: it always is.
    pub doubted: Option<bool>,
    /// Its targets, if any may be ejected.
    pub outliers: Vec<LiveTarget>,
    /// The shares of the work that its targets have of their own ones, 0 to 1, if they start slowly.
    pub shares: Vec<f64>,
}

/// A target that may be ejected.
#[derive(Clone, Copy, Debug, Default)]
pub struct LiveTarget {
    /// Whether it is.
    pub ejected: bool,
    /// How often it was, by the reason.
    pub ejections: [u64; Ejected::COUNT],
    /// How often it was not, because as many were as may be.
    pub withheld: u64,
}

impl Scrape<'_> {
    pub(super) fn write_live(&self, page: &mut Page) {
        let outliers = || {
            self.live.iter().flat_map(|of| {
                let (pool, targets) = &self.shape.pools[of.pool];
                of.outliers.iter().zip(targets).map(move |(live, target)| (live, pool.as_str(), target.as_str()))
            })
        };
        let mut ejected = page.gauge("ringway_target_ejected", "1 while the target is ejected.");
        outliers().for_each(|(live, pool, target)| {
            ejected.sample(&[("pool", pool), ("target", target)], u64::from(live.ejected));
        });
        let mut total = page.counter("ringway_target_ejections_total", "Ejections by their reason.");
        for (live, pool, target) in outliers() {
            for (why, count) in Ejected::ALL.iter().zip(live.ejections) {
                total.sample(&[("pool", pool), ("target", target), ("reason", why.word())], count);
            }
        }
        let help = "Ejections that were not, as many as may be being ejected already.";
        let mut withheld = page.counter("ringway_target_ejections_withheld_total", help);
        outliers().for_each(|(live, pool, target)| {
            withheld.sample(&[("pool", pool), ("target", target)], live.withheld);
        });
        let help = "The part of its own share of the work that a target has: less than 1 in slow start.";
        let mut shares = page.gauge("ringway_target_slow_start_share", help);
        for of in self.live {
            let (pool, targets) = &self.shape.pools[of.pool];
            for (share, target) in of.shares.iter().zip(targets) {
                shares.sample(&[("pool", pool), ("target", target)], share);
            }
        }
        let mut doubted =
            page.gauge("ringway_pool_panic", "1 while health is not believed: too few targets are usable.");
        for of in self.live {
            if let Some(is) = of.doubted {
                doubted.sample(&[("pool", &self.shape.pools[of.pool].0)], u64::from(is));
            }
        }
    }
}
