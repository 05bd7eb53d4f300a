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
    /// Whether that has come about here and was not told yet; else others may know it already.
    pub is_first: bool,
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

/// What may be told of a key.
enum Stands {
    /// Nothing: others know better, or nobody needs to.
    Nothing,
    /// It is not known yet who carries its request out.
    Open,
    /// This.
    Is(News),
}

/// Keys of which something is to be told, the oldest first, and whether that has come about here and was not told yet.
#[derive(Debug, Default)]
pub(super) struct Noted(VecDeque<(Scope, bool)>);

impl Noted {
    fn push(&mut self, noted: (Scope, bool), bounds: Bounds) {
        if self.0.len() >= bounds.max_keys.max(FEW) {
            self.0.pop_front();
        }
        self.0.push_back(noted);
    }
}

impl<W: Call> Store<W> {
    /// Of this key something is to be told.
    pub fn note(&self, scope: Scope, bounds: Bounds) {
        self.noted().push((scope, false), bounds);
    }

    /// The same, of what has come about here.
    pub(super) fn note_first(&self, scope: Scope, bounds: Bounds) {
        self.noted().push((scope, true), bounds);
    }

    /// Of how many keys something is to be told.
    pub fn untold(&self) -> usize {
        self.noted().0.len()
    }

    /// What is to be told, the oldest first: of `keys` at most, and answers of little more than `bytes`. It counts as told then.
    pub fn tidings(&self, keys: usize, bytes: usize, now: Duration) -> Vec<Tiding> {
        let (mut all, mut later, mut room) = (Vec::new(), Vec::new(), bytes);
        while all.len() < keys && later.len() < keys && room > 0 {
            let Some((scope, is_first)) = self.noted().0.pop_front() else { break };
            match self.stands(&scope, now) {
                Stands::Nothing => {}
                // What was noted of the one before it is still to be told.
                Stands::Open => later.push((scope, is_first)),
                Stands::Is(news) => {
                    let weight = if let News::Done(_, _, Ok(kept)) = &news { kept.weight() } else { 0 };
                    room = room.saturating_sub(weight);
                    all.push(Tiding { scope, news, is_first });
                }
            }
        }
        self.noted().0.extend(later);
        all
    }

    /// These could not be told.
    pub fn untell(&self, tidings: Vec<Tiding>) {
        let mut noted = self.noted();
        tidings.into_iter().rev().for_each(|tiding| noted.0.push_front((tiding.scope, tiding.is_first)));
    }

    /// All keys of which others may know.
    pub fn told(&self, now: Duration) -> Vec<Scope> {
        let mut all = Vec::new();
        self.each(|scope, entry| match &entry.state {
            State::Running(flight, _) if flight.is_here() => all.push(*scope),
            State::Settled(Settled { what: What::Seen | What::Unkept(Unkept::Elsewhere), .. }) | State::Running(..) => {
            }
            State::Settled(Settled { until, .. }) if *until > now => all.push(*scope),
            State::Settled(_) => {}
        });
        all
    }

    fn stands(&self, scope: &Scope, now: Duration) -> Stands {
        self.look_at(scope, |entry| {
            let Some(entry) = entry else { return Stands::Is(News::Free) };
            match &entry.state {
                State::Running(flight, _) if flight.is_here() => Stands::Is(News::Running(entry.print)),
                State::Running(..) => Stands::Open,
                State::Settled(Settled { until, what, .. }) => match (until.checked_sub(now), what) {
                    (None | Some(Duration::ZERO), _) | (_, What::Seen | What::Unkept(Unkept::Elsewhere)) => {
                        Stands::Nothing
                    }
                    (Some(left), What::Answer(kept, _)) => Stands::Is(News::Done(entry.print, left, Ok(kept.clone()))),
                    (Some(left), What::Unkept(why)) => Stands::Is(News::Done(entry.print, left, Err(*why))),
                },
            }
        })
    }
}
