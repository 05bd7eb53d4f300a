//! Answers of REST for clients of gRPC.

use super::answer::{Whole, push_status};
use super::json::push_chunk;
use super::text::{Becomes, Head};
use super::untranslated;
use crate::http::h1::push_last_chunk;
use crate::http::json::codings;
use crate::translate::status::{self, escaped};
use crate::translate::{Binding, Services, push_frame};
use serde_json::Value;
use std::io;
use std::sync::Arc;

/// The answer of a target of REST.
pub(super) struct Call {
    services: Arc<Services>,
    binding: Arc<Binding>,
    answer: Whole,
}

/// Bytes of what is told of an error.
const LONGEST: usize = 1 << 10;

impl Call {
    pub(super) fn new(services: Arc<Services>, binding: Arc<Binding>, most: usize) -> Self {
        Self { services, binding, answer: Whole::new(most) }
    }

    /// What the content says of an error: the detail of a problem (RFC 9457), or what other documents call it.
    fn message(&self) -> String {
        let value: Value = serde_json::from_slice(&self.answer.content).unwrap_or_default();
        let places = ["/detail", "/message", "/error/message", "/error_description", "/error", "/title"];
        let said = places.into_iter().find_map(|place| value.pointer(place)?.as_str());
        let mut said = said.map_or_else(|| format!("HTTP status {}", self.answer.status), str::to_owned);
        let end = (0..=LONGEST.min(said.len())).rev().find(|&end| said.is_char_boundary(end)).unwrap_or(0);
        said.truncate(end);
        escaped(&said)
    }
}

impl Becomes for Call {
    fn begin(&mut self, head: &Head<'_>, _: &mut Vec<u8>) -> io::Result<bool> {
        if head.head.values(head.text, b"content-encoding").flat_map(codings).next().is_some() {
            return Err(untranslated("coded-body"));
        }
        self.answer.begin(head);
        Ok(true)
    }

    fn content(&mut self, content: &[u8], _: &mut Vec<u8>) -> io::Result<()> {
        self.answer.add(content)
    }

    fn end(&mut self, _: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        const TYPE: &str = "application/grpc";
        let code = status::of_http(self.answer.status);
        if code != 0 {
            let told = format!("grpc-status: {code}\r\ngrpc-message: {}\r\nContent-Length: 0\r\n\r\n", self.message());
            push_status(200, TYPE, &self.answer.lines, out);
            out.extend_from_slice(told.as_bytes());
            return Ok(());
        }
        let message = self.services.answered(&self.binding, &self.answer.content).map_err(|wrong| {
            tracing::debug!(what = %wrong, "an answer is not as described");
            untranslated("bad-body")
        })?;
        let mut frame = Vec::with_capacity(message.len() + 5);
        push_frame(0, &message, &mut frame);
        push_status(200, TYPE, &self.answer.lines, out);
        out.extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n");
        push_chunk(&frame, out);
        push_last_chunk(out, b"grpc-status: 0\r\n");
        Ok(())
    }
}
