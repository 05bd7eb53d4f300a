//! A worker's sums, and their way to whoever keeps them.

use super::{Key, OTHER, Seen, Series, Sums};
use crossbeam::channel::{self, Receiver, Sender, TrySendError};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, SystemTime};

/// Sheets that may wait to be taken up.
const SHEETS: usize = 64;
/// Sweeps between two times that a book is handed over: half a second.
const SWEEPS: u32 = 5;
/// How long a worker that ends waits for room.
const LAST: Duration = Duration::from_secs(1);

/// Sums on their way.
pub type Sheet = Vec<(Key, Sums)>;

/// A worker's end.
#[derive(Clone, Debug)]
pub struct Queue(Sender<Sheet>);

/// The end of whoever keeps them.
#[derive(Clone, Debug)]
pub struct Sheets(Receiver<Sheet>);

/// A new queue.
pub fn queue() -> (Queue, Sheets) {
    let (sender, receiver) = channel::bounded(SHEETS);
    (Queue(sender), Sheets(receiver))
}

impl Sheets {
    /// The next sheet, if one has come.
    pub fn take(&self) -> Option<Sheet> {
        self.0.try_recv().ok()
    }
}

/// The sums of one worker that were not handed over yet.
#[derive(Debug)]
pub struct Book {
    /// By their hash; where two are the same, one stands behind the other.
    sums: HashMap<u64, (Key, Sums)>,
    hasher: RandomState,
    most: usize,
    minute: u32,
    sweeps: u32,
    /// Whether nothing more is counted: it waits for room alone.
    is_closed: bool,
    queue: Queue,
}

impl Book {
    /// An empty one for at most `most` series, which is handed over to `queue`.
    pub fn new(most: usize, queue: Queue) -> Self {
        let (sums, hasher) = (HashMap::new(), RandomState::new());
        Self { sums, hasher, most, minute: minute(), sweeps: 0, is_closed: false, queue }
    }

    /// It counts from now on, at most `most` series.
    pub fn resize(&mut self, most: usize) {
        (self.most, self.is_closed) = (most, false);
    }

    /// It counts no more. What it has goes with the next sweeps, as dropping it would have a worker wait where there is no room.
    pub fn close(&mut self) {
        self.is_closed = true;
    }

    /// Whether it counts no more and has handed over all that it had.
    pub fn is_done(&self) -> bool {
        self.is_closed && self.sums.is_empty()
    }

    /// Counts an exchange, in the minute of the last sweep.
    pub fn count(&mut self, seen: &Seen<'_>) {
        if self.is_closed {
            return;
        }
        let others = Seen { consumer: OTHER, ..*seen };
        // Of all others even what they ask for and get is not told apart where that is too much.
        let rest = Seen { route: OTHER, version: "", status: 0, ..others };
        let last = self.most.saturating_mul(2);
        let taken = self.enter(seen, seen, self.most) || self.enter(&others, seen, last);
        if !taken {
            self.enter(&rest, seen, usize::MAX);
        }
    }

    /// Counts `seen` as one of `under`, if that is there or there are fewer than `most`.
    fn enter(&mut self, under: &Seen<'_>, seen: &Seen<'_>, most: usize) -> bool {
        let has_room = self.sums.len() < most;
        let mut hash = self.hasher.hash_one((self.minute, under.consumer, under.route, under.version, under.status));
        loop {
            match self.sums.entry(hash) {
                Entry::Occupied(mut found) => {
                    let (key, sums) = found.get_mut();
                    if key.minute == self.minute && is_of(&key.series, under) {
                        sums.count(seen);
                        return true;
                    }
                    hash = hash.wrapping_add(1);
                }
                Entry::Vacant(_) if !has_room => return false,
                Entry::Vacant(free) => {
                    let mut sums = Sums::default();
                    sums.count(seen);
                    free.insert((Key { minute: self.minute, series: series(under) }, sums));
                    return true;
                }
            }
        }
    }

    /// To be called every 100 ms or so: hands over what there is now and then, or at once if it is `urgent`.
    pub fn sweep(&mut self, urgent: bool) {
        self.minute = minute();
        self.sweeps += 1;
        if self.sweeps >= SWEEPS || urgent || self.is_closed || self.sums.len() * 2 > self.most {
            self.sweeps = 0;
            self.hand_over(Duration::ZERO);
        }
    }

    fn hand_over(&mut self, patience: Duration) {
        if self.sums.is_empty() || patience.is_zero() && self.queue.0.is_full() {
            return;
        }
        let sheet: Sheet = self.sums.drain().map(|(_, entry)| entry).collect();
        let refused = match patience.is_zero() {
            true => self.queue.0.try_send(sheet).map_err(TrySendError::into_inner).err(),
            false => self.queue.0.send_timeout(sheet, patience).map_err(|error| error.into_inner()).err(),
        };
        // Another worker was quicker.
        for (key, sums) in refused.into_iter().flatten() {
            let Series { consumer, route, version, status } = &key.series;
            let mut hash = self.hasher.hash_one((key.minute, &**consumer, &**route, &**version, *status));
            while self.sums.contains_key(&hash) {
                hash = hash.wrapping_add(1);
            }
            self.sums.insert(hash, (key, sums));
        }
    }
}

impl Drop for Book {
    fn drop(&mut self) {
        self.hand_over(LAST);
    }
}

fn series(seen: &Seen<'_>) -> Series {
    Series {
        consumer: seen.consumer.into(),
        route: seen.route.into(),
        version: seen.version.into(),
        status: seen.status,
    }
}

fn is_of(series: &Series, seen: &Seen<'_>) -> bool {
    series.status == seen.status
        && *series.consumer == *seen.consumer
        && *series.route == *seen.route
        && *series.version == *seen.version
}

/// The minute that it is, since 1970.
fn minute() -> u32 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u32::try_from(now.as_secs() / 60).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(consumer: &str, status: u16) -> Seen<'_> {
        Seen {
            consumer,
            route: "r",
            version: "v1",
            status,
            is_error: status >= 500,
            total_ns: 5_000_000,
            bytes_in: 10,
            bytes_out: 20,
        }
    }

    fn all(sheets: &Sheets) -> HashMap<(String, u16), u64> {
        let mut all = HashMap::new();
        while let Some(sheet) = sheets.take() {
            for (key, sums) in sheet {
                *all.entry((key.series.consumer.to_string(), key.series.status)).or_default() += sums.requests;
            }
        }
        all
    }

    #[test]
    fn each_exchange_is_counted_once_under_its_series() {
        let (queue, sheets) = queue();
        let mut book = Book::new(100, queue);
        for _ in 0..3 {
            book.count(&seen("a", 200));
            book.count(&seen("a", 503));
            book.count(&seen("", 200));
        }
        book.sweep(true);
        let all = all(&sheets);
        let of = |consumer: &str, status| all.get(&(consumer.to_owned(), status)).copied();
        assert_eq!((all.len(), of("a", 200), of("a", 503), of("", 200)), (3, Some(3), Some(3), Some(3)));
    }

    #[test]
    fn too_many_consumers_are_others_and_none_is_lost() {
        let (queue, sheets) = queue();
        let mut book = Book::new(10, queue);
        (0..1000).for_each(|n| book.count(&seen(&format!("c{n}"), 200)));
        (0..1000).for_each(|n| book.count(&seen("one", 200 + n)));
        assert!(book.sums.len() <= 21, "{}", book.sums.len());
        drop(book);
        let all = all(&sheets);
        assert_eq!(all.values().sum::<u64>(), 2000);
        assert!(all[&(OTHER.to_owned(), 200)] >= 990);
        assert!(all[&(OTHER.to_owned(), 0)] > 900, "what others got is not told apart beyond twice as many");
    }

    #[test]
    fn what_finds_no_room_stays_and_goes_with_the_next() {
        let (queue, sheets) = queue();
        let mut book = Book::new(100, queue);
        for _ in 0..SHEETS + 3 {
            book.count(&seen("a", 200));
            book.sweep(true);
        }
        assert_eq!(all(&sheets).values().sum::<u64>(), SHEETS as u64);
        book.sweep(true);
        assert_eq!(all(&sheets).values().sum::<u64>(), 3);
    }

    #[test]
    fn one_that_counts_no_more_waits_for_room_without_keeping_anybody_waiting() {
        let (queue, sheets) = queue();
        let mut full = Book::new(100, queue.clone());
        for _ in 0..SHEETS {
            full.count(&seen("a", 200));
            full.sweep(true);
        }
        let mut book = Book::new(100, queue);
        book.count(&seen("b", 200));
        book.close();
        book.count(&seen("c", 200));
        book.sweep(false);
        assert!(!book.is_done(), "there is no room");
        all(&sheets);
        book.sweep(false);
        assert!(book.is_done());
        assert_eq!(all(&sheets), HashMap::from([(("b".to_owned(), 200), 1)]));
        book.resize(100);
        book.count(&seen("d", 200));
        assert!(!book.is_done(), "it may count again");
    }
}
