//! Messages of gRPC as JSON: one as a whole answer, several as lines or events.

use super::answer::{is_of_call, lines, push_status, push_whole, trailer};
use super::text::{Becomes, Head};
use super::{Stream, Untranslated, untranslated};
use crate::http::grpc::is_grpc;
use crate::http::h1::{CHUNK_END, push_chunk_size, push_last_chunk};
use crate::http::head::Name;
use crate::observe::reason::Failure;
use crate::observe::status::reason_phrase;
use crate::translate::status::{self, Status};
use crate::translate::{Binding, Frames, Services};
use serde_json::json;
use std::io;
use std::sync::Arc;

/// The answer to a call, for a client of REST.
pub(super) struct Json {
    services: Arc<Services>,
    binding: Arc<Binding>,
    stream: Option<Stream>,
    frames: Frames,
    /// Lines of its head that go on.
    lines: Vec<u8>,
    /// The one message.
    message: Option<Vec<u8>>,
    /// What its head says of how the call ended.
    status: Option<Status>,
    /// Whether the head of several has gone out.
    begun: bool,
}

impl Json {
    pub(super) fn new(services: Arc<Services>, binding: Arc<Binding>, stream: Option<Stream>, most: usize) -> Self {
        let frames = Frames::new(most);
        Self { services, binding, stream, frames, lines: Vec::new(), message: None, status: None, begun: false }
    }

    fn begin_stream(&mut self, stream: Stream, out: &mut Vec<u8>) {
        self.begun = true;
        let content_type = match stream {
            Stream::Lines => "application/x-ndjson",
            Stream::Events => "text/event-stream",
        };
        push_status(200, content_type, &self.lines, out);
        if stream == Stream::Events {
            out.extend_from_slice(b"Cache-Control: no-cache\r\n");
        }
        out.extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n");
    }

    fn push_message(&self, stream: Stream, message: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        let mut text = Vec::with_capacity(message.len() * 2 + 16);
        if stream == Stream::Events {
            text.extend_from_slice(b"data: ");
        }
        self.services.show(&self.binding, message, &mut text).map_err(|what| unshown(&what))?;
        text.extend_from_slice(if stream == Stream::Events { b"\n\n" } else { b"\n" });
        push_chunk(&text, out);
        Ok(())
    }

    /// Tells of an error behind messages, as the last of them.
    fn push_error(&self, stream: Stream, status: &Status, out: &mut Vec<u8>) {
        let problem = status.problem(reason_phrase(status::http(status.code)), self.services.pool());
        let text = match stream {
            Stream::Lines => format!("{}\n", json!({ "error": problem })),
            Stream::Events => format!("event: error\ndata: {problem}\n\n"),
        };
        push_chunk(text.as_bytes(), out);
    }

    /// The call has ended so.
    fn ended(&mut self, status: Status, out: &mut Vec<u8>) -> io::Result<()> {
        match (self.stream, status.code) {
            (Some(stream), _) if self.begun => {
                if status.code == 0 {
                    push_last_chunk(out, b"");
                    return Ok(());
                }
                self.push_error(stream, &status, out);
                // An end in order would say that this was all.
                Err(io::Error::other(Untranslated { failure: Failure::Call, word: status::name(status.code) }))
            }
            (Some(stream), 0) => {
                self.begin_stream(stream, out);
                push_last_chunk(out, b"");
                Ok(())
            }
            (None, 0) => {
                let message = self.message.take().ok_or_else(|| untranslated("no-message"))?;
                let mut text = Vec::with_capacity(message.len() * 2);
                self.services.show(&self.binding, &message, &mut text).map_err(|what| unshown(&what))?;
                push_status(200, super::JSON, &self.lines, out);
                push_whole(&text, out);
                Ok(())
            }
            (_, code) => {
                let http = status::http(code);
                let problem = status.problem(reason_phrase(http), self.services.pool()).to_string();
                push_status(http, "application/problem+json", &self.lines, out);
                push_whole(problem.as_bytes(), out);
                Ok(())
            }
        }
    }
}

impl Becomes for Json {
    fn begin(&mut self, head: &Head<'_>, out: &mut Vec<u8>) -> io::Result<bool> {
        let content_type = head.head.find(Name::ContentType).map_or(&b""[..], |field| field.value.of(head.text));
        if head.head.status != 200 {
            // Whoever said that speaks no gRPC, and says it to whoever asked.
            return Ok(false);
        }
        if !is_grpc(content_type) {
            return Err(untranslated("no-grpc"));
        }
        self.lines = lines(head);
        let value = |name: &'static str| head.head.values(head.text, name.as_bytes()).next();
        if let Some(code) = value("grpc-status") {
            let of = |name| value(name).unwrap_or_default();
            self.status = Some(Status::of(code, of("grpc-message"), of("grpc-status-details-bin")));
            return Ok(true);
        }
        if let Some(stream) = self.stream {
            self.begin_stream(stream, out);
        }
        Ok(true)
    }

    fn content(&mut self, mut content: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        while let Some(message) = self.frames.next(&mut content).map_err(|fault| untranslated(fault.word()))? {
            match self.stream {
                Some(stream) => self.push_message(stream, &message, out)?,
                None if self.message.is_some() => return Err(untranslated("several-messages")),
                None => self.message = Some(message),
            }
        }
        Ok(())
    }

    fn end(&mut self, trailers: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        let of = |name| trailer(trailers, name).unwrap_or_default();
        let status = match self.status.take() {
            Some(status) => status,
            None => match trailer(trailers, "grpc-status") {
                Some(code) => Status::of(code, of("grpc-message"), of("grpc-status-details-bin")),
                None => Status { code: 2, message: "the call ended without a status".to_owned(), details: Vec::new() },
            },
        };
        if status.code == 0 && !self.frames.is_between() {
            return Err(untranslated("bad-message"));
        }
        if !self.begun {
            let metadata = trailers.split_inclusive(|&byte| byte == b'\n').filter(|line| !is_of_call(line));
            metadata.for_each(|line| self.lines.extend_from_slice(line));
        }
        self.ended(status, out)
    }

    fn broken(&mut self, out: &mut Vec<u8>) {
        if let Some(stream) = self.stream.filter(|_| self.begun) {
            let message = "the call broke off".to_owned();
            self.push_error(stream, &Status { code: 14, message, details: Vec::new() }, out);
        }
    }
}

fn unshown(what: &str) -> io::Error {
    tracing::debug!(what, "a message cannot be shown as JSON");
    untranslated("unshowable-message")
}

/// Appends content as one chunk.
pub(super) fn push_chunk(content: &[u8], out: &mut Vec<u8>) {
    if !content.is_empty() {
        push_chunk_size(out, content.len());
        out.extend_from_slice(content);
        out.extend_from_slice(CHUNK_END);
    }
}
