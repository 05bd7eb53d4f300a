//! The cookie by which a client stays with its target, in the heads that pass: taken out of requests, put into answers.

use super::encode::Runs;
use super::framing::members;
use crate::http::cookies::{self, Pass};
use crate::http::head::{Field, Name, ResponseHead};
use crate::observe::reason::CookieSet;
use crate::upstream::sticky::{Cookie, Dates, Mode, PREFIX_END};
use std::cell::Cell;

/// What an answer says of where its client belongs.
#[derive(Debug)]
pub struct Marking<'a> {
    /// The cookie.
    pub cookie: &'a Cookie,
    /// The place of the target that answers.
    pub target: usize,
    /// Whether the client is to be told, and how that is called; where the target sets the cookie, it is whenever the target does.
    pub tells: Option<CookieSet>,
    /// What the cookie says of its age.
    pub dates: Option<Dates>,
    /// Whether the client came over TLS.
    pub secure: bool,
    /// What has become of it.
    pub done: Cell<CookieSet>,
}

/// Writes a field of cookies for a target, which does not see that of ours.
pub(super) fn push_request_cookies(runs: &mut Runs<'_>, field: &Field, cookie: &Cookie) {
    let (name, value) = (field.name.of(runs.text), field.value.of(runs.text));
    let is_ours = |name: &[u8]| name == cookie.name.as_bytes();
    if cookie.mode == Mode::Rewrite || !cookies::pairs(value).any(|(name, _)| is_ours(name)) {
        return runs.field(field);
    }
    cookies::push(runs.flush(), name, value, |name, value| match cookie.mode {
        _ if !is_ours(name) => Pass::Keep,
        Mode::Insert => Pass::Drop,
        _ => Pass::Value(split_prefix(value).map_or(value, |(_, rest)| rest)),
    });
}

/// The name of a target and what the target itself has said, of a value that has both.
pub fn split_prefix(value: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = memchr::memchr(PREFIX_END, value)?;
    Some((&value[..end], &value[end + 1..]))
}

impl Marking<'_> {
    /// Whether a field of the answer stays as it is.
    pub(super) fn leaves(&self, field: &Field, text: &[u8]) -> bool {
        self.cookie.preserve || !self.is_of_that_name(field, text)
    }

    fn is_of_that_name(&self, field: &Field, text: &[u8]) -> bool {
        let named = cookies::set(field.value.of(text));
        named.is_some_and(|(name, ..)| name == self.cookie.name.as_bytes())
    }

    /// Appends what the client is to get instead of what does not stay, and beside the rest.
    pub(super) fn push(&self, out: &mut Vec<u8>, head: &ResponseHead, text: &[u8]) {
        let Self { cookie, target, .. } = *self;
        let mut ours =
            head.fields.iter().filter(|field| field.kind == Name::SetCookie && self.is_of_that_name(field, text));
        self.done.set(CookieSet::None);
        if cookie.preserve && ours.next().is_some() {
            return self.done.set(CookieSet::Preserved);
        }
        for field in ours {
            let Some((_, value, rest)) = cookies::set(field.value.of(text)) else { continue };
            self.done.set(if cookie.mode == Mode::Insert { CookieSet::Deleted } else { CookieSet::Rewritten });
            let (between, value): (&[u8], &[u8]) = match cookie.mode {
                Mode::Insert => continue,
                Mode::Rewrite => (b"", b""),
                Mode::Prefix => (&[PREFIX_END], value),
            };
            let begin = [b"Set-Cookie: ", cookie.name.as_bytes(), b"=", cookie.name_of(target)];
            begin.into_iter().chain([between, value, rest, b"\r\n"]).for_each(|part| out.extend_from_slice(part));
        }
        if cookie.mode == Mode::Insert
            && let Some(how) = self.tells
        {
            cookie.push_line(out, target, self.dates, self.secure);
            // A cache that several clients share would give one's cookie to others (RFC 9111 §7.3).
            if head.status != 101 && !is_private(head, text) {
                out.extend_from_slice(b"Cache-Control: private\r\n");
            }
            self.done.set(how);
        }
    }
}

/// Whether no cache that is shared may keep the answer.
fn is_private(head: &ResponseHead, text: &[u8]) -> bool {
    let is = |member: &[u8]| member.eq_ignore_ascii_case(b"private") || member.eq_ignore_ascii_case(b"no-store");
    head.values(text, b"cache-control").any(|value| members(value).any(is))
}
