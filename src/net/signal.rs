//! A flag within one worker that tasks can wait for.

use slab::Slab;
use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

/// Raised once, never lowered; clones share it.
#[derive(Clone, Default)]
pub struct Signal(Rc<State>);

#[derive(Default)]
struct State {
    raised: Cell<bool>,
    waiting: RefCell<Slab<Waker>>,
}

impl Signal {
    /// Raises it and wakes all who wait.
    pub fn raise(&self) {
        self.0.raised.set(true);
        // Kept as they are: each waiting future takes its own away.
        let waiting: Vec<Waker> = self.0.waiting.borrow().iter().map(|(_, waker)| waker.clone()).collect();
        waiting.into_iter().for_each(Waker::wake);
    }

    /// Whether it was raised.
    pub fn is_raised(&self) -> bool {
        self.0.raised.get()
    }

    /// Waits until it is raised. A wait that is given up leaves nothing behind.
    pub fn raised(&self) -> impl Future<Output = ()> {
        Raised { signal: self, place: None }
    }
}

struct Raised<'a> {
    signal: &'a Signal,
    place: Option<usize>,
}

impl Future for Raised<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.signal.is_raised() {
            return Poll::Ready(());
        }
        let mut waiting = self.signal.0.waiting.borrow_mut();
        match self.place.and_then(|place| waiting.get_mut(place)) {
            Some(waker) => waker.clone_from(cx.waker()),
            None => {
                let place = waiting.insert(cx.waker().clone());
                drop(waiting);
                self.place = Some(place);
            }
        }
        Poll::Pending
    }
}

impl Drop for Raised<'_> {
    fn drop(&mut self) {
        // The waker is dropped outside the borrow: it may own the task whose drop gives up another wait.
        let waker = self.place.and_then(|place| self.signal.0.waiting.borrow_mut().try_remove(place));
        drop(waker);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_given_up_leaves_nothing_behind() {
        let signal = Signal::default();
        for _ in 0..100 {
            let mut wait = std::pin::pin!(signal.raised());
            for _ in 0..3 {
                assert!(wait.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
            }
            assert_eq!(signal.0.waiting.borrow().len(), 1);
        }
        assert!(signal.0.waiting.borrow().is_empty());
        signal.raise();
        let mut wait = std::pin::pin!(signal.raised());
        assert!(wait.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready());
    }
}
