//! Asking the origin whether a stored answer is still good, and what its word changes (RFC 9111 §4.3, §4.3.5).

use super::etag::{is_same_strongly, is_same_weakly, is_strong};
use super::fields::Fields;
use super::freshness::{Freshness, Times};
use super::message::{Request, Response};
use super::rules::Rules;
use super::storing::{Dropped, Method, Why, judge};

/// Writes the lines that make a request conditional on what is stored, and its Last-Modified as it was given.
pub fn write_conditions(stored: &Response<'_>, into: &mut Vec<u8>) {
    let mut line = |name: &[u8], value: &[u8]| {
        into.extend_from_slice(name);
        into.extend_from_slice(value);
        into.extend_from_slice(b"\r\n");
    };
    if let Some(etag) = stored.etag {
        line(b"If-None-Match: ", etag);
    }
    if let Some(modified) = stored.last_modified {
        line(b"If-Modified-Since: ", modified);
    }
}

/// Whether a 304 speaks of what is stored, which it was asked about (RFC 9111 §4.3.4). If it does not, that is no answer: it is to be
/// asked for without conditions.
pub fn selects(stored: &Response<'_>, update: &Response<'_>) -> bool {
    match (stored.etag, update.etag) {
        (Some(one), Some(other)) if is_strong(other) && is_strong(one) => is_same_strongly(one, other),
        (Some(one), Some(other)) => is_same_weakly(one, other),
        (None, Some(_)) => false,
        (_, None) => match (stored.modified(), update.modified()) {
            (Some(one), Some(other)) => one == other,
            _ => true,
        },
    }
}

/// Writes the lines of a stored head as a 304, or a HEAD that matches, leaves them (RFC 9111 §3.2): what it brought stands for what was
/// there under the same names. `dropped` is of the update. What was computed from the old head is to be computed anew.
pub fn merge(
    stored: &(impl Fields + ?Sized),
    update: &(impl Fields + ?Sized),
    dropped: &Dropped<'_>,
    into: &mut Vec<u8>,
) {
    let brought = |name: &[u8]| !stays(name) && !dropped.has(name);
    let mut line = |name: &[u8], value: &[u8]| {
        into.extend_from_slice(name);
        into.extend_from_slice(b": ");
        into.extend_from_slice(value);
        into.extend_from_slice(b"\r\n");
    };
    for (name, value) in stored.lines() {
        if !(brought(name) && update.first(name).is_some()) {
            line(name, value);
        }
    }
    for (name, value) in update.lines().filter(|(name, _)| brought(name)) {
        line(name, value);
    }
}

/// How long a stored answer is fresh from now on whose head has been merged with `update`. Who asked does not matter: what was stored
/// was for all, and is the same. `Err`: what was brought forbids to keep it.
pub fn freshened(merged: Response<'_>, update: &Response<'_>, rules: &Rules, times: Times) -> Result<Freshness, Why> {
    judge(Method::Get, &Request::default(), &merged.as_of(update), rules, times)
}

/// Whether a field stays as it is stored: it tells of the stored bytes, or was for the one who asked then.
fn stays(name: &[u8]) -> bool {
    let known: &[u8] = match name.len() {
        10 => b"set-cookie",
        13 => b"content-range",
        14 => b"content-length",
        16 => b"content-encoding",
        _ => return false,
    };
    name.eq_ignore_ascii_case(known)
}

/// What the answer to a HEAD says of what GET stored (RFC 9111 §4.3.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Head {
    /// It is still good, and the head is merged into the stored one.
    Freshens,
    /// It is another by now: what is stored is stale.
    Outdates,
    /// Nothing.
    SaysNothing,
}

/// What the answer to a HEAD says of what is stored.
pub fn head(stored: &Response<'_>, head: &Response<'_>) -> Head {
    let same = |one: Option<&[u8]>, other: Option<&[u8]>| other.is_none() || one == other;
    if head.status != 200 || stored.status != 200 {
        Head::SaysNothing
    } else if same(stored.etag, head.etag)
        && same(stored.last_modified, head.last_modified)
        && same(stored.content_length, head.content_length)
    {
        Head::Freshens
    } else {
        Head::Outdates
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::{Lines, Rules};

    const EARLY: &str = "Wed, 01 Jan 2020 00:00:00 GMT";
    const LATE: &str = "Thu, 02 Jan 2020 00:00:00 GMT";

    fn read<'a>(status: u16, head: &'a [(&'a [u8], &'a [u8])]) -> Response<'a> {
        Response::of(status, head, &Rules::default())
    }

    fn lines<'a>(lines: &'a [(&'a str, &'a str)]) -> Vec<(&'a [u8], &'a [u8])> {
        lines.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect()
    }

    #[test]
    fn both_validators_are_sent_as_they_were_given() {
        let asked = |head: &[(&str, &str)]| {
            let mut written = Vec::new();
            write_conditions(&read(200, &lines(head)), &mut written);
            String::from_utf8_lossy(&written).into_owned()
        };
        let both = format!("If-None-Match: W/\"abcdef\"\r\nIf-Modified-Since: {EARLY}\r\n");
        assert_eq!(asked(&[("ETag", "W/\"abcdef\""), ("Last-Modified", EARLY)]), both);
        assert_eq!(asked(&[("etag", "abcdef")]), "If-None-Match: abcdef\r\n");
        assert_eq!(asked(&[("Date", EARLY)]), "");
    }

    #[test]
    fn a_304_speaks_of_what_it_was_asked_about() {
        let speaks = |stored: &[(&str, &str)], update: &[(&str, &str)]| {
            selects(&read(200, &lines(stored)), &read(304, &lines(update)))
        };
        let (a, b, weak) = (("ETag", "\"a\""), ("ETag", "\"b\""), ("ETag", "W/\"a\""));
        let (early, late) = (("Last-Modified", EARLY), ("Last-Modified", LATE));
        assert!(speaks(&[a], &[a]) && speaks(&[a], &[weak]) && speaks(&[weak], &[a]) && speaks(&[a], &[]));
        assert!(speaks(&[early], &[early]) && speaks(&[early], &[]) && speaks(&[a, early], &[a, late]));
        assert!(!speaks(&[a], &[b]) && !speaks(&[early], &[late]) && !speaks(&[early], &[a]));
    }

    fn merged(stored: &str, update: &[(&str, &str)]) -> String {
        let update = lines(update);
        let rules = Rules::default();
        let dropped = Dropped::of(&Response::of(304, &update[..], &rules), &update[..], &rules);
        let mut head = Vec::new();
        merge(&Lines(stored.as_bytes()), &update[..], &dropped, &mut head);
        String::from_utf8_lossy(&head).into_owned()
    }

    #[test]
    fn what_a_304_brings_stands_for_what_was_there() {
        assert_eq!(
            merged(
                "Date: 1\r\nTest-Header: a\r\nX-Content-Foo: a\r\nset: 1\r\nSET: 2\r\nCache-Control: max-age=2\r\n",
                &[("date", "2"), ("X-content-foo", "b"), ("Set", "3"), ("Set", "4"), ("Cache-Control", "max-age=9")],
            ),
            "Test-Header: a\r\ndate: 2\r\nX-content-foo: b\r\nSet: 3\r\nSet: 4\r\nCache-Control: max-age=9\r\n"
        );
    }

    #[test]
    fn what_tells_of_the_stored_bytes_stays() {
        let stored =
            "Content-Length: 36\r\nContent-Encoding: gzip\r\nContent-Range: bytes 0-1/2\r\nSet-Cookie: a=b\r\n";
        let update = [
            ("content-length", "10"),
            ("content-encoding", "br"),
            ("content-range", "x"),
            ("set-cookie", "a=c"),
            ("Age", "7"),
            ("Connection", "close, x"),
            ("x", "1"),
            ("Transfer-Encoding", "chunked"),
            ("Keep-Alive", "1"),
        ];
        assert_eq!(merged(stored, &update), stored);
    }

    #[test]
    fn a_head_freshens_what_it_matches() {
        let says = |stored: &[(&str, &str)], status, update: &[(&str, &str)]| {
            head(&read(200, &lines(stored)), &read(status, &lines(update)))
        };
        let stored = [("ETag", "\"a\""), ("Content-Length", "5"), ("Last-Modified", EARLY)];
        assert_eq!(says(&stored, 200, &stored), Head::Freshens);
        assert_eq!(says(&stored, 200, &[("Cache-Control", "max-age=9")]), Head::Freshens);
        assert_eq!(says(&stored, 200, &[("ETag", "\"b\"")]), Head::Outdates);
        assert_eq!(says(&stored, 200, &[("Content-Length", "6")]), Head::Outdates);
        assert_eq!(says(&stored, 200, &[("Last-Modified", LATE)]), Head::Outdates);
        assert_eq!(says(&stored, 410, &[("ETag", "\"b\"")]), Head::SaysNothing);
    }
}
