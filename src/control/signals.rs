//! The signals that control listens for.

use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals that control listens for.
pub(super) struct Signals {
    pub(super) stop: Stop,
    /// Open log files anew.
    pub(super) reopen: Signal,
    /// Read the configuration anew.
    pub(super) reload: Signal,
    /// Hand over to a new process.
    pub(super) upgrade: Signal,
}

/// Those that end the process.
pub(super) struct Stop {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    pub(super) fn new() -> std::io::Result<Self> {
        Ok(Self {
            stop: Stop { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? },
            reopen: signal(SignalKind::user_defined1())?,
            reload: signal(SignalKind::hangup())?,
            upgrade: signal(SignalKind::user_defined2())?,
        })
    }
}

impl Stop {
    pub(super) async fn asked(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
