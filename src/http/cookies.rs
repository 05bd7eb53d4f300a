//! Cookies as they stand in heads (RFC 6265 §5.4, §4.2.1).
//!
//! What always holds: a field is read as most servers read it: pairs end at `;` whatever quotes there are, a name is all that stands
//! before the first `=`, and case counts.

/// What becomes of a cookie of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pass<'a> {
    /// It goes on as it is.
    Keep,
    /// It does not go on.
    Drop,
    /// It goes on with this value.
    Value(&'a [u8]),
}

/// The cookies of a `Cookie` field, by name and value; what has no name is skipped.
pub fn pairs(field: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    field.split(|&byte| byte == b';').filter_map(|pair| named(pair))
}

/// The name and the value that a `Set-Cookie` field begins with, and what stands behind them, from the `;` on.
pub fn set(field: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let end = memchr::memchr(b';', field).unwrap_or(field.len());
    let (name, value) = named(&field[..end])?;
    Some((name, value, &field[end..]))
}

fn named(pair: &[u8]) -> Option<(&[u8], &[u8])> {
    let equals = memchr::memchr(b'=', pair)?;
    Some((pair[..equals].trim_ascii(), pair[equals + 1..].trim_ascii()))
}

/// Appends a `Cookie` field whose line begins with `name`, less what does not pass; no line where nothing is left.
pub fn push<'a>(out: &mut Vec<u8>, name: &[u8], field: &'a [u8], pass: impl Fn(&[u8], &'a [u8]) -> Pass<'a>) {
    let line = out.len();
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    let start = out.len();
    for pair in field.split(|&byte| byte == b';').map(<[u8]>::trim_ascii).filter(|pair| !pair.is_empty()) {
        let (name, what) = match named(pair) {
            Some((name, value)) => (name, pass(name, value)),
            None => (&[][..], Pass::Keep),
        };
        if what == Pass::Drop {
            continue;
        }
        if out.len() > start {
            out.extend_from_slice(b"; ");
        }
        match what {
            Pass::Value(value) => {
                out.extend_from_slice(name);
                out.push(b'=');
                out.extend_from_slice(value);
            }
            _ => out.extend_from_slice(pair),
        }
    }
    if out.len() == start {
        out.truncate(line);
    } else {
        out.extend_from_slice(b"\r\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pushed(field: &str) -> String {
        let mut out = Vec::new();
        push(&mut out, b"Cookie", field.as_bytes(), |name, value| match name {
            b"R" => Pass::Drop,
            b"P" => Pass::Value(value.strip_prefix(b"id~").unwrap_or(value)),
            _ => Pass::Keep,
        });
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn what_does_not_pass_leaves_no_trace_and_the_rest_keeps_its_order() {
        for (field, line) in [
            ("a=1; R=x; b=2", "Cookie: a=1; b=2\r\n"),
            ("R=x", ""),
            ("R=x; R=y;R=\"z\"", ""),
            ("R=x;a=1", "Cookie: a=1\r\n"),
            ("a=1;;  b=2 ;", "Cookie: a=1; b=2\r\n"),
            ("XR=1; Rx=2; r=3; R", "Cookie: XR=1; Rx=2; r=3; R\r\n"),
            ("R =x; a=b=c", "Cookie: a=b=c\r\n"),
            ("P=id~s; a=\"x y\"", "Cookie: P=s; a=\"x y\"\r\n"),
            ("", ""),
            ("a=\"b; R=x; c\"", "Cookie: a=\"b; c\"\r\n"),
        ] {
            assert_eq!(pushed(field), line, "{field}");
        }
    }

    #[test]
    fn a_cookie_that_is_set_is_told_from_its_attributes() {
        let set = |field: &'static str| set(field.as_bytes());
        assert_eq!(set("a=b; Path=/"), Some((&b"a"[..], &b"b"[..], &b"; Path=/"[..])));
        assert_eq!(set(" a = b"), Some((&b"a"[..], &b"b"[..], &b""[..])));
        assert_eq!(set("a; b=c"), None);
        assert_eq!(set("a=;b"), Some((&b"a"[..], &b""[..], &b";b"[..])));
    }
}
