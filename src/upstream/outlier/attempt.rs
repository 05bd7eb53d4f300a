//! What an attempt tells of its target.

use super::super::local::Attempt;
use super::super::target::Pool;
use super::Outlier;
use crate::observe::reason::{Ejected, Failure};
use std::time::Duration;

impl Attempt {
    /// The target has answered with this status of HTTP, `latency` after it was asked, and the answer has come to its end.
    #[inline]
    pub fn answered(&self, status: u16, latency: Duration, now: Duration) {
        if let Some(rule) = &self.pool().outlier {
            self.took(rule, latency);
            self.ended(rule, rule.is_error(status), now);
        }
    }

    /// The head of its answer is there, be it that more is to come: who tries a target that is ejected need not wait for that.
    #[inline]
    pub fn begins_to_answer(&self, status: u16, now: Duration) {
        if self.is_trial()
            && let Some(rule) = &self.pool().outlier
            && !rule.is_error(status)
        {
            self.tried_well(now);
        }
    }

    /// The target has answered with this status, and its answer is given up for that of another one.
    pub fn gave(&self, status: u16, now: Duration) {
        if let Some(rule) = &self.pool().outlier {
            self.ended(rule, rule.is_error(status), now);
        }
    }

    /// A connection stands, `latency` after it was asked for, over which bytes go as they are.
    #[inline]
    pub fn joined(&self, latency: Duration) {
        if let Some(rule) = &self.pool().outlier {
            self.took(rule, latency);
        }
    }

    /// Over that connection the first bytes have come from the target, or it has ended well without any.
    #[inline]
    pub fn has_spoken(&self, now: Duration) {
        if let Some(rule) = &self.pool().outlier {
            self.ended(rule, false, now);
        }
    }

    /// It has failed. What is no fault of the target's is none here either.
    #[inline]
    pub fn failed(&self, failure: Failure, now: Duration) {
        if let Some(rule) = &self.pool().outlier
            && Outlier::is_its_fault(failure)
        {
            self.ended(rule, true, now);
        }
    }

    fn took(&self, rule: &Outlier, latency: Duration) {
        if rule.latency.is_some()
            && let Some(traffic) = self.target().traffic()
        {
            traffic.took(self.worker(), latency);
        }
    }

    fn ended(&self, rule: &Outlier, error: bool, now: Duration) {
        if rule.rate.is_some()
            && let Some(traffic) = self.target().traffic()
        {
            traffic.ended(self.worker(), error);
        }
        let ejection = self.target().ejection();
        match error {
            false if self.is_trial() => self.tried_well(now),
            false => ejection.well(),
            true => self.went_wrong(rule, now),
        }
    }

    #[cold]
    fn went_wrong(&self, rule: &Outlier, now: Duration) {
        let Some(place) = self.end_trial() else { return self.pool().one_more(rule, self.index(), now) };
        let (pool, target) = (self.pool(), self.target());
        let ejection = target.ejection();
        if let Some(term) = ejection.trial_failed(rule, place, now) {
            ejection.count(Ejected::Trial);
            let (pool, target, reason) = (&pool.name, &target.name, Ejected::Trial);
            tracing::warn!(pool, target, %reason, ?term, "target is ejected again");
        }
    }

    #[cold]
    fn tried_well(&self, now: Duration) {
        if self.end_trial().is_some() {
            self.pool().give_back(self.target(), "it has served a request", now);
        }
    }
}

impl Pool {
    /// A target has refused what was sent to it by an attempt that is over: one more error in a row.
    #[cold]
    pub fn was_refused(&self, index: usize, now: Duration) {
        if let Some(rule) = &self.outlier {
            self.one_more(rule, index, now);
        }
    }

    fn one_more(&self, rule: &Outlier, index: usize, now: Duration) {
        let Some(target) = self.targets.get(index) else { return };
        let ejection = target.ejection();
        if ejection.error(rule, now) && !ejection.is_ejected() {
            self.eject(rule, index, Ejected::Errors, now);
        }
    }
}
