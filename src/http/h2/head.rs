//! Heads of HTTP/2 as text of HTTP/1.1, and back (RFC 9113 §8).

use crate::http::h1::{MAX_FIELDS, accept_value, reason_phrase};
use crate::http::head::Name;
use ::h2::ext::Protocol;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;
use http::{Method, Request, Response, StatusCode, Uri};

/// A request that does not say one thing: the stream is reset with PROTOCOL_ERROR.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// Appends the head of a request as text to `out`. `ended`: it has no content. Returns whether its content is to be written in
/// chunks: its length is not known.
///
/// The text is not checked, but for what it could not show any more: two authorities, or a field that belongs to a
/// connection. The parser of HTTP/1.1 does the rest, as it does for its own clients.
pub(super) fn write_request(parts: &Parts, ended: bool, out: &mut Vec<u8>) -> Result<bool, Malformed> {
    let protocol = parts.extensions.get::<Protocol>();
    let websocket = parts.method == Method::CONNECT && protocol.is_some_and(|name| name.as_str() == "websocket");
    let authority = authority(parts)?;
    out.extend_from_slice(if websocket { b"GET" } else { parts.method.as_str().as_bytes() });
    out.push(b' ');
    match parts.uri.path_and_query() {
        // Any other tunnel is asked for in the form that is refused in HTTP/1.1.
        _ if parts.method == Method::CONNECT && !websocket => out.extend_from_slice(authority.unwrap_or(b"-")),
        Some(path) => out.extend_from_slice(path.as_str().as_bytes()),
        None => out.push(b'/'),
    }
    out.extend_from_slice(b" HTTP/1.1\r\n");
    if let Some(authority) = authority {
        push(out, b"host", authority);
    }
    for (name, value) in &parts.headers {
        match *name {
            header::HOST | header::COOKIE => {}
            header::CONNECTION | header::TRANSFER_ENCODING | header::UPGRADE => return Err(Malformed),
            header::TE if value != "trailers" => return Err(Malformed),
            // A handshake has no content that could have a length.
            header::CONTENT_LENGTH if websocket => return Err(Malformed),
            _ if matches!(Name::of(name.as_str().as_bytes()), Name::KeepAlive | Name::ProxyConnection) => {
                return Err(Malformed);
            }
            _ => push(out, name.as_str().as_bytes(), value.as_bytes()),
        }
    }
    push_cookies(out, &parts.headers);
    let chunked = !ended && !websocket && !parts.headers.contains_key(header::CONTENT_LENGTH);
    if chunked {
        out.extend_from_slice(b"transfer-encoding: chunked\r\n");
    }
    if websocket {
        out.extend_from_slice(b"connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-key: ");
        out.extend_from_slice(STANDARD.encode(fastrand::u128(..).to_ne_bytes()).as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"\r\n");
    Ok(chunked)
}

/// What the request names as its host (RFC 9113 §8.3.1: `:authority` and Host must not differ).
fn authority(parts: &Parts) -> Result<Option<&[u8]>, Malformed> {
    let mut named = parts.uri.authority().map(|authority| authority.as_str().as_bytes());
    for host in parts.headers.get_all(header::HOST) {
        if named.is_some_and(|named| !named.eq_ignore_ascii_case(host.as_bytes())) {
            return Err(Malformed);
        }
        named = Some(host.as_bytes());
    }
    Ok(named)
}

/// RFC 9113 §8.2.3: a client may have split its cookies into several fields, which no server of HTTP/1.1 expects.
fn push_cookies(out: &mut Vec<u8>, headers: &HeaderMap) {
    let mut before: &[u8] = b"cookie: ";
    for value in headers.get_all(header::COOKIE) {
        out.extend_from_slice(before);
        out.extend_from_slice(value.as_bytes());
        before = b"; ";
    }
    if before == b"; " {
        out.extend_from_slice(b"\r\n");
    }
}

fn push(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// How the content behind a response's head is framed in the text.
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

/// Reads the head of a response that an exchange wrote, and the length of that text. `None`: it is no head.
pub(super) fn read_response(text: &[u8], to_head: bool) -> Option<(Response<()>, Content, usize)> {
    let mut room = [httparse::EMPTY_HEADER; 288];
    let mut parsed = httparse::Response::new(&mut room);
    let httparse::Status::Complete(length) = parsed.parse(text).ok()? else { return None };
    let status = parsed.code.and_then(|code| StatusCode::from_u16(code).ok())?;
    let (mut response, mut content) = (Response::new(()), None);
    for field in parsed.headers {
        let name = HeaderName::from_bytes(field.name.as_bytes()).ok()?;
        match name {
            header::TRANSFER_ENCODING => {
                content = Some(Content::Chunked);
                continue;
            }
            header::CONNECTION | header::UPGRADE => continue,
            header::CONTENT_LENGTH => {
                content = Some(Content::Length(std::str::from_utf8(field.value).ok()?.parse().ok()?));
            }
            // RFC 8441 §5: the streams of HTTP/2 need no proof of the kind.
            _ if status == StatusCode::SWITCHING_PROTOCOLS && name == header::SEC_WEBSOCKET_ACCEPT => continue,
            _ => {}
        }
        response.headers_mut().append(name, HeaderValue::from_bytes(field.value).ok()?);
    }
    let content = match status {
        StatusCode::SWITCHING_PROTOCOLS => Content::Tunnel,
        StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED => Content::None,
        _ if to_head || status.is_informational() => Content::None,
        _ => content.filter(|content| *content != Content::Length(0)).unwrap_or(Content::None),
    };
    *response.status_mut() = if content == Content::Tunnel { StatusCode::OK } else { status };
    Some((response, content, length))
}

/// What has to be known of a request to read its answer.
#[derive(Clone, Debug, Default)]
pub(super) struct Asked {
    /// Whether its method is HEAD.
    to_head: bool,
    /// The key of a WebSocket handshake.
    key: Option<Vec<u8>>,
}

/// Reads the head of a request that an exchange wrote, and the length of that text. `None`: it is no head.
pub(super) fn read_request(text: &[u8], scheme: &str) -> Option<(Request<()>, Content, usize, Asked)> {
    let mut room = [httparse::EMPTY_HEADER; MAX_FIELDS + 16];
    let mut parsed = httparse::Request::new(&mut room);
    let httparse::Status::Complete(length) = parsed.parse(text).ok()? else { return None };
    let (method, target) = (parsed.method?, parsed.path?);
    let (mut request, mut content, mut authority) = (Request::new(()), Content::None, &b""[..]);
    let mut asked = Asked { to_head: method == "HEAD", key: None };
    let mut upgrade = false;
    for field in parsed.headers {
        let name = HeaderName::from_bytes(field.name.as_bytes()).ok()?;
        match name {
            header::HOST => {
                authority = field.value;
                continue;
            }
            header::TRANSFER_ENCODING => {
                content = Content::Chunked;
                continue;
            }
            header::UPGRADE => {
                upgrade = true;
                continue;
            }
            header::CONNECTION => continue,
            header::SEC_WEBSOCKET_KEY => {
                asked.key = Some(field.value.to_vec());
                continue;
            }
            header::CONTENT_LENGTH => {
                content = Content::Length(std::str::from_utf8(field.value).ok()?.parse().ok()?);
            }
            _ => {}
        }
        request.headers_mut().append(name, HeaderValue::from_bytes(field.value).ok()?);
    }
    if content == Content::Length(0) {
        content = Content::None;
    }
    let path = if target == "*" { "*" } else { target };
    let uri = Uri::builder().scheme(scheme).authority(authority).path_and_query(path);
    *request.uri_mut() = uri.build().ok()?;
    *request.method_mut() = Method::from_bytes(method.as_bytes()).ok()?;
    if upgrade {
        // RFC 8441 §4.
        *request.method_mut() = Method::CONNECT;
        request.extensions_mut().insert(Protocol::from_static("websocket"));
        content = Content::Tunnel;
    }
    Some((request, content, length, asked))
}

/// Appends the head of an answer as text to `out`. `ended`: it has no content. Returns whether its content is to be
/// written in chunks.
pub(super) fn write_response(
    parts: &http::response::Parts,
    ended: bool,
    asked: &Asked,
    out: &mut Vec<u8>,
) -> Result<bool, Malformed> {
    if let (Some(key), StatusCode::OK) = (&asked.key, parts.status) {
        push_status(out, StatusCode::SWITCHING_PROTOCOLS);
        push_fields(out, &parts.headers)?;
        push(out, b"sec-websocket-accept", accept_value(key).as_bytes());
        out.extend_from_slice(b"connection: upgrade\r\nupgrade: websocket\r\n\r\n");
        return Ok(false);
    }
    push_status(out, parts.status);
    push_fields(out, &parts.headers)?;
    let bodiless = asked.to_head || matches!(parts.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    let unframed = !bodiless && !parts.headers.contains_key(header::CONTENT_LENGTH);
    match (unframed, ended) {
        (true, true) => out.extend_from_slice(b"content-length: 0\r\n"),
        (true, false) => out.extend_from_slice(b"transfer-encoding: chunked\r\n"),
        (false, _) => {}
    }
    out.extend_from_slice(b"\r\n");
    Ok(unframed && !ended)
}

/// Appends an interim answer as text to `out`.
pub(super) fn write_interim(interim: &Response<()>, out: &mut Vec<u8>) {
    push_status(out, interim.status());
    // Fields that belong to a connection mean nothing here, and end the list.
    let _ = push_fields(out, interim.headers());
    out.extend_from_slice(b"\r\n");
}

fn push_status(out: &mut Vec<u8>, status: StatusCode) {
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(status.as_str().as_bytes());
    out.push(b' ');
    out.extend_from_slice(reason_phrase(status.as_u16()).as_bytes());
    out.extend_from_slice(b"\r\n");
}

fn push_fields(out: &mut Vec<u8>, headers: &HeaderMap) -> Result<(), Malformed> {
    for (name, value) in headers {
        match *name {
            header::CONNECTION | header::TRANSFER_ENCODING | header::UPGRADE => return Err(Malformed),
            _ => push(out, name.as_str().as_bytes(), value.as_bytes()),
        }
    }
    Ok(())
}

/// The field lines of a trailer section as fields. Lines that are none are left out.
pub(super) fn read_trailers(lines: &[u8]) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    for line in lines.split(|&byte| byte == b'\n') {
        let mut halves = line.splitn(2, |&byte| byte == b':');
        let (Some(name), Some(value)) = (halves.next(), halves.next()) else { continue };
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), HeaderValue::from_bytes(value.trim_ascii())) {
            trailers.append(name, value);
        }
    }
    trailers
}

/// Trailers as the lines of a trailer section.
pub(super) fn write_trailers(trailers: &HeaderMap, out: &mut Vec<u8>) {
    trailers.iter().for_each(|(name, value)| push(out, name.as_str().as_bytes(), value.as_bytes()));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(request: http::request::Builder, ended: bool) -> Result<(String, bool), Malformed> {
        let (parts, ()) = request.body(()).unwrap().into_parts();
        let mut out = Vec::new();
        write_request(&parts, ended, &mut out).map(|chunked| (String::from_utf8(out).unwrap(), chunked))
    }

    fn get(uri: &str) -> http::request::Builder {
        Request::builder().uri(uri)
    }

    #[test]
    fn a_request_reads_as_its_client_of_http11_would_have_sent_it() {
        let request = get("https://a.test/p?q").header("cookie", "a=1").header("x", "y").header("cookie", "b=2");
        let (text, chunked) = text(request, true).unwrap();
        assert_eq!(text, "GET /p?q HTTP/1.1\r\nhost: a.test\r\nx: y\r\ncookie: a=1; b=2\r\n\r\n");
        assert!(!chunked);
    }

    #[test]
    fn content_of_no_known_length_comes_in_chunks() {
        let (text, chunked) = text(get("https://a.test/").method("POST"), false).unwrap();
        assert!(chunked && text.ends_with("transfer-encoding: chunked\r\n\r\n"), "{text}");
        let (text, chunked) = super::tests::text(get("https://a.test/").header("content-length", 3), false).unwrap();
        assert!(!chunked && text.ends_with("content-length: 3\r\n\r\n"), "{text}");
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
        ] {
            assert_eq!(text(get("https://a.test/").header(name, value), true).err(), Some(Malformed), "{name}");
        }
        assert!(text(get("https://a.test/").header("host", "A.test").header("te", "trailers"), true).is_ok());
    }

    #[test]
    fn responses_lose_what_belongs_to_a_connection() {
        let read = |text: &str| read_response(text.as_bytes(), false).unwrap();
        let (response, content, length) = read("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX: y\r\n\r\n3\r\n");
        assert_eq!((content, length, response.headers().len()), (Content::Chunked, 53, 1));
        let (response, content, _) =
            read("HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
        assert_eq!((content, response.status(), response.headers().len()), (Content::Tunnel, StatusCode::OK, 0));
        assert_eq!(read("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n").1, Content::Length(3));
        assert_eq!(read("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").1, Content::None);
        assert_eq!(read_response(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", true).unwrap().1, Content::None);
    }

    #[test]
    fn a_request_to_a_target_has_its_host_as_authority() {
        let text = b"POST /p?q HTTP/1.1\r\nHost: a.test\r\nTE: trailers\r\nConnection: TE\r\nTransfer-Encoding: chunked\r\n\r\n0";
        let (request, content, length, asked) = read_request(text, "http").unwrap();
        assert_eq!(request.uri(), "http://a.test/p?q");
        assert_eq!((content, length, request.headers().len()), (Content::Chunked, text.len() - 1, 1));
        assert!(!asked.to_head && request.headers().contains_key("te"));
        assert!(read_request(b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", "http").is_none());
    }

    #[test]
    fn an_answer_of_a_target_has_one_framing() {
        let text = |ended, asked: &Asked, builder: http::response::Builder| {
            let (parts, ()) = builder.body(()).unwrap().into_parts();
            let mut out = Vec::new();
            write_response(&parts, ended, asked, &mut out).map(|chunked| (String::from_utf8(out).unwrap(), chunked))
        };
        let (plain, head) = (Asked::default(), Asked { to_head: true, key: None });
        let ok = || Response::builder().status(200);
        let of = |text: &str, chunked| Ok((format!("HTTP/1.1 200 OK\r\n{text}\r\n"), chunked));
        assert_eq!(text(false, &plain, ok()), of("transfer-encoding: chunked\r\n", true));
        assert_eq!(text(true, &plain, ok()), of("content-length: 0\r\n", false));
        assert_eq!(text(true, &head, ok()), of("", false));
        assert_eq!(text(false, &plain, ok().header("content-length", 3)), of("content-length: 3\r\n", false));
        assert_eq!(text(false, &plain, ok().header("transfer-encoding", "chunked")), Err(Malformed));
        let key = Asked { to_head: false, key: Some(b"dGhlIHNhbXBsZSBub25jZQ==".to_vec()) };
        let (text, _) = text(false, &key, ok()).unwrap();
        assert!(text.starts_with("HTTP/1.1 101 ") && text.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{text}");
    }

    #[test]
    fn trailers_go_there_and_back() {
        let read = read_trailers(b"X-A: 1\r\ngrpc-status: 0\r\n");
        let mut out = Vec::new();
        write_trailers(&read, &mut out);
        assert_eq!(out, b"x-a: 1\r\ngrpc-status: 0\r\n");
    }
}
