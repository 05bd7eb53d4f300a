//! Threads: which cores they may use, their names, whether they still exist.

use core_affinity::CoreId;
use rustix::time::ClockId;
use std::time::Duration;

/// The cores that this process may run on, in order.
pub fn allowed_cores() -> Vec<usize> {
    let mut cores: Vec<usize> = core_affinity::get_core_ids().unwrap_or_default().iter().map(|core| core.id).collect();
    cores.sort_unstable();
    if cores.is_empty() { vec![0] } else { cores }
}

/// Pins the calling thread to `core`. Returns whether the kernel allowed it.
pub fn pin(core: usize) -> bool {
    core_affinity::set_for_current(CoreId { id: core })
}

/// Keeps the kernel from backing the heap with huge pages: a process whose memory is many small, short-lived pieces
/// would hold megabytes that it does not use.
pub fn refuse_huge_pages() {
    // SAFETY: takes numbers only; where the kernel does not know it, nothing changes.
    unsafe { libc::prctl(libc::PR_SET_THP_DISABLE, 1, 0, 0, 0) };
}

/// The kernel's id of the calling thread.
pub fn thread_id() -> i32 {
    // SAFETY: takes nothing and cannot fail.
    unsafe { libc::gettid() }
}

/// Whether the thread `id` of this process still exists.
pub fn thread_alive(id: i32) -> bool {
    // SAFETY: signal 0 only asks; a stale id yields ESRCH.
    unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), id, 0) == 0 }
}

/// Names the calling thread for `top -H` and `/proc` (15 bytes at most).
pub fn name_thread(name: &str) {
    let mut text = [0u8; 16];
    let len = name.len().min(15);
    text[..len].copy_from_slice(&name.as_bytes()[..len]);
    // SAFETY: the buffer ends in a NUL and outlives the call.
    unsafe { libc::prctl(libc::PR_SET_NAME, text.as_ptr()) };
}

/// How long the calling thread has been at work, in user and system mode.
pub fn thread_time() -> Duration {
    let time = rustix::time::clock_gettime(ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap_or_default()
}
