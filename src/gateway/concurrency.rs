//! How many requests of a key may be under way at once.
//!
//! What always holds: what is let in is counted until its exchange is over, however it ends, and what is refused is not counted at all.

use super::limits::InFlight;
use super::{Asked, CountKey, Denial, Halt, Phase, Ranges, Rule, Who};
use crate::observe::reason::Reason;

/// A rule of type concurrency.
#[derive(Debug)]
pub struct Concurrency {
    /// What requests are counted by.
    pub key: CountKey,
    /// Whether that is known only once it is known who asks.
    pub late: bool,
    /// Who is not counted.
    pub except: Ranges,
    /// What counts.
    pub flight: InFlight,
}

impl Rule for Concurrency {
    fn phase(&self) -> Phase {
        if self.late { Phase::Limit } else { Phase::EarlyLimit }
    }

    /// RFC 6585 §4.
    fn decide(&self, asked: &Asked<'_>, who: &mut Who) -> Result<(), Halt> {
        if self.except.contains(asked.client) {
            return Ok(());
        }
        let key = self.key.of(self.flight.table(), asked, who);
        // What is only looked at is not under way.
        let is_full = match asked.dry {
            true => self.flight.is_full(key),
            false => match self.flight.enter(key, asked.now) {
                Ok(held) => {
                    held.into_iter().for_each(|held| who.holds.count(held));
                    false
                }
                Err(_) => true,
            },
        };
        match is_full {
            false => Ok(()),
            true => Err(Denial { retry_after: 1, ..Denial::new(429, Reason::Concurrency, "concurrency") }.into()),
        }
    }
}
