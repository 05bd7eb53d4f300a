//! Counts what costs us work and its sender nothing, at the edge: frames are counted by their heads, whatever becomes of
//! them.
//!
//! Each kind that no client has much use for takes a token from its connection's bucket, which fills with time. What a
//! client sends a lot of because we do (window updates) has a bucket that fills with what we have sent.

use super::frame::{Head, flag, kind};
use crate::observe::reason::Flood;
use std::time::Duration;

/// The buckets of a connection.
pub(super) struct Meter {
    calm: u32,
    updates: u64,
    since: Duration,
}

/// Frames at once, and how many more a second.
const BURST: u32 = 1000;
const A_SECOND: u32 = 100;
/// Window updates at once, how many more a second, and one for so many bytes sent.
const UPDATES: u64 = 10_000;
const UPDATES_A_SECOND: u64 = 1000;
const BYTES_FOR_UPDATE: u64 = 1024;

impl Meter {
    pub(super) fn new(now: Duration) -> Self {
        Self { calm: BURST, updates: UPDATES, since: now }
    }

    /// Counts a stream that has to be reset for what the client did on it (CVE-2025-8671).
    pub(super) fn provoked(&mut self) -> Result<(), Flood> {
        self.calm = self.calm.checked_sub(1).ok_or(Flood::Provoked)?;
        Ok(())
    }

    /// So many bytes have been sent.
    pub(super) fn sent(&mut self, bytes: usize) {
        self.updates = (self.updates + bytes as u64 / BYTES_FOR_UPDATE).min(UPDATES);
    }

    fn refill(&mut self, now: Duration) {
        let seconds = now.saturating_sub(self.since).as_secs();
        if seconds > 0 {
            self.since += Duration::from_secs(seconds);
            let more = u32::try_from(seconds).unwrap_or(u32::MAX).saturating_mul(A_SECOND);
            self.calm = self.calm.saturating_add(more).min(BURST);
            self.updates = self.updates.saturating_add(seconds.saturating_mul(UPDATES_A_SECOND)).min(UPDATES);
        }
    }

    /// Counts a frame. Fails with what the client sends more of than any has use for (RFC 9113 §10.5).
    pub(super) fn count(&mut self, head: Head, now: Duration) -> Result<(), Flood> {
        self.refill(now);
        let flood = match head.kind {
            kind::HEADERS => return Ok(()),
            kind::DATA if head.length > 0 || head.has(flag::END_STREAM) => return Ok(()),
            kind::DATA => Flood::EmptyData,
            kind::PRIORITY => Flood::Priority,
            kind::RST_STREAM => Flood::Reset,
            kind::SETTINGS => Flood::Settings,
            kind::PING => Flood::Ping,
            kind::WINDOW_UPDATE => {
                self.updates = self.updates.checked_sub(1).ok_or(Flood::WindowUpdate)?;
                return Ok(());
            }
            kind::CONTINUATION => Flood::Continuation,
            _ => Flood::Unknown,
        };
        self.calm = self.calm.checked_sub(1).ok_or(flood)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Duration = Duration::from_secs(100);

    fn frame(kind: u8, flags: u8, length: usize) -> Head {
        Head { length, kind, flags, stream: 1 }
    }

    #[test]
    fn a_flood_of_any_kind_is_found_and_time_forgives() {
        for (kind, flood) in [
            (0, Flood::EmptyData),
            (2, Flood::Priority),
            (3, Flood::Reset),
            (4, Flood::Settings),
            (6, Flood::Ping),
            (9, Flood::Continuation),
            (77, Flood::Unknown),
        ] {
            let mut meter = Meter::new(START);
            let one = frame(kind, 0, 0);
            (0..BURST).for_each(|_| meter.count(one, START).unwrap());
            assert_eq!(meter.count(one, START), Err(flood));
            assert_eq!(meter.count(one, START + Duration::from_secs(1)), Ok(()));
        }
    }

    #[test]
    fn work_is_no_flood() {
        let mut meter = Meter::new(START);
        let (head, data, last) = (frame(1, 4, 30), frame(0, 0, 9000), frame(0, flag::END_STREAM, 0));
        for _ in 0..100_000 {
            [head, data, last].into_iter().for_each(|frame| meter.count(frame, START).unwrap());
        }
        let update = frame(8, 0, 4);
        for _ in 0..100_000 {
            meter.count(update, START).unwrap();
            meter.sent(16 << 10);
        }
        assert!((0..=UPDATES).any(|_| meter.count(update, START).is_err()));
    }
}
