//! An exchange as spans, by OpenTelemetry's semantic conventions for HTTP: one SERVER span, in it one CLIENT span per try,
//! and in that one for the connection, where a new one was asked for.

use super::context::Context;
use super::facts::{Facts, Try};
use super::protobuf::Writer;
use crate::observe::access::{Http, Record, Version};
use crate::observe::reason::{Cause, Phase};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// All that spans tell about an exchange.
pub struct Exchange<'a> {
    /// What the access log tells.
    pub record: &'a Record<'a>,
    /// What was noted on the way.
    pub facts: &'a Facts,
    /// When it began, as the facts count the time.
    pub started: Instant,
    /// The part of an answer that it was asked for; empty: it is a client's own.
    pub part: &'a str,
    /// Whether a route took it.
    pub routed: bool,
    /// The path as the client sent it, without the query.
    pub path: &'a [u8],
    /// `http` or `https`.
    pub scheme: &'a str,
    /// Who the connection is with; port 0 stands for a Unix socket.
    pub peer: SocketAddr,
    /// The client's `tracestate`, if its `traceparent` counts; else empty.
    pub state: &'a [u8],
    /// The name of the target at a position in the pool.
    pub target: &'a dyn Fn(usize) -> &'a str,
}

/// Bytes of a value: what is beyond is left out.
const VALUE: usize = 1024;
/// Bytes of a `tracestate` that is told of; a longer one makes no sense in part.
const STATE: usize = 512;

const INTERNAL: u64 = 1;
const SERVER: u64 = 2;
const CLIENT: u64 = 3;

/// The fields of OTLP's messages.
mod field {
    pub const SPANS: u32 = 2;

    pub const TRACE_ID: u32 = 1;
    pub const SPAN_ID: u32 = 2;
    pub const TRACE_STATE: u32 = 3;
    pub const PARENT: u32 = 4;
    pub const NAME: u32 = 5;
    pub const KIND: u32 = 6;
    pub const START: u32 = 7;
    pub const END: u32 = 8;
    pub const ATTRIBUTES: u32 = 9;
    pub const EVENTS: u32 = 11;
    pub const STATUS: u32 = 15;
    pub const FLAGS: u32 = 16;

    pub const EVENT_TIME: u32 = 1;
    pub const EVENT_NAME: u32 = 2;

    pub const STATUS_CODE: u32 = 3;
}

/// `STATUS_CODE_ERROR`
const ERROR: u64 = 2;
/// Whether a span's parent is in another process: known, and so.
const PARENT_IS_REMOTE: [u32; 2] = [1 << 8, 1 << 9];

/// What all spans have.
struct Frame<'f> {
    id: u64,
    parent: u64,
    name: [&'f [u8]; 3],
    kind: u64,
    from: u64,
    to: u64,
}

impl Exchange<'_> {
    /// Whether it is told of although it is not in the sample: something other than the client failed.
    pub fn is_error(&self) -> bool {
        let theirs = matches!(self.record.termination.cause, Cause::Client | Cause::ClientTimeout);
        self.status() >= 500 || self.is_failed() && !theirs
    }

    /// Appends its spans to `out`, each as a field of `ScopeSpans`, and returns how many they are.
    pub fn write(&self, out: &mut Vec<u8>) -> u32 {
        let (Some(context), Some(http)) = (self.facts.context(), &self.record.http) else { return 0 };
        let mut out = Writer::new(out);
        match self.part {
            "" => self.write_server(&mut out, context, http),
            part => self.write_part(&mut out, context, part),
        }
        let mut spans = 1;
        if let Some((at, took)) = self.facts.queue() {
            self.write_queue(&mut out, context, self.at(at), self.at(at + took));
            spans += 1;
        }
        let mut free = self.record.start_ns;
        for one in self.facts.tries() {
            let from = one.connect.map(|(at, _)| at).or(one.sent).map_or(free, |at| self.at(at));
            let to = one.failed.map_or(self.end(), |(_, at)| self.at(at)).max(from);
            self.write_try(&mut out, context, http, one, from..to);
            spans += 1;
            if let Some((at, took)) = one.connect {
                self.write_connect(
                    &mut out,
                    context,
                    one,
                    self.at(at),
                    took.map_or(to, |took| self.at(at + took).min(to)),
                );
                spans += 1;
            }
            free = to;
        }
        spans
    }

    fn write_server(&self, out: &mut Writer<'_>, context: &Context, http: &Http<'_>) {
        let record = self.record;
        let (method, known) = method(http.method);
        let route = if self.routed { record.route.as_bytes() } else { b"" };
        let spoken = if known { method } else { b"HTTP" };
        let frame = Frame {
            id: context.ids.span_id,
            parent: context.parent,
            name: [spoken, if route.is_empty() { b"" } else { b" " }, route],
            kind: SERVER,
            from: record.start_ns,
            to: self.end(),
        };
        self.span(out, context, &frame, |out| {
            text(out, "http.request.method", method);
            if !known {
                text(out, "http.request.method_original", http.method);
            }
            text(out, "url.path", self.path);
            text(out, "url.scheme", self.scheme.as_bytes());
            let (host, port) = split(http.host);
            text(out, "server.address", host);
            number(out, "server.port", port);
            if let Some(client) = record.client {
                text(out, "client.address", client.ip().to_canonical().to_string().as_bytes());
            }
            if self.peer.port() != 0 {
                text(out, "network.peer.address", self.peer.ip().to_canonical().to_string().as_bytes());
                number(out, "network.peer.port", self.peer.port().into());
            }
            text(out, "network.protocol.version", version(http.version));
            text(out, "user_agent.original", http.user_agent);
            number(out, "http.response.status_code", self.status());
            text(out, "http.route", route);
            text(out, "ringway.listener", record.listener.as_bytes());
            text(out, "ringway.pool", record.pool.as_bytes());
            text(out, "ringway.request_id", http.request_id);
            text(out, "ringway.reason", record.reason.as_bytes());
            text(out, "ringway.cache", http.cache.as_bytes());
            text(out, "ringway.idempotency", http.idempotency.as_bytes());
            if self.status() >= 500 || self.is_failed() {
                fail(out, record.reason, self.status());
            }
        });
    }

    /// What was asked for in a client's place.
    fn write_part(&self, out: &mut Writer<'_>, context: &Context, part: &str) {
        let record = self.record;
        let frame = Frame {
            id: context.ids.span_id,
            parent: context.parent,
            name: [b"part ", part.as_bytes(), b""],
            kind: INTERNAL,
            from: record.start_ns,
            to: self.end(),
        };
        self.span(out, context, &frame, |out| {
            text(out, "ringway.part", part.as_bytes());
            text(out, "ringway.pool", record.pool.as_bytes());
            text(out, "ringway.reason", record.reason.as_bytes());
            if self.status() >= 400 || self.is_failed() {
                fail(out, record.reason, self.status());
            }
        });
    }

    fn write_try(
        &self,
        out: &mut Writer<'_>,
        context: &Context,
        http: &Http<'_>,
        one: &Try,
        time: std::ops::Range<u64>,
    ) {
        let (method, known) = method(http.method);
        let name = [if known { method } else { b"HTTP" }, b"", b""];
        let frame =
            Frame { id: one.span_id, parent: context.ids.span_id, name, kind: CLIENT, from: time.start, to: time.end };
        self.span(out, context, &frame, |out| {
            text(out, "http.request.method", method);
            self.write_target(out, one, "server.address", "server.port");
            text(out, "network.protocol.version", if one.h2 { b"2" } else { b"1.1" });
            number(out, "http.request.resend_count", one.before.into());
            number(out, "http.response.status_code", one.status.into());
            text(out, "ringway.pool", self.record.pool.as_bytes());
            if let (Some(sent), Some(took)) = (one.sent, one.first_byte) {
                out.message(field::EVENTS, |out| {
                    out.fixed64(field::EVENT_TIME, self.at(sent + took).clamp(time.start, time.end));
                    out.bytes(field::EVENT_NAME, b"first_byte");
                });
            }
            let ended_by = match one.failed {
                Some((word, _)) => word,
                // It lasted to the end of the exchange, which may have come from the client's side.
                None if self.is_failed() || one.status == 0 => self.record.reason,
                None => "",
            };
            if one.status >= 400 || !ended_by.is_empty() {
                fail(out, ended_by, one.status.into());
            }
        });
    }

    fn write_connect(&self, out: &mut Writer<'_>, context: &Context, one: &Try, from: u64, to: u64) {
        // It has no other name within its process, so that its id need not be kept: the try's, turned around.
        let id = !one.span_id;
        let frame = Frame { id, parent: one.span_id, name: [b"connect", b"", b""], kind: INTERNAL, from, to };
        self.span(out, context, &frame, |out| {
            self.write_target(out, one, "network.peer.address", "network.peer.port");
            if let (Some((_, None)), Some((word, _))) = (one.connect, one.failed) {
                fail(out, word, 0);
            }
        });
    }

    fn write_queue(&self, out: &mut Writer<'_>, context: &Context, from: u64, to: u64) {
        // As with a connection: there is one in an exchange at most.
        let id = !context.ids.span_id;
        let frame = Frame { id, parent: context.ids.span_id, name: [b"queue", b"", b""], kind: INTERNAL, from, to };
        self.span(out, context, &frame, |out| {
            text(out, "ringway.pool", self.record.pool.as_bytes());
            if self.facts.tries().is_empty() && self.is_failed_in_queue() {
                fail(out, self.record.reason, 0);
            }
        });
    }

    /// Whether it came to its end while it waited for a target with room.
    fn is_failed_in_queue(&self) -> bool {
        self.record.termination.phase == Phase::Queue
    }

    /// The address of a target, or the path of its socket.
    fn write_target(&self, out: &mut Writer<'_>, one: &Try, address: &str, port_key: &str) {
        let name = (self.target)(one.target);
        let (host, port) =
            name.strip_prefix("unix:").map_or_else(|| split(name.as_bytes()), |path| (path.as_bytes(), 0));
        text(out, address, host);
        number(out, port_key, port);
    }

    fn span(&self, out: &mut Writer<'_>, context: &Context, frame: &Frame<'_>, fill: impl FnOnce(&mut Writer<'_>)) {
        out.message(field::SPANS, |out| {
            out.bytes(field::TRACE_ID, &context.ids.trace_id.to_be_bytes());
            out.bytes(field::SPAN_ID, &frame.id.to_be_bytes());
            if self.state.len() <= STATE && !self.state.is_empty() {
                out.text(field::TRACE_STATE, self.state, STATE * 2);
            }
            if frame.parent != 0 {
                out.bytes(field::PARENT, &frame.parent.to_be_bytes());
            }
            out.message(field::NAME, |out| frame.name.iter().for_each(|part| out.raw(part)));
            out.number(field::KIND, frame.kind);
            out.fixed64(field::START, frame.from);
            out.fixed64(field::END, frame.to);
            let remote = frame.kind == SERVER && frame.parent != 0;
            let [known, remotely] = PARENT_IS_REMOTE;
            out.fixed32(field::FLAGS, u32::from(context.flags()) | known | if remote { remotely } else { 0 });
            fill(out);
        });
    }

    /// Whether it came to another end than an answer of its own, whoever is to blame.
    fn is_failed(&self) -> bool {
        !self.record.reason.is_empty() && self.status() < 400
    }

    /// The status sent; 0 if none was.
    fn status(&self) -> u64 {
        self.record.http.as_ref().map_or(0, |http| http.status.into())
    }

    fn end(&self) -> u64 {
        self.record.start_ns + self.record.times.total
    }

    /// Monotonic time as wall-clock time, ns since 1970. Never outside of the exchange.
    fn at(&self, at: Instant) -> u64 {
        let since = at.saturating_duration_since(self.started).min(Duration::from_nanos(self.record.times.total));
        self.record.start_ns + u64::try_from(since.as_nanos()).unwrap_or_default()
    }
}

/// Makes the span one that failed, by `word` or else by the status.
fn fail(out: &mut Writer<'_>, word: &str, status: u64) {
    match word {
        "" => text(out, "error.type", itoa::Buffer::new().format(status).as_bytes()),
        word => text(out, "error.type", word.as_bytes()),
    }
    out.message(field::STATUS, |out| out.number(field::STATUS_CODE, ERROR));
}

/// An attribute; without a value there is none.
fn text(out: &mut Writer<'_>, key: &str, value: &[u8]) {
    if !value.is_empty() {
        out.attribute(field::ATTRIBUTES, key, value, VALUE);
    }
}

/// The same; without a value it is 0.
fn number(out: &mut Writer<'_>, key: &str, value: u64) {
    if value != 0 {
        out.message(field::ATTRIBUTES, |out| {
            out.bytes(1, key.as_bytes());
            out.message(2, |out| out.number(3, value));
        });
    }
}

/// The method as `http.request.method` has it, and whether it is one of those that are well known.
fn method(sent: &[u8]) -> (&[u8], bool) {
    match sent {
        b"GET" | b"HEAD" | b"POST" | b"PUT" | b"DELETE" | b"OPTIONS" | b"PATCH" | b"TRACE" | b"CONNECT" => (sent, true),
        _ => (b"_OTHER", false),
    }
}

fn version(version: Version) -> &'static [u8] {
    match version {
        Version::Http10 => b"1.0",
        Version::Http11 => b"1.1",
        Version::Http2 => b"2",
    }
}

/// Host and port of an authority; 0 where it names none.
fn split(authority: &[u8]) -> (&[u8], u64) {
    let colon = authority.iter().rposition(|&byte| byte == b':').filter(|_| !authority.ends_with(b"]"));
    let Some(colon) = colon else { return (bare(authority), 0) };
    let port = std::str::from_utf8(&authority[colon + 1..]).ok().and_then(|port| port.parse::<u16>().ok());
    (bare(&authority[..colon]), port.unwrap_or(0).into())
}

/// An IPv6 address without its brackets.
fn bare(host: &[u8]) -> &[u8] {
    host.strip_prefix(b"[").and_then(|host| host.strip_suffix(b"]")).unwrap_or(host)
}

#[cfg(test)]
#[path = "span_tests.rs"]
mod tests;
