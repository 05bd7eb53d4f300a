//! Comma-separated lists as RFC 9110 §5.6.1 reads them: members without the whitespace around them, empty ones left out, commas in
//! quoted strings part of their member.

/// The members of one line.
#[derive(Clone, Debug)]
pub(super) struct Members<'a> {
    rest: &'a [u8],
}

/// The members of `line`.
#[inline]
pub(super) fn members(line: &[u8]) -> Members<'_> {
    Members { rest: line }
}

impl<'a> Iterator for Members<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        while !self.rest.is_empty() {
            let end = end_of_member(self.rest);
            let member = self.rest[..end].trim_ascii();
            self.rest = self.rest.get(end + 1..).unwrap_or_default();
            if !member.is_empty() {
                return Some(member);
            }
        }
        None
    }
}

/// Where the first comma is that no quoted string holds; a string that does not end goes to the end of the line.
#[inline]
fn end_of_member(text: &[u8]) -> usize {
    match memchr::memchr2(b',', b'"', text) {
        Some(at) if text[at] == b'"' => end_after_string(text, at),
        Some(at) => at,
        None => text.len(),
    }
}

#[cold]
fn end_after_string(text: &[u8], from: usize) -> usize {
    let (mut quoted, mut at) = (false, from);
    while let Some(&byte) = text.get(at) {
        match byte {
            b'"' => quoted = !quoted,
            b'\\' if quoted => at += 1,
            b',' if !quoted => return at,
            _ => {}
        }
        at += 1;
    }
    text.len()
}

/// A member as a name and what comes after its `=`. Whitespace around the sign is not taken away: it makes the name another.
#[inline]
pub(super) fn argument(member: &[u8]) -> (&[u8], Option<&[u8]>) {
    match member.iter().position(|&byte| byte == b'=') {
        Some(at) => (&member[..at], Some(&member[at + 1..])),
        None => (member, None),
    }
}

/// What is between the quotes of a quoted string; anything else as it is. Escapes stay.
#[inline]
pub(super) fn unquoted(value: &[u8]) -> &[u8] {
    match value {
        [b'"', inner @ .., b'"'] => inner,
        _ => value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(line: &str) -> Vec<&str> {
        members(line.as_bytes()).map(|member| str::from_utf8(member).unwrap_or("?")).collect()
    }

    #[test]
    fn members_are_told_apart_by_commas_outside_of_strings() {
        assert_eq!(of("a, b ,,\t, c=\"d, e\" , f"), ["a", "b", "c=\"d, e\"", "f"]);
        assert_eq!(of(r#"a="x\", b", c"#), [r#"a="x\", b""#, "c"]);
        assert_eq!(of(r#"a="never ends, b"#), [r#"a="never ends, b"#]);
        assert_eq!(of(r#"a="\"#), [r#"a="\"#]);
        assert!(of("").is_empty() && of(" , ,").is_empty());
    }

    #[test]
    fn arguments_are_parted_from_names() {
        assert_eq!(argument(b"max-age=1=2"), (&b"max-age"[..], Some(&b"1=2"[..])));
        assert_eq!(argument(b"public"), (&b"public"[..], None));
        assert_eq!(unquoted(b"\"a, b\""), b"a, b");
        assert_eq!(unquoted(b"\""), b"\"");
    }
}
