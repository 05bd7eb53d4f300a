//! What happens to what is stored, counted for metrics. What is counted here costs a question to the origin or is rarer; what happens
//! with each request is counted by each worker for itself.

use crate::cache::Why;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// What has happened to what is stored.
#[derive(Debug, Default)]
pub struct Figures {
    /// Answers that were stored.
    pub stored: Count,
    /// Stored answers of which the origin said that they are as they were.
    pub validated: Count,
    /// Answers that were purged or forgotten, and are gone.
    pub purged: Count,
    /// Keys that gave way to others.
    pub evicted: Count,
    /// Questions to the origin that are under way.
    pub asking: Count,
    unkept: [Count; Unkept::COUNT],
}

/// A number that several threads change.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    /// More.
    pub fn add(&self, more: u64) {
        self.0.fetch_add(more, Relaxed);
    }

    /// Less.
    pub fn sub(&self, less: u64) {
        self.0.fetch_sub(less, Relaxed);
    }

    /// How many.
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// Why an answer was not stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unkept {
    /// It must not be.
    Rules(Why),
    /// It is larger than what is kept.
    TooLarge,
    /// Too much came in at once.
    NoRoom,
    /// It was changed or purged while it came.
    Changed,
    /// It broke off.
    Incomplete,
}

impl Unkept {
    /// How many there are.
    pub const COUNT: usize = Why::ALL.len() + 4;

    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        let others = [Self::TooLarge, Self::NoRoom, Self::Changed, Self::Incomplete];
        Why::ALL.into_iter().map(Self::Rules).chain(others)
    }

    /// The word for metrics.
    pub fn word(self) -> &'static str {
        match self {
            Self::Rules(why) => why.word(),
            Self::TooLarge => "too-large",
            Self::NoRoom => "no-room",
            Self::Changed => "changed",
            Self::Incomplete => "incomplete",
        }
    }

    fn index(self) -> usize {
        match self {
            Self::Rules(why) => Why::ALL.iter().position(|known| *known == why).unwrap_or(0),
            Self::TooLarge => Why::ALL.len(),
            Self::NoRoom => Why::ALL.len() + 1,
            Self::Changed => Why::ALL.len() + 2,
            Self::Incomplete => Why::ALL.len() + 3,
        }
    }
}

impl Figures {
    /// An answer was not stored.
    pub fn not_stored(&self, why: Unkept) {
        self.unkept[why.index()].add(1);
    }

    /// How many answers were not stored, by why.
    pub fn unkept(&self) -> impl Iterator<Item = (&'static str, u64)> {
        Unkept::all().map(|why| (why.word(), self.unkept[why.index()].get()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_has_a_count_and_a_word_of_its_own() {
        let figures = Figures::default();
        for (times, why) in (1..).zip(Unkept::all()) {
            (0..times).for_each(|_| figures.not_stored(why));
        }
        let counts: Vec<_> = figures.unkept().map(|(_, count)| count).collect();
        assert_eq!(counts, (1..=Unkept::COUNT as u64).collect::<Vec<_>>());
        let words: std::collections::BTreeSet<_> = figures.unkept().map(|(word, _)| word).collect();
        assert_eq!(words.len(), Unkept::COUNT);
    }
}
