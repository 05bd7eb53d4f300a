//! A part of the keys, under a lock of its own.

use super::{Ended, Flight, Kept, Print, Scope, Unkept};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// A part of the keys.
#[derive(Debug)]
pub(super) struct Shard<W> {
    pub(super) keys: HashMap<Scope, Entry<W>>,
    /// Those that are settled, the oldest first; who is not what stands here any more is passed over.
    settled: VecDeque<(u64, Scope)>,
    /// Those of them whose answers take room.
    heavy: VecDeque<(u64, Scope)>,
}

/// What is known of a key.
#[derive(Debug)]
pub(super) struct Entry<W> {
    pub(super) print: Print,
    pub(super) state: State<W>,
}

#[derive(Debug)]
pub(super) enum State<W> {
    /// Its request is under way; for how long it is known then.
    Running(Arc<Flight<W>>, Duration),
    /// It was carried out.
    Settled(Settled),
}

/// What is known of a key whose request was carried out.
#[derive(Debug)]
pub(super) struct Settled {
    /// When it is known no longer.
    pub(super) until: Duration,
    /// Its age among all.
    pub(super) age: u64,
    pub(super) what: What,
}

#[derive(Debug)]
pub(super) enum What {
    /// An answer, and what it is charged with.
    Answer(Arc<Kept>, usize),
    /// That its answer is not there.
    Unkept(Unkept),
    /// That it came, in shadow mode: it was carried out without regard to its key.
    Seen,
}

impl<W> Default for Shard<W> {
    fn default() -> Self {
        Self { keys: HashMap::new(), settled: VecDeque::new(), heavy: VecDeque::new() }
    }
}

impl<W> Shard<W> {
    /// What became of a key's request.
    pub(super) fn settle(&mut self, scope: Scope, print: Print, settled: Settled) {
        self.settled.push_back((settled.age, scope));
        if matches!(settled.what, What::Answer(..)) {
            self.heavy.push_back((settled.age, scope));
        }
        self.keys.insert(scope, Entry { print, state: State::Settled(settled) });
        self.compact();
    }

    /// Drops those that are passed over, once they are as many as the others: a key may be settled again and again.
    fn compact(&mut self) {
        const FEW: usize = 64;
        if self.settled.len() > 2 * self.keys.len() + FEW {
            let (settled, heavy) = (std::mem::take(&mut self.settled), std::mem::take(&mut self.heavy));
            self.settled = settled.into_iter().filter(|(age, scope)| self.find(*age, scope).is_some()).collect();
            let has_answer = |settled: &mut Settled| matches!(settled.what, What::Answer(..));
            self.heavy =
                heavy.into_iter().filter(|(age, scope)| self.find(*age, scope).is_some_and(has_answer)).collect();
        }
    }

    /// The oldest that is settled: its age, and until when it is known.
    pub(super) fn oldest(&mut self) -> Option<(u64, Duration)> {
        while let Some(&(age, scope)) = self.settled.front() {
            match self.find(age, &scope) {
                Some(settled) => return Some((age, settled.until)),
                None => self.settled.pop_front(),
            };
        }
        None
    }

    /// The age of the oldest answer that takes room.
    pub(super) fn oldest_answer(&mut self) -> Option<u64> {
        while let Some(&(age, scope)) = self.heavy.front() {
            match self.find(age, &scope) {
                Some(Settled { what: What::Answer(..), .. }) => return Some(age),
                _ => self.heavy.pop_front(),
            };
        }
        None
    }

    /// Forgets the oldest that is settled, if that is of this age. Returns what it was charged with.
    pub(super) fn forget(&mut self, age: u64) -> Option<usize> {
        let &(_, scope) = self.settled.front().filter(|(front, _)| *front == age)?;
        self.find(age, &scope)?;
        self.settled.pop_front();
        let forgotten = self.keys.remove(&scope)?;
        // Its place among those whose answers take room.
        self.oldest_answer();
        match forgotten.state {
            State::Settled(Settled { what: What::Answer(_, charged), .. }) => Some(charged),
            _ => Some(0),
        }
    }

    /// Lets go of the oldest answer, if that is of this age; its key stays known. Returns what it was charged with.
    pub(super) fn lighten(&mut self, age: u64) -> Option<usize> {
        let &(_, scope) = self.heavy.front().filter(|(front, _)| *front == age)?;
        self.heavy.pop_front();
        let settled = self.find(age, &scope)?;
        match std::mem::replace(&mut settled.what, What::Unkept(Unkept::Memory)) {
            What::Answer(_, charged) => Some(charged),
            other => {
                settled.what = other;
                None
            }
        }
    }

    fn find(&mut self, age: u64, scope: &Scope) -> Option<&mut Settled> {
        match &mut self.keys.get_mut(scope)?.state {
            State::Settled(settled) if settled.age == age => Some(settled),
            _ => None,
        }
    }
}

impl What {
    /// What those who wait are told.
    pub(super) fn ended(&self) -> Ended {
        match self {
            Self::Answer(kept, _) => Ended::Answered(kept.clone()),
            Self::Unkept(why) => Ended::Unkept(*why),
            Self::Seen => Ended::Lost,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_forgotten_takes_no_room() {
        let mut shard = Shard::<()>::default();
        for age in 0..1000u64 {
            let mut scope = Scope::default();
            scope[..8].copy_from_slice(&age.to_le_bytes());
            let kept = Arc::new(Kept { head: Box::default(), has_content: false, body: Box::default() });
            shard.settle(scope, [0; 32], Settled { until: Duration::ZERO, age, what: What::Answer(kept, 1) });
            if let Some(old) = age.checked_sub(10) {
                assert_eq!(shard.forget(old), Some(1));
            }
        }
        assert_eq!((shard.keys.len(), shard.settled.len(), shard.heavy.len()), (10, 10, 10));
    }

    #[test]
    fn a_key_that_is_settled_again_and_again_takes_no_room() {
        let mut shard = Shard::<()>::default();
        let settled = |age| Settled { until: Duration::MAX, age, what: What::Unkept(Unkept::Elsewhere) };
        shard.settle([1; 32], [0; 32], settled(0));
        (1..10_000).for_each(|age| shard.settle([2; 32], [0; 32], settled(age)));
        assert!(shard.settled.len() < 100, "{}", shard.settled.len());
        assert_eq!(shard.oldest(), Some((0, Duration::MAX)));
        assert!(shard.forget(0).is_some());
        assert_eq!(shard.oldest(), Some((9999, Duration::MAX)));
    }
}
