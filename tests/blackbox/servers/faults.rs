//! What becomes of servers that run on hosts of their own.

use crate::support::network::Hurt;
use crate::support::servers::Server;

/// What becomes of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    Killed,
    /// By SIGSTOP: the kernel goes on accepting for it.
    Frozen,
    Cut(Hurt),
}

use Fault::{Cut, Frozen, Killed};

impl Fault {
    /// All of them.
    pub const ALL: [Fault; 7] = [
        Killed,
        Frozen,
        Cut(Hurt::Dropped),
        Cut(Hurt::Refused),
        Cut(Hurt::Reset),
        Cut(Hurt::Unreachable),
        Cut(Hurt::Slow),
    ];

    pub fn strikes(self, server: &mut Server) {
        match self {
            Killed => server.kill(),
            Frozen => server.freeze(),
            Cut(hurt) => server.host().hurt(hurt),
        }
    }

    pub fn is_over(self, server: &mut Server) {
        match self {
            Killed => server.revive(),
            Frozen => server.thaw(),
            Cut(hurt) => server.host().heal(hurt),
        }
    }

    /// What checks may say of it, in HAProxy's words.
    pub fn verdicts(self) -> &'static [&'static str] {
        match self {
            // One that is under way is cut off, which may be the last that it takes where the machine is busy.
            Killed => &["L4CON", "L7RSP"],
            Cut(Hurt::Refused | Hurt::Unreachable) => &["L4CON"],
            Frozen => &["L7TOUT"],
            Cut(Hurt::Dropped) => &["L4TOUT"],
            // The reset may come before the connection is known to stand.
            Cut(Hurt::Reset) => &["L7RSP", "L4CON"],
            Cut(Hurt::Slow) => &["L4TOUT", "L7TOUT"],
        }
    }

    /// Whether the failure shows while a connection is made, when there still is another target to try.
    pub fn is_told_by_connecting(self) -> bool {
        !matches!(self, Frozen | Cut(Hurt::Reset | Hurt::Slow))
    }
}
