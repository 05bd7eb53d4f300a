//! What a target gets.

use super::*;

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
