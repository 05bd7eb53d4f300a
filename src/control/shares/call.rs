//! What a host and the ledger tell each other, and what both reckon by.

use crate::gateway::limits::shares::UNIT;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What all hosts and the ledger reckon by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Terms {
    /// How many hosts share at the most.
    pub(super) hosts: u32,
    /// How many milliseconds a host may be silent before what it has is given to others.
    pub(super) forget: u64,
}

/// A key of a rule's, as all hosts know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Key {
    /// The rule, by a hash of its name and of what it counts by.
    pub(super) rule: u64,
    pub(super) key: u64,
}

/// What a host has of each key that the ledger does not know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Role {
    /// It is not in the ledger.
    #[default]
    None,
    /// Nothing: there are as many hosts as share already.
    Surplus,
    /// The least: it does not know yet what is divided.
    Least,
    /// As much as all others.
    Even,
}

/// What a host tells and asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) terms: Terms,
    pub(super) id: String,
    /// One more with each call of a host: the ledger hears none that comes after a later one.
    pub(super) number: u64,
    /// The ledger that it has last heard of; empty: none.
    pub(super) ledger: String,
    /// What a ledger is to be called that knows nothing.
    pub(super) name: String,
    /// It has put itself in order for this ledger, and may be taken into it.
    pub(super) joins: bool,
    /// Whether it has an even part of each key that it was told nothing of.
    pub(super) is_even: bool,
    pub(super) role: Role,
    /// How far it knows what is divided.
    pub(super) known: u64,
    /// Who is in the ledger that it has last heard of.
    pub(super) members: Vec<String>,
    /// Those before it on the same machine, which do not live any more.
    pub(super) dead: Vec<String>,
    pub(super) leaves: bool,
    /// The number of the last call that was answered: a ledger that has not heard it has gone back to what it once knew.
    pub(super) answered: u64,
    pub(super) reports: Vec<Report>,
}

/// What a host tells of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Report {
    pub(super) key: Key,
    /// What it has. Where that is less than the ledger says, it has given up the difference.
    pub(super) share: u32,
    /// How much of its burst is used, and goes with what it gives up.
    pub(super) debt: u32,
    /// Requests that ask for it, of admitted and denied ones, in a thousand seconds.
    pub(super) asked: u64,
    /// In how many milliseconds a burst that is used up comes back; 0: there is none.
    pub(super) recovery: u64,
}

/// What the ledger answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    /// It has heard a later call, which may have been another process's.
    Late,
    /// The host is not in this ledger, and is to put itself in order for it. Where it is settled, others have agreed on what there is.
    Join { ledger: String, settled: bool },
    /// It is done.
    Done(Done),
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Done {
    pub(super) ledger: String,
    pub(super) settled: bool,
    pub(super) role: Role,
    pub(super) known: u64,
    pub(super) members: Vec<String>,
    pub(super) told: Vec<Told>,
}

/// What a host is told of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) key: Key,
    /// Nobody divides it.
    pub(super) gone: bool,
    /// What the host may have.
    pub(super) share: u32,
    /// What it is to come down to.
    pub(super) wish: u32,
    /// How much of the burst is used of what it has got.
    pub(super) debt: u32,
}

/// Keys that the ledger divides at the most.
pub(super) const MOST: usize = 4096;
/// Of how many keys a call tells, and of how many that it has not told of an answer does, at the most.
pub(super) const AT_ONCE: usize = 256;
/// The most that can be asked for.
pub(super) const MOST_ASKED: u64 = 1_000_000_000;

impl Terms {
    /// The part of each that all have who share.
    pub(super) fn even(self) -> u32 {
        UNIT / self.hosts
    }

    /// What a host has at the least: of all hosts together 2 % of a limit, so that who asks there first need not wait.
    pub(super) fn least(self) -> u32 {
        (UNIT / self.hosts / 50).max(1)
    }
}

impl Role {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::None => "-",
            Self::Surplus => "x",
            Self::Least => "l",
            Self::Even => "e",
        }
    }

    fn of(word: &str) -> Self {
        match word {
            "x" => Self::Surplus,
            "l" => Self::Least,
            "e" => Self::Even,
            _ => Self::None,
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:016x}{:016x}", self.rule, self.key)
    }
}

impl Key {
    fn parse(text: &str) -> Option<Self> {
        let (rule, key) = text.split_at_checked(16)?;
        Some(Self { rule: u64::from_str_radix(rule, 16).ok()?, key: u64::from_str_radix(key, 16).ok()? })
    }
}

impl Call {
    /// As the script takes it; `now` in milliseconds, in place of the server's time.
    pub(super) fn arguments(&self, now: Option<u64>) -> Vec<String> {
        let flag = |is: bool| u8::from(is).to_string();
        let mut all = vec![
            self.terms.hosts.to_string(),
            self.terms.forget.to_string(),
            now.map_or_else(String::new, |now| now.to_string()),
            self.id.clone(),
            self.number.to_string(),
            self.ledger.clone(),
            self.name.clone(),
            flag(self.joins),
            flag(self.is_even),
            self.role.word().to_owned(),
            self.known.to_string(),
            self.members.join(","),
            self.dead.join(","),
            flag(self.leaves),
            self.answered.to_string(),
        ];
        for Report { key, share, debt, asked, recovery } in &self.reports {
            all.push(key.to_string());
            all.extend([u64::from(*share), u64::from(*debt), *asked, *recovery].map(|number| number.to_string()));
        }
        all
    }
}

impl Reply {
    /// From what the script answers; `None`: it makes no sense.
    pub(super) fn parse(words: &[String]) -> Option<Self> {
        match words {
            [word] if word == "late" => Some(Self::Late),
            [word, ledger, settled] if word == "join" => {
                Some(Self::Join { ledger: ledger.clone(), settled: settled == "1" })
            }
            [word, ledger, settled, role, known, members, told @ ..] if word == "done" => {
                let told = told.chunks(5).map(|words| {
                    let [key, gone, share, wish, debt] = words else { return None };
                    Some(Told {
                        key: Key::parse(key)?,
                        gone: gone == "1",
                        // No host has more than all, whatever stands there.
                        share: share.parse::<u32>().ok()?.min(UNIT),
                        wish: wish.parse::<u32>().ok()?.min(UNIT),
                        debt: debt.parse().ok()?,
                    })
                });
                Some(Self::Done(Done {
                    ledger: ledger.clone(),
                    settled: settled == "1",
                    role: Role::of(role),
                    known: known.parse().ok()?,
                    members: members.split(',').filter(|id| !id.is_empty()).map(str::to_owned).collect(),
                    told: told.collect::<Option<_>>()?,
                }))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_told_of_more_than_all() {
        let key = "0".repeat(32);
        let words = ["done", "l", "1", "e", "1", "a,b", &key, "0", "4294967295", "4294967295", "4294967295"];
        let words = words.map(str::to_owned);
        let Some(Reply::Done(done)) = Reply::parse(&words) else { panic!("it is understood") };
        assert_eq!(done.told.iter().map(|told| (told.share, told.wish)).collect::<Vec<_>>(), [(UNIT, UNIT)]);
        assert_eq!(Reply::parse(&words[..9]), None);
    }
}
