//! A lock that is held for a few instructions.
//!
//! What always holds: nobody waits for anything, nor does anything that may panic, while holding one; so a worker that finds it
//! taken spins for less than a switch of threads would cost, and a poisoned one is as good as any.

#![expect(
    clippy::disallowed_types,
    reason = "what all workers fill together is changed under locks of a few instructions"
)]

use std::ops::DerefMut;
use std::sync::{Mutex, PoisonError};

/// What is changed under a short lock.
#[derive(Debug, Default)]
pub(in crate::cache) struct Short<T>(Mutex<T>);

impl<T> Short<T> {
    pub(in crate::cache) fn new(value: T) -> Self {
        Self(Mutex::new(value))
    }

    pub(in crate::cache) fn lock(&self) -> impl DerefMut<Target = T> + use<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
