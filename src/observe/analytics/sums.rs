//! What is summed up, and of what.

/// What stands for all names beyond the bound.
pub const OTHER: &str = "(other)";

/// Steps of the histogram of latencies.
pub const BUCKETS: usize = 40;

/// The end of the first step, µs. Each that follows is √2 as long: the last but one ends at 74 s.
const FIRST_US: f64 = 100.0;

/// What an exchange is counted under.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Series {
    /// Who asked; empty: nobody knows.
    pub consumer: Box<str>,
    /// The route; "(none)": none took it.
    pub route: Box<str>,
    /// The version that the route says; empty: it says none.
    pub version: Box<str>,
    /// The status; 0: none was sent.
    pub status: u16,
}

/// A series within a minute.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// Minutes since 1970.
    pub minute: u32,
    /// What it is counted under.
    pub series: Series,
}

/// An exchange that has ended.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// Who asked; empty: nobody knows.
    pub consumer: &'a str,
    /// The route; "(none)": none took it.
    pub route: &'a str,
    /// The version that the route says; empty: it says none.
    pub version: &'a str,
    /// The status; 0: none was sent.
    pub status: u16,
    /// Whether it is an error: a status from 500 on, or an answer that broke off for the target's or our own fault.
    pub is_error: bool,
    /// How long it took, ns.
    pub total_ns: u64,
    /// Bytes received from the client.
    pub bytes_in: u64,
    /// Bytes sent to the client.
    pub bytes_out: u64,
}

/// Sums of exchanges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sums {
    /// How many they are.
    pub requests: u64,
    /// Those that are errors.
    pub errors: u64,
    /// How long they took together, µs.
    pub latency_us: u64,
    /// Bytes received from clients.
    pub bytes_in: u64,
    /// Bytes sent to clients.
    pub bytes_out: u64,
    /// How many of them took how long.
    pub latencies: [u64; BUCKETS],
}

impl Default for Sums {
    fn default() -> Self {
        Self { requests: 0, errors: 0, latency_us: 0, bytes_in: 0, bytes_out: 0, latencies: [0; BUCKETS] }
    }
}

impl Sums {
    /// Counts an exchange.
    pub fn count(&mut self, seen: &Seen<'_>) {
        let us = seen.total_ns / 1000;
        self.requests += 1;
        self.errors += u64::from(seen.is_error);
        self.latency_us = self.latency_us.saturating_add(us);
        self.bytes_in = self.bytes_in.saturating_add(seen.bytes_in);
        self.bytes_out = self.bytes_out.saturating_add(seen.bytes_out);
        if let Some(step) = self.latencies.get_mut(bucket(us)) {
            *step += 1;
        }
    }

    /// Adds other sums.
    pub fn add(&mut self, more: &Self) {
        self.requests += more.requests;
        self.errors += more.errors;
        self.latency_us = self.latency_us.saturating_add(more.latency_us);
        self.bytes_in = self.bytes_in.saturating_add(more.bytes_in);
        self.bytes_out = self.bytes_out.saturating_add(more.bytes_out);
        self.latencies.iter_mut().zip(more.latencies).for_each(|(own, more)| *own += more);
    }

    /// How long `share` (0 to 1) of the exchanges took at most, µs; right to within the half of a step, about 20 %.
    pub fn percentile_us(&self, share: f64) -> f64 {
        let all: u64 = self.latencies.iter().sum();
        let wanted = (share * all as f64).ceil().max(1.0);
        let mut before = 0.0;
        for (step, &count) in self.latencies.iter().enumerate() {
            if count > 0 && before + count as f64 >= wanted {
                let (from, to) = (if step == 0 { 0.0 } else { end_us(step - 1) }, end_us(step));
                return from + (to - from) * (wanted - before) / count as f64;
            }
            before += count as f64;
        }
        0.0
    }

    /// The histogram as bytes: for each step that is not empty its place, and its count as LEB128.
    pub fn pack(&self) -> Vec<u8> {
        let mut packed = Vec::new();
        for (step, &count) in self.latencies.iter().enumerate().filter(|(_, count)| **count > 0) {
            packed.push(u8::try_from(step).unwrap_or(u8::MAX));
            let mut rest = count;
            while rest >= 0x80 {
                packed.push((rest & 0x7f) as u8 | 0x80);
                rest >>= 7;
            }
            packed.push(rest as u8);
        }
        packed
    }

    /// Adds a histogram that was packed. What makes no sense in it counts nowhere.
    pub fn unpack(&mut self, packed: &[u8]) {
        let mut bytes = packed.iter().copied();
        while let Some(step) = bytes.next() {
            let (mut count, mut shift) = (0u64, 0u32);
            for byte in bytes.by_ref() {
                count |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
                shift += 7;
                if byte & 0x80 == 0 {
                    break;
                }
            }
            if let Some(own) = self.latencies.get_mut(usize::from(step)) {
                *own = own.saturating_add(count);
            }
        }
    }
}

/// Where a latency counts.
fn bucket(us: u64) -> usize {
    // Four times the square is a power of two where a step ends, as each is √2 as long as the one before.
    let ratio = us as f64 / FIRST_US;
    if ratio <= 1.0 {
        return 0;
    }
    ((ratio.log2() * 2.0).ceil() as usize).min(BUCKETS - 1)
}

/// Where a step ends, µs.
fn end_us(step: usize) -> f64 {
    FIRST_US * (step as f64 / 2.0).exp2()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(total_ns: u64) -> Seen<'static> {
        Seen {
            consumer: "a",
            route: "r",
            version: "",
            status: 200,
            is_error: false,
            total_ns,
            bytes_in: 1,
            bytes_out: 2,
        }
    }

    #[test]
    fn percentiles_are_right_to_within_a_step() {
        let mut sums = Sums::default();
        (1..=1000u64).for_each(|ms| sums.count(&seen(ms * 1_000_000)));
        for (share, right) in [(0.5, 500_000.0), (0.95, 950_000.0), (0.99, 990_000.0)] {
            let told = sums.percentile_us(share);
            assert!((told / right - 1.0f64).abs() < 0.2, "{share}: {told}");
        }
        assert_eq!(Sums::default().percentile_us(0.5), 0.0);
        let mut longest = Sums::default();
        longest.count(&seen(u64::MAX));
        assert!(longest.percentile_us(0.99) > 60e6);
    }

    #[test]
    fn a_histogram_survives_being_packed_and_garbage_is_no_panic() {
        let mut sums = Sums::default();
        for ns in [0, 1, 99_000, 100_000, 100_001, 5_000_000, 80_000_000_000] {
            (0..300).for_each(|_| sums.count(&seen(ns)));
        }
        let mut read = Sums::default();
        read.unpack(&sums.pack());
        assert_eq!(read.latencies, sums.latencies);
        read.unpack(&[0xff; 64]);
        read.unpack(&[1]);
        assert_eq!(sums.latencies.iter().sum::<u64>(), sums.requests);
    }
}
