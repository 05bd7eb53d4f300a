//! Text of HTTP/1.1 as it comes from a target, of which another answer is made.
//!
//! What always holds: interim answers stay what they are, and so does a final one of which its translation says so.

use super::untranslated;
use crate::http::h1::{ChunkDecoder, Framing, Limits, Parsed, Question, Scan, parse_response};
use crate::http::head::{Method, ResponseHead};
use crate::tls::Convert;
use std::io;

/// What is made of one answer.
pub(super) trait Becomes {
    /// Its head has come, and stands in `text`. Returns whether anything is made of it.
    fn begin(&mut self, head: &Head<'_>, out: &mut Vec<u8>) -> io::Result<bool>;
    /// Some of its content has.
    fn content(&mut self, content: &[u8], out: &mut Vec<u8>) -> io::Result<()>;
    /// All has, with these trailer lines.
    fn end(&mut self, trailers: &[u8], out: &mut Vec<u8>) -> io::Result<()>;
    /// It has broken off.
    fn broken(&mut self, _out: &mut Vec<u8>) {}
}

/// The head of an answer.
pub(super) struct Head<'a> {
    pub(super) head: &'a ResponseHead,
    pub(super) text: &'a [u8],
    /// Whether the target's connection may carry another exchange.
    pub(super) keep_alive: bool,
    pub(super) has_content: bool,
}

/// An answer as it comes.
pub(super) struct Answering<B> {
    state: State,
    question: Question,
    begun: Vec<u8>,
    response: ResponseHead,
    becomes: B,
}

enum State {
    Head,
    Length(u64),
    Chunked(Box<ChunkDecoder>),
    UntilClose,
    Passing,
    Over,
}

/// Bytes and field lines of a head.
const HEAD: Limits = Limits { head: 64 << 10, fields: 256 };

impl<B: Becomes> Answering<B> {
    /// The answer to what was asked by `method`.
    pub(super) fn new(method: Method, becomes: B) -> Self {
        let question = Question { method, websocket: false };
        Self { state: State::Head, question, begun: Vec::new(), response: ResponseHead::default(), becomes }
    }

    /// Takes as much of a head as there is. Returns whether the final one was whole.
    fn head(&mut self, out: &mut Vec<u8>) -> io::Result<bool> {
        loop {
            let parsed = parse_response(&self.begun, &self.question, &HEAD, &mut Scan::default(), &mut self.response);
            let answer = match parsed.map_err(|bad| untranslated(bad.reason))? {
                Parsed::Partial { .. } => return Ok(false),
                Parsed::Complete(answer) => answer,
            };
            let rest = self.begun.split_off(answer.head_len);
            if answer.interim {
                out.extend_from_slice(&self.begun);
                self.begun = rest;
                continue;
            }
            let text = std::mem::replace(&mut self.begun, rest);
            let has_content = !matches!(answer.framing, Framing::None | Framing::Length(0));
            let head = Head { head: &self.response, text: &text, keep_alive: answer.keep_alive, has_content };
            self.state = match self.becomes.begin(&head, out)? {
                false => {
                    out.extend_from_slice(&text);
                    State::Passing
                }
                true => match answer.framing {
                    Framing::None | Framing::Length(0) => {
                        self.becomes.end(b"", out)?;
                        State::Over
                    }
                    Framing::Length(length) => State::Length(length),
                    Framing::Chunked => State::Chunked(Box::default()),
                    Framing::UntilClose => State::UntilClose,
                },
            };
            return Ok(true);
        }
    }
}

impl<B: Becomes> Convert for Answering<B> {
    fn convert(&mut self, text: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        let begun;
        let mut text = text;
        if matches!(self.state, State::Head) {
            self.begun.extend_from_slice(text);
            if !self.head(out)? {
                return Ok(());
            }
            begun = std::mem::take(&mut self.begun);
            text = &begun;
        }
        while !text.is_empty() {
            match &mut self.state {
                State::Head => return Err(untranslated("bad-answer")),
                // Whoever reads sees that there is more than was to come.
                State::Passing | State::Over => {
                    out.extend_from_slice(text);
                    return Ok(());
                }
                State::UntilClose => return self.becomes.content(text, out),
                State::Length(left) => {
                    let here = usize::try_from(*left).unwrap_or(usize::MAX).min(text.len());
                    *left -= here as u64;
                    let is_last = *left == 0;
                    self.becomes.content(&text[..here], out)?;
                    text = &text[here..];
                    if is_last {
                        self.state = State::Over;
                        self.becomes.end(b"", out)?;
                    }
                }
                State::Chunked(decoder) => {
                    let step = decoder.decode(text).map_err(|bad| untranslated(bad.reason))?;
                    if !step.data.is_empty() {
                        self.becomes.content(&text[step.data.clone()], out)?;
                    }
                    text = &text[step.consumed..];
                    if step.end {
                        let trailers = decoder.trailers().to_vec();
                        self.state = State::Over;
                        self.becomes.end(&trailers, out)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        match self.state {
            State::UntilClose => {
                self.state = State::Over;
                self.becomes.end(b"", out)
            }
            State::Length(_) | State::Chunked(_) => {
                self.becomes.broken(out);
                Ok(())
            }
            State::Head | State::Passing | State::Over => Ok(()),
        }
    }

    fn broken(&mut self, out: &mut Vec<u8>) {
        if !matches!(self.state, State::Head | State::Passing | State::Over) {
            self.becomes.broken(out);
        }
    }
}
