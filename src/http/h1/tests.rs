//! The codec as a whole: heads in, heads out.

use super::*;
use crate::http::head::{Method, Name, RequestHead, ResponseHead, TargetForm, Version};

const LIMITS: Limits = Limits { head: 32 * 1024, fields: 128 };
const DATE: &[u8] = b"Wed, 25 Nov 2026 04:31:00 GMT";

fn request(text: &[u8]) -> Result<(Incoming, RequestHead), (u16, &'static str)> {
    let mut head = RequestHead::default();
    match parse_request(text, &LIMITS, &mut Scan::default(), &mut head) {
        Ok(Parsed::Complete(incoming)) => Ok((incoming, head)),
        Ok(Parsed::Partial { .. }) => Err((0, "partial")),
        Err(reject) => Err((reject.status, reject.reason)),
    }
}

fn response(text: &[u8], question: &Question) -> Result<(Answer, ResponseHead), &'static str> {
    let mut head = ResponseHead::default();
    match parse_response(text, question, &LIMITS, &mut Scan::default(), &mut head) {
        Ok(Parsed::Complete(answer)) => Ok((answer, head)),
        Ok(Parsed::Partial { .. }) => Err("partial"),
        Err(bad) => Err(bad.reason),
    }
}

/// A request with these lines between Host and the empty line.
fn with_lines(request_line: &str, lines: &str) -> Vec<u8> {
    format!("{request_line}\r\nHost: a.test\r\n{lines}\r\n").into_bytes()
}

const FORWARDING: Forwarding<'_> =
    Forwarding { style: Style::Xff, trusted: false, peer: b"192.0.2.7", scheme: b"http", port: b"80" };

fn onward(incoming: &Incoming) -> Onward<'static> {
    Onward {
        path: None,
        host: HostLine::Client { fallback: b"target.test:8080" },
        framing: incoming.framing,
        expects_continue: incoming.expects_continue,
        websocket: incoming.websocket,
        accepts_trailers: incoming.accepts_trailers,
        forwarding: Forwarding { style: Style::None, ..FORWARDING },
    }
}

/// What the target gets of `text`.
fn forwarded(text: &[u8], change: impl FnOnce(&mut Onward<'static>)) -> String {
    let (incoming, head) = request(text).unwrap_or_else(|fault| panic!("{fault:?}: {}", text.escape_ascii()));
    let mut onward = onward(&incoming);
    change(&mut onward);
    let mut out = Vec::new();
    encode_request(&mut out, &head, text, &onward);
    String::from_utf8(out).unwrap()
}

const BACKWARD: Backward<'_> = Backward {
    version: Version::Http11,
    method: Method::Get,
    framing: Framing::None,
    keep_alive: true,
    tunnel: false,
    date: DATE,
};

/// What the client gets of `text`.
fn returned(text: &[u8], question: Question, change: impl FnOnce(&mut Backward<'static>)) -> String {
    let (answer, head) = response(text, &question).unwrap_or_else(|fault| panic!("{fault}: {}", text.escape_ascii()));
    let mut backward = Backward { framing: answer.framing, method: question.method, tunnel: answer.tunnel, ..BACKWARD };
    change(&mut backward);
    backward.framing = backward.framing.towards(backward.version);
    let mut out = Vec::new();
    match answer.interim {
        true => encode_interim(&mut out, &head, text),
        false => encode_response(&mut out, &head, text, &backward),
    }
    String::from_utf8(out).unwrap()
}

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

#[test]
fn a_request_is_forwarded_in_origin_form() {
    for (text, expected) in [
        (
            "\r\nGET /a?b HTTP/1.1\r\nHost: a.test\r\nuser-agent: x\r\nAccept: */*\r\n\r\n",
            "GET /a?b HTTP/1.1\r\nHost: a.test\r\nuser-agent: x\r\nAccept: */*\r\n\r\n",
        ),
        (
            "GET http://b.test/a HTTP/1.1\r\nX: y\r\nHost: a.test\r\nZ: z\r\n\r\n",
            "GET /a HTTP/1.1\r\nHost: b.test\r\nX: y\r\nZ: z\r\n\r\n",
        ),
        ("GET http://b.test?a HTTP/1.1\r\nHost: a.test\r\n\r\n", "GET /?a HTTP/1.1\r\nHost: b.test\r\n\r\n"),
        ("OPTIONS http://b.test HTTP/1.1\r\nHost: a.test\r\n\r\n", "OPTIONS * HTTP/1.1\r\nHost: b.test\r\n\r\n"),
        ("OPTIONS * HTTP/1.1\r\nHost: a.test\r\n\r\n", "OPTIONS * HTTP/1.1\r\nHost: a.test\r\n\r\n"),
        ("GET / HTTP/1.0\r\n\r\n", "GET / HTTP/1.1\r\nHost: target.test:8080\r\n\r\n"),
        ("GET / HTTP/1.0\r\nHost: a.test\r\nConnection: keep-alive\r\n\r\n", "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n"),
        (
            "GET / HTTP/1.1\r\nHost:\ta.test\t\r\nX:a \r\nY: \r\nZ:  b\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a.test\r\nX: a\r\nY: \r\nZ: b\r\n\r\n",
        ),
    ] {
        assert_eq!(forwarded(text.as_bytes(), |_| {}), expected);
    }
    let text = with_lines("GET /v1/a%2Fb?c HTTP/1.1", "X: y\r\n");
    let rewritten = forwarded(&text, |onward| {
        onward.path = Some(b"/a%2Fb");
        onward.host = HostLine::Fixed(b"t.test");
    });
    assert_eq!(rewritten, "GET /a%2Fb?c HTTP/1.1\r\nHost: t.test\r\nX: y\r\n\r\n");
}

#[test]
fn hop_by_hop_fields_end_here() {
    let lines = "A: 1\r\nConnection: X-Secret, Host, content-length, keep-alive\r\nX-Secret: 1\r\nProxy-Connection: keep-alive\r\n\
        Keep-Alive: timeout=100\r\nTE: gzip, trailers\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMA\r\nProxy-Authorization: Basic x\r\n\
        Proxy: evil\r\nX_Forwarded_For: 6.6.6.6\r\nContent_Length: 7\r\nx-SECRET: 2\r\nContent-Length: 5\r\nB: 2\r\n";
    assert_eq!(
        forwarded(&with_lines("POST / HTTP/1.1", lines), |_| {}),
        "POST / HTTP/1.1\r\nHost: a.test\r\nA: 1\r\nContent-Length: 5\r\nB: 2\r\nTE: trailers\r\nConnection: TE\r\n\r\n"
    );
    let socket = "Connection: Upgrade\r\nUpgrade: websocket, foo\r\nSec-WebSocket-Key: dGVzdHRlc3R0ZXN0dGVzdA==\r\nSec-WebSocket-Version: 13\r\n";
    assert_eq!(
        forwarded(&with_lines("GET / HTTP/1.1", socket), |_| {}),
        "GET / HTTP/1.1\r\nHost: a.test\r\nSec-WebSocket-Key: dGVzdHRlc3R0ZXN0dGVzdA==\r\nSec-WebSocket-Version: 13\r\n\
         Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    );
}

#[test]
fn the_framing_is_written_once() {
    let framed = |lines: &str| forwarded(&with_lines("POST / HTTP/1.1", lines), |_| {});
    let head = "POST / HTTP/1.1\r\nHost: a.test\r\n";
    assert_eq!(framed("Content-Length: 5\r\nX: y\r\n"), format!("{head}Content-Length: 5\r\nX: y\r\n\r\n"));
    assert_eq!(framed("Content-Length: 0005\r\nX: y\r\n"), format!("{head}X: y\r\nContent-Length: 5\r\n\r\n"));
    assert_eq!(
        framed("transfer-encoding: Chunked\r\nTrailer: X-Sum\r\n"),
        format!("{head}Trailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n")
    );
    assert_eq!(framed("Trailer: X-Sum\r\n"), format!("{head}\r\n"));
    assert_eq!(
        framed("Expect: 100-continue\r\nExpect: 100-continue\r\nContent-Length: 5\r\n"),
        format!("{head}Expect: 100-continue\r\nContent-Length: 5\r\n\r\n")
    );
    assert_eq!(
        forwarded(&with_lines("OPTIONS / HTTP/1.1", "Max-Forwards: 7\r\n"), |_| {}),
        "OPTIONS / HTTP/1.1\r\nHost: a.test\r\nMax-Forwards: 6\r\n\r\n"
    );
}

#[test]
fn an_untrusted_client_cannot_forge_where_it_comes_from() {
    let lines = "X-Forwarded-For: 6.6.6.6\r\nx-forwarded-proto: https\r\nX-Forwarded-Host: evil.test\r\nX-Forwarded-Port: 443\r\n\
        Forwarded: for=6.6.6.6\r\nX-Real-IP: 6.6.6.6\r\nX-Forwarded-User: root\r\nX.Forwarded.For: 6.6.6.6\r\n\
        Connection: X-Forwarded-For, X-Forwarded-Proto\r\nA: 1\r\n";
    let text = with_lines("GET / HTTP/1.1", lines);
    let head = "GET / HTTP/1.1\r\nHost: a.test\r\nA: 1\r\n";
    let xff =
        "X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: a.test\r\nX-Forwarded-Port: 80\r\n";
    let forwarded_line = "Forwarded: for=192.0.2.7;host=a.test;proto=http\r\n";
    for (style, lines) in [
        (Style::Xff, xff.to_owned()),
        (Style::Rfc7239, forwarded_line.to_owned()),
        (Style::Both, format!("{xff}{forwarded_line}")),
        (Style::None, String::new()),
    ] {
        let got = forwarded(&text, |onward| onward.forwarding = Forwarding { style, ..FORWARDING });
        assert_eq!(got, format!("{head}{lines}\r\n"), "{style:?}");
    }
}

#[test]
fn a_trusted_proxys_word_is_extended() {
    let lines = "X-Forwarded-For: 198.51.100.1\r\nX-Forwarded-Proto: https\r\nX-Forwarded-For: , 10.0.0.1\r\nX-Forwarded-For:\r\n\
        Forwarded: for=198.51.100.1;proto=https\r\nX-Forwarded-User: me\r\n";
    let text = with_lines("GET / HTTP/1.1", lines);
    let trusted = Forwarding { trusted: true, peer: b"2001:db8::7", ..FORWARDING };
    assert_eq!(
        forwarded(&text, |onward| onward.forwarding = trusted),
        "GET / HTTP/1.1\r\nHost: a.test\r\nX-Forwarded-Proto: https\r\nForwarded: for=198.51.100.1;proto=https\r\nX-Forwarded-User: me\r\n\
         X-Forwarded-For: 198.51.100.1, , 10.0.0.1, 2001:db8::7\r\nX-Forwarded-Host: a.test\r\nX-Forwarded-Port: 80\r\n\r\n"
    );
    let text = with_lines("GET http://a.test:81/ HTTP/1.1", "Forwarded: for=198.51.100.1\r\n");
    assert_eq!(
        forwarded(&text, |onward| onward.forwarding = Forwarding { style: Style::Rfc7239, ..trusted }),
        "GET / HTTP/1.1\r\nHost: a.test:81\r\n\
         Forwarded: for=198.51.100.1, for=\"[2001:db8::7]\";host=\"a.test:81\";proto=http\r\n\r\n"
    );
    let unix = Forwarding { style: Style::Both, peer: b"", port: b"", ..FORWARDING };
    assert_eq!(
        forwarded(b"GET / HTTP/1.0\r\n\r\n", |onward| onward.forwarding = unix),
        "GET / HTTP/1.1\r\nHost: target.test:8080\r\nX-Forwarded-Proto: http\r\nForwarded: for=unknown;proto=http\r\n\r\n"
    );
}

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

/// Heads with something of everything that the parsers look at.
const SEEDS: [&str; 6] = [
    "GET /a/b?c=d HTTP/1.1\r\nHost: a.test:80\r\nUser-Agent: x\r\nAccept: */*\r\nConnection: keep-alive, x-a\r\nX-A: b\r\n\r\n",
    "POST http://a.test/x HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\nTE: trailers\r\n\r\n",
    "PUT / HTTP/1.0\r\nHost: [::1]:8080\r\nContent-Length: 17\r\nX-Forwarded-For: 1.2.3.4\r\nForwarded: for=x\r\nX_Real_IP: 5\r\n\r\n",
    "GET /ws HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGVzdHRlc3R0ZXN0dGVzdA==\r\nSec-WebSocket-Version: 13\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Type: text/plain\r\nKeep-Alive: timeout=5\r\nSet-Cookie: a=b\r\n\r\n",
    "HTTP/1.1 101 Switching\r\nDate: x\r\nConnection: upgrade, close\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: x\r\n\r\n",
];

fn mutate(random: &mut fastrand::Rng, text: &mut Vec<u8>) {
    const WORDS: [&[u8]; 16] = [
        b"\r\n",
        b"\n",
        b"\r",
        b" ",
        b"\t",
        b":",
        b"\0",
        b",",
        b"\r\n ",
        b"chunked",
        b"Content-Length: 3\r\n",
        b"Host: b\r\n",
        b"\xff",
        b"?",
        b"#",
        b"*",
    ];
    for _ in 0..random.usize(1..4) {
        let at = random.usize(..=text.len());
        match random.u8(..6) {
            0 if at < text.len() => text[at] = random.u8(..),
            1 if at < text.len() => text[at] ^= 1 << random.u8(..8),
            2 => drop(text.drain(at..(at + random.usize(..4)).min(text.len()))),
            3 => {
                let from = random.usize(..=text.len());
                let piece = text[from..(from + random.usize(..30)).min(text.len())].to_vec();
                text.splice(at..at, piece);
            }
            4 if random.u8(..8) == 0 => text.truncate(at.max(8)),
            _ => drop(text.splice(at..at, random.choice(WORDS).unwrap_or_default().iter().copied())),
        }
    }
}

#[test]
fn what_is_forwarded_reads_as_what_was_understood() {
    let mut random = fastrand::Rng::with_seed(42);
    let (mut served, mut refused) = (0, 0);
    let (mut out, mut head, mut again) = (Vec::new(), RequestHead::default(), RequestHead::default());
    for round in 0..100_000 {
        let mut text = SEEDS[round % 4].as_bytes().to_vec();
        mutate(&mut random, &mut text);
        let incoming = match parse_request(&text, &LIMITS, &mut Scan::default(), &mut head) {
            Ok(Parsed::Complete(incoming)) => incoming,
            Ok(Parsed::Partial { .. }) => continue,
            Err(reject) => {
                refused += 1;
                assert!((400..=505).contains(&reject.status) && !reject.reason.is_empty());
                continue;
            }
        };
        served += 1;
        out.clear();
        let style = [Style::Xff, Style::Rfc7239, Style::Both, Style::None][round / 4 % 4];
        let forwarding = Forwarding { style, trusted: round % 3 == 0, ..FORWARDING };
        encode_request(&mut out, &head, &text, &Onward { forwarding, ..onward(&incoming) });
        let shown = || format!("{}\n-> {}", text.escape_ascii(), out.escape_ascii());
        let second = match parse_request(&out, &LIMITS, &mut Scan::default(), &mut again) {
            Ok(Parsed::Complete(second)) => second,
            other => panic!("{other:?}: {}", shown()),
        };
        assert_eq!(second.head_len, out.len(), "{}", shown());
        assert_eq!((second.framing, second.websocket), (incoming.framing, incoming.websocket), "{}", shown());
        assert_eq!(again.method_text.of(&out), head.method_text.of(&text), "{}", shown());
        assert_eq!(again.query.map(|query| query.of(&out)), head.query.map(|query| query.of(&text)), "{}", shown());
        assert_eq!(again.fields.iter().filter(|field| field.kind == Name::Host).count(), 1, "{}", shown());
        assert_ne!(again.form, TargetForm::Absolute, "{}", shown());
        if !head.authority.is_empty() {
            assert_eq!(again.authority.of(&out), head.authority.of(&text), "{}", shown());
        }
        assert!(again.find(Name::Disguised).is_none() && again.find(Name::Proxy).is_none(), "{}", shown());
        if !forwarding.trusted {
            let claims = |value: &[u8]| value != FORWARDING.peer && value == b"1.2.3.4";
            assert!(!again.values(&out, b"x-forwarded-for").any(claims), "{}", shown());
        }
    }
    assert!(served > 10_000 && refused > 10_000, "{served} {refused}");
}

#[test]
fn what_is_returned_reads_as_what_was_understood() {
    let mut random = fastrand::Rng::with_seed(43);
    let (mut good, mut bad) = (0, 0);
    let (mut out, mut head, mut again) = (Vec::new(), ResponseHead::default(), ResponseHead::default());
    for round in 0..100_000 {
        let mut text = SEEDS[4 + round % 2].as_bytes().to_vec();
        mutate(&mut random, &mut text);
        let question =
            Question { method: if round % 5 == 0 { Method::Head } else { Method::Get }, websocket: round % 4 == 1 };
        let answer = match parse_response(&text, &question, &LIMITS, &mut Scan::default(), &mut head) {
            Ok(Parsed::Complete(answer)) => answer,
            Ok(Parsed::Partial { .. }) => continue,
            Err(_) => {
                bad += 1;
                continue;
            }
        };
        good += 1;
        out.clear();
        let backward = Backward {
            framing: answer.framing.towards(Version::Http11),
            tunnel: answer.tunnel,
            method: question.method,
            ..BACKWARD
        };
        match answer.interim {
            true => encode_interim(&mut out, &head, &text),
            false => encode_response(&mut out, &head, &text, &backward),
        }
        let shown = || format!("{}\n-> {}", text.escape_ascii(), out.escape_ascii());
        let second = match parse_response(&out, &question, &LIMITS, &mut Scan::default(), &mut again) {
            Ok(Parsed::Complete(second)) => second,
            other => panic!("{other:?}: {}", shown()),
        };
        assert_eq!(second.head_len, out.len(), "{}", shown());
        assert_eq!((second.framing, again.status), (backward.framing, head.status), "{}", shown());
        let count = |kind| again.fields.iter().filter(|field| field.kind == kind).count();
        assert!(count(Name::ContentLength) + count(Name::TransferEncoding) <= 1, "{}", shown());
    }
    assert!(good > 10_000 && bad > 10_000, "{good} {bad}");
}
