//! Where clients' datagrams come in on one worker, at one address: what becomes of each.

use super::links::{Had, Link, Links, REST, is_refusal};
use super::session::{End, Key, Session};
use super::table::Table;
use super::terms::Terms;
use crate::lane::{Gate, InFlight, Lane, Seat, lot};
use crate::net::{self, Batch, Datagram, Egress, Peer, Received};
use crate::observe::counters::{ListenerSet, Shared};
use crate::observe::reason::{Failure, Lost, Reason, Retried};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// Where datagrams come in, and all sessions that began there.
pub(super) struct Post {
    pub(super) lane: Rc<Lane>,
    /// The listener that the address has now.
    pub(super) gate: Box<dyn Fn() -> Rc<Gate>>,
    /// Where clients send to.
    pub(super) socket: Datagram,
    batch: RefCell<Batch>,
    pub(super) sessions: RefCell<Table<Key, Session>>,
    /// By where they go, and from where.
    pub(super) links: RefCell<HashMap<Way, Rc<Links>>>,
    /// Of the present plan, and of one that is tried out beside it.
    pub(super) terms: RefCell<[Option<Rc<Terms>>; 2]>,
    /// Whether whoever has no session is let in.
    pub(super) open: Cell<bool>,
    /// Until when a target is left alone that refused datagrams.
    pub(super) shunning: Cell<Duration>,
    /// Tells apart sessions that had a place one after the other within a second.
    serial: Cell<u8>,
    /// What the kernel had thrown away by the last look.
    overflown: Cell<u32>,
    /// Sockets as they were counted last, and where.
    counted: RefCell<Option<(u64, Shared<ListenerSet>)>>,
}

/// A target, and how sockets to it are set up.
type Way = (SocketAddr, Option<Arc<Egress>>);

/// Of the oldest sessions, how many are looked at in search of one with a certain target.
const LOOKED_AT: usize = 64;

impl Post {
    pub(super) fn new(lane: Rc<Lane>, gate: Box<dyn Fn() -> Rc<Gate>>, socket: Datagram) -> Self {
        Self {
            lane,
            gate,
            overflown: Cell::new(socket.overflown()),
            socket,
            batch: RefCell::default(),
            sessions: RefCell::new(Table::new()),
            links: RefCell::default(),
            terms: RefCell::default(),
            open: Cell::new(true),
            shunning: Cell::default(),
            serial: Cell::default(),
            counted: RefCell::default(),
        }
    }

    /// Passes on what clients have sent, as much as is received at a time. Returns how much that was.
    pub(super) fn receive(self: &Rc<Self>) -> io::Result<usize> {
        let mut batch = self.batch.borrow_mut();
        let count = self.socket.receive(&mut batch, Batch::SIZE)?;
        if count > 0 {
            let gate = (self.gate)();
            batch.iter().for_each(|piece| self.arrive(&gate, &piece));
        }
        batch.rest();
        Ok(count)
    }

    /// Passes on what a target has sent to a socket.
    pub(super) fn answer(&self, link: &Rc<Link>) {
        let mut batch = self.batch.borrow_mut();
        match link.socket.receive(&mut batch, link.most.get()) {
            Ok(count) => {
                batch.iter().for_each(|piece| self.deliver(link, &piece));
                link.most.set(if count == link.most.get() { Batch::SIZE } else { 2 });
            }
            Err(error) if is_refusal(&error) => self.refuse(link),
            // Whatever else was wrong with a datagram before, the next send tells.
            Err(error) => tracing::debug!(target = %link.links.target, %error, "nothing is received from a target"),
        }
        batch.rest();
    }

    /// Whether datagrams of a client are passed on at all.
    fn admits(&self, from: SocketAddr, seat: &Seat) -> Result<(), Reason> {
        if self.lane.bans.holds(from.ip().to_canonical(), net::coarse_now()) {
            return Err(Reason::Banned);
        }
        match &seat.listener().guard {
            Some(guard) => seat.look_at_datagram(guard, from.ip()),
            None => Ok(()),
        }
    }

    fn arrive(self: &Rc<Self>, gate: &Gate, piece: &Received<'_>) {
        let seat = gate.seat(lot(Peer { ip: piece.from.ip().to_canonical(), port: piece.from.port(), local: false }));
        let Some(terms) = self.terms(&seat) else { return };
        terms.counters.datagrams.received.add(piece.count());
        terms.counters.received.add(piece.bytes.len() as u64);
        if let Err(reason) = self.admits(piece.from, &seat) {
            return terms.counters.refusals.refused(reason);
        }
        if terms.udp.responses == Some(0) {
            return self.pass_one_way(&terms, piece);
        }
        let (key, now) = (Key { client: piece.from, local: piece.to }, net::coarse_now());
        let mut sessions = self.sessions.borrow_mut();
        let mut found = sessions.find(&key);
        if let (Some(place), Some(most)) = (found, terms.udp.requests)
            && sessions.get_mut(place).is_some_and(|session| session.requests >= u64::from(most))
        {
            // It goes on waiting for its answers.
            sessions.detach(place);
            found = None;
        }
        let place = match found {
            Some(place) => place,
            None => match self.begin(&mut sessions, key, &terms, now) {
                Ok(place) => place,
                Err(why) => return terms.counters.datagrams.lost.lost(why, piece.count()),
            },
        };
        self.pass_on(&mut sessions, place, &terms, piece, now);
    }

    /// Sends what a client has sent to the target of its session, or to another one if that is gone.
    fn pass_on(
        self: &Rc<Self>,
        sessions: &mut Table<Key, Session>,
        place: u32,
        terms: &Rc<Terms>,
        piece: &Received<'_>,
        now: Duration,
    ) {
        let Some(session) = sessions.get_mut(place) else { return };
        if !Rc::ptr_eq(&session.terms, terms) {
            session.go_by(terms);
        }
        if session.is_stranded() && !self.move_on(sessions, place, terms, now) {
            return terms.counters.datagrams.lost.lost(Lost::NoTarget, piece.count());
        }
        for last in [false, true] {
            let Some(session) = sessions.get_mut(place) else { return };
            match session.link.socket.send(piece.bytes, piece.segment) {
                Ok(()) => {
                    session.asked(piece.count(), piece.bytes.len());
                    return sessions.touch(place, now);
                }
                // It says what became of one before: this one goes elsewhere, or where it may be heard by now.
                Err(error) if is_refusal(&error) && !last => {
                    self.note_refusal(session);
                    if !self.move_on(sessions, place, terms, now) {
                        return terms.counters.datagrams.lost.lost(Lost::NoTarget, piece.count());
                    }
                }
                Err(error) => {
                    let link = &session.link;
                    tracing::debug!(target = %link.links.target, %error, "a datagram is not taken for a target");
                    return terms.counters.datagrams.lost.lost(Lost::Target, piece.count());
                }
            }
        }
    }

    /// Begins a session. Fails with why its first datagram is lost.
    fn begin(
        self: &Rc<Self>,
        sessions: &mut Table<Key, Session>,
        key: Key,
        terms: &Rc<Terms>,
        now: Duration,
    ) -> Result<u32, Lost> {
        if !self.open.get() {
            return Err(Lost::Draining);
        }
        if sessions.len() >= terms.udp.max_sessions
            && let Some((oldest, _)) = sessions.oldest()
        {
            self.end(sessions, oldest, End::Evicted, now);
        }
        terms.pool.requests.inc();
        let chosen = terms.choose(key.client.ip().to_canonical(), &self.shunned(terms, now));
        let Some((attempt, address)) = chosen else {
            terms.pool.failures.failed(Failure::NoTarget);
            return Err(Lost::NoTarget);
        };
        let target = terms.pool.target(attempt.index()).clone();
        target.requests.inc();
        let Some(link) = self.link(sessions, terms, address, now) else {
            target.failures.inc();
            return Err(Lost::NoSocket);
        };
        terms.counters.datagrams.begun.inc();
        terms.counters.datagrams.sessions.add(1);
        let session = Session {
            key,
            terms: terms.clone(),
            link: link.clone(),
            attempt,
            target,
            in_flight: InFlight::enter(terms.pool.own()),
            refused: false,
            gone: false,
            spoken: false,
            owed: 0,
            requests: 0,
            answers: 0,
            sent: 0,
            received: 0,
            started: net::now(),
            since: u32::try_from(now.as_secs()).unwrap_or(u32::MAX),
            serial: self.serial.replace(self.serial.get().wrapping_add(1)),
            first_answer: None,
            tries: 1,
        };
        let place = sessions.insert(key, session, now);
        link.session.set(Some(place));
        Ok(place)
    }

    /// Has a session go on with another target. False: there is none, and the session is over.
    fn move_on(
        self: &Rc<Self>,
        sessions: &mut Table<Key, Session>,
        place: u32,
        terms: &Rc<Terms>,
        now: Duration,
    ) -> bool {
        let Some(session) = sessions.get_mut(place) else { return false };
        let (client, before) = (session.key.client, session.link.links.target);
        let mut avoided = self.shunned(terms, now);
        if let Some((place, _)) = terms.target(before) {
            avoided.add(place);
        }
        let Some((attempt, address)) = terms.choose(client.ip().to_canonical(), &avoided) else {
            terms.pool.failures.failed(Failure::NoTarget);
            self.end(sessions, place, End::NoTarget, now);
            return false;
        };
        if address == before
            && let Some(session) = sessions.get_mut(place).filter(|session| !session.link.closed.get())
        {
            // It is the only one that there is.
            session.refused = false;
            return true;
        }
        let target = terms.pool.target(attempt.index()).clone();
        let Some(link) = self.link(sessions, terms, address, now) else {
            self.end(sessions, place, End::NoTarget, now);
            return false;
        };
        // To have found a socket may have cost this session its own.
        let Some(session) = sessions.get_mut(place).filter(|session| session.key.client == client) else {
            link.give_up(now, now);
            return false;
        };
        target.requests.inc();
        terms.pool.retries.retried(Retried::Connect);
        terms.counters.datagrams.moved.inc();
        link.session.set(Some(place));
        let old = std::mem::replace(&mut session.link, link);
        old.give_up(now, now);
        (session.attempt, session.target) = (attempt, target);
        (session.refused, session.gone, session.spoken, session.owed) = (false, false, false, 0);
        session.tries += 1;
        true
    }

    /// A socket to a target, for which another session may have to end.
    fn link(
        self: &Rc<Self>,
        sessions: &mut Table<Key, Session>,
        terms: &Rc<Terms>,
        address: SocketAddr,
        now: Duration,
    ) -> Option<Rc<Link>> {
        let links = self.links_to(terms, address);
        for last in [false, true] {
            match links.take(terms.udp.max_sockets, now, |link| self.listen(link)) {
                Had::Rested(link) => return Some(link),
                Had::New(link) => {
                    self.listen(&link);
                    return Some(link);
                }
                Had::None if last => {}
                Had::None => {
                    let full = links.count() >= terms.udp.max_sockets;
                    let of_it = |session: &Session| !full || Rc::ptr_eq(&session.link.links, &links);
                    let oldest = sessions.oldest_of(LOOKED_AT, now.saturating_sub(REST), of_it)?;
                    self.end(sessions, oldest, End::Evicted, now);
                }
            }
        }
        None
    }

    /// What a target has sent.
    fn deliver(&self, link: &Rc<Link>, piece: &Received<'_>) {
        let (now, count) = (net::coarse_now(), piece.count());
        link.links.answered();
        let mut sessions = self.sessions.borrow_mut();
        let place = link.session.get();
        let Some((place, session)) = place.and_then(|place| Some((place, sessions.get_mut(place)?))) else {
            link.disturbed(now);
            return self.count_late(count);
        };
        session.answered(count, piece.bytes.len(), now);
        let counters = &session.terms.counters;
        match self.socket.send_to(piece.bytes, piece.segment, session.key.client, session.key.local) {
            Ok(()) => {
                counters.datagrams.sent.add(count);
                counters.sent.add(piece.bytes.len() as u64);
            }
            Err(error) => {
                tracing::debug!(client = %session.key.client, %error, "an answer is not taken for a client");
                counters.datagrams.lost.lost(Lost::Client, count);
            }
        }
        if session.is_square() {
            self.end(&mut sessions, place, End::Done, now);
        } else {
            sessions.touch(place, now);
        }
    }

    /// Ends a session: what is owed to it reaches nobody any more.
    pub(super) fn end(&self, sessions: &mut Table<Key, Session>, place: u32, end: End, now: Duration) {
        let Some((session, heard)) = sessions.remove(place) else { return };
        let datagrams = &session.terms.counters.datagrams;
        datagrams.sessions.sub(1);
        match end {
            End::Evicted => {
                datagrams.evicted.inc();
                session.terms.pool.failures.failed(Failure::Evicted);
            }
            End::Silence => {
                session.target.failures.inc();
                session.terms.pool.failures.failed(Failure::ResponseTimeout);
            }
            End::Operator => session.terms.pool.failures.failed(Failure::Operator),
            End::Done | End::NoTarget | End::Ours => {}
        }
        session.judge(end, now);
        match session.is_square() && !session.refused {
            true => session.link.rest(now),
            false => session.link.give_up(heard, now),
        }
        session.log(&self.lane, end);
    }

    pub(super) fn links_to(&self, terms: &Terms, target: SocketAddr) -> Rc<Links> {
        let egress = &terms.local.pool().egress;
        let mut links = self.links.borrow_mut();
        links.entry((target, egress.clone())).or_insert_with(|| Rc::new(Links::new(target, egress.clone()))).clone()
    }

    /// What those go by who are to go by `seat`; `None` where that is no listener for datagrams.
    pub(super) fn terms(&self, seat: &Seat) -> Option<Rc<Terms>> {
        let mut terms = self.terms.borrow_mut();
        if let Some(known) = terms.iter().flatten().find(|terms| terms.are_of(seat)) {
            return Some(known.clone());
        }
        let new = Rc::new(Terms::of(seat)?);
        terms.rotate_right(1);
        terms[0] = Some(new.clone());
        Some(new)
    }

    fn count_late(&self, datagrams: u64) {
        if let Some(terms) = self.terms.borrow().iter().flatten().next() {
            terms.counters.datagrams.lost.lost(Lost::Late, datagrams);
        }
    }

    /// Ends what was silent for too long, at most `most`, and closes sockets that nobody needs. To be called about ten times a
    /// second.
    pub(super) fn sweep(&self, most: Duration) {
        let now = net::coarse_now();
        let seat = (self.gate)().seat(u32::MAX);
        let terms = self.terms(&seat);
        // Of a plan that is no more, nothing is kept.
        self.terms.borrow_mut().iter_mut().for_each(|kept| drop(kept.take_if(|terms| !terms.are_of(&seat))));
        let mut sessions = self.sessions.borrow_mut();
        if let Some(terms) = &terms {
            let idle = terms.idle(most);
            while let Some((place, heard)) = sessions.oldest()
                && now.saturating_sub(heard) >= idle
            {
                let end = sessions.get_mut(place).map_or(End::Done, |session| session.end_of_silence());
                self.end(&mut sessions, place, end, now);
            }
            let overflown = self.socket.overflown();
            let more = overflown.wrapping_sub(self.overflown.replace(overflown));
            terms.counters.datagrams.lost.lost(Lost::Overflow, more.into());
        }
        sessions.trim();
        drop(sessions);
        self.links.borrow_mut().retain(|_, links| {
            links.settle(now);
            links.trim(now) > 0 || links.is_shunned(now)
        });
        self.count_sockets(terms.as_deref());
    }

    /// Ends all sessions and closes all sockets to targets.
    pub(super) fn close(&self) {
        let now = net::coarse_now();
        let mut sessions = self.sessions.borrow_mut();
        while let Some((place, _)) = sessions.oldest() {
            self.end(&mut sessions, place, End::Ours, now);
        }
        drop(sessions);
        self.links.borrow().values().for_each(|links| links.close());
        self.count_sockets(None);
    }

    /// Counts the sockets that there are, where the listener counts now.
    fn count_sockets(&self, terms: Option<&Terms>) {
        let sockets = self.links.borrow().values().map(|links| links.count() as u64).sum();
        let mut counted = self.counted.borrow_mut();
        if let Some((before, counters)) = counted.take() {
            counters.datagrams.sockets.sub(before);
        }
        if let Some(terms) = terms {
            terms.counters.datagrams.sockets.add(sockets);
            *counted = Some((sockets, terms.counters.clone()));
        }
    }
}
