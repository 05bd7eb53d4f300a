//! gRPC's own health check: `grpc.health.v1.Health/Check`. SERVING is good, nothing else is.
//!
//! Source: the gRPC project's "GRPC Health Checking Protocol" and "gRPC over HTTP2". The two messages have one field each, so that they are
//! written and read by hand.

use super::super::finding::{Finding, said};
use super::conversation::late;
use super::dial::Dialled;
use super::multiplexed;
use crate::observe::reason::Outcome;
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderMap, TE, USER_AGENT};
use tokio::time::{Instant, timeout_at};

/// The names of HealthCheckResponse.ServingStatus.
const STATUSES: [&str; 4] = ["UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"];
const SERVING: u64 = 1;

/// Asks `host` for `service`; an empty one is the server as a whole.
pub(super) async fn ask(service: &str, dialled: Dialled, host: &str, deadline: Instant) -> Result<Finding, Finding> {
    if dialled.secure && !dialled.h2 {
        return Err(Finding::new(Outcome::NoHandshake, "the target does not speak HTTP/2 (ALPN)"));
    }
    let scheme = if dialled.secure { "https" } else { "http" };
    let request = hyper::Request::post(format!("{scheme}://{host}/grpc.health.v1.Health/Check"))
        .header(CONTENT_TYPE, "application/grpc")
        .header(TE, "trailers")
        .header(USER_AGENT, "ringway-health")
        .body(())
        .map_err(|error| Finding::new(Outcome::NotMade, format!("the check cannot be sent: {error}")))?;
    let asked = multiplexed::ask(dialled.wire, request, message(service), |_| false);
    let answer = timeout_at(deadline, asked).await.map_err(|_| late())??;
    if answer.status != 200 {
        return Err(Finding::coded(Outcome::BadStatus, u32::from(answer.status), ""));
    }
    // An error without a message has its status in the head.
    let fields = if answer.trailers.contains_key("grpc-status") { &answer.trailers } else { &answer.head };
    let status = text(fields, "grpc-status").and_then(|status| status.parse::<u32>().ok());
    match status {
        Some(0) => {}
        Some(status) => {
            let words = text(fields, "grpc-message").map(|words| said(words.as_bytes())).unwrap_or_default();
            return Err(Finding::coded(Outcome::BadStatus, status, format!("grpc-status {status} {words}").trim()));
        }
        None => return Err(Finding::bad("the answer is not gRPC's")),
    }
    match serving_status(&answer.body) {
        Some(SERVING) => Ok(Finding::new(Outcome::Answered, "SERVING")),
        Some(status) => {
            let name = usize::try_from(status).ok().and_then(|status| STATUSES.get(status));
            let words = name.map_or_else(|| format!("serving status {status}"), |name| (*name).to_owned());
            Err(Finding::new(Outcome::BadStatus, words))
        }
        None => Err(Finding::bad("the answer is no HealthCheckResponse")),
    }
}

fn text<'h>(fields: &'h HeaderMap, name: &str) -> Option<&'h str> {
    fields.get(name)?.to_str().ok()
}

/// HealthCheckRequest: field 1, the service, left out where it is empty; uncompressed, with its length before it.
fn message(service: &str) -> Bytes {
    let mut message = Vec::new();
    if !service.is_empty() {
        message.push(1 << 3 | 2);
        write_varint(&mut message, service.len() as u64);
        message.extend_from_slice(service.as_bytes());
    }
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX).to_be_bytes();
    [&[0], &length[..], &message].concat().into()
}

fn write_varint(to: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        to.push(value as u8 | 0x80);
        value >>= 7;
    }
    to.push(value as u8);
}

fn read_varint(from: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = from.split_first()?;
        *from = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

/// Field 1 of the one message of the answer; left out, it is 0. Fields that are not known are passed over.
fn serving_status(body: &[u8]) -> Option<u64> {
    let (&[0, a, b, c, d], message) = body.split_first_chunk()? else { return None };
    let length = usize::try_from(u32::from_be_bytes([a, b, c, d])).ok()?;
    let mut message = message.get(..length)?;
    let mut status = 0;
    while !message.is_empty() {
        let key = read_varint(&mut message)?;
        match key & 7 {
            0 => {
                let value = read_varint(&mut message)?;
                if key >> 3 == 1 {
                    status = value;
                }
            }
            1 => message = message.get(8..)?,
            2 => {
                let length = usize::try_from(read_varint(&mut message)?).ok()?;
                message = message.get(length..)?;
            }
            5 => message = message.get(4..)?,
            _ => return None,
        }
    }
    Some(status)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_request_names_the_service() {
        assert_eq!(&message("")[..], b"\0\0\0\0\0");
        assert_eq!(&message("a.B")[..], b"\0\0\0\0\x05\x0a\x03a.B");
        assert_eq!(message(&"x".repeat(200))[..8], [0, 0, 0, 0, 203, 0x0a, 200, 1]);
    }

    #[test]
    fn the_status_is_found_among_other_fields() {
        let read = |message: &[u8]| serving_status(&[&[0, 0, 0, 0, message.len() as u8], message].concat());
        assert_eq!(read(b"\x08\x01"), Some(1));
        assert_eq!(read(b""), Some(0));
        assert_eq!(read(b"\x12\x02ab\x08\x02"), Some(2));
        assert_eq!(read(b"\x08\x80"), None);
        assert_eq!(read(b"\x0b"), None);
        assert_eq!(serving_status(b"\0\0\0\0\x02\x08"), None, "cut short");
        assert_eq!(serving_status(b"\x01\0\0\0\x02\x08\x01"), None, "compressed, which was not offered");
    }
}
