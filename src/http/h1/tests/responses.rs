//! What is read of a target's answer, and what the client gets.

use super::*;

#[test]
fn senseless_responses() {
    let get = Question::default();
    for (text, reason) in [
        ("HTTP/1.1 20 OK\r\n\r\n", "bad-status"),
        ("HTTP/1.1 OK 200\r\n\r\n", "bad-status"),
        ("HTTP/1.1 000 OK\r\n\r\n", "bad-status"),
        ("HTTP/1.1 2000 OK\r\n\r\n", "bad-reason"),
        ("HTTP/2.0 200 OK\r\n\r\n", "bad-version"),
        ("SSH-2.0-OpenSSH\r\n", "not-http"),
        ("\r\nHTTP/1.1 200 OK\r\n\r\n", "bytes-before-status-line"),
        ("HTTP/1.1 200 OK\rX\r\n\r\n", "bad-reason"),
        ("HTTP/1.1 200 OK\r\nX: a\rb\r\n\r\n", "bare-cr"),
        ("HTTP/1.1 200 OK\r\nX: a\0b\r\n\r\n", "nul"),
        ("HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n", "obs-fold"),
        ("HTTP/1.1 200 OK\r\n: a\r\n\r\n", "empty-field-name"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 5, 2\r\n\r\n", "bad-content-length"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 2\r\n\r\n", "bad-content-length"),
        ("HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n", "bad-content-length"),
        ("HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\n", "bad-content-length"),
        ("HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n", "bad-content-length"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", "unknown-transfer-coding"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", "unknown-transfer-coding"),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
            "several-transfer-encodings",
        ),
        ("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "coding-in-http10"),
        (
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: x\r\n\r\n",
            "unsolicited-101",
        ),
    ] {
        assert_eq!(response(text.as_bytes(), &get).err(), Some(reason), "{text:?}");
    }
    let large = format!("HTTP/1.1 200 OK\r\nX: {}", "a".repeat(300_000));
    assert_eq!(response(large.as_bytes(), &get).err(), Some("head-too-large"));
    let socket = Question { websocket: true, ..get };
    for lines in [
        "",
        "Upgrade: websocket\r\nConnection: Upgrade\r\n",
        "Sec-WebSocket-Accept: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n",
    ] {
        let text = format!("HTTP/1.1 101 Switching Protocols\r\n{lines}\r\n");
        assert_eq!(response(text.as_bytes(), &socket).err(), Some("bad-101"), "{text:?}");
    }
}

#[test]
fn a_responses_end_is_known() {
    let get = Question::default();
    let head = Question { method: Method::Head, ..get };
    use Framing::*;
    for (text, question, framing, keep_alive) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", get, Length(5), true),
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5, 5\r\n\r\n", get, Length(5), true),
        ("HTTP/1.1 200 OK\r\nContent-Length : 5\r\n\r\n", get, Length(5), true),
        ("HTTP/1.1 200 OK\nContent-Length: 5\n\n", get, Length(5), true),
        ("HTTP/1.1 200\r\nContent-Length: 5\r\n\r\n", get, Length(5), true),
        ("HTTP/1.1 200 \r\nContent-Length: 5\r\n\r\n", get, Length(5), true),
        ("HTTP/1.1 200 \u{e9}\r\nContent-Length: 5\r\n\r\n", get, Length(5), true),
        ("HTTP/1.1 999 Odd\r\nContent-Length: 5\r\n\r\n", get, Length(5), true),
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: Close\r\n\r\n", get, Length(5), false),
        ("HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n", get, Length(5), false),
        ("HTTP/1.0 200 OK\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\n", get, Length(5), true),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", get, Chunked, true),
        ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", get, Chunked, false),
        ("HTTP/1.1 200 OK\r\n\r\n", get, UntilClose, false),
        ("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\n", get, UntilClose, false),
        ("HTTP/1.1 204 No Content\r\n\r\n", get, None, true),
        ("HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", get, None, true),
        ("HTTP/1.1 204 No Content\r\nContent-Length: 53\r\n\r\n", get, None, false),
        ("HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n", get, None, false),
        ("HTTP/1.1 304 Not Modified\r\nContent-Length: 53\r\n\r\n", get, None, true),
        ("HTTP/1.1 200 OK\r\nContent-Length: 53\r\n\r\n", head, None, true),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", head, None, true),
        ("HTTP/1.1 103 Early Hints\r\nTransfer-Encoding: chunked\r\n\r\n", get, None, true),
    ] {
        let (answer, parsed) = response(text.as_bytes(), &question).unwrap_or_else(|fault| panic!("{fault} {text:?}"));
        assert_eq!((answer.framing, answer.keep_alive), (framing, keep_alive), "{text:?}");
        assert_eq!(answer.interim, parsed.status < 200);
        assert_eq!(answer.head_len, text.len());
    }
    let timeout = |value: &str| {
        let text = format!("HTTP/1.1 204 No Content\r\nKeep-Alive: {value}\r\n\r\n");
        response(text.as_bytes(), &get).unwrap().0.keep_alive_timeout
    };
    assert_eq!(timeout("timeout=5, max=100"), Some(5));
    assert_eq!(timeout("max=100, Timeout=15"), Some(15));
    assert_eq!((timeout("timeout=x"), timeout("5"), timeout("")), (Option::None, Option::None, Option::None));
}

#[test]
fn a_response_is_returned_with_one_framing() {
    let get = Question::default();
    let head = Question { method: Method::Head, ..get };
    let date = "Date: Wed, 25 Nov 2026 04:31:00 GMT\r\n";
    let dated = "Date: Tue, 24 Nov 2026 00:00:00 GMT\r\n";
    for (text, question, expected) in [
        (
            format!("HTTP/1.1 200 Fine\r\n{dated}Content-Length: 5\r\nServer: x\r\n\r\n"),
            get,
            format!("HTTP/1.1 200 Fine\r\n{dated}Content-Length: 5\r\nServer: x\r\n\r\n"),
        ),
        (
            "HTTP/1.0 404 Not Found\nContent-Length : 5\nX:  y \nConnection: keep-alive\n\n".to_owned(),
            get,
            format!("HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\nX: y\r\n{date}\r\n"),
        ),
        (
            format!("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n{dated}\r\n"),
            get,
            format!("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n{dated}\r\n"),
        ),
        (
            format!("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\nTrailer: X\r\n{dated}\r\n"),
            get,
            format!("HTTP/1.1 200 OK\r\nTrailer: X\r\n{dated}Transfer-Encoding: chunked\r\n\r\n"),
        ),
        (
            format!(
                "HTTP/1.1 200 OK\r\n{dated}Connection: close, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nUpgrade: h2c\r\n\r\n"
            ),
            get,
            format!("HTTP/1.1 200 OK\r\n{dated}Transfer-Encoding: chunked\r\n\r\n"),
        ),
        (
            format!("HTTP/1.1 204 No Content\r\nContent-Length: 53\r\n{dated}\r\n"),
            get,
            format!("HTTP/1.1 204 No Content\r\n{dated}\r\n"),
        ),
        (
            format!("HTTP/1.1 304 Not Modified\r\nContent-Length: 53\r\n{dated}\r\n"),
            get,
            format!("HTTP/1.1 304 Not Modified\r\nContent-Length: 53\r\n{dated}\r\n"),
        ),
        (
            format!("HTTP/1.1 200 OK\r\nContent-Length: 53\r\n{dated}\r\n"),
            head,
            format!("HTTP/1.1 200 OK\r\nContent-Length: 53\r\n{dated}\r\n"),
        ),
        (
            format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 53\r\n{dated}\r\n"),
            head,
            format!("HTTP/1.1 200 OK\r\n{dated}\r\n"),
        ),
        (
            "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n"
                .to_owned(),
            get,
            "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n".to_owned(),
        ),
    ] {
        assert_eq!(returned(text.as_bytes(), question, |_| {}), expected, "{text:?}");
    }
}

#[test]
fn the_clients_connection_is_told_how_it_goes_on() {
    let dated = "Date: Tue, 24 Nov 2026 00:00:00 GMT\r\n";
    let chunked = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n{dated}\r\n");
    let counted = format!("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n{dated}\r\n");
    let old = |backward: &mut Backward<'static>| backward.version = Version::Http10;
    assert_eq!(
        returned(chunked.as_bytes(), Question::default(), old),
        format!("HTTP/1.1 200 OK\r\n{dated}Connection: close\r\n\r\n"),
        "an HTTP/1.0 client reads no chunks"
    );
    assert_eq!(
        returned(counted.as_bytes(), Question::default(), old),
        format!("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n{dated}Connection: keep-alive\r\n\r\n")
    );
    assert_eq!(
        returned(counted.as_bytes(), Question::default(), |backward| backward.keep_alive = false),
        format!("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n{dated}Connection: close\r\n\r\n")
    );
    assert_eq!(
        returned(
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: x\r\n\r\n",
            Question { websocket: true, ..Question::default() },
            |_| {}
        ),
        "HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    );
}

#[test]
fn a_response_without_a_body_says_so() {
    let (_, head) = response(b"HTTP/1.1 200 OK\r\n\r\n", &Question::default()).unwrap();
    let mut out = Vec::new();
    encode_response(&mut out, &head, b"HTTP/1.1 200 OK\r\n\r\n", &BACKWARD);
    assert!(out.windows(19).any(|line| line == b"Content-Length: 0\r\n"), "{}", out.escape_ascii());
}
