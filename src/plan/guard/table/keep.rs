//! What a process tells the next one of its clients: how often they came. What they have open ends with the process that has it.

use super::{Inserted, LAST_TICK, OPEN_BITS, Ordering, TAKEN, Table, due, ticks};
use std::time::Duration;

/// What the bytes begin with.
const FORM: &[u8] = b"clients 1\n";
/// Bytes of an entry: a key, and when its client's next connection is due.
const ENTRY: usize = 16;

impl Table {
    /// Clients whose rate is not forgotten yet, at most `most`: those first that may come again last. Times are since the boot of the host.
    pub fn to_bytes(&self, now: Duration, most: usize) -> Vec<u8> {
        let now = ticks(now);
        let slots = self.buckets.iter().flat_map(|bucket| &bucket.slots);
        let mut entries: Vec<(u64, u64)> = slots
            .filter_map(|slot| {
                let (rest, key) = (slot.rest.load(Ordering::Acquire), slot.key.load(Ordering::Acquire));
                (rest != TAKEN && due(rest) > now).then_some((key, due(rest)))
            })
            .collect();
        if entries.len() > most {
            entries.sort_unstable_by_key(|&(_, due)| std::cmp::Reverse(due));
            entries.truncate(most);
        }
        let mut bytes = Vec::with_capacity(FORM.len() + 8 + entries.len() * ENTRY);
        bytes.extend_from_slice(FORM);
        bytes.extend_from_slice(&self.seed().to_le_bytes());
        for (key, due) in entries {
            bytes.extend_from_slice(&key.to_le_bytes());
            bytes.extend_from_slice(&due.to_le_bytes());
        }
        bytes
    }

    /// How many clients there are in what [`Self::to_bytes`] has written.
    pub fn clients_of(bytes: &[u8]) -> usize {
        bytes.len().saturating_sub(FORM.len() + 8) / ENTRY
    }

    /// Takes up what [`Self::to_bytes`] of another process of this host has written, before anybody is counted here. Returns how many clients
    /// those were; `None` if it is in another form, of which nothing is taken.
    pub fn take_bytes(&self, bytes: &[u8], now: Duration) -> Option<usize> {
        let (seed, entries) = bytes.strip_prefix(FORM)?.split_first_chunk::<8>()?;
        let (entries, rest) = entries.as_chunks::<ENTRY>();
        if !rest.is_empty() {
            return None;
        }
        self.seed.store(u64::from_le_bytes(*seed), Ordering::Relaxed);
        let number = |bytes: &[u8]| bytes.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte));
        let now = ticks(now);
        let mut taken = 0;
        for entry in entries {
            let (key, due) = entry.split_at(8);
            let due = number(due).min(LAST_TICK);
            if due > now && matches!(self.insert(number(key), due << OPEN_BITS, now), Inserted::At(_)) {
                taken += 1;
            }
        }
        Some(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Full, Pace};
    use super::*;
    use std::sync::Arc;

    const NOW: Duration = Duration::from_secs(1000);
    const HOUR: Duration = Duration::from_secs(3600);

    fn enters(table: &Arc<Table>, key: u64, now: Duration) -> bool {
        match table.enter(key, Some(2), Some(Pace::new(HOUR, 3)), now) {
            Ok(held) => held.is_some(),
            Err(full) => full != Full::Rate,
        }
    }

    #[test]
    fn the_next_process_counts_on_how_often_clients_came_and_not_what_they_have() {
        let old = Arc::new(Table::new(1000));
        for _ in 0..2 {
            let held = [7, 8].map(|key| old.enter(key, Some(2), Some(Pace::new(HOUR, 3)), NOW).unwrap());
            std::mem::forget(held);
        }
        let bytes = old.to_bytes(NOW, 10);
        assert_eq!(Table::clients_of(&bytes), 2);
        let new = Arc::new(Table::new(1000));
        assert_eq!(new.take_bytes(&bytes, NOW), Some(2));
        assert_eq!((new.seed(), new.len(NOW)), (old.seed(), 2));
        // A burst of three, of which two were made; and nobody has any open here.
        assert_eq!([7, 7, 8, 8, 9].map(|key| enters(&new, key, NOW)), [true, false, true, false, true]);
        let later = Arc::new(Table::new(1000));
        assert_eq!(later.take_bytes(&bytes, NOW + 3 * HOUR), Some(0), "what is forgotten by then is not taken");
    }

    #[test]
    fn as_many_go_as_may_and_nonsense_changes_nothing() {
        let old = Arc::new(Table::new(1000));
        for key in 1..=50 {
            enters(&old, key, NOW + Duration::from_secs(key));
        }
        let bytes = old.to_bytes(NOW, 10);
        let new = Arc::new(Table::new(1000));
        assert_eq!(new.take_bytes(&bytes, NOW), Some(10));
        let (seed, size) = (new.seed(), new.len(NOW));
        for wrong in
            [&b""[..], b"clients 1\n", b"clients 1\n1234567", b"clients 2\n12345678", &bytes[..bytes.len() - 1]]
        {
            assert_eq!(new.take_bytes(wrong, NOW), None);
        }
        assert_eq!((new.seed(), new.len(NOW)), (seed, size));
    }
}
