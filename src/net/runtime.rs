//! The event loop of a worker: on io_uring with the flags that suit one thread, or on epoll.

use super::race::{Either, race};
use super::timer::Sleep;
use super::{driver, executor};
use std::cell::Cell;
use std::future::Future;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

/// What the configuration asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Driver {
    /// io_uring where it is allowed, else epoll.
    Auto,
    /// io_uring or nothing.
    IoUring,
    /// epoll.
    Epoll,
}

/// What a worker runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// A ring with `SINGLE_ISSUER | DEFER_TASKRUN` (Linux 6.1).
    Deferred,
    /// A ring with `COOP_TASKRUN` (Linux 5.19).
    Cooperative,
    /// epoll.
    Epoll,
}

/// Finds what this kernel allows. Fails, with the kernel's reason, if `driver` wants a ring that cannot be had.
/// The second part of the result is why epoll is used although a ring was preferred.
pub fn probe(driver: Driver) -> io::Result<(Backend, Option<io::Error>)> {
    if driver == Driver::Epoll {
        return Ok((Backend::Epoll, None));
    }
    let mut reason = None;
    for backend in [Backend::Deferred, Backend::Cooperative] {
        match driver::build_ring(backend, 8) {
            Ok(_) => return Ok((backend, None)),
            Err(error) => reason = reason.or(Some(error)),
        }
    }
    match (driver, reason) {
        (Driver::IoUring, Some(error)) => Err(error),
        (_, reason) => Ok((Backend::Epoll, reason)),
    }
}

/// Runs `main` and what it spawns on the calling thread, as worker `index`, until `main` is done.
pub fn enter<F: Future>(backend: Backend, index: usize, main: F) -> io::Result<F::Output> {
    super::ledger::enlist(index);
    driver::set_up(backend)?;
    let output = executor::block_on(main);
    driver::tear_down();
    output
}

/// Starts a task on the calling worker, of a kind that is named if it ever takes long. A panic in it is counted and ends that
/// task alone.
pub fn spawn(kind: &'static str, task: impl Future<Output = ()> + 'static) {
    executor::spawn(kind, Guarded { task });
}

/// Panics caught in tasks of the calling worker since it last asked.
pub fn take_panics() -> u64 {
    PANICS.take()
}

/// Waits for `duration`.
pub fn sleep(duration: Duration) -> impl Future<Output = ()> {
    Sleep::new(duration)
}

/// Waits for `future` for at most `limit`; `None` means that it took too long and was dropped.
pub async fn timeout<F: Future>(limit: Duration, future: F) -> Option<F::Output> {
    match race(future, Sleep::new(limit)).await {
        Either::Left(output) => Some(output),
        Either::Right(()) => None,
    }
}

thread_local! {
    static PANICS: Cell<u64> = const { Cell::new(0) };
}

struct Guarded<F> {
    task: F,
}

impl<F: Future<Output = ()>> Future for Guarded<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        // SAFETY: structural pinning of the only field: it is never moved out, and `Guarded` has no Drop of its own.
        let task = unsafe { self.map_unchecked_mut(|guarded| &mut guarded.task) };
        catch_unwind(AssertUnwindSafe(|| task.poll(cx))).unwrap_or_else(|_| {
            PANICS.set(PANICS.get() + 1);
            Poll::Ready(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::rc::Rc;

    fn backends() -> Vec<Backend> {
        let (best, _) = probe(Driver::Auto).unwrap();
        if best == Backend::Epoll { vec![Backend::Epoll] } else { vec![best, Backend::Epoll] }
    }

    #[test]
    fn a_panic_ends_its_task_alone() {
        for backend in backends() {
            take_panics();
            let reached = Rc::new(Cell::new(false));
            let flag = reached.clone();
            enter(backend, 0, async move {
                spawn("test", async { panic!("a test's panic") });
                spawn("test", async move { flag.set(true) });
                sleep(Duration::from_millis(5)).await;
            })
            .unwrap();
            assert!(reached.get() && take_panics() == 1, "{backend:?}");
        }
    }

    #[test]
    fn a_timeout_gives_up() {
        for backend in backends() {
            let late = enter(backend, 0, timeout(Duration::from_millis(5), std::future::pending::<()>())).unwrap();
            assert!(late.is_none());
        }
    }
}
