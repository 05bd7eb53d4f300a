//! An answer read strictly: it must be whole, and belong to the request that was sent.

use super::request::Request;
use super::tally::Fault;
use crate::body::Body;
use crate::pattern::{Check, Side};
use tokio::io::{AsyncRead, AsyncReadExt};

/// Longest head, in bytes.
const HEAD: usize = 64 << 10;

/// Reads answers from one connection.
#[derive(Debug, Default)]
pub struct Reader {
    input: Vec<u8>,
    at: usize,
    /// The target that the current answer names, as soon as its head is there.
    pub target: Option<String>,
    /// The cookie that the current answer sets, name and value.
    pub cookie: Option<String>,
}

#[derive(Debug)]
struct Head {
    length: usize,
    status: u16,
    id: Option<u64>,
    target: Option<String>,
    cookie: Option<String>,
    received: Option<u64>,
    body: Body,
    close: bool,
}

impl Reader {
    /// Reads the answer to `request`; whether the connection stays open after it.
    pub async fn read(&mut self, from: &mut (impl AsyncRead + Unpin), request: &Request) -> Result<bool, Fault> {
        (self.target, self.cookie) = (None, None);
        let mut head = loop {
            match self.head(request)? {
                Some(head) if head.status < 200 => self.at += head.length,
                Some(head) => break head,
                None if self.input.len() - self.at > HEAD => return Err(malformed("head too long")),
                None => {
                    let nothing = self.extra() == 0;
                    match self.fill(from).await {
                        Ok(true) => {}
                        Ok(false) if nothing => return Err(Fault::Closed),
                        Err(_) if nothing => return Err(Fault::Reset),
                        _ => return Err(Fault::Truncated),
                    }
                }
            }
        };
        self.at += head.length;
        (self.target, self.cookie) = (head.target.take(), head.cookie.take());
        let mut check = Check::new(request.id, Side::Answer);
        while !head.body.is_complete() {
            self.at += head.body.feed(&self.input[self.at..], |piece| check.feed(piece)).map_err(malformed)?;
            if head.body.is_complete() {
                break;
            }
            match self.fill(from).await {
                Ok(true) => {}
                Ok(false) if matches!(head.body, Body::UntilClose) => break,
                _ => return Err(Fault::Truncated),
            }
        }
        verify(&head, &check, request)?;
        Ok(!head.close)
    }

    /// Bytes that came beyond the last answer.
    pub fn extra(&self) -> usize {
        self.input.len() - self.at
    }

    /// Reads more; `false` at the end.
    async fn fill(&mut self, from: &mut (impl AsyncRead + Unpin)) -> std::io::Result<bool> {
        self.input.drain(..self.at);
        self.at = 0;
        self.input.reserve(32 << 10);
        Ok(from.read_buf(&mut self.input).await? > 0)
    }

    fn head(&self, request: &Request) -> Result<Option<Head>, Fault> {
        let mut headers = [httparse::EMPTY_HEADER; 64];
        let mut parsed = httparse::Response::new(&mut headers);
        let httparse::Status::Complete(length) = parsed.parse(&self.input[self.at..]).map_err(malformed)? else {
            return Ok(None);
        };
        let status = parsed.code.unwrap_or(0);
        let (id, target, cookie, received, close) = (None, None, None, None, false);
        let mut head = Head { length, status, id, target, cookie, received, body: Body::UntilClose, close };
        let mut framed = false;
        for header in parsed.headers.iter() {
            let value = std::str::from_utf8(header.value).map_err(malformed)?;
            match header.name.to_ascii_lowercase().as_str() {
                "content-length" | "transfer-encoding" if std::mem::replace(&mut framed, true) => {
                    return Err(malformed("framed twice"));
                }
                "content-length" => head.body = Body::Length(value.parse().map_err(malformed)?),
                "transfer-encoding" if value.eq_ignore_ascii_case("chunked") => head.body = Body::chunked(),
                "transfer-encoding" => return Err(malformed(value)),
                "connection" => head.close |= value.eq_ignore_ascii_case("close"),
                "x-strict-id" => head.id = u64::from_str_radix(value, 16).ok(),
                "x-received" => head.received = value.parse().ok(),
                "x-target" => head.target = Some(value.to_owned()),
                "set-cookie" => head.cookie = value.split(';').next().map(str::to_owned),
                _ => {}
            }
        }
        head.close |= matches!(head.body, Body::UntilClose);
        if request.method == "HEAD" || status < 200 || status == 204 || status == 304 {
            head.body = Body::Length(0);
        }
        Ok(Some(head))
    }
}

fn verify(head: &Head, check: &Check, request: &Request) -> Result<(), Fault> {
    if head.status != 200 {
        return Err(Fault::Status(head.status));
    }
    if head.id != Some(request.id) {
        return Err(Fault::MixedUp);
    }
    if head.received != Some(request.body.unwrap_or(0) as u64) {
        return Err(Fault::RequestBody);
    }
    let expected = if request.method == "HEAD" { 0 } else { request.answer as u64 };
    if check.seen() < expected {
        return Err(Fault::Truncated);
    }
    if check.seen() != expected || check.wrong_at().is_some() {
        return Err(Fault::Corrupt);
    }
    Ok(())
}

fn malformed(reason: impl std::fmt::Display) -> Fault {
    Fault::Malformed(reason.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::strict::request::{Methods, Mix};

    /// What the client says to `wire` as the answer to a GET for 4 bytes.
    fn judge(wire: &[u8]) -> (Result<bool, Fault>, usize) {
        let mix = Mix { methods: Methods::Get, bodies: 0.0, chunked: 0.0, close: 0.0, sizes: vec![4] };
        let (mut reader, mut wire) = (Reader::default(), wire);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let result = runtime.block_on(reader.read(&mut wire, &Request::new(7, &mix)));
        (result, reader.extra())
    }

    fn answer(id: u64, head: &str) -> Vec<u8> {
        let mut wire =
            format!("HTTP/1.1 200 OK\r\nx-strict-id: {id:x}\r\nx-received: 0\r\n{head}\r\n\r\n").into_bytes();
        let start = wire.len();
        wire.resize(start + 4, 0);
        crate::pattern::fill(id, Side::Answer, 0, &mut wire[start..]);
        wire
    }

    #[test]
    fn a_whole_answer_passes_and_its_connection_stays() {
        assert_eq!(judge(&answer(7, "content-length: 4")), (Ok(true), 0));
        assert_eq!(judge(&answer(7, "content-length: 4\r\nconnection: close")), (Ok(false), 0));
    }

    #[test]
    fn every_kind_of_damage_has_its_name() {
        let good = answer(7, "content-length: 4");
        let mut flipped = good.clone();
        *flipped.last_mut().unwrap() ^= 1;
        assert_eq!(judge(&flipped).0, Err(Fault::Corrupt));
        assert_eq!(judge(&good[..good.len() - 1]).0, Err(Fault::Truncated));
        assert_eq!(judge(&good[..20]).0, Err(Fault::Truncated));
        assert_eq!(judge(b"").0, Err(Fault::Closed));
        assert_eq!(judge(&answer(8, "content-length: 4")).0, Err(Fault::MixedUp));
        assert_eq!(judge(&[&good[..], &good[..]].concat()), (Ok(true), good.len()));
        assert_eq!(judge(b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n").0, Err(Fault::Status(502)));
        let twice = answer(7, "content-length: 4\r\ncontent-length: 4");
        assert!(matches!(judge(&twice).0, Err(Fault::Malformed(_))));
    }
}
