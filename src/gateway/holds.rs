//! What rules hold of a request for as long as its exchange lasts.

use super::Rein;
use super::limits::Held;
use smallvec::SmallVec;

/// What rules hold of a request: where it is counted as under way, and what slows it down. It is one request: a copy of who asks holds nothing.
#[derive(Debug, Default)]
pub struct Holds(Option<Box<Grip>>);

#[derive(Debug, Default)]
struct Grip {
    held: SmallVec<[Held; 2]>,
    reins: Vec<Rein>,
}

impl Holds {
    /// Whether there is anything.
    #[inline]
    pub fn is_any(&self) -> bool {
        self.0.is_some()
    }

    /// It is counted as under way until this is dropped.
    pub(super) fn count(&mut self, held: Held) {
        self.0.get_or_insert_default().held.push(held);
    }

    /// It is slowed down.
    pub(super) fn slow_down(&mut self, rein: Rein) {
        self.0.get_or_insert_default().reins.push(rein);
    }

    /// Lets go of all of it.
    pub fn let_go(&mut self) {
        self.0 = None;
    }

    /// What slows it down, which is given away; nothing, if nothing does.
    #[inline]
    pub fn take_reins(&mut self) -> Vec<Rein> {
        self.0.as_mut().map(|grip| std::mem::take(&mut grip.reins)).unwrap_or_default()
    }
}

impl Clone for Holds {
    fn clone(&self) -> Self {
        Self::default()
    }
}
