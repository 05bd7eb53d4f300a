//! Units as the configuration writes them. Each type parses from a string (numbers may come quoted) and shows itself
//! in the same form, so that what is printed can be pasted back.
//!
//! Pure text: no place, no file. What is wrong with a text is an [`Invalid`], which whoever knows the place reports.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A count of bytes: `"64KiB"`, `"10MiB"`, `"1GB"`, or a plain number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

/// A span of time: `"250ms"`, `"5s"`, `"1h"`, `"1h30m"`. Its resolution is a millisecond.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub Duration);

/// A share of a whole between 0 and 1: `"20%"`.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Share(pub f64);

/// How many times something is: `3`, `2.5`. Its resolution is a thousandth.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Factor(pub f64);

/// What is wrong with a text, and what would be right. `what` continues the sentence "… is not a duration: ".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid {
    /// The defect, as the end of a sentence.
    pub what: String,
    /// A better text, where one can be told.
    pub help: Option<String>,
}

impl Invalid {
    /// A defect without a better text.
    pub fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), help: None }
    }

    /// Adds what to write instead.
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for Invalid {}

impl Span {
    /// A span of whole milliseconds.
    pub const fn millis(count: u64) -> Self {
        Self(Duration::from_millis(count))
    }

    /// A span of whole seconds.
    pub const fn secs(count: u64) -> Self {
        Self(Duration::from_secs(count))
    }
}

/// Milliseconds in each unit of time, largest first.
const TIME: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

impl FromStr for Span {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let mut rest = text.trim();
        if rest.is_empty() {
            return Err(Invalid::new("it is empty"));
        }
        if rest.bytes().all(|b| b.is_ascii_digit()) {
            return Err(Invalid::new("it has no unit").help(format!("write \"{rest}s\" or \"{rest}ms\"")));
        }
        let mut units = &TIME[..];
        let mut total = 0u64;
        while !rest.is_empty() {
            let (number, tail) = split_number(rest);
            if tail.starts_with('.') {
                return Err(Invalid::new("it has a fraction").help("use a smaller unit: \"1500ms\", \"1m30s\""));
            }
            let count = number.parse::<u64>().map_err(|_| no_number(rest, number))?;
            let end = tail.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(tail.len());
            let (unit, tail) = tail.split_at(end);
            let Some(at) = units.iter().position(|(name, _)| *name == unit) else {
                return Err(if TIME.iter().any(|(name, _)| *name == unit) {
                    Invalid::new("its units do not go from large to small")
                } else {
                    unknown_unit(unit, "ms, s, m, h, d")
                });
            };
            let part = count.checked_mul(units[at].1);
            total = part.and_then(|p| total.checked_add(p)).ok_or_else(|| Invalid::new("it is too long"))?;
            units = &units[at + 1..];
            rest = tail;
        }
        Ok(Self::millis(total))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0.as_millis();
        if rest == 0 {
            return f.write_str("0s");
        }
        for (unit, millis) in TIME {
            let count = rest / u128::from(millis);
            if count > 0 {
                write!(f, "{count}{unit}")?;
                rest %= u128::from(millis);
            }
        }
        Ok(())
    }
}

/// Bytes in each unit of size; where several fit, the first is shown.
const SIZES: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("KB", 1000),
    ("B", 1),
];

impl FromStr for Size {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let text = text.trim();
        let (number, tail) = split_number(text);
        if tail.starts_with('.') {
            return Err(Invalid::new("it has a fraction").help("use a smaller unit: \"1536KiB\""));
        }
        let count = number.parse::<u64>().map_err(|_| no_number(text, number))?;
        let unit = tail.trim_start();
        if unit.is_empty() {
            return Ok(Self(count));
        }
        let Some((_, bytes)) = SIZES.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit)) else {
            let full = format!("{unit}iB");
            return Err(match SIZES.iter().find(|(name, _)| name.eq_ignore_ascii_case(&full)) {
                Some((name, _)) => Invalid::new("its unit is not whole").help(format!("write \"{number}{name}\"")),
                None => unknown_unit(unit, "B, KiB, MiB, GiB, TiB, KB, MB, GB, TB"),
            });
        };
        count.checked_mul(*bytes).map(Self).ok_or_else(|| Invalid::new("it is too large"))
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match SIZES.iter().find(|(_, bytes)| self.0 > 0 && self.0.is_multiple_of(*bytes)) {
            Some((unit, bytes)) => write!(f, "{}{unit}", self.0 / bytes),
            None => f.write_str("0B"),
        }
    }
}

impl FromStr for Share {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let text = text.trim();
        let Some(number) = text.strip_suffix('%') else {
            return Err(Invalid::new("it has no percent sign").help("write \"20%\""));
        };
        let fraction = number.split_once('.').map_or("0", |(_, fraction)| fraction);
        if !number.bytes().all(|b| b.is_ascii_digit() || b == b'.') || fraction.is_empty() {
            return Err(Invalid::new("it does not start with a number"));
        }
        if fraction.len() > 4 {
            return Err(Invalid::new("it has more than four decimals"));
        }
        let percent = number.parse::<f64>().map_err(|_| Invalid::new("it does not start with a number"))?;
        if percent > 100.0 {
            return Err(Invalid::new("it is more than 100%"));
        }
        Ok(Self(percent / 100.0))
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{:.4}", self.0 * 100.0);
        write!(f, "{}%", text.trim_end_matches('0').trim_end_matches('.'))
    }
}

impl FromStr for Factor {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let text = text.trim();
        let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        if !digits(whole) || !digits(fraction) {
            return Err(Invalid::new("it is no number"));
        }
        if fraction.len() > 3 {
            return Err(Invalid::new("it has more than three decimals"));
        }
        if whole.len() > 9 {
            return Err(Invalid::new("it is too large"));
        }
        text.parse().map(Self).map_err(|_| Invalid::new("it is no number"))
    }
}

impl fmt::Display for Factor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{:.3}", self.0);
        f.write_str(text.trim_end_matches('0').trim_end_matches('.'))
    }
}

fn split_number(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()))
}

fn no_number(text: &str, digits: &str) -> Invalid {
    Invalid::new(match (text.starts_with('-'), digits.is_empty()) {
        (true, _) => "it is negative",
        (false, true) => "a number is missing",
        (false, false) => "its number is too large",
    })
}

fn unknown_unit(unit: &str, known: &str) -> Invalid {
    let what = if unit.is_empty() { "a unit is missing".into() } else { format!("`{unit}` is not a unit") };
    Invalid::new(what).help(format!("the units are {known}"))
}

/// Gives types with `FromStr` and `Display` the same text form in serde.
macro_rules! text_form {
    ($($type:ty),+ $(,)?) => { $(
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )+ };
}
pub(super) use text_form;

text_form!(Factor, Size, Span, Share);

#[cfg(test)]
mod tests {
    use super::*;

    fn what<T: FromStr<Err = Invalid> + fmt::Debug>(text: &str) -> String {
        text.parse::<T>().unwrap_err().what
    }

    #[test]
    fn a_duration_is_the_sum_of_its_parts() {
        for (text, millis) in
            [("250ms", 250), ("5s", 5000), ("1h30m", 5_400_000), ("24h", 86_400_000), ("7d", 604_800_000), ("0s", 0)]
        {
            assert_eq!(text.parse::<Span>(), Ok(Span::millis(millis)), "{text}");
        }
    }

    #[test]
    fn a_wrong_duration_says_what_is_wrong() {
        for (text, expected) in [
            ("", "it is empty"),
            ("30", "it has no unit"),
            ("5x", "`x` is not a unit"),
            ("s", "a number is missing"),
            ("-5s", "it is negative"),
            ("1.5s", "it has a fraction"),
            ("5s1m", "its units do not go from large to small"),
            ("1m1m", "its units do not go from large to small"),
            ("5m3", "a unit is missing"),
            ("99999999999999999999s", "its number is too large"),
            ("999999999999999999d", "it is too long"),
            ("5 s", "a unit is missing"),
            ("５s", "a number is missing"),
        ] {
            assert_eq!(what::<Span>(text), expected, "{text}");
        }
    }

    #[test]
    fn a_size_has_binary_and_decimal_units() {
        for (text, bytes) in
            [("64KiB", 65536), ("10 MiB", 10 << 20), ("1GB", 1_000_000_000), ("12", 12), ("7B", 7), ("1kb", 1000)]
        {
            assert_eq!(text.parse::<Size>(), Ok(Size(bytes)), "{text}");
        }
        for (text, expected) in [
            ("KiB", "a number is missing"),
            ("1.5MiB", "it has a fraction"),
            ("5k", "its unit is not whole"),
            ("5Q", "`Q` is not a unit"),
            ("99999999TiB", "it is too large"),
        ] {
            assert_eq!(what::<Size>(text), expected, "{text}");
        }
    }

    #[test]
    fn a_share_is_a_percentage() {
        assert_eq!("20%".parse(), Ok(Share(0.2)));
        assert_eq!("0.5%".parse(), Ok(Share(0.005)));
        for (text, expected) in [
            ("0.2", "it has no percent sign"),
            ("101%", "it is more than 100%"),
            ("-1%", "it does not start with a number"),
            ("inf%", "it does not start with a number"),
            ("1e1%", "it does not start with a number"),
            ("%", "it does not start with a number"),
            ("1.00001%", "it has more than four decimals"),
        ] {
            assert_eq!(what::<Share>(text), expected, "{text}");
        }
    }

    #[test]
    fn a_factor_is_a_number_with_few_decimals() {
        for (text, factor) in [("3", 3.0), ("3.0", 3.0), ("2.5", 2.5), ("1.125", 1.125)] {
            assert_eq!(text.parse(), Ok(Factor(factor)), "{text}");
            assert_eq!(Factor(factor).to_string().parse(), Ok(Factor(factor)));
        }
        for (text, expected) in [
            ("", "it is no number"),
            ("-1", "it is no number"),
            ("1e3", "it is no number"),
            ("inf", "it is no number"),
            ("1.", "it is no number"),
            ("1.0001", "it has more than three decimals"),
            ("1234567890", "it is too large"),
        ] {
            assert_eq!(what::<Factor>(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_shown_reads_back_as_the_same() {
        let mut random = fastrand::Rng::with_seed(7);
        for _ in 0..20_000 {
            let bits = random.u32(0..50);
            let span = Span::millis(random.u64(0..1 << bits));
            assert_eq!(span.to_string().parse(), Ok(span));
            let size = Size(random.u64(0..1 << bits) << random.u32(0..14));
            assert_eq!(size.to_string().parse(), Ok(size));
            let percent = f64::from(random.u32(0..=1_000_000)) / 10_000.0;
            let share = Share(percent / 100.0);
            assert!((share.to_string().parse::<Share>().unwrap().0 - share.0).abs() < 1e-9, "{share}");
        }
    }

    #[test]
    fn no_text_makes_a_unit_panic() {
        let mut random = fastrand::Rng::with_seed(11);
        let alphabet: Vec<char> = "0123456789.-+% smhdKMGTiBé\u{0}".chars().collect();
        for _ in 0..20_000 {
            let text: String = (0..random.usize(0..12)).map(|_| *random.choice(&alphabet).unwrap()).collect();
            let _ = (text.parse::<Span>(), text.parse::<Size>(), text.parse::<Share>());
        }
    }
}
