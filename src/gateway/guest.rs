//! Whom clients are taken for that send nothing to prove themselves with.

use super::{Asked, Consumer, Halt, Phase, Rule, Who};
use std::sync::Arc;

/// A rule of type anonymous.
#[derive(Debug)]
pub struct Guest(Arc<Consumer>);

impl Guest {
    /// One that takes them for this consumer.
    pub fn new(consumer: Arc<Consumer>) -> Self {
        Self(consumer)
    }
}

impl Rule for Guest {
    fn phase(&self) -> Phase {
        Phase::Identity
    }

    fn decide(&self, _: &Asked<'_>, who: &mut Who) -> Result<(), Halt> {
        if who.consumer.is_none() {
            who.consumer = Some(self.0.clone());
        }
        Ok(())
    }
}
