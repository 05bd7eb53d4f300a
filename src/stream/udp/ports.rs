//! Ports that were given up a moment ago, over all workers: what a target still sends there must not reach another client, to
//! whose socket the kernel happens to give the same port.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// How long after the last datagram of a session an answer to it may still be on its way.
pub(super) const LATE: Duration = Duration::from_secs(10);

/// Ports, by until when answers may come there.
pub(super) struct Ports([AtomicU32; 1 << 16]);

/// Those of this process.
pub(super) static GIVEN_UP: Ports = Ports::new();

impl Ports {
    pub(super) const fn new() -> Self {
        Self([const { AtomicU32::new(0) }; 1 << 16])
    }

    /// A port is given up on which something was last sent or received at `heard`.
    pub(super) fn give_up(&self, port: u16, heard: Duration, now: Duration) {
        let until = heard + LATE;
        if now < until {
            self.0[usize::from(port)].store(ticks(until) + 1, Ordering::Relaxed);
        }
    }

    /// For how long answers may still come to a port.
    pub(super) fn rests(&self, port: u16, now: Duration) -> Option<Duration> {
        let until = self.0[usize::from(port)].load(Ordering::Relaxed);
        let left = until.checked_sub(ticks(now)).filter(|left| *left > 0)?;
        Some(TICK * left)
    }
}

const TICK: Duration = Duration::from_millis(100);

fn ticks(time: Duration) -> u32 {
    u32::try_from(time.as_millis() / TICK.as_millis()).unwrap_or(u32::MAX - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_rests_for_as_long_as_an_answer_may_come() {
        static PORTS: Ports = Ports::new();
        let at = Duration::from_secs;
        assert_eq!(PORTS.rests(5, at(100)), None);
        PORTS.give_up(5, at(100), at(103));
        assert!(PORTS.rests(5, at(103)).is_some_and(|left| left >= at(7) && left < at(8)));
        assert!(PORTS.rests(5, at(109)).is_some() && PORTS.rests(6, at(103)).is_none());
        assert_eq!(PORTS.rests(5, at(111)), None);
        PORTS.give_up(7, at(100), at(110));
        assert_eq!(PORTS.rests(7, at(110)), None, "it was silent for long enough");
    }
}
