//! What an agent beside a target says of it: HAProxy's agent line protocol.
//!
//! What always holds: only what an agent says changes what it has said; what it leaves out stays as it was. It never makes a target usable that its
//! checks or an operator hold for unusable.
//!
//! Source: HAProxy's configuration manual §5.2, `agent-check`.

use super::target::Mode;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

/// What one line says; `None`: nothing of that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reply {
    /// Whether the target works.
    pub up: Option<bool>,
    /// What is wanted of it.
    pub mode: Option<Mode>,
    /// Its weight in percent of the configured one.
    pub percent: Option<u32>,
    /// How much it takes at a time; 0: there is no limit.
    pub limit: Option<u32>,
}

/// All that an agent has said of a target and not taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Said {
    /// Whether it is down.
    pub down: bool,
    /// What is wanted of it.
    pub mode: Mode,
    /// Its weight in percent of the configured one.
    pub percent: Option<u32>,
    /// How much it takes at a time.
    pub limit: Option<u32>,
}

/// A weight may be so many times the configured one, in percent; 256 is the largest weight there is.
const MOST_PERCENT: u32 = 25_600;

impl Reply {
    /// Reads a line. Fails with what nobody understands of it.
    pub fn parse(line: &str) -> Result<Self, String> {
        let mut reply = Self::default();
        // What follows the sharp is for people.
        let words = line.split('#').next().unwrap_or_default();
        for word in words.split([' ', '\t', ',', ';']).filter(|word| !word.is_empty()) {
            let lower = word.to_ascii_lowercase();
            let number = |text: &str| text.parse::<u32>().map_err(|_| format!("`{word}` has no number"));
            match lower.as_str() {
                "up" => reply.up = Some(true),
                "down" | "fail" | "stopped" => reply.up = Some(false),
                "ready" => reply.mode = Some(Mode::Ready),
                "drain" => reply.mode = Some(Mode::Drain),
                "maint" => reply.mode = Some(Mode::Maintenance),
                other => {
                    if let Some(limit) = other.strip_prefix("maxconn:") {
                        reply.limit = Some(number(limit)?);
                    } else if let Some(percent) = other.strip_suffix('%') {
                        let percent = percent.strip_prefix("weight:").unwrap_or(percent);
                        reply.percent = Some(number(percent)?.min(MOST_PERCENT));
                    } else {
                        return Err(format!("`{word}` is no word of an agent"));
                    }
                }
            }
        }
        match reply == Self::default() {
            true => Err("the agent says nothing".to_owned()),
            false => Ok(reply),
        }
    }
}

impl Default for Said {
    fn default() -> Self {
        Self { down: false, mode: Mode::Ready, percent: None, limit: None }
    }
}

impl Said {
    /// What holds after `reply`.
    pub fn after(self, reply: &Reply) -> Self {
        Self {
            down: reply.up.map_or(self.down, |up| !up),
            mode: reply.mode.unwrap_or(self.mode),
            percent: reply.percent.or(self.percent),
            limit: reply.limit.map_or(self.limit, |limit| Some(limit).filter(|&limit| limit > 0)),
        }
    }

    /// What is left of a weight; 0 takes nothing. As little as is asked for, but something, unless nothing is.
    pub fn of(self, weight: u32) -> u32 {
        match (self.mode, self.percent) {
            (Mode::Drain, _) => 0,
            (_, None) => weight,
            (_, Some(percent)) => weight.saturating_mul(percent).div_ceil(100).min(256),
        }
    }
}

impl fmt::Display for Said {
    /// In the agent's own words.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.down { "down" } else { "up" })?;
        match self.mode {
            Mode::Ready => {}
            Mode::Drain => f.write_str(" drain")?,
            Mode::Maintenance => f.write_str(" maint")?,
        }
        if let Some(percent) = self.percent {
            write!(f, " {percent}%")?;
        }
        if let Some(limit) = self.limit {
            write!(f, " maxconn:{limit}")?;
        }
        Ok(())
    }
}

/// What an agent has said of a target, as workers read it: one number, so that they see the whole of it or what was before.
/// 0 is that nothing was said.
#[derive(Debug, Default)]
pub(super) struct Word(AtomicU64);

const DOWN: u64 = 1;
const DRAIN: u64 = 2;
const MAINTENANCE: u64 = 4;
const PERCENT_AT: u32 = 8;
const LIMIT_AT: u32 = 32;

impl Word {
    /// All that was said.
    #[inline]
    pub(super) fn get(&self) -> Said {
        match self.0.load(Ordering::Relaxed) {
            0 => Said::default(),
            word => unpack(word),
        }
    }

    /// Whether it keeps the target from being used.
    #[inline]
    pub(super) fn forbids(&self) -> bool {
        self.0.load(Ordering::Relaxed) & (DOWN | MAINTENANCE) != 0
    }

    /// Whether it wants it left alone.
    #[inline]
    pub(super) fn is_in_maintenance(&self) -> bool {
        self.0.load(Ordering::Relaxed) & MAINTENANCE != 0
    }

    pub(super) fn set(&self, said: Said) {
        let mode = match said.mode {
            Mode::Ready => 0,
            Mode::Drain => DRAIN,
            Mode::Maintenance => MAINTENANCE,
        };
        // One more, so that 0 is that there is none.
        let percent = said.percent.map_or(0, |percent| u64::from(percent.min(MOST_PERCENT)) + 1);
        let limit = u64::from(said.limit.unwrap_or(0));
        self.0.store(u64::from(said.down) | mode | percent << PERCENT_AT | limit << LIMIT_AT, Ordering::Relaxed);
    }
}

fn unpack(word: u64) -> Said {
    Said {
        down: word & DOWN != 0,
        mode: match word & (DRAIN | MAINTENANCE) {
            0 => Mode::Ready,
            DRAIN => Mode::Drain,
            _ => Mode::Maintenance,
        },
        percent: (word >> PERCENT_AT & 0xff_ffff).checked_sub(1).and_then(|percent| u32::try_from(percent).ok()),
        limit: u32::try_from(word >> LIMIT_AT).ok().filter(|&limit| limit > 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_haproxys_manual_are_understood() {
        let read = |line: &str| Reply::parse(line).unwrap_or_else(|wrong| panic!("{line}: {wrong}"));
        assert_eq!(read("75%"), Reply { percent: Some(75), ..Reply::default() });
        assert_eq!(read("weight:75%"), read("75%"));
        assert_eq!(read("UP 99%"), Reply { up: Some(true), percent: Some(99), ..Reply::default() });
        assert_eq!(read("down#no disk, no fun"), Reply { up: Some(false), ..Reply::default() });
        assert_eq!(read("stopped #by hand").up, Some(false));
        assert_eq!(read("fail").up, Some(false));
        assert_eq!(read("ready,maxconn:30").mode, Some(Mode::Ready));
        assert_eq!(read("drain\tmaxconn:0").limit, Some(0));
        assert_eq!(read("maint").mode, Some(Mode::Maintenance));
        assert_eq!(read("4294967295%").percent, Some(MOST_PERCENT));
        for line in
            ["", "  ", "# nothing", "weight", "-1%", "%", "maxconn:", "maxconn:many", "up sideways", "HTTP/1.1 200 OK"]
        {
            assert!(Reply::parse(line).is_err(), "{line}");
        }
    }

    #[test]
    fn what_is_not_said_stays_as_it_was() {
        let after = |said: Said, line: &str| said.after(&Reply::parse(line).unwrap());
        let said = after(Said::default(), "down 50% maxconn:7");
        assert_eq!(said, Said { down: true, percent: Some(50), limit: Some(7), mode: Mode::Ready });
        let said = after(said, "drain");
        assert!(said.down && said.mode == Mode::Drain && said.limit == Some(7));
        let said = after(after(said, "ready up"), "maxconn:0 100%");
        assert_eq!(said, Said { percent: Some(100), ..Said::default() });
        assert_eq!(after(said, "maint 3%").to_string(), "up maint 3%");
    }

    #[test]
    fn a_share_of_a_weight_is_never_nothing_by_rounding() {
        let of = |percent, weight| Said { percent: Some(percent), ..Said::default() }.of(weight);
        assert_eq!([of(75, 100), of(75, 1), of(1, 1), of(0, 100), of(200, 200)], [75, 1, 1, 0, 256]);
        assert_eq!(Said { mode: Mode::Drain, ..Said::default() }.of(5), 0);
    }

    #[test]
    fn workers_read_what_was_said() {
        let word = Word::default();
        assert_eq!(word.get(), Said::default());
        for down in [false, true] {
            for mode in [Mode::Ready, Mode::Drain, Mode::Maintenance] {
                for percent in [None, Some(0), Some(75), Some(MOST_PERCENT)] {
                    for limit in [None, Some(1), Some(u32::MAX)] {
                        let said = Said { down, mode, percent, limit };
                        word.set(said);
                        assert_eq!(word.get(), said);
                        assert_eq!(word.forbids(), down || mode == Mode::Maintenance);
                    }
                }
            }
        }
    }
}
