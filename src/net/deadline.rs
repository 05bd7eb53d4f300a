//! Coarse deadlines: each stream has a slot in a table of its thread, and one sweep wakes the overdue.
//!
//! Invariant: a slot belongs to one [`Deadline`] from `new` to its drop; the waker in it is that of the task which waits
//! for the stream, if any.

use super::clock::coarse_now;
use slab::Slab;
use std::cell::RefCell;
use std::task::{Context, Waker};
use std::time::Duration;

thread_local! {
    static TABLE: RefCell<Slab<Slot>> = const { RefCell::new(Slab::new()) };
}

struct Slot {
    due: Duration,
    waker: Option<Waker>,
}

const NEVER: Duration = Duration::MAX;

/// A stream's place in its thread's table.
pub(super) struct Deadline(u32);

impl Deadline {
    pub(super) fn new() -> Self {
        let slot = TABLE.with_borrow_mut(|table| table.insert(Slot { due: NEVER, waker: None }));
        // A slot per stream: there are never more than descriptors.
        Self(u32::try_from(slot).unwrap_or(u32::MAX))
    }

    /// Sets the deadline `after` from now; `None` takes it away.
    pub(super) fn set(&self, after: Option<Duration>) {
        let due = after.map_or(NEVER, |after| coarse_now().saturating_add(after));
        TABLE.with_borrow_mut(|table| {
            if let Some(slot) = table.get_mut(self.0 as usize) {
                slot.due = due;
            }
        });
    }

    /// Whether the deadline has passed; if not, the task is woken when the sweep finds it passed.
    pub(super) fn poll_passed(&self, cx: &mut Context<'_>) -> bool {
        TABLE.with_borrow_mut(|table| {
            let Some(slot) = table.get_mut(self.0 as usize) else { return false };
            if slot.due == NEVER {
                slot.waker = None;
                return false;
            }
            if slot.due <= coarse_now() {
                return true;
            }
            match &mut slot.waker {
                Some(waker) if waker.will_wake(cx.waker()) => {}
                other => *other = Some(cx.waker().clone()),
            }
            false
        })
    }
}

impl Drop for Deadline {
    fn drop(&mut self) {
        // The waker is dropped outside the borrow: it may own the task whose drop frees another slot.
        let slot = TABLE.with_borrow_mut(|table| table.try_remove(self.0 as usize));
        drop(slot);
    }
}

/// Wakes every task whose stream is overdue. A worker calls this about every 100 ms.
pub fn sweep() {
    let now = coarse_now();
    let overdue: Vec<Waker> = TABLE.with_borrow_mut(|table| {
        table.iter_mut().filter(|(_, slot)| slot.due <= now).filter_map(|(_, slot)| slot.waker.take()).collect()
    });
    overdue.into_iter().for_each(Waker::wake);
}

#[cfg(test)]
mod tests {
    use super::*;
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

    #[test]
    fn the_sweep_wakes_the_overdue_alone() {
        let (late, early) = (Arc::new(Count::default()), Arc::new(Count::default()));
        let (a, b) = (Deadline::new(), Deadline::new());
        a.set(Some(Duration::from_secs(3600)));
        b.set(Some(Duration::ZERO));
        assert!(!a.poll_passed(&mut Context::from_waker(&Waker::from(late.clone()))));
        assert!(b.poll_passed(&mut Context::from_waker(&Waker::from(early.clone()))));
        b.set(Some(Duration::from_millis(8)));
        assert!(!b.poll_passed(&mut Context::from_waker(&Waker::from(early.clone()))));
        let start = coarse_now();
        while coarse_now() - start < Duration::from_millis(16) {
            std::hint::spin_loop();
        }
        sweep();
        assert_eq!((late.0.load(Ordering::Relaxed), early.0.load(Ordering::Relaxed)), (0, 1));
    }

    #[test]
    fn a_deadline_taken_away_never_fires() {
        let waker = Arc::new(Count::default());
        let a = Deadline::new();
        a.set(Some(Duration::ZERO));
        a.set(None);
        assert!(!a.poll_passed(&mut Context::from_waker(&Waker::from(waker.clone()))));
        sweep();
        assert_eq!(waker.0.load(Ordering::Relaxed), 0);
    }
}
