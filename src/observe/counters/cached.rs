//! What a cache did for requests.

use super::{Counter, Counters};
use crate::observe::reason::Cached;

/// Per cache.
#[derive(Debug, Default)]
pub struct CacheSet {
    /// Requests of routes that have it, by what it did for them.
    pub requests: Counters<{ Cached::COUNT }>,
    /// Bytes of content that came from it.
    pub sent: Counter,
}

impl CacheSet {
    /// Counts a request whose client was sent so much content.
    pub fn served(&self, how: Cached, content: u64) {
        self.requests.0[how.index()].inc();
        if how.is_stored() {
            self.sent.add(content);
        }
    }
}
