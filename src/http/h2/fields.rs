//! Text of HTTP/1.1, as an exchange writes it, as field blocks of HTTP/2 (RFC 9113 §8).
//!
//! What always holds: what belongs to a connection of HTTP/1.1 goes no further.

use super::head::{Asked, check_name, check_value, number};
use super::hpack::{push_field, push_status};
use smallvec::SmallVec;

/// How the content behind a head is framed in the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// There is none.
    None,
    /// So many bytes.
    Length(u64),
    /// Chunks.
    Chunked,
    /// Bytes of another protocol until either side ends.
    Tunnel,
}

/// The lines of a head that an exchange wrote.
struct Lines<'t> {
    text: &'t [u8],
    at: usize,
}

/// A field of such a line.
struct Line<'t> {
    name: &'t [u8],
    value: &'t [u8],
}

/// A name in lower case, without a place on the heap if it is not longer than most.
struct Lower {
    room: [u8; 48],
    long: Vec<u8>,
}

impl<'t> Lines<'t> {
    fn new(text: &'t [u8]) -> Self {
        Self { text, at: 0 }
    }

    /// The next line, without its end; nothing at the end of the head. `None`: the text ends before.
    fn next(&mut self) -> Option<&'t [u8]> {
        let rest = self.text.get(self.at..)?;
        let length = memchr::memchr(b'\n', rest)?;
        self.at += length + 1;
        let line = &rest[..length];
        Some(line.strip_suffix(b"\r").unwrap_or(line))
    }

    /// The field of the next line. `Some(None)`: the head ends.
    fn field(&mut self) -> Option<Option<Line<'t>>> {
        let line = self.next()?;
        if line.is_empty() {
            return Some(None);
        }
        let colon = line.iter().position(|&byte| byte == b':')?;
        Some(Some(Line { name: &line[..colon], value: line[colon + 1..].trim_ascii() }))
    }
}

impl Lower {
    fn new() -> Self {
        Self { room: [0; 48], long: Vec::new() }
    }

    fn of(&mut self, name: &[u8]) -> &[u8] {
        match self.room.get_mut(..name.len()) {
            Some(lower) => {
                lower.iter_mut().zip(name).for_each(|(lower, byte)| *lower = byte.to_ascii_lowercase());
                lower
            }
            None => {
                self.long.clear();
                self.long.extend(name.iter().map(u8::to_ascii_lowercase));
                &self.long
            }
        }
    }
}

/// Appends the field block of the response whose head stands at the beginning of `text`. Returns its status, what follows
/// it, and the length of that head. `None`: it is no head.
pub(super) fn push_response(text: &[u8], to_head: bool, block: &mut Vec<u8>) -> Option<(u16, Content, usize)> {
    let mut lines = Lines::new(text);
    let status = number(lines.next()?.get(9..12)?)? as u16;
    let switched = status == 101;
    push_status(block, if switched { 200 } else { status });
    let (mut content, mut lower) = (None, Lower::new());
    while let Some(Line { name, value }) = lines.field()? {
        match lower.of(name) {
            b"transfer-encoding" => content = Some(Content::Chunked),
            b"connection" | b"upgrade" | b"keep-alive" | b"proxy-connection" => {}
            // RFC 8441 §5: the streams of HTTP/2 need no proof of the kind.
            b"sec-websocket-accept" if switched => {}
            name => {
                if name == b"content-length" {
                    content = number(value).map(Content::Length);
                }
                push_field(block, name, value);
            }
        }
    }
    let content = match status {
        101 => Content::Tunnel,
        204 | 304 => Content::None,
        _ if to_head || status < 200 => Content::None,
        _ => content.filter(|content| *content != Content::Length(0)).unwrap_or(Content::None),
    };
    Some((status, content, lines.at))
}

/// Appends the field block of the request whose head stands at the beginning of `text`. Returns what follows it, the length
/// of that head, and what its answer is read by. `None`: it is no head.
pub(super) fn push_request(text: &[u8], scheme: &[u8], block: &mut Vec<u8>) -> Option<(Content, usize, Asked)> {
    let mut lines = Lines::new(text);
    let mut parts = lines.next()?.split(|&byte| byte == b' ');
    let (method, path) = (parts.next()?, parts.next()?);
    let (mut authority, mut content, mut upgrade) = (&b""[..], Content::None, false);
    let mut asked = Asked { to_head: method == b"HEAD", key: None };
    let (mut fields, mut lower) = (SmallVec::<[Line<'_>; 24]>::new(), Lower::new());
    while let Some(line) = lines.field()? {
        match lower.of(line.name) {
            b"host" => authority = line.value,
            b"transfer-encoding" => content = Content::Chunked,
            b"upgrade" => upgrade = true,
            b"connection" | b"keep-alive" | b"proxy-connection" => {}
            b"sec-websocket-key" => asked.key = Some(line.value.to_vec()),
            name => {
                if name == b"content-length" {
                    content = number(line.value).map_or(content, Content::Length);
                }
                fields.push(line);
            }
        }
    }
    // RFC 8441 §4.
    push_field(block, b":method", if upgrade { b"CONNECT" } else { method });
    push_field(block, b":scheme", scheme);
    push_field(block, b":path", path);
    push_field(block, b":authority", authority);
    if upgrade {
        push_field(block, b":protocol", b"websocket");
    }
    for Line { name, value } in fields {
        push_field(block, lower.of(name), value);
    }
    if !upgrade {
        asked.key = None;
    }
    let content = match content {
        _ if upgrade => Content::Tunnel,
        Content::Length(0) => Content::None,
        content => content,
    };
    Some((content, lines.at, asked))
}

/// Appends the field block of a trailer section's lines. Lines that are none are left out.
pub(super) fn push_trailers(lines: &[u8], block: &mut Vec<u8>) {
    for line in lines.split(|&byte| byte == b'\n') {
        let mut halves = line.splitn(2, |&byte| byte == b':');
        let (Some(name), Some(value)) = (halves.next(), halves.next()) else { continue };
        let (name, value) = (name.to_ascii_lowercase(), value.trim_ascii());
        if check_name(&name).is_ok() && check_value(value).is_ok() {
            push_field(block, &name, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::head::TrailerText;
    use super::super::hpack::Decoder;
    use super::*;

    fn block(push: impl FnOnce(&mut Vec<u8>)) -> Vec<(String, String)> {
        let (mut out, mut fields) = (Vec::new(), Vec::new());
        push(&mut out);
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        Decoder::new(0).decode(&out, |name, value| fields.push((text(name), text(value)))).ok().unwrap();
        fields
    }

    #[test]
    fn responses_lose_what_belongs_to_a_connection() {
        let read = |text: &str, to_head| {
            let mut found = None;
            let fields = block(|out| found = push_response(text.as_bytes(), to_head, out));
            let (status, content, length) = found.unwrap();
            (status, content, length, fields)
        };
        let (status, content, length, fields) =
            read("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-A: y\r\n\r\n3\r\n", false);
        assert_eq!((status, content, length), (200, Content::Chunked, 55));
        assert_eq!(fields, [(":status".into(), "200".into()), ("x-a".into(), "y".into())]);
        let (status, content, _, fields) =
            read("HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", false);
        assert_eq!((status, content), (101, Content::Tunnel));
        assert_eq!(fields, [(":status".into(), "200".into())]);
        assert_eq!(read("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", false).1, Content::Length(3));
        assert_eq!(read("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", false).1, Content::None);
        assert_eq!(read("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", true).1, Content::None);
        assert!(push_response(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n", false, &mut Vec::new()).is_none());
    }

    #[test]
    fn a_request_to_a_target_has_its_host_as_authority() {
        let text = b"POST /p?q HTTP/1.1\r\nHost: a.test\r\nTE: trailers\r\nConnection: TE\r\nTransfer-Encoding: chunked\r\n\r\n0";
        let mut found = None;
        let fields = block(|out| found = push_request(text, b"http", out));
        let (content, length, asked) = found.unwrap();
        let expected =
            [(":method", "POST"), (":scheme", "http"), (":path", "/p?q"), (":authority", "a.test"), ("te", "trailers")];
        assert_eq!(fields, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
        assert_eq!((content, length, asked.to_head), (Content::Chunked, text.len() - 1, false));
    }

    #[test]
    fn trailers_go_there_and_back() {
        let mut out = Vec::new();
        let mut text = TrailerText::new(&mut out, 100);
        block(|out| push_trailers(b"X-A: 1\r\ngrpc-status: 0\r\n\r\n", out))
            .iter()
            .for_each(|(name, value)| text.field(name.as_bytes(), value.as_bytes()));
        text.finish().unwrap();
        assert_eq!(out, b"x-a: 1\r\ngrpc-status: 0\r\n");
        let mut out = Vec::new();
        let mut text = TrailerText::new(&mut out, 100);
        text.field(b":status", b"200");
        assert!(text.finish().is_err());
    }
}
