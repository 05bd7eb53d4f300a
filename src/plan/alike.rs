//! What routes have in common is there once, so that it stays in the caches of the cores however many routes there are.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::Arc;

/// The last few different ones of a kind.
#[derive(Debug)]
pub(super) struct Alike<T> {
    recent: RefCell<VecDeque<Arc<T>>>,
}

/// How many are looked through for one that is alike.
const RECENT: usize = 16;

impl<T> Alike<T> {
    /// `new`, or one of the last that is like it.
    pub(super) fn shared(&self, new: Arc<T>, is_like: impl Fn(&T, &T) -> bool) -> Arc<T> {
        let mut recent = self.recent.borrow_mut();
        if let Some(same) = recent.iter().find(|other| is_like(other, &new)) {
            return same.clone();
        }
        recent.truncate(RECENT - 1);
        recent.push_front(new.clone());
        new
    }
}

impl<T> Default for Alike<T> {
    fn default() -> Self {
        Self { recent: RefCell::default() }
    }
}
