//! What a process tells the next one of its keys: how often they came. What they have open ends with the process that has it.

use super::sync::Ordering;
use super::table::{EMPTY, Inserted, Record, TAKEN, Table};
use std::time::Duration;

/// Bytes of an entry: a key, and what is known of it.
const ENTRY: usize = 16;

impl<R: Record> Table<R> {
    /// Keys of which something is still to be known, at most `most`: those first that are missed the most. Times are since the boot of the host.
    pub fn to_bytes(&self, now: Duration, most: usize) -> Vec<u8> {
        let now = Self::ticks(now);
        let mut entries: Vec<(u64, u64, u64)> = self
            .slots()
            .filter_map(|slot| {
                let (rest, key) = (slot.rest.load(Ordering::Acquire), slot.key.load(Ordering::Acquire));
                let due = if rest == EMPTY || rest == TAKEN { 0 } else { self.record.due(rest, now) };
                (due > now).then(|| (key, self.record.told(rest), due))
            })
            .collect();
        if entries.len() > most {
            entries.sort_unstable_by_key(|&(.., due)| std::cmp::Reverse(due));
            entries.truncate(most);
        }
        let form = self.record.form();
        let mut bytes = Vec::with_capacity(form.len() + 8 + entries.len() * ENTRY);
        bytes.extend_from_slice(form.as_bytes());
        bytes.extend_from_slice(&self.seed().to_le_bytes());
        for (key, told, _) in entries {
            bytes.extend_from_slice(&key.to_le_bytes());
            bytes.extend_from_slice(&told.to_le_bytes());
        }
        bytes
    }

    /// How many keys there are in what [`Self::to_bytes`] has written.
    pub fn clients_of(bytes: &[u8]) -> usize {
        let form = bytes.iter().position(|&byte| byte == b'\n').map_or(bytes.len(), |end| end + 1);
        bytes.len().saturating_sub(form + 8) / ENTRY
    }

    /// Takes up what [`Self::to_bytes`] of another process of this host has written, before anything is counted here. Returns how many keys
    /// those were; `None` if it is in another form, or of keys that are hashed otherwise: then nothing is taken.
    pub fn take_bytes(&self, bytes: &[u8], now: Duration) -> Option<usize> {
        let (seed, entries) = bytes.strip_prefix(self.record.form().as_bytes())?.split_first_chunk::<8>()?;
        let (entries, rest) = entries.as_chunks::<ENTRY>();
        if !rest.is_empty() || !self.take_seed(u64::from_le_bytes(*seed)) {
            return None;
        }
        let number = |bytes: &[u8]| bytes.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte));
        let now = Self::ticks(now);
        let mut taken = 0;
        for entry in entries {
            let (key, told) = entry.split_at(8);
            let rest = self.record.heard(number(told), now);
            let counts = rest != EMPTY && rest != TAKEN && self.record.due(rest, now) > now;
            if counts && matches!(self.insert(number(key), rest, now), Inserted::At(_)) {
                taken += 1;
            }
        }
        Some(taken)
    }
}
