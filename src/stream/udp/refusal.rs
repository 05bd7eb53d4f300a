//! Targets whose hosts say that nobody receives there.
//!
//! What always holds: a target that refuses is left alone for a while by this worker, as long as there is another; what the pool
//! makes of it beyond that, for all workers, its rule of ejection says.

use super::links::{Link, Links};
use super::post::Post;
use super::session::Session;
use super::terms::Terms;
use crate::net;
use crate::observe::reason::{Failure, Lost};
use crate::upstream::Tried;
use std::rc::Rc;
use std::time::Duration;

impl Post {
    /// The host of a target has said that nobody receives what was sent by this socket.
    pub(super) fn refuse(&self, link: &Rc<Link>) {
        let mut sessions = self.sessions.borrow_mut();
        match link.session.get().and_then(|place| sessions.get_mut(place)) {
            Some(session) => {
                session.terms.counters.datagrams.lost.lost(Lost::Refused, 1);
                self.note_refusal(session);
            }
            None => self.refuse_lost(&link.links),
        }
    }

    /// The same of a datagram that no session waits for.
    fn refuse_lost(&self, links: &Links) {
        let now = net::coarse_now();
        let terms = self.terms.borrow().iter().flatten().next().cloned();
        if !links.try_failed(now)
            && let Some(terms) = terms
            && let Some((place, _)) = terms.target(links.target)
        {
            terms.local.pool().was_refused(place, now);
        }
        self.shun(links, now);
    }

    pub(super) fn note_refusal(&self, session: &mut Session) {
        session.refused = true;
        session.target.failures.inc();
        session.terms.pool.failures.failed(Failure::Connect);
        let now = net::coarse_now();
        session.attempt.failed(Failure::Connect, now);
        self.shun(&session.link.links, now);
    }

    pub(super) fn shun(&self, links: &Links, now: Duration) {
        let first = links.refused(now);
        self.shunning.set(self.shunning.get().max(links.shunned_until()));
        if first {
            tracing::warn!(
                target = %links.target,
                "nobody receives datagrams there (ICMP port unreachable): other targets are preferred for a while"
            );
        }
    }

    /// The targets that refuse datagrams, by their places in the pool.
    pub(super) fn shunned(&self, terms: &Terms, now: Duration) -> Tried {
        let mut shunned = Tried::default();
        if now >= self.shunning.get() {
            return shunned;
        }
        for links in self.links.borrow().values().filter(|links| links.is_shunned(now)) {
            if let Some((place, _)) = terms.target(links.target) {
                shunned.add(place);
            }
        }
        shunned
    }
}
