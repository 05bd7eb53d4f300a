//! How many requests of a key may be under way at once.

use super::open::{Clients, Full, Held};
use std::sync::Arc;
use std::time::Duration;

/// A limit on requests in flight. Plans that follow each other share what is counted.
#[derive(Clone, Debug)]
pub struct InFlight {
    table: Arc<Clients>,
    most: u32,
}

impl InFlight {
    /// At most `most` at once of each of `size` keys; what was counted `before` counts on if the table is as large.
    pub fn new(most: u32, size: usize, before: Option<&Self>) -> Self {
        let table = before.map(|before| &before.table).filter(|table| table.size() == size);
        Self { table: table.cloned().unwrap_or_else(|| Arc::new(Clients::new(size))), most }
    }

    /// Counts a request of `key` for as long as what is returned lives; `None` if it could not be counted and goes on without. Fails if there
    /// are as many as may be.
    pub fn enter(&self, key: u64, now: Duration) -> Result<Option<Held>, Full> {
        self.table.enter(key, Some(self.most), None, now)
    }

    /// Whether as many requests of `key` are under way as may be.
    pub fn is_full(&self, key: u64) -> bool {
        self.table.open_of(key) >= u64::from(self.most)
    }

    /// How many are under way, of all keys together.
    pub fn open(&self) -> u64 {
        self.table.all_open()
    }

    /// Where it is counted: for keys, metrics and a worker that is gone.
    pub fn table(&self) -> &Arc<Clients> {
        &self.table
    }
}
