//! The codec as a whole: heads in, heads out.

mod forwarded;
mod mutated;
mod requests;
mod responses;

use super::*;
use crate::http::head::{Method, RequestHead, ResponseHead, Version};

const LIMITS: Limits = Limits { head: 32 * 1024, fields: 128 };
const DATE: &[u8] = b"Wed, 25 Nov 2026 04:31:00 GMT";

fn request(text: &[u8]) -> Result<(Incoming, RequestHead), (u16, &'static str)> {
    let mut head = RequestHead::default();
    match parse_request(text, &LIMITS, &mut Scan::default(), &mut head) {
        Ok(Parsed::Complete(incoming)) => Ok((incoming, head)),
        Ok(Parsed::Partial { .. }) => Err((0, "partial")),
        Err(reject) => Err((reject.status, reject.reason)),
    }
}

fn response(text: &[u8], question: &Question) -> Result<(Answer, ResponseHead), &'static str> {
    let mut head = ResponseHead::default();
    match parse_response(text, question, &LIMITS, &mut Scan::default(), &mut head) {
        Ok(Parsed::Complete(answer)) => Ok((answer, head)),
        Ok(Parsed::Partial { .. }) => Err("partial"),
        Err(bad) => Err(bad.reason),
    }
}

/// A request with these lines between Host and the empty line.
fn with_lines(request_line: &str, lines: &str) -> Vec<u8> {
    format!("{request_line}\r\nHost: a.test\r\n{lines}\r\n").into_bytes()
}

const FORWARDING: Forwarding<'_> = Forwarding {
    style: Style::Xff,
    trusted: false,
    peer: b"192.0.2.7",
    scheme: b"http",
    port: b"80",
    certificate: b"",
};

fn onward(incoming: &Incoming) -> Onward<'static> {
    Onward {
        method: None,
        path: None,
        query: None,
        host: HostLine::Client { fallback: b"target.test:8080" },
        framing: incoming.framing,
        expects_continue: incoming.expects_continue,
        websocket: incoming.websocket,
        accepts_trailers: incoming.accepts_trailers,
        forwarding: Forwarding { style: Style::None, ..FORWARDING },
        trace: None,
        cookie: None,
    }
}

/// What the target gets of `text`.
fn forwarded(text: &[u8], change: impl FnOnce(&mut Onward<'static>)) -> String {
    let (incoming, head) = request(text).unwrap_or_else(|fault| panic!("{fault:?}: {}", text.escape_ascii()));
    let mut onward = onward(&incoming);
    change(&mut onward);
    let mut out = Vec::new();
    encode_request(&mut out, &head, text, &onward);
    String::from_utf8(out).unwrap()
}

const BACKWARD: Backward<'_> = Backward {
    version: Version::Http11,
    method: Method::Get,
    framing: Framing::None,
    keep_alive: true,
    tunnel: false,
    date: DATE,
    hsts: b"",
    marking: None,
};

/// What the client gets of `text`.
fn returned(text: &[u8], question: Question, change: impl FnOnce(&mut Backward<'static>)) -> String {
    let (answer, head) = response(text, &question).unwrap_or_else(|fault| panic!("{fault}: {}", text.escape_ascii()));
    let mut backward = Backward { framing: answer.framing, method: question.method, tunnel: answer.tunnel, ..BACKWARD };
    change(&mut backward);
    backward.framing = backward.framing.towards(backward.version);
    let mut out = Vec::new();
    match answer.interim {
        true => encode_interim(&mut out, &head, text),
        false => encode_response(&mut out, &head, text, &backward),
    }
    String::from_utf8(out).unwrap()
}
