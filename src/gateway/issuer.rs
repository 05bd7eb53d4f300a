//! What is known of who issues tokens: its keys, and where it is asked.
//!
//! What always holds: control alone fetches it and puts it here, whole; rules on any thread read what is here and wait for nothing. What
//! was fetched stays in force while the issuer is away, and is forgotten once it is too old; without any, a rule lets nobody in.

use super::jwt::Keys;
use crate::observe::counters::Counter;
use arc_swap::{ArcSwapOption, Guard};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{Notify, watch};

/// How far apart fetches are that tokens ask for, in seconds: whoever makes up names of keys has no more of them made.
pub const COOLDOWN: u64 = 10;

/// Where something is fetched, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Where.
    pub place: Place,
    /// The authorities that its certificate is checked by; `None`: those that the system trusts.
    pub ca: Option<PathBuf>,
    /// How long it may take for an answer.
    pub timeout: Duration,
    /// How old what is known may be before it is fetched anew.
    pub refresh: Duration,
    /// How old it may be before it is forgotten.
    pub stale: Duration,
}

/// Where something is known of an issuer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// At this URL are its keys (RFC 7517 §5).
    Keys(Box<str>),
    /// Below this URL, its name, is what it says of itself (OpenID Connect Discovery §4).
    Discovery(Box<str>),
}

/// Who issues tokens.
pub struct Issuer {
    wanted: Wanted,
    known: ArcSwapOption<Known>,
    /// When it was last asked for a token's sake, in seconds since 1970.
    asked: AtomicU64,
    /// When it last answered, likewise; 0: never.
    answered: AtomicU64,
    /// Fetches by what came of them: other keys, the same, nothing.
    fetches: [Counter; 3],
    ask: Notify,
    turns: watch::Sender<u64>,
}

/// What is known of it.
#[derive(Debug)]
pub struct Known {
    /// Its keys.
    pub keys: Keys,
    /// Where it is asked; empty where only the place of its keys is written.
    pub endpoints: Endpoints,
    /// What the keys were read from, for the process that follows.
    pub document: Arc<str>,
}

/// Where an issuer is asked, by URL (OpenID Connect Discovery §3, RFC 8414 §2).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoints {
    /// Where people log in.
    pub authorization: Option<Box<str>>,
    /// Where codes are changed into tokens.
    pub token: Option<Box<str>>,
    /// Where it says whether a token is good (RFC 7662).
    pub introspection: Option<Box<str>>,
    /// Where people log out.
    pub end_session: Option<Box<str>>,
}

/// What came of a fetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fetched {
    /// Something else than before.
    Changed,
    /// The same as before.
    Same,
    /// Nothing.
    Failed,
}

impl Issuer {
    /// One of whom nothing is known yet.
    pub fn new(wanted: Wanted) -> Self {
        let (known, asked, answered) = Default::default();
        let (turns, _) = watch::channel(0);
        Self { wanted, known, asked, answered, fetches: Default::default(), ask: Notify::new(), turns }
    }

    /// The same issuer, asked in another way; what is known of it is known on.
    pub fn asked_by(&self, wanted: Wanted) -> Self {
        let new = Self::new(wanted);
        new.known.store(self.known.load_full());
        new.answered.store(self.answered.load(Ordering::Relaxed), Ordering::Relaxed);
        new
    }

    /// Where it is asked, and how.
    pub fn wanted(&self) -> &Wanted {
        &self.wanted
    }

    /// What is known; `None`: nothing yet, or nothing any more.
    pub fn known(&self) -> Guard<Option<Arc<Known>>> {
        self.known.load()
    }

    /// Whether it may be asked for a token's sake, at a time in seconds since 1970: it was not just now.
    pub fn may_be_asked(&self, now: u64) -> bool {
        now.abs_diff(self.asked.load(Ordering::Acquire)) >= COOLDOWN
    }

    /// Has it asked, and waits until it was. For control's thread.
    pub async fn refresh(&self) {
        let mut turns = self.turns.subscribe();
        self.ask.notify_one();
        // The sender lives as long as this.
        let _ = turns.changed().await;
    }

    /// Waits until somebody wants it asked. For whoever fetches.
    pub async fn is_wanted(&self) {
        self.ask.notified().await;
    }

    /// It was asked for a token's sake by now, in seconds since 1970, and what it said is known. For whoever fetches.
    pub fn was_asked(&self, now: u64) {
        self.asked.store(now, Ordering::Release);
    }

    /// This is what it answers, at a time in seconds since 1970. For whoever fetches.
    pub fn learn(&self, known: Known, now: u64) -> Fetched {
        self.answered.store(now, Ordering::Relaxed);
        let old = self.known.load();
        let is_same = old.as_ref().is_some_and(|old| old.keys == known.keys && old.endpoints == known.endpoints);
        let fetched = if is_same { Fetched::Same } else { Fetched::Changed };
        if !is_same {
            self.known.store(Some(Arc::new(known)));
        }
        self.count(fetched);
        fetched
    }

    /// This is what another process knows of it, and when that heard it, in seconds since 1970. It is taken on where nothing is known yet.
    pub fn take_on(&self, known: Known, answered: u64) {
        if self.known.load().is_none() {
            self.answered.store(answered, Ordering::Relaxed);
            self.known.store(Some(Arc::new(known)));
        }
    }

    /// It has not answered, or nothing of use. For whoever fetches.
    pub fn failed(&self) {
        self.count(Fetched::Failed);
    }

    fn count(&self, fetched: Fetched) {
        self.fetches[fetched as usize].inc();
    }

    /// Whoever waits for it to be asked need wait no longer. For whoever fetches.
    pub fn answers(&self) {
        self.turns.send_modify(|turn| *turn = turn.wrapping_add(1));
    }

    /// What is known is too old. Returns whether there was anything. For whoever fetches.
    pub fn forget(&self) -> bool {
        self.known.swap(None).is_some()
    }

    /// When it last answered, in seconds since 1970; `None`: never.
    pub fn answered(&self) -> Option<u64> {
        Some(self.answered.load(Ordering::Relaxed)).filter(|&at| at > 0)
    }

    /// Fetches by what came of them: something else, the same, nothing.
    pub fn fetches(&self) -> [u64; 3] {
        [0, 1, 2].map(|kind: usize| self.fetches[kind].get())
    }
}

impl Place {
    /// Its URL, as operators have written it.
    pub fn url(&self) -> &str {
        match self {
            Self::Keys(url) | Self::Discovery(url) => url,
        }
    }
}

impl fmt::Debug for Issuer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Issuer").field("place", &self.wanted.place).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted() -> Wanted {
        let second = Duration::from_secs(1);
        let place = Place::Keys("https://id.test/keys".into());
        Wanted { place, ca: None, timeout: second, refresh: second, stale: second }
    }

    fn known(secret: &[u8; 32]) -> Known {
        Known {
            keys: Keys::from_secret(secret, None, None).unwrap(),
            endpoints: Endpoints::default(),
            document: "".into(),
        }
    }

    #[test]
    fn what_is_known_is_replaced_whole_and_outlives_silence_and_another_way_of_asking() {
        let issuer = Issuer::new(wanted());
        assert!(issuer.known().is_none() && issuer.answered().is_none());
        assert_eq!(issuer.learn(known(&[1; 32]), 100), Fetched::Changed);
        assert_eq!(issuer.learn(known(&[1; 32]), 110), Fetched::Same);
        issuer.failed();
        assert_eq!((issuer.answered(), issuer.fetches()), (Some(110), [1, 1, 1]));
        let other = issuer.asked_by(Wanted { timeout: Duration::from_secs(2), ..wanted() });
        assert!(other.known().is_some());
        assert_eq!(other.answered(), Some(110));
        assert_eq!(issuer.learn(known(&[2; 32]), 120), Fetched::Changed);
        issuer.take_on(known(&[3; 32]), 90);
        assert_eq!(issuer.answered(), Some(120), "what is known here is newer");
        assert!(issuer.forget() && !issuer.forget());
        assert!(issuer.known().is_none());
        issuer.take_on(known(&[3; 32]), 90);
        assert!(issuer.known().is_some());
        assert_eq!((issuer.answered(), issuer.fetches()), (Some(90), [2, 1, 1]), "nothing was fetched");
    }

    #[test]
    fn nobody_has_it_asked_again_at_once_whatever_the_clock_does() {
        let issuer = Issuer::new(wanted());
        assert!(issuer.may_be_asked(1000));
        issuer.was_asked(1000);
        assert!(!issuer.may_be_asked(1000) && !issuer.may_be_asked(1000 + COOLDOWN - 1));
        assert!(issuer.may_be_asked(1000 + COOLDOWN));
        assert!(issuer.may_be_asked(500), "a clock that was set back must not silence it");
    }

    #[tokio::test]
    async fn whoever_has_it_asked_waits_for_the_answer() {
        let issuer = Arc::new(Issuer::new(wanted()));
        let waiting = tokio::spawn({
            let issuer = issuer.clone();
            async move { issuer.refresh().await }
        });
        issuer.is_wanted().await;
        assert!(!waiting.is_finished());
        issuer.answers();
        waiting.await.unwrap();
    }
}
