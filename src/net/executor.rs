//! The tasks of a worker: who they are, which are to be polled, and the loop that polls them.
//!
//! What always holds: a task is polled by the thread that spawned it and no other; a waker is the name of a task, not a
//! hold on it, so that cloning one costs nothing, and waking a task that has ended does nothing.

use super::{clock, driver, timer};
use slab::Slab;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, RawWaker, RawWakerVTable, Waker};
use std::time::Duration;

/// Polls between two looks at the kernel, at most.
const TURN: usize = 512;
/// A poll that takes this long has kept everybody else on its worker waiting.
const SLOW: Duration = Duration::from_millis(100);
/// Slow polls that are remembered until somebody asks.
const REMEMBERED: usize = 16;

/// A poll that took long.
#[derive(Clone, Copy, Debug)]
pub struct Slow {
    /// What kind of task was polled.
    pub kind: &'static str,
    /// What the task said last that it was doing in this poll, by [`mark`]; 0: nothing.
    pub mark: u32,
    /// How long it took, to a few milliseconds.
    pub took: Duration,
}

thread_local! {
    static TASKS: RefCell<Slab<Task>> = const { RefCell::new(Slab::new()) };
    static READY: RefCell<VecDeque<Name>> = const { RefCell::new(VecDeque::new()) };
    /// Who is to be polled after the next look at the kernel.
    static DEFERRED: RefCell<Vec<Waker>> = const { RefCell::new(Vec::new()) };
    static NEXT: Cell<u32> = const { Cell::new(0) };
    static MARK: Cell<u32> = const { Cell::new(0) };
    static SLOW_ONES: RefCell<Vec<Slow>> = const { RefCell::new(Vec::new()) };
}

/// Says what the task that is being polled is doing, in case that takes long.
#[inline]
pub fn mark(doing: u32) {
    MARK.set(doing);
}

/// The slow polls on the calling worker since it last asked.
pub fn take_slow() -> Vec<Slow> {
    SLOW_ONES.take()
}

type Work = Pin<Box<dyn Future<Output = ()>>>;

struct Task {
    kind: &'static str,
    /// `None` while it is polled.
    work: Option<Work>,
    number: u32,
    queued: bool,
}

/// A task: its place in the table, and which of the tasks that have had this place it is.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Name {
    place: u32,
    number: u32,
}

/// The future that the loop runs for.
const MAIN: Name = Name { place: u32::MAX, number: 0 };

impl Name {
    fn waker(self) -> Waker {
        let data = (u64::from(self.number) << 32 | u64::from(self.place)) as usize;
        // SAFETY: the data is a number and the functions of the table take it as one: nothing is owned or dereferenced.
        // Called on another thread, they find that thread's tasks, of which they may poll one for nothing.
        unsafe { Waker::from_raw(RawWaker::new(std::ptr::without_provenance(data), &VTABLE)) }
    }

    fn of(data: *const ()) -> Self {
        let data = data.addr() as u64;
        Self { place: data as u32, number: (data >> 32) as u32 }
    }
}

const _: () = assert!(size_of::<usize>() == 8, "a waker holds a task's name in a pointer's place");

static VTABLE: RawWakerVTable = RawWakerVTable::new(|data| RawWaker::new(data, &VTABLE), wake, wake, |_| {});

fn wake(data: *const ()) {
    let name = Name::of(data);
    // Both tables are gone while the thread ends; then nobody is left to wake.
    let queue = || READY.try_with(|ready| ready.borrow_mut().push_back(name));
    if name == MAIN {
        let _ = queue();
        return;
    }
    let _ = TASKS.try_with(|tasks| {
        if let Some(task) = tasks.borrow_mut().get_mut(name.place as usize)
            && task.number == name.number
            && !std::mem::replace(&mut task.queued, true)
        {
            let _ = queue();
        }
    });
}

/// Adds a task, which is polled for the first time in this turn of the loop.
pub(super) fn spawn(kind: &'static str, work: impl Future<Output = ()> + 'static) {
    let number = NEXT.replace(NEXT.get().wrapping_add(1));
    let task = Task { kind, work: Some(Box::pin(work)), number, queued: true };
    let place = TASKS.with_borrow_mut(|tasks| tasks.insert(task));
    // There are never more tasks than there is memory for.
    let place = u32::try_from(place).unwrap_or(u32::MAX - 1);
    READY.with_borrow_mut(|ready| ready.push_back(Name { place, number }));
}

/// Runs `main`, and what it spawns, on the calling thread until `main` is done; then drops what is left. The thread's
/// driver must have been set up. Fails if the kernel does not let it wait any more.
pub(super) fn block_on<F: Future>(main: F) -> io::Result<F::Output> {
    let mut main = pin!(main);
    READY.with_borrow_mut(|ready| ready.push_back(MAIN));
    let output = loop {
        if let Some(output) = run_turn(main.as_mut()) {
            break Ok(output);
        }
        let idle = READY.with_borrow(VecDeque::is_empty) && DEFERRED.with_borrow(Vec::is_empty);
        if let Err(error) = driver::turn(if idle { timer::next() } else { Some(Duration::ZERO) }) {
            break Err(error);
        }
        timer::fire();
        if !DEFERRED.with_borrow(Vec::is_empty) {
            DEFERRED.take().into_iter().for_each(Waker::wake);
        }
    };
    // Dropped one by one outside the borrow: their drops may wake or drop others.
    while let Some(task) = TASKS.with_borrow_mut(|tasks| {
        let place = tasks.iter().next()?.0;
        Some(tasks.remove(place))
    }) {
        drop(task);
    }
    READY.with_borrow_mut(VecDeque::clear);
    DEFERRED.take();
    output
}

fn run_turn<F: Future>(mut main: Pin<&mut F>) -> Option<F::Output> {
    let mut before = clock::read();
    for _ in 0..TURN {
        let name = READY.with_borrow_mut(VecDeque::pop_front)?;
        if name != MAIN {
            let kind = run(name);
            let now = clock::read();
            if now - before >= SLOW {
                remember(kind, now - before);
            }
            before = now;
        } else if let Poll::Ready(output) = main.as_mut().poll(&mut Context::from_waker(&MAIN.waker())) {
            return Some(output);
        }
    }
    None
}

#[cold]
fn remember(kind: &'static str, took: Duration) {
    SLOW_ONES.with_borrow_mut(|slow| {
        if slow.len() < REMEMBERED {
            slow.push(Slow { kind, mark: MARK.get(), took });
        }
    });
}

/// Polls a task. Returns its kind.
fn run(name: Name) -> &'static str {
    let place = name.place as usize;
    let found = TASKS.with_borrow_mut(|tasks| {
        let task = tasks.get_mut(place).filter(|task| task.number == name.number)?;
        task.queued = false;
        Some((task.kind, task.work.take()?))
    });
    let Some((kind, mut work)) = found else { return "" };
    MARK.set(0);
    if work.as_mut().poll(&mut Context::from_waker(&name.waker())).is_pending() {
        TASKS.with_borrow_mut(|tasks| {
            if let Some(task) = tasks.get_mut(place) {
                task.work = Some(work);
            }
        });
        return kind;
    }
    // The place is free for others only when all of the task is gone.
    drop(work);
    TASKS.with_borrow_mut(|tasks| tasks.try_remove(place));
    kind
}

/// Lets everybody else have a turn, and the kernel be looked at: for whoever has long to compute.
pub async fn breathe() {
    let mut breathed = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut breathed, true) {
            return Poll::Ready(());
        }
        defer(cx.waker());
        Poll::Pending
    })
    .await;
}

/// Polls the task of `waker` again, but not before the next look at the kernel: for whoever could go on for ever.
pub(super) fn defer(waker: &Waker) {
    DEFERRED.with_borrow_mut(|deferred| deferred.push(waker.clone()));
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::rc::Rc;

    #[test]
    fn a_task_woken_often_is_polled_once_a_turn() {
        let polls = Rc::new(Cell::new(0));
        let counted = polls.clone();
        spawn(
            "test",
            poll_fn(move |cx| {
                counted.set(counted.get() + 1);
                if counted.get() < 3 {
                    cx.waker().wake_by_ref();
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Poll::Ready(())
            }),
        );
        let mut main = pin!(std::future::pending::<()>());
        assert!(run_turn(main.as_mut()).is_none());
        assert_eq!((polls.get(), TASKS.with_borrow(Slab::len)), (3, 0));
    }

    #[test]
    #[allow(clippy::disallowed_methods, reason = "it is a task that blocks its worker")]
    fn a_task_that_keeps_the_others_waiting_is_named() {
        spawn("quick", async {});
        spawn("slow", async {
            mark(7);
            std::thread::sleep(SLOW + Duration::from_millis(20));
        });
        spawn("quick", async {});
        let mut main = pin!(std::future::pending::<()>());
        run_turn(main.as_mut());
        let slow = take_slow();
        assert_eq!(slow.iter().map(|slow| (slow.kind, slow.mark)).collect::<Vec<_>>(), [("slow", 7)]);
        assert!(slow[0].took >= SLOW && take_slow().is_empty());
    }

    #[test]
    fn a_waker_outlives_its_task_and_wakes_nobody_else() {
        let kept: Rc<RefCell<Option<Waker>>> = Rc::default();
        let keep = kept.clone();
        spawn(
            "test",
            poll_fn(move |cx| {
                keep.replace(Some(cx.waker().clone()));
                Poll::Ready(())
            }),
        );
        let mut main = pin!(std::future::pending::<()>());
        run_turn(main.as_mut());
        let polls = Rc::new(Cell::new(0));
        let counted = polls.clone();
        spawn(
            "test",
            poll_fn(move |_| {
                counted.set(counted.get() + 1);
                Poll::Pending
            }),
        );
        run_turn(main.as_mut());
        kept.take().unwrap().wake();
        run_turn(main.as_mut());
        assert_eq!(polls.get(), 1);
    }
}
