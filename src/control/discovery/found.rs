//! What sources have told of targets: a model without I/O.
//!
//! What always holds: an answer counts for the pool and the source that it came from, and no other; what the configuration says of
//! a target goes before what is found.

use crate::config::model::{Address, Config, Discover, Target};
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The last answer of each source. Replaced as a whole when one changes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found(BTreeMap<Key, Answer>);

/// A pool and where its targets are found, as [`identity`](crate::config::model::Discover::identity) has it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// The pool's name.
    pub pool: String,
    /// The source.
    pub source: String,
}

/// What a source has told.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The targets, in the order of their addresses.
    pub targets: Arc<[Target]>,
    /// When they were told first, seconds since 1970.
    pub since: u64,
}

impl Key {
    /// That of a pool whose targets are found; `None`: they are not.
    pub fn of(config: &Config, pool: &str) -> Option<Self> {
        let source = config.pools.get(pool)?.discover.as_ref()?.identity();
        Some(Self { pool: pool.to_owned(), source })
    }

    /// Those of all such pools.
    pub fn all(config: &Config) -> Vec<Self> {
        config.pools.keys().filter_map(|pool| Self::of(config, pool)).collect()
    }
}

impl Found {
    /// The answer of a source; `None`: it has not told anything yet.
    pub fn get(&self, key: &Key) -> Option<&Answer> {
        self.0.get(key)
    }

    /// These with another answer.
    pub fn with(&self, key: &Key, answer: Answer) -> Self {
        let mut next = self.clone();
        next.0.insert(key.clone(), answer);
        next
    }

    /// These without what is not among `keys`.
    pub fn only(&self, keys: &[Key]) -> Self {
        Self(self.0.iter().filter(|(key, _)| keys.contains(key)).map(|(key, of)| (key.clone(), of.clone())).collect())
    }

    /// Adds what was found to the targets of a configuration.
    pub fn lay_over(&self, config: &mut Config) {
        for key in Key::all(config) {
            let (Some(answer), Some(pool)) = (self.0.get(&key), config.pools.get_mut(&key.pool)) else { continue };
            let mut written: Vec<&Address> = pool.targets.iter().map(|target| &target.address).collect();
            written.sort_unstable();
            let is_new = |target: &&Target| written.binary_search(&&target.address).is_err();
            let new: Vec<Target> = answer.targets.iter().filter(is_new).cloned().collect();
            pool.targets.extend(new);
        }
    }
}

/// What targets of a source are, where it does not say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usual {
    /// Their share of the work.
    pub weight: u32,
    /// Whether they are used only while no other target can be.
    pub backup: bool,
    /// What they may have in hand.
    pub max_in_flight: Option<u32>,
}

impl Usual {
    /// As a pool has it.
    pub fn of(discover: &Discover) -> Self {
        let Discover { weight, backup, max_in_flight, .. } = *discover;
        Self { weight, backup, max_in_flight }
    }

    /// A target of which no more is told.
    pub fn target(self, address: Address) -> Target {
        let Self { weight, backup, max_in_flight } = self;
        Target { address, weight, backup, max_in_flight }
    }
}

impl Default for Usual {
    fn default() -> Self {
        Self::of(&Discover::default())
    }
}

/// The order that targets are kept in, so that another order of an answer is no change: each address once, with the larger weight
/// and room and no backup if it is told of in several ways. Returns how many are left out beyond `most`.
pub fn tidy(targets: &mut Vec<Target>, most: usize) -> usize {
    let room = |target: &Target| target.max_in_flight.unwrap_or(u32::MAX);
    let best = |target: &Target| (target.backup, Reverse(target.weight), Reverse(room(target)));
    targets.sort_by(|a, b| a.address.cmp(&b.address).then_with(|| best(a).cmp(&best(b))));
    targets.dedup_by(|a, b| a.address == b.address);
    let beyond = targets.len().saturating_sub(most);
    targets.truncate(most);
    beyond
}

/// The version of the text form.
const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Text {
    version: u32,
    answers: Vec<TextAnswer>,
}

#[derive(Serialize, Deserialize)]
struct TextAnswer {
    pool: String,
    source: String,
    since: u64,
    targets: Vec<TextTarget>,
}

#[derive(Serialize, Deserialize)]
struct TextTarget {
    address: String,
    weight: u32,
    backup: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    max_in_flight: Option<u32>,
}

impl Found {
    /// All of it as JSON.
    pub fn to_text(&self) -> Result<String, String> {
        let target = |target: &Target| TextTarget {
            address: target.address.to_string(),
            weight: target.weight,
            backup: target.backup,
            max_in_flight: target.max_in_flight,
        };
        let answers = self.0.iter().map(|(key, answer)| TextAnswer {
            pool: key.pool.clone(),
            source: key.source.clone(),
            since: answer.since,
            targets: answer.targets.iter().map(target).collect(),
        });
        let text = Text { version: VERSION, answers: answers.collect() };
        serde_json::to_string(&text).map_err(|error| error.to_string())
    }

    /// Reads what [`Self::to_text`] has written. Fails with what is wrong with it.
    pub fn from_text(text: &str) -> Result<Self, String> {
        let Text { version, answers } = serde_json::from_str(text).map_err(|error| error.to_string())?;
        if version != VERSION {
            return Err(format!("it has version {version}, and this Ringway reads version {VERSION}"));
        }
        let mut found = BTreeMap::new();
        for TextAnswer { pool, source, since, targets } in answers {
            let read = |text: TextTarget| {
                let address = Address::parse_target(&text.address);
                let address = address.map_err(|wrong| format!("`{}` is no target's address: {wrong}", text.address))?;
                let TextTarget { weight, backup, max_in_flight, .. } = text;
                match (weight, max_in_flight) {
                    (0..=256, None | Some(1..)) => Ok(Usual { weight, backup, max_in_flight }.target(address)),
                    (257.., _) => Err(format!("the weight {weight} of `{}` is above 256", text.address)),
                    _ => Err(format!("`{}` may have nothing in flight", text.address)),
                }
            };
            let mut targets = targets.into_iter().map(read).collect::<Result<Vec<_>, String>>()?;
            tidy(&mut targets, usize::MAX);
            found.insert(Key { pool, source }, Answer { targets: targets.into(), since });
        }
        Ok(Self(found))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::model::{Discover, Pool};

    fn target(address: &str, weight: u32, backup: bool) -> Target {
        Usual { weight, backup, max_in_flight: None }.target(address.parse().unwrap())
    }

    fn config(name: &str) -> Config {
        let discover = Discover { dns: Some(name.to_owned()), port: Some(80), ..Discover::default() };
        let pool = Pool { targets: vec![target("10.0.0.2:80", 7, false)], discover: Some(discover), ..Pool::default() };
        Config { pools: [("a".to_owned(), pool), ("b".to_owned(), Pool::default())].into(), ..Config::default() }
    }

    #[test]
    fn what_is_written_goes_before_what_is_found_and_only_its_own_source_counts() {
        let mut one = config("one.test");
        let mut targets = vec![target("10.0.0.1:80", 1, false), target("10.0.0.2:80", 1, true)];
        targets[1].max_in_flight = Some(9);
        let key = Key::of(&one, "a").unwrap();
        let found = Found::default().with(&key, Answer { targets: targets.into(), since: 5 });
        found.lay_over(&mut one);
        assert_eq!(one.pools["a"].targets, [target("10.0.0.2:80", 7, false), target("10.0.0.1:80", 1, false)]);
        let mut two = config("two.test");
        found.lay_over(&mut two);
        assert_eq!(two.pools["a"].targets.len(), 1, "another source has told nothing");
        assert_eq!(Found::from_text(&found.to_text().unwrap()), Ok(found.clone()));
        assert!(found.get(&key).is_some() && found.only(&[]).get(&key).is_none());
    }

    #[test]
    fn what_is_read_must_make_sense() {
        for text in [
            "",
            "{}",
            r#"{"version":2,"answers":[]}"#,
            r#"{"version":1,"answers":[{"pool":"a","source":"x","since":1,"targets":[{"address":"a.test:80","weight":1,"backup":false}]}]}"#,
            r#"{"version":1,"answers":[{"pool":"a","source":"x","since":1,"targets":[{"address":"1.2.3.4:80","weight":257,"backup":false}]}]}"#,
        ] {
            assert!(Found::from_text(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_order_of_an_answer_means_nothing() {
        let mut one =
            vec![target("10.0.0.2:80", 1, true), target("10.0.0.1:81", 2, false), target("10.0.0.1:80", 1, false)];
        let mut other = vec![one[2].clone(), one[0].clone(), target("10.0.0.1:81", 1, true), one[1].clone()];
        assert_eq!((tidy(&mut one, 10), tidy(&mut other, 10)), (0, 0));
        assert_eq!(one, other);
        assert_eq!(tidy(&mut one, 2), 1);
        assert_eq!(one.len(), 2);
    }
}
