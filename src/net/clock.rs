//! Time as the workers read it: monotonic, never the wall clock.

use std::cell::Cell;
use std::time::{Duration, Instant};

thread_local! {
    /// On a worker's thread: when this turn of its loop began.
    static TURN: Cell<Option<Duration>> = const { Cell::new(None) };
}

/// The precise clock, for latencies (about 30 ns a call).
pub fn now() -> Instant {
    Instant::now()
}

/// Time since boot in steps of a few milliseconds, for deadlines. On a worker it stands still within a turn of its loop.
pub fn coarse_now() -> Duration {
    TURN.get().unwrap_or_else(read)
}

/// Begins a turn of a worker's loop on the calling thread.
pub(super) fn refresh() {
    TURN.set(Some(read()));
}

/// The calling thread is no worker's any more: its time goes on by itself.
pub(super) fn let_run() {
    TURN.set(None);
}

/// The same as it is at this very moment.
pub(super) fn read() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a local that outlives the call; the clock exists on every Linux. By way of the C library,
    // as what reads the vDSO by itself fails under valgrind.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC_COARSE, &raw mut time) };
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}
