//! The part of a page that tells of datagrams.

use super::Scrape;
use crate::observe::counters::{ListenerSet, TargetSet};
use crate::observe::prometheus::{Family, Page};
use crate::observe::reason::Lost;

/// A listener for datagrams and its pool.
#[derive(Clone, Copy, Debug)]
pub struct UdpListener {
    /// The listener's position in the shape.
    pub listener: usize,
    /// The pool's position in the shape.
    pub pool: usize,
}

impl Scrape<'_> {
    /// Nothing without such listeners.
    pub(super) fn write_datagrams(&self, page: &mut Page) {
        if self.datagrams.is_empty() {
            return;
        }
        let help = "Datagrams received from clients.";
        self.per_udp(page.counter("ringway_udp_datagrams_received_total", help), |l| l.datagrams.received.get());
        let help = "Datagrams sent to clients.";
        self.per_udp(page.counter("ringway_udp_datagrams_sent_total", help), |l| l.datagrams.sent.get());
        let help = "Sessions begun.";
        self.per_udp(page.counter("ringway_udp_sessions_total", help), |l| l.datagrams.begun.get());
        let help = "Sessions of clients.";
        self.per_udp(page.gauge("ringway_udp_sessions", help), |l| l.datagrams.sessions.get());
        let help = "Sessions that ended because there were too many, or too few sockets.";
        self.per_udp(page.counter("ringway_udp_sessions_evicted_total", help), |l| l.datagrams.evicted.get());
        let help = "Sessions that went on with another target, as theirs was gone.";
        self.per_udp(page.counter("ringway_udp_sessions_moved_total", help), |l| l.datagrams.moved.get());
        let help = "Sockets to targets, those that rest between two sessions included.";
        self.per_udp(page.gauge("ringway_udp_sockets", help), |l| l.datagrams.sockets.get());
        let mut lost = page.counter("ringway_udp_datagrams_lost_total", "Datagrams that went no further, by reason.");
        for of in self.datagrams {
            let reasons = self.sums(|w| w.listener(of.listener).datagrams.lost.get());
            for (why, count) in Lost::ALL.iter().zip(reasons) {
                lost.sample(&[("listener", &self.shape.listeners[of.listener]), ("reason", why.word())], count);
            }
        }
        let help = "Datagrams sent to the target.";
        self.per_udp_target(page.counter("ringway_target_datagrams_sent_total", help), |t| t.datagrams.sent.get());
        let help = "Datagrams received from the target.";
        let family = page.counter("ringway_target_datagrams_received_total", help);
        self.per_udp_target(family, |t| t.datagrams.received.get());
    }

    fn per_udp(&self, mut family: Family<'_>, value: impl Fn(&ListenerSet) -> u64) {
        for of in self.datagrams {
            let name = &self.shape.listeners[of.listener];
            family.sample(&[("listener", name)], self.sum(|w| value(w.listener(of.listener))));
        }
    }

    fn per_udp_target(&self, mut family: Family<'_>, value: impl Fn(&TargetSet) -> u64) {
        let is_udp = |pool: usize| self.datagrams.iter().any(|of| of.pool == pool);
        for (pool, target, labels) in self.targets().filter(|(pool, ..)| is_udp(*pool)) {
            family.sample(&labels, self.sum(|w| value(w.pool(pool).target(target))));
        }
    }
}
