//! Who may come in, by the groups that consumers are in.

use super::{Asked, Denial, Phase, Rule, Who};
use std::sync::Arc;

/// A rule of type groups.
#[derive(Debug)]
pub struct Groups {
    allow: Box<[Box<str>]>,
    challenge: Arc<str>,
}

impl Groups {
    /// One that lets in who is in one of these; `challenge` is that of the rules that find out who asks.
    pub fn new(allow: &[String], challenge: Arc<str>) -> Self {
        Self { allow: allow.iter().map(|group| group.as_str().into()).collect(), challenge }
    }
}

impl Rule for Groups {
    fn phase(&self) -> Phase {
        Phase::Authorize
    }

    fn decide(&self, _: &Asked<'_>, who: &mut Who) -> Result<(), Denial> {
        match &who.consumer {
            None => Err(Denial::unauthenticated("nobody", &self.challenge)),
            Some(consumer) if consumer.groups.iter().any(|group| self.allow.contains(group)) => Ok(()),
            Some(_) => Err(Denial::forbidden("group")),
        }
    }
}
