//! Heads of HTTP/2 as text of HTTP/1.1 (RFC 9113 §8).
//!
//! What always holds: a field that could end its line, or that belongs to a connection, makes its message malformed before
//! it is written; what else may be wrong with a request is for the parser of HTTP/1.1, as with its own clients.

use crate::http::h1::accept_value;
use crate::observe::status::reason_phrase;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::ops::Range;

/// A message that does not say one thing: its stream is reset with PROTOCOL_ERROR (RFC 9113 §8.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// What the text of a head says about the content behind it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Written {
    /// Content is to be written in chunks: its length is not known.
    pub(super) chunked: bool,
    /// The length of the content, as the head has it.
    pub(super) length: Option<u64>,
    /// Whether the head is that of a request by HEAD, whose answer has no content.
    pub(super) to_head: bool,
    /// Whether it is an interim answer, behind which another head follows.
    pub(super) interim: bool,
}

/// Makes text of the fields of a request, in their order.
pub(super) struct RequestText<'a> {
    fields: Fields<'a>,
    websockets: bool,
    /// The values of the pseudo fields, one behind the other.
    pseudo: &'a mut Vec<u8>,
    method: Option<Range<usize>>,
    scheme: bool,
    authority: Option<Range<usize>>,
    path: Option<Range<usize>>,
    protocol: Option<Range<usize>>,
    /// Whether Host has been read.
    host: bool,
    cookies: Vec<u8>,
    begun: bool,
    websocket: bool,
    to_head: bool,
}

/// Makes text of the fields of an answer, in their order.
pub(super) struct ResponseText<'a> {
    fields: Fields<'a>,
    asked: &'a Asked,
    status: Option<u16>,
}

/// Makes lines of trailers.
pub(super) struct TrailerText<'a> {
    fields: Fields<'a>,
}

/// What all kinds of text have in common.
struct Fields<'a> {
    out: &'a mut Vec<u8>,
    /// Bytes from which on nothing is added: who reads the text refuses it for its length.
    limit: usize,
    malformed: bool,
    length: Option<u64>,
}

impl<'a> Fields<'a> {
    fn new(out: &'a mut Vec<u8>, limit: usize) -> Self {
        Self { out, limit, malformed: false, length: None }
    }

    fn is_full(&self) -> bool {
        self.out.len() > self.limit
    }

    /// Adds a field that is none of a connection's (RFC 9113 §8.2).
    fn push(&mut self, name: &[u8], value: &[u8]) -> Result<(), Malformed> {
        check_name(name)?;
        check_value(value)?;
        match name {
            b"connection" | b"keep-alive" | b"proxy-connection" | b"transfer-encoding" | b"upgrade" => {
                return Err(Malformed);
            }
            b"te" if value != b"trailers" => return Err(Malformed),
            b"content-length" => {
                let length = number(value).ok_or(Malformed)?;
                if self.length.replace(length).is_some_and(|before| before != length) {
                    return Err(Malformed);
                }
            }
            _ => {}
        }
        line(self.out, name, value);
        Ok(())
    }

    fn finish(self) -> Result<Option<u64>, Malformed> {
        if self.malformed { Err(Malformed) } else { Ok(self.length) }
    }
}

impl<'a> RequestText<'a> {
    /// Appends to `out`, not much beyond `limit` bytes. `websockets`: they may be asked for (RFC 8441 §4).
    /// `room` is for its own use.
    pub(super) fn new(out: &'a mut Vec<u8>, limit: usize, websockets: bool, room: &'a mut Vec<u8>) -> Self {
        room.clear();
        Self {
            fields: Fields::new(out, limit),
            websockets,
            pseudo: room,
            method: None,
            scheme: false,
            authority: None,
            path: None,
            protocol: None,
            host: false,
            cookies: Vec::new(),
            begun: false,
            websocket: false,
            to_head: false,
        }
    }

    /// The next field.
    pub(super) fn field(&mut self, name: &[u8], value: &[u8]) {
        let is_full = self.fields.out.len() + self.cookies.len() > self.fields.limit;
        if !self.fields.malformed && !is_full && self.add(name, value).is_err() {
            self.fields.malformed = true;
        }
    }

    fn add(&mut self, name: &[u8], value: &[u8]) -> Result<(), Malformed> {
        if name.first() == Some(&b':') {
            return self.pseudo(name, value);
        }
        if !self.begun {
            self.begin()?;
        }
        match name {
            b"host" => self.host(value),
            // RFC 9113 §8.2.3: a client may split its cookies into several fields, which no server of HTTP/1.1 expects.
            b"cookie" => {
                check_value(value)?;
                self.cookies.extend_from_slice(if self.cookies.is_empty() { b"cookie: " } else { b"; " });
                self.cookies.extend_from_slice(value);
                Ok(())
            }
            // A handshake has no content that could have a length.
            b"content-length" if self.websocket => Err(Malformed),
            _ => self.fields.push(name, value),
        }
    }

    /// RFC 9113 §8.3: they stand before all others, and once each.
    fn pseudo(&mut self, name: &[u8], value: &[u8]) -> Result<(), Malformed> {
        if self.begun || !value.iter().all(|&byte| byte > b' ' && byte != 0x7f) {
            return Err(Malformed);
        }
        let place = match name {
            b":method" => &mut self.method,
            b":authority" => &mut self.authority,
            b":path" => &mut self.path,
            b":protocol" => &mut self.protocol,
            b":scheme" if !self.scheme && is_scheme(value) => {
                self.scheme = true;
                return Ok(());
            }
            _ => return Err(Malformed),
        };
        let start = self.pseudo.len();
        if place.replace(start..start + value.len()).is_some() {
            return Err(Malformed);
        }
        self.pseudo.extend_from_slice(value);
        Ok(())
    }

    /// Writes the request line, and the host.
    fn begin(&mut self) -> Result<(), Malformed> {
        self.begun = true;
        let value = |range: &Option<Range<usize>>| self.pseudo.get(range.clone()?);
        let method = value(&self.method).filter(|method| !method.is_empty()).ok_or(Malformed)?;
        let (authority, path, protocol) = (value(&self.authority), value(&self.path), value(&self.protocol));
        let connect = method == b"CONNECT";
        // RFC 9113 §8.3.1, §8.5; RFC 8441 §4.
        let complete = self.scheme && path.is_some_and(|path| path.starts_with(b"/") || path == b"*");
        let bare = !self.scheme && path.is_none() && authority.is_some();
        match protocol {
            None if connect && bare || !connect && complete => {}
            Some(_) if connect && complete && authority.is_some() && self.websockets => {}
            _ => return Err(Malformed),
        }
        self.websocket = protocol == Some(b"websocket");
        self.to_head = method == b"HEAD";
        let authority = authority.filter(|authority| !authority.is_empty());
        let (method, target) = match self.websocket {
            true => (&b"GET"[..], path),
            // Any other tunnel is asked for in the form that is refused in HTTP/1.1.
            false if connect => (method, authority.or(Some(b"-"))),
            false => (method, path),
        };
        let out = &mut *self.fields.out;
        for part in [method, b" ", target.unwrap_or(b"/"), b" HTTP/1.1\r\n"] {
            out.extend_from_slice(part);
        }
        if let Some(authority) = authority {
            line(out, b"host", authority);
        }
        Ok(())
    }

    /// RFC 9113 §8.3.1: `:authority` and Host must not differ. Two of Host are one too many, as in HTTP/1.1.
    fn host(&mut self, value: &[u8]) -> Result<(), Malformed> {
        if std::mem::replace(&mut self.host, true) {
            return Err(Malformed);
        }
        let authority = self.authority.clone().and_then(|range| self.pseudo.get(range));
        match authority.filter(|authority| !authority.is_empty()) {
            Some(named) if named.eq_ignore_ascii_case(value) => Ok(()),
            Some(_) => Err(Malformed),
            None => self.fields.push(b"host", value),
        }
    }

    /// Ends the text. `ended`: there is no content.
    pub(super) fn finish(mut self, ended: bool) -> Result<Written, Malformed> {
        if !self.begun && !self.fields.malformed {
            self.begin()?;
        }
        let Self { fields, cookies, websocket, to_head, .. } = self;
        let out = &mut *fields.out;
        if !cookies.is_empty() {
            out.extend_from_slice(&cookies);
            out.extend_from_slice(b"\r\n");
        }
        let is_full = out.len() > fields.limit;
        let chunked = !ended && !websocket && fields.length.is_none();
        if chunked {
            out.extend_from_slice(b"transfer-encoding: chunked\r\n");
        }
        if websocket {
            out.extend_from_slice(b"connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-key: ");
            out.extend_from_slice(STANDARD.encode(fastrand::u128(..).to_ne_bytes()).as_bytes());
            out.extend_from_slice(b"\r\n");
        }
        if !is_full {
            out.extend_from_slice(b"\r\n");
        }
        let length = fields.finish()?;
        if ended && (websocket || length.unwrap_or(0) > 0) {
            return Err(Malformed);
        }
        Ok(Written { chunked, length, to_head, interim: false })
    }
}

/// What has to be known of a request to read its answer.
#[derive(Clone, Debug, Default)]
pub(super) struct Asked {
    /// Whether its method is HEAD.
    pub(super) to_head: bool,
    /// The key of a WebSocket handshake.
    pub(super) key: Option<Vec<u8>>,
}

impl<'a> ResponseText<'a> {
    /// Appends to `out`, not much beyond `limit` bytes.
    pub(super) fn new(out: &'a mut Vec<u8>, limit: usize, asked: &'a Asked) -> Self {
        Self { fields: Fields::new(out, limit), asked, status: None }
    }

    /// The next field.
    pub(super) fn field(&mut self, name: &[u8], value: &[u8]) {
        if !self.fields.malformed && !self.fields.is_full() && self.add(name, value).is_err() {
            self.fields.malformed = true;
        }
    }

    fn add(&mut self, name: &[u8], value: &[u8]) -> Result<(), Malformed> {
        if self.status.is_some() {
            return self.fields.push(name, value);
        }
        let status = match (name, value) {
            (b":status", [b'1'..=b'9', b'0'..=b'9', b'0'..=b'9']) => number(value).ok_or(Malformed)? as u16,
            _ => return Err(Malformed),
        };
        self.status = Some(status);
        let switched = status == 200 && self.asked.key.is_some();
        let out = &mut *self.fields.out;
        push_status_line(out, if switched { 101 } else { status });
        if let Some(key) = self.asked.key.as_ref().filter(|_| switched) {
            line(out, b"sec-websocket-accept", accept_value(key).as_bytes());
            out.extend_from_slice(b"connection: upgrade\r\nupgrade: websocket\r\n");
        }
        Ok(())
    }

    /// Ends the text. `ended`: there is no content.
    pub(super) fn finish(self, ended: bool) -> Result<Written, Malformed> {
        let (status, is_full) = (self.status.ok_or(Malformed)?, self.fields.is_full());
        let Self { fields, asked, .. } = self;
        let interim = status < 200;
        // RFC 9113 §8.1: an interim answer does not end its stream; §8.6: there is no 101.
        if interim && ended || status == 101 || is_full {
            return Err(Malformed);
        }
        let out = &mut *fields.out;
        let switched = status == 200 && asked.key.is_some();
        let bodiless = interim || switched || asked.to_head || matches!(status, 204 | 304);
        let unframed = !bodiless && fields.length.is_none();
        match (unframed, ended) {
            (true, true) => out.extend_from_slice(b"content-length: 0\r\n"),
            (true, false) => out.extend_from_slice(b"transfer-encoding: chunked\r\n"),
            (false, _) => {}
        }
        out.extend_from_slice(b"\r\n");
        // The length that a head without content has is that of another answer's.
        let length = fields.finish()?.filter(|_| !bodiless);
        if ended && length.unwrap_or(0) > 0 {
            return Err(Malformed);
        }
        let length = if bodiless && !interim && !switched { Some(0) } else { length };
        Ok(Written { chunked: unframed && !ended, length, to_head: false, interim })
    }
}

impl<'a> TrailerText<'a> {
    /// Appends to `out`, not much beyond `limit` bytes.
    pub(super) fn new(out: &'a mut Vec<u8>, limit: usize) -> Self {
        Self { fields: Fields::new(out, limit) }
    }

    /// The next field.
    pub(super) fn field(&mut self, name: &[u8], value: &[u8]) {
        if !self.fields.malformed && !self.fields.is_full() && self.fields.push(name, value).is_err() {
            self.fields.malformed = true;
        }
    }

    /// Ends the lines.
    pub(super) fn finish(self) -> Result<(), Malformed> {
        if self.fields.is_full() { Err(Malformed) } else { self.fields.finish().map(drop) }
    }
}

/// RFC 9113 §8.2.1.
pub(super) fn check_name(name: &[u8]) -> Result<(), Malformed> {
    let good = |&byte: &u8| byte > b' ' && byte < 0x7f && byte != b':' && !byte.is_ascii_uppercase();
    if !name.is_empty() && name.iter().all(good) { Ok(()) } else { Err(Malformed) }
}

/// RFC 9113 §8.2.1.
pub(super) fn check_value(value: &[u8]) -> Result<(), Malformed> {
    let blank = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    if blank(value.first()) || blank(value.last()) || memchr::memchr3(b'\r', b'\n', 0, value).is_some() {
        return Err(Malformed);
    }
    Ok(())
}

/// RFC 3986 §3.1
fn is_scheme(value: &[u8]) -> bool {
    let rest = |byte: &u8| byte.is_ascii_alphanumeric() || b"+-.".contains(byte);
    value.first().is_some_and(u8::is_ascii_alphabetic) && value.iter().all(rest)
}

/// A number as RFC 9110 §8.6 has it.
pub(super) fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |number, digit| {
        let digit = u64::from(digit.checked_sub(b'0').filter(|&digit| digit < 10)?);
        number.checked_mul(10)?.checked_add(digit)
    })
}

fn line(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.reserve(name.len() + value.len() + 4);
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

fn push_status_line(out: &mut Vec<u8>, status: u16) {
    out.extend_from_slice(b"HTTP/1.1 ");
    let digits = [status / 100 % 10, status / 10 % 10, status % 10].map(|digit| b'0' + digit as u8);
    out.extend_from_slice(&digits);
    out.push(b' ');
    out.extend_from_slice(reason_phrase(status).as_bytes());
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(fields: &[(&str, &str)], ended: bool) -> Result<(String, Written), Malformed> {
        let (mut out, mut room) = (Vec::new(), Vec::new());
        let mut text = RequestText::new(&mut out, 1000, true, &mut room);
        fields.iter().for_each(|(name, value)| text.field(name.as_bytes(), value.as_bytes()));
        text.finish(ended).map(|written| (String::from_utf8(out).unwrap(), written))
    }

    const GET: [(&str, &str); 4] =
        [(":method", "GET"), (":scheme", "https"), (":authority", "a.test"), (":path", "/p?q")];

    fn get(more: &[(&str, &str)], ended: bool) -> Result<(String, Written), Malformed> {
        request(&[&GET, more].concat(), ended)
    }

    #[test]
    fn a_request_reads_as_its_client_of_http11_would_have_sent_it() {
        let (text, written) = get(&[("cookie", "a=1"), ("x", "y"), ("cookie", "b=2")], true).unwrap();
        assert_eq!(text, "GET /p?q HTTP/1.1\r\nhost: a.test\r\nx: y\r\ncookie: a=1; b=2\r\n\r\n");
        assert_eq!(written, Written::default());
        let bare = request(&[(":method", "HEAD"), (":scheme", "http"), (":path", "/"), ("host", "b.test")], true);
        assert_eq!(
            bare.unwrap(),
            ("HEAD / HTTP/1.1\r\nhost: b.test\r\n\r\n".into(), Written { to_head: true, ..written })
        );
        let connect = request(&[(":method", "CONNECT"), (":authority", "a.test:1")], false).unwrap();
        assert!(connect.0.starts_with("CONNECT a.test:1 HTTP/1.1\r\n"));
    }

    #[test]
    fn content_of_no_known_length_comes_in_chunks() {
        let (text, written) = get(&[], false).unwrap();
        assert!(written.chunked && text.ends_with("transfer-encoding: chunked\r\n\r\n"), "{text}");
        let (text, written) = get(&[("content-length", "3")], false).unwrap();
        assert!(text.ends_with("content-length: 3\r\n\r\n"), "{text}");
        assert_eq!((written.chunked, written.length), (false, Some(3)));
    }

    #[test]
    fn what_two_readers_could_read_in_two_ways_is_malformed() {
        for (name, value) in [
            ("host", "b.test"),
            ("connection", "close"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "h2c"),
            ("keep-alive", "1"),
            ("proxy-connection", "close"),
            ("te", "gzip"),
            ("x", "a\r\nb: c"),
            ("x", "a\0"),
            ("x", " a"),
            ("x", "a\t"),
            ("X", "a"),
            ("x:", "a"),
            ("x y", "a"),
            ("x\r\ny", "a"),
            ("", "a"),
            ("content-length", "1"),
            ("content-length", "+0"),
            (":path", "/"),
            (":status", "200"),
            (":other", "x"),
        ] {
            assert_eq!(get(&[(name, value)], true).err(), Some(Malformed), "{name}: {value}");
        }
        assert!(get(&[("host", "A.test"), ("te", "trailers"), ("content-length", "0")], true).is_ok());
        assert!(get(&[("content-length", "1"), ("content-length", "2")], false).is_err());
        assert!(get(&[("host", "a.test"), ("host", "a.test")], true).is_err());
        for without in 0..4 {
            let fields: Vec<_> = (0..4).filter(|&at| at != without).map(|at| GET[at]).collect();
            assert_eq!(request(&fields, true).is_err(), without != 2, "{fields:?}");
        }
        for twice in GET {
            assert!(request(&[&[twice], &GET[..]].concat(), true).is_err(), "{twice:?}");
        }
        for (at, bad) in [(0, ""), (0, "G T"), (3, ""), (3, "p"), (3, "/a b"), (3, "/a\r\nb"), (2, "a b")] {
            let mut fields = GET;
            fields[at].1 = bad;
            assert!(request(&fields, true).is_err(), "{fields:?}");
        }
        assert!(request(&[("x", "y"), GET[0], GET[1], GET[2], GET[3]], true).is_err());
        assert!(request(&[(":method", "CONNECT"), GET[1], GET[2], GET[3]], true).is_err());
    }

    #[test]
    fn a_websocket_asks_as_in_http11() {
        let asked = [(":method", "CONNECT"), (":protocol", "websocket"), GET[1], GET[2], GET[3]];
        let (text, _) = request(&asked, false).unwrap();
        assert!(text.starts_with("GET /p?q HTTP/1.1\r\nhost: a.test\r\n"), "{text}");
        assert!(text.contains("connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-key: "), "{text}");
        assert!(request(&[&asked[..], &[("content-length", "3")]].concat(), false).is_err());
        let (mut out, mut room) = (Vec::new(), Vec::new());
        let mut text = RequestText::new(&mut out, 1000, false, &mut room);
        asked.iter().for_each(|(name, value)| text.field(name.as_bytes(), value.as_bytes()));
        assert!(text.finish(false).is_err());
    }

    #[test]
    fn a_head_that_is_too_long_stays_open() {
        let long = "x".repeat(400);
        let (text, _) = get(&[("a", &long), ("b", &long), ("c", &long), ("d", &long)], true).unwrap();
        assert!(text.len() > 1000 && text.len() < 1500 && !text.contains("\r\n\r\n"));
        let (text, _) =
            get(&[("cookie", &long), ("cookie", &long), ("cookie", &long), ("cookie", "not\0read")], true).unwrap();
        assert!(text.len() > 1000 && text.len() < 1500 && !text.contains("\r\n\r\n"));
    }

    #[test]
    fn an_answer_of_a_target_has_one_framing() {
        let text = |ended, asked: &Asked, fields: &[(&str, &str)]| {
            let mut out = Vec::new();
            let mut text = ResponseText::new(&mut out, 1000, asked);
            fields.iter().for_each(|(name, value)| text.field(name.as_bytes(), value.as_bytes()));
            text.finish(ended).map(|written| (String::from_utf8(out).unwrap(), written.chunked, written.length))
        };
        let (plain, head) = (Asked::default(), Asked { to_head: true, key: None });
        let ok = (":status", "200");
        let of = |text: &str, chunked, length| Ok((format!("HTTP/1.1 200 OK\r\n{text}\r\n"), chunked, length));
        assert_eq!(text(false, &plain, &[ok]), of("transfer-encoding: chunked\r\n", true, None));
        assert_eq!(text(true, &plain, &[ok]), of("content-length: 0\r\n", false, None));
        assert_eq!(text(true, &head, &[ok]), of("", false, Some(0)));
        let length = ("content-length", "3");
        assert_eq!(text(false, &plain, &[ok, length]), of("content-length: 3\r\n", false, Some(3)));
        assert_eq!(text(true, &plain, &[ok, length]), Err(Malformed));
        assert_eq!(text(true, &head, &[ok, length]), of("content-length: 3\r\n", false, Some(0)));
        for bad in [&[ok, ("transfer-encoding", "chunked")][..], &[("x", "y")], &[ok, ok], &[(":status", "2")], &[]] {
            assert_eq!(text(false, &plain, bad), Err(Malformed), "{bad:?}");
        }
        assert_eq!(text(false, &plain, &[(":status", "101")]), Err(Malformed));
        assert_eq!(text(true, &plain, &[(":status", "103")]), Err(Malformed));
        let key = Asked { to_head: false, key: Some(b"dGhlIHNhbXBsZSBub25jZQ==".to_vec()) };
        let (text, ..) = text(false, &key, &[ok]).unwrap();
        assert!(text.starts_with("HTTP/1.1 101 ") && text.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{text}");
    }
}
