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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::{Honour, Request};

    const OLDER: &str = "Sun, 06 Nov 1994 08:00:00 GMT";
    const MODIFIED: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const NEWER: &str = "Sun, 06 Nov 1994 09:00:00 GMT";
    const SENT: u64 = 784_111_777 + 7200;

    fn stored<'a>(etag: Option<&'a str>, modified: Option<&'a str>) -> Validators<'a> {
        Validators { etag: etag.map(str::as_bytes), last_modified: modified.map(str::as_bytes), date: SENT }
    }

    fn outcome(lines: &[(&str, &str)], stored: &Validators<'_>) -> Outcome {
        let lines: Vec<(&[u8], &[u8])> =
            lines.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect();
        Request::of(&lines[..], Honour::All).conditions.evaluate(stored)
    }

    #[test]
    fn who_has_the_stored_tag_gets_304() {
        let stored = stored(Some("\"abcdef\""), Some(MODIFIED));
        for tags in [
            "\"abcdef\"",
            "W/\"abcdef\"",
            "\"abcdef\", \"1234\", \"5678\"",
            "\"1234\", \"abcdef\", \"5678\"",
            "\"1234\",\"5678\" ,\"abcdef\"",
            "*",
        ] {
            assert_eq!(outcome(&[("If-None-Match", tags)], &stored), Outcome::NotModified, "{tags}");
        }
        for tags in ["\"abc\"", "abcdef", "\"abcdef", "", "w/\"abcdef\""] {
            assert_eq!(outcome(&[("If-None-Match", tags)], &stored), Outcome::Proceed, "{tags}");
        }
        let lines = [("if-none-match", "\"x\""), ("If-None-Match", "\"abcdef\"")];
        assert_eq!(outcome(&lines, &stored), Outcome::NotModified, "on another line");
    }

    #[test]
    fn tags_that_are_not_well_formed_are_compared_as_they_are() {
        assert_eq!(outcome(&[("If-None-Match", "abcdef")], &stored(Some("abcdef"), None)), Outcome::NotModified);
        assert_eq!(outcome(&[("If-None-Match", "\"x\"")], &stored(None, None)), Outcome::Proceed);
        assert_eq!(outcome(&[("If-None-Match", "*")], &stored(None, None)), Outcome::NotModified);
    }

    #[test]
    fn a_tag_goes_before_a_date() {
        let stored = stored(Some("\"a\""), Some(MODIFIED));
        let with = |tag, date| outcome(&[("If-Modified-Since", date), ("If-None-Match", tag)], &stored);
        assert_eq!(with("\"a\"", OLDER), Outcome::NotModified);
        assert_eq!(with("\"b\"", NEWER), Outcome::Proceed);
    }

    #[test]
    fn who_has_it_since_it_was_changed_gets_304() {
        let since = |date, modified| outcome(&[("If-Modified-Since", date)], &stored(None, modified));
        assert_eq!(since(MODIFIED, Some(MODIFIED)), Outcome::NotModified);
        assert_eq!(since(NEWER, Some(MODIFIED)), Outcome::NotModified);
        assert_eq!(since("Sunday, 06-Nov-94 08:49:37 GMT", Some(MODIFIED)), Outcome::NotModified);
        assert_eq!(since(OLDER, Some(MODIFIED)), Outcome::Proceed);
        assert_eq!(since("yesterday", Some(MODIFIED)), Outcome::Proceed);
        assert_eq!(since("Sun, 06 Nov 1994 10:49:37 GMT", None), Outcome::NotModified, "since it was sent");
        assert_eq!(since(NEWER, None), Outcome::Proceed);
    }

    #[test]
    fn who_wants_no_other_gets_412() {
        let stored = stored(Some("\"a\""), Some(MODIFIED));
        assert_eq!(outcome(&[("If-Match", "\"a\"")], &stored), Outcome::Proceed);
        assert_eq!(outcome(&[("If-Match", "W/\"a\"")], &stored), Outcome::Failed, "weak tags never match here");
        assert_eq!(outcome(&[("If-Match", "*")], &stored), Outcome::Proceed);
        assert_eq!(outcome(&[("If-Match", "\"b\""), ("If-None-Match", "\"a\"")], &stored), Outcome::Failed);
        assert_eq!(outcome(&[("If-Unmodified-Since", OLDER)], &stored), Outcome::Failed);
        assert_eq!(outcome(&[("If-Unmodified-Since", MODIFIED)], &stored), Outcome::Proceed);
        assert_eq!(outcome(&[("If-Unmodified-Since", OLDER), ("If-Match", "\"a\"")], &stored), Outcome::Proceed);
        let lines = [("If-Match", "\"a\""), ("If-None-Match", "\"a\"")];
        assert_eq!(outcome(&lines, &stored), Outcome::NotModified);
    }

    #[test]
    fn some_are_for_the_origin() {
        let conditions = |line: (&str, &str)| Request::of(&[line], Honour::All).conditions.are_for_origin();
        assert!(conditions(("If-Match", "*")) && conditions(("if-unmodified-since", OLDER)));
        assert!(!conditions(("If-None-Match", "*")) && !conditions(("If-Range", "\"a\"")));
    }

    #[test]
    fn a_range_counts_if_it_is_of_what_is_stored() {
        let allowed = |wanted: &str, stored: &Validators<'_>| {
            Request::of(&[("If-Range", wanted)], Honour::All).conditions.allow_range(stored)
        };
        let both = stored(Some("\"a\""), Some(MODIFIED));
        assert!(allowed("\"a\"", &both) && allowed(MODIFIED, &both));
        for wanted in ["\"b\"", "W/\"a\"", OLDER, NEWER, "", "a"] {
            assert!(!allowed(wanted, &both), "{wanted}");
        }
        assert!(!allowed("W/\"a\"", &stored(Some("W/\"a\""), None)));
        assert!(!allowed(MODIFIED, &stored(Some("\"a\""), None)));
        let fresh = Validators { date: 784_111_777 + 59, ..both };
        assert!(!allowed(MODIFIED, &fresh), "it may have changed twice in that second");
        assert!(Conditions::default().allow_range(&both));
    }
}
