//! What a worker knows of its descriptors: each has a slot with its readiness, its deadlines and the task that waits.
//!
//! What always holds:
//! - Readiness is edge-triggered: the driver says when something has come, and whoever finds that there is no more says so
//!   ([`Watch::drained`]). Between the two a slot counts as readable. That the peer sends no more never wears off.
//! - One task at a time waits for a descriptor, though it may wait for both directions.
//! - A descriptor is closed when no operation of the driver names it any more, so that its number cannot come to mean
//!   another connection under one that is still queued.

use super::clock::coarse_now;
use super::{driver, ledger};
use slab::Slab;
use std::cell::{Cell, RefCell};
use std::io::{self, ErrorKind};
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

thread_local! {
    static SLOTS: RefCell<Slab<Slot>> = const { RefCell::new(Slab::new()) };
    /// The tick of the last sweep, before which nothing passes.
    static SWEPT: Cell<u32> = Cell::new(tick(coarse_now(), 0));
}

/// A descriptor that the worker's driver watches from the first time on that somebody waits for it.
pub(super) struct Watch {
    fd: ManuallyDrop<OwnedFd>,
    slot: u32,
    /// The slot is in the table of one thread.
    _thread: PhantomData<Rc<()>>,
}

/// A stream of the worker, for somebody who does not own it. Worth something for as long as the stream is there: after that it may
/// come to mean another.
#[derive(Clone, Copy, Debug)]
pub struct Handle(u32);

impl Handle {
    /// The local address as the client dialled it, if it is an IP address.
    pub fn local_address(self) -> Option<SocketAddr> {
        let fd =
            SLOTS.with_borrow(|slots| Some(slots.get(self.0 as usize).filter(|slot| slot.closing.is_none())?.fd))?;
        // SAFETY: the descriptor is open, as its slot is there and nobody has let go of it, and stays so for this call: only this
        // thread could close it.
        let socket = unsafe { BorrowedFd::borrow_raw(fd) };
        socket2::SockRef::from(&socket).local_addr().ok()?.as_socket()
    }

    /// Ends the stream both ways at once: whoever receives from it or sends on it fails. False: it has been ended before.
    pub fn cut(self) -> bool {
        let waker = SLOTS.with_borrow_mut(|slots| {
            let slot = slots.get_mut(self.0 as usize).filter(|slot| slot.closing.is_none() && !slot.cut)?;
            (slot.cut, slot.ended, slot.ready) = (true, true, [true; 2]);
            // SAFETY: the call takes two numbers; the descriptor is open, as its slot is there and nobody has let go of it.
            unsafe { libc::shutdown(slot.fd, libc::SHUT_RDWR) };
            Some(slot.waker.take())
        });
        match waker {
            Some(waker) => {
                waker.into_iter().for_each(Waker::wake);
                true
            }
            None => false,
        }
    }
}

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    Receive,
    Send,
}

struct Slot {
    /// By direction: the tick at which waiting ends, or [`NEVER`].
    due: [u32; 2],
    waker: Option<Waker>,
    /// The descriptor, once its owner has let go of it and until the driver has.
    closing: Option<OwnedFd>,
    /// Operations of the driver that name the descriptor.
    operations: u16,
    /// By direction: whether the driver says when there is something to receive, or room to send.
    watched: [bool; 2],
    /// By direction: whether there may be something to receive, or room to send.
    ready: [bool; 2],
    /// Whether the peer sends no more, or the connection is broken.
    ended: bool,
    /// Whether it was ended from here.
    cut: bool,
    fd: RawFd,
}

/// What the driver has to tell of a descriptor.
#[derive(Clone, Copy, Debug)]
pub(super) enum Event {
    /// There is something to receive; `ended` if the peer's end is too.
    Readable { ended: bool },
    /// There is room to send.
    Writable,
    /// An operation that a task waits for has ended.
    Done,
}

/// Milliseconds of a tick. Ticks wrap around, and are compared by their distance.
const TICK: u64 = 16;
/// A tick that no deadline has.
const NEVER: u32 = 0;
/// The longest deadline, of about a year: half of what the ticks can tell apart.
const LONGEST: Duration = Duration::from_millis((i32::MAX as u64 - 1) * TICK);

impl Watch {
    /// Takes over a non-blocking descriptor.
    pub(super) fn new(fd: OwnedFd) -> Self {
        let slot = SLOTS.with_borrow_mut(|slots| slots.insert(Slot::new(fd.as_raw_fd())));
        // A slot per descriptor, and of those there are never that many.
        Self { fd: ManuallyDrop::new(fd), slot: u32::try_from(slot).unwrap_or(u32::MAX), _thread: PhantomData }
    }

    pub(super) fn fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }

    pub(super) fn slot(&self) -> u32 {
        self.slot
    }

    /// Sets the deadline of one direction `after` from now; `None` takes it away.
    pub(super) fn set_deadline(&self, direction: Direction, after: Option<Duration>) {
        let due = after.map_or(NEVER, due_in);
        self.with(|slot| slot.due[direction as usize] = due);
    }

    /// Whether there may be something to receive.
    pub(super) fn is_readable(&self) -> bool {
        self.with(|slot| slot.ready[Direction::Receive as usize]).unwrap_or(false)
    }

    /// Supposes that there is something to receive.
    pub(super) fn expect(&self) {
        self.with(|slot| slot.ready[Direction::Receive as usize] = true);
    }

    /// Nothing more was there to receive: from now on the driver says when there is.
    pub(super) fn drained(&self) {
        self.with(|slot| slot.ready[Direction::Receive as usize] = slot.ended);
    }

    /// Waits until there may be something to receive, which stays so until [`Watch::drained`]. Fails with `TimedOut` when
    /// the deadline has passed.
    pub(super) fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut is_new = false;
        let state = self.with(|slot| {
            if slot.ready[Direction::Receive as usize] {
                return Poll::Ready(Ok(()));
            }
            is_new = !std::mem::replace(&mut slot.watched[Direction::Receive as usize], true);
            slot.wait(Direction::Receive, cx)
        });
        if is_new && let Err(error) = driver::watch(self) {
            return Poll::Ready(Err(error));
        }
        state.unwrap_or(Poll::Pending)
    }

    /// Waits until there is room to send again, after a send found none. Fails with `TimedOut` when the deadline has
    /// passed.
    pub(super) fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut is_new = false;
        let state = self.with(|slot| {
            if std::mem::take(&mut slot.ready[Direction::Send as usize]) {
                return Poll::Ready(Ok(()));
            }
            is_new = !std::mem::replace(&mut slot.watched[Direction::Send as usize], true);
            slot.wait(Direction::Send, cx)
        });
        if is_new {
            let watched = driver::watch_writable(self).and_then(|says| if says { Ok(()) } else { self.watch() });
            if let Err(error) = watched {
                return Poll::Ready(Err(error));
            }
        }
        state.unwrap_or(Poll::Pending)
    }

    /// Waits for an operation on the descriptor to end, which the caller has to look for when the task is woken. Fails
    /// with `TimedOut` when that has taken `limit`, which is counted from the first call of an operation, the one with
    /// `begins`.
    pub(super) fn poll_done(&self, limit: Duration, begins: bool, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let state = self.with(|slot| {
            if begins {
                slot.due[Direction::Send as usize] = due_in(limit);
            }
            slot.wait(Direction::Send, cx)
        });
        state.unwrap_or(Poll::Pending)
    }

    /// Has the driver watch the descriptor from now on, although nobody waits.
    pub(super) fn watch(&self) -> io::Result<()> {
        let watched = self.with(|slot| std::mem::replace(&mut slot.watched[Direction::Receive as usize], true));
        if watched == Some(false) { driver::watch(self) } else { Ok(()) }
    }

    /// Has the driver watch the descriptor no more, until somebody waits for it again.
    pub(super) fn ignore(&self) {
        if let Some(watched) = self.with(|slot| std::mem::take(&mut slot.watched)) {
            driver::forget(self, watched);
        }
    }

    /// Names it for whoever does not own it.
    pub(super) fn handle(&self) -> Handle {
        Handle(self.slot)
    }

    /// Whether it was ended by [`Handle::cut`].
    pub(super) fn is_cut(&self) -> bool {
        self.with(|slot| slot.cut).unwrap_or(false)
    }

    fn with<R>(&self, change: impl FnOnce(&mut Slot) -> R) -> Option<R> {
        SLOTS.with_borrow_mut(|slots| slots.get_mut(self.slot as usize).map(change))
    }
}

impl Slot {
    fn new(fd: RawFd) -> Self {
        Self {
            due: [NEVER; 2],
            waker: None,
            closing: None,
            operations: 0,
            watched: [false; 2],
            ready: [false; 2],
            ended: false,
            cut: false,
            fd,
        }
    }

    /// Fails with `TimedOut` when the direction's deadline has passed. If not, the task is woken when it has, or when
    /// anything has happened to the descriptor.
    fn wait(&mut self, direction: Direction, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if is_past(self.due[direction as usize], SWEPT.get()) {
            return Poll::Ready(Err(ErrorKind::TimedOut.into()));
        }
        match &mut self.waker {
            Some(waker) if waker.will_wake(cx.waker()) => {}
            other => *other = Some(cx.waker().clone()),
        }
        Poll::Pending
    }
}

impl AsFd for Watch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let watched = SLOTS.try_with(|slots| {
            let mut slots = slots.borrow_mut();
            let slot = slots.get_mut(self.slot as usize)?;
            slot.waker = None;
            slot.due = [NEVER; 2];
            Some(slot.watched)
        });
        if let Ok(Some(watched)) = watched {
            driver::forget(self, watched);
        }
        // SAFETY: this is the only place that takes it, and the value is not used after its drop.
        let fd = unsafe { ManuallyDrop::take(&mut self.fd) };
        // The tables are gone while the thread ends: then nothing is queued any more either.
        let _ = SLOTS.try_with(|slots| {
            let mut slots = slots.borrow_mut();
            if let Some(slot) = slots.get_mut(self.slot as usize) {
                slot.closing = Some(fd);
                free_if_done(&mut slots, self.slot);
            }
        });
    }
}

/// An operation that names the descriptor in `slot` has been queued.
pub(super) fn begun(slot: u32) {
    SLOTS.with_borrow_mut(|slots| {
        if let Some(slot) = slots.get_mut(slot as usize) {
            slot.operations += 1;
        }
    });
}

/// Something happened to the descriptor in `slot`; `last` if it ended an operation that [`begun`] named. Returns whom to
/// wake.
pub(super) fn happened(slot: u32, event: Event, last: bool) -> Option<Waker> {
    SLOTS.with_borrow_mut(|slots| {
        let found = slots.get_mut(slot as usize)?;
        match event {
            Event::Readable { ended } => {
                found.ready[Direction::Receive as usize] = true;
                found.ended |= ended;
                found.watched[Direction::Receive as usize] &= !last;
            }
            Event::Writable => {
                found.ready[Direction::Send as usize] = true;
                found.watched[Direction::Send as usize] &= !last;
            }
            Event::Done => found.due[Direction::Send as usize] = NEVER,
        }
        let waker = found.waker.take();
        if last {
            debug_assert!(found.operations > 0);
            found.operations = found.operations.saturating_sub(1);
            free_if_done(slots, slot);
        }
        waker
    })
}

fn free_if_done(slots: &mut Slab<Slot>, index: u32) {
    if slots.get(index as usize).is_some_and(|slot| slot.operations == 0 && slot.closing.is_some())
        && let Some(fd) = slots.remove(index as usize).closing
    {
        ledger::clear(fd.as_raw_fd());
        drop(fd);
    }
}

/// Closes what the driver, which is gone, had not let go of.
pub(super) fn close_all() {
    SLOTS.with_borrow_mut(|slots| {
        for (_, slot) in slots.iter_mut() {
            slot.operations = 0;
            slot.watched = [false; 2];
        }
        let closing: Vec<usize> = slots.iter().filter(|(_, slot)| slot.closing.is_some()).map(|(at, _)| at).collect();
        closing.into_iter().for_each(|at| free_if_done(slots, at as u32));
    });
}

/// Wakes every task whose descriptor is overdue. A worker calls this about every 100 ms.
pub fn sweep() {
    let now = tick(coarse_now(), 0);
    SWEPT.set(now);
    let overdue: Vec<Waker> = SLOTS.with_borrow_mut(|slots| {
        let late = slots.iter_mut().filter(|(_, slot)| slot.due.iter().any(|&due| is_past(due, now)));
        late.filter_map(|(_, slot)| slot.waker.take()).collect()
    });
    overdue.into_iter().for_each(Waker::wake);
}

/// The tick of a time since boot, of which `up` milliseconds more are rounded up.
fn tick(time: Duration, up: u64) -> u32 {
    ((time.as_secs() * 1000 + u64::from(time.subsec_millis()) + up) / TICK) as u32
}

fn due_in(after: Duration) -> u32 {
    tick(coarse_now() + after.min(LONGEST), TICK - 1).max(NEVER + 1)
}

fn is_past(due: u32, now: u32) -> bool {
    due != NEVER && due.wrapping_sub(now).cast_signed() <= 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::runtime::Backend;
    use std::os::unix::net::UnixStream;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    #[derive(Default)]
    struct Count(AtomicUsize);
    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn wait(span: Duration) {
        let start = std::time::Instant::now();
        while start.elapsed() < span {
            std::hint::spin_loop();
        }
        super::super::clock::refresh();
    }

    fn pair() -> (Watch, UnixStream) {
        let (near, far) = UnixStream::pair().unwrap();
        near.set_nonblocking(true).unwrap();
        (Watch::new(near.into()), far)
    }

    fn backends() -> Vec<Backend> {
        use crate::net::runtime::{Driver, probe};
        let (best, _) = probe(Driver::Auto).unwrap();
        if best == Backend::Epoll { vec![best] } else { vec![best, Backend::Epoll] }
    }

    fn on_each(test: impl Fn(Backend)) {
        for backend in backends() {
            driver::set_up(backend).unwrap();
            test(backend);
            driver::tear_down();
        }
    }

    #[test]
    fn the_sweep_wakes_the_overdue_alone() {
        use Direction::Receive;
        let limit = Duration::from_millis(8);
        on_each(|_| {
            let (late, early) = (Arc::new(Count::default()), Arc::new(Count::default()));
            let (late_waker, early_waker) = (Waker::from(late.clone()), Waker::from(early.clone()));
            let ((a, _far_a), (b, _far_b)) = (pair(), pair());
            a.set_deadline(Receive, Some(Duration::from_secs(3600)));
            assert!(a.poll_readable(&mut Context::from_waker(&late_waker)).is_pending());
            assert!(b.poll_readable(&mut Context::from_waker(&late_waker)).is_pending());
            assert!(b.poll_done(limit, true, &mut Context::from_waker(&early_waker)).is_pending());
            wait(Duration::from_millis(60));
            sweep();
            assert!(b.poll_done(limit, false, &mut Context::from_waker(&early_waker)).is_ready());
            assert_eq!((late.0.load(Ordering::Relaxed), early.0.load(Ordering::Relaxed)), (0, 1));
        });
    }

    #[test]
    fn a_deadline_taken_away_never_fires() {
        on_each(|_| {
            let (a, _far) = pair();
            let mut cx = Context::from_waker(Waker::noop());
            a.set_deadline(Direction::Receive, Some(Duration::ZERO));
            wait(Duration::from_millis(60));
            sweep();
            assert!(a.poll_readable(&mut cx).is_ready());
            a.set_deadline(Direction::Receive, None);
            assert!(a.poll_readable(&mut cx).is_pending());
        });
    }

    #[test]
    fn what_comes_is_told_once_and_the_end_for_ever() {
        use std::io::Write;
        on_each(|backend| {
            let (watch, mut far) = pair();
            let mut cx = Context::from_waker(Waker::noop());
            let turn = || driver::turn(Some(Duration::from_millis(20))).unwrap();
            assert!(watch.poll_readable(&mut cx).is_pending());
            turn();
            assert!(watch.poll_readable(&mut cx).is_pending(), "{backend:?}");
            far.write_all(b"x").unwrap();
            turn();
            assert!(watch.poll_readable(&mut cx).is_ready() && watch.is_readable(), "{backend:?}");
            watch.drained();
            assert!(watch.poll_readable(&mut cx).is_pending());
            drop(far);
            turn();
            assert!(watch.poll_readable(&mut cx).is_ready());
            watch.drained();
            assert!(watch.is_readable());
        });
    }

    #[test]
    fn a_descriptor_is_closed_when_nothing_names_it() {
        on_each(|backend| {
            let (watch, mut far) = pair();
            assert!(watch.poll_readable(&mut Context::from_waker(Waker::noop())).is_pending());
            drop(watch);
            for _ in 0..3 {
                driver::turn(Some(Duration::ZERO)).unwrap();
            }
            assert_eq!(SLOTS.with_borrow(Slab::len), 0, "{backend:?}");
            assert_eq!(std::io::Read::read(&mut far, &mut [0; 1]).unwrap(), 0);
        });
    }

    #[test]
    fn a_descriptor_costs_forty_bytes_here() {
        assert!(size_of::<Slot>() <= 40, "{}", size_of::<Slot>());
    }

    #[test]
    fn what_is_cut_is_told_to_who_waits_and_to_the_peer() {
        on_each(|backend| {
            let (watch, mut far) = pair();
            let count = Arc::new(Count::default());
            let waker = Waker::from(count.clone());
            assert!(watch.poll_readable(&mut Context::from_waker(&waker)).is_pending());
            let handle = watch.handle();
            assert!(handle.cut() && !handle.cut() && watch.is_cut(), "{backend:?}");
            assert_eq!(count.0.load(Ordering::Relaxed), 1);
            assert!(watch.poll_readable(&mut Context::from_waker(&waker)).is_ready());
            assert_eq!(std::io::Read::read(&mut far, &mut [0; 1]).unwrap(), 0);
            drop(watch);
            assert!(!handle.cut(), "{backend:?}");
        });
    }

    #[test]
    fn ticks_may_wrap_around() {
        assert!(is_past(u32::MAX, 3) && is_past(5, 5) && !is_past(3, u32::MAX) && !is_past(6, 5));
    }
}
