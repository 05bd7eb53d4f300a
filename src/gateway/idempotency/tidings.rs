//! What other hosts are to be told of keys.
//!
//! What always holds: what is to be told of a key is how it stands when it is told, however often that has changed since it was noted; no more
//! keys are noted than may be known, or than a few thousand if those are more, and of more the oldest are left out.

use super::shard::{Settled, State, What};
use super::{Bounds, Kept, Print, Scope, Store, Unkept};
use crate::net::Call;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// What is to be told of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tiding {
    /// What it is known by.
    pub scope: Scope,
    /// How it stands.
    pub news: News,
}

/// How a key stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// It is free.
    Free,
    /// Its request is carried out.
    Running(Print),
    /// That was carried out, which is known for so long.
    Done(Print, Duration, Result<Arc<Kept>, Unkept>),
}

/// So many keys are noted however few may be known: of those that are forgotten meanwhile it is told that they are free.
const FEW: usize = 1 << 16;

/// Keys of which something is to be told, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Noted(VecDeque<Scope>);

impl Noted {
    fn push(&mut self, scope: Scope, bounds: Bounds) {
        if self.0.len() >= bounds.max_keys.max(FEW) {
            self.0.pop_front();
        }
        self.0.push_back(scope);
    }
}

impl<W: Call> Store<W> {
    /// Of this key something is to be told.
    pub fn note(&self, scope: Scope, bounds: Bounds) {
        self.noted().push(scope, bounds);
    }

    /// Of how many keys something is to be told.
    pub fn untold(&self) -> usize {
        self.noted().0.len()
    }

    /// What is to be told, the oldest first: of `keys` at most, and answers of little more than `bytes`. It counts as told then.
    pub fn tidings(&self, keys: usize, bytes: usize, now: Duration) -> Vec<Tiding> {
        let (mut all, mut room) = (Vec::new(), bytes);
        while all.len() < keys && room > 0 {
            let Some(scope) = self.noted().0.pop_front() else { break };
            let Some(news) = self.news(&scope, now) else { continue };
            let weight = if let News::Done(_, _, Ok(kept)) = &news { kept.weight() } else { 0 };
            room = room.saturating_sub(weight);
            all.push(Tiding { scope, news });
        }
        all
    }

    /// These could not be told.
    pub fn untell(&self, scopes: impl DoubleEndedIterator<Item = Scope>) {
        let mut noted = self.noted();
        scopes.rev().for_each(|scope| noted.0.push_front(scope));
    }

    /// All keys of which others may know.
    pub fn told(&self, now: Duration) -> Vec<Scope> {
        let mut all = Vec::new();
        self.each(|scope, entry| match &entry.state {
            State::Running(flight, _) if flight.is_here() => all.push(*scope),
            State::Settled(Settled { until, what: What::Answer(..) | What::Unkept(_), .. }) if *until > now => {
                all.push(*scope);
            }
            _ => {}
        });
        all
    }

    /// How a key stands; `None`: of that nothing is to be told.
    fn news(&self, scope: &Scope, now: Duration) -> Option<News> {
        self.look_at(scope, |entry| {
            let Some(entry) = entry else { return Some(News::Free) };
            match &entry.state {
                State::Running(flight, _) => flight.is_here().then_some(News::Running(entry.print)),
                State::Settled(Settled { until, what, .. }) => {
                    let left = until.checked_sub(now).filter(|left| !left.is_zero())?;
                    match what {
                        What::Answer(kept, _) => Some(News::Done(entry.print, left, Ok(kept.clone()))),
                        What::Unkept(why) => Some(News::Done(entry.print, left, Err(*why))),
                        What::Seen => None,
                    }
                }
            }
        })
    }
}
