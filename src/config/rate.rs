//! How often something may happen, as the configuration writes it: `"20/s"`, `"1000/d"`.

use super::units::{Invalid, Size, text_form};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A count for each second, minute or hour: `"20/s"`, `"600/m"`, `"100/h"`. At least one, and 10,000 a second at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    count: u32,
    /// Position in [`UNITS`].
    unit: usize,
}

/// A count for each second, minute, hour or day: `"100/s"`, `"6000/m"`, `"10000/d"`. At least one, and 10,000,000 a second at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestRate(Rate);

/// Bytes in each second: `"1MB/s"`, `"512KiB/s"`. From 1KB to 1TB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByteRate(Size);

const UNITS: [(&str, u32); 4] = [("s", 1), ("m", 60), ("h", 3600), ("d", 86_400)];
/// The most connections of a second.
const CONNECTIONS: u32 = 10_000;
/// The most requests of a second.
const REQUESTS: u32 = 10_000_000;

impl Rate {
    /// How far apart they are if they are even.
    pub fn interval(self) -> Duration {
        self.time() / self.count
    }

    /// How many there are in a second, rounded up.
    pub fn per_second(self) -> u32 {
        self.count.div_ceil(UNITS[self.unit].1)
    }

    fn time(self) -> Duration {
        Duration::from_secs(UNITS[self.unit].1.into())
    }

    /// Reads a rate of one of these units, of which a second has `most` at most.
    fn read(text: &str, units: &[(&str, u32)], most: u32) -> Result<Self, Invalid> {
        let text = text.trim();
        let Some((number, unit)) = text.split_once('/') else {
            let what = if text.is_empty() { "it is empty" } else { "it does not say in which time" };
            return Err(match text.parse::<u32>() {
                Ok(_) => Invalid::new(what).help(format!("write \"{text}/s\"")),
                Err(_) => Invalid::new(what),
            });
        };
        let digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        let count = match number.parse::<u32>() {
            Ok(count) if digits => count,
            _ if digits => return Err(Invalid::new("its number is too large")),
            _ => return Err(Invalid::new("it does not start with a whole number")),
        };
        let Some(unit) = units.iter().position(|(name, _)| *name == unit) else {
            let names: Vec<&str> = units.iter().map(|(name, _)| *name).collect();
            return Err(
                Invalid::new(format!("`{unit}` is not a unit")).help(format!("the units are {}", names.join(", ")))
            );
        };
        let rate = Self { count, unit };
        match count {
            0 => Err(Invalid::new("it lets nothing happen")),
            _ if rate.per_second() > most => Err(Invalid::new(format!("it is more than {most}/s"))),
            _ => Ok(rate),
        }
    }
}

impl RequestRate {
    /// How many.
    pub fn count(self) -> u32 {
        self.0.count
    }

    /// In which time.
    pub fn time(self) -> Duration {
        self.0.time()
    }

    /// How many there are in a second, rounded up.
    pub fn per_second(self) -> u32 {
        self.0.per_second()
    }
}

impl ByteRate {
    /// Bytes in a second.
    pub fn bytes(self) -> u64 {
        self.0.0
    }
}

impl FromStr for Rate {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        Self::read(text, &UNITS[..3], CONNECTIONS)
    }
}

impl FromStr for RequestRate {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        Rate::read(text, &UNITS, REQUESTS).map(Self)
    }
}

impl FromStr for ByteRate {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let text = text.trim();
        let Some(size) = text.strip_suffix("/s") else {
            let what = "it does not say in which time";
            return Err(match text.parse::<Size>() {
                Ok(size) if size.0 > 0 => Invalid::new(what).help(format!("write \"{size}/s\"")),
                _ => Invalid::new(what),
            });
        };
        match size.parse::<Size>()? {
            Size(0..1000) => Err(Invalid::new("it is less than 1KB/s")),
            Size(bytes) if bytes > 1_000_000_000_000 => Err(Invalid::new("it is more than 1TB/s")),
            size => Ok(Self(size)),
        }
    }
}

impl fmt::Display for ByteRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/s", self.0)
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.count, UNITS[self.unit].0)
    }
}

impl fmt::Display for RequestRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

text_form!(ByteRate, Rate, RequestRate);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_a_number_and_a_unit() {
        for (text, micros, second) in
            [("20/s", 50_000, 20), ("600/m", 100_000, 10), ("1/h", 3_600_000_000, 1), ("10000/s", 100, 10_000)]
        {
            let rate: Rate = text.parse().unwrap();
            assert_eq!((rate.interval(), rate.per_second()), (Duration::from_micros(micros), second), "{text}");
            assert_eq!(rate.to_string(), text);
        }
    }

    #[test]
    fn a_rate_of_bytes_is_a_size_for_each_second() {
        for (text, bytes) in [("1MB/s", 1_000_000), ("512KiB/s", 524_288), ("1KB/s", 1000)] {
            let rate: ByteRate = text.parse().unwrap();
            assert_eq!((rate.bytes(), rate.to_string()), (bytes, text.to_owned()));
        }
        for (text, what) in [
            ("1MB", "it does not say in which time"),
            ("", "it does not say in which time"),
            ("999/s", "it is less than 1KB/s"),
            ("2TB/s", "it is more than 1TB/s"),
        ] {
            assert_eq!(text.parse::<ByteRate>().unwrap_err().what, what, "{text}");
        }
    }

    #[test]
    fn a_wrong_rate_says_what_is_wrong() {
        for (text, what) in [
            ("", "it is empty"),
            ("20", "it does not say in which time"),
            ("/s", "it does not start with a whole number"),
            ("-1/s", "it does not start with a whole number"),
            ("+1/s", "it does not start with a whole number"),
            ("1.5/s", "it does not start with a whole number"),
            ("99999999999/s", "its number is too large"),
            ("5/d", "`d` is not a unit"),
            ("0/s", "it lets nothing happen"),
            ("10001/s", "it is more than 10000/s"),
        ] {
            assert_eq!(text.parse::<Rate>().unwrap_err().what, what, "{text}");
        }
    }
}
