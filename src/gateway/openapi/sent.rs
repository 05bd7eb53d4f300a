//! What clients have sent in paths, queries and cookies, as texts.

use std::borrow::Cow;

/// What stands for these bytes once escapes are resolved; `plus`: a `+` stands for a space, as forms write it.
pub(super) fn decoded(text: &[u8], plus: bool) -> Cow<'_, [u8]> {
    if !text.iter().any(|&byte| byte == b'%' || plus && byte == b'+') {
        return text.into();
    }
    let digit = |at: usize| text.get(at).and_then(|&byte| char::from(byte).to_digit(16)).map(|digit| digit as u8);
    let (mut out, mut at) = (Vec::with_capacity(text.len()), 0);
    while let Some(&byte) = text.get(at) {
        let (value, length) = match (byte, digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => (high << 4 | low, 3),
            (b'+', ..) if plus => (b' ', 1),
            _ => (byte, 1),
        };
        out.push(value);
        at += length;
    }
    out.into()
}

/// The parameters of a query, as they were sent.
pub(super) fn pairs(query: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    query.split(|&byte| byte == b'&').filter(|part| !part.is_empty()).map(crate::gateway::place::pair)
}
