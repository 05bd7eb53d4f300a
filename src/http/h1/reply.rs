//! Replies of the proxy itself: refusals, errors, redirects, fixed answers.

use crate::http::head::{Method, Version};
use crate::observe::status::reason_phrase;

/// A reply that no target gave.
#[derive(Clone, Copy, Debug)]
pub struct Reply<'a> {
    /// The status code.
    pub status: u16,
    /// Lines such as `Location: /new\r\n`, each with its CRLF.
    pub extra: &'a [u8],
    /// The media type of the body.
    pub content_type: &'a [u8],
    /// The body; not sent to HEAD, nor with a status that has none.
    pub body: &'a [u8],
    /// Whom it is for.
    pub asker: Asker<'a>,
}

/// The client that a reply is for, as far as its request is known.
#[derive(Clone, Copy, Debug)]
pub struct Asker<'a> {
    /// The client's version.
    pub version: Version,
    /// The method of its request.
    pub method: Method,
    /// Whether the connection lives on.
    pub keep_alive: bool,
    /// Now, as an HTTP date (RFC 9110 §5.6.7).
    pub date: &'a [u8],
    /// The line of Strict-Transport-Security, or nothing.
    pub hsts: &'a [u8],
}

/// Appends the whole reply to `out`.
pub fn encode_reply(out: &mut Vec<u8>, reply: &Reply<'_>) {
    let Asker { version, method, keep_alive, date, hsts } = reply.asker;
    push_status_line(out, reply.status);
    out.extend_from_slice(b"Date: ");
    out.extend_from_slice(date);
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(hsts);
    out.extend_from_slice(reply.extra);
    let bodiless = matches!(reply.status, 100..=199 | 204 | 304);
    if !bodiless {
        if !reply.body.is_empty() {
            out.extend_from_slice(b"Content-Type: ");
            out.extend_from_slice(reply.content_type);
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(b"Content-Length: ");
        out.extend_from_slice(itoa::Buffer::new().format(reply.body.len()).as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    match (reply.status, keep_alive, version) {
        // RFC 9110 §15.5.22 and RFC 6455 §4.2.2: what to upgrade to.
        (426, ..) => {
            out.extend_from_slice(b"Connection: close, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n")
        }
        (_, false, _) => out.extend_from_slice(b"Connection: close\r\n"),
        (_, true, Version::Http10) => out.extend_from_slice(b"Connection: keep-alive\r\n"),
        (_, true, Version::Http11) => {}
    }
    out.extend_from_slice(b"\r\n");
    if !bodiless && method != Method::Head {
        out.extend_from_slice(reply.body);
    }
}

/// Appends an error reply to `out`: the status in words and the request's id by which the log can be searched. It says nothing
/// of targets, addresses or the proxy, and may not be stored. `told` is empty or a whole line that is said beside it.
pub fn encode_error(out: &mut Vec<u8>, status: u16, told: &str, request_id: &str, asker: Asker<'_>) {
    let body = format!("{status} {}\nrequest id: {request_id}\n", reason_phrase(status));
    let extra = ["Cache-Control: no-store\r\n", told].concat();
    encode_reply(
        out,
        &Reply {
            status,
            extra: extra.as_bytes(),
            content_type: b"text/plain; charset=utf-8",
            body: body.as_bytes(),
            asker,
        },
    );
}

/// Appends an error reply to a call of gRPC to `out`: a status in place of trailers, and no content.
pub fn encode_grpc_error(
    out: &mut Vec<u8>,
    (status, name): (u8, &str),
    content_type: &str,
    request_id: &str,
    asker: Asker<'_>,
) {
    let extra = format!(
        "Content-Type: {content_type}\r\ngrpc-status: {status}\r\ngrpc-message: {name}, request id {request_id}\r\n"
    );
    encode_reply(out, &Reply { status: 200, extra: extra.as_bytes(), content_type: b"", body: b"", asker });
}

fn push_status_line(out: &mut Vec<u8>, status: u16) {
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(itoa::Buffer::new().format(status).as_bytes());
    out.push(b' ');
    out.extend_from_slice(reason_phrase(status).as_bytes());
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASKER: Asker<'_> = Asker {
        version: Version::Http11,
        method: Method::Get,
        keep_alive: true,
        date: b"Wed, 25 Nov 2026 04:31:00 GMT",
        hsts: b"",
    };

    #[test]
    fn an_error_says_status_and_id_and_no_more() {
        let mut out = Vec::new();
        encode_error(&mut out, 503, "", "r-1", Asker { keep_alive: false, ..ASKER });
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "HTTP/1.1 503 Service Unavailable\r\nDate: Wed, 25 Nov 2026 04:31:00 GMT\r\nCache-Control: no-store\r\n\
             Content-Type: text/plain; charset=utf-8\r\nContent-Length: 40\r\nConnection: close\r\n\r\n\
             503 Service Unavailable\nrequest id: r-1\n"
        );
    }

    #[test]
    fn head_gets_the_length_and_no_body() {
        let mut out = Vec::new();
        encode_error(&mut out, 404, "", "r-1", Asker { method: Method::Head, ..ASKER });
        let text = String::from_utf8(out).unwrap();
        assert!(text.contains("Content-Length: 30\r\n") && text.ends_with("\r\n\r\n"), "{text}");
    }

    #[test]
    fn no_content_has_no_framing_and_http10_is_told_that_the_connection_lives() {
        let mut out = Vec::new();
        let reply = Reply { status: 204, extra: b"", content_type: b"text/plain", body: b"", asker: ASKER };
        encode_reply(&mut out, &Reply { asker: Asker { version: Version::Http10, ..ASKER }, ..reply });
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "HTTP/1.1 204 No Content\r\nDate: Wed, 25 Nov 2026 04:31:00 GMT\r\nConnection: keep-alive\r\n\r\n"
        );
    }

    #[test]
    fn a_redirect_carries_its_location() {
        let mut out = Vec::new();
        encode_reply(
            &mut out,
            &Reply { status: 308, extra: b"Location: /new\r\n", content_type: b"", body: b"", asker: ASKER },
        );
        let text = String::from_utf8(out).unwrap();
        assert!(text.contains("\r\nLocation: /new\r\nContent-Length: 0\r\n\r\n"), "{text}");
    }
}
