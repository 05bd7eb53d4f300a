//! The periods of the calendar of a place.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// For how long a quota counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Period {
    /// A minute of the clock.
    Minute,
    /// An hour of the clock.
    Hour,
    /// From midnight to midnight.
    Day,
    /// From Monday to Sunday.
    Week,
    /// From the first to the last day.
    Month,
}

/// One period, in whole minutes since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// When it begins.
    pub start: u32,
    /// When the next one does.
    pub end: u32,
}

/// The periods of one kind in one place.
#[derive(Debug)]
pub struct Calendar {
    period: Period,
    zone: TimeZone,
    /// The window that was asked for last, as start and end: looking into the calendar takes a microsecond.
    last: AtomicU64,
}

const MINUTE: u64 = 60;
const DAY: u32 = 24 * 60;

impl Period {
    /// About how many seconds it has, for who is told of it.
    pub fn seconds(self) -> u64 {
        MINUTE
            * match self {
                Self::Minute => 1,
                Self::Hour => 60,
                Self::Day => 1440,
                Self::Week => 7 * 1440,
                Self::Month => 30 * 1440,
            }
    }
}

impl Window {
    /// Whole seconds until it is over.
    pub fn left(self, now: Duration) -> u64 {
        (u64::from(self.end) * MINUTE).saturating_sub(now.as_secs())
    }

    /// Whether a time is in it.
    pub fn has(self, now: Duration) -> bool {
        (u64::from(self.start) * MINUTE..u64::from(self.end) * MINUTE).contains(&now.as_secs())
    }
}

impl Calendar {
    /// That of the place whose time zone is named as in the IANA's database; of UTC without.
    ///
    /// # Errors
    /// There is no such time zone.
    pub fn new(period: Period, zone: Option<&str>) -> Result<Self, String> {
        let zone = match zone {
            None => TimeZone::UTC,
            Some(name) => TimeZone::get(name).map_err(|_| format!("no time zone is named `{name}`"))?,
        };
        Ok(Self { period, zone, last: AtomicU64::new(0) })
    }

    /// The kind of periods.
    pub fn period(&self) -> Period {
        self.period
    }

    /// Whether its periods are those of another.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.period == other.period && self.zone == other.zone
    }

    /// The period in which a time since 1970 is.
    pub fn window(&self, now: Duration) -> Window {
        let last = self.last.load(Ordering::Relaxed);
        let last = Window { start: (last >> 32) as u32, end: last as u32 };
        if last.has(now) {
            return last;
        }
        let found = self.look(now);
        self.last.store(u64::from(found.start) << 32 | u64::from(found.end), Ordering::Relaxed);
        found
    }

    fn look(&self, now: Duration) -> Window {
        let seconds = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        // Beyond the year 9999 there is no calendar.
        let found = Timestamp::from_second(seconds).ok().and_then(|now| self.dated(now));
        found.filter(|window| window.has(now)).unwrap_or_else(|| {
            let minutes = u32::try_from(now.as_secs() / MINUTE).unwrap_or(u32::MAX - DAY);
            let length = u32::try_from(self.period.seconds() / MINUTE).unwrap_or(DAY);
            let start = minutes - minutes % length;
            Window { start, end: start.saturating_add(length) }
        })
    }

    fn dated(&self, now: Timestamp) -> Option<Window> {
        let (start, end) = match self.period {
            Period::Minute => self.even(now, 1),
            Period::Hour => self.even(now, 60),
            Period::Day => {
                let day = self.date(now);
                (self.midnight(day)?, self.midnight(day.tomorrow().ok()?)?)
            }
            Period::Week => {
                let day = self.date(now);
                let monday = day.checked_sub(i64::from(day.weekday().to_monday_zero_offset()).days()).ok()?;
                (self.midnight(monday)?, self.midnight(monday.checked_add(7.days()).ok()?)?)
            }
            Period::Month => {
                let first = self.date(now).first_of_month();
                (self.midnight(first)?, self.midnight(first.checked_add(1.month()).ok()?)?)
            }
        };
        Some(Window { start: minutes(start)?, end: minutes(end)? })
    }

    /// The start and end, in seconds, of so many minutes that are even by the clock of the place.
    fn even(&self, now: Timestamp, minutes: i64) -> (i64, i64) {
        let (length, ahead) = (minutes * 60, i64::from(self.zone.to_offset(now).seconds()));
        let start = (now.as_second() + ahead).div_euclid(length) * length - ahead;
        (start, start + length)
    }

    fn date(&self, now: Timestamp) -> Date {
        now.to_zoned_datetime(self.zone.clone()).date()
    }

    /// The first second of a day, which need not be at midnight.
    fn midnight(&self, day: Date) -> Option<i64> {
        Some(day.to_zoned_datetime(self.zone.clone()).ok()?.timestamp().as_second())
    }
}

fn minutes(seconds: i64) -> Option<u32> {
    u32::try_from(seconds.div_euclid(60)).ok()
}
