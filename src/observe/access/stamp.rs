//! Points in time as log lines write them, in UTC. The text of a second is made once and reused within it.

use jiff::{Timestamp, tz::Offset};
use std::io::Write;

/// A point in time, formatted.
#[derive(Debug)]
pub struct Stamp {
    second: u64,
    millis: u16,
    rfc3339: [u8; 19],
    log: [u8; 20],
}

impl Default for Stamp {
    fn default() -> Self {
        let mut stamp = Self { second: 0, millis: 0, rfc3339: [b'-'; 19], log: [b'-'; 20] };
        stamp.spell(0);
        stamp
    }
}

impl Stamp {
    /// Moves to `ns` since 1970.
    #[inline]
    pub fn set(&mut self, ns: u64) {
        let second = ns / 1_000_000_000;
        self.millis = (ns / 1_000_000 % 1_000) as u16;
        if second != self.second {
            self.spell(second);
        }
    }

    /// `2026-11-25T04:26:03.045Z` (RFC 3339).
    pub fn rfc3339(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.rfc3339);
        self.fraction(out);
        out.push(b'Z');
    }

    /// `25/Nov/2026:04:26:03 +0000`, the common log format's.
    pub fn common(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.log);
        out.extend_from_slice(b" +0000");
    }

    /// `25/Nov/2026:04:26:03.045`, HAProxy's.
    pub fn haproxy(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.log);
        self.fraction(out);
    }

    fn fraction(&self, out: &mut Vec<u8>) {
        let digit = |n: u16| b'0' + (n % 10) as u8;
        out.extend_from_slice(&[b'.', digit(self.millis / 100), digit(self.millis / 10), digit(self.millis)]);
    }

    /// Spells a second out. A clock beyond the year 9999 shows as 1970.
    fn spell(&mut self, second: u64) {
        const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
        self.second = second;
        let stamp = i64::try_from(second).ok().and_then(|s| Timestamp::from_second(s).ok()).unwrap_or_default();
        let t = Offset::UTC.to_datetime(stamp);
        let (year, month, day) = (t.year(), t.month(), t.day());
        let (hour, minute, second) = (t.hour(), t.minute(), t.second());
        let name = MONTHS.get(month as usize - 1).unwrap_or(&"---");
        // Both texts have exactly the width of their array.
        let _ = write!(self.rfc3339.as_mut_slice(), "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}");
        let _ = write!(self.log.as_mut_slice(), "{day:02}/{name}/{year:04}:{hour:02}:{minute:02}:{second:02}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(stamp: &Stamp) -> [String; 3] {
        [Stamp::rfc3339, Stamp::common, Stamp::haproxy].map(|write| {
            let mut out = Vec::new();
            write(stamp, &mut out);
            String::from_utf8(out).unwrap()
        })
    }

    #[test]
    fn a_second_is_spelled_in_three_ways() {
        let mut stamp = Stamp::default();
        stamp.set(1_795_580_763_045_678_901);
        let expected = ["2026-11-25T04:26:03.045Z", "25/Nov/2026:04:26:03 +0000", "25/Nov/2026:04:26:03.045"];
        assert_eq!(texts(&stamp), expected);
    }

    #[test]
    fn within_a_second_only_the_fraction_moves_and_a_clock_may_step_back() {
        let mut stamp = Stamp::default();
        stamp.set(1_709_209_799_999_999_999);
        assert_eq!(texts(&stamp)[0], "2024-02-29T12:29:59.999Z");
        stamp.set(1_709_209_799_007_000_000);
        assert_eq!(texts(&stamp)[0], "2024-02-29T12:29:59.007Z");
        stamp.set(0);
        assert_eq!(texts(&stamp)[0], "1970-01-01T00:00:00.000Z");
    }

    #[test]
    fn an_absurd_clock_does_no_harm() {
        let mut stamp = Stamp::default();
        stamp.set(u64::MAX);
        assert_eq!(texts(&stamp)[0].len(), 24);
    }
}
