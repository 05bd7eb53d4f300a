//! Entity tags (RFC 9110 §8.8.3) of what is another representation on this side of us than on the other.
//!
//! A target's strong tag is made weak where we change the bytes: the content is the same, its bytes are not. When that weak tag comes
//! back in a condition the target must know it again, although many compare tags byte by byte.

use crate::plan::Whose;

/// What a tag is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Strong,
    Weak,
    /// It is none.
    Malformed,
}

/// What the value of an ETag field is like.
pub(super) fn kind(tag: &[u8]) -> Kind {
    match split(tag) {
        Some((first, b"")) => match first {
            Member { weak: true, .. } => Kind::Weak,
            Member { weak: false, .. } => Kind::Strong,
        },
        _ => Kind::Malformed,
    }
}

/// A member of a list of tags.
#[derive(Clone, Copy)]
struct Member<'a> {
    weak: bool,
    /// With its quotes.
    opaque: &'a [u8],
}

/// The tag at the front, and what follows it.
fn split(text: &[u8]) -> Option<(Member<'_>, &[u8])> {
    let (weak, rest) = match text.strip_prefix(b"W/") {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let inner = rest.strip_prefix(b"\"")?;
    let length = memchr::memchr(b'"', inner)?;
    let (opaque, rest) = rest.split_at(length + 2);
    Some((Member { weak, opaque }, rest))
}

/// The members of a list; what is no tag ends it.
fn members(mut list: &[u8]) -> impl Iterator<Item = Member<'_>> {
    std::iter::from_fn(move || {
        let skipped = list.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b',')).count();
        let (member, rest) = split(&list[skipped..])?;
        list = rest;
        Some(member)
    })
}

/// Whether all of a list is tags.
fn is_list(list: &[u8]) -> bool {
    let mut left = list;
    loop {
        let skipped = left.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b',')).count();
        left = &left[skipped..];
        match split(left) {
            _ if left.is_empty() => return true,
            Some((_, rest)) => left = rest,
            None => return false,
        }
    }
}

/// Whether a list holds a tag in its weak form alone, of which `strong` is the other one.
pub(super) fn has_weakened<'a>(mut lists: impl Iterator<Item = &'a [u8]> + Clone, strong: &[u8]) -> bool {
    let has = |list: &[u8], weak: bool| members(list).any(|member| member.weak == weak && member.opaque == strong);
    lists.clone().any(|list| has(list, true)) && !lists.any(|list| has(list, false))
}

/// A list as a target is to see it: weak tags that are ours in the strong form that they had, those that may be ours in both. `None`:
/// as it is.
pub(super) fn restored(list: &[u8], whose: Whose) -> Option<Vec<u8>> {
    if whose == Whose::Theirs || !members(list).any(|member| member.weak) || !is_list(list) {
        return None;
    }
    let mut out = Vec::with_capacity(list.len() * 2);
    let mut push = |prefix: &[u8], opaque: &[u8]| {
        if !out.is_empty() {
            out.extend_from_slice(b", ");
        }
        out.extend_from_slice(prefix);
        out.extend_from_slice(opaque);
    };
    for Member { weak, opaque } in members(list) {
        push(b"", opaque);
        if weak && whose == Whose::Unknown {
            push(b"W/", opaque);
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_told_apart() {
        for (tag, is) in [
            ("\"abc\"", Kind::Strong),
            ("\"\"", Kind::Strong),
            ("W/\"abc\"", Kind::Weak),
            ("\"a,b\"", Kind::Strong),
            ("abc", Kind::Malformed),
            ("\"abc", Kind::Malformed),
            ("w/\"abc\"", Kind::Malformed),
            ("\"a\"b", Kind::Malformed),
            ("", Kind::Malformed),
        ] {
            assert_eq!(kind(tag.as_bytes()), is, "{tag}");
        }
    }

    #[test]
    fn a_target_sees_the_tags_that_it_has_sent() {
        let shown = |list: &str, whose| restored(list.as_bytes(), whose).map(|list| String::from_utf8(list).unwrap());
        for (list, ours, unknown) in [
            ("W/\"a\"", Some("\"a\""), Some("\"a\", W/\"a\"")),
            ("\"a\",W/\"b,c\" , \"d\"", Some("\"a\", \"b,c\", \"d\""), Some("\"a\", \"b,c\", W/\"b,c\", \"d\"")),
            ("\"a\"", None, None),
            ("*", None, None),
            ("W/\"a\", nonsense", None, None),
            ("", None, None),
        ] {
            assert_eq!(shown(list, Whose::Ours).as_deref(), ours, "{list}");
            assert_eq!(shown(list, Whose::Unknown).as_deref(), unknown, "{list}");
            assert_eq!(shown(list, Whose::Theirs), None, "{list}");
        }
    }

    #[test]
    fn a_tag_is_weakened_for_who_has_it_in_that_form_alone() {
        let has = |list: &str| has_weakened([list.as_bytes()].into_iter(), b"\"a\"");
        assert!(has("W/\"a\"") && has("\"b\", W/\"a\""));
        assert!(!has("\"a\"") && !has("W/\"a\", \"a\"") && !has("W/\"b\"") && !has("*"));
    }
}
