//! What the backend sends: small answers are put together in one buffer, large fixed bodies are sent from where they lie.
//!
//! Large bodies are written, not sent by sendfile or vmsplice: that would hand the proxy its bytes in pages of 4 KiB (from
//! huge pages too, because the kernel splits them), which can cost it twice as much to receive as what a write makes of them.

use crate::backend::request::Wanted;
use crate::caches::object::{VARIANT, bytes_of};
use crate::messages;
use crate::pattern::{self, Check, Side};
use std::io::{IoSlice, Write};

/// Fixed bodies up to this size are copied, larger ones are written by [`Answers::write_bulk`].
const COPIED: usize = 16 << 10;
/// Pieces of a large fixed body in one write.
const PIECES: usize = 32;

/// Renders answers.
#[derive(Debug)]
pub struct Answers {
    name: String,
    /// What fixed bodies are made of, over and over: little enough to stay in the core's cache, from where it is copied
    /// for less.
    bulk: Vec<u8>,
    /// What pages are cut from.
    page: Vec<u8>,
    /// Answers given, but for counts and health checks.
    pub given: u64,
}

impl Answers {
    /// Answers in the name of the target `name`.
    pub fn new(name: String) -> Self {
        Self { name, bulk: vec![b'x'; 64 << 10], page: rows(64 << 10), given: 0 }
    }

    /// Writes from a large fixed body of which `left` bytes are due; how many it was.
    pub fn write_bulk(&self, left: usize, mut sink: impl Write) -> std::io::Result<usize> {
        let (whole, rest) = (left / self.bulk.len(), left % self.bulk.len());
        let mut pieces = [IoSlice::new(&self.bulk); PIECES];
        if whole < PIECES {
            pieces[whole] = IoSlice::new(&self.bulk[..rest]);
        }
        sink.write_vectored(&pieces[..PIECES.min(whole + 1)])
    }

    /// Appends the answer to `out`, and returns how many bytes must follow it by [`Answers::write_bulk`].
    pub fn render(&mut self, wanted: Wanted, bodiless: bool, close: bool, upload: &Upload, out: &mut Vec<u8>) -> usize {
        let close = if close { "connection: close\r\n" } else { "" };
        self.given += u64::from(!matches!(wanted, Wanted::Count | Wanted::Health | Wanted::Reset));
        // Writing to a Vec cannot fail.
        let mut whole = |status: &str, body: &[u8]| {
            let _ = write!(out, "HTTP/1.1 {status}\r\n{close}content-length: {}\r\n\r\n", body.len());
            out.extend_from_slice(if bodiless { &[] } else { body });
            0
        };
        match wanted {
            Wanted::WebSocket => {
                out.extend_from_slice(messages::ACCEPTANCE.as_bytes());
                0
            }
            Wanted::Count => whole("200 OK", self.given.to_string().as_bytes()),
            Wanted::Health | Wanted::Reset => whole("200 OK", b"ok"),
            Wanted::Unknown => whole("404 Not Found", b"no such path"),
            Wanted::Page(size) => {
                let body = &self.page[..size.min(self.page.len())];
                let _ = write!(out, "HTTP/1.1 200 OK\r\n{close}content-type: application/json\r\n");
                let _ = write!(out, "content-length: {}\r\n\r\n", body.len());
                out.extend_from_slice(if bodiless { &[] } else { body });
                0
            }
            Wanted::Fixed(size) if size <= COPIED => whole("200 OK", &self.bulk[..size]),
            Wanted::Fixed(size) => {
                let _ = write!(out, "HTTP/1.1 200 OK\r\n{close}content-length: {size}\r\n\r\n");
                if bodiless { 0 } else { size }
            }
            Wanted::Cacheable(size) => {
                let _ = write!(
                    out,
                    "HTTP/1.1 200 OK\r\n{close}content-type: text/plain\r\ncache-control: max-age=3600\r\ncontent-length: {size}\r\n\r\n"
                );
                if bodiless { 0 } else { size }
            }
            Wanted::Kept { id, size, chunked, variant } => {
                let _ = write!(out, "HTTP/1.1 200 OK\r\n{close}cache-control: max-age=3600\r\n");
                if let Some(variant) = variant {
                    // What an answer varies on may be another thing each time.
                    let more = if variant % 2 == 1 { ", x-other" } else { "" };
                    let _ = write!(out, "vary: {VARIANT}{more}\r\n");
                }
                strict_body(bytes_of(id, variant.unwrap_or(0)), size, chunked, bodiless, out);
                0
            }
            Wanted::Strict { id, .. } if upload.wrong().is_some() => {
                let wrong = upload.wrong().unwrap_or_default();
                whole("400 Bad Request", format!("body of {id:x} is wrong at {wrong}").as_bytes())
            }
            Wanted::Strict { id, size, chunked } => {
                let (name, seen) = (&self.name, upload.seen());
                let _ = write!(out, "HTTP/1.1 200 OK\r\n{close}x-strict-id: {id:x}\r\nx-target: {name}\r\n");
                let _ = write!(out, "x-received: {seen}\r\n");
                strict_body(id, size, chunked, bodiless, out);
                0
            }
        }
    }
}

/// A list of records as an API gives it, of `size` bytes: some of it repeats, some does not.
fn rows(size: usize) -> Vec<u8> {
    const NAMES: [&str; 8] = ["anna", "bob", "carla", "dieter", "eva", "frank", "greta", "hans"];
    const CITIES: [&str; 6] = ["Berlin", "Hamburg", "Paris", "London", "Wien", "Oslo"];
    let mut random = fastrand::Rng::with_seed(7);
    let mut text = b"[".to_vec();
    for id in 100_000.. {
        if text.len() >= size {
            break;
        }
        let (name, city) = (NAMES[random.usize(..8)], CITIES[random.usize(..6)]);
        let (number, cents, day) = (random.u32(..0xf_ffff), random.u32(..100_000), random.u32(1..29));
        let _ = write!(
            text,
            "{{\"id\":{id},\"name\":\"{name} {number:x}\",\"email\":\"{name}{cents}@example.com\",\"balance\":{cents}.{day:02},\
             \"city\":\"{city}\",\"created\":\"2026-03-{day:02}T{:02}:{:02}:00Z\",\"active\":{}}},",
            random.u32(..24),
            random.u32(..60),
            random.bool(),
        );
    }
    text.truncate(size);
    text
}

/// The request body as it came.
#[derive(Debug)]
pub enum Upload {
    /// Bytes that nobody checks.
    Plain(u64),
    /// The stream of a strict request.
    Strict(Check),
}

impl Upload {
    /// Ready for the body of a request that wants `wanted`.
    pub fn new(wanted: Wanted) -> Self {
        match wanted {
            Wanted::Strict { id, .. } => Self::Strict(Check::new(id, Side::Request)),
            _ => Self::Plain(0),
        }
    }

    /// Takes the next piece.
    pub fn feed(&mut self, piece: &[u8]) {
        match self {
            Self::Plain(seen) => *seen += piece.len() as u64,
            Self::Strict(check) => check.feed(piece),
        }
    }

    fn seen(&self) -> u64 {
        match self {
            Self::Plain(seen) => *seen,
            Self::Strict(check) => check.seen(),
        }
    }

    fn wrong(&self) -> Option<u64> {
        match self {
            Self::Plain(_) => None,
            Self::Strict(check) => check.wrong_at(),
        }
    }
}

fn strict_body(id: u64, size: usize, chunked: bool, bodiless: bool, out: &mut Vec<u8>) {
    if !chunked {
        let _ = write!(out, "content-length: {size}\r\n\r\n");
        if !bodiless {
            let start = out.len();
            out.resize(start + size, 0);
            pattern::fill(id, Side::Answer, 0, &mut out[start..]);
        }
        return;
    }
    out.extend_from_slice(b"transfer-encoding: chunked\r\n\r\n");
    if bodiless {
        return;
    }
    let (mut at, mut step) = (0, 1 + (id % 8000) as usize);
    while at < size {
        let count = step.min(size - at);
        let _ = write!(out, "{count:x}\r\n");
        let start = out.len();
        out.resize(start + count, 0);
        pattern::fill(id, Side::Answer, at as u64, &mut out[start..]);
        out.extend_from_slice(b"\r\n");
        at += count;
        step = step * 2 % 30_011 + 1;
    }
    out.extend_from_slice(b"0\r\n\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_body_is_written_to_its_last_byte() {
        let answers = Answers::new("a".into());
        for size in [1, (64 << 10) - 1, 64 << 10, (1 << 20) + 1, super::super::request::MAX_SIZE] {
            let mut wire = Vec::new();
            while wire.len() < size {
                assert!(answers.write_bulk(size - wire.len(), &mut wire).unwrap() > 0);
            }
            assert!(wire.len() == size && wire.iter().all(|&byte| byte == b'x'));
        }
    }
}
