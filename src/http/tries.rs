//! The tries that a request has had, and whether it may have another. Without I/O.
//!
//! What always holds: a request that may have reached a target is sent again only if its method is idempotent
//! (RFC 9110 §9.2.2), all of its body is still held, and not a byte of an answer has come.

use super::head::{Method, RequestHead};
use super::transfer::Transfer;
use crate::observe::reason::{Failure, Retried};
use crate::plan::{self, Methods, Retry};
use crate::upstream::{Local, Tried};

/// The tries of one request.
#[derive(Default)]
pub(super) struct Tries {
    /// The targets that failed it.
    pub(super) tried: Tried,
    /// Whether the next try goes out on a connection that has carried nothing.
    pub(super) fresh: bool,
    /// Why the next try is needed, if it is not the first.
    pub(super) why: Option<Retried>,
    /// Targets that were chosen.
    chosen: u32,
    /// Times that a target said it had not looked at it.
    unprocessed: u32,
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
    /// Another one, if there is one and it may be.
    Other,
    /// Nothing: the failure goes to the client.
    Nothing,
}

/// How often a target that has not looked at a request is asked once more. One that lets few requests begin on a connection may
/// say so to many at a time.
const UNPROCESSED: u32 = 8;
impl Lost {
    /// Whether it says something about the target: a connection that it had just closed does not, nor does a client that gives it
    /// no time. `fresh`: it was to go out on a connection that has carried nothing.
    pub(super) fn is_its_fault(&self, fresh: bool, hurried: bool) -> bool {
        let closed_before = self.failure == Failure::Reset && self.on == Way::Reused && !fresh;
        !(closed_before || hurried && self.failure == Failure::ResponseTimeout)
    }
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

    /// Whether another target may be chosen.
    pub(super) fn has_more(&self, retry: &Retry) -> bool {
        self.chosen <= retry.attempts
    }

    /// What to do after the try at the target at `target` was lost.
    pub(super) fn after(&mut self, lost: &Lost, retry: &Retry, target: usize) -> Next {
        self.last = Some(lost.failure);
        if !lost.repeatable {
            return Next::Nothing;
        }
        match lost.failure {
            // A connection that the target had just closed says nothing about the target.
            Failure::Reset if lost.on == Way::Reused && !self.fresh => {
                (self.fresh, self.why) = (true, Some(Retried::Stale));
                return Next::Same;
            }
            Failure::Unprocessed if self.unprocessed < UNPROCESSED => {
                self.unprocessed += 1;
                self.why = Some(Retried::Unprocessed);
                return Next::Same;
            }
            _ => {}
        }
        self.tried.add(target);
        let (wanted, why) = match (lost.on, lost.failure) {
            (Way::None, _) => (retry.on.connect, Retried::Connect),
            (_, Failure::Reset | Failure::Down) => (retry.on.reset, Retried::Reset),
            (_, Failure::Unprocessed) => (retry.on.reset, Retried::Unprocessed),
            (_, Failure::ResponseTimeout) => (retry.on.timeout, Retried::Timeout),
            (_, Failure::BadResponse) => (retry.on.bad_response, Retried::BadResponse),
            (_, Failure::Status) => (true, Retried::Status),
            _ => return Next::Nothing,
        };
        self.why = Some(why);
        if wanted && self.has_more(retry) { Next::Other } else { Next::Nothing }
    }

    /// Whether an answer with `status`, to a request that may be sent again, is given up for that of another target. If so, that
    /// target's try is paid for.
    pub(super) fn gives_up(&self, status: u16, transfer: &Transfer<'_>) -> bool {
        let retry = &transfer.rule.retry;
        if !retry.on.has(status) {
            return false;
        }
        let mut tried = self.tried.clone();
        tried.add(transfer.attempt.index());
        let era = transfer.connection.era;
        has_target(retry, &era.pools[transfer.rule.pool], &tried) && {
            let granted = is_granted(retry);
            if !granted {
                era.counters.pool(transfer.rule.pool).denied.inc();
            }
            granted
        }
    }
}

/// Whether there will be a target beside those that were tried.
pub(super) fn has_target(retry: &Retry, local: &Local, tried: &Tried) -> bool {
    retry.backoff.is_some() || local.has_other(tried)
}

/// Takes a try from the budget, if there is one.
pub(super) fn is_granted(retry: &Retry) -> bool {
    retry.budget.as_ref().is_none_or(|budget| budget.spend())
}

/// Whether a request may be sent again although a target may have seen it.
pub(super) fn is_repeatable(rule: &plan::Forward, head: &RequestHead, text: &[u8]) -> bool {
    let sent = rule.method.as_deref().filter(|_| head.method != Method::Head);
    is_among(&rule.retry.methods, head, text)
        && sent.is_none_or(|sent| match &rule.retry.methods {
            Methods::Idempotent => Method::of(sent.as_bytes()).is_idempotent(),
            Methods::All => true,
            Methods::List(methods) => methods.iter().any(|method| **method == *sent.as_bytes()),
        })
}

fn is_among(methods: &Methods, head: &RequestHead, text: &[u8]) -> bool {
    match methods {
        Methods::Idempotent => head.method.is_idempotent(),
        Methods::All => true,
        Methods::List(methods) => methods.iter().any(|method| **method == *head.method_text.of(text)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lost(failure: Failure, on: Way) -> Lost {
        Lost { failure, on, repeatable: true }
    }

    /// What comes after the first try fails so.
    fn after(failure: Failure, on: Way, retry: &Retry) -> Next {
        let mut tries = Tries::default();
        tries.choosing();
        tries.after(&lost(failure, on), retry, 0)
    }

    #[test]
    fn a_connection_that_had_just_been_closed_is_no_try_of_the_target() {
        let (mut tries, retry) = (Tries::default(), Retry { attempts: 1, ..Retry::default() });
        tries.choosing();
        assert_eq!(tries.after(&lost(Failure::Reset, Way::Reused), &retry, 0), Next::Same);
        assert!(tries.fresh && tries.tried.is_empty());
        assert_eq!(tries.after(&lost(Failure::Reset, Way::Reused), &retry, 0), Next::Other);
        tries.choosing();
        assert_eq!(tries.after(&lost(Failure::Reset, Way::Fresh), &retry, 1), Next::Nothing);
        assert_eq!((tries.tried.len(), tries.last()), (2, Some(Failure::Reset)));
    }

    #[test]
    fn what_must_not_be_sent_twice_is_not_tried_again() {
        let (mut tries, retry) = (Tries::default(), Retry::default());
        tries.choosing();
        let lost = Lost { failure: Failure::Reset, on: Way::Reused, repeatable: false };
        assert_eq!(tries.after(&lost, &retry, 0), Next::Nothing);
    }

    #[test]
    fn a_target_that_looks_at_nothing_is_not_asked_for_ever() {
        let (mut tries, retry) = (Tries::default(), Retry::default());
        tries.choosing();
        let mut same = 0;
        while tries.after(&lost(Failure::Unprocessed, Way::Reused), &retry, 0) == Next::Same {
            same += 1;
            assert!(same <= UNPROCESSED);
        }
        assert_eq!((same, tries.tried.len()), (UNPROCESSED, 1));
    }

    #[test]
    fn only_what_the_route_names_is_tried_again() {
        let mut retry = Retry::default();
        assert_eq!(after(Failure::Connect, Way::None, &retry), Next::Other);
        assert_eq!(after(Failure::Reset, Way::Fresh, &retry), Next::Other);
        assert_eq!(after(Failure::ResponseTimeout, Way::Fresh, &retry), Next::Nothing);
        assert_eq!(after(Failure::BadResponse, Way::Fresh, &retry), Next::Nothing);
        assert_eq!(after(Failure::Down, Way::Reused, &retry), Next::Other, "one that went down is not asked once more");
        (retry.on.connect, retry.on.reset, retry.on.timeout, retry.on.bad_response) = (false, false, true, true);
        assert_eq!(after(Failure::ConnectTimeout, Way::None, &retry), Next::Nothing);
        assert_eq!(after(Failure::Reset, Way::Fresh, &retry), Next::Nothing);
        assert_eq!(after(Failure::ResponseTimeout, Way::Fresh, &retry), Next::Other);
        assert_eq!(after(Failure::BadResponse, Way::Fresh, &retry), Next::Other);
        retry.attempts = 0;
        assert_eq!(after(Failure::ResponseTimeout, Way::Fresh, &retry), Next::Nothing);
    }

    #[test]
    fn methods_say_what_may_be_sent_twice() {
        let may = |methods: &Methods, method: &'static [u8]| {
            let mut head = RequestHead::default();
            head.method = crate::http::head::Method::of(method);
            head.method_text = crate::http::head::Span { start: 0, end: method.len() as u32 };
            is_among(methods, &head, method)
        };
        let list = Methods::List([&b"POST"[..], b"PATCH"].map(Box::from).into());
        assert!(may(&Methods::Idempotent, b"GET") && !may(&Methods::Idempotent, b"POST"));
        assert!(may(&Methods::All, b"POST") && may(&Methods::All, b"BREW"));
        assert!(may(&list, b"POST") && !may(&list, b"GET") && !may(&list, b"BREW"));
    }

    #[test]
    fn what_a_client_or_an_idle_connection_does_is_not_the_targets_fault() {
        assert!(lost(Failure::Connect, Way::None).is_its_fault(false, false));
        assert!(!lost(Failure::Reset, Way::Reused).is_its_fault(false, false));
        assert!(lost(Failure::Reset, Way::Reused).is_its_fault(true, false));
        assert!(!lost(Failure::ResponseTimeout, Way::Fresh).is_its_fault(false, true));
        assert!(lost(Failure::ResponseTimeout, Way::Fresh).is_its_fault(false, false));
    }
}
