//! A table of keys with the mark of a target each, which all workers read and write at the same time.
//!
//! Its memory is taken once. A key has sixteen slots in two buckets where it may stand; when all are taken, what has been asked for
//! the longest ago gives way. What is not asked for in time is over.
//!
//! Invariants: nobody waits for anybody: a slot is changed by whoever gets hold of it, and who does not looks for another
//! or lets it be. A reader sees a key with its own mark or not at all. Two that note the same key at the same time may
//! leave two entries; all find the same one of them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A table.
#[derive(Debug)]
pub struct Table {
    buckets: Box<[Bucket]>,
    size: usize,
    evictions: AtomicU64,
}

/// Two cache lines.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Bucket([Slot; WAYS]);

#[derive(Debug, Default)]
struct Slot {
    key: AtomicU64,
    /// Until when it is good, in seconds, and the mark; [`EMPTY`]; or [`HELD`] by whoever changes it.
    rest: AtomicU64,
}

const WAYS: usize = 8;
const EMPTY: u64 = 0;
const HELD: u64 = u64::MAX;
/// How often a change is begun anew when somebody else was faster.
const TRIES: usize = 8;
/// Bytes of an entry in the form for another process.
const ENTRY: usize = 16;
/// What that form begins with.
const FORM: &[u8; 4] = b"RWT1";

impl Table {
    /// A table with room for `size` entries.
    pub fn new(size: usize) -> Self {
        // A third of the slots stays free, so that next to none gives way before it is full.
        let buckets = (size + size / 2).div_ceil(WAYS).max(2);
        Self { buckets: (0..buckets).map(|_| Bucket::default()).collect(), size, evictions: AtomicU64::new(0) }
    }

    /// A table of another size with the entries of this one.
    pub fn resized(&self, size: usize, now: Duration) -> Self {
        let next = Self::new(size);
        next.evictions.store(self.evictions(), Ordering::Relaxed);
        self.each(now, |key, mark, left| next.set(key, mark, now, left));
        next
    }

    /// The entries that it has room for.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Entries that gave way to others before their time.
    pub fn evictions(&self) -> u64 {
        self.evictions.load(Ordering::Relaxed)
    }

    /// The mark under `key`, which is good for `expire` from `now` on.
    pub fn get(&self, key: u64, now: Duration, expire: Duration) -> Option<u32> {
        let (slot, rest) = self.find(key, seconds(now))?;
        let until = until(now, expire);
        // To be written by each request would have workers fetch the line from each other.
        if u64::from(until.abs_diff(end(rest))) > expire.as_secs() / 16 {
            let _ = slot.rest.compare_exchange(rest, pack(until, mark(rest)), Ordering::AcqRel, Ordering::Relaxed);
        }
        Some(mark(rest))
    }

    /// The same without remembering it anew, with the seconds it is still good for.
    pub fn peek(&self, key: u64, now: Duration) -> Option<(u32, u32)> {
        let (_, rest) = self.find(key, seconds(now))?;
        Some((mark(rest), end(rest) - seconds(now)))
    }

    /// Puts `mark` under `key`, whatever was there.
    pub fn set(&self, key: u64, mark: u32, now: Duration, expire: Duration) {
        let new = pack(until(now, expire), mark);
        for _ in 0..TRIES {
            let Some((slot, old)) = self.find(key, seconds(now)) else {
                if self.insert(key, new, seconds(now)) {
                    return;
                }
                continue;
            };
            if slot.rest.compare_exchange(old, HELD, Ordering::AcqRel, Ordering::Relaxed).is_err() {
                continue;
            }
            // It may have become another's in between, with the same rest.
            let still = slot.key.load(Ordering::Acquire) == key;
            slot.rest.store(if still { new } else { old }, Ordering::Release);
            if still {
                return;
            }
        }
    }

    /// Puts `mark` under `key` if nothing is there.
    pub fn claim(&self, key: u64, mark: u32, now: Duration, expire: Duration) {
        let new = pack(until(now, expire), mark);
        for _ in 0..TRIES {
            if self.find(key, seconds(now)).is_some() || self.insert(key, new, seconds(now)) {
                return;
            }
        }
    }

    /// Takes away what is under `key`. Returns whether anything was.
    pub fn remove(&self, key: u64, now: Duration) -> bool {
        let mut any = false;
        for _ in 0..TRIES {
            let Some((slot, old)) = self.find(key, seconds(now)) else { break };
            any |= slot.rest.compare_exchange(old, EMPTY, Ordering::AcqRel, Ordering::Relaxed).is_ok();
        }
        any
    }

    /// Takes away all entries with this mark; with `None` all. Returns how many there were.
    pub fn forget(&self, mark: Option<u32>, now: Duration) -> u64 {
        let mut gone = 0;
        for slot in self.slots() {
            let rest = slot.rest.load(Ordering::Acquire);
            let is_meant = rest != HELD && rest != EMPTY && mark.is_none_or(|mark| self::mark(rest) == mark);
            if is_meant && slot.rest.compare_exchange(rest, EMPTY, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
                gone += u64::from(end(rest) > seconds(now));
            }
        }
        gone
    }

    /// Calls `each` with every entry: its key, its mark, and how long it is still good for.
    pub fn each(&self, now: Duration, mut each: impl FnMut(u64, u32, Duration)) {
        let now = seconds(now);
        for slot in self.slots() {
            let (key, rest) = (slot.key.load(Ordering::Acquire), slot.rest.load(Ordering::Acquire));
            if is_good(rest, now) && slot.key.load(Ordering::Acquire) == key {
                each(key, mark(rest), Duration::from_secs(u64::from(end(rest) - now)));
            }
        }
    }

    /// At most `most` entries, those that are good for the longest, in a form for another process.
    pub fn to_bytes(&self, now: Duration, most: usize) -> Vec<u8> {
        let mut entries = Vec::new();
        self.each(now, |key, mark, left| {
            entries.push((key, mark, u32::try_from(left.as_secs()).unwrap_or(u32::MAX)));
        });
        if entries.len() > most {
            entries.sort_unstable_by_key(|&(.., seconds)| std::cmp::Reverse(seconds));
            entries.truncate(most);
        }
        let mut bytes = Vec::with_capacity(FORM.len() + entries.len() * ENTRY);
        bytes.extend_from_slice(FORM);
        for (key, mark, seconds) in entries {
            bytes.extend_from_slice(&key.to_le_bytes());
            bytes.extend_from_slice(&mark.to_le_bytes());
            bytes.extend_from_slice(&seconds.to_le_bytes());
        }
        bytes
    }

    /// How many entries there are in what [`Self::to_bytes`] has written.
    pub fn entries_of(bytes: &[u8]) -> usize {
        bytes.len().saturating_sub(FORM.len()) / ENTRY
    }

    /// Takes up what [`Self::to_bytes`] of another process has written; what is noted here already stays. Returns how many
    /// entries there were; `None` if they are in another form, of which nothing is taken.
    pub fn take_bytes(&self, bytes: &[u8], now: Duration) -> Option<usize> {
        let (entries, rest) = bytes.strip_prefix(FORM)?.as_chunks::<ENTRY>();
        if !rest.is_empty() {
            return None;
        }
        for entry in entries {
            let key = u64::from_le_bytes(*entry.first_chunk()?);
            let mark = u32::from_le_bytes(*entry[8..].first_chunk()?);
            let seconds = u32::from_le_bytes(*entry[12..].first_chunk()?);
            self.claim(key, mark, now, Duration::from_secs(seconds.into()));
        }
        Some(entries.len())
    }

    /// The first good entry under `key`.
    fn find(&self, key: u64, now: u32) -> Option<(&Slot, u64)> {
        self.places(key).into_iter().flatten().find_map(|slot| {
            if slot.key.load(Ordering::Acquire) != key {
                return None;
            }
            let rest = slot.rest.load(Ordering::Acquire);
            // Whoever makes it another's writes the key before the rest.
            let is_its = is_good(rest, now) && slot.key.load(Ordering::Acquire) == key;
            is_its.then_some((slot, rest))
        })
    }

    /// Takes the best slot for `key`. False: somebody else was faster.
    fn insert(&self, key: u64, new: u64, now: u32) -> bool {
        let [one, other] = self.places(key).map(|bucket| best(bucket, now));
        // Where more is free, so that both fill up evenly; where nothing is, the one that ends first.
        let rank = |(free, _, rest): &(usize, &Slot, u64)| (std::cmp::Reverse(*free), end(*rest));
        let Some((_, slot, old)) = one.into_iter().chain(other).min_by_key(rank) else { return false };
        if slot.rest.compare_exchange(old, HELD, Ordering::AcqRel, Ordering::Relaxed).is_err() {
            return false;
        }
        if is_good(old, now) {
            self.evictions.fetch_add(1, Ordering::Relaxed);
        }
        slot.key.store(key, Ordering::Release);
        slot.rest.store(new, Ordering::Release);
        true
    }

    /// The buckets that `key` may be in, in the order in which they are looked at.
    fn places(&self, key: u64) -> [&[Slot; WAYS]; 2] {
        let count = self.buckets.len() as u64;
        let within = |half: u64| (((half & 0xFFFF_FFFF) * count) >> 32) as usize;
        let (first, second) = (within(key >> 32), within(key));
        let second = if first == second { (second + 1) % self.buckets.len() } else { second };
        [&self.buckets[first].0, &self.buckets[second].0]
    }

    fn slots(&self) -> impl Iterator<Item = &Slot> {
        self.buckets.iter().flat_map(|bucket| &bucket.0)
    }
}

/// The slot of a bucket that is the first to be taken, with what it holds, and how many are free.
fn best(bucket: &[Slot; WAYS], now: u32) -> Option<(usize, &Slot, u64)> {
    let slots = bucket.iter().map(|slot| (slot, slot.rest.load(Ordering::Acquire))).filter(|(_, rest)| *rest != HELD);
    let mut free = 0;
    let mut best: Option<(u32, &Slot, u64)> = None;
    for (slot, rest) in slots {
        let is_free = !is_good(rest, now);
        free += usize::from(is_free);
        let ends = if is_free { 0 } else { end(rest) };
        if best.is_none_or(|(least, ..)| ends < least) {
            best = Some((ends, slot, rest));
        }
    }
    best.map(|(_, slot, rest)| (free, slot, rest))
}

/// Never 0, so that nothing good looks empty.
fn seconds(now: Duration) -> u32 {
    u32::try_from(now.as_secs().saturating_add(1)).unwrap_or(u32::MAX - 1).min(u32::MAX - 1)
}

fn until(now: Duration, expire: Duration) -> u32 {
    let left = u32::try_from(expire.as_secs()).unwrap_or(u32::MAX).max(1);
    // Below what would look held.
    seconds(now).saturating_add(left).min(u32::MAX - 1)
}

fn pack(until: u32, mark: u32) -> u64 {
    u64::from(until) << 32 | u64::from(mark)
}

fn end(rest: u64) -> u32 {
    (rest >> 32) as u32
}

fn mark(rest: u64) -> u32 {
    rest as u32
}

fn is_good(rest: u64, now: u32) -> bool {
    rest != HELD && end(rest) > now
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn count(table: &Table, now: Duration) -> usize {
        let mut count = 0;
        table.each(now, |_, _, _| count += 1);
        count
    }

    /// What a hash would be.
    fn key(n: u64) -> u64 {
        xxhash_rust::xxh3::xxh3_64(&n.to_le_bytes())
    }

    #[test]
    fn an_entry_is_good_until_nobody_has_asked_for_it_in_time() {
        let table = Table::new(100);
        table.set(key(1), 7, at(0), at(160));
        assert_eq!(table.get(key(1), at(150), at(160)), Some(7));
        assert_eq!(table.peek(key(1), at(150)), Some((7, 160)));
        assert_eq!(table.get(key(1), at(309), at(160)), Some(7));
        assert_eq!(table.get(key(1), at(469), at(160)), None);
        assert_eq!(table.get(key(2), at(0), at(160)), None);
        table.set(key(1), 8, at(469), at(1));
        assert_eq!(table.get(key(1), at(469), at(1)), Some(8));
        assert!(table.remove(key(1), at(469)) && !table.remove(key(1), at(469)));
        assert_eq!(table.get(0, at(0), HOUR), None, "an empty slot is nobody's");
    }

    #[test]
    fn it_takes_as_many_as_it_is_for_and_then_the_oldest_give_way() {
        let table = Table::new(10_000);
        (0..10_000).for_each(|n| table.set(key(n), n as u32, at(n / 100), HOUR));
        let early = table.evictions();
        assert!(early < 10, "{early} gave way before it was full");
        assert_eq!(count(&table, at(100)) as u64, 10_000 - early);
        (10_000..40_000).for_each(|n| table.set(key(n), n as u32, at(n / 100), HOUR));
        assert!(count(&table, at(400)) <= 10_000 + 5_000 + 2 * WAYS);
        let kept = |range: std::ops::Range<u64>| range.filter(|&n| table.peek(key(n), at(400)).is_some()).count();
        let (old, new) = (kept(0..10_000), kept(35_000..40_000));
        assert!(old < 100 && new > 4_900, "{old} of the oldest and {new} of the newest are there");
        (35_000..40_000).for_each(|n| {
            assert!(table.peek(key(n), at(400)).is_none_or(|(mark, _)| mark == n as u32));
        });
    }

    #[test]
    fn a_target_is_forgotten_with_all_that_belong_to_it() {
        let table = Table::new(1000);
        (0..900).for_each(|n| table.set(key(n), (n % 3) as u32, at(0), HOUR));
        assert_eq!(table.forget(Some(1), at(0)), 300);
        assert_eq!((count(&table, at(0)), table.get(key(1), at(0), HOUR)), (600, None));
        assert_eq!(table.forget(None, at(0)), 600);
        assert_eq!(count(&table, at(0)), 0);
    }

    #[test]
    fn it_goes_over_to_another_process_with_the_time_that_is_left() {
        let table = Table::new(1000);
        (0..500).for_each(|n| table.set(key(n), n as u32, at(n), HOUR));
        let next = Table::new(1000);
        next.set(key(7), 9999, at(5), HOUR);
        assert_eq!(next.take_bytes(&table.to_bytes(at(500), usize::MAX), at(5)), Some(500));
        assert_eq!(next.peek(key(7), at(5)), Some((9999, 3600)), "what is there is newer");
        assert_eq!(next.peek(key(499), at(5)), Some((499, 3599)));
        let few = Table::new(1000);
        assert_eq!(few.take_bytes(&table.to_bytes(at(500), 10), at(0)), Some(10));
        assert!(few.peek(key(499), at(0)).is_some() && few.peek(key(0), at(0)).is_none());
        let bytes = table.to_bytes(at(500), 10);
        for bad in [&b""[..], b"RWT2", &bytes[..bytes.len() - 1]] {
            assert_eq!(few.take_bytes(bad, at(0)), None);
        }
        let larger = table.resized(5000, at(500));
        assert_eq!((larger.size(), count(&larger, at(500))), (5000, 500));
    }

    #[test]
    fn workers_at_the_same_time_never_see_a_key_with_the_mark_of_another() {
        let table = Table::new(64);
        std::thread::scope(|scope| {
            for thread in 0..4_u32 {
                let table = &table;
                scope.spawn(move || {
                    let mut random = fastrand::Rng::with_seed(thread.into());
                    for turn in 0..60_000_u64 {
                        // More keys than room, so that slots change hands all the time; a mark tells its key.
                        let n = random.u64(..400);
                        let now = at(turn / 100);
                        match random.u8(..4) {
                            0 => table.set(key(n), (n as u32) << 2 | thread, now, at(20)),
                            1 => table.claim(key(n), (n as u32) << 2 | thread, now, at(20)),
                            _ => {}
                        }
                        if let Some(mark) = table.get(key(n), now, at(20)) {
                            assert_eq!(u64::from(mark >> 2), n);
                        }
                    }
                });
            }
        });
        assert!(table.slots().all(|slot| slot.rest.load(Ordering::Relaxed) != HELD));
    }
}
