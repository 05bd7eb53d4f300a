//! A request's preconditions held against a stored answer (RFC 9110 §13.2.2, RFC 9111 §4.3.2).

use super::date::parse_date;
use super::etag::{is_among, is_any, is_same_strongly, is_same_weakly};
use super::message::Conditions;

/// What a request's preconditions are held against.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Validators<'a> {
    /// ETag.
    pub etag: Option<&'a [u8]>,
    /// Last-Modified.
    pub last_modified: Option<&'a [u8]>,
    /// Date or, without one, when it was received; in seconds since 1970.
    pub date: u64,
}

/// What the preconditions come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// As if there were none.
    Proceed,
    /// 304: the client has it.
    NotModified,
    /// 412: the client wants another.
    Failed,
}

impl Conditions<'_> {
    /// Whether there are some that are for the origin and not for a cache (RFC 9111 §4.3.2): what a request with them is answered the
    /// origin decides.
    pub fn are_for_origin(&self) -> bool {
        !self.if_match.is_empty() || self.if_unmodified_since.is_some()
    }

    /// Whether the client has something that may be still good.
    pub fn ask_for_change(&self) -> bool {
        !self.if_none_match.is_empty() || self.if_modified_since.is_some()
    }

    /// What they come to for GET and HEAD, where the stored answer is `200 OK` or would be served as it. For others and other
    /// statuses there are none (RFC 9110 §13.2.1).
    pub fn evaluate(&self, stored: &Validators<'_>) -> Outcome {
        let matches = if !self.if_match.is_empty() {
            is_any(&self.if_match) || stored.etag.is_some_and(|tag| is_among(&self.if_match, tag, is_same_strongly))
        } else {
            self.if_unmodified_since.and_then(parse_date).is_none_or(|since| changed(stored) <= since)
        };
        if !matches {
            return Outcome::Failed;
        }
        let has = if !self.if_none_match.is_empty() {
            is_any(&self.if_none_match)
                || stored.etag.is_some_and(|tag| is_among(&self.if_none_match, tag, is_same_weakly))
        } else {
            self.if_modified_since.and_then(parse_date).is_some_and(|since| changed(stored) <= since)
        };
        if has { Outcome::NotModified } else { Outcome::Proceed }
    }

    /// Whether Range counts, as far as If-Range decides that (RFC 9110 §13.1.5): without it, or if it names the stored answer beyond
    /// doubt. A date does where it is the stored one to the letter and the answer had been unchanged for a minute when it was sent
    /// (RFC 9110 §8.8.2.2).
    pub fn allow_range(&self, stored: &Validators<'_>) -> bool {
        let Some(wanted) = self.if_range else { return true };
        if let Some(modified) = stored.last_modified
            && let Some(since) = parse_date(wanted)
        {
            return parse_date(modified) == Some(since) && stored.date >= since + 60;
        }
        stored.etag.is_some_and(|tag| is_same_strongly(wanted, tag))
    }
}

/// When the stored answer was changed last: its Last-Modified or, without one, when it was sent (RFC 9111 §4.3.2).
fn changed(stored: &Validators<'_>) -> u64 {
    stored.last_modified.and_then(parse_date).unwrap_or(stored.date)
}
