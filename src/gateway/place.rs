//! Where in a request something is looked for that clients prove themselves with, or are told apart by.

use super::Request;
use smallvec::SmallVec;
use std::fmt;

/// A place in a request.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// A header of this name, in any case.
    Header(Box<str>),
    /// A parameter of the query.
    Query(Box<str>),
    /// A cookie.
    Cookie(Box<str>),
}

/// What stands in a place.
type Text = SmallVec<[u8; 64]>;

impl Place {
    /// What stands there, and how often there is something. Of several the first is shown.
    pub fn find(&self, request: &dyn Request) -> (usize, Option<Text>) {
        let (mut count, mut first) = (0, None);
        let mut see = |value: Text| {
            count += 1;
            first.get_or_insert(value);
        };
        match self {
            Self::Header(name) => request.each(name, &mut |value| see(Text::from_slice(value))),
            Self::Query(name) => {
                let pairs = request.query().unwrap_or_default().split(|&byte| byte == b'&');
                pairs
                    .map(pair)
                    .filter(|(found, _)| decoded(found)[..] == *name.as_bytes())
                    .for_each(|(_, value)| see(decoded(value)));
            }
            Self::Cookie(name) => request.each("cookie", &mut |line| {
                let pairs = line.split(|&byte| byte == b';').map(|one| pair(one.trim_ascii()));
                pairs
                    .filter(|(found, _)| *found == name.as_bytes())
                    .for_each(|(_, value)| see(Text::from_slice(value)));
            }),
        }
        (count, first)
    }
}

impl fmt::Display for Place {
    /// As a challenge has it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, name) = match self {
            Self::Header(name) => ("header", name),
            Self::Query(name) => ("query", name),
            Self::Cookie(name) => ("cookie", name),
        };
        write!(f, "{kind}=\"{name}\"")
    }
}

/// A name, and what stands behind its `=`.
pub(super) fn pair(text: &[u8]) -> (&[u8], &[u8]) {
    match memchr::memchr(b'=', text) {
        Some(at) => (&text[..at], &text[at + 1..]),
        None => (text, b""),
    }
}

/// What a part of a query stands for, as forms write it (RFC 3986 §2.1, `+` for a space).
pub(super) fn decoded(text: &[u8]) -> Text {
    let digit = |at: usize| {
        text.get(at).and_then(|&byte| char::from(byte).to_digit(16)).and_then(|digit| u8::try_from(digit).ok())
    };
    let (mut out, mut at) = (Text::with_capacity(text.len()), 0);
    while let Some(&byte) = text.get(at) {
        let (value, length) = match (byte, digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => (high << 4 | low, 3),
            (b'+', ..) => (b' ', 1),
            _ => (byte, 1),
        };
        out.push(value);
        at += length;
    }
    out
}
