//! Moments as the configuration writes them: a day, or a time of it.

use super::units::{Invalid, text_form};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use std::fmt;
use std::str::FromStr;

/// A moment, in whole seconds since 1970: `"2027-01-31"`, the beginning of that day (UTC), or `"2027-01-31T12:00:00Z"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub u64);

/// How long the text of a day is.
const DAY: usize = 10;

/// Seconds of a day.
const SECONDS: u64 = 24 * 3600;

impl FromStr for Moment {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let stamp = match text.len() {
            DAY => text.parse::<Date>().and_then(|date| TimeZone::UTC.to_timestamp(date.at(0, 0, 0, 0))),
            _ => text.parse::<Timestamp>(),
        };
        let stamp = stamp.map_err(|_| {
            let local = text.len() > DAY && format!("{text}Z").parse::<Timestamp>().is_ok();
            match local {
                true => Invalid::new("it does not say of which time zone").help(format!("write \"{text}Z\" for UTC")),
                false => Invalid::new("there is no such moment"),
            }
        })?;
        u64::try_from(stamp.as_second()).map(Self).map_err(|_| Invalid::new("it is before 1970"))
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stamp = i64::try_from(self.0).ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
        // None that was read is beyond what can be told.
        let Some(stamp) = stamp else { return write!(f, "{}", self.0) };
        match self.0 % SECONDS {
            0 => write!(f, "{}", TimeZone::UTC.to_datetime(stamp).date()),
            _ => write!(f, "{stamp}"),
        }
    }
}

text_form!(Moment);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_its_beginning_and_what_is_shown_reads_back_as_the_same() {
        for (text, seconds, shown) in [
            ("2026-11-28", 1_795_824_000, "2026-11-28"),
            ("2026-11-28T00:00:00Z", 1_795_824_000, "2026-11-28"),
            ("2026-11-28T12:00:00Z", 1_795_867_200, "2026-11-28T12:00:00Z"),
            ("2026-11-28T13:00:00+01:00", 1_795_867_200, "2026-11-28T12:00:00Z"),
            ("1970-01-01", 0, "1970-01-01"),
        ] {
            let moment: Moment = text.parse().unwrap();
            assert_eq!((moment.0, moment.to_string().as_str()), (seconds, shown), "{text}");
            assert_eq!(shown.parse(), Ok(moment));
        }
    }

    #[test]
    fn what_is_no_moment_is_told_so() {
        for (text, what) in [
            ("", "there is no such moment"),
            ("2026-02-30", "there is no such moment"),
            ("tomorrow!!", "there is no such moment"),
            ("99999999999999999999", "there is no such moment"),
            ("2026-11-28T12:00:00", "it does not say of which time zone"),
            ("1969-12-31", "it is before 1970"),
        ] {
            assert_eq!(text.parse::<Moment>().unwrap_err().what, what, "{text}");
        }
    }
}
