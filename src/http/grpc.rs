//! What gRPC asks of a proxy beyond HTTP/2: errors as gRPC statuses, and the client's deadline.
//!
//! Source: the gRPC project's "gRPC over HTTP2" and "HTTP to gRPC Status Code Mapping".

use super::head::{Name, RequestHead};
use std::time::Duration;

/// Whether a content type is that of gRPC, with whatever message format. gRPC-Web is something else.
pub(super) fn is_grpc(content_type: &[u8]) -> bool {
    const TYPE: &[u8] = b"application/grpc";
    content_type.get(..TYPE.len()).is_some_and(|start| start.eq_ignore_ascii_case(TYPE))
        && matches!(content_type.get(TYPE.len()), None | Some(b'+' | b';' | b' '))
}

/// Whether a request is one of gRPC.
pub(super) fn asks(head: &RequestHead, text: &[u8]) -> bool {
    head.find(Name::ContentType).is_some_and(|field| is_grpc(field.value.of(text)))
}

/// How long the client is willing to wait, if it says so.
pub(super) fn deadline(head: &RequestHead, text: &[u8]) -> Option<Duration> {
    let value = head.values(text, b"grpc-timeout").next()?;
    let (unit, digits) = value.split_last()?;
    // At most eight digits, so that nothing overflows.
    if digits.is_empty() || digits.len() > 8 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let count = digits.iter().fold(0u64, |sum, digit| sum * 10 + u64::from(digit - b'0'));
    Some(match unit {
        b'H' => Duration::from_secs(count * 3600),
        b'M' => Duration::from_secs(count * 60),
        b'S' => Duration::from_secs(count),
        b'm' => Duration::from_millis(count),
        b'u' => Duration::from_micros(count),
        b'n' => Duration::from_nanos(count),
        _ => return None,
    })
}

/// The status of a call for which its client would wait no longer, and its name.
pub(super) const DEADLINE_EXCEEDED: (u8, &str) = (4, "deadline exceeded");

/// The gRPC status that stands for one of HTTP, and its name.
pub(super) fn status(http: u16) -> (u8, &'static str) {
    match http {
        400 => (13, "internal"),
        401 => (16, "unauthenticated"),
        403 => (7, "permission denied"),
        404 => (12, "unimplemented"),
        429 | 502 | 503 | 504 => (14, "unavailable"),
        _ => (2, "unknown"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::head::{Field, Span};

    #[test]
    fn grpc_is_known_by_its_content_type() {
        for good in ["application/grpc", "application/grpc+proto", "Application/GRPC; x=y"] {
            assert!(is_grpc(good.as_bytes()), "{good}");
        }
        for bad in ["", "application/grpc-web", "application/grpcx", "application/json"] {
            assert!(!is_grpc(bad.as_bytes()), "{bad}");
        }
    }

    #[test]
    fn deadlines_have_eight_digits_and_a_unit() {
        let read = |value: &str| {
            let text = format!("grpc-timeout{value}");
            let field = Field { name: Span::new(0, 12), value: Span::new(12, text.len()), kind: Name::Other };
            deadline(&RequestHead { fields: vec![field], ..RequestHead::default() }, text.as_bytes())
        };
        assert_eq!(read("1S"), Some(Duration::from_secs(1)));
        assert_eq!(read("99999999H"), Some(Duration::from_secs(99_999_999 * 3600)));
        assert_eq!(read("250m"), Some(Duration::from_millis(250)));
        for bad in ["", "S", "1", "1s", "-1S", "100000000n"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
