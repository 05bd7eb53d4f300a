//! A flag within one worker that tasks can wait for.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};

/// Raised once, never lowered; clones share it.
#[derive(Clone, Default)]
pub struct Signal(Rc<State>);

#[derive(Default)]
struct State {
    raised: Cell<bool>,
    waiting: RefCell<Vec<Waker>>,
}

impl Signal {
    /// Raises it and wakes all who wait.
    pub fn raise(&self) {
        self.0.raised.set(true);
        self.0.waiting.take().into_iter().for_each(Waker::wake);
    }

    /// Whether it was raised.
    pub fn is_raised(&self) -> bool {
        self.0.raised.get()
    }

    /// Waits until it is raised. Meant for few, long waits: a wait that is given up leaves its waker behind until then.
    pub async fn raised(&self) {
        poll_fn(|cx| {
            if self.is_raised() {
                return Poll::Ready(());
            }
            let mut waiting = self.0.waiting.borrow_mut();
            if !waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
                waiting.push(cx.waker().clone());
            }
            Poll::Pending
        })
        .await;
    }
}
