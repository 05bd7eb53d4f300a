//! What is filled in for a request.

use crate::config::template::Field;
use crate::gateway::limits::Decision;
use crate::gateway::{Consumer, Proven};
use crate::http::head::{RequestHead, Version};
use crate::http::outcome::RequestId;
use crate::observe::access::Tls;
use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;

/// What is filled in for a request.
pub(in crate::http) struct Facts<'a> {
    /// Who asks: the peer, or whom a trusted proxy names.
    pub(in crate::http) client: SocketAddr,
    pub(in crate::http) listener: &'a str,
    pub(in crate::http) route: &'a str,
    pub(in crate::http) pool: &'a str,
    pub(in crate::http) target: &'a str,
    pub(in crate::http) id: RequestId,
    /// Whom rules have found to ask.
    pub(in crate::http) consumer: Option<&'a Consumer>,
    /// What rules have heard that targets are to be told.
    pub(in crate::http) told: &'a [(Arc<str>, Box<[u8]>)],
    /// What limits have said to it.
    pub(in crate::http) limits: &'a [(usize, Decision)],
    /// What tokens say of them.
    pub(in crate::http) tokens: &'a [Proven],
    /// The request as its client sent it.
    pub(in crate::http) head: &'a RequestHead,
    pub(in crate::http) text: &'a [u8],
    pub(in crate::http) is_http2: bool,
    pub(in crate::http) scheme: &'a str,
    pub(in crate::http) tls: Option<Tls<'a>>,
    /// Of the answer; 0 before there is one.
    pub(in crate::http) status: u16,
}

impl Facts<'_> {
    /// Appends what a field says.
    pub(super) fn push(&self, field: Field, out: &mut Vec<u8>) {
        let Self { head, text, tls, .. } = self;
        // Nothing else is written than into memory, which cannot fail.
        let said: &[u8] = match field {
            Field::ClientIp => return drop(write!(out, "{}", self.client.ip().to_canonical())),
            Field::ClientPort if self.client.port() == 0 => b"",
            Field::ClientPort => return drop(write!(out, "{}", self.client.port())),
            Field::Status if self.status == 0 => b"",
            Field::Status => return drop(write!(out, "{}", self.status)),
            Field::ConsumerName => self.consumer.map_or(&b""[..], |consumer| consumer.name.as_bytes()),
            Field::ConsumerGroups => {
                for (place, group) in self.consumer.iter().flat_map(|consumer| &consumer.groups).enumerate() {
                    out.extend_from_slice(if place > 0 { b"," } else { b"" });
                    out.extend_from_slice(group.as_bytes());
                }
                return;
            }
            Field::Listener => self.listener.as_bytes(),
            Field::Route => self.route.as_bytes(),
            Field::Pool => self.pool.as_bytes(),
            Field::Target => self.target.as_bytes(),
            Field::RequestId => self.id.as_str().as_bytes(),
            Field::Method => head.method_text.of(text),
            Field::Uri => head.target.of(text),
            Field::Path if head.path.is_empty() => b"/",
            Field::Path => head.path.of(text),
            Field::Query => head.query.map_or(&b""[..], |query| query.of(text)),
            Field::Protocol => match head.version {
                _ if self.is_http2 => b"HTTP/2.0",
                Version::Http10 => b"HTTP/1.0",
                Version::Http11 => b"HTTP/1.1",
            },
            Field::Scheme => self.scheme.as_bytes(),
            Field::Host => head.authority.of(text),
            Field::TlsVersion => tls.as_ref().map_or(&b""[..], |tls| tls.version.as_bytes()),
            Field::TlsCipher => tls.as_ref().map_or(&b""[..], |tls| tls.cipher.as_bytes()),
            Field::Sni => tls.as_ref().map_or(&b""[..], |tls| tls.name.as_bytes()),
        };
        out.extend_from_slice(said);
    }
}
