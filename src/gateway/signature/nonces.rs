//! Nonces that were used, so that a request that was heard of counts but once.

use super::Denial;
use crate::gateway::limits::{Record, Table};
use std::sync::Arc;

/// Nonces, in memory that is taken once. When it is full, the one gives way that is the next to be of no use, and that is counted.
#[derive(Clone, Debug)]
pub struct Nonces(Arc<Table<Until>>);

/// Until when a nonce is known, in seconds since 1970.
#[derive(Debug)]
pub struct Until;

impl Nonces {
    /// Room for so many. What was known `before` is known on if that is as large.
    pub fn new(size: usize, before: Option<&Self>) -> Self {
        let table = before.map(|before| &before.0).filter(|table| table.size() == size);
        Self(table.cloned().unwrap_or_else(|| Arc::new(Table::with(Until, size))))
    }

    /// Where they are: for metrics and the next process.
    pub fn table(&self) -> &Arc<Table<Until>> {
        &self.0
    }

    /// Uses a nonce of a key, which is known until `last`.
    ///
    /// # Errors
    /// It was used before, or that cannot be told.
    pub(super) fn take(&self, key: &str, nonce: &str, last: u64, now: u64) -> Result<(), Denial> {
        let mut what = Vec::with_capacity(8 + key.len() + nonce.len());
        what.extend_from_slice(&(key.len() as u64).to_le_bytes());
        what.extend_from_slice(key.as_bytes());
        what.extend_from_slice(nonce.as_bytes());
        let until = last.saturating_add(1).min(Until::LAST);
        let next = |known: u64| if known > now { Err(Denial::Replayed) } else { Ok((until, ())) };
        self.0.change(self.0.key(&what), now, next)?.map(drop).ok_or(Denial::Replayed)
    }
}

impl Record for Until {
    const TICK: u64 = 1_000_000_000;
    const LAST: u64 = u64::MAX - 1;

    fn due(&self, rest: u64, _now: u64) -> u64 {
        rest
    }

    fn form(&self) -> String {
        "nonces 1\n".to_owned()
    }

    fn told(&self, rest: u64) -> u64 {
        rest
    }

    fn heard(&self, told: u64, _now: u64) -> u64 {
        told
    }
}
