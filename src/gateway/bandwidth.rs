//! How fast bodies may flow.
//!
//! What always holds: it refuses nothing; who has found out which requests it is for is asked how long each of their bytes has to wait.

use super::limits::Speed;
use super::limits::flow::{Due, Shared, Turn};
use super::{Asked, CountKey, Halt, Phase, Ranges, Rule, Who};
use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

/// A rule of type bandwidth.
#[derive(Debug)]
pub struct Bandwidth {
    /// Its place among all rules.
    pub index: usize,
    /// Whether what it goes by is known only once it is known who asks.
    pub late: bool,
    /// Who is as fast as can be.
    pub except: Ranges,
    /// Who is slowed down, and how.
    pub reins: Arc<Reins>,
}

/// How fast answers and requests may flow; `None`: as fast as can be.
#[derive(Debug)]
pub enum Reins {
    /// Each by itself.
    Each {
        /// Of answers, and of requests.
        ways: [Option<Speed>; 2],
    },
    /// All with the same key together.
    Shared {
        /// What they are told apart by.
        key: CountKey,
        /// Of answers, and of requests.
        ways: [Option<Shared>; 2],
    },
}

/// Which way bytes flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// To the client.
    Down,
    /// From it.
    Up,
}

/// What slows down one request and its answer.
#[derive(Debug)]
pub struct Rein {
    rule: usize,
    reins: Arc<Reins>,
    due: [Due; 2],
    keys: [u64; 2],
    /// When those that share a key have had their turn that wait.
    turns: [Cell<Turn>; 2],
}

/// What flows at once is as much as flows in this time, so that it flows smoothly.
const PIECE: Duration = Duration::from_millis(40);
/// Less than that costs more than it is worth, and more is not smooth.
const BYTES: [usize; 2] = [1 << 10, 64 << 10];

impl Rein {
    /// The place of its rule among all.
    pub fn rule(&self) -> usize {
        self.rule
    }

    /// As many bytes as are to flow at once; `None`: any.
    pub fn piece(&self, way: Way) -> Option<usize> {
        let speed = match &*self.reins {
            Reins::Each { ways } => ways[way as usize],
            Reins::Shared { ways, .. } => ways[way as usize].as_ref().map(Shared::speed),
        };
        speed.map(|speed| speed.in_time(PIECE).clamp(BYTES[0], BYTES[1]))
    }

    /// Takes bytes at `now`. Returns how long to wait until they may flow.
    pub fn take(&self, way: Way, bytes: u64, now: Duration) -> Duration {
        let at = way as usize;
        match &*self.reins {
            Reins::Each { ways } => ways[at].map_or(Duration::ZERO, |speed| self.due[at].take(speed, bytes, now)),
            Reins::Shared { ways, .. } => {
                let Some(shared) = &ways[at] else { return Duration::ZERO };
                let (wait, turn) = shared.take(self.keys[at], bytes, now);
                self.turns[at].set(turn);
                wait
            }
        }
    }

    /// How long those have to wait at `now` that were taken last: less than they were told, if others have given up that were before them.
    pub fn waits(&self, way: Way, bytes: u64, now: Duration) -> Duration {
        let at = way as usize;
        match &*self.reins {
            Reins::Each { ways } => ways[at].map_or(Duration::ZERO, |speed| self.due[at].waits(speed, bytes, now)),
            Reins::Shared { ways, .. } => {
                let Some(shared) = &ways[at] else { return Duration::ZERO };
                let (wait, turn) = shared.waits(self.keys[at], self.turns[at].get(), bytes, now);
                self.turns[at].set(turn);
                wait
            }
        }
    }

    /// Gives back those that were taken last.
    pub fn give_back(&self, way: Way, bytes: u64, now: Duration) {
        let at = way as usize;
        match &*self.reins {
            Reins::Each { ways } => {
                if let Some(speed) = ways[at] {
                    self.due[at].give_back(speed, bytes);
                }
            }
            Reins::Shared { ways, .. } => {
                if let Some(shared) = &ways[at] {
                    shared.give_back(self.keys[at], self.turns[at].get(), bytes, now);
                }
            }
        }
    }
}

impl Rule for Bandwidth {
    fn phase(&self) -> Phase {
        if self.late { Phase::Limit } else { Phase::EarlyLimit }
    }

    fn decide(&self, asked: &Asked<'_>, who: &mut Who) -> Result<(), Halt> {
        if asked.dry || self.except.contains(asked.client) {
            return Ok(());
        }
        let keys = match &*self.reins {
            Reins::Each { .. } => [0; 2],
            Reins::Shared { key, ways } => {
                let of =
                    |shared: &Option<Shared>| shared.as_ref().map_or(0, |shared| key.of(shared.table(), asked, who));
                [of(&ways[0]), of(&ways[1])]
            }
        };
        who.holds.slow_down(Rein {
            rule: self.index,
            reins: self.reins.clone(),
            due: Default::default(),
            keys,
            turns: Default::default(),
        });
        Ok(())
    }
}
