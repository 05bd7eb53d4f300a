//! Ejection: what live traffic shows of a target takes it out of balancing for a while.
//!
//! [`Outlier`] is a pool's rule. [`Ejection`] is where one target stands, over all workers and plans. Errors in a row eject at
//! once, by whichever worker sees the last of them; shares of errors and latencies are found by control, in what the workers
//! have counted ([`Traffic`]) over the rule's window ([`Judge`]).
//!
//! What always holds: a target that is ejected comes back. When its time is over one request at a time tries it: success
//! returns it, failure ejects it for longer; who tries it holds that place for a bounded time, and without anybody who does
//! control returns it. Where nothing is wrong a request costs one load. No lock, no I/O; time is passed in.

mod attempt;
mod ejection;
mod judge;
mod traffic;

pub use ejection::{Ejection, Kept};
pub use judge::{Judge, verdicts};
pub use traffic::{Seen, Traffic};

use super::target::{Pool, Target};
use crate::observe::reason::{Ejected, Failure};
use std::time::Duration;

/// When a pool's targets are ejected.
#[derive(Clone, Debug, PartialEq)]
pub struct Outlier {
    /// Errors in a row; 0: they are not counted.
    pub errors: u32,
    /// After so long without an error a row is forgotten; and over so long shares and latencies are judged.
    pub window: Duration,
    /// How long the first ejection lasts.
    pub eject: Duration,
    /// How long any lasts at most.
    pub max_eject: Duration,
    /// The share of the targets that may be ejected at a time, 0 to 1.
    pub max_ejected: f64,
    /// The share of errors that ejects, 0 to 1.
    pub rate: Option<f64>,
    /// How many times the median of the others a target's latency may be.
    pub latency: Option<f64>,
    /// Requests of a target within the window from which on shares and latencies are judged.
    pub min_requests: u64,
    /// The statuses that are errors, as inclusive ranges.
    pub statuses: Vec<(u16, u16)>,
}

impl Outlier {
    /// How many of `targets` may be ejected at a time: never the only one, but at least one of several.
    pub fn most(&self, targets: usize) -> usize {
        // A float to integer cast saturates, and cuts off the fraction.
        let share = (targets as f64 * self.max_ejected + 1e-9) as usize;
        share.max(usize::from(targets > 1))
    }

    /// Whether anything is to be found by control.
    pub fn judges(&self) -> bool {
        self.rate.is_some() || self.latency.is_some()
    }

    /// How long an ejection lasts that is the `times`th in a row.
    fn term(&self, times: u32) -> Duration {
        let doubled = 1_u32.checked_shl(times.saturating_sub(1)).unwrap_or(u32::MAX);
        self.eject.saturating_mul(doubled).min(self.max_eject.max(self.eject))
    }

    fn is_error(&self, status: u16) -> bool {
        self.statuses.iter().any(|(low, high)| (*low..=*high).contains(&status))
    }

    /// Whether a failure is the target's.
    fn is_its_fault(failure: Failure) -> bool {
        matches!(
            failure,
            Failure::Connect
                | Failure::ConnectTimeout
                | Failure::Handshake
                | Failure::Certificate
                | Failure::Reset
                | Failure::ResponseTimeout
                | Failure::IdleTimeout
                | Failure::WriteStall
                | Failure::BadResponse
        )
    }
}

impl Pool {
    /// Ejects a target unless as many as may be are ejected already. For whoever has found that it is one too many.
    pub fn eject(&self, rule: &Outlier, index: usize, why: Ejected, now: Duration) {
        let Some(target) = self.targets.get(index) else { return };
        let ejection = target.ejection();
        let alike = || self.targets.iter().filter(|other| other.backup == target.backup);
        let Some(term) = ejection.eject(rule, why, now) else { return };
        // It counts itself: of two that come at the same time each sees the other, and rather none goes than one too many.
        let ejected = alike().filter(|other| other.ejection().is_ejected()).count();
        if ejected > rule.most(alike().count()) && ejection.spare() {
            if ejection.is_worth_a_line(rule, now) {
                let (pool, target) = (&self.name, &target.name);
                tracing::warn!(pool, target, reason = %why, ejected = ejected - 1, "target is not ejected: as many are as may be");
            }
            return;
        }
        ejection.count(why);
        tracing::warn!(pool = self.name, target = target.name, reason = %why, ?term, "target is ejected");
    }

    /// Has a target come back that is ejected. False: it is not.
    pub fn give_back(&self, target: &Target, why: &str, now: Duration) -> bool {
        let returned = target.ejection().give_back(now);
        if returned {
            target.comes_up(now);
            tracing::info!(pool = self.name, target = target.name, reason = why, "target is no longer ejected");
        }
        returned
    }

    /// How long who tries an ejected target may take for it.
    pub(super) fn trial_limit(&self) -> Duration {
        let timeouts = &self.timeouts;
        timeouts.connect.saturating_add(timeouts.response_head).saturating_add(Duration::from_secs(1))
    }

    /// Whether a target that is ejected has been waiting for somebody to try it for so long that it comes back untried.
    pub fn is_left_alone(&self, target: &Target, now: Duration) -> bool {
        let ejection = target.ejection();
        match &self.outlier {
            _ if !ejection.is_ejected() => false,
            // The rule has gone, and with it whoever would judge a try.
            None => true,
            Some(rule) => ejection.is_untried(rule.eject, now),
        }
    }
}

#[cfg(test)]
pub(super) fn rule() -> Outlier {
    Outlier {
        errors: 3,
        window: Duration::from_secs(10),
        eject: Duration::from_secs(30),
        max_eject: Duration::from_secs(100),
        max_ejected: 0.5,
        rate: None,
        latency: None,
        min_requests: 10,
        statuses: vec![(502, 504)],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_only_target_is_never_ejected_and_one_of_two_may_be() {
        let most = |max_ejected, targets| Outlier { max_ejected, ..rule() }.most(targets);
        assert_eq!([1, 2, 3, 4, 10].map(|targets| most(0.5, targets)), [0, 1, 1, 2, 5]);
        assert_eq!([1, 2, 5, 20, 100].map(|targets| most(0.1, targets)), [0, 1, 1, 2, 10]);
        assert_eq!([1, 2, 3].map(|targets| most(1.0, targets)), [1, 2, 3]);
        assert_eq!(most(0.29, 100), 29);
    }

    #[test]
    fn terms_double_up_to_a_bound() {
        let seconds: Vec<u64> = (1..=40).map(|times| rule().term(times).as_secs()).collect();
        assert_eq!(&seconds[..4], [30, 60, 100, 100]);
        assert_eq!(seconds[39], 100);
        let short = Outlier { max_eject: Duration::ZERO, ..rule() };
        assert_eq!(short.term(3), Duration::from_secs(30), "a bound below the first is none");
    }

    #[test]
    fn what_clients_and_operators_do_is_no_fault_of_a_target() {
        for failure in [Failure::ClientAbort, Failure::Operator, Failure::NoTarget, Failure::Internal, Failure::Down] {
            assert!(!Outlier::is_its_fault(failure), "{failure}");
        }
        assert!(Outlier::is_its_fault(Failure::Reset) && rule().is_error(503) && !rule().is_error(500));
    }
}
