//! Bodies that come in pieces: none is held back, all arrive, and what ends early is told from what is whole.

use super::{config, content, decoded, is_broken, page};
use crate::support::client::{Client, request};
use crate::support::{Proxy, Target, assert_same, h2};
use ringway::compress::{Coding, Decoder};
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A target that says a line each time that it is told to, in chunks.
fn told() -> (Target, mpsc::Sender<&'static str>) {
    let (sender, lines) = mpsc::channel::<&str>();
    let lines = Arc::new(Mutex::new(lines));
    let target = Target::with("told", move |peer| {
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n";
        if peer.request().is_none() || peer.try_send(head).is_err() {
            return;
        }
        while let Ok(line) = lines.lock().unwrap().recv() {
            let chunk = match line {
                "" => "0\r\n\r\n".to_owned(),
                line => format!("{:x}\r\n{line}\r\n", line.len()),
            };
            if peer.try_send(chunk).is_err() || line.is_empty() {
                return;
            }
        }
    });
    (target, sender)
}

/// nginx_apache.md §1.5: whoever streams must see each piece at once, not when a buffer is full.
#[test]
fn each_line_arrives_before_the_next_one_is_said() {
    for coding in Coding::ALL {
        let (target, say) = told();
        let proxy = Proxy::start(config(&target, ""));
        let mut client = proxy.client();
        client.send(request("GET", "/", &[&format!("Accept-Encoding: {coding}")]));
        // Not even the head waits for a line.
        let head = client.head(crate::support::PATIENCE).unwrap();
        assert_eq!((head.field("content-encoding").as_deref(), head.chunked()), (Some(coding.token()), true));
        let mut decoder = Decoder::new(coding, usize::MAX).unwrap();
        let mut got = Vec::new();
        for line in ["first\n", "second\n", "the third of them\n"] {
            say.send(line).unwrap();
            let before = got.len();
            while got.len() < before + line.len() {
                let chunk = client.chunk().unwrap().expect("it goes on");
                decoder.push(&chunk, 1 << 16, &mut got).unwrap();
            }
            assert_eq!(&got[before..], line.as_bytes(), "{coding}");
        }
        say.send("").unwrap();
        while let Some(chunk) = client.chunk().unwrap() {
            decoder.push(&chunk, 1 << 16, &mut got).unwrap();
        }
        assert_eq!((decoder.finish(), got.as_slice()), (Ok(()), &b"first\nsecond\nthe third of them\n"[..]));
    }
}

#[test]
fn a_body_in_any_framing_arrives_whole() {
    let target = Target::with("a", |peer| {
        while let Some(seen) = peer.request() {
            let body = page(300_000);
            let html = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n";
            let sent = match seen.path.as_str() {
                "/length" => peer.reply(200, &["Content-Type: text/html"], &body),
                "/slow" => {
                    let _ = peer.try_send(format!("{html}Content-Length: 6000\r\n\r\n"));
                    peer.dribble(&body[..6000], 1000, Duration::from_millis(20)).ok()
                }
                "/chunks" | "/trailers" => {
                    let _ = peer.try_send(format!("{html}Trailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n"));
                    for part in body.chunks(7000) {
                        let _ = peer.try_send([format!("{:x}\r\n", part.len()).as_bytes(), part, b"\r\n"].concat());
                    }
                    peer.try_send(if seen.path == "/chunks" { "0\r\n\r\n" } else { "0\r\nX-Sum: 7\r\n\r\n" }).ok()
                }
                "/short" => {
                    let text = format!("{html}Transfer-Encoding: chunked\r\n\r\n7d0\r\n");
                    peer.try_send([text.as_bytes(), &body[..2000], b"\r\n0\r\nX-Sum: 7\r\n\r\n"].concat()).ok()
                }
                _ => {
                    let _ = peer.try_send([html.as_bytes(), b"\r\n", &body].concat());
                    return;
                }
            };
            if sent.is_none() {
                return;
            }
        }
    });
    let proxy = Proxy::start(config(&target, ""));
    let client = h2::Client::to(&proxy.web());
    for coding in ["gzip", "br", "zstd"] {
        for (path, length) in [
            ("/length", 300_000),
            ("/slow", 6000),
            ("/chunks", 300_000),
            ("/trailers", 300_000),
            ("/short", 2000),
            ("/close", 300_000),
        ] {
            let response = proxy.client().ask("GET", path, &[&format!("Accept-Encoding: {coding}")]);
            assert_eq!(response.field("content-encoding").as_deref(), Some(coding), "{path}");
            assert_same(&content(&response), &page(length));
            let sum = [("x-sum".to_owned(), "7".to_owned())];
            let trailers = if matches!(path, "/trailers" | "/short") { &sum[..] } else { &[] };
            assert_eq!(response.trailers, trailers, "{path}");
            let mut asked = h2::request(http::Method::GET, path);
            asked.headers_mut().insert("accept-encoding", coding.parse().unwrap());
            let answer = client.ask(asked, b"").unwrap();
            assert_same(&decoded(coding, &answer.body), &page(length));
            assert_eq!(answer.trailers.get("x-sum").is_some(), !trailers.is_empty(), "{path}");
        }
    }
    let mut old = proxy.client();
    old.send("GET /chunks HTTP/1.0\r\nHost: site.test\r\nAccept-Encoding: gzip\r\n\r\n");
    let response = old.response();
    assert!(response.until_close);
    assert_same(&content(&response), &page(300_000));
}

#[test]
fn an_answer_that_ends_early_never_looks_complete() {
    let target = Target::with("a", |peer| {
        if let Some(seen) = peer.request() {
            let body = page(200_000);
            let framing = match seen.path.as_str() {
                "/length" => "Content-Length: 900000\r\n\r\n".to_owned(),
                _ => format!("Transfer-Encoding: chunked\r\n\r\n{:x}\r\n", 900_000),
            };
            let head = format!("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n{framing}");
            let _ = peer.try_send([head.as_bytes(), &body].concat());
        }
    });
    let proxy = Proxy::start(config(&target, ""));
    for path in ["/length", "/chunks"] {
        for coding in ["gzip", "br", "zstd"] {
            let mut client = proxy.client();
            client.send(request("GET", path, &[&format!("Accept-Encoding: {coding}")]));
            is_broken(&mut client, &format!("{path} {coding}"));
            let client = h2::Client::to(&proxy.web());
            let mut asked = h2::request(http::Method::GET, path);
            asked.headers_mut().insert("accept-encoding", coding.parse().unwrap());
            let is_error = client.ask(asked, b"").map_or(true, |answer| answer.status == 502);
            assert!(is_error, "{path} {coding}");
        }
        let mut old = proxy.client();
        old.send(format!("GET {path} HTTP/1.0\r\nHost: site.test\r\nAccept-Encoding: gzip\r\n\r\n"));
        is_broken(&mut old, path);
    }
}

/// A short body whose end is missing was not begun: the client is told so.
#[test]
fn a_short_answer_that_ends_early_is_an_error_of_the_target() {
    let body = page(2000);
    let head = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 5000\r\n\r\n";
    let target = Target::says_and_closes("a", [&head[..], &body].concat());
    let proxy = Proxy::start(config(&target, ""));
    let mut client = proxy.client();
    client.send(request("GET", "/", &["Accept-Encoding: gzip"]));
    is_broken(&mut client, "a short one");
}

#[test]
fn a_slow_reader_gets_all_of_a_large_answer_and_holds_up_nobody() {
    let target = super::pages(8 << 20, &["Content-Type: text/css"]);
    let proxy = Proxy::start(config(&target, "codings = [\"gzip\"]"));
    let mut slow = proxy.client();
    slow.send(request("GET", "/", &["Accept-Encoding: gzip"]));
    let head = slow.head(crate::support::PATIENCE).unwrap();
    assert!(head.chunked());
    for _ in 0..5 {
        let mut quick = Client::to(&proxy.web());
        assert_same(&content(&quick.ask("GET", "/", &["Accept-Encoding: gzip"])), &page(8 << 20));
    }
    let body = slow.chunked().unwrap().body;
    assert_same(&decoded("gzip", &body), &page(8 << 20));
    proxy.settles("ringway_compression_responses_total", &[("coding", "gzip")], 6.0);
}
