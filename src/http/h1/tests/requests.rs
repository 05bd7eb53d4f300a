//! What is refused, what is served, and what is read of it.

use super::*;
use crate::http::head::TargetForm;

#[test]
fn refused_requests() {
    let get = "GET / HTTP/1.1";
    let post = "POST / HTTP/1.1";
    let socket = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n";
    let cases: &[(Vec<u8>, u16, &str)] = &[
        (b"GET / HTTP/1.1\nHost: a.test\n\n".into(), 400, "bare-lf"),
        (b"GET / HTTP/1.1\r\nHost: a.test\n\r\n".into(), 400, "bare-lf"),
        (b"GET / HTTP/1.1\r\nHost: a.test\r\n\n".into(), 400, "bare-lf"),
        (b"GET / HTTP/1.1\r\nHost: a.test\r\nX-A: b \n\r\n".into(), 400, "bare-lf"),
        (b"\nGET / HTTP/1.1\r\nHost: a.test\r\n\r\n".into(), 400, "bare-lf"),
        ([b"\r\n".repeat(100), with_lines(get, "")].concat(), 400, "empty-lines"),
        (b"GET / HTTP/1.1\r\nHost: a.test\r\n\rX\r\n\r\n".into(), 400, "bare-cr"),
        (with_lines(get, "X-A: a\rb\r\n"), 400, "bare-cr"),
        (with_lines(get, "X-A: a\0b\r\n"), 400, "nul"),
        (with_lines(get, "X-A: a\x7fb\r\n"), 400, "control-in-value"),
        (with_lines(get, "X-A: b\r\n c\r\n"), 400, "obs-fold"),
        (with_lines(get, "X-A:\r\n c\r\n"), 400, "obs-fold"),
        (b"GET / HTTP/1.1\r\n Host: a.test\r\n\r\n".into(), 400, "obs-fold"),
        (with_lines(get, "X-A : b\r\n"), 400, "space-before-colon"),
        (with_lines(get, ": b\r\n"), 400, "empty-field-name"),
        (with_lines(get, ":\r\n"), 400, "empty-field-name"),
        (with_lines(get, "X(Y: b\r\n"), 400, "bad-field-name"),
        (with_lines(get, "X\u{e9}: b\r\n"), 400, "bad-field-name"),
        (b"GET / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding\xa0: chunked\r\n\r\n".into(), 400, "bad-field-name"),
        (with_lines(get, "nonsense\r\n"), 400, "field-without-colon"),
        (b" GET / HTTP/1.1\r\nHost: a.test\r\n\r\n".into(), 400, "bad-method"),
        (b"\x16\x03\x01\x00\xc8\x01\x00\x00\xc4\x03\x03\0\0\0".into(), 400, "tls-to-plain-port"),
        (with_lines("CONNECT a.test:80 HTTP/1.1", ""), 501, "connect"),
        (with_lines("CONNECT http://a.test/ HTTP/1.1", ""), 501, "connect"),
        (with_lines("TRACE / HTTP/1.1", "Max-Forwards: 0\r\n"), 501, "trace"),
        (with_lines(&format!("{} / HTTP/1.1", "M".repeat(40)), ""), 501, "unknown-method"),
        (with_lines("get / HTTP/1.1", ""), 400, "method-case"),
        (with_lines("DELETe / HTTP/1.1", ""), 400, "method-case"),
        (with_lines("connect / HTTP/1.1", ""), 400, "method-case"),
        (with_lines("GET /a b HTTP/1.1", ""), 400, "space-in-target"),
        (with_lines("GET /sm HTTP/1.1 /a HTTP/1.1", ""), 400, "space-in-target"),
        (with_lines("GET  / HTTP/1.1", ""), 400, "bad-target"),
        (with_lines("GET /\0 HTTP/1.1", ""), 400, "bad-target"),
        (with_lines("GET /\u{e9} HTTP/1.1", ""), 400, "non-ascii-target"),
        (with_lines("GET /a#b HTTP/1.1", ""), 400, "fragment-in-target"),
        (with_lines("GET /a?b#c HTTP/1.1", ""), 400, "fragment-in-target"),
        (with_lines("GET /a#b?c HTTP/1.1", ""), 400, "fragment-in-target"),
        (with_lines("GET a HTTP/1.1", ""), 400, "bad-target"),
        (with_lines("GET \\a HTTP/1.1", ""), 400, "bad-target"),
        (with_lines("GET * HTTP/1.1", ""), 400, "bad-target"),
        (with_lines("GET a.test:80 HTTP/1.1", ""), 400, "bad-target"),
        (with_lines("GET ftp://a.test/ HTTP/1.1", ""), 400, "bad-scheme"),
        (with_lines("GET http://u:p@a.test/ HTTP/1.1", ""), 400, "userinfo-in-target"),
        (with_lines("GET http:///x HTTP/1.1", ""), 400, "bad-authority"),
        (with_lines("GET http://a.test#x HTTP/1.1", ""), 400, "fragment-in-target"),
        (b"GET /\r\n".into(), 505, "http-version"),
        (with_lines("GET / HTTP/0.9", ""), 505, "http-version"),
        (with_lines("GET / HTTP/1.2", ""), 505, "http-version"),
        (with_lines("GET / HTTP/2.0", ""), 505, "http-version"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".into(), 505, "http2-preface"),
        (with_lines("GET / HTTP/1.10", ""), 400, "bad-version"),
        (with_lines("GET / HTTP/1.1x", ""), 400, "bad-version"),
        (with_lines("GET / HTTP/1,1", ""), 400, "bad-version"),
        (with_lines("GET / HTTP/-1.1", ""), 400, "bad-version"),
        (with_lines("GET / http/1.1", ""), 400, "space-in-target"),
        (b"GET / HTTP/1.1\r\n\r\n".into(), 400, "missing-host"),
        (b"GET http://a.test/ HTTP/1.1\r\n\r\n".into(), 400, "missing-host"),
        (with_lines(get, "hOsT: a.test\r\n"), 400, "several-hosts"),
        (b"GET / HTTP/1.1\r\nHost: a.test/x\r\n\r\n".into(), 400, "bad-host"),
        (b"GET / HTTP/1.1\r\nHost: a.test,b.test\r\n\r\n".into(), 400, "bad-host"),
        (b"GET / HTTP/1.0\r\nHost: a.test@b.test\r\n\r\n".into(), 400, "bad-host"),
        (b"GET http://a.test/ HTTP/1.1\r\nHost: a b\r\n\r\n".into(), 400, "bad-host"),
        (with_lines(post, "Transfer-Encoding: identity\r\nContent-Length: 5\r\n"), 400, "bad-transfer-encoding"),
        (with_lines(post, "Transfer-Encoding:\r\n"), 400, "bad-transfer-encoding"),
        (with_lines(post, "Transfer-Encoding: \"chunked\"\r\n"), 400, "bad-transfer-encoding"),
        (with_lines(post, "Transfer-Encoding: chunked;a=b\r\n"), 400, "bad-transfer-encoding"),
        (with_lines(post, "Transfer-Encoding: \x0bchunked\r\n"), 400, "control-in-value"),
        (with_lines(post, "Transfer-Encoding: gzip, chunked\r\n"), 501, "unknown-transfer-coding"),
        (with_lines(post, "Transfer-Encoding: ,chunked\r\n"), 501, "unknown-transfer-coding"),
        (
            with_lines(post, "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
            400,
            "several-transfer-encodings",
        ),
        (with_lines(post, "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"), 400, "length-and-coding"),
        (with_lines(post, "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n"), 400, "length-and-coding"),
        (with_lines("POST / HTTP/1.0", "Transfer-Encoding: chunked\r\n"), 400, "coding-in-http10"),
        (with_lines(post, "Content-Length: 5\r\nContent-Length: 5\r\n"), 400, "several-content-lengths"),
        (with_lines(post, "Content-Length: 5, 5\r\n"), 400, "bad-content-length"),
        (with_lines(post, "Content-Length: +5\r\n"), 400, "bad-content-length"),
        (with_lines(post, "Content-Length:\r\n"), 400, "bad-content-length"),
        (with_lines(post, "Content-Length: 18446744073709551621\r\n"), 413, "content-length-too-large"),
        (with_lines(post, "Expect: y 100-continue\r\nContent-Length: 5\r\n"), 417, "unknown-expectation"),
        (with_lines(post, "Expect: 100-continue\r\nExpect: x\r\nContent-Length: 5\r\n"), 417, "unknown-expectation"),
        (
            with_lines(get, &format!("Connection: {}close\r\n", "x-a, ".repeat(2000))),
            400,
            "too-many-connection-options",
        ),
        (with_lines(get, socket), 400, "bad-websocket-key"),
        (with_lines(get, &format!("{socket}Sec-WebSocket-Key: short\r\n")), 400, "bad-websocket-key"),
        (
            with_lines(get, &format!("{socket}Sec-WebSocket-Key: dGVzdHRlc3R0ZXN0dGVzdA==\r\nContent-Length: 5\r\n")),
            400,
            "websocket-with-body",
        ),
        (
            with_lines(
                get,
                "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGVzdHRlc3R0ZXN0dGVzdA==\r\nSec-WebSocket-Version: 8\r\n",
            ),
            426,
            "websocket-version",
        ),
        (with_lines(get, &format!("X-A: {}\r\n", "v".repeat(70_000))), 431, "head-too-large"),
        (with_lines(get, &"X: y\r\n".repeat(200)), 431, "too-many-fields"),
        (format!("GET /{}", "q".repeat(70_000)).into(), 414, "target-too-long"),
        ("M".repeat(70_000).into(), 501, "unknown-method"),
        (format!("GET / HTTP/1.1\r\nHost: {}", "a".repeat(70_000)).into(), 431, "head-too-large"),
    ];
    for (text, status, reason) in cases {
        let shown = text[..text.len().min(80)].escape_ascii();
        assert_eq!(request(text).err(), Some((*status, *reason)), "{shown}");
    }
}

#[test]
fn served_requests() {
    let facts = |text: &[u8]| request(text).unwrap_or_else(|fault| panic!("{fault:?} {}", text.escape_ascii())).0;
    let post = "POST / HTTP/1.1";
    assert_eq!(facts(&with_lines(post, "Content-Length: \t 5 \t\r\n")).framing, Framing::Length(5));
    assert_eq!(facts(&with_lines(post, "Content-Length: 010\r\n")).framing, Framing::Length(10));
    assert_eq!(facts(&with_lines(post, "Transfer-Encoding: CHUNKED\r\n")).framing, Framing::Chunked);
    assert_eq!(facts(&with_lines("DELETE / HTTP/1.1", "Transfer-Encoding: chunked\r\n")).framing, Framing::Chunked);
    assert_eq!(
        facts(&with_lines(post, "Transfer_Encoding: chunked\r\nContent-Length: 5\r\n")).framing,
        Framing::Length(5)
    );
    assert_eq!(facts(&with_lines(post, "Content_Length: 5\r\n")).framing, Framing::None);
    assert_eq!(facts(&with_lines("M-SEARCH /a?b HTTP/1.1", "")).framing, Framing::None);

    assert!(facts(&with_lines(post, "")).keep_alive);
    assert!(!facts(&with_lines(post, "Connection: keep-alive\r\nConnection: x, CLOSE\r\n")).keep_alive);
    assert!(!facts(&with_lines("GET / HTTP/1.0", "")).keep_alive);
    assert!(facts(&with_lines("GET / HTTP/1.0", "Connection: Keep-Alive\r\n")).keep_alive);

    assert!(facts(&with_lines(post, "Expect: 100-Continue\r\nContent-Length: 5\r\n")).expects_continue);
    assert!(!facts(&with_lines(post, "Expect: 100-continue\r\n")).expects_continue, "there is no body to wait for");
    assert!(!facts(&with_lines("POST / HTTP/1.0", "Expect: 100-continue\r\nContent-Length: 5\r\n")).expects_continue);

    let key = "Sec-WebSocket-Key: dGVzdHRlc3R0ZXN0dGVzdA==\r\nSec-WebSocket-Version: 13\r\n";
    let upgrade = |token: &str, line: &str| {
        facts(&with_lines(line, &format!("Connection: keep-alive, Upgrade\r\nUpgrade: {token}\r\n{key}"))).websocket
    };
    assert!(upgrade("WebSocket", "GET / HTTP/1.1"));
    assert!(!upgrade("h2c", "GET / HTTP/1.1") && !upgrade("TLS/1.2", "GET / HTTP/1.1"));
    assert!(!upgrade("websocket", "GET / HTTP/1.0") && !upgrade("websocket", "POST / HTTP/1.1"));
    assert!(!facts(&with_lines("GET / HTTP/1.1", "Upgrade: websocket\r\n")).websocket, "Connection does not say so");

    assert!(facts(&with_lines("OPTIONS / HTTP/1.1", "Max-Forwards: 0\r\n")).final_hop);
    assert!(!facts(&with_lines("GET / HTTP/1.1", "Max-Forwards: 0\r\n")).final_hop);
    assert!(facts(&with_lines("GET / HTTP/1.1", "TE: gzip;q=1.0, trailers\r\n")).accepts_trailers);
    assert!(request(b"GET / HTTP/1.1\r\nHost:\r\n\r\n").is_ok(), "an empty Host is legal");
    assert!(request(b"GET / HTTP/1.0\r\n\r\n").is_ok(), "HTTP/1.0 needs none");
}

#[test]
fn the_target_is_taken_apart() {
    for (target, form, authority, path, query) in [
        ("/", TargetForm::Origin, "a.test", "/", None),
        ("/a/b;c?d=e?f", TargetForm::Origin, "a.test", "/a/b;c", Some("d=e?f")),
        ("/a?", TargetForm::Origin, "a.test", "/a", Some("")),
        ("//evil.test/a", TargetForm::Origin, "a.test", "//evil.test/a", None),
        ("/%00\"<>|{}^`\\", TargetForm::Origin, "a.test", "/%00\"<>|{}^`\\", None),
        ("http://b.test:81/a?b", TargetForm::Absolute, "b.test:81", "/a", Some("b")),
        ("HTTPS://[::1]?b", TargetForm::Absolute, "[::1]", "", Some("b")),
        ("http://b.test", TargetForm::Absolute, "b.test", "", None),
        ("*", TargetForm::Asterisk, "a.test", "*", None),
    ] {
        let method = if form == TargetForm::Asterisk { "OPTIONS" } else { "GET" };
        let text = with_lines(&format!("{method} {target} HTTP/1.1"), "");
        let (_, head) = request(&text).unwrap();
        assert_eq!((head.form, head.target.of(&text)), (form, target.as_bytes()));
        assert_eq!(head.authority.of(&text), authority.as_bytes(), "{target}");
        assert_eq!(head.path.of(&text), path.as_bytes(), "{target}");
        assert_eq!(head.query.map(|query| query.of(&text)), query.map(str::as_bytes), "{target}");
    }
}

const SPLIT_CASES: [&[u8]; 6] = [
    b"\r\n\r\nPOST /a?b HTTP/1.1\r\nHost: a.test\r\nX:  y \r\nContent-Length: 5\r\n\r\nhello",
    b"GET http://a.test/x HTTP/1.0\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a.test\r\nX-A: a\rb\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a.test\nX: y\r\n\r\n",
    b"GET / HTTP/1.2\r\nHost: a.test\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
];

#[test]
fn a_head_reads_the_same_however_it_is_cut() {
    for text in SPLIT_CASES {
        let whole = request(text);
        for first in 0..=text.len() {
            for second in [first, (first + 1).min(text.len()), (first + 7).min(text.len()), text.len()] {
                let (mut head, mut scan) = (RequestHead::default(), Scan::default());
                let mut result = Err((0, "partial"));
                for end in [first, second, text.len()] {
                    match parse_request(&text[..end], &LIMITS, &mut scan, &mut head) {
                        Ok(Parsed::Complete(incoming)) => result = Ok(incoming),
                        Ok(Parsed::Partial { .. }) => continue,
                        Err(reject) => result = Err((reject.status, reject.reason)),
                    }
                    break;
                }
                match (&whole, result) {
                    (Ok((incoming, expected)), Ok(got)) => {
                        assert_eq!((&got, &head.fields), (incoming, &expected.fields));
                    }
                    (Err((status, _)), Err((got, _))) => {
                        assert_eq!(got, *status, "{} cut at {first}", text.escape_ascii())
                    }
                    (_, got) => panic!("{} cut at {first}, {second}: {got:?}", text.escape_ascii()),
                }
            }
        }
    }
}

#[test]
fn empty_lines_are_no_request() {
    let mut head = RequestHead::default();
    let mut begun = |text: &[u8]| match parse_request(text, &LIMITS, &mut Scan::default(), &mut head) {
        Ok(Parsed::Partial { begun }) => begun,
        other => panic!("{other:?}"),
    };
    assert!(!begun(b"") && !begun(b"\r") && !begun(b"\r\n") && !begun(b"\r\n\r"));
    assert!(begun(b"G") && begun(b"\r\nG"));
}
