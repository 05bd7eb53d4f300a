//! A second target is asked as well where the first is slow, and the first head of an answer wins.
//!
//! What always holds: only a request without a body that may be sent twice goes to two targets at a time, and the client sees the
//! answer of one of them. The other one is let go of at once: its connection is closed, its stream reset. A client that leaves
//! leaves none behind, nobody is sent away from the target that it belongs to, and who waits for room goes before a second target.

use super::answer::{Broken, PATIENCE};
use super::body::Body;
use super::forward::Forwarding;
use super::h1::Framing;
use super::link::Leased;
use super::switched::Switched;
use super::transfer::resume;
use super::tries::{Lost, Tries, Way, is_granted};
use crate::net::{self, Either, Lease, race};
use crate::observe::reason::{Failure, Retried};
use crate::tls::Channel;
use crate::upstream::{Ask, Attempt};
use std::cell::Cell;
use std::io::{self, ErrorKind};
use std::pin::pin;
use std::time::{Duration, Instant};

/// What becomes of a try, at which target, and on what it went out.
pub(super) type Ended = (Attempt, Way, Result<Option<Box<Switched>>, Broken>);

/// A target that has been asked.
struct Runner {
    attempt: Attempt,
    leased: Leased,
    begun: Duration,
    sent_at: Instant,
    /// What has come of its answer.
    held: Lease,
}

/// Why a second target is of no more use.
enum Gone {
    /// The first one has failed.
    First(io::Error),
    /// The client has left.
    Client,
}

/// The client, watched while targets are waited for.
struct Watch<'a> {
    client: Channel<'a>,
    /// Whether it is there in any case: it has sent more than its request, and can be watched no further.
    said_more: bool,
}

/// Bytes that are read for a head before it is looked at as it is.
const HEAD: usize = 64 << 10;

impl Watch<'_> {
    /// Waits for `what` while the client is there; `None`: it has left.
    async fn over<T>(&mut self, what: impl Future<Output = T>) -> Option<T> {
        let mut what = pin!(what);
        if !self.said_more {
            self.client.set_deadline(None);
            match race(what.as_mut(), self.client.closed()).await {
                Either::Left(done) => return Some(done),
                Either::Right(true) => return None,
                Either::Right(false) => self.said_more = true,
            }
        }
        Some(what.await)
    }
}

impl Runner {
    /// Waits for the head of an answer. Given up, it loses nothing.
    async fn head(&mut self) -> io::Result<()> {
        let channel = self.leased.link.channel();
        loop {
            channel.wait().await?;
            if self.held.room() == 0 {
                let more = self.held.len();
                self.held.reserve(more);
            }
            // An end may have begun before.
            let new = self.held.len().saturating_sub(3);
            match channel.recv_now(&mut self.held)? {
                Some(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Some(_) if self.held.len() > HEAD || memchr::memmem::find(&self.held[new..], b"\r\n\r\n").is_some() => {
                    return Ok(());
                }
                _ => {}
            }
        }
    }

    /// The status of the answer, as it stands behind `HTTP/1.1`.
    fn status(&self) -> u16 {
        let digits = self.held.get(9..12).and_then(|digits| std::str::from_utf8(digits).ok());
        digits.and_then(|digits| digits.parse().ok()).unwrap_or(0)
    }

    fn way(&self) -> Way {
        if self.leased.reused { Way::Reused } else { Way::Fresh }
    }

    /// It has come to nothing before the other one was asked.
    fn lost(self, error: &io::Error) -> Ended {
        let broken =
            Broken::Target { failure: failure(error), answered: !self.held.is_empty(), unsent: is_unseen(error) };
        self.ends(broken)
    }

    fn ends(self, broken: Broken) -> Ended {
        let way = self.way();
        (self.attempt, way, Err(broken))
    }
}

fn is_unseen(error: &io::Error) -> bool {
    error.kind() == ErrorKind::ConnectionRefused
}

fn failure(error: &io::Error) -> Failure {
    match error.kind() {
        ErrorKind::TimedOut => Failure::ResponseTimeout,
        ErrorKind::ConnectionRefused => Failure::Unprocessed,
        ErrorKind::InvalidData => Failure::BadResponse,
        _ => Failure::Reset,
    }
}

impl Forwarding<'_, '_> {
    /// After which time without an answer of the target at `target` a second one is asked, if one ever is. `twice`: the request may
    /// be sent again. What a client has with the target that it belongs to, no other one knows of.
    pub(super) fn hedges_after(&self, twice: bool, target: usize) -> Option<Duration> {
        let alone = self.incoming.framing == Framing::None && !self.incoming.websocket;
        let belongs = || self.exchange.heads.sticky.is_some_and(|stuck| stuck.owner == Some(target));
        // What has a key is never carried out twice at a time.
        let stays = || self.exchange.heads.translated.is_none() && self.exchange.taker.is_none_or(|by| by.takes_all());
        self.rule.hedge.filter(|_| twice && alone && stays() && !belongs())
    }

    /// One try at the target of `attempt`, and at another one if no head of an answer has come `after` the request went out.
    pub(super) async fn hedged(
        &mut self,
        (attempt, leased, begun): (Attempt, Leased, Duration),
        (key, after): (u64, Duration),
        tries: &mut Tries,
        body: &mut Body,
    ) -> Ended {
        let mut first = match self.send_to(attempt, leased, begun).await {
            Ok(first) => first,
            Err((attempt, way, broken)) => return (attempt, way, Err(broken)),
        };
        let mut watch = Watch { client: self.exchange.connection.client, said_more: false };
        let left = self.head_left(&first);
        let pause = after.min(left);
        let came = match net::timeout(pause.min(PATIENCE), first.head()).await {
            // Rarer than an answer that comes soon.
            None if pause > PATIENCE => net::timeout(pause - PATIENCE, watch.over(first.head())).await,
            soon => soon.map(Some),
        };
        match came {
            Some(Some(Ok(()))) => return self.win(first, tries, body).await,
            Some(Some(Err(error))) => return first.lost(&error),
            Some(None) => return first.ends(Broken::Client(None)),
            None if left <= after => return first.lost(&ErrorKind::TimedOut.into()),
            None => {}
        }
        match self.second(&mut first, &mut watch, key, tries).await {
            Ok(Some(second)) => self.outcome_of((first, second), watch, tries, body).await,
            Ok(None) => self.win(first, tries, body).await,
            Err(Gone::First(error)) => first.lost(&error),
            Err(Gone::Client) => first.ends(Broken::Client(None)),
        }
    }

    /// Sends the request to a target.
    async fn send_to(
        &mut self,
        attempt: Attempt,
        leased: Leased,
        begun: Duration,
    ) -> Result<Runner, (Attempt, Way, Broken)> {
        let mut out = Lease::with_room(self.exchange.text.len() + 512);
        let stall = self.exchange.connection.listener.timeouts.write_stall;
        let try_at = self.try_at(&attempt, leased.link.channel(), begun, None);
        try_at.encode_head(self.exchange, out.buffer());
        let counters = self.exchange.connection.era.counters.pool(self.rule.pool).target(attempt.index());
        counters.sent.add(out.len() as u64);
        let sent_at = self.exchange.outcome.sending();
        self.exchange.heads.trace.sent(sent_at, leased.link.channel().is_multiplexed());
        let taken = Cell::new(0);
        let sent = leased.link.channel().send_counted(out, stall, &taken).await;
        leased.link.channel().set_deadline(None);
        let runner = Runner { attempt, leased, begun, sent_at, held: Lease::new() };
        match sent {
            Ok(()) => Ok(runner),
            Err(error) => {
                let unsent = is_unseen(&error) || error.kind() == ErrorKind::BrokenPipe && taken.get() == 0;
                let failure = if is_unseen(&error) { Failure::Unprocessed } else { Failure::Reset };
                let way = runner.way();
                Err((runner.attempt, way, Broken::Target { failure, answered: false, unsent }))
            }
        }
    }

    /// Asks a second target, if there is one that has room and the budget allows it; none if it came to nothing or the first has
    /// answered meanwhile.
    async fn second(
        &mut self,
        first: &mut Runner,
        watch: &mut Watch<'_>,
        key: u64,
        tries: &mut Tries,
    ) -> Result<Option<Runner>, Gone> {
        let mut tried = tries.tried.clone();
        tried.add(first.attempt.index());
        let now = net::coarse_now();
        let chosen = if self.local().pool().has_waiting() {
            // What room there is is theirs.
            None
        } else {
            self.local().choose(&Ask { tried: &tried, ..self.ask(key, tries) }, now)
        };
        // What stands by is for when nobody else is left.
        let fits = |second: &Attempt| first.attempt.target().backup || !second.target().backup;
        let Some(attempt) = chosen.filter(fits) else { return Ok(None) };
        if !is_granted(&self.rule.retry) {
            self.exchange.connection.era.counters.pool(self.rule.pool).denied.inc();
            return Ok(None);
        }
        tries.why = Some(Retried::Hedge);
        self.begin(&attempt, tries);
        let connected = race(first.head(), Box::pin(self.connect(&attempt, false, false, now)));
        let failed = match watch.over(connected).await {
            Some(Either::Right(Ok(leased))) => match self.send_to(attempt, leased, now).await {
                Ok(second) => return Ok(Some(second)),
                Err((attempt, way, broken)) => {
                    let failure = if let Broken::Target { failure, .. } = broken { failure } else { Failure::Reset };
                    Some((attempt, way, failure))
                }
            },
            Some(Either::Right(Err(failure))) => Some((attempt, Way::None, failure)),
            Some(Either::Left(Ok(()))) => None,
            Some(Either::Left(Err(error))) => {
                self.back_to(&first.attempt);
                return Err(Gone::First(error));
            }
            None => {
                self.back_to(&first.attempt);
                return Err(Gone::Client);
            }
        };
        if let Some((attempt, way, failure)) = failed {
            self.fails(&attempt, way, failure, false);
            tries.tried.add(attempt.index());
        }
        self.back_to(&first.attempt);
        Ok(None)
    }

    /// Both have been asked: one of them wins, or goes on alone when the other fails.
    async fn outcome_of(
        &mut self,
        (mut first, mut second): (Runner, Runner),
        mut watch: Watch<'_>,
        tries: &mut Tries,
        body: &mut Body,
    ) -> Ended {
        let (left, more) = (self.head_left(&first), self.head_left(&second));
        first.leased.link.channel().set_deadline(Some(left));
        second.leased.link.channel().set_deadline(Some(more));
        let Some(won) = watch.over(race(first.head(), second.head())).await else {
            return second.ends(Broken::Client(None));
        };
        let (came, by_second) = match won {
            Either::Left(came) => (came, false),
            Either::Right(came) => (came, true),
        };
        let (ahead, behind) = if by_second { (second, first) } else { (first, second) };
        // An answer that would be tried again elsewhere does not win while somebody else may answer.
        let bad = match came {
            Ok(()) if !self.rule.retry.on.has(ahead.status()) => None,
            Ok(()) => Some(Failure::Status),
            Err(error) => Some(failure(&error)),
        };
        let (winner, loser) = if bad.is_some() { (behind, ahead) } else { (ahead, behind) };
        let second_wins = by_second == bad.is_none();
        if let Some(mut failure) = bad {
            if loser.attempt.untie() && failure == Failure::Reset {
                failure = Failure::Down;
            }
            self.fails(&loser.attempt, loser.way(), failure, second_wins);
            tries.tried.add(loser.attempt.index());
        } else {
            let now = net::coarse_now();
            self.local().observe(loser.attempt.index(), loser.sent_at.elapsed(), now);
        }
        drop(loser);
        if second_wins {
            self.exchange.connection.era.counters.pool(self.rule.pool).hedges_won.inc();
        } else {
            self.back_to(&winner.attempt);
        }
        self.win(winner, tries, body).await
    }

    /// One of two has failed while the other goes on. `is_first`: it is not the one that was asked last.
    fn fails(&mut self, attempt: &Attempt, on: Way, failure: Failure, is_first: bool) {
        if is_first {
            self.exchange.heads.trace.swap_last();
        }
        let lost = Lost { failure, on, repeatable: true };
        if lost.is_its_fault(false, self.exchange.hurried) {
            attempt.failed(failure, net::coarse_now());
        }
        self.failed(attempt, failure);
        if is_first {
            self.exchange.heads.trace.swap_last();
        }
        self.exchange.outcome.recovered();
    }

    /// The target that was asked before the last one is the one that counts.
    fn back_to(&mut self, attempt: &Attempt) {
        let connection = self.exchange.connection;
        connection.lane.asks(connection.ticket, attempt.target().id);
        self.exchange.outcome.target = Some((self.rule.pool, attempt.index()));
        self.exchange.heads.trace.swap_last();
        if let (Some(stuck), Some(sticky)) = (&self.exchange.heads.sticky, &attempt.pool().sticky) {
            stuck.chosen(sticky, attempt.index());
        }
    }

    /// Passes on the answer of the one that is left.
    async fn win(&mut self, runner: Runner, tries: &Tries, body: &mut Body) -> Ended {
        let Runner { attempt, leased, begun, sent_at, held } = runner;
        let way = if leased.reused { Way::Reused } else { Way::Fresh };
        let by_status = self.may_follow_status(tries);
        let passed = {
            let try_at = self.try_at(&attempt, leased.link.channel(), begun, by_status.then_some(tries));
            resume(&try_at, self.exchange, body, sent_at, held).await
        };
        let settled = self.settle(&attempt, leased.link, passed, body);
        (attempt, way, settled)
    }

    /// How long a target still has until the head of its answer.
    fn head_left(&self, runner: &Runner) -> Duration {
        let limit = runner.attempt.pool().timeouts.response_head;
        let each = self.rule.retry.per_try.map_or(limit, |each| each.min(limit));
        each.saturating_sub(runner.sent_at.elapsed())
    }
}
