//! The fields that tell a target who the client is: `X-Forwarded-*`, `Forwarded` (RFC 7239), and those of its certificate.
//!
//! What a client that is no trusted proxy says of itself never reaches a target: it is dropped, and the truth is written. A
//! trusted proxy's list is extended by that proxy's own address, and what it says of scheme, host and port stays.

use crate::http::head::{Name, RequestHead};

/// Which fields are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Style {
    /// `X-Forwarded-For`, `-Proto`, `-Host`, `-Port`
    #[default]
    Xff,
    /// `Forwarded`
    Rfc7239,
    /// Both.
    Both,
    /// None: a trusted proxy's pass as they are, others are dropped.
    None,
}

impl Style {
    fn has_xff(self) -> bool {
        matches!(self, Style::Xff | Style::Both)
    }

    fn has_forwarded(self) -> bool {
        matches!(self, Style::Rfc7239 | Style::Both)
    }
}

/// Where a request came from.
#[derive(Clone, Copy, Debug)]
pub struct Forwarding<'a> {
    /// Which fields are written.
    pub style: Style,
    /// Whether the peer is a trusted proxy.
    pub trusted: bool,
    /// The peer's IP address without port or brackets; empty if it has none (a Unix socket).
    pub peer: &'a [u8],
    /// `http` or `https`: how the request came to us.
    pub scheme: &'a [u8],
    /// The port of ours that it came to, in decimal; empty if there is none.
    pub port: &'a [u8],
    /// Whole lines that tell of the client's certificate; empty if it showed none.
    pub certificate: &'a [u8],
}

/// Which of a trusted proxy's fields were left in place.
#[derive(Default)]
pub(super) struct Kept {
    proto: bool,
    host: bool,
    port: bool,
}

impl Forwarding<'_> {
    /// Whether a field for which [`Name::tells_the_client`] holds is sent on as it is.
    pub(super) fn keeps(&self, kind: Name, kept: &mut Kept) -> bool {
        if !self.trusted {
            return false;
        }
        match kind {
            // Two of them would be one too many: ours is of the connection that we see.
            Name::ClientCert => return self.certificate.is_empty(),
            Name::XForwardedFor => return !self.style.has_xff(),
            Name::Forwarded => return !self.style.has_forwarded(),
            Name::XForwardedProto => kept.proto = true,
            Name::XForwardedHost => kept.host = true,
            Name::XForwardedPort => kept.port = true,
            _ => {}
        }
        true
    }

    /// Writes our lines.
    pub(super) fn push(&self, out: &mut Vec<u8>, head: &RequestHead, text: &[u8], kept: &Kept) {
        let host = head.authority.of(text);
        out.extend_from_slice(self.certificate);
        if self.style.has_xff() {
            self.push_xff(out, head, text);
            if !kept.proto {
                line(out, b"X-Forwarded-Proto: ", self.scheme);
            }
            if !kept.host && !host.is_empty() {
                line(out, b"X-Forwarded-Host: ", host);
            }
            if !kept.port && !self.port.is_empty() {
                line(out, b"X-Forwarded-Port: ", self.port);
            }
        }
        if self.style.has_forwarded() {
            self.push_forwarded(out, head, text, host);
        }
    }

    fn push_xff(&self, out: &mut Vec<u8>, head: &RequestHead, text: &[u8]) {
        let mut list = List::new(out, b"X-Forwarded-For: ");
        if self.trusted {
            for field in head.fields.iter().filter(|field| field.kind == Name::XForwardedFor) {
                list.add(out, field.value.of(text));
            }
        }
        list.add(out, self.peer);
        list.end(out);
    }

    fn push_forwarded(&self, out: &mut Vec<u8>, head: &RequestHead, text: &[u8], host: &[u8]) {
        let mut list = List::new(out, b"Forwarded: ");
        if self.trusted {
            for field in head.fields.iter().filter(|field| field.kind == Name::Forwarded) {
                list.add(out, field.value.of(text));
            }
        }
        list.separate(out);
        push_node(out, self.peer);
        if !host.is_empty() {
            out.extend_from_slice(b";host=");
            push_value(out, host);
        }
        out.extend_from_slice(b";proto=");
        out.extend_from_slice(self.scheme);
        list.end(out);
    }
}

/// A field line whose value is a list; a list without members leaves no line.
struct List {
    line: usize,
    members: usize,
}

impl List {
    fn new(out: &mut Vec<u8>, name: &[u8]) -> Self {
        let line = out.len();
        out.extend_from_slice(name);
        Self { line, members: 0 }
    }

    fn add(&mut self, out: &mut Vec<u8>, member: &[u8]) {
        if !member.is_empty() {
            self.separate(out);
            out.extend_from_slice(member);
        }
    }

    fn separate(&mut self, out: &mut Vec<u8>) {
        if self.members > 0 {
            out.extend_from_slice(b", ");
        }
        self.members += 1;
    }

    fn end(self, out: &mut Vec<u8>) {
        match self.members {
            0 => out.truncate(self.line),
            _ => out.extend_from_slice(b"\r\n"),
        }
    }
}

#[inline]
fn line(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.extend_from_slice(name);
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// `for=` and the node: an IPv6 address stands in brackets and quotes (RFC 7239 §6).
fn push_node(out: &mut Vec<u8>, peer: &[u8]) {
    out.extend_from_slice(b"for=");
    if peer.contains(&b':') {
        out.extend_from_slice(b"\"[");
        out.extend_from_slice(peer);
        out.extend_from_slice(b"]\"");
    } else if peer.is_empty() {
        out.extend_from_slice(b"unknown");
    } else {
        out.extend_from_slice(peer);
    }
}

/// A host, quoted if it is no token. A checked authority holds neither quotes nor backslashes.
fn push_value(out: &mut Vec<u8>, host: &[u8]) {
    let quoted = host.iter().any(|byte| matches!(byte, b':' | b'['));
    if quoted {
        out.push(b'"');
    }
    out.extend_from_slice(host);
    if quoted {
        out.push(b'"');
    }
}
