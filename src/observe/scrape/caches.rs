//! What there is to count of caches; nothing without any.

use super::{Page, Scrape};
use crate::observe::reason::Cached;

/// A cache.
#[derive(Clone, Debug, Default)]
pub struct Cache {
    /// The cache's position in the shape.
    pub cache: usize,
    /// Where it keeps what.
    pub tiers: Vec<Tier>,
    /// Questions to origins that are under way.
    pub asking: u64,
    /// Answers that were stored.
    pub stored: u64,
    /// Answers that origins have confirmed.
    pub validated: u64,
    /// Answers that were not stored, by why.
    pub unkept: Vec<(&'static str, u64)>,
    /// Answers that were purged, and are gone.
    pub purged: u64,
}

/// Where a cache keeps answers.
#[derive(Clone, Debug, Default)]
pub struct Tier {
    /// "memory" or "disk".
    pub name: &'static str,
    /// Bytes that it holds.
    pub bytes: u64,
    /// Bytes that it may hold.
    pub limit: u64,
    /// Keys that it holds.
    pub objects: u64,
    /// Keys that gave way to others.
    pub evicted: u64,
    /// That of a disk.
    pub disk: Option<DiskTier>,
}

/// What goes to a disk and comes from it.
#[derive(Clone, Debug, Default)]
pub struct DiskTier {
    /// Bytes that wait to be written.
    pub queued: u64,
    /// Objects that were written.
    pub stored: u64,
    /// Times that an object was read.
    pub read: u64,
    /// Objects that were not, by why.
    pub refused: [(&'static str, u64); 3],
    /// Objects that stayed, though it was their turn to give way, as they had been asked for.
    pub carried: u64,
    /// What failed, by what it was.
    pub errors: [(&'static str, u64); 3],
}

impl Scrape<'_> {
    pub(super) fn write_caches(&self, page: &mut Page) {
        if self.caches.is_empty() {
            return;
        }
        let name = |of: &Cache| self.shape.caches[of.cache].as_str();
        let help = "Requests of routes with the cache, by what it did for them and why.";
        let mut requests = page.counter("ringway_cache_requests_total", help);
        for of in self.caches {
            let counts = self.sums(|w| w.cache(of.cache).requests.get());
            for (how, count) in Cached::ALL.iter().zip(counts) {
                let labels = [("cache", name(of)), ("result", how.result()), ("reason", how.reason().unwrap_or(""))];
                requests.sample(&labels[..if how.reason().is_some() { 3 } else { 2 }], count);
            }
        }
        let mut sent = page.counter("ringway_cache_sent_bytes_total", "Bytes of content that came from the cache.");
        for of in self.caches {
            sent.sample(&[("cache", name(of))], self.sum(|w| w.cache(of.cache).sent.get()));
        }
        let mut per_tier = |metric, help, grows: bool, value: fn(&Tier) -> u64| {
            let mut family = if grows { page.counter(metric, help) } else { page.gauge(metric, help) };
            for (of, tier) in self.caches.iter().flat_map(|of| of.tiers.iter().map(move |tier| (of, tier))) {
                family.sample(&[("cache", name(of)), ("tier", tier.name)], value(tier));
            }
        };
        per_tier("ringway_cache_bytes", "Bytes held, everything around the contents counted.", false, |t| t.bytes);
        per_tier("ringway_cache_max_bytes", "Bytes that may be held.", false, |t| t.limit);
        per_tier("ringway_cache_objects", "Keys that something is held for.", false, |t| t.objects);
        per_tier("ringway_cache_evicted_total", "Keys that gave way to others.", true, |t| t.evicted);
        let mut asking = page.gauge("ringway_cache_fills", "Questions to origins under way.");
        self.caches.iter().for_each(|of| asking.sample(&[("cache", name(of))], of.asking));
        let mut per_cache = |metric, help, value: fn(&Cache) -> u64| {
            let mut family = page.counter(metric, help);
            self.caches.iter().for_each(|of| family.sample(&[("cache", name(of))], value(of)));
        };
        per_cache("ringway_cache_stored_total", "Answers that were stored.", |of| of.stored);
        let help = "Stored answers of which the origin said that they are as they were.";
        per_cache("ringway_cache_validated_total", help, |of| of.validated);
        let help = "Answers that were purged or forgotten, and are gone.";
        per_cache("ringway_cache_purged_total", help, |of| of.purged);
        let mut unkept = page.counter("ringway_cache_not_stored_total", "Answers that were not stored, by why.");
        for of in self.caches {
            for (why, count) in &of.unkept {
                unkept.sample(&[("cache", name(of)), ("reason", why)], count);
            }
        }
        self.write_disks(page);
    }

    fn write_disks(&self, page: &mut Page) {
        let disks = || {
            let tiers = self.caches.iter().flat_map(|of| of.tiers.iter().map(move |tier| (of.cache, tier)));
            tiers.filter_map(|(cache, tier)| Some((self.shape.caches[cache].as_str(), tier.disk.as_ref()?)))
        };
        if disks().next().is_none() {
            return;
        }
        let mut queued = page.gauge("ringway_cache_disk_queued_bytes", "Bytes that wait to be written.");
        disks().for_each(|(name, disk)| queued.sample(&[("cache", name)], disk.queued));
        let mut stored = page.counter("ringway_cache_disk_stored_total", "Answers that were written.");
        disks().for_each(|(name, disk)| stored.sample(&[("cache", name)], disk.stored));
        let mut read = page.counter("ringway_cache_disk_read_total", "Answers that were read.");
        disks().for_each(|(name, disk)| read.sample(&[("cache", name)], disk.read));
        let help = "Answers that stayed, though it was their turn to give way, as they had been asked for.";
        let mut carried = page.counter("ringway_cache_disk_carried_total", help);
        disks().for_each(|(name, disk)| carried.sample(&[("cache", name)], disk.carried));
        let mut refused = page.counter("ringway_cache_disk_not_stored_total", "Answers that were not written, by why.");
        for (name, disk) in disks() {
            disk.refused.iter().for_each(|(why, count)| refused.sample(&[("cache", name), ("reason", why)], count));
        }
        let mut errors = page.counter("ringway_cache_disk_errors_total", "What failed with the disk, by what it was.");
        for (name, disk) in disks() {
            disk.errors.iter().for_each(|(what, count)| errors.sample(&[("cache", name), ("kind", what)], count));
        }
    }
}
