//! Statuses of gRPC and of HTTP, one as the other, and what is told of an error.

use super::any;
use prost_reflect::DescriptorPool;
use prost_reflect::prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};
use serde_json::{Map, Value};

/// How a call ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Its code; 0 if all is well.
    pub code: u32,
    /// What its server says of it.
    pub message: String,
    /// A `google.rpc.Status` with details; empty: there is none.
    pub details: Vec<u8>,
}

/// The codes with their names and the statuses of HTTP that stand for them (google.rpc.Code).
const CODES: [(&str, u16); 17] = [
    ("OK", 200),
    ("CANCELLED", 499),
    ("UNKNOWN", 500),
    ("INVALID_ARGUMENT", 400),
    ("DEADLINE_EXCEEDED", 504),
    ("NOT_FOUND", 404),
    ("ALREADY_EXISTS", 409),
    ("PERMISSION_DENIED", 403),
    ("RESOURCE_EXHAUSTED", 429),
    ("FAILED_PRECONDITION", 400),
    ("ABORTED", 409),
    ("OUT_OF_RANGE", 400),
    ("UNIMPLEMENTED", 501),
    ("INTERNAL", 500),
    ("UNAVAILABLE", 503),
    ("DATA_LOSS", 500),
    ("UNAUTHENTICATED", 401),
];

/// Bytes of a message, and of details, that are told.
const LONGEST: usize = 8 << 10;
/// Details that are told.
const MOST: usize = 32;

/// The name of a code.
pub fn name(code: u32) -> &'static str {
    CODES.get(code as usize).map_or("UNKNOWN", |(name, _)| name)
}

/// The status of HTTP that stands for a code.
pub fn http(code: u32) -> u16 {
    CODES.get(code as usize).map_or(500, |(_, status)| *status)
}

/// The code that stands for the status of an answer in HTTP.
pub fn of_http(status: u16) -> u32 {
    match status {
        200..=299 => 0,
        400 => 3,
        401 => 16,
        403 => 7,
        404 => 5,
        409 => 10,
        416 => 11,
        429 => 8,
        499 => 1,
        501 => 12,
        502 | 503 => 14,
        504 => 4,
        _ if (400..500).contains(&status) => 9,
        _ if (500..600).contains(&status) => 13,
        _ => 2,
    }
}

impl Status {
    /// What the fields `grpc-status`, `grpc-message` and `grpc-status-details-bin` say; a code that is none is UNKNOWN.
    pub fn of(code: &[u8], message: &[u8], details: &[u8]) -> Self {
        let code = std::str::from_utf8(code).ok().and_then(|code| code.trim().parse().ok()).unwrap_or(2);
        let mut message = unescaped(message);
        if message.len() > LONGEST {
            let end = (0..=LONGEST).rev().find(|&end| message.is_char_boundary(end)).unwrap_or(0);
            message.truncate(end);
        }
        let details = super::web::decode_loosely(details).filter(|details| details.len() <= LONGEST);
        Self { code, message, details: details.unwrap_or_default() }
    }

    /// The document that tells of it (RFC 9457), with `title` as what its status of HTTP is called.
    pub fn problem(&self, title: &str, pool: &DescriptorPool) -> Value {
        let mut problem = Map::new();
        problem.insert("title".to_owned(), title.into());
        problem.insert("status".to_owned(), http(self.code).into());
        if !self.message.is_empty() {
            problem.insert("detail".to_owned(), self.message.as_str().into());
        }
        problem.insert("code".to_owned(), name(self.code).into());
        problem.insert("grpc_status".to_owned(), self.code.into());
        let details = details(&self.details, pool);
        if !details.is_empty() {
            problem.insert("details".to_owned(), Value::Array(details));
        }
        Value::Object(problem)
    }
}

/// The details of a `google.rpc.Status`, which are its third field.
fn details(mut text: &[u8], pool: &DescriptorPool) -> Vec<Value> {
    let mut all = Vec::new();
    while !text.is_empty() && all.len() < MOST {
        let Ok((tag, wire)) = decode_key(&mut text) else { break };
        if (tag, wire) != (3, WireType::LengthDelimited) {
            if skip_field(wire, tag, &mut text, DecodeContext::default()).is_err() {
                break;
            }
            continue;
        }
        let Ok(length) = decode_varint(&mut text) else { break };
        let Some((detail, rest)) = usize::try_from(length).ok().and_then(|length| text.split_at_checked(length)) else {
            break;
        };
        text = rest;
        all.extend(any::shown(detail, pool));
    }
    all
}

/// A message of gRPC as it is meant: what stands in it as `%` and two digits is a byte.
pub fn unescaped(text: &[u8]) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, behind @ ..] = rest {
        rest = behind;
        match (*first, behind) {
            (b'%', [high, low, behind @ ..]) if let (Some(high), Some(low)) = (digit(*high), digit(*low)) => {
                bytes.push(high << 4 | low);
                rest = behind;
            }
            (byte, _) => bytes.push(byte),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The same as it stands in a field.
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'%' | ..0x20 | 0x7f.. => out.push_str(&format!("%{byte:02X}")),
            byte => out.push(char::from(byte)),
        }
    }
    out
}

pub(super) fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_escaped_and_back() {
        for text in ["", "plain", "50 % zu groß, ☃\nsecond line"] {
            let field = escaped(text);
            assert!(field.bytes().all(|byte| (0x20..0x7f).contains(&byte)), "{field}");
            assert_eq!(unescaped(field.as_bytes()), text);
        }
        assert_eq!(unescaped(b"100%"), "100%");
        assert_eq!(unescaped(b"%4g%f"), "%4g%f");
        assert_eq!(unescaped(b"%ff"), "\u{fffd}");
    }

    #[test]
    fn a_status_that_is_none_is_unknown() {
        for code in [&b""[..], b"x", b"-1", b"99999999999"] {
            assert_eq!(Status::of(code, b"", b"").code, 2);
        }
        assert_eq!((http(99), name(99)), (500, "UNKNOWN"));
        assert_eq!(Status::of(b"5", &[b'a'; 20_000], b"!!!").message.len(), LONGEST);
    }

    #[test]
    fn details_that_are_none_are_left_out() {
        let pool = DescriptorPool::new();
        for text in [&b"\x1a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"[..], b"\x1a\x05ab", b"\xff", b"\x08", b"\x1b\x1b"]
        {
            let status = Status { code: 5, message: String::new(), details: text.to_vec() };
            assert_eq!(status.problem("Not Found", &pool)["details"], Value::Null);
        }
    }

    #[test]
    fn codes_and_statuses_stand_for_each_other() {
        for code in [0, 1, 3, 4, 5, 7, 8, 10, 12, 13, 14, 16] {
            assert_eq!(of_http(http(code)), code);
        }
    }
}
