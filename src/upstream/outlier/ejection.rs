//! Where one target stands.

use super::Outlier;
use crate::observe::reason::Ejected;
use serde::{Deserialize, Serialize};
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering::Relaxed, Ordering::SeqCst};
use std::time::Duration;

/// Whether a target is ejected, and what it has done towards it. Times are milliseconds since the boot of the host, which
/// processes that follow each other share.
#[derive(Debug, Default)]
pub struct Ejection {
    /// Until when nobody asks it; 0: it is not ejected.
    until: AtomicU64,
    /// Until when somebody has to try it; 0: nobody does.
    trial: AtomicU64,
    /// Errors in a row, and when the last of them was.
    row: AtomicU32,
    row_last: AtomicU64,
    /// Ejections in a row, how long the last lasts, and when it came back from it.
    times: AtomicU32,
    term: AtomicU64,
    returned: AtomicU64,
    /// An [`Ejected`]: why the last was.
    why: AtomicU8,
    ejections: [AtomicU64; Ejected::COUNT],
    withheld: AtomicU64,
    /// When it was last told that it is spared.
    told: AtomicU64,
}

/// What of it a process hands to the next one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// Until when nobody asks it; 0: it is not ejected.
    pub until: u64,
    /// Ejections in a row.
    pub times: u32,
    /// How long the last lasts.
    pub term: u64,
    /// When it came back from it.
    pub returned: u64,
    /// Why it was.
    pub why: u8,
}

/// Between two lines about the same, in milliseconds at least.
const LINES: u64 = 10_000;

impl Ejection {
    /// Whether it is ejected, be it that it may be tried.
    #[inline]
    pub fn is_ejected(&self) -> bool {
        self.until.load(Relaxed) != 0
    }

    /// Whether its time is over, so that it waits for somebody to try it, or somebody does.
    pub fn is_half_open(&self, now: Duration) -> bool {
        self.is_ejected() && ms(now) >= self.until.load(Relaxed)
    }

    /// Whether it may be asked: it is not ejected, or nobody tries it who may.
    #[inline]
    pub fn admits(&self, now: impl FnOnce() -> Duration) -> bool {
        !self.is_ejected() || self.may_be_tried(ms(now()))
    }

    fn may_be_tried(&self, now: u64) -> bool {
        now >= self.until.load(Relaxed) && now >= self.trial.load(Relaxed)
    }

    /// Takes the place of who tries it for `limit`. Returns what that place is known by; `None`: it is taken.
    pub fn begin_trial(&self, limit: Duration, now: Duration) -> Option<u64> {
        let now = ms(now);
        let place = now.saturating_add(ms(limit)).max(1);
        let before = self.trial.load(Relaxed);
        if !self.may_be_tried(now) || before == place {
            return None;
        }
        self.trial.compare_exchange(before, place, SeqCst, Relaxed).ok().map(|_| place)
    }

    /// Gives the place back without a result.
    pub fn abandon_trial(&self, place: u64) {
        let _ = self.trial.compare_exchange(place, 0, SeqCst, Relaxed);
    }

    /// Something went well.
    #[inline]
    pub fn well(&self) {
        if self.row.load(Relaxed) != 0 {
            self.row.store(0, Relaxed);
        }
    }

    /// An error. Returns whether it is one too many in a row.
    pub fn error(&self, rule: &Outlier, now: Duration) -> bool {
        let now = ms(now);
        let last = self.row_last.swap(now, Relaxed);
        if now.saturating_sub(last) > ms(rule.window) {
            self.row.store(0, Relaxed);
        }
        let row = self.row.fetch_add(1, Relaxed).saturating_add(1);
        rule.errors > 0 && row >= rule.errors
    }

    /// Ejects it. Returns for how long; `None`: it is ejected already.
    pub fn eject(&self, rule: &Outlier, why: Ejected, now: Duration) -> Option<Duration> {
        let now = ms(now);
        // One that served for less time than it had been away has not recovered.
        let again = now.saturating_sub(self.returned.load(Relaxed)) < self.term.load(Relaxed);
        let times = if again { self.times.load(Relaxed).saturating_add(1) } else { 1 };
        self.put_out(rule, 0, times, why, now)
    }

    /// Whoever tried it at this place has failed. Returns for how long it is ejected again; `None`: it was not for him to say.
    pub fn trial_failed(&self, rule: &Outlier, place: u64, now: Duration) -> Option<Duration> {
        let until = self.until.load(Relaxed);
        if self.trial.load(Relaxed) != place || until == 0 {
            return None;
        }
        let times = self.times.load(Relaxed).saturating_add(1);
        self.put_out(rule, until, times, Ejected::Trial, ms(now))
    }

    fn put_out(&self, rule: &Outlier, before: u64, times: u32, why: Ejected, now: u64) -> Option<Duration> {
        let term = rule.term(times);
        let until = now.saturating_add(ms(term)).max(1);
        self.until.compare_exchange(before, until, SeqCst, Relaxed).ok()?;
        self.times.store(times, Relaxed);
        self.term.store(ms(term), Relaxed);
        self.why.store(why as u8, Relaxed);
        self.trial.store(0, Relaxed);
        self.row.store(0, Relaxed);
        Some(term)
    }

    /// Takes an ejection back that would be one too many. False: it has been returned meanwhile.
    pub(super) fn spare(&self) -> bool {
        let times = self.times.load(Relaxed);
        // It was never away.
        self.times.store(times.saturating_sub(1), Relaxed);
        self.term.store(0, Relaxed);
        self.withheld.fetch_add(1, Relaxed);
        self.until.swap(0, SeqCst) != 0
    }

    /// Whether it is to be told that it is spared: now and then.
    pub(super) fn is_worth_a_line(&self, rule: &Outlier, now: Duration) -> bool {
        let (now, told) = (ms(now), self.told.load(Relaxed));
        let due = told == 0 || now.saturating_sub(told) >= ms(rule.eject).max(LINES);
        due && self.told.compare_exchange(told, now.max(1), Relaxed, Relaxed).is_ok()
    }

    /// It comes back. False: it is not ejected.
    pub fn give_back(&self, now: Duration) -> bool {
        if self.until.swap(0, SeqCst) == 0 {
            return false;
        }
        self.trial.store(0, Relaxed);
        self.row.store(0, Relaxed);
        self.returned.store(ms(now), Relaxed);
        true
    }

    /// Whether nobody has tried it for so long after its time, nor does now.
    pub fn is_untried(&self, patience: Duration, now: Duration) -> bool {
        let now = ms(now);
        self.may_be_tried(now) && now >= self.until.load(Relaxed).saturating_add(ms(patience))
    }

    /// Counts an ejection.
    pub(super) fn count(&self, why: Ejected) {
        self.ejections[why.index()].fetch_add(1, Relaxed);
    }

    /// How often it was ejected, by the reason.
    pub fn ejections(&self) -> [u64; Ejected::COUNT] {
        std::array::from_fn(|why| self.ejections[why].load(Relaxed))
    }

    /// How often it was not, because as many were as may be.
    pub fn withheld(&self) -> u64 {
        self.withheld.load(Relaxed)
    }

    /// Why it was ejected last.
    pub fn why(&self) -> Ejected {
        Ejected::ALL.get(usize::from(self.why.load(Relaxed))).copied().unwrap_or(Ejected::Errors)
    }

    /// How many times in a row it was.
    pub fn times(&self) -> u32 {
        self.times.load(Relaxed)
    }

    /// What is left of its time; `None`: it is not ejected.
    pub fn left(&self, now: Duration) -> Option<Duration> {
        match self.until.load(Relaxed) {
            0 => None,
            until => Some(Duration::from_millis(until.saturating_sub(ms(now)))),
        }
    }

    /// What the next process is told of it.
    pub fn keep(&self) -> Kept {
        Kept {
            until: self.until.load(Relaxed),
            times: self.times.load(Relaxed),
            term: self.term.load(Relaxed),
            returned: self.returned.load(Relaxed),
            why: self.why.load(Relaxed),
        }
    }

    /// Takes on what the process before has told.
    pub fn take_on(&self, kept: Kept) {
        let Kept { until, times, term, returned, why } = kept;
        self.times.store(times, Relaxed);
        self.term.store(term, Relaxed);
        self.returned.store(returned, Relaxed);
        self.why.store(why, Relaxed);
        self.until.store(until, SeqCst);
    }
}

/// Milliseconds since the boot of the host.
pub(in crate::upstream) fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::super::rule;
    use super::*;

    const START: Duration = Duration::from_secs(5000);

    fn at(seconds: u64) -> Duration {
        START + Duration::from_secs(seconds)
    }

    fn ejected() -> Ejection {
        let ejection = Ejection::default();
        assert_eq!(ejection.eject(&rule(), Ejected::Errors, at(0)), Some(Duration::from_secs(30)));
        ejection
    }

    #[test]
    fn only_errors_in_a_row_and_not_too_far_apart_count() {
        let ejection = Ejection::default();
        let errors = |seconds: &[u64]| seconds.iter().map(|&s| ejection.error(&rule(), at(s))).collect::<Vec<_>>();
        assert_eq!(errors(&[0, 1]), [false, false]);
        ejection.well();
        assert_eq!(errors(&[2, 3]), [false, false]);
        assert_eq!(errors(&[14, 15, 16]), [false, false, true], "ten seconds without an error end a row");
        let none = Outlier { errors: 0, ..rule() };
        assert!((0..100).all(|_| !ejection.error(&none, at(20))));
    }

    #[test]
    fn an_ejected_one_is_tried_by_one_at_a_time_once_its_time_is_over() {
        let ejection = ejected();
        assert!(!ejection.admits(|| at(29)) && ejection.begin_trial(Duration::from_secs(5), at(29)).is_none());
        assert!(ejection.admits(|| at(30)));
        let place = ejection.begin_trial(Duration::from_secs(5), at(30)).unwrap();
        assert!(!ejection.admits(|| at(31)) && ejection.begin_trial(Duration::from_secs(5), at(31)).is_none());
        ejection.abandon_trial(place);
        assert!(ejection.admits(|| at(31)), "who left without a result makes room");
        let lost = ejection.begin_trial(Duration::from_secs(5), at(31)).unwrap();
        assert!(ejection.admits(|| at(36)), "whose worker died holds the place for a while only");
        let place = ejection.begin_trial(Duration::from_secs(5), at(40)).unwrap();
        ejection.abandon_trial(lost);
        assert!(!ejection.admits(|| at(41)), "one that lost its place gives back no other's");
        assert_eq!(ejection.trial_failed(&rule(), lost, at(41)), None);
        assert!(ejection.trial_failed(&rule(), place, at(41)).is_some());
    }

    #[test]
    fn a_failed_try_ejects_for_longer_and_a_good_time_is_remembered() {
        let ejection = ejected();
        let mut now = 30;
        for term in [60, 100, 100] {
            let place = ejection.begin_trial(Duration::from_secs(5), at(now)).unwrap();
            assert_eq!(ejection.trial_failed(&rule(), place, at(now)), Some(Duration::from_secs(term)));
            assert_eq!(ejection.left(at(now + 1)), Some(Duration::from_secs(term - 1)));
            now += term;
        }
        assert!(ejection.give_back(at(now)) && !ejection.give_back(at(now)) && ejection.admits(|| at(now)));
        assert_eq!(ejection.eject(&rule(), Ejected::Rate, at(now + 99)), Some(Duration::from_secs(100)));
        assert_eq!((ejection.times(), ejection.why()), (5, Ejected::Rate));
        assert!(ejection.give_back(at(now + 200)));
        assert_eq!(ejection.eject(&rule(), Ejected::Rate, at(now + 300)), Some(Duration::from_secs(30)));
    }

    #[test]
    fn two_that_find_the_same_eject_once() {
        let ejection = ejected();
        assert_eq!(ejection.eject(&rule(), Ejected::Latency, at(1)), None);
        assert_eq!(ejection.why(), Ejected::Errors);
    }

    #[test]
    fn without_anybody_to_try_it_an_ejected_one_is_left_alone_for_a_while_only() {
        let ejection = ejected();
        let patience = Duration::from_secs(10);
        assert!(!ejection.is_untried(patience, at(39)) && ejection.is_untried(patience, at(40)));
        ejection.begin_trial(Duration::from_secs(5), at(39)).unwrap();
        assert!(!ejection.is_untried(patience, at(43)) && ejection.is_untried(patience, at(44)));
    }

    #[test]
    fn the_next_process_goes_on_with_it() {
        let (old, new) = (ejected(), Ejection::default());
        let text = serde_json::to_string(&old.keep()).unwrap();
        new.take_on(serde_json::from_str(&text).unwrap());
        assert_eq!((new.keep(), new.left(at(10))), (old.keep(), Some(Duration::from_secs(20))));
    }

    #[test]
    fn of_many_that_come_at_once_one_tries() {
        let ejection = ejected();
        let tried: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| (0..1000).filter_map(|_| ejection.begin_trial(rule().eject, at(50))).count()))
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(tried, 1);
    }
}
