//! What all hosts have told of a key in a period: of each, how many requests it has admitted, and up to how many it may.
//!
//! What always holds: the sum of what hosts may admit is not above the limit, as long as each changes the row from what it has read.

use std::fmt::{self, Write};

/// What hosts have told of a key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Row(Vec<Entry>);

/// What one has told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What the host is known by.
    pub host: u64,
    /// How many it has admitted.
    pub spent: u64,
    /// Up to how many it may: not fewer.
    pub given: u64,
}

/// Hosts in a row. More have no room: theirs is what is left of those that are gone.
const MOST: usize = 4096;

/// The most that an entry says, far above what any quota has: sums of a few do not overflow, whatever stands in the store.
const MOST_SPENT: u64 = 1 << 48;

/// What may be missing of a count because requests were given back.
pub const GIVEN_BACK: u64 = 8;

impl Row {
    /// From its text; what cannot be read is not there.
    pub fn parse(text: &str) -> Self {
        let entry = |part: &str| {
            let mut words = part.split(' ');
            let host = u64::from_str_radix(words.next()?, 16).ok()?;
            let mut number = || Some(words.next()?.parse::<u64>().ok()?.min(MOST_SPENT));
            let (spent, given) = (number()?, number()?);
            Some(Entry { host, spent, given: given.max(spent) })
        };
        Self(text.split(';').filter_map(entry).take(MOST).collect())
    }

    /// What a host has told.
    pub fn of(&self, host: u64) -> Option<Entry> {
        self.0.iter().copied().find(|entry| entry.host == host)
    }

    /// How many all have admitted.
    pub fn spent(&self) -> u64 {
        self.0.iter().fold(0, |sum, entry| sum.saturating_add(entry.spent))
    }

    /// How many all but this host may admit in all. Of those that are gone, what they have admitted counts.
    pub fn taken(&self, but: u64, is_gone: impl Fn(u64) -> bool) -> u64 {
        let others = self.0.iter().filter(|entry| entry.host != but);
        let taken = others.map(|entry| if is_gone(entry.host) { entry.spent } else { entry.given });
        taken.fold(0, u64::saturating_add)
    }

    /// With what a host tells now; those that are gone may admit no more.
    pub fn with(&self, own: Entry, is_gone: impl Fn(u64) -> bool) -> Self {
        let mut entries = self.0.clone();
        for entry in entries.iter_mut().filter(|entry| entry.host != own.host && is_gone(entry.host)) {
            entry.given = entry.spent;
        }
        match entries.iter_mut().find(|entry| entry.host == own.host) {
            Some(entry) => *entry = own,
            None => entries.push(own),
        }
        Self(entries)
    }

    /// With what was known of other hosts before and is not there any more, as the store has lost it.
    pub fn or(mut self, before: &Self) -> Self {
        for old in &before.0 {
            match self.0.iter_mut().find(|entry| entry.host == old.host) {
                // A few fewer are requests that were given back.
                Some(entry) if entry.spent + GIVEN_BACK < old.spent => {
                    entry.spent = old.spent;
                    entry.given = entry.given.max(entry.spent);
                }
                Some(_) => {}
                None => self.0.push(*old),
            }
        }
        self.0.truncate(MOST);
        self
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, Entry { host, spent, given }) in self.0.iter().enumerate() {
            if place > 0 {
                f.write_char(';')?;
            }
            write!(f, "{host:x} {spent} {given}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_what_it_says_and_adds_up() {
        let row = Row::parse("a 3 10;ff 5 5;broken;b 7 2");
        assert_eq!(row.to_string(), "a 3 10;ff 5 5;b 7 7");
        assert_eq!((row.spent(), row.taken(0xb, |_| false), row.taken(0xb, |host| host == 0xa)), (15, 15, 8));
        let next = row.with(Entry { host: 0xff, spent: 6, given: 9 }, |host| host == 0xa);
        assert_eq!(next.to_string(), "a 3 3;ff 6 9;b 7 7");
        assert_eq!(
            Row::parse("b 1 9;d 40 50").or(&Row::parse("a 3 3;b 7 7;d 60 70")).to_string(),
            "b 1 9;d 60 60;a 3 3"
        );
        assert_eq!(Row::parse(""), Row::default());
    }

    #[test]
    fn no_number_is_too_large() {
        let row = Row::parse(&format!("a {0} {0};b 1 {0};c 1 99999999999999999999", u64::MAX));
        assert_eq!(row.of(0xa).map(|entry| entry.spent + GIVEN_BACK), Some(MOST_SPENT + GIVEN_BACK));
        assert_eq!(row.of(0xb).map(|entry| entry.given), Some(MOST_SPENT));
        assert_eq!(row.of(0xc), None);
        let _ = row.clone().or(&row);
    }
}
