//! The access log: one record per HTTP exchange or TCP connection, in one of three formats or the operator's own.
//!
//! A [`Policy`] says which records are lines and what is in them. [`Formatter`] turns a [`Record`] into one line without
//! allocating; [`Log`] batches lines on a worker and hands them to the log's thread. Whatever clients and targets sent, a
//! line never holds a control character, so that nobody can forge a line or drive a terminal; the formats differ in how they
//! escape. What the policy redacts is taken out before a format sees it.

mod combined;
mod escape;
mod haproxy;
mod json;
mod log;
mod policy;
mod redact;
mod stamp;
mod syslog;
mod template;

pub use log::Log;
pub use policy::{Format, Gist, Policy, Settings};
pub use syslog::Header;
pub(crate) use template::fields;
pub use template::{FIELDS, HEADERS, Template, Wrong};

use super::reason::{Cookies, Termination};
use super::trace::Ids;
use redact::Redaction;
use stamp::Stamp;
use std::io::Write;
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::sync::Arc;

/// All that a line can tell about one exchange or connection. Names come from the configuration, bytes from the wire.
#[derive(Clone, Debug)]
pub struct Record<'a> {
    /// Wall-clock time at which the request's first byte (HTTP) or the connection (TCP) came in, ns since 1970.
    pub start_ns: u64,
    /// The client: the peer, or whom a trusted proxy named. `None` for a peer on a Unix socket.
    pub client: Option<SocketAddr>,
    /// The listener's name.
    pub listener: &'a str,
    /// The route's name; empty if none took it.
    pub route: &'a str,
    /// The pool's name; empty if none was asked.
    pub pool: &'a str,
    /// The address of the target that was tried last; empty if none was.
    pub target: &'a str,
    /// The request; `None` for a TCP connection or a session of datagrams.
    pub http: Option<Http<'a>>,
    /// Datagrams of the client and of the target, where those are what was sent; `None` for HTTP and TCP.
    pub datagrams: Option<(u64, u64)>,
    /// What the TLS handshake agreed on, or the name alone where TLS was passed on; `None` in clear.
    pub tls: Option<Tls<'a>>,
    /// Bytes received from the client, heads included.
    pub bytes_in: u64,
    /// Bytes sent to the client, heads included.
    pub bytes_out: u64,
    /// How long it took.
    pub times: Times,
    /// Tries sent to targets; 0 if none was.
    pub tries: u32,
    /// Why it ended otherwise than normally: a word of [`super::reason::Reason`] or [`super::reason::Failure`]; empty
    /// for a normal end.
    pub reason: &'static str,
    /// The same as HAProxy's letters.
    pub termination: Termination,
    /// What else was going on.
    pub load: Load,
    /// Where headers are looked up that a line shows; `None` for a TCP connection.
    pub headers: Option<&'a dyn Headers>,
}

/// Which head a header is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The request's, as the client sent it.
    Request,
    /// The response's, as the client got it.
    Response,
}

/// The headers of an exchange.
pub trait Headers: std::fmt::Debug {
    /// Calls `each` with every value of the header `name`, which is in lower case.
    fn each(&self, side: Side, name: &str, each: &mut dyn FnMut(&[u8]));
}

/// A version of HTTP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.0
    Http10,
    /// HTTP/1.1
    #[default]
    Http11,
    /// HTTP/2
    Http2,
}

impl Record<'_> {
    /// HAProxy's termination state: four letters of an HTTP exchange, of which a connection has two.
    fn letters(&self) -> [u8; 4] {
        self.termination.letters(self.http.as_ref().map(|http| http.cookies).unwrap_or_default())
    }
}

impl Version {
    /// As request lines have it.
    fn name(self) -> &'static [u8] {
        match self {
            Self::Http10 => b"HTTP/1.0",
            Self::Http11 => b"HTTP/1.1",
            Self::Http2 => b"HTTP/2.0",
        }
    }
}

/// The part of a [`Record`] that only HTTP has.
#[derive(Clone, Debug, Default)]
pub struct Http<'a> {
    /// The method; empty if the request line could not be read.
    pub method: &'a [u8],
    /// The request target as the client sent it.
    pub target: &'a [u8],
    /// The version that the client speaks.
    pub version: Version,
    /// The Host header or the authority of the target; empty if there was none.
    pub host: &'a [u8],
    /// The User-Agent header; empty if there was none.
    pub user_agent: &'a [u8],
    /// The Referer header; empty if there was none.
    pub referer: &'a [u8],
    /// The status sent; 0 if none was.
    pub status: u16,
    /// Bytes of the response body sent to the client, without framing.
    pub body_out: u64,
    /// The id of the request; empty if it has none.
    pub request_id: &'a [u8],
    /// Its trace, and its span in it; `None` where nothing is traced.
    pub trace: Option<Ids>,
    /// What the cookie of a sticky pool had to do with it.
    pub cookies: Cookies,
    /// What a cache did for it: a word of [`super::reason::Cached::result`]; empty where its route has none.
    pub cache: &'static str,
    /// How it came to the answer of another request with its Idempotency-Key: `replayed` or `collapsed`; empty: it did not.
    pub idempotency: &'static str,
    /// The consumer that asks; empty where no rule has found one.
    pub consumer: &'a str,
    /// The rule that refused it; empty where none did.
    pub denied_by: &'a str,
    /// The first rule in shadow mode that would have refused it; empty where there is none.
    pub shadow_denied_by: &'a str,
    /// The rule that kept it waiting; empty: none did.
    pub held_by: &'a str,
    /// The version of the API that its route serves; empty where that says none.
    pub version_label: &'a str,
    /// Which parts of its answer are missing, and why: `orders=timeout`; empty: none are.
    pub missing: &'a str,
}

/// What a TLS handshake agreed on.
#[derive(Clone, Copy, Debug)]
pub struct Tls<'a> {
    /// The version: `1.2` or `1.3`.
    pub version: &'a str,
    /// The cipher suite.
    pub cipher: &'a str,
    /// The name that the client asked for; empty if it asked for none.
    pub name: &'a str,
}

/// Durations, ns. `None` if that point was not reached.
#[derive(Clone, Copy, Debug, Default)]
pub struct Times {
    /// First byte of the request to the end of its head.
    pub request_head: Option<u64>,
    /// Waiting for a place in a pool.
    pub queue: Option<u64>,
    /// Getting a connection to the target, failed tries included; 0 for a reused one.
    pub connect: Option<u64>,
    /// Request sent to first byte of the response.
    pub first_byte: Option<u64>,
    /// Start to end.
    pub total: u64,
}

/// Counts at the end of the exchange, itself included; the HAProxy format shows them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Load {
    /// Connections of the process.
    pub process: u64,
    /// Connections of the listener.
    pub listener: u64,
    /// Exchanges in flight in the pool.
    pub pool: u64,
    /// Exchanges in flight at the target.
    pub target: u64,
    /// Where it stood in line when it came.
    pub places: Places,
}

/// Places in lines: 1 for the first of those who wait; 0 where it did not wait. Who waited several times has the sum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Places {
    /// Among those who wait for the one target that they belong to.
    pub target: u32,
    /// Among those who wait for any target of the pool.
    pub pool: u32,
}

impl std::ops::AddAssign for Places {
    fn add_assign(&mut self, more: Self) {
        self.target = self.target.saturating_add(more.target);
        self.pool = self.pool.saturating_add(more.pool);
    }
}

/// Headers as a line shows them.
struct Shown<'a> {
    headers: &'a [String],
    response_headers: &'a [String],
    redaction: &'a Redaction,
    value: &'a mut Vec<u8>,
}

impl Shown<'_> {
    /// The values of a request header, joined as a target may join them (RFC 9110 §5.3).
    fn request(&mut self, record: &Record<'_>, name: &str) -> Option<&[u8]> {
        self.find(Side::Request, record, name)
    }

    /// The same of the response.
    fn response(&mut self, record: &Record<'_>, name: &str) -> Option<&[u8]> {
        self.find(Side::Response, record, name)
    }

    fn find(&mut self, side: Side, record: &Record<'_>, name: &str) -> Option<&[u8]> {
        self.value.clear();
        let mut found = 0;
        record.headers?.each(side, name, &mut |value| {
            if found > 0 {
                self.value.extend_from_slice(b", ");
            }
            found += 1;
            self.redaction.header(name, value, self.value);
        });
        (found > 0).then_some(self.value)
    }
}

/// Writes records as lines. It remembers the text of the last second, so that a date is formatted once a second.
#[derive(Debug)]
pub struct Formatter {
    policy: Arc<Policy>,
    stamp: Stamp,
    /// The time of a syslog header, which is that of the record's end.
    sent: Stamp,
    /// Room for a header's value.
    value: Vec<u8>,
    /// Room for texts that something is hidden in.
    redacted: Vec<u8>,
}

impl Formatter {
    /// A formatter that goes by `policy`.
    pub fn new(policy: Arc<Policy>) -> Self {
        let (value, redacted) = (Vec::new(), Vec::new());
        Self { policy, stamp: Stamp::default(), sent: Stamp::default(), value, redacted }
    }

    /// What it goes by.
    pub fn policy(&self) -> &Arc<Policy> {
        &self.policy
    }

    /// Appends `record` to `out` as one line, line feed included.
    pub fn write(&mut self, record: &Record<'_>, out: &mut Vec<u8>) {
        let Some(header) = &self.policy.settings.syslog else {
            self.line(record, out);
            return out.push(b'\n');
        };
        header.write(record, &mut self.sent, out);
        let start = out.len();
        self.line(record, out);
        syslog::mark(start, out);
        out.push(b'\n');
    }

    fn line(&mut self, record: &Record<'_>, out: &mut Vec<u8>) {
        self.stamp.set(record.start_ns);
        match &record.http {
            Some(http) if !self.policy.redaction.is_idle(&["user-agent", "referer"]) => {
                self.line_redacted(record, http, out);
            }
            _ => self.format(record, out),
        }
    }

    #[cold]
    fn line_redacted(&mut self, record: &Record<'_>, http: &Http<'_>, out: &mut Vec<u8>) {
        let mut room = std::mem::take(&mut self.redacted);
        room.clear();
        let redaction = &self.policy.redaction;
        let mut part = |write: &dyn Fn(&mut Vec<u8>)| -> Range<usize> {
            let start = room.len();
            write(&mut room);
            start..room.len()
        };
        let header = |name, value: &[u8], room: &mut Vec<u8>| {
            if !value.is_empty() {
                redaction.header(name, value, room);
            }
        };
        let target = part(&|room| redaction.text(http.target, room));
        let referer = part(&|room| header("referer", http.referer, room));
        let user_agent = part(&|room| header("user-agent", http.user_agent, room));
        let (target, referer, user_agent) = (&room[target], &room[referer], &room[user_agent]);
        let http = Http { target, referer, user_agent, ..http.clone() };
        self.format(&Record { http: Some(http), ..record.clone() }, out);
        self.redacted = room;
    }

    fn format(&mut self, record: &Record<'_>, out: &mut Vec<u8>) {
        let settings = &self.policy.settings;
        let shown = &mut Shown {
            headers: &settings.headers,
            response_headers: &settings.response_headers,
            redaction: &self.policy.redaction,
            value: &mut self.value,
        };
        match &settings.format {
            Format::Json => json::write(record, shown, &self.stamp, out),
            Format::Combined => combined::write(record, shown, &self.stamp, out),
            Format::Haproxy => haproxy::write(record, shown, &self.stamp, out),
            Format::Template(template) => template.write(record, shown, &self.stamp, out),
        }
    }
}

#[inline]
fn number(value: u64, out: &mut Vec<u8>) {
    match u8::try_from(value) {
        Ok(digit @ 0..=9) => out.push(b'0' + digit),
        _ => out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes()),
    }
}

/// Milliseconds with three decimals, of ns; nothing for `None`.
#[inline]
fn millis(ns: Option<u64>, out: &mut Vec<u8>) {
    match ns {
        None => {}
        // A used connection, a head that came at once.
        Some(0) => out.extend_from_slice(b"0.000"),
        Some(ns) => {
            let us = ns / 1_000;
            number(us / 1_000, out);
            // Below a thousand, where 32 bits are quicker.
            let rest = (us % 1_000) as u32;
            let digit = |n: u32| b'0' + (n % 10) as u8;
            out.extend_from_slice(&[b'.', b'0' + (rest / 100) as u8, digit(rest / 10), digit(rest)]);
        }
    }
}

/// The client's address alone; `-` for a Unix socket.
fn client_ip(client: Option<SocketAddr>, out: &mut Vec<u8>) {
    match client.map(|client| client.ip().to_canonical()) {
        Some(IpAddr::V4(ip)) => {
            let (mut text, mut length) = ([0; 16], 0);
            let mut push = |byte| {
                text[length & 15] = byte;
                length += 1;
            };
            for octet in ip.octets() {
                if octet >= 100 {
                    push(b'0' + octet / 100);
                }
                if octet >= 10 {
                    push(b'0' + octet / 10 % 10);
                }
                push(b'0' + octet % 10);
                push(b'.');
            }
            out.extend_from_slice(&text[..length - 1]);
        }
        // Writing to a Vec cannot fail.
        Some(IpAddr::V6(ip)) => drop(write!(out, "{ip}")),
        None => out.push(b'-'),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::observe::reason::{Cause, Phase};

    /// 2026-11-25 04:26:03.045 UTC.
    pub const START_NS: u64 = 1_795_580_763_045_678_901;

    pub fn http() -> Record<'static> {
        Record {
            start_ns: START_NS,
            client: Some("10.0.1.2:33317".parse().unwrap()),
            listener: "web",
            route: "api",
            pool: "static",
            target: "10.0.0.1:8080",
            http: Some(Http {
                method: b"GET",
                target: b"/index.html?q=1",
                version: Version::Http11,
                host: b"example.com",
                user_agent: b"curl/8",
                referer: b"",
                status: 200,
                body_out: 2500,
                request_id: b"01hq",
                trace: None,
                cookies: Cookies::default(),
                cache: "",
                idempotency: "",
                consumer: "",
                denied_by: "",
                shadow_denied_by: "",
                held_by: "",
                version_label: "",
                missing: "",
            }),
            datagrams: None,
            tls: None,
            bytes_in: 120,
            bytes_out: 2750,
            times: Times {
                request_head: Some(10_400_000),
                queue: Some(0),
                connect: Some(30_000_000),
                first_byte: Some(69_000_000),
                total: 109_000_000,
            },
            tries: 1,
            reason: "",
            termination: Termination::DONE,
            load: Load { process: 4, listener: 3, pool: 2, target: 1, places: Places::default() },
            headers: None,
        }
    }

    /// Headers that a test gives.
    #[derive(Debug)]
    pub struct Fields {
        pub request: &'static [(&'static str, &'static str)],
        pub response: &'static [(&'static str, &'static str)],
    }

    impl Headers for Fields {
        fn each(&self, side: Side, name: &str, each: &mut dyn FnMut(&[u8])) {
            let fields = if side == Side::Request { self.request } else { self.response };
            fields.iter().filter(|field| field.0.eq_ignore_ascii_case(name)).for_each(|field| each(field.1.as_bytes()));
        }
    }

    pub fn tcp() -> Record<'static> {
        Record {
            http: None,
            route: "",
            tries: 3,
            reason: "reset",
            termination: Termination { cause: Cause::Target, phase: Phase::Data },
            ..http()
        }
    }

    /// A client that tries to forge lines and drive terminals.
    pub fn hostile() -> Record<'static> {
        let evil = b"/\"\\\n\r\x1b[2J\x00\x7f\xff\xc2\x85\xe2\x80\xa8\xe2\x80\xae{|}#\xc3\xa9 x";
        let http = Http { target: evil, host: evil, user_agent: evil, referer: evil, method: evil, ..Http::default() };
        Record { http: Some(http), listener: "we\nb x", ..http_less() }
    }

    fn http_less() -> Record<'static> {
        Record { pool: "", target: "", ..tcp() }
    }

    pub fn line(format: Format, record: &Record<'_>) -> String {
        lines_of(Settings::new(format), record)
    }

    pub fn lines_of(settings: Settings, record: &Record<'_>) -> String {
        let mut out = Vec::new();
        Formatter::new(Policy::new(settings).into()).write(record, &mut out);
        String::from_utf8(out).expect("a line is UTF-8 whatever came in")
    }

    /// All formats, the operator's with every field.
    fn formats() -> [Format; 4] {
        let all: Vec<String> = FIELDS.iter().map(|name| format!("\"{{{name}}}\"")).collect();
        let headers = "{request.headers.authorization} {request.headers.referer} {response.headers.location}";
        let template = format!("{} {headers}", all.join(" "));
        [Format::Json, Format::Combined, Format::Haproxy, Format::Template(Template::parse(&template).unwrap())]
    }

    #[test]
    fn no_control_character_reaches_a_line() {
        for format in formats() {
            let line = line(format, &hostile());
            let (body, end) = line.split_at(line.len() - 1);
            assert_eq!(end, "\n");
            assert!(!body.chars().any(|c| c.is_control() || matches!(c, '\u{2028}'..='\u{202e}')), "{body}");
        }
    }

    #[test]
    fn an_ipv4_client_on_a_dual_stack_socket_shows_as_ipv4() {
        let mut out = Vec::new();
        client_ip(Some("[::ffff:10.0.0.1]:80".parse().unwrap()), &mut out);
        client_ip(None, &mut out);
        assert_eq!(out, b"10.0.0.1-");
    }

    /// Whatever the format, and wherever a client puts it.
    #[test]
    fn what_is_redacted_is_in_no_line() {
        let fields = Fields {
            request: &[("Authorization", "Bearer s3cret"), ("referer", "http://a/?tOken=s3cret"), ("cookie", "s3cret")],
            response: &[("location", "/x?%74oken=s3cret"), ("set-cookie", "s3cret")],
        };
        let names = |names: &[&str]| -> Vec<String> { names.iter().map(|name| (*name).to_owned()).collect() };
        for format in formats() {
            let settings = Settings {
                headers: names(&["authorization", "referer", "cookie"]),
                response_headers: names(&["location", "set-cookie"]),
                redact_headers: names(&["authorization", "cookie", "set-cookie"]),
                redact_query: names(&["token"]),
                ..Settings::new(format)
            };
            let http = Http {
                target: b"/a?x=1&TOKEN=s3cret",
                referer: b"http://a/?next=%2Fb%3Ftoken%3Ds3cret",
                user_agent: b"bot (+http://a/?token=s3cret)",
                ..http().http.unwrap()
            };
            let line = lines_of(settings, &Record { http: Some(http), headers: Some(&fields), ..super::tests::http() });
            assert!(!line.contains("s3cret"), "{line}");
            assert!(line.contains("/a?x=1&TOKEN=[redacted]"), "{line}");
        }
        let settings = Settings { redact_headers: names(&["user-agent", "referer"]), ..Settings::new(Format::Json) };
        let http = Http { user_agent: b"s3cret", referer: b"", ..http().http.unwrap() };
        let line = lines_of(settings, &Record { http: Some(http), ..super::tests::http() });
        assert!(line.contains("\"user_agent\":\"[redacted]\"") && !line.contains("referer"), "{line}");
    }
}
