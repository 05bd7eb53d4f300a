//! What the origin is asked in a client's place.

use crate::cache::KeyRules;
use crate::http::head::{Field, Name, RequestHead};

/// What goes with the question.
#[derive(Clone, Copy, Debug)]
pub(super) enum With<'a> {
    /// The whole answer is wanted, whatever the client has of it.
    Nothing,
    /// The client's own range.
    Range,
    /// Whole lines: what validates or completes what is stored.
    Lines(&'a [u8]),
}

/// Writes the head of the question: the client's own, without its preconditions and what of its query does not count, as that must
/// not decide what others get.
pub(super) fn write(head: &RequestHead, text: &[u8], key: &KeyRules, with: With<'_>, out: &mut Vec<u8>) {
    let query = head.query.map(|query| query.of(text));
    out.extend_from_slice(b"GET ");
    let target = head.target.of(text);
    // The query stands at the end of the target, behind its `?`.
    let path = query.map_or(target, |query| &target[..target.len().saturating_sub(query.len() + 1)]);
    out.extend_from_slice(path);
    key.write_query(query, out);
    // What is asked for all is asked in the version that says where an answer ends, unless there is no host to name.
    let named = head.find(Name::Host).is_some();
    out.extend_from_slice(if named { b" HTTP/1.1\r\n" } else { b" HTTP/1.0\r\n" });
    for field in &head.fields {
        if stays(field, text, with) {
            out.extend_from_slice(field.name.of(text));
            out.extend_from_slice(b": ");
            out.extend_from_slice(field.value.of(text));
            out.extend_from_slice(b"\r\n");
        }
    }
    if let With::Lines(lines) = with {
        out.extend_from_slice(lines);
    }
    out.extend_from_slice(b"\r\n");
}

fn stays(field: &Field, text: &[u8], with: With<'_>) -> bool {
    let name = field.name.of(text);
    let is = |known: &[u8]| name.eq_ignore_ascii_case(known);
    match name.len() {
        5 => !is(b"range") || matches!(with, With::Range),
        8 if is(b"if-range") => matches!(with, With::Range),
        8 => !is(b"if-match"),
        13 => !is(b"if-none-match"),
        17 => !is(b"if-modified-since"),
        19 => !is(b"if-unmodified-since"),
        _ => true,
    }
}
