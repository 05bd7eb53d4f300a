//! What makes of an answer what its client gets, and the heads of what it makes.

use super::text::{Answering, Head};
use super::{Back, call, form, json, untranslated, web};
use crate::http::head::{Method, Name};
use crate::http::json::is_digest;
use crate::observe::status::reason_phrase;
use crate::tls::Convert;
use std::io;

/// What makes it, for one answer.
pub(super) fn converter(back: &Back) -> Box<dyn Convert> {
    match back {
        Back::Json { services, binding, stream, most } => {
            let becomes = json::Json::new(services.clone(), binding.clone(), *stream, *most);
            Box::new(Answering::new(Method::Post, becomes))
        }
        Back::Web(form) => Box::new(Answering::new(Method::Post, web::Web::new(*form))),
        Back::Message { services, binding, most } => {
            let method = Method::of(binding.verb.as_bytes());
            Box::new(Answering::new(method, call::Call::new(services.clone(), binding.clone(), *most)))
        }
        Back::Body { terms, to_json, most, method } => {
            Box::new(Answering::new(*method, form::Form::new(*terms, *to_json, *most)))
        }
        Back::Same => Box::new(Same),
    }
}

/// What stays what it is.
struct Same;

impl Convert for Same {
    fn convert(&mut self, text: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        out.extend_from_slice(text);
        Ok(())
    }

    fn finish(&mut self, _: &mut Vec<u8>) -> io::Result<()> {
        Ok(())
    }

    fn broken(&mut self, _: &mut Vec<u8>) {}
}

/// An answer that is translated once it is all there.
pub(super) struct Whole {
    most: usize,
    pub(super) status: u16,
    /// Lines of its head that go on.
    pub(super) lines: Vec<u8>,
    pub(super) content: Vec<u8>,
}

impl Whole {
    /// One whose content has so many bytes at most.
    pub(super) fn new(most: usize) -> Self {
        Self { most, status: 0, lines: Vec::new(), content: Vec::new() }
    }

    /// Its head is there.
    pub(super) fn begin(&mut self, head: &Head<'_>) {
        (self.status, self.lines) = (head.head.status, lines(head));
    }

    /// Adds content.
    ///
    /// # Errors
    /// It is too large.
    pub(super) fn add(&mut self, content: &[u8]) -> io::Result<()> {
        if self.content.len() + content.len() > self.most {
            return Err(untranslated("message-too-large"));
        }
        self.content.extend_from_slice(content);
        Ok(())
    }
}

/// Whole lines of an answer that say nothing of its framing, its content and its call, and go on in another one.
pub(super) fn lines(of: &Head<'_>) -> Vec<u8> {
    let mut lines = Vec::with_capacity(of.text.len());
    if !of.keep_alive {
        lines.extend_from_slice(b"Connection: close\r\n");
    }
    for field in &of.head.fields {
        let name = field.name.of(of.text);
        if !is_passed_on(field.kind) || is_of_call(name) || is_of_content(name) {
            continue;
        }
        for part in [name, b": ", field.value.of(of.text), b"\r\n"] {
            lines.extend_from_slice(part);
        }
    }
    lines
}

fn is_passed_on(kind: Name) -> bool {
    !matches!(
        kind,
        Name::Connection
            | Name::ContentLength
            | Name::ContentType
            | Name::KeepAlive
            | Name::Nominated
            | Name::ProxyConnection
            | Name::Te
            | Name::Trailer
            | Name::TransferEncoding
            | Name::Upgrade
    )
}

/// Whether a field is gRPC's own.
pub(super) fn is_of_call(name: &[u8]) -> bool {
    name.get(..5).is_some_and(|start| start.eq_ignore_ascii_case(b"grpc-"))
}

/// Whether a field tells of the very bytes of a content.
fn is_of_content(name: &[u8]) -> bool {
    ["content-encoding", "content-range", "accept-ranges", "etag"]
        .into_iter()
        .any(|other| name.eq_ignore_ascii_case(other.as_bytes()))
        || is_digest(name)
}

/// Begins an answer, up to its lines.
pub(super) fn push_status(status: u16, content_type: &str, lines: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(itoa::Buffer::new().format(status).as_bytes());
    out.push(b' ');
    out.extend_from_slice(reason_phrase(status).as_bytes());
    out.extend_from_slice(b"\r\n");
    if !content_type.is_empty() {
        out.extend_from_slice(b"Content-Type: ");
        out.extend_from_slice(content_type.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(lines);
}

/// Ends a head and appends the whole content.
pub(super) fn push_whole(content: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(b"Content-Length: ");
    out.extend_from_slice(itoa::Buffer::new().format(content.len()).as_bytes());
    out.extend_from_slice(b"\r\n\r\n");
    out.extend_from_slice(content);
}

/// The value of a trailer.
pub(super) fn trailer<'t>(trailers: &'t [u8], name: &str) -> Option<&'t [u8]> {
    trailers.split(|&byte| byte == b'\n').find_map(|line| {
        let (own, value) = line.split_at_checked(name.len())?;
        let value = value.strip_prefix(b":").filter(|_| own.eq_ignore_ascii_case(name.as_bytes()))?;
        Some(value.trim_ascii())
    })
}
