//! The head of an answer with a file, and what follows it.

use super::describe::Described;
use super::find::Found;
use crate::cache::multipart::Boundary;
use crate::cache::range::{ContentRange, Ranged, Span, resolve, write_unsatisfied};
use crate::cache::{self, Outcome, Validators};
use crate::http::head::Method;
use crate::plan::Site;
use std::time::{Duration, SystemTime};

/// What is answered with.
pub(super) struct Answer {
    /// The head as a target would write it, without Date.
    pub(super) head: Vec<u8>,
    /// What follows it.
    pub(super) pieces: Vec<Piece>,
}

/// A piece of the content.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// These bytes.
    Text(Vec<u8>),
    /// These of the file.
    Of(Span),
}

impl Answer {
    /// What a client gets that asks by GET or HEAD for what was found.
    pub(super) fn of(site: &Site, found: &Found, method: Method, asked: &cache::Request<'_>, now: SystemTime) -> Self {
        let described = Described::of(site, found, now);
        let date = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs();
        let validators = Validators {
            etag: Some(described.etag.as_bytes()),
            last_modified: Some(described.modified.as_bytes()),
            date,
        };
        let size = found.status.size;
        let content = match asked.conditions.evaluate(&validators) {
            Outcome::NotModified => return Self::bare(site, "304 Not Modified", &described),
            Outcome::Failed => return Self::bare(site, "412 Precondition Failed", &described),
            // RFC 9110 §14.2: it means something for GET alone.
            Outcome::Proceed => match asked.range.filter(|_| method == Method::Get) {
                Some(range) if asked.conditions.allow_range(&validators) => resolve(range, size),
                _ => Ranged::Whole,
            },
        };
        let mut answer = Self { head: Vec::with_capacity(512), pieces: Vec::new() };
        let media = described.media_type();
        let length = match content {
            Ranged::Unsatisfiable => {
                let mut answer = Self::bare(site, "416 Range Not Satisfiable", &described);
                answer.head.truncate(answer.head.len() - 2);
                answer.line(b"Content-Range: ", |value| write_unsatisfied(size, value));
                answer.head.extend_from_slice(b"\r\n");
                return answer;
            }
            Ranged::Whole => {
                answer.begin("200 OK", &media);
                answer.head.extend_from_slice(b"Accept-Ranges: bytes\r\n");
                answer.pieces.push(Piece::Of(Span::new(0, size)));
                size
            }
            Ranged::One(span) => {
                answer.begin("206 Partial Content", &media);
                let range = ContentRange { span, complete: Some(size) };
                answer.line(b"Content-Range: ", |value| range.write(value));
                answer.pieces.push(Piece::Of(span));
                span.len()
            }
            Ranged::Several(spans) => {
                let boundary = Boundary::new(fastrand::u128(..));
                answer.head.extend_from_slice(b"HTTP/1.1 206 Partial Content\r\n");
                answer.line(b"Content-Type: ", |value| boundary.write_content_type(value));
                for &span in &spans {
                    let mut head = Vec::new();
                    boundary.write_head(span, size, Some(media.as_bytes()), &mut head);
                    answer.pieces.extend([Piece::Text(head), Piece::Of(span)]);
                }
                let mut end = Vec::new();
                boundary.write_end(&mut end);
                answer.pieces.push(Piece::Text(end));
                boundary.length(&spans, size, Some(media.as_bytes()), &mut Vec::new())
            }
        };
        answer.pieces.retain(|piece| !piece.is_empty());
        if method == Method::Head {
            answer.pieces.clear();
        }
        if let Some(coding) = found.coding {
            answer.line(b"Content-Encoding: ", |value| value.extend_from_slice(coding.token().as_bytes()));
        }
        answer
            .line(b"Content-Length: ", |value| value.extend_from_slice(itoa::Buffer::new().format(length).as_bytes()));
        answer.end(site, &described);
        answer
    }

    /// Without content.
    fn bare(site: &Site, status: &str, described: &Described<'_>) -> Self {
        let mut answer = Self { head: format!("HTTP/1.1 {status}\r\n").into_bytes(), pieces: Vec::new() };
        if !status.starts_with("304") {
            answer.head.extend_from_slice(b"Content-Length: 0\r\n");
        }
        answer.end(site, described);
        answer
    }

    fn begin(&mut self, status: &str, media: &str) {
        self.head.extend_from_slice(b"HTTP/1.1 ");
        self.head.extend_from_slice(status.as_bytes());
        self.head.extend_from_slice(b"\r\nContent-Type: ");
        self.head.extend_from_slice(media.as_bytes());
        self.head.extend_from_slice(b"\r\n");
    }

    fn line(&mut self, name: &[u8], value: impl FnOnce(&mut Vec<u8>)) {
        self.head.extend_from_slice(name);
        value(&mut self.head);
        self.head.extend_from_slice(b"\r\n");
    }

    /// What every answer says that has to do with the file (RFC 9110 §15.4.5).
    fn end(&mut self, site: &Site, described: &Described<'_>) {
        self.line(b"ETag: ", |value| value.extend_from_slice(described.etag.as_bytes()));
        self.line(b"Last-Modified: ", |value| value.extend_from_slice(described.modified.as_bytes()));
        self.head.extend_from_slice(site.cache_control.as_bytes());
        if site.precompressed {
            self.head.extend_from_slice(b"Vary: Accept-Encoding\r\n");
        }
        self.head.extend_from_slice(b"\r\n");
    }
}

impl Piece {
    pub(super) fn len(&self) -> u64 {
        match self {
            Self::Text(text) => text.len() as u64,
            Self::Of(span) => span.len(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
