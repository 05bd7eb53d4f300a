//! The request target and the authority (RFC 9112 §3.2, RFC 9110 §4.2).

use super::request::Reject;
use crate::http::head::{Method, RequestHead, Span, TargetForm};
use std::net::Ipv6Addr;

/// Takes the request target apart into `head`'s form, scheme, authority, path and query.
pub(super) fn parse_target(text: &[u8], head: &mut RequestHead) -> Result<(), Reject> {
    let target = head.target.of(text);
    if !target.is_ascii() {
        return Err(Reject::bad("non-ascii-target"));
    }
    let start = head.target.start as usize;
    match target {
        [b'/', ..] => path_and_query(text, start, head),
        b"*" if head.method == Method::Options => {
            head.form = TargetForm::Asterisk;
            head.path = head.target;
            Ok(())
        }
        _ => absolute(text, start, head),
    }
}

/// Reads `path[?query]` from `start` to the target's end.
#[inline]
fn path_and_query(text: &[u8], start: usize, head: &mut RequestHead) -> Result<(), Reject> {
    let end = head.target.end as usize;
    let rest = &text[start..end];
    let mark = memchr::memchr2(b'?', b'#', rest);
    head.path = Span::new(start, mark.map_or(end, |mark| start + mark));
    match mark.map(|mark| (mark, rest[mark])) {
        None => Ok(()),
        Some((mark, b'?')) if memchr::memchr(b'#', &rest[mark..]).is_none() => {
            head.query = Some(Span::new(start + mark + 1, end));
            Ok(())
        }
        Some(_) => Err(Reject::bad("fragment-in-target")),
    }
}

#[cold]
fn absolute(text: &[u8], start: usize, head: &mut RequestHead) -> Result<(), Reject> {
    let target = &text[start..head.target.end as usize];
    let Some(scheme) = memchr::memmem::find(target, b"://") else { return Err(Reject::bad("bad-target")) };
    if !target[..scheme].eq_ignore_ascii_case(b"http") && !target[..scheme].eq_ignore_ascii_case(b"https") {
        return Err(Reject::bad("bad-scheme"));
    }
    let from = scheme + b"://".len();
    let len = target[from..].iter().position(|&byte| matches!(byte, b'/' | b'?' | b'#')).unwrap_or(target.len() - from);
    let authority = &target[from..from + len];
    if authority.contains(&b'@') {
        return Err(Reject::bad("userinfo-in-target"));
    }
    if !is_authority(authority) {
        return Err(Reject::bad("bad-authority"));
    }
    head.form = TargetForm::Absolute;
    head.scheme = Span::new(start, start + scheme);
    head.authority = Span::new(start + from, start + from + len);
    path_and_query(text, start + from + len, head)
}

/// Whether `bytes` is `host[:port]` in a spelling that everybody reads alike: letters, digits and `-._~` or an IPv6
/// address in brackets, and a port up to 65535. Percent-encoding, sub-delimiters (a comma makes two names to a list
/// parser) and user information are not.
pub(super) fn is_authority(bytes: &[u8]) -> bool {
    let (host_ok, port) = match bytes {
        [b'[', inner @ ..] => match inner.iter().position(|&byte| byte == b']') {
            Some(close) => (is_ipv6(&inner[..close]), &inner[close + 1..]),
            None => return false,
        },
        _ => {
            let len = bytes.iter().position(|&byte| !IN_NAME[usize::from(byte)]).unwrap_or(bytes.len());
            (len > 0, &bytes[len..])
        }
    };
    host_ok
        && match port {
            [] => true,
            [b':', digits @ ..] => is_port(digits),
            _ => false,
        }
}

fn is_ipv6(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_ok_and(|text| text.parse::<Ipv6Addr>().is_ok())
}

/// `*DIGIT`: an empty port stands for the scheme's own (RFC 9110 §4.2.3).
fn is_port(digits: &[u8]) -> bool {
    let mut port = 0u32;
    digits.iter().all(|digit| {
        port = port * 10 + u32::from(digit.wrapping_sub(b'0'));
        digit.is_ascii_digit() && port <= 65535
    })
}

/// The bytes of a host name.
static IN_NAME: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        let it = byte as u8;
        table[byte] = it.is_ascii_alphanumeric() || matches!(it, b'-' | b'.' | b'_' | b'~');
        byte += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_authority_has_one_reading() {
        for good in ["a.test", "a.test:80", "a.test:", "A_b-c.~x.", "127.0.0.1:65535", "[::1]", "[2001:db8::1]:8080"] {
            assert!(is_authority(good.as_bytes()), "{good}");
        }
        for bad in [
            "",
            ":80",
            "a.test:99999",
            "a.test:99999999999999999999",
            "a.test:8x",
            "a.test/x",
            "a.test#b",
            "a.test?b",
            "u@a.test",
            "a.test,b.test",
            "a b",
            "a%2etest",
            "[::1",
            "[::1%25eth0]",
            "[]",
            "[a.test]",
            "[::1]x",
            "a.test:80:80",
            "a\\b",
            "\u{e4}.test",
            "a.test\0",
        ] {
            assert!(!is_authority(bad.as_bytes()), "{bad}");
        }
    }
}
