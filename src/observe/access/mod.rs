//! The access log: one record per HTTP exchange or TCP connection, in one of three formats.
//!
//! [`Formatter`] turns a [`Record`] into one line without allocating; [`Log`] batches lines on a worker and hands them
//! to the file thread. Whatever clients and targets sent, a line never holds a control character, so that nobody can
//! forge a line or drive a terminal; the formats differ in how they escape.

mod combined;
mod escape;
mod haproxy;
mod json;
mod log;
mod stamp;

pub use log::Log;

use super::reason::Termination;
use stamp::Stamp;
use std::io::Write;
use std::net::{IpAddr, SocketAddr};

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
    /// The request; `None` for a TCP connection.
    pub http: Option<Http<'a>>,
    /// What the TLS handshake agreed on; `None` in clear.
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
}

/// How a line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One JSON object.
    Json,
    /// Apache's and NGINX's "combined".
    Combined,
    /// HAProxy's `option httplog`, and `option tcplog` for TCP, without the syslog prefix.
    Haproxy,
}

/// Writes records as lines. It remembers the text of the last second, so that a date is formatted once a second.
#[derive(Debug)]
pub struct Formatter {
    format: Format,
    stamp: Stamp,
}

impl Formatter {
    /// A formatter for `format`.
    pub fn new(format: Format) -> Self {
        Self { format, stamp: Stamp::default() }
    }

    /// Appends `record` to `out` as one line, line feed included.
    pub fn write(&mut self, record: &Record<'_>, out: &mut Vec<u8>) {
        self.stamp.set(record.start_ns);
        match self.format {
            Format::Json => json::write(record, &self.stamp, out),
            Format::Combined => combined::write(record, &self.stamp, out),
            Format::Haproxy => haproxy::write(record, &self.stamp, out),
        }
        out.push(b'\n');
    }
}

fn number(value: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// The client's address alone; `-` for a Unix socket.
fn client_ip(client: Option<SocketAddr>, out: &mut Vec<u8>) {
    match client.map(|client| client.ip().to_canonical()) {
        Some(IpAddr::V4(ip)) => {
            let [a, b, c, d] = ip.octets();
            number(u64::from(a), out);
            for octet in [b, c, d] {
                out.push(b'.');
                number(u64::from(octet), out);
            }
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
            }),
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
            load: Load { process: 4, listener: 3, pool: 2, target: 1 },
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
        let mut out = Vec::new();
        Formatter::new(format).write(record, &mut out);
        String::from_utf8(out).expect("a line is UTF-8 whatever came in")
    }

    #[test]
    fn no_control_character_reaches_a_line() {
        for format in [Format::Json, Format::Combined, Format::Haproxy] {
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
}
