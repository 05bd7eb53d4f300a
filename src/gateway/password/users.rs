//! The users that a file names, each with the hash of a password.

use super::hash;
use crate::gateway::Consumer;
use std::collections::HashMap;
use std::collections::hash_map::{Entry, RandomState};
use std::fmt;
use std::hash::BuildHasher;
use std::sync::Arc;

/// Users by their names.
#[derive(Default)]
pub struct Users {
    known: HashMap<Box<str>, User>,
    /// Hashes for those who are not known, of which each name always gets the same.
    decoys: Box<[Arc<str>]>,
    random: RandomState,
}

struct User {
    hash: Arc<str>,
    consumer: Arc<Consumer>,
}

/// What is known of a name.
#[derive(Clone, Debug)]
pub struct Looked<'a> {
    /// What a password has to fit.
    pub hash: &'a Arc<str>,
    /// Who that is; `None`: nobody, whatever fits.
    pub consumer: Option<&'a Arc<Consumer>>,
}

/// The longest name, in bytes.
const LONGEST: usize = 255;

impl Users {
    /// Those of these lines, with their numbers: a name, a colon, a hash. `consumer` says who has a name.
    ///
    /// # Errors
    /// What is wrong with lines, by their numbers; nothing of what stands in them is shown but names.
    pub fn read<'l>(
        lines: impl Iterator<Item = (usize, &'l str)>,
        consumer: impl Fn(&str) -> Arc<Consumer>,
    ) -> Result<Self, Vec<(usize, String)>> {
        let (mut known, mut faults) = (HashMap::new(), Vec::new());
        for (number, line) in lines {
            match user(line) {
                Ok((name, hash)) => match known.entry(name.into()) {
                    Entry::Occupied(_) => faults.push((number, format!("user `{name}` stands twice"))),
                    Entry::Vacant(place) => {
                        place.insert(User { hash: hash.into(), consumer: consumer(name) });
                    }
                },
                Err(why) => faults.push((number, why)),
            }
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        let mut decoys: Vec<Arc<str>> = known.values().map(|user: &User| user.hash.clone()).collect();
        decoys.sort();
        Ok(Self { known, decoys: decoys.into(), random: RandomState::new() })
    }

    /// What a password of a user of this name has to fit. Of a name that is not known it is the hash of somebody's, so that it takes as
    /// long. `None`: there are no users at all.
    pub fn look(&self, name: &str) -> Option<Looked<'_>> {
        if let Some(user) = self.known.get(name) {
            return Some(Looked { hash: &user.hash, consumer: Some(&user.consumer) });
        }
        let count = u64::try_from(self.decoys.len()).ok()?;
        let at = self.random.hash_one(name).checked_rem(count)?;
        let hash = self.decoys.get(usize::try_from(at).ok()?)?;
        Some(Looked { hash, consumer: None })
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.known.len()
    }
}

/// The name and the hash in a line.
fn user(line: &str) -> Result<(&str, &str), String> {
    let (name, hash) = line.split_once(':').ok_or("it is no name, colon and hash")?;
    if name.is_empty() || name.len() > LONGEST || name.chars().any(char::is_control) {
        return Err(format!("a name has 1 to {LONGEST} bytes, none of which is a control character"));
    }
    // Some files have more behind it.
    let hash = hash.split(':').next().unwrap_or_default();
    hash::check(hash).map_err(|why| format!("user `{name}`: {why}"))?;
    Ok((name, hash))
}

impl fmt::Debug for Users {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Users({})", self.count())
    }
}
