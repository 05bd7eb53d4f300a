//! What makes a key of the table.

use super::table::{Record, Table};
use xxhash_rust::xxh3::xxh3_64_with_seed;

impl<R: Record> Table<R> {
    /// The key that stands for `what`: an address, a consumer's name, a claim. Two of a million share one once in 30 million tables.
    pub fn key(&self, what: &[u8]) -> u64 {
        xxh3_64_with_seed(what, self.seed())
    }
}
