//! Asking the origin whether a stored answer is still good, and what its word changes (RFC 9111 §4.3, §4.3.5).

use super::etag::{is_same_strongly, is_same_weakly, is_strong};
use super::fields::Fields;
use super::message::Response;
use super::storing::Dropped;

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
