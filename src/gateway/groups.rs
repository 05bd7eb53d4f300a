//! Who may come in, by the groups that consumers are in.

use super::{Asked, Denial, Halt, Phase, Rule, Who};

/// A rule of type groups.
#[derive(Debug)]
pub struct Groups {
    allow: Box<[Box<str>]>,
}

impl Groups {
    /// One that lets in who is in one of these.
    pub fn new(allow: &[String]) -> Self {
        Self { allow: allow.iter().map(|group| group.as_str().into()).collect() }
    }
}

impl Rule for Groups {
    fn phase(&self) -> Phase {
        Phase::Authorize
    }

    fn decide(&self, _: &Asked<'_>, who: &mut Who) -> Result<(), Halt> {
        match &who.consumer {
            None if !who.is_known() => Err(Denial::unauthenticated("nobody").absent().into()),
            Some(consumer) if consumer.groups.iter().any(|group| self.allow.contains(group)) => Ok(()),
            _ => Err(Denial::forbidden("group").into()),
        }
    }
}
