//! A task of a worker is called from any thread, once.
//!
//! What always holds: a call arrives, however many there are. It sets a flag that the callee looks at, and wakes the callee's
//! worker; where the worker has no room left to note who is called, it has all who wait look for themselves.

use super::event::Event;
use super::runtime::spawn;
use super::watch::Watch;
use crossbeam::queue::ArrayQueue;
use slab::Slab;
use std::cell::RefCell;
use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};

/// Calls that are noted between two turns of the callee's loop.
const NOTED: usize = 1024;

thread_local! {
    static BELL: RefCell<Option<Arc<Bell>>> = const { RefCell::new(None) };
    static WAITING: RefCell<Slab<Waker>> = const { RefCell::new(Slab::new()) };
}

/// Who can be called.
pub trait Call {
    /// Calls; from any thread.
    fn call(&self);

    /// Whether anybody still waits for it.
    fn is_awaited(&self) -> bool;
}

/// Those who wait for the same. It has room for twice as many as do, however many have left.
#[derive(Debug)]
pub struct Callers<C = Caller>(Vec<C>);

impl<C> Default for Callers<C> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<C: Call> Callers<C> {
    /// One more.
    pub fn push(&mut self, caller: C) {
        const FEW: usize = 8;
        if self.0.len() == self.0.capacity() {
            self.0.retain(C::is_awaited);
            self.0.reserve(self.0.len().max(FEW));
        }
        self.0.push(caller);
    }

    /// Calls all.
    pub fn call(self) {
        self.0.iter().for_each(C::call);
    }
}

/// Who calls; any thread may hold it.
pub struct Caller(Arc<Line>);

/// Who is called: a future that is done once it was. Dropped, it leaves nothing behind.
pub struct Callee(Arc<Line>);

struct Line {
    called: AtomicBool,
    /// The callee's place among those that wait on its worker.
    place: usize,
    bell: Arc<Bell>,
}

/// How a worker hears of calls.
struct Bell {
    event: Event,
    noted: ArrayQueue<usize>,
    /// Whether there were calls that could not be noted.
    crowded: AtomicBool,
    /// Whether the worker will look.
    rung: AtomicBool,
}

/// A call to the task that asks for it, on the calling worker. Fails if the process has no descriptor left for the worker's
/// first one.
pub fn call() -> io::Result<(Caller, Callee)> {
    let bell = match BELL.with_borrow(Clone::clone) {
        Some(bell) => bell,
        None => hang()?,
    };
    let place = WAITING.with_borrow_mut(|waiting| waiting.insert(Waker::noop().clone()));
    let line = Arc::new(Line { called: AtomicBool::new(false), place, bell });
    Ok((Caller(line.clone()), Callee(line)))
}

impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Caller")
    }
}

impl fmt::Debug for Callee {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Callee")
    }
}

impl Caller {
    /// Calls. A second time it does nothing.
    pub fn call(&self) {
        let Line { called, place, bell } = &*self.0;
        if called.swap(true, Ordering::AcqRel) {
            return;
        }
        // There is no bell any more while the thread ends.
        let is_here = BELL.try_with(|own| own.borrow().as_ref().is_some_and(|own| Arc::ptr_eq(own, bell)));
        if is_here == Ok(true) {
            return wake(*place);
        }
        if bell.noted.push(*place).is_err() {
            bell.crowded.store(true, Ordering::Release);
        }
        if !bell.rung.swap(true, Ordering::AcqRel) {
            bell.event.ring();
        }
    }
}

impl Call for Caller {
    fn call(&self) {
        Caller::call(self);
    }

    fn is_awaited(&self) -> bool {
        Arc::strong_count(&self.0) > 1
    }
}

impl Future for Callee {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        // A call that comes in between is told by the bell, later in this turn at the earliest.
        if self.0.called.load(Ordering::Acquire) {
            return Poll::Ready(());
        }
        WAITING.with_borrow_mut(|waiting| {
            if let Some(waker) = waiting.get_mut(self.0.place) {
                waker.clone_from(cx.waker());
            }
        });
        Poll::Pending
    }
}

impl Drop for Callee {
    fn drop(&mut self) {
        // The table is gone while the thread ends. The waker is dropped outside the borrow: it may own a task.
        let waker = WAITING.try_with(|waiting| waiting.borrow_mut().try_remove(self.0.place));
        drop(waker);
    }
}

/// Wakes who waits at a place: for nothing, if that is somebody else by now.
fn wake(place: usize) {
    let waker = WAITING.try_with(|waiting| waiting.borrow().get(place).cloned());
    if let Ok(Some(waker)) = waker {
        waker.wake();
    }
}

/// Takes the bell down with the task that listens to it.
struct Hung;

impl Drop for Hung {
    fn drop(&mut self) {
        let _ = BELL.try_with(|bell| bell.take());
    }
}

/// Makes the calling worker one that can be called.
fn hang() -> io::Result<Arc<Bell>> {
    let event = Event::new()?;
    let watch = Watch::new(event.descriptor()?);
    let (crowded, rung) = (AtomicBool::new(false), AtomicBool::new(false));
    let bell = Arc::new(Bell { event, noted: ArrayQueue::new(NOTED), crowded, rung });
    BELL.replace(Some(bell.clone()));
    let (own, hung) = (bell.clone(), Hung);
    spawn("calls from other threads", async move {
        let _hung = hung;
        while let Ok(()) = poll_fn(|cx| watch.poll_readable(cx)).await {
            watch.drained();
            own.event.heard();
            own.answer();
        }
    });
    Ok(bell)
}

impl Bell {
    fn answer(&self) {
        // Before the looking: whoever calls after it rings anew.
        self.rung.swap(false, Ordering::AcqRel);
        while let Some(place) = self.noted.pop() {
            wake(place);
        }
        if self.crowded.swap(false, Ordering::AcqRel) {
            let all: Vec<Waker> =
                WAITING.with_borrow(|waiting| waiting.iter().map(|(_, waker)| waker.clone()).collect());
            all.into_iter().for_each(Waker::wake);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    struct Counted(Arc<AtomicUsize>);

    impl super::Call for Counted {
        fn call(&self) {
            self.0.fetch_add(1, super::Ordering::SeqCst);
        }

        fn is_awaited(&self) -> bool {
            super::Arc::strong_count(&self.0) > 1
        }
    }

    #[test]
    fn who_has_left_takes_no_room_among_those_who_wait() {
        let mut callers = super::Callers::default();
        let stays = Arc::new(AtomicUsize::new(0));
        for _ in 0..3 {
            callers.push(Counted(stays.clone()));
            (0..10_000).for_each(|_| callers.push(Counted(Arc::default())));
        }
        assert!(callers.0.capacity() <= 32, "{}", callers.0.capacity());
        callers.call();
        assert_eq!(stays.load(super::Ordering::SeqCst), 3);
    }

    use super::super::runtime::{Backend, Driver, enter, probe};
    use super::super::timeout;
    use super::*;
    use std::time::Duration;

    fn backends() -> Vec<Backend> {
        let (best, _) = probe(Driver::Auto).unwrap();
        if best == Backend::Epoll { vec![best] } else { vec![best, Backend::Epoll] }
    }

    #[test]
    fn every_call_from_another_thread_arrives() {
        for backend in backends() {
            enter(backend, 0, async {
                // More than are noted.
                let (callers, callees): (Vec<_>, Vec<_>) = (0..NOTED * 3).map(|_| call().unwrap()).unzip();
                let thread = std::thread::spawn(move || callers.iter().for_each(Caller::call));
                for callee in callees {
                    assert!(timeout(Duration::from_secs(20), callee).await.is_some(), "{backend:?}");
                }
                thread.join().unwrap();
                assert!(WAITING.with_borrow(Slab::is_empty));
            })
            .unwrap();
        }
    }

    #[test]
    fn a_call_on_the_same_thread_needs_no_bell_and_one_to_nobody_does_nothing() {
        for backend in backends() {
            enter(backend, 0, async {
                let (caller, callee) = call().unwrap();
                spawn("test", async move {
                    caller.call();
                    caller.call();
                });
                assert!(timeout(Duration::from_secs(20), callee).await.is_some(), "{backend:?}");
                let (caller, callee) = call().unwrap();
                drop(callee);
                caller.call();
                let (caller, callee) = call().unwrap();
                assert!(timeout(Duration::from_millis(20), callee).await.is_none(), "nobody calls");
                drop(caller);
                BELL.with_borrow(|bell| assert!(!bell.as_ref().unwrap().rung.load(Ordering::Relaxed)));
            })
            .unwrap();
        }
    }
}
