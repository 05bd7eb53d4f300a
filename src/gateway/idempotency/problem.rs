//! What clients are told of requests that are not carried out: problem details (RFC 9457).

use super::key::LONGEST;
use crate::gateway::Denial;
use crate::observe::reason::Reason;
use crate::observe::status::reason_phrase;

/// Why a request is not carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It names no key.
    Missing,
    /// What it names is no key.
    Bad,
    /// Its body is larger than what is taken to tell it from others.
    TooLarge,
    /// The first one with this key is under way still.
    Conflict,
    /// The key is that of another request.
    Mismatch,
    /// It was carried out, and its answer is not there.
    Unkept,
    /// The first one with this key came to no answer.
    Lost,
    /// There is no room for another key.
    Full,
    /// Other hosts cannot be asked, and without them nothing is carried out.
    Away,
}

/// The refusal, with a document that says why.
#[cold]
pub fn refused(why: Refused) -> Denial {
    let (status, word, detail, retry_after) = match why {
        Refused::Missing => (400, "idempotency-missing", "Requests here need an Idempotency-Key.".to_owned(), 0),
        Refused::Bad => {
            let what = format!("An Idempotency-Key is one string of 1 to {LONGEST} printable ASCII characters.");
            (400, "idempotency-bad-key", what, 0)
        }
        Refused::TooLarge => (
            413,
            "idempotency-body-too-large",
            "The body is larger than is taken of a request with an Idempotency-Key.".to_owned(),
            0,
        ),
        Refused::Conflict => {
            (409, "idempotency-conflict", "A request with this Idempotency-Key is under way still.".to_owned(), 1)
        }
        Refused::Mismatch => {
            (422, "idempotency-mismatch", "This Idempotency-Key was used for another request.".to_owned(), 0)
        }
        Refused::Unkept => (
            409,
            "idempotency-unkept",
            "The request with this Idempotency-Key was carried out, and its answer was not kept.".to_owned(),
            0,
        ),
        Refused::Lost => {
            (503, "idempotency-lost", "The first request with this Idempotency-Key came to no answer.".to_owned(), 1)
        }
        Refused::Away => {
            (503, "idempotency-away", "Whether this was carried out before cannot be found out now.".to_owned(), 1)
        }
        Refused::Full => (503, "idempotency-full", "There is no room for another Idempotency-Key.".to_owned(), 1),
    };
    let problem =
        serde_json::json!({ "title": reason_phrase(status), "status": status, "detail": detail, "reason": word })
            .to_string();
    Denial { problem: Some(problem.into()), retry_after, ..Denial::new(status, Reason::Idempotency, word) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_those_of_the_draft() {
        for (why, status) in [(Refused::Missing, 400), (Refused::Mismatch, 422), (Refused::Conflict, 409)] {
            let denial = refused(why);
            assert_eq!(denial.status, status);
            let problem: serde_json::Value = serde_json::from_str(denial.problem.as_deref().unwrap()).unwrap();
            assert_eq!((&problem["status"], &problem["reason"]), (&status.into(), &denial.word.into()));
            assert_eq!(problem["title"], reason_phrase(status));
        }
    }
}
