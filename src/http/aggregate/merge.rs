//! Answers in JSON put together into one object.
//!
//! What always holds: the bytes of an answer stay what they are, so that numbers keep their digits and texts their escapes; a name is
//! there once, and belongs to the part that comes first.
//!
//! Pure. What is given has been found to be JSON.

use std::borrow::Cow;
use std::collections::HashSet;

/// What the whole is made of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece<'a> {
    /// The member that it becomes, as JSON has it, with the colon; `None`: its own members do.
    pub(super) member: Option<&'a [u8]>,
    /// One JSON text; an object, where its members become those of the whole.
    pub(super) text: &'a [u8],
}

/// Puts together the whole.
pub(super) fn merge(pieces: &[Piece<'_>]) -> Vec<u8> {
    let length: usize = pieces.iter().map(|piece| piece.text.len() + piece.member.map_or(0, <[u8]>::len) + 1).sum();
    let mut out = Vec::with_capacity(length + 2);
    out.push(b'{');
    let merges = pieces.iter().any(|piece| piece.member.is_none());
    let mut names = HashSet::new();
    let mut add = |name: &[u8], member: [&[u8]; 2]| {
        // Members that parts become are told apart by the configuration.
        if merges && !names.insert(meant(name).into_owned()) {
            return;
        }
        if out.len() > 1 {
            out.push(b',');
        }
        member.iter().for_each(|bytes| out.extend_from_slice(bytes));
    };
    for piece in pieces {
        match piece.member {
            Some(member) => add(member.strip_suffix(b":").unwrap_or(member), [member, trimmed(piece.text)]),
            None => Members { rest: inner(piece.text) }.for_each(|(name, whole)| add(name, [whole, b""])),
        }
    }
    out.push(b'}');
    out
}

fn is_blank(byte: &u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

/// A text without the blanks around it.
fn trimmed(mut text: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = text
        && is_blank(first)
    {
        text = rest;
    }
    while let [rest @ .., last] = text
        && is_blank(last)
    {
        text = rest;
    }
    text
}

/// What is within the braces of an object.
fn inner(text: &[u8]) -> &[u8] {
    match trimmed(text) {
        [b'{', inner @ .., b'}'] => inner,
        _ => b"",
    }
}

/// A name without its quotes and escapes.
fn meant(name: &[u8]) -> Cow<'_, [u8]> {
    match name {
        [b'"', plain @ .., b'"'] if !plain.contains(&b'\\') => Cow::Borrowed(plain),
        _ => match serde_json::from_slice::<String>(name) {
            Ok(name) => Cow::Owned(name.into_bytes()),
            Err(_) => Cow::Borrowed(name),
        },
    }
}

/// The members of an object: their names with the quotes, and all of them without the blanks around.
struct Members<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Members<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let end = end_of(self.rest);
        let whole = trimmed(&self.rest[..end]);
        self.rest = self.rest.get(end + 1..).unwrap_or_default();
        if whole.is_empty() {
            return None;
        }
        Some((&whole[..text_end(whole)], whole))
    }
}

/// Where the first member ends: at a comma that is within nothing, or at the end.
fn end_of(text: &[u8]) -> usize {
    let (mut at, mut depth) = (0, 0_usize);
    while let Some(byte) = text.get(at) {
        match byte {
            b'"' => {
                at += text_end(&text[at..]);
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            b',' if depth == 0 => return at,
            _ => {}
        }
        at += 1;
    }
    text.len()
}

/// Where the text ends that begins with a quote: behind the other one.
fn text_end(text: &[u8]) -> usize {
    let mut at = 1;
    while let Some(found) = text.get(at..).and_then(|rest| memchr::memchr2(b'"', b'\\', rest)) {
        at += found;
        match text.get(at) {
            Some(b'\\') => at += 2,
            _ => return at + 1,
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(pieces: &[(Option<&str>, &str)]) -> String {
        let member = |member: &&str| format!("\"{member}\":").into_bytes();
        let names: Vec<Option<Vec<u8>>> = pieces.iter().map(|(name, _)| name.as_ref().map(member)).collect();
        let each = names.iter().zip(pieces);
        let pieces: Vec<Piece<'_>> =
            each.map(|(name, (_, text))| Piece { member: name.as_deref(), text: text.as_bytes() }).collect();
        let merged = String::from_utf8(merge(&pieces)).unwrap();
        assert!(serde_json::from_str::<serde_json::Value>(&merged).unwrap().is_object(), "{merged}");
        merged
    }

    #[test]
    fn parts_stand_in_their_order_with_the_bytes_that_they_had() {
        let parts = [
            (Some("b"), " {\"n\": 1.50e+1, \"t\":\"\\u00e9 \"}\r\n"),
            (Some("a"), "12345678901234567890.10"),
            (Some("c"), "[ ]"),
            (Some("d"), "null"),
        ];
        let expected =
            "{\"b\":{\"n\": 1.50e+1, \"t\":\"\\u00e9 \"},\"a\":12345678901234567890.10,\"c\":[ ],\"d\":null}";
        assert_eq!(whole(&parts), expected);
        assert_eq!(whole(&[]), "{}");
    }

    #[test]
    fn members_of_what_is_merged_become_those_of_the_whole_and_the_first_of_a_name_counts() {
        for (parts, expected) in [
            (
                vec![(None, "{\"a\" : 1 ,\"b\":[1,{\"x\":2}]}"), (None, "{\"b\":3,\"c\":4}")],
                "{\"a\" : 1,\"b\":[1,{\"x\":2}],\"c\":4}",
            ),
            (vec![(Some("c"), "1"), (None, " {\"c\":2,\"d\":3} ")], "{\"c\":1,\"d\":3}"),
            (vec![(None, "{\"\\u0063\":2}"), (Some("c"), "1")], "{\"\\u0063\":2}"),
            (vec![(None, "{}"), (None, " { } "), (Some("a"), "1")], "{\"a\":1}"),
            (
                vec![(None, "{\"a,b\":\"},{\\\"\",\"c\\\\\":\"\\\\\",\"\":0}")],
                "{\"a,b\":\"},{\\\"\",\"c\\\\\":\"\\\\\",\"\":0}",
            ),
        ] {
            assert_eq!(whole(&parts), expected);
        }
    }

    #[test]
    fn what_is_merged_is_what_a_parser_would_merge() {
        let mut random = fastrand::Rng::with_seed(7);
        for _ in 0..2_000 {
            let texts: Vec<String> = (0..random.usize(1..4)).map(|_| object(&mut random, 3)).collect();
            let parts: Vec<(Option<&str>, &str)> = texts.iter().map(|text| (None, text.as_str())).collect();
            let mut expected = serde_json::Map::new();
            for text in &texts {
                let serde_json::Value::Object(members) = serde_json::from_str(text).unwrap() else { unreachable!() };
                for (name, value) in members {
                    expected.entry(name).or_insert(value);
                }
            }
            let merged: serde_json::Value = serde_json::from_str(&whole(&parts)).unwrap();
            assert_eq!(merged, serde_json::Value::Object(expected), "{texts:?}");
        }
    }

    fn object(random: &mut fastrand::Rng, depth: usize) -> String {
        const NAMES: [&str; 6] = ["\"a\"", "\"\\u0061b\"", "\"c,\"", "\"{\"", "\"\\\"\"", "\"\\\\\""];
        let mut left: Vec<&str> = NAMES.to_vec();
        random.shuffle(&mut left);
        let members: Vec<String> = left[..random.usize(0..4)]
            .iter()
            .map(|name| {
                let value = match random.usize(0..if depth == 0 { 3 } else { 5 }) {
                    0 => "1.0".to_owned(),
                    1 => "\",}]\\\\\"".to_owned(),
                    2 => "[ ]".to_owned(),
                    3 => format!("[{},null]", object(random, depth - 1)),
                    _ => object(random, depth - 1),
                };
                let blank = if random.bool() { " " } else { "" };
                format!("{blank}{name}{blank}:{blank}{value}{blank}")
            })
            .collect();
        format!("{{{}}}", members.join(","))
    }
}
