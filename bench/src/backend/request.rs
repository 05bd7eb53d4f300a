//! What a request asks of the backend.

use crate::body::Body;
use crate::caches::object::VARIANT;
use anyhow::{Context, Result, bail};

/// A parsed head.
#[derive(Debug)]
pub struct Request {
    /// Bytes of the head, blank line included.
    pub head: usize,
    /// What to answer.
    pub wanted: Wanted,
    /// The answer carries no body (HEAD).
    pub bodiless: bool,
    /// GET, HEAD, PUT, DELETE, OPTIONS, TRACE (RFC 9110 section 9.2.2).
    pub idempotent: bool,
    /// The connection ends after the answer.
    pub close: bool,
    /// The client waits for 100 (Continue).
    pub expects_continue: bool,
    /// The request body, nothing of it read yet.
    pub body: Body,
}

/// The kinds of answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// `/128`, `/4k`, `/64k`, `/1m`, `/?size=N`: that many bytes. These and the paths below may have `/route-N` before them.
    Fixed(usize),
    /// `/cached/128`, `/cached/64k`, `/cached?size=N`: the same of an answer that is fresh for an hour.
    Cacheable(usize),
    /// `/strict/ID?size=N[&chunked=1]`: the bytes of [`crate::pattern`].
    Strict { id: u64, size: usize, chunked: bool },
    /// `/kept/ID?size=N[&chunked=1][&vary=1]`: an [`Object`](crate::caches::object::Object) that is fresh for an hour.
    Kept { id: u64, size: usize, chunked: bool, variant: Option<u64> },
    /// `/page?size=N`: that many bytes of JSON, which compress as such do.
    Page(usize),
    /// `/ws`: a WebSocket that gives back every message.
    WebSocket,
    /// `/count`: how many answers this backend has given to the other kinds.
    Count,
    /// `/health`.
    Health,
    /// `/reset`: an answer, and then the end of all connections by a reset.
    Reset,
    /// Any other path.
    Unknown,
}

/// Largest answer that may be asked for, in bytes.
pub const MAX_SIZE: usize = 16 << 20;

/// Parses the head at the front of `input`; `None` if it is not complete. Fails on what a backend must not be sent.
pub fn parse(input: &[u8]) -> Result<Option<Request>> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut parsed = httparse::Request::new(&mut headers);
    let httparse::Status::Complete(head) = parsed.parse(input)? else { return Ok(None) };
    let method = parsed.method.context("no method")?;
    let mut request = Request {
        head,
        wanted: wanted(parsed.path.context("no path")?)?,
        bodiless: method == "HEAD",
        idempotent: matches!(method, "GET" | "HEAD" | "PUT" | "DELETE" | "OPTIONS" | "TRACE"),
        close: parsed.version == Some(0),
        expects_continue: false,
        body: Body::Length(0),
    };
    let mut framed = false;
    for header in parsed.headers.iter() {
        let is = |name: &str| header.name.eq_ignore_ascii_case(name);
        if is("content-length") || is("transfer-encoding") {
            if std::mem::replace(&mut framed, true) {
                bail!("framed twice");
            }
            request.body = match std::str::from_utf8(header.value)? {
                length if is("content-length") => Body::Length(length.parse()?),
                coding if coding.eq_ignore_ascii_case("chunked") => Body::chunked(),
                coding => bail!("transfer-encoding {coding:?}"),
            };
        } else if is("connection") {
            request.close |= header.value.eq_ignore_ascii_case(b"close");
        } else if is("expect") {
            request.expects_continue = header.value.eq_ignore_ascii_case(b"100-continue");
        } else if is(VARIANT) {
            let number = u64::from_str_radix(std::str::from_utf8(header.value)?, 16)?;
            if let Wanted::Kept { variant: Some(variant), .. } = &mut request.wanted {
                *variant = number;
            }
        } else if is("x-strict-id") {
            let named = u64::from_str_radix(std::str::from_utf8(header.value)?, 16)?;
            match request.wanted {
                Wanted::Strict { id, .. } if id == named => {}
                _ => bail!("header names request {named:x}, path another"),
            }
        }
    }
    Ok(Some(request))
}

fn wanted(target: &str) -> Result<Wanted> {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let path = below_route(path);
    let value = |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
    let size = match value("size") {
        Some(size) => size.parse().ok().filter(|&size| size <= MAX_SIZE).context("size out of range")?,
        None => 128,
    };
    Ok(match path {
        "/" | "/128" => Wanted::Fixed(size),
        "/4k" => Wanted::Fixed(4 << 10),
        "/64k" => Wanted::Fixed(64 << 10),
        "/1m" => Wanted::Fixed(1 << 20),
        "/cached" => Wanted::Cacheable(size),
        "/cached/128" => Wanted::Cacheable(128),
        "/cached/64k" => Wanted::Cacheable(64 << 10),
        "/page" => Wanted::Page(size),
        "/ws" => Wanted::WebSocket,
        "/count" => Wanted::Count,
        "/health" => Wanted::Health,
        "/reset" => Wanted::Reset,
        _ => {
            let (is_kept, id) = match (path.strip_prefix("/strict/"), path.strip_prefix("/kept/")) {
                (Some(id), _) => (false, id),
                (None, Some(id)) => (true, id),
                (None, None) => return Ok(Wanted::Unknown),
            };
            let (id, chunked) = (u64::from_str_radix(id, 16)?, value("chunked") == Some("1"));
            match is_kept {
                false => Wanted::Strict { id, size, chunked },
                true => Wanted::Kept { id, size, chunked, variant: value("vary").map(|_| 0) },
            }
        }
    })
}

/// The path without the `/route-N` that led it through a proxy with many routes.
fn below_route(path: &str) -> &str {
    let rest = path.strip_prefix("/route-").and_then(|rest| Some(&rest[rest.find('/')?..]));
    rest.unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::caches::object::Object;

    #[test]
    fn strict_request_is_read_with_its_framing() {
        let wire =
            b"POST /strict/a1?size=9&chunked=1 HTTP/1.1\r\nX-Strict-Id: a1\r\nTransfer-Encoding: chunked\r\n\r\n0";
        let request = parse(wire).unwrap().unwrap();
        assert_eq!(request.wanted, Wanted::Strict { id: 0xa1, size: 9, chunked: true });
        assert_eq!((request.head, request.idempotent, request.close), (wire.len() - 1, false, false));
        assert!(matches!(request.body, Body::Chunked(_)));
    }

    #[test]
    fn what_may_be_kept_is_as_its_client_asks_for_it() {
        let object = |variant| Object { id: 0xa1, size: 9, chunked: true, variant };
        for variant in [None, Some(3)] {
            let (mut wire, asked) = (String::new(), object(variant));
            asked.request("h", true, true, &mut wire);
            let wanted = parse(wire.as_bytes()).unwrap().unwrap().wanted;
            assert_eq!(wanted, Wanted::Kept { id: 0xa1, size: 9, chunked: true, variant });
        }
    }

    #[test]
    fn the_route_that_a_request_took_makes_no_difference() {
        assert_eq!(wanted("/route-0042/4k").unwrap(), Wanted::Fixed(4 << 10));
        assert_eq!(wanted("/route-0042/strict/a1?size=9").unwrap(), wanted("/strict/a1?size=9").unwrap());
        assert_eq!(wanted("/route-0042").unwrap(), Wanted::Unknown);
    }

    #[test]
    fn a_proxys_mistake_is_refused() {
        for wire in [
            "GET /strict/a1 HTTP/1.1\r\nx-strict-id: a2\r\n\r\n",
            "POST / HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 1\r\n\r\n",
            "POST / HTTP/1.1\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n",
        ] {
            assert!(parse(wire.as_bytes()).is_err(), "{wire:?}");
        }
    }
}
