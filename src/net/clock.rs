//! Time as the workers read it: monotonic, never the wall clock.

use std::time::{Duration, Instant};

/// The precise clock, for latencies (about 30 ns a call).
pub fn now() -> Instant {
    Instant::now()
}

/// Time since boot in steps of a few milliseconds, for deadlines (about 5 ns a call).
pub fn coarse_now() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a local that outlives the call; the clock exists on every Linux.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC_COARSE, &raw mut time) };
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}
