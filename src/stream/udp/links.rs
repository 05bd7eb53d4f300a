//! The sockets to one target, of one address on one worker.
//!
//! What always holds: a socket serves one session at a time. One whose session has had all of its answers rests for a while
//! before the next one, and longer if something came meanwhile; one whose session may still be owed something is closed, and
//! its port is left alone. So an answer that is late reaches nobody else.

use super::ports::{GIVEN_UP, Ports};
use crate::net::{Datagram, Egress};
use crate::observe::reason::Failure;
use crate::upstream::Attempt;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// How long a socket rests between two sessions.
pub(super) const REST: Duration = Duration::from_millis(250);
/// The same where there are more than a few: what comes twice comes close together, and each further socket costs its memory.
const LEAST_REST: Duration = Duration::from_millis(20);
/// Sockets to a target, on one worker, up to which one more is made rather than one taken early.
const FEW: usize = 256;
/// How long one that nobody needs is kept.
const KEPT: Duration = Duration::from_secs(10);
/// Sockets that are made in search of a port that no answer may come to.
const TRIES: usize = 4;
/// How long nobody must have refused a datagram that is never answered for its target to be there again. Of a host that is not there the
/// kernel knows after three seconds.
const SETTLED: Duration = Duration::from_secs(4);
/// How long a target that refuses datagrams is left alone: the first time, and at most.
const SHUNNED: Duration = Duration::from_secs(1);
const SHUNNED_MOST: u32 = 5;

/// The sockets to a target.
pub(super) struct Links {
    pub(super) target: SocketAddr,
    /// How they are set up; `None`: as the kernel has it.
    egress: Option<Arc<Egress>>,
    /// Those that serve nobody, the one that has rested for longest first.
    resting: RefCell<VecDeque<Rc<Link>>>,
    /// The one for what is never answered, which all clients share.
    pub(super) shared: RefCell<Option<Rc<Link>>>,
    /// All that there are.
    count: Cell<usize>,
    /// What tries the target by a datagram that is never answered, and since when.
    trial: RefCell<Option<(Attempt, Duration)>>,
    /// Until when the target is left alone, as it refused what was sent to it, and how often it did.
    shunned: Cell<Duration>,
    refusals: Cell<u32>,
}

/// A socket to a target.
pub(super) struct Link {
    pub(super) socket: Datagram,
    pub(super) links: Rc<Links>,
    /// Whom it serves.
    pub(super) session: Cell<Option<u32>>,
    /// Whether it is to close.
    pub(super) closed: Cell<bool>,
    /// Datagrams that it is likely to receive at a time.
    pub(super) most: Cell<usize>,
    rests_until: Cell<Duration>,
    port: u16,
}

/// What came of asking for a socket.
pub(super) enum Had {
    /// One that has rested.
    Rested(Rc<Link>),
    /// A new one, which nobody receives from yet.
    New(Rc<Link>),
    /// None is to be had.
    None,
}

impl Links {
    pub(super) fn new(target: SocketAddr, egress: Option<Arc<Egress>>) -> Self {
        Self {
            target,
            egress,
            resting: RefCell::default(),
            shared: RefCell::default(),
            count: Cell::new(0),
            trial: RefCell::default(),
            shunned: Cell::new(Duration::ZERO),
            refusals: Cell::new(0),
        }
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.count.get()
    }

    /// A socket for a session, of at most `most`. New ones whose port may still get answers to others are handed to `rest`.
    pub(super) fn take(self: &Rc<Self>, most: usize, now: Duration, mut rest: impl FnMut(&Rc<Link>)) -> Had {
        let early = if self.count.get() < FEW.min(most) { Duration::ZERO } else { REST - LEAST_REST };
        if let Some(link) = self.take_rested(now + early) {
            return Had::Rested(link);
        }
        for _ in 0..TRIES {
            if self.count.get() >= most {
                return Had::None;
            }
            let link = match self.open(now) {
                Ok(link) => link,
                Err(error) => {
                    tracing::debug!(target = %self.target, %error, "no socket is to be had for a target");
                    return Had::None;
                }
            };
            match GIVEN_UP.rests(link.port, now) {
                None => return Had::New(link),
                Some(left) => {
                    link.rests_until.set(now + left);
                    self.resting.borrow_mut().push_back(link.clone());
                    rest(&link);
                }
            }
        }
        Had::None
    }

    fn take_rested(&self, now: Duration) -> Option<Rc<Link>> {
        let mut resting = self.resting.borrow_mut();
        // Where something came late, or a port is left alone, the first is not the one that has rested for longest.
        for _ in 0..TRIES {
            let first = resting.front()?;
            if first.closed.get() {
                resting.pop_front();
                continue;
            }
            if first.rests_until.get() <= now {
                return resting.pop_front();
            }
            if resting.get(1).is_none_or(|next| next.rests_until.get() > now) {
                return None;
            }
            resting.rotate_left(1);
        }
        None
    }

    fn open(self: &Rc<Self>, now: Duration) -> io::Result<Rc<Link>> {
        let socket = Datagram::connect(self.target, self.egress.as_deref())?;
        self.count.set(self.count.get() + 1);
        Ok(Rc::new(Link {
            port: socket.port(),
            socket,
            links: self.clone(),
            session: Cell::new(None),
            closed: Cell::new(false),
            most: Cell::new(2),
            rests_until: Cell::new(now),
        }))
    }

    /// The one for what is never answered, if there is one.
    pub(super) fn shared_one(&self, now: Duration) -> Option<Rc<Link>> {
        let shared = self.shared.borrow();
        let link = shared.as_ref().filter(|link| !link.closed.get())?;
        link.rests_until.set(now);
        Some(link.clone())
    }

    /// Closes those that nobody has needed for a while. Returns how many are left.
    pub(super) fn trim(&self, now: Duration) -> usize {
        let unused = |link: &mut Rc<Link>| now >= link.rests_until.get() + KEPT;
        if let Some(link) = self.shared.borrow_mut().take_if(unused) {
            link.close();
        }
        let mut resting = self.resting.borrow_mut();
        while resting.front().is_some_and(|link| now >= link.rests_until.get() + KEPT) {
            if let Some(link) = resting.pop_front() {
                link.close();
            }
        }
        if resting.is_empty() {
            resting.shrink_to(64);
        }
        self.count.get()
    }

    /// Closes all that serve nobody.
    pub(super) fn close(&self) {
        self.resting.take().iter().chain(self.shared.take().iter()).for_each(|link| link.close());
    }

    /// The target has refused something. Returns whether it did so for the first time in a while.
    pub(super) fn refused(&self, now: Duration) -> bool {
        if now < self.shunned.get() {
            return false;
        }
        let refusals = self.refusals.get();
        self.refusals.set(refusals.saturating_add(1));
        self.shunned.set(now + SHUNNED * (1 << refusals.min(SHUNNED_MOST)));
        refusals == 0
    }

    /// The target has answered.
    #[inline]
    pub(super) fn answered(&self) {
        if self.refusals.get() > 0 {
            self.refusals.set(0);
            self.shunned.set(Duration::ZERO);
        }
    }

    /// A datagram that is never answered has gone to the target to see whether it is there again.
    pub(super) fn try_by(&self, attempt: Attempt, now: Duration) {
        self.trial.replace(Some((attempt, now)));
    }

    /// It was refused. False: none had gone.
    pub(super) fn try_failed(&self, now: Duration) -> bool {
        let trial = self.trial.take();
        trial.inspect(|(attempt, _)| attempt.failed(Failure::Connect, now)).is_some()
    }

    /// What was tried for long enough has gone well.
    pub(super) fn settle(&self, now: Duration) {
        let trial = self.trial.borrow_mut().take_if(|(_, since)| now >= *since + SETTLED);
        if let Some((attempt, _)) = trial {
            attempt.has_spoken(now);
        }
    }

    /// Until when the target is left alone.
    pub(super) fn shunned_until(&self) -> Duration {
        self.shunned.get()
    }

    /// Whether the target is left alone for now.
    pub(super) fn is_shunned(&self, now: Duration) -> bool {
        now < self.shunned.get()
    }
}

impl Link {
    /// Its session is over, and has had all that it was owed.
    pub(super) fn rest(self: &Rc<Self>, now: Duration) {
        self.session.set(None);
        self.rests_until.set(now + REST);
        self.links.resting.borrow_mut().push_back(self.clone());
    }

    /// Something came that nobody waits for: more may follow.
    pub(super) fn disturbed(&self, now: Duration) {
        self.rests_until.set(self.rests_until.get().max(now + REST));
    }

    /// Its session is over, in which something was last sent or received at `heard`, and may still be owed something.
    pub(super) fn give_up(&self, heard: Duration, now: Duration) {
        self.give_up_to(&GIVEN_UP, heard, now);
    }

    fn give_up_to(&self, ports: &Ports, heard: Duration, now: Duration) {
        ports.give_up(self.port, heard, now);
        self.close();
    }

    pub(super) fn close(&self) {
        self.session.set(None);
        if !self.closed.replace(true) {
            self.links.count.set(self.links.count.get().saturating_sub(1));
            self.socket.wake();
        }
    }
}

/// Whether a send failed because nobody receives there, as the target's host said of one before.
pub(super) fn is_refusal(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::ConnectionRefused | ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;

    fn at(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn rested(links: &Rc<Links>, most: usize, now: Duration) -> Option<Rc<Link>> {
        match links.take(most, now, |_| {}) {
            Had::Rested(link) => Some(link),
            Had::New(_) => panic!("a socket too many"),
            Had::None => None,
        }
    }

    fn new(links: &Rc<Links>, most: usize, now: Duration) -> Rc<Link> {
        let Had::New(link) = links.take(most, now, |_| {}) else { panic!("a new socket") };
        link
    }

    #[test]
    fn a_socket_rests_between_two_sessions_and_longer_if_something_comes() {
        let target = UdpSocket::bind("127.0.0.1:0").unwrap();
        let links = Rc::new(Links::new(target.local_addr().unwrap(), None));
        let first = new(&links, 1, at(0));
        first.rest(at(100));
        let second = new(&links, 2, at(349));
        assert!(Rc::ptr_eq(&first, &rested(&links, 3, at(350)).unwrap()));
        first.rest(at(400));
        first.disturbed(at(600));
        let third = new(&links, 3, at(849));
        assert!(Rc::ptr_eq(&first, &rested(&links, 4, at(850)).unwrap()));
        assert_eq!((second.closed.get(), third.closed.get(), links.count()), (false, false, 3));
    }

    #[test]
    fn where_no_more_can_be_made_one_rests_for_less_but_rests() {
        let target = UdpSocket::bind("127.0.0.1:0").unwrap();
        let links = Rc::new(Links::new(target.local_addr().unwrap(), None));
        let first = new(&links, 1, at(0));
        assert!(rested(&links, 1, at(0)).is_none(), "there may be one");
        first.rest(at(100));
        assert!(rested(&links, 1, at(119)).is_none());
        assert!(rested(&links, 1, at(120)).is_some());
        first.rest(at(200));
        first.disturbed(at(300));
        assert!(rested(&links, 1, at(319)).is_none());
        assert!(rested(&links, 1, at(320)).is_some());
    }

    #[test]
    fn one_that_has_rested_is_found_behind_one_that_has_not() {
        let target = UdpSocket::bind("127.0.0.1:0").unwrap();
        let links = Rc::new(Links::new(target.local_addr().unwrap(), None));
        let (first, second) = (new(&links, 2, at(0)), new(&links, 2, at(0)));
        first.rest(at(0));
        second.rest(at(10));
        first.disturbed(at(240));
        assert!(Rc::ptr_eq(&rested(&links, 3, at(260)).unwrap(), &second));
        assert!(links.take_rested(at(260)).is_none());
    }

    #[test]
    fn what_is_given_up_makes_room_and_what_nobody_needs_is_closed() {
        let target = UdpSocket::bind("127.0.0.1:0").unwrap();
        let links = Rc::new(Links::new(target.local_addr().unwrap(), None));
        let (first, second) = (new(&links, 2, at(0)), new(&links, 2, at(0)));
        first.give_up(at(0), at(0));
        assert!(first.closed.get() && links.count() == 1);
        second.rest(at(0));
        assert_eq!((links.trim(at(5_000)), links.trim(at(10_250))), (1, 0));
        assert!(second.closed.get());
    }

    #[test]
    fn a_target_that_refuses_is_left_alone_for_longer_each_time() {
        let links = Links::new("127.0.0.1:9".parse().unwrap(), None);
        assert!(links.refused(at(0)) && links.is_shunned(at(999)) && !links.is_shunned(at(1000)));
        assert!(!links.refused(at(1000)) && links.is_shunned(at(2999)) && !links.is_shunned(at(3000)));
        links.answered();
        assert!(!links.is_shunned(at(2000)) && links.refused(at(2000)));
    }
}
