//! Entity tags (RFC 9110 §8.8.3). A tag that is not well-formed is compared as the text that it is: what the origin gave out it gets
//! back.

/// Whether two tags are the same by the weak comparison (RFC 9110 §8.8.3.2).
pub fn is_same_weakly(one: &[u8], other: &[u8]) -> bool {
    opaque(one) == opaque(other)
}

/// Whether two tags are the same by the strong comparison: neither is weak.
pub fn is_same_strongly(one: &[u8], other: &[u8]) -> bool {
    one == other && is_strong(one)
}

/// Whether a tag is well-formed and not weak.
pub fn is_strong(tag: &[u8]) -> bool {
    matches!(tag, [b'"', inner @ .., b'"'] if !inner.contains(&b'"'))
}

/// Whether some tag in these lines of a list is the same as `tag`.
pub(super) fn is_among(lines: &[&[u8]], tag: &[u8], same: fn(&[u8], &[u8]) -> bool) -> bool {
    lines.iter().any(|line| tags(line).any(|other| same(other, tag)))
}

/// Whether these lines are `*`: any tag.
pub(super) fn is_any(lines: &[&[u8]]) -> bool {
    matches!(lines, [line] if line.trim_ascii() == b"*")
}

/// The tags of a line. A backslash in a tag means nothing, so that lists of tags are not read as lists with quoted strings are.
fn tags(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = line;
    std::iter::from_fn(move || {
        loop {
            let mut quoted = false;
            let end = rest.iter().position(|&byte| {
                quoted ^= byte == b'"';
                byte == b',' && !quoted
            });
            let (tag, after) = match end {
                Some(end) => (rest[..end].trim_ascii(), &rest[end + 1..]),
                None if rest.is_empty() => return None,
                None => (rest.trim_ascii(), &rest[rest.len()..]),
            };
            rest = after;
            if !tag.is_empty() {
                return Some(tag);
            }
        }
    })
}

fn opaque(tag: &[u8]) -> &[u8] {
    tag.strip_prefix(b"W/").unwrap_or(tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comparison_is_as_in_the_table_of_the_standard() {
        for (one, other, strong, weak) in [
            (r#"W/"1""#, r#"W/"1""#, false, true),
            (r#"W/"1""#, r#"W/"2""#, false, false),
            (r#"W/"1""#, r#""1""#, false, true),
            (r#""1""#, r#""1""#, true, true),
            ("abc", "abc", false, true),
            ("abc", "\"abc\"", false, false),
            (r#"w/"1""#, r#"W/"1""#, false, false),
            ("\"\"", "\"\"", true, true),
            ("\"", "\"", false, true),
        ] {
            assert_eq!(is_same_strongly(one.as_bytes(), other.as_bytes()), strong, "{one} {other}");
            assert_eq!(is_same_weakly(one.as_bytes(), other.as_bytes()), weak, "{one} {other}");
        }
    }

    #[test]
    fn tags_are_found_in_lists_over_lines() {
        let among = |line: &str, tag: &str| is_among(&[b"\"x\"", line.as_bytes()], tag.as_bytes(), is_same_weakly);
        assert!(among(r#""1", "2", "3""#, "\"2\"") && among(r#" , "1" ,W/"2""#, "\"2\""));
        assert!(among(r#""1,2", "3""#, r#""1,2""#) && !among(r#""1,2""#, "\"2\""));
        assert!(among(r#""a\", "b""#, "\"b\""), "a backslash is a byte of the tag");
        assert!(among("\"abcdef\u{fc}\"", "\"abcdef\u{fc}\""));
        assert!(!among("", "\"1\"") && among("\"x\"", "\"x\""));
        assert!(is_any(&[b" * "]) && !is_any(&[b"*", b"\"1\""]) && !is_any(&[]));
    }
}
