//! Reading and writing heads.

use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use ringway::http::h1::{
    Answer, Backward, Forwarding, HostLine, Incoming, Limits, Onward, Parsed, Question, Scan, Style, encode_request,
    encode_response, parse_request, parse_response,
};
use ringway::http::head::{Method, RequestHead, ResponseHead, Version};

const LIMITS: Limits = Limits { head: 32 << 10, fields: 128 };

/// As wrk asks, and as a browser does.
const REQUESTS: [(&str, &[u8]); 2] = [
    ("wrk", b"GET /128 HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n"),
    (
        "browser",
        b"GET /articles/2026/11/a-page?from=front&utm_source=mail HTTP/1.1\r\n\
          Host: www.example.com\r\n\
          Connection: keep-alive\r\n\
          sec-ch-ua: \"Chromium\";v=\"142\", \"Not_A Brand\";v=\"99\"\r\n\
          sec-ch-ua-mobile: ?0\r\n\
          sec-ch-ua-platform: \"Linux\"\r\n\
          Upgrade-Insecure-Requests: 1\r\n\
          User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36\r\n\
          Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\n\
          Sec-Fetch-Site: same-origin\r\n\
          Sec-Fetch-Mode: navigate\r\n\
          Sec-Fetch-User: ?1\r\n\
          Sec-Fetch-Dest: document\r\n\
          Referer: https://www.example.com/articles\r\n\
          Accept-Encoding: gzip, deflate, br, zstd\r\n\
          Accept-Language: en-GB,en;q=0.9\r\n\
          Cookie: session=5f2b9c1e8a7d4f60b3c2d1e0f9a8b7c6; theme=dark; consent=1\r\n\r\n",
    ),
];

/// As the benchmarks' backend answers, and as a server of pages does.
const RESPONSES: [(&str, &[u8]); 2] = [
    ("short", b"HTTP/1.1 200 OK\r\ncontent-length: 128\r\n\r\n"),
    (
        "page",
        b"HTTP/1.1 200 OK\r\n\
          Server: nginx\r\n\
          Date: Wed, 25 Nov 2026 04:31:00 GMT\r\n\
          Content-Type: text/html; charset=utf-8\r\n\
          Content-Length: 18342\r\n\
          Connection: keep-alive\r\n\
          Vary: Accept-Encoding\r\n\
          ETag: \"6740a1b2-47a6\"\r\n\
          Last-Modified: Fri, 22 Nov 2024 15:23:30 GMT\r\n\
          Cache-Control: max-age=600, public\r\n\
          Content-Encoding: gzip\r\n\
          Strict-Transport-Security: max-age=31536000\r\n\
          X-Content-Type-Options: nosniff\r\n\r\n",
    ),
];

const NAMES: [&str; 2] = [REQUESTS[0].0, REQUESTS[1].0];
const ANSWER_NAMES: [&str; 2] = [RESPONSES[0].0, RESPONSES[1].0];

fn text(of: &[(&str, &'static [u8])], name: &str) -> &'static [u8] {
    of.iter().find(|(known, _)| *known == name).expect("a head by that name").1
}

fn request(text: &[u8], head: &mut RequestHead) -> Incoming {
    match parse_request(text, &LIMITS, &mut Scan::default(), head) {
        Ok(Parsed::Complete(incoming)) => incoming,
        other => panic!("{other:?}"),
    }
}

fn response(text: &[u8], head: &mut ResponseHead) -> Answer {
    match parse_response(text, &Question::default(), &LIMITS, &mut Scan::default(), head) {
        Ok(Parsed::Complete(answer)) => answer,
        other => panic!("{other:?}"),
    }
}

#[divan::bench(args = NAMES)]
fn parse_request_head(bencher: Bencher<'_, '_>, name: &str) {
    let text = text(&REQUESTS, name);
    // As in an exchange, the head is one that was used before.
    let mut head = RequestHead::default();
    bencher.counter(BytesCount::new(text.len())).bench_local(|| request(black_box(text), &mut head));
}

#[divan::bench(args = ANSWER_NAMES)]
fn parse_response_head(bencher: Bencher<'_, '_>, name: &str) {
    let text = text(&RESPONSES, name);
    let mut head = ResponseHead::default();
    bencher.counter(BytesCount::new(text.len())).bench_local(|| response(black_box(text), &mut head));
}

#[divan::bench(args = NAMES)]
fn encode_request_head(bencher: Bencher<'_, '_>, name: &str) {
    let text = text(&REQUESTS, name);
    let mut head = RequestHead::default();
    let incoming = request(text, &mut head);
    let onward = Onward {
        method: None,
        path: None,
        query: None,
        host: HostLine::Client { fallback: b"10.0.0.1:8080" },
        framing: incoming.framing,
        expects_continue: incoming.expects_continue,
        websocket: incoming.websocket,
        accepts_trailers: incoming.accepts_trailers,
        forwarding: Forwarding {
            style: Style::Xff,
            trusted: false,
            peer: b"192.0.2.7",
            scheme: b"http",
            port: b"8080",
            certificate: b"",
        },
        trace: None,
        cookie: None,
    };
    let mut out = Vec::with_capacity(4096);
    bencher.counter(BytesCount::new(text.len())).bench_local(|| {
        out.clear();
        encode_request(&mut out, black_box(&head), text, &onward);
        out.len()
    });
}

#[divan::bench(args = ANSWER_NAMES)]
fn encode_response_head(bencher: Bencher<'_, '_>, name: &str) {
    let text = text(&RESPONSES, name);
    let mut head = ResponseHead::default();
    let answer = response(text, &mut head);
    let backward = Backward {
        version: Version::Http11,
        method: Method::Get,
        framing: answer.framing,
        keep_alive: true,
        tunnel: false,
        date: b"Wed, 25 Nov 2026 04:31:00 GMT",
        hsts: b"",
        marking: None,
    };
    let mut out = Vec::with_capacity(4096);
    bencher.counter(BytesCount::new(text.len())).bench_local(|| {
        out.clear();
        encode_response(&mut out, black_box(&head), text, &backward);
        out.len()
    });
}
