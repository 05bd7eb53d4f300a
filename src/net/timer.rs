//! Timers of their own, for rare things: a sleep has an entry in its thread's queue. What waits for a peer uses the
//! coarse deadlines of [`super::watch`].

use super::clock::coarse_now;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

thread_local! {
    static QUEUE: RefCell<BTreeMap<Place, Waker>> = const { RefCell::new(BTreeMap::new()) };
    static NEXT: Cell<u64> = const { Cell::new(0) };
}

/// When a timer fires, and its number among those that fire then.
type Place = (Duration, u64);

/// Ends `duration` from now, or a few milliseconds later.
pub(super) struct Sleep(Place);

impl Sleep {
    pub(super) fn new(duration: Duration) -> Self {
        Self((coarse_now().saturating_add(duration), NEXT.replace(NEXT.get().wrapping_add(1))))
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if coarse_now() >= self.0.0 {
            return Poll::Ready(());
        }
        QUEUE.with_borrow_mut(|queue| {
            let waker = queue.entry(self.0).or_insert_with(|| cx.waker().clone());
            if !waker.will_wake(cx.waker()) {
                waker.clone_from(cx.waker());
            }
        });
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        // The queue is gone while the thread ends.
        let _ = QUEUE.try_with(|queue| queue.borrow_mut().remove(&self.0));
    }
}

/// How long until the next timer fires.
pub(super) fn next() -> Option<Duration> {
    let due = QUEUE.with_borrow(|queue| queue.first_key_value().map(|((due, _), _)| *due))?;
    Some(due.saturating_sub(coarse_now()))
}

/// Wakes those whose time has come.
pub(super) fn fire() {
    let now = coarse_now();
    while let Some(waker) = QUEUE.with_borrow_mut(|queue| {
        let first = queue.first_entry().filter(|first| first.key().0 <= now)?;
        Some(first.remove())
    }) {
        waker.wake();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::pin::pin;

    #[test]
    fn a_sleep_given_up_leaves_nothing_behind() {
        {
            let mut sleep = pin!(Sleep::new(Duration::from_secs(3600)));
            assert!(sleep.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
            assert!(next().unwrap() > Duration::from_secs(3500));
        }
        assert_eq!(next(), None);
    }
}
