//! What a supervisor is told (sd_notify(3)), and the sockets that it has opened (sd_listen_fds(3)). Without one, nothing.

use crate::net::Slot;
use sd_notify::NotifyState;
use std::time::{Duration, Instant};

/// Tells the supervisor that the process takes connections.
pub(super) fn ready(plan: u64) {
    tell(&[NotifyState::Ready, NotifyState::Status(&format!("plan {plan} is in force"))]);
}

/// Tells it that a reload begins; [`ready`] says that it is over.
pub(super) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(_) => tell(&[NotifyState::Reloading]),
    }
}

/// Tells it that the process ends.
pub(super) fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// Tells it that `pid` is the main process now.
pub(super) fn main_process(pid: u32) {
    tell(&[NotifyState::MainPid(pid)]);
}

/// Tells it that the process is well.
pub(super) fn well() {
    tell(&[NotifyState::Watchdog]);
}

/// When the supervisor is to be told again that the process is well.
#[derive(Debug)]
pub(super) struct Watchdog {
    every: Option<Duration>,
    last: Instant,
}

impl Watchdog {
    /// As often as the supervisor wants it, twice over.
    pub(super) fn new() -> Self {
        Self { every: sd_notify::watchdog_enabled().map(|limit| limit / 2), last: Instant::now() }
    }

    /// Whether it is time.
    pub(super) fn is_due(&mut self) -> bool {
        let due = self.every.is_some_and(|every| self.last.elapsed() >= every);
        if due {
            self.last = Instant::now();
        }
        due
    }
}

/// The sockets that it has opened for this process.
pub(super) fn sockets() -> Vec<Slot> {
    let Ok(numbers) = sd_notify::listen_fds() else { return Vec::new() };
    let adopt = |number| match Slot::adopt_numbered(number) {
        Ok(slot) => Some(slot),
        Err(error) => {
            tracing::warn!(descriptor = number, %error, "a socket of the supervisor's cannot be used");
            None
        }
    };
    numbers.filter_map(adopt).collect()
}

fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::debug!(%error, "the supervisor cannot be told");
    }
}
