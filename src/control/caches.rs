//! Caches as metrics and operators see them, and what looks after them.

use super::present::Shared;
use crate::cache::disk::Disk;
use crate::observe::scrape::{Cache, DiskTier, Tier};
use crate::plan::Plan;
use std::time::Duration;

/// Between two looks for purges.
const EVERY: Duration = Duration::from_secs(2);
/// What takes long is done more rarely: this many times as long passes until the next.
const REST: u32 = 20;

/// The caches of a plan.
pub(super) fn of(plan: &Plan) -> Vec<Cache> {
    let seen = plan.caches.iter().enumerate().map(|(cache, of)| {
        let (store, figures) = (&of.shared, &of.shared.figures);
        let memory = Tier {
            name: "memory",
            bytes: store.used(),
            limit: store.memory(),
            objects: store.objects(),
            evicted: figures.evicted.get(),
            disk: None,
        };
        let disk = store.with_disk(Disk::usage).map(|usage| Tier {
            name: "disk",
            bytes: usage.bytes,
            limit: usage.limit,
            objects: usage.objects,
            evicted: usage.evicted,
            disk: Some(DiskTier {
                queued: usage.queued,
                stored: usage.stored,
                read: usage.read,
                refused: [("busy", usage.busy), ("failing", usage.failing), ("too-large", usage.too_large)],
                carried: usage.carried,
                errors: [("corrupt", usage.corrupt), ("read", usage.read_errors), ("write", usage.write_errors)],
            }),
        });
        Cache {
            cache,
            tiers: [memory].into_iter().chain(disk).collect(),
            asking: figures.asking.get(),
            stored: figures.stored.get(),
            validated: figures.validated.get(),
            unkept: figures.unkept().collect(),
            purged: figures.purged.get(),
        }
    });
    seen.collect()
}

/// Has what was purged give back its memory, for as long as the process lives.
pub(super) async fn tend(present: Shared) {
    let mut rest = EVERY;
    loop {
        tokio::time::sleep(rest).await;
        let begun = std::time::Instant::now();
        let purged: Vec<_> = {
            let present = present.load();
            let stores = present.plan.caches.iter().map(|store| &store.shared);
            stores.filter(|store| store.is_to_be_swept()).cloned().collect()
        };
        for store in purged {
            // It walks over all that is stored.
            if tokio::task::spawn_blocking(move || store.sweep()).await.is_err() {
                tracing::error!("looking through a cache has panicked, which is a fault of Ringway's");
            }
        }
        rest = EVERY.max(begun.elapsed() * REST);
    }
}
