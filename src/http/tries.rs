//! The tries that a request has had, and whether it may have another. Without I/O.
//!
//! What always holds: a request that may have reached a target is sent again only if its method is idempotent
//! (RFC 9110 §9.2.2), all of its body is still held, and not a byte of an answer has come.

use crate::observe::reason::Failure;
use crate::plan;
use crate::upstream::Tried;

/// The tries of one request.
#[derive(Default)]
pub(super) struct Tries {
    /// The targets that failed it.
    pub(super) tried: Tried,
    /// Whether the next try goes out on a connection that has carried nothing.
    pub(super) fresh: bool,
    /// Targets that were chosen.
    chosen: u32,
    /// How the last one failed.
    last: Option<Failure>,
}

/// A try that came to no answer.
pub(super) struct Lost {
    /// How it failed.
    pub(super) failure: Failure,
    /// The connection that it went out on; none if none came about.
    pub(super) on: Way,
    /// Whether the request may be sent once more.
    pub(super) repeatable: bool,
}

/// What a try went out on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// No connection came about: the target has seen nothing of it.
    None,
    /// One of its own, or the first stream of one.
    Fresh,
    /// One that had carried an exchange before.
    Reused,
}

/// What comes after a lost try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// The same target once more.
    Same,
    /// Another one.
    Other,
    /// Nothing: the failure goes to the client.
    Nothing,
}

impl Tries {
    /// A target is about to be chosen.
    pub(super) fn choosing(&mut self) {
        self.chosen += 1;
    }

    /// How the last try failed, if there was one.
    pub(super) fn last(&self) -> Option<Failure> {
        self.last
    }

    /// What to do after the try at the target at `target` was lost.
    pub(super) fn after(&mut self, lost: &Lost, rule: &plan::Forward, target: usize) -> Next {
        self.last = Some(lost.failure);
        if !lost.repeatable {
            return Next::Nothing;
        }
        // A connection that the target had just closed says nothing about the target.
        if lost.failure == Failure::Reset && lost.on == Way::Reused && !self.fresh {
            self.fresh = true;
            return Next::Same;
        }
        let wanted = match lost.on {
            Way::None => rule.retry_connect,
            _ => lost.failure == Failure::Reset && rule.retry_reset,
        };
        self.tried.add(target);
        if wanted && self.chosen <= rule.attempts { Next::Other } else { Next::Nothing }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lost(failure: Failure, on: Way) -> Lost {
        Lost { failure, on, repeatable: true }
    }

    #[test]
    fn a_connection_that_had_just_been_closed_is_no_try_of_the_target() {
        let (mut tries, rule) = (Tries::default(), plan::Forward { attempts: 1, ..plan::Forward::to(0) });
        tries.choosing();
        assert_eq!(tries.after(&lost(Failure::Reset, Way::Reused), &rule, 0), Next::Same);
        assert!(tries.fresh && tries.tried.is_empty());
        assert_eq!(tries.after(&lost(Failure::Reset, Way::Reused), &rule, 0), Next::Other);
        tries.choosing();
        assert_eq!(tries.after(&lost(Failure::Reset, Way::Fresh), &rule, 1), Next::Nothing);
        assert_eq!((tries.tried.len(), tries.last()), (2, Some(Failure::Reset)));
    }

    #[test]
    fn what_must_not_be_sent_twice_is_not_tried_again() {
        let (mut tries, rule) = (Tries::default(), plan::Forward::to(0));
        tries.choosing();
        let lost = Lost { failure: Failure::Reset, on: Way::Reused, repeatable: false };
        assert_eq!(tries.after(&lost, &rule, 0), Next::Nothing);
    }

    #[test]
    fn only_what_the_route_names_is_tried_again() {
        let rule = plan::Forward { retry_connect: false, ..plan::Forward::to(0) };
        let after = |failure, on| {
            let mut tries = Tries::default();
            tries.choosing();
            tries.after(&lost(failure, on), &rule, 0)
        };
        assert_eq!(after(Failure::Connect, Way::None), Next::Nothing);
        assert_eq!(after(Failure::Reset, Way::Fresh), Next::Other);
        assert_eq!(after(Failure::BadResponse, Way::Fresh), Next::Nothing);
    }
}
