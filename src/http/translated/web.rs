//! Answers of gRPC for clients of gRPC-Web: their trailers stand behind their messages.

use super::answer::{push_status, trailer};
use super::json::push_chunk;
use super::text::{Becomes, Head};
use super::untranslated;
use crate::http::grpc::is_grpc;
use crate::http::h1::push_last_chunk;
use crate::http::head::Name;
use crate::translate::web::{Coder, Form};
use std::io;

/// The answer to a call, for a client of gRPC-Web.
pub(super) struct Web {
    form: Form,
    coder: Coder,
    /// Whether its head says how the call ended, so that it has no content.
    ended: bool,
}

impl Web {
    pub(super) fn new(form: Form) -> Self {
        Self { form, coder: Coder::new(form), ended: false }
    }
}

/// The content type of such an answer, with messages in this format.
pub(in crate::http) fn content_type(form: Form, format: &str) -> String {
    let text = if form == Form::Text { "-text" } else { "" };
    format!("application/grpc-web{text}{}", if format.is_empty() { "+proto" } else { format })
}

impl Becomes for Web {
    fn begin(&mut self, head: &Head<'_>, out: &mut Vec<u8>) -> io::Result<bool> {
        let own = head.head.find(Name::ContentType).map_or(&b""[..], |field| field.value.of(head.text));
        if head.head.status != 200 {
            return Ok(false);
        }
        if !is_grpc(own) {
            return Err(untranslated("no-grpc"));
        }
        let format = own.get("application/grpc".len()..).unwrap_or_default();
        let format = std::str::from_utf8(format).unwrap_or_default().split([';', ' ']).next().unwrap_or_default();
        let mut lines = Vec::with_capacity(head.text.len());
        for field in &head.head.fields {
            let is_framing = matches!(
                field.kind,
                Name::ContentType | Name::ContentLength | Name::TransferEncoding | Name::Trailer | Name::Connection
            );
            if !is_framing {
                for part in [field.name.of(head.text), b": ", field.value.of(head.text), b"\r\n"] {
                    lines.extend_from_slice(part);
                }
            }
        }
        push_status(200, &content_type(self.form, format), &lines, out);
        self.ended = head.head.values(head.text, b"grpc-status").next().is_some();
        out.extend_from_slice(match self.ended {
            true => b"Content-Length: 0\r\n\r\n",
            false => b"Transfer-Encoding: chunked\r\n\r\n",
        });
        Ok(true)
    }

    fn content(&mut self, content: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        if self.ended {
            return Err(untranslated("content-behind-status"));
        }
        let mut coded = Vec::with_capacity(content.len() * 2);
        self.coder.push(content, &mut coded);
        push_chunk(&coded, out);
        Ok(())
    }

    fn end(&mut self, trailers: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        if self.ended {
            return Ok(());
        }
        let mut coded = Vec::new();
        let unsaid = b"grpc-status: 2\r\ngrpc-message: the call ended without a status\r\n";
        let is_said = trailer(trailers, "grpc-status").is_some();
        self.coder.finish(if is_said { trailers } else { unsaid }, &mut coded);
        push_chunk(&coded, out);
        push_last_chunk(out, b"");
        Ok(())
    }
}
