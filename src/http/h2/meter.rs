//! Counts what costs us work and its sender nothing, at the edge: frames are counted as they come, whatever becomes of
//! them.
//!
//! Each kind that no client has much use for takes a token from its connection's bucket, which fills with time. What a
//! client sends a lot of because we do (window updates) has a bucket that fills with what we have sent.

use crate::observe::reason::Flood;
use std::time::Duration;

/// Reads the frames' headers as bytes come (RFC 9113 §4.1).
pub(super) struct Meter {
    head: [u8; HEAD],
    filled: usize,
    /// Bytes of the preface, or of a payload, that are still to come.
    skip: usize,
    calm: u32,
    updates: u64,
    since: Duration,
    /// What emptied a bucket.
    flood: Option<Flood>,
}

const HEAD: usize = 9;
/// Frames at once, and how many more a second.
const BURST: u32 = 1000;
const A_SECOND: u32 = 100;
/// Window updates at once, how many more a second, and one for so many bytes sent.
const UPDATES: u64 = 10_000;
const UPDATES_A_SECOND: u64 = 1000;
const BYTES_FOR_UPDATE: u64 = 1024;

const END_STREAM: u8 = 0x1;

impl Meter {
    /// For a connection that begins with `preface` bytes that are no frames.
    pub(super) fn new(preface: usize, now: Duration) -> Self {
        Self { head: [0; HEAD], filled: 0, skip: preface, calm: BURST, updates: UPDATES, since: now, flood: None }
    }

    /// What the client has flooded us with, if it has.
    pub(super) fn flood(&self) -> Option<Flood> {
        self.flood
    }

    /// Notes that the client floods us.
    pub(super) fn flooded(&mut self, with: Flood) -> Flood {
        self.flood = Some(with);
        with
    }

    /// So many streams had to be reset for what the client did on them (CVE-2025-8671).
    pub(super) fn provoked(&mut self, resets: u32) -> Result<(), Flood> {
        match self.calm.checked_sub(resets) {
            Some(calm) => self.calm = calm,
            None => return Err(self.flooded(Flood::Provoked)),
        }
        Ok(())
    }

    /// So many bytes have been sent.
    pub(super) fn sent(&mut self, bytes: usize) {
        self.updates = (self.updates + bytes as u64 / BYTES_FOR_UPDATE).min(UPDATES);
    }

    /// Counts the frames in `bytes`. Fails with what the client sends more of than any has use for (RFC 9113 §10.5).
    pub(super) fn feed(&mut self, mut bytes: &[u8], now: Duration) -> Result<(), Flood> {
        self.refill(now);
        while !bytes.is_empty() {
            if self.skip > 0 {
                let count = self.skip.min(bytes.len());
                self.skip -= count;
                bytes = &bytes[count..];
                continue;
            }
            let count = (HEAD - self.filled).min(bytes.len());
            self.head[self.filled..self.filled + count].copy_from_slice(&bytes[..count]);
            self.filled += count;
            bytes = &bytes[count..];
            if self.filled == HEAD {
                self.filled = 0;
                self.count()?;
            }
        }
        Ok(())
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

    fn count(&mut self) -> Result<(), Flood> {
        let [a, b, c, kind, flags, ..] = self.head;
        let length = u32::from_be_bytes([0, a, b, c]) as usize;
        self.skip = length;
        let kind = match kind {
            0x0 if length > 0 || flags & END_STREAM != 0 => return Ok(()),
            0x0 => Flood::EmptyData,
            0x1 => return Ok(()),
            0x2 => Flood::Priority,
            0x3 => Flood::Reset,
            0x4 => Flood::Settings,
            0x6 => Flood::Ping,
            0x8 => {
                let left = self.updates.checked_sub(1).ok_or(Flood::WindowUpdate);
                self.updates = left.map_err(|flood| self.flooded(flood))?;
                return Ok(());
            }
            0x9 => Flood::Continuation,
            _ => Flood::Unknown,
        };
        let left = self.calm.checked_sub(1).ok_or(kind);
        self.calm = left.map_err(|flood| self.flooded(flood))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Duration = Duration::from_secs(100);

    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let length = (payload.len() as u32).to_be_bytes();
        [&length[1..], &[kind, flags, 0, 0, 0, 1], payload].concat()
    }

    #[test]
    fn frames_are_counted_however_they_are_cut() {
        let stream = [b"preface".to_vec(), frame(6, 0, &[0; 8]), frame(0, 0, &[6; 600]), frame(6, 0, &[0; 8])].concat();
        for each in 1..stream.len() {
            let mut meter = Meter::new(7, START);
            stream.chunks(each).for_each(|part| meter.feed(part, START).unwrap());
            assert_eq!((meter.calm, meter.skip, meter.filled), (BURST - 2, 0, 0));
        }
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
            let mut meter = Meter::new(0, START);
            let one = frame(kind, 0, b"");
            (0..BURST).for_each(|_| meter.feed(&one, START).unwrap());
            assert_eq!(meter.feed(&one, START), Err(flood));
            assert_eq!(meter.feed(&one, START + Duration::from_secs(1)), Ok(()));
        }
    }

    #[test]
    fn work_is_no_flood() {
        let mut meter = Meter::new(0, START);
        let (head, data, last) = (frame(1, 4, &[0; 30]), frame(0, 0, &[1; 9000]), frame(0, END_STREAM, b""));
        for _ in 0..100_000 {
            [&head, &data, &last].into_iter().for_each(|frame| meter.feed(frame, START).unwrap());
        }
        let update = frame(8, 0, &[0, 0, 1, 0]);
        for _ in 0..100_000 {
            meter.feed(&update, START).unwrap();
            meter.sent(16 << 10);
        }
        assert!((0..=UPDATES).any(|_| meter.feed(&update, START).is_err()));
    }
}
