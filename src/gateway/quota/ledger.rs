//! What is written of a quota's counts, so that they outlive the process.
//!
//! What is kept of a key in a period is one number, which whoever counts only ever adds to: so several processes may keep counts in the same
//! place, as an old one and a new one do at an upgrade, and each learns from the sum what the others have counted.
//!
//! Each time, a key that has come since is noted with what it has used and as much ahead of that as would be twice its pace. What was ahead
//! is given back at the next time, and at the end. Who is killed gives nothing back: then a key that came no more than twice as often as before has
//! not one more than its limit, and what it may lose of it is what was noted ahead. All that is lost is what a key used beyond that since the
//! last time.

use super::calendar::Window;
use super::spend::Quota;
use std::collections::{HashMap, HashSet};
use std::time::Duration;

/// What was written of a quota, and what is to be.
#[derive(Debug, Default)]
pub struct Ledger {
    window: Option<Window>,
    noted: HashMap<u64, Noted>,
}

/// What was written of a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Noted {
    /// How many it had used, as far as this process knew.
    count: u64,
    /// How many were noted ahead of that.
    ahead: u64,
    /// How many of the count others have used, or noted ahead.
    others: u64,
}

/// What is to be written at a time.
#[derive(Debug)]
pub struct Draft {
    /// The period that it is of.
    pub window: Window,
    /// What is to be written.
    pub lines: Vec<Line>,
}

/// What is to be written of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    /// The key.
    pub key: u64,
    /// What is to be added to its number.
    pub more: i64,
    after: Noted,
    /// It gave way to others.
    is_gone: bool,
}

impl Ledger {
    /// What is to be written at `now`. At the end nothing is noted ahead.
    pub fn draft(&mut self, quota: &Quota, now: Duration, is_end: bool) -> Draft {
        let window = quota.calendar().window(now);
        if self.window != Some(window) {
            self.window = Some(window);
            self.noted.clear();
        }
        let mut lines = Vec::new();
        let mut there = HashSet::with_capacity(self.noted.len());
        for (key, count) in quota.counted(window) {
            there.insert(key);
            let before = self.noted.get(&key).copied().unwrap_or_default();
            // It gave way to others and came again, or a request was given back: what was noted goes on to count.
            let lost = before.count.saturating_sub(count);
            if lost > 0 {
                quota.count(key, lost, window, now);
            }
            let count = count.max(before.count);
            let grown = count - before.count;
            let ahead = if is_end { 0 } else { grown.saturating_mul(2).min(quota.limit().saturating_sub(count)) };
            let after = Noted { count, ahead, ..before };
            if after != before {
                let more = signed(count + ahead) - signed(before.count + before.ahead);
                lines.push(Line { key, more, after, is_gone: false });
            }
        }
        self.noted.retain(|key, before| {
            let is_there = there.contains(key);
            // Nobody spends what was noted ahead.
            if !is_there && before.ahead > 0 {
                let after = Noted { ahead: 0, ..*before };
                lines.push(Line { key: *key, more: -signed(before.ahead), after, is_gone: true });
            }
            is_there || before.ahead > 0
        });
        Draft { window, lines }
    }

    /// That a draft was written, and what the number of each of its keys has come to: what others have added is counted here, too.
    pub fn written(&mut self, quota: &Quota, draft: &Draft, totals: impl IntoIterator<Item = u64>, now: Duration) {
        for (line, total) in draft.lines.iter().zip(totals) {
            if line.is_gone {
                self.noted.remove(&line.key);
                continue;
            }
            self.settle(quota, draft.window, line.key, line.after, total, now);
        }
    }

    /// What stands in a period of keys, whoever has written it: at the start, and after others have written.
    pub fn read(&mut self, quota: &Quota, window: Window, found: impl IntoIterator<Item = (u64, u64)>, now: Duration) {
        if self.window.is_none() {
            self.window = Some(window);
        }
        for (key, total) in found {
            let own = self.noted.get(&key).copied().unwrap_or_default();
            self.settle(quota, window, key, own, total, now);
        }
    }

    fn settle(&mut self, quota: &Quota, window: Window, key: u64, own: Noted, total: u64, now: Duration) {
        if self.window != Some(window) || quota.calendar().window(now) != window {
            return;
        }
        let known = own.count + own.ahead;
        let more = total.saturating_sub(known);
        if more > 0 {
            quota.count(key, more, window, now);
        }
        // What others had noted ahead they give back; what is this process' own stays, whatever became of the number.
        let less = known.saturating_sub(total).min(own.others);
        if less > 0 {
            quota.uncount(key, less, window, now);
        }
        let (count, others) = (own.count + more - less, own.others + more - less);
        self.noted.insert(key, Noted { count, others, ..own });
    }
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
