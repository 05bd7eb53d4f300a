//! Writing heads: the request to the target and the response to the client.
//!
//! What is sent on unchanged is copied in runs, from one field that is dropped or written anew to the next; a line in any
//! but the plain form `Name: value` CRLF is written anew, so that no oddity of a peer reaches the other. Fields keep their
//! order and the spelling of their names. Each message gets exactly one framing, written here.
//!
//! `Via` is passed on and not added: with it, servers (nginx by default) stop compressing.

use super::forwarding::{Forwarding, Kept};
use super::framing::{Framing, content_length, members};
use super::marking::{self, Marking};
use crate::http::head::{Field, Method, Name, RequestHead, ResponseHead, TargetForm, Version};
use crate::observe::status::reason_phrase;
use crate::upstream::sticky::Cookie;

/// How a request is sent on.
#[derive(Clone, Copy, Debug)]
pub struct Onward<'a> {
    /// The method to send in place of the client's.
    pub method: Option<&'a [u8]>,
    /// The path to send in place of the client's.
    pub path: Option<&'a [u8]>,
    /// The query to send in place of the client's, without its `?`; an empty one is none.
    pub query: Option<&'a [u8]>,
    /// The Host to send.
    pub host: HostLine<'a>,
    /// How the body is framed; never [`Framing::UntilClose`].
    pub framing: Framing,
    /// Whether the client's `Expect: 100-continue` is sent on.
    pub expects_continue: bool,
    /// Whether it is sent as a WebSocket handshake.
    pub websocket: bool,
    /// Whether the target is told that trailers are read.
    pub accepts_trailers: bool,
    /// Where it came from.
    pub forwarding: Forwarding<'a>,
    /// Its part in a trace; `None`: what the client says of that is sent on.
    pub trace: Option<Trace>,
    /// The cookie that says where the client belongs, which is nothing to targets.
    pub cookie: Option<&'a Cookie>,
}

/// A request's part in a trace (W3C Trace Context).
#[derive(Clone, Copy, Debug)]
pub struct Trace {
    /// The value of `traceparent`.
    pub parent: [u8; 55],
    /// Whether the client's `tracestate` belongs to it.
    pub keeps_state: bool,
}

/// Which Host a target gets.
#[derive(Clone, Copy, Debug)]
pub enum HostLine<'a> {
    /// The authority that the client asked for; `fallback` if it named none, as HTTP/1.0 may.
    Client {
        /// The target's own authority.
        fallback: &'a [u8],
    },
    /// This one.
    Fixed(&'a [u8]),
}

/// Appends the head of the request to `out`: always HTTP/1.1, in origin form (or `*`).
pub fn encode_request(out: &mut Vec<u8>, head: &RequestHead, text: &[u8], onward: &Onward<'_>) {
    debug_assert_ne!(onward.framing, Framing::UntilClose);
    out.reserve(text.len().min(4096) + 512);
    let mut runs = Runs::new(out, text);
    push_request_line(&mut runs, head, onward);
    let host_stays = matches!(onward.host, HostLine::Client { .. }) && head.form != TargetForm::Absolute;
    if !host_stays {
        match onward.host {
            HostLine::Client { .. } => runs.line(b"Host", head.authority.of(text)),
            HostLine::Fixed(host) => runs.line(b"Host", host),
        }
    }
    let mut length = Length::new(match onward.framing {
        Framing::Length(length) => Some(length),
        _ => None,
    });
    let (mut kept, mut has_host, mut expects) = (Kept::default(), false, false);
    for field in &head.fields {
        let keep = match field.kind {
            Name::Other => true,
            Name::Host => {
                has_host = true;
                host_stays
            }
            Name::ContentLength => length.stays(field.value.of(text)),
            Name::Cookie => match onward.cookie {
                None => true,
                Some(cookie) => {
                    marking::push_request_cookies(&mut runs, field, cookie);
                    false
                }
            },
            Name::Expect => onward.expects_continue && !std::mem::replace(&mut expects, true),
            Name::MaxForwards if head.method == Method::Options => {
                match content_length(field.value.of(text)) {
                    Ok(hops) => runs.number(b"Max-Forwards", hops.saturating_sub(1)),
                    Err(_) => runs.field(field),
                }
                false
            }
            Name::Trailer => onward.framing == Framing::Chunked,
            Name::Traceparent => onward.trace.is_none(),
            Name::Tracestate => onward.trace.is_none_or(|trace| trace.keeps_state),
            kind if kind.tells_the_client() => onward.forwarding.keeps(kind, &mut kept),
            Name::Connection
            | Name::Disguised
            | Name::Http2Settings
            | Name::KeepAlive
            | Name::Nominated
            | Name::Proxy
            | Name::ProxyAuthorization
            | Name::ProxyConnection
            | Name::Te
            | Name::TransferEncoding
            | Name::Upgrade => false,
            _ => true,
        };
        if keep {
            runs.field(field);
        }
    }
    if let HostLine::Client { fallback } = onward.host
        && host_stays
        && !has_host
    {
        runs.line(b"Host", fallback);
    }
    let out = runs.finish();
    length.push(out);
    if onward.framing == Framing::Chunked {
        out.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
    }
    if onward.websocket {
        out.extend_from_slice(b"Connection: Upgrade\r\nUpgrade: websocket\r\n");
    } else if onward.accepts_trailers {
        out.extend_from_slice(b"TE: trailers\r\nConnection: TE\r\n");
    }
    onward.forwarding.push(out, head, text, &kept);
    if let Some(trace) = &onward.trace {
        out.extend_from_slice(b"traceparent: ");
        out.extend_from_slice(&trace.parent);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"\r\n");
}

fn push_request_line(runs: &mut Runs<'_>, head: &RequestHead, onward: &Onward<'_>) {
    const END: &[u8] = b" HTTP/1.1\r\n";
    let Onward { path, query, .. } = *onward;
    let (method, target) = (head.method_text, head.target);
    if onward.method.is_none()
        && path.is_none()
        && query.is_none()
        && head.form != TargetForm::Absolute
        && method.end + 1 == target.start
        && runs.text.get(target.end as usize..target.end as usize + END.len()) == Some(END)
    {
        return runs.keep(method.start as usize, target.end as usize + END.len());
    }
    let text = runs.text;
    let out = runs.flush();
    out.extend_from_slice(onward.method.unwrap_or(method.of(text)));
    out.push(b' ');
    match path {
        Some(path) => out.extend_from_slice(path),
        // RFC 9112 §3.2.4: OPTIONS of an absolute form without path and query asks about the server.
        None if head.path.is_empty() && head.query.is_none() && head.method == Method::Options => out.push(b'*'),
        None if head.path.is_empty() => out.push(b'/'),
        None => out.extend_from_slice(head.path.of(text)),
    }
    let query =
        query.map_or_else(|| head.query.map(|query| query.of(text)), |own| Some(own).filter(|own| !own.is_empty()));
    if let Some(query) = query {
        out.push(b'?');
        out.extend_from_slice(query);
    }
    out.extend_from_slice(END);
}

/// How a response is sent to the client.
#[derive(Clone, Copy, Debug)]
pub struct Backward<'a> {
    /// The client's version.
    pub version: Version,
    /// The method of its request.
    pub method: Method,
    /// How the body is framed towards the client: see [`Framing::towards`].
    pub framing: Framing,
    /// Whether we mean to keep the client's connection.
    pub keep_alive: bool,
    /// 101 to a WebSocket handshake.
    pub tunnel: bool,
    /// Now, as an HTTP date (RFC 9110 §5.6.7), for a response without Date.
    pub date: &'a [u8],
    /// The line of Strict-Transport-Security, in place of the target's; empty: the target's stays.
    pub hsts: &'a [u8],
    /// What it says of where the client belongs.
    pub marking: Option<&'a Marking<'a>>,
}

impl Backward<'_> {
    /// Whether the client's connection lives on behind this response. A body that ends with it does not leave it.
    pub fn persists(&self) -> bool {
        self.keep_alive && self.framing != Framing::UntilClose && !self.tunnel
    }
}

/// Appends the head of a final response, or of 101, to `out`.
pub fn encode_response(out: &mut Vec<u8>, head: &ResponseHead, text: &[u8], backward: &Backward<'_>) {
    let mut length = Length::new(stated_length(head, text, backward));
    let mut has_date = false;
    let out = push_response(out, head, text, |field| match field.kind {
        Name::ContentLength => length.stays(field.value.of(text)),
        Name::Date => {
            has_date = true;
            true
        }
        Name::SetCookie => backward.marking.is_none_or(|marking| marking.leaves(field, text)),
        Name::StrictTransportSecurity => backward.hsts.is_empty(),
        Name::Trailer => backward.framing == Framing::Chunked,
        _ => true,
    });
    length.push(out);
    if backward.framing == Framing::Chunked {
        debug_assert_eq!(backward.version, Version::Http11);
        out.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
    }
    if !has_date && !backward.tunnel {
        out.extend_from_slice(b"Date: ");
        out.extend_from_slice(backward.date);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(backward.hsts);
    if let Some(marking) = backward.marking {
        marking.push(out, head, text);
    }
    match (backward.persists(), backward.version) {
        _ if backward.tunnel => out.extend_from_slice(b"Connection: Upgrade\r\nUpgrade: websocket\r\n"),
        (false, _) => out.extend_from_slice(b"Connection: close\r\n"),
        (true, Version::Http10) => out.extend_from_slice(b"Connection: keep-alive\r\n"),
        (true, Version::Http11) => {}
    }
    out.extend_from_slice(b"\r\n");
}

/// Appends an interim response, which has no body and no framing (RFC 9110 §15.2), to `out`. An HTTP/1.0 client gets none.
pub fn encode_interim(out: &mut Vec<u8>, head: &ResponseHead, text: &[u8]) {
    let out = push_response(out, head, text, |field| !matches!(field.kind, Name::ContentLength | Name::Trailer));
    out.extend_from_slice(b"\r\n");
}

/// The Content-Length that the client gets.
fn stated_length(head: &ResponseHead, text: &[u8], backward: &Backward<'_>) -> Option<u64> {
    match (backward.framing, head.status) {
        (Framing::Length(length), _) => Some(length),
        (Framing::None, 101 | 204) | (Framing::Chunked | Framing::UntilClose, _) => None,
        // RFC 9110 §8.6: here it says how long the body of a 200 to GET would be.
        (Framing::None, status) if status == 304 || backward.method == Method::Head => {
            let coded = head.find(Name::TransferEncoding).is_some();
            let value = head.find(Name::ContentLength).filter(|_| !coded)?.value.of(text);
            members(value).next().and_then(|first| content_length(first).ok())
        }
        (Framing::None, _) => Some(0),
    }
}

fn push_response<'a>(
    out: &'a mut Vec<u8>,
    head: &ResponseHead,
    text: &'a [u8],
    mut keeps: impl FnMut(&Field) -> bool,
) -> &'a mut Vec<u8> {
    out.reserve(text.len().min(4096) + 256);
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(itoa::Buffer::new().format(head.told()).as_bytes());
    out.push(b' ');
    out.extend_from_slice(match head.told {
        None => head.reason.of(text),
        Some(told) => reason_phrase(told).as_bytes(),
    });
    out.extend_from_slice(b"\r\n");
    let mut runs = Runs::new(out, text);
    for field in &head.fields {
        let keep = match field.kind {
            Name::Other => true,
            Name::Connection
            | Name::KeepAlive
            | Name::Nominated
            | Name::ProxyAuthenticate
            | Name::ProxyAuthenticationInfo
            | Name::ProxyConnection
            | Name::Te
            | Name::TransferEncoding
            | Name::Upgrade => false,
            _ => keeps(field),
        };
        if keep {
            runs.field(field);
        }
    }
    runs.finish()
}

/// The Content-Length of a message: left where its sender put it if it reads as we would write it.
struct Length {
    length: Option<u64>,
    digits: itoa::Buffer,
    written: bool,
}

impl Length {
    fn new(length: Option<u64>) -> Self {
        Self { length, digits: itoa::Buffer::new(), written: false }
    }

    fn stays(&mut self, value: &[u8]) -> bool {
        match self.length {
            Some(length) if !self.written => {
                self.written = self.digits.format(length).as_bytes() == value;
                self.written
            }
            _ => false,
        }
    }

    fn push(mut self, out: &mut Vec<u8>) {
        if let Some(length) = self.length.filter(|_| !self.written) {
            out.extend_from_slice(b"Content-Length: ");
            out.extend_from_slice(self.digits.format(length).as_bytes());
            out.extend_from_slice(b"\r\n");
        }
    }
}

/// Copies parts of `text` to `out`, neighbours in one go.
pub(super) struct Runs<'a> {
    out: &'a mut Vec<u8>,
    pub(super) text: &'a [u8],
    start: usize,
    end: usize,
}

impl<'a> Runs<'a> {
    fn new(out: &'a mut Vec<u8>, text: &'a [u8]) -> Self {
        Self { out, text, start: 0, end: 0 }
    }

    /// Takes `start..end` over as it is.
    #[inline]
    fn keep(&mut self, start: usize, end: usize) {
        if start != self.end {
            self.flush();
            self.start = start;
        }
        self.end = end;
    }

    /// Takes a field over; anew if its line is not in the plain form.
    #[inline]
    pub(super) fn field(&mut self, field: &Field) {
        let (name, value) = (field.name, field.value);
        let plain = self.text.get(name.end as usize..value.start as usize) == Some(b": ")
            && self.text.get(value.end as usize..value.end as usize + 2) == Some(b"\r\n");
        if plain {
            self.keep(name.start as usize, value.end as usize + 2);
        } else {
            self.line(name.of(self.text), value.of(self.text));
        }
    }

    fn line(&mut self, name: &[u8], value: &[u8]) {
        let out = self.flush();
        out.extend_from_slice(name);
        out.extend_from_slice(b": ");
        out.extend_from_slice(value);
        out.extend_from_slice(b"\r\n");
    }

    fn number(&mut self, name: &[u8], value: u64) {
        self.line(name, itoa::Buffer::new().format(value).as_bytes());
    }

    pub(super) fn flush(&mut self) -> &mut Vec<u8> {
        self.out.extend_from_slice(self.text.get(self.start..self.end).unwrap_or_default());
        self.start = self.end;
        self.out
    }

    fn finish(mut self) -> &'a mut Vec<u8> {
        self.flush();
        self.out
    }
}
