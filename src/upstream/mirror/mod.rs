//! Requests that another pool gets as well: the state of one route's mirror over all workers and plans, without I/O.
//!
//! What always holds: no more copies are under way than may be, and no more pairs of answers wait to be compared than there is room for;
//! what is beyond is counted. Workers take no lock and wait for nothing. Which requests are chosen is spread evenly: of any run of them the share is
//! met but for one or two.

mod compare;
mod report;

pub use compare::{Difference, Kind, Rules};
pub use report::{Example, Place, Report};

use crossbeam::queue::ArrayQueue;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

/// What all workers and plans know of the mirror of a route.
#[derive(Debug)]
pub struct Mirror {
    requests: AtomicU64,
    compared: AtomicU64,
    in_flight: AtomicU32,
    fates: [AtomicU64; Fate::ALL.len()],
    missed: [AtomicU64; Missed::ALL.len()],
    waiting: ArrayQueue<Pair>,
    report: arc_swap::ArcSwap<Report>,
}

/// What became of a request that was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The pool has answered it, whatever that says.
    Answered,
    /// No target answered, or the answer broke off.
    Failed,
    /// It took longer than it may.
    Timeout,
    /// Too many others were under way.
    Busy,
    /// Its body is longer than what is copied.
    TooLarge,
    /// Its body did not come whole.
    Incomplete,
}

impl Fate {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Answered, Self::Failed, Self::Timeout, Self::Busy, Self::TooLarge, Self::Incomplete];

    /// Its name in metrics.
    pub fn word(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Failed => "failed",
            Self::Timeout => "timeout",
            Self::Busy => "busy",
            Self::TooLarge => "too-large",
            Self::Incomplete => "incomplete",
        }
    }
}

/// Why answers were not compared that should have been.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missed {
    /// One of the two did not come whole.
    Incomplete,
    /// Too many pairs wait.
    Backlog,
    /// One of them says that nothing was changed since, which the other one does not know of.
    NotModified,
}

impl Missed {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Incomplete, Self::Backlog, Self::NotModified];

    /// Its name in metrics.
    pub fn word(self) -> &'static str {
        match self {
            Self::Incomplete => "incomplete",
            Self::Backlog => "backlog",
            Self::NotModified => "not-modified",
        }
    }
}

/// A name and a value.
pub type Line = (Box<[u8]>, Box<[u8]>);

/// An answer, as far as it is held.
#[derive(Debug, Default)]
pub struct Told {
    /// The status.
    pub status: u16,
    /// Names, in the case in which they came, and values of headers.
    pub fields: Vec<Line>,
    /// The content, as it was coded.
    pub body: Vec<u8>,
    /// Whether that is all of it.
    pub whole: bool,
}

/// Answers to the same request.
#[derive(Debug)]
pub struct Pair {
    /// How they are compared.
    pub rules: Arc<Rules>,
    /// The request's method.
    pub method: Box<[u8]>,
    /// The path, without the query.
    pub path: Box<[u8]>,
    /// What the client's pool said.
    pub main: Told,
    /// What the mirror said.
    pub mirrored: Told,
}

/// Counts a copy as under way.
#[derive(Debug)]
pub struct Room(Arc<Mirror>);

/// Pairs that wait to be compared.
const WAITING: usize = 64;
/// 2^64 divided by the golden ratio: its multiples are spread evenly, and no rhythm of requests falls in with them.
const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

impl Mirror {
    /// Whether the next request is one of this share of all, in 2^-64.
    pub fn is_chosen(&self, share: u64) -> bool {
        chosen(&self.requests, share)
    }

    /// The same of the answers to requests that are mirrored.
    pub fn is_compared(&self, share: u64) -> bool {
        chosen(&self.compared, share)
    }

    /// Room for one more copy, of which there may be `most`.
    pub fn enter(self: &Arc<Self>, most: u32) -> Option<Room> {
        let room = Room(self.clone());
        // It counts itself until it is dropped.
        if self.in_flight.fetch_add(1, Relaxed) >= most {
            self.count(Fate::Busy);
            return None;
        }
        Some(room)
    }

    /// Copies under way.
    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(Relaxed)
    }

    /// A request has come to this.
    pub fn count(&self, fate: Fate) {
        self.fates[fate as usize].fetch_add(1, Relaxed);
    }

    /// How many requests have come to this.
    pub fn counted(&self, fate: Fate) -> u64 {
        self.fates[fate as usize].load(Relaxed)
    }

    /// Answers were not compared for this.
    pub fn miss(&self, why: Missed) {
        self.missed[why as usize].fetch_add(1, Relaxed);
    }

    /// How many pairs of answers were not compared for this.
    pub fn missed(&self, why: Missed) -> u64 {
        self.missed[why as usize].load(Relaxed)
    }

    /// Has a pair compared, off the worker.
    pub fn compare(&self, pair: Pair) {
        if self.waiting.push(pair).is_err() {
            self.miss(Missed::Backlog);
        }
    }

    /// The next pair to be compared.
    pub fn take(&self) -> Option<Pair> {
        self.waiting.pop()
    }

    /// Whether a pair waits.
    pub fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// How answers differ.
    pub fn report(&self) -> Arc<Report> {
        self.report.load_full()
    }

    /// Tells how answers differ. For one thread alone.
    pub fn tell(&self, report: Report) {
        self.report.store(Arc::new(report));
    }
}

impl Default for Mirror {
    fn default() -> Self {
        Self {
            requests: AtomicU64::new(0),
            compared: AtomicU64::new(0),
            in_flight: AtomicU32::new(0),
            fates: Default::default(),
            missed: Default::default(),
            waiting: ArrayQueue::new(WAITING),
            report: Default::default(),
        }
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Relaxed);
    }
}

/// A share of all, in 2^-64; all is the most that there is.
pub fn share(of_all: f64) -> u64 {
    // As a cast saturates.
    (of_all * 2_f64.powi(64)) as u64
}

fn chosen(count: &AtomicU64, share: u64) -> bool {
    share == u64::MAX || count.fetch_add(1, Relaxed).wrapping_mul(GOLDEN) < share
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_any_run_of_requests_the_share_is_met() {
        for of_all in [0.0, 0.01, 0.1, 0.5, 0.9, 1.0] {
            let mirror = Mirror::default();
            for run in 1..50 {
                let requests = run * 20;
                let taken = (0..requests).filter(|_| mirror.is_chosen(share(of_all))).count();
                let wanted = f64::from(requests) * of_all;
                assert!((taken as f64 - wanted).abs() <= 3.0, "{taken} of {requests} at {of_all}");
            }
        }
    }

    #[test]
    fn what_is_under_way_is_bounded_and_given_back() {
        let mirror = Arc::new(Mirror::default());
        let (one, two) = (mirror.enter(2), mirror.enter(2));
        assert!(one.is_some() && two.is_some() && mirror.enter(2).is_none());
        assert_eq!((mirror.in_flight(), mirror.counted(Fate::Busy)), (2, 1));
        drop(one);
        assert!(mirror.enter(2).is_some());
        drop(two);
        assert_eq!(mirror.in_flight(), 0);
    }

    #[test]
    fn pairs_beyond_the_room_are_counted() {
        let mirror = Mirror::default();
        let pair = || Pair {
            rules: Arc::default(),
            method: Box::default(),
            path: Box::default(),
            main: Told::default(),
            mirrored: Told::default(),
        };
        (0..WAITING + 3).for_each(|_| mirror.compare(pair()));
        assert_eq!(mirror.missed(Missed::Backlog), 3);
        assert_eq!(std::iter::from_fn(|| mirror.take()).count(), WAITING);
    }
}
