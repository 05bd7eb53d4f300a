//! Answers in JSON as forms, and forms as JSON.

use super::answer::{lines, push_status, push_whole};
use super::choose::is_form;
use super::text::{Becomes, Head};
use super::{FORM, JSON, untranslated};
use crate::http::head::Name;
use crate::http::json::{codings, is_json};
use crate::translate::form::{Terms, of_json, to_json};
use std::io;

/// An answer whose content becomes the other.
pub(super) struct Form {
    terms: Terms,
    to_json: bool,
    most: usize,
    status: u16,
    lines: Vec<u8>,
    content: Vec<u8>,
}

impl Form {
    pub(super) fn new(terms: Terms, to_json: bool, most: usize) -> Self {
        Self { terms, to_json, most, status: 0, lines: Vec::new(), content: Vec::new() }
    }
}

impl Becomes for Form {
    fn begin(&mut self, head: &Head<'_>, _: &mut Vec<u8>) -> io::Result<bool> {
        let own = head.head.find(Name::ContentType).map_or(&b""[..], |field| field.value.of(head.text));
        let fits = if self.to_json { is_form(own) } else { is_json(own) };
        let is_coded = head.head.values(head.text, b"content-encoding").flat_map(codings).next().is_some();
        if !fits || is_coded || !head.has_content || head.head.status == 206 {
            return Ok(false);
        }
        (self.status, self.lines) = (head.head.status, lines(head));
        Ok(true)
    }

    fn content(&mut self, content: &[u8], _: &mut Vec<u8>) -> io::Result<()> {
        if self.content.len() + content.len() > self.most {
            return Err(untranslated("message-too-large"));
        }
        self.content.extend_from_slice(content);
        Ok(())
    }

    fn end(&mut self, _: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        let made = if self.to_json { to_json(&self.content, self.terms) } else { of_json(&self.content, self.terms) };
        let made = made.map_err(|wrong| {
            tracing::debug!(what = %wrong, "an answer cannot become the other");
            untranslated("bad-body")
        })?;
        push_status(self.status, if self.to_json { JSON } else { FORM }, &self.lines, out);
        push_whole(&made, out);
        Ok(())
    }
}
