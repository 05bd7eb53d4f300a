//! Coarse deadlines: each stream has a slot in a table of its thread, and one sweep wakes the overdue.
//!
//! Invariant: a slot belongs to one [`Deadlines`] from `new` to its drop; the waker in it is that of the task which waits
//! for the stream, if any: one task at a time, though it may wait for both directions.

use super::clock::coarse_now;
use slab::Slab;
use std::cell::{Cell, RefCell};
use std::task::{Context, Waker};
use std::time::Duration;

thread_local! {
    static TABLE: RefCell<Slab<Slot>> = const { RefCell::new(Slab::new()) };
    /// The tick of the last sweep, before which nothing passes.
    static SWEPT: Cell<u32> = Cell::new(tick(coarse_now(), 0));
}

struct Slot {
    /// By direction: the tick at which waiting ends, or [`NEVER`].
    due: [u32; 2],
    waker: Option<Waker>,
}

/// What is waited for on a stream.
#[derive(Clone, Copy)]
pub(super) enum Direction {
    Receive,
    Send,
}

/// Milliseconds of a tick. Ticks wrap around, and are compared by their distance.
const TICK: u128 = 16;
/// A tick that no deadline has.
const NEVER: u32 = 0;
/// The longest deadline, of about a year: half of what the ticks can tell apart.
const LONGEST: Duration = Duration::from_millis((i32::MAX as u64 - 1) * TICK as u64);

/// A stream's place in its thread's table.
pub(super) struct Deadlines(u32);

impl Deadlines {
    pub(super) fn new() -> Self {
        let slot = TABLE.with_borrow_mut(|table| table.insert(Slot { due: [NEVER; 2], waker: None }));
        // A slot per stream: there are never more than descriptors.
        Self(u32::try_from(slot).unwrap_or(u32::MAX))
    }

    /// Sets the deadline of one direction `after` from now; `None` takes it away.
    pub(super) fn set(&self, direction: Direction, after: Option<Duration>) {
        let due = after.map_or(NEVER, |after| tick(coarse_now() + after.min(LONGEST), TICK - 1).max(NEVER + 1));
        TABLE.with_borrow_mut(|table| {
            if let Some(slot) = table.get_mut(self.0 as usize) {
                slot.due[direction as usize] = due;
                if slot.due == [NEVER; 2] {
                    // It would keep what is left of its task.
                    slot.waker = None;
                }
            }
        });
    }

    /// Whether the direction's deadline has passed; if not, the task is woken when the sweep finds it passed.
    pub(super) fn poll_passed(&self, direction: Direction, cx: &mut Context<'_>) -> bool {
        TABLE.with_borrow_mut(|table| {
            let Some(slot) = table.get_mut(self.0 as usize) else { return false };
            let due = slot.due[direction as usize];
            if due == NEVER {
                return false;
            }
            if is_past(due, SWEPT.get()) {
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

/// The tick of a time since boot, of which `up` milliseconds more are rounded up.
fn tick(time: Duration, up: u128) -> u32 {
    ((time.as_millis() + up) / TICK) as u32
}

fn is_past(due: u32, now: u32) -> bool {
    due != NEVER && due.wrapping_sub(now).cast_signed() <= 0
}

impl Drop for Deadlines {
    fn drop(&mut self) {
        // The waker is dropped outside the borrow: it may own the task whose drop frees another slot.
        let slot = TABLE.with_borrow_mut(|table| table.try_remove(self.0 as usize));
        drop(slot);
    }
}

/// Wakes every task whose stream is overdue. A worker calls this about every 100 ms.
pub fn sweep() {
    let now = tick(coarse_now(), 0);
    SWEPT.set(now);
    let overdue: Vec<Waker> = TABLE.with_borrow_mut(|table| {
        let slots = table.iter_mut().filter(|(_, slot)| slot.due.iter().any(|&due| is_past(due, now)));
        slots.filter_map(|(_, slot)| slot.waker.take()).collect()
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

    fn wait(span: Duration) {
        let start = coarse_now();
        while coarse_now() - start < span {
            std::hint::spin_loop();
        }
    }

    #[test]
    fn the_sweep_wakes_the_overdue_alone() {
        use Direction::{Receive, Send};
        let (late, early) = (Arc::new(Count::default()), Arc::new(Count::default()));
        let (a, b) = (Deadlines::new(), Deadlines::new());
        a.set(Receive, Some(Duration::from_secs(3600)));
        b.set(Send, Some(Duration::from_millis(8)));
        assert!(!a.poll_passed(Receive, &mut Context::from_waker(&Waker::from(late.clone()))));
        assert!(!b.poll_passed(Receive, &mut Context::from_waker(&Waker::from(late.clone()))));
        assert!(!b.poll_passed(Send, &mut Context::from_waker(&Waker::from(early.clone()))));
        wait(Duration::from_millis(40));
        sweep();
        assert!(b.poll_passed(Send, &mut Context::from_waker(&Waker::from(early.clone()))));
        assert_eq!((late.0.load(Ordering::Relaxed), early.0.load(Ordering::Relaxed)), (0, 1));
    }

    #[test]
    fn a_deadline_taken_away_never_fires() {
        let waker = Arc::new(Count::default());
        let a = Deadlines::new();
        a.set(Direction::Receive, Some(Duration::ZERO));
        wait(Duration::from_millis(40));
        sweep();
        assert!(a.poll_passed(Direction::Receive, &mut Context::from_waker(&Waker::from(waker.clone()))));
        a.set(Direction::Receive, None);
        assert!(!a.poll_passed(Direction::Receive, &mut Context::from_waker(&Waker::from(waker.clone()))));
        sweep();
        assert_eq!(waker.0.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn ticks_may_wrap_around() {
        assert!(is_past(u32::MAX, 3) && is_past(5, 5) && !is_past(3, u32::MAX) && !is_past(6, 5));
    }
}
