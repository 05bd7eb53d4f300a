//! Answers in JSON as forms, and forms as JSON.

use super::answer::{Whole, push_status, push_whole};
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
    answer: Whole,
}

impl Form {
    pub(super) fn new(terms: Terms, to_json: bool, most: usize) -> Self {
        Self { terms, to_json, answer: Whole::new(most) }
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
        self.answer.begin(head);
        Ok(true)
    }

    fn content(&mut self, content: &[u8], _: &mut Vec<u8>) -> io::Result<()> {
        self.answer.add(content)
    }

    fn end(&mut self, _: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        let made = if self.to_json {
            to_json(&self.answer.content, self.terms)
        } else {
            of_json(&self.answer.content, self.terms)
        };
        let made = made.map_err(|wrong| {
            tracing::debug!(what = %wrong, "an answer cannot become the other");
            untranslated("bad-body")
        })?;
        push_status(self.answer.status, if self.to_json { JSON } else { FORM }, &self.answer.lines, out);
        push_whole(&made, out);
        Ok(())
    }
}
