//! What is never answered: each datagram to a target of its own, by a socket that all clients share.

use super::links::{Had, Link, Links, is_refusal};
use super::post::Post;
use super::terms::Terms;
use crate::net::{self, Received};
use crate::observe::reason::{Failure, Lost, Retried};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

impl Post {
    /// Sends each datagram of a client to a target of its own.
    pub(super) fn pass_one_way(self: &Rc<Self>, terms: &Rc<Terms>, piece: &Received<'_>) {
        let now = net::coarse_now();
        let each = if piece.segment == 0 { piece.bytes.len().max(1) } else { piece.segment };
        let mut rest = piece.bytes;
        loop {
            let (datagram, more) = rest.split_at(each.min(rest.len()));
            if let Err(why) = self.pass_one(terms, piece.from, datagram, now) {
                terms.counters.datagrams.lost.lost(why, 1);
            }
            rest = more;
            if rest.is_empty() {
                return;
            }
        }
    }

    fn pass_one(
        self: &Rc<Self>,
        terms: &Rc<Terms>,
        from: SocketAddr,
        datagram: &[u8],
        now: Duration,
    ) -> Result<(), Lost> {
        terms.pool.requests.inc();
        let mut avoided = self.shunned(terms, now);
        for last in [false, true] {
            let Some((attempt, address)) = terms.choose(from.ip().to_canonical(), &avoided) else {
                terms.pool.failures.failed(Failure::NoTarget);
                return Err(Lost::NoTarget);
            };
            let target = terms.pool.target(attempt.index());
            let links = self.links_to(terms, address);
            let link = self.shared(&links, terms, now).ok_or(Lost::NoSocket)?;
            target.requests.inc();
            match link.socket.send(datagram, 0) {
                Ok(()) => {
                    target.sent.add(datagram.len() as u64);
                    target.datagrams.sent.add(1);
                    if attempt.is_trial() {
                        links.try_by(attempt, now);
                    }
                    return Ok(());
                }
                Err(error) if is_refusal(&error) && !last => {
                    target.failures.inc();
                    terms.pool.failures.failed(Failure::Connect);
                    terms.pool.retries.retried(Retried::Connect);
                    attempt.failed(Failure::Connect, now);
                    self.shun(&links, now);
                    avoided.add(attempt.index());
                }
                Err(_) => break,
            }
        }
        Err(Lost::Target)
    }

    /// The socket to a target that what is never answered is sent by.
    fn shared(self: &Rc<Self>, links: &Rc<Links>, terms: &Terms, now: Duration) -> Option<Rc<Link>> {
        if let Some(link) = links.shared_one(now) {
            return Some(link);
        }
        let link = match links.take(terms.udp.max_sockets, now, |link| self.listen(link)) {
            Had::Rested(link) => link,
            Had::New(link) => {
                self.listen(&link);
                link
            }
            Had::None => return None,
        };
        links.shared.replace(Some(link.clone()));
        Some(link)
    }
}
