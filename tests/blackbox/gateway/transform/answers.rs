//! JSON bodies of answers.

use super::*;
use crate::support::target::{Peer, Seen};
use crate::support::wire::Broken;
use std::io::{Read, Write};
use std::thread;
use std::time::Duration;

const RULE: &str = r#"
[rules.body]
type = "transform"
[rules.body.response.body]
remove = ["/debug", "/users/*/ssn"]
set = { "/by" = "{consumer.name} {status} {response.headers.x-kind}", "/plain" = 1 }
"#;

const SENT: &str = r#"{"debug":{"deep":[1]}, "users":[{"ssn":1,"id":1.50},{"id":2,"ssn":"x"}]}"#;
const GOT: &str = r#"{"users":[{"id":1.50},{"id":2}],"by":" 200 k","plain":1}"#;

/// A target that answers each path in its own way.
fn target() -> Target {
    Target::with("json", |peer| {
        while let Some(seen) = peer.request() {
            if answer(peer, &seen).is_none() {
                return;
            }
        }
    })
}

fn gzipped(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(6));
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A long list, whose items have what is to be removed.
fn list(x: &str, count: usize) -> String {
    format!("{{\"users\":[{}]}}", vec![format!("{{{x}\"text\":\"{}\"}}", "y".repeat(990)); count].join(","))
}

fn answer(peer: &mut Peer, seen: &Seen) -> Option<()> {
    let json = "Content-Type: application/json; charset=utf-8";
    let kind = [json, "X-Kind: k", "ETag: \"t\"", "Accept-Ranges: bytes", "Content-MD5: m", "Repr-Digest: d"];
    match seen.path.trim_start_matches("/v1/") {
        "plain" if seen.method == "HEAD" => {
            let lines = kind.join("\r\n");
            peer.try_send(format!("HTTP/1.1 200 OK\r\n{lines}\r\nContent-Length: {}\r\n\r\n", SENT.len())).ok()
        }
        "plain" if seen.field("if-none-match").is_some() => {
            peer.try_send("HTTP/1.1 304 Not Modified\r\nETag: \"t\"\r\n\r\n").ok()
        }
        "plain" => peer.reply(200, &kind, SENT.as_bytes()),
        "gzip" => peer.reply(200, &[&kind[..], &["Content-Encoding: gzip"]].concat(), &gzipped(SENT.as_bytes())),
        "odd" => peer.reply(200, &[json, "Content-Encoding: gzip, br"], b"x"),
        "text" => peer.reply(200, &["Content-Type: text/plain", "ETag: \"t\""], SENT.as_bytes()),
        "part" => peer.reply(206, &[json, "Content-Range: bytes 0-6/100"], b"{\"debug"),
        "bad" => peer.reply(200, &[json], b"{\"users\":[1,]}"),
        "error" => peer.reply(500, &[json, "X-Kind: e"], b"{\"debug\":1}"),
        "none" => peer.reply(204, &[json], b""),
        "empty" => peer.reply(200, &[json], b""),
        "long" => peer.reply(200, &[json], list("\"ssn\":1,", 5000).as_bytes()),
        "late" => {
            let begun = list("\"ssn\":1,", 500);
            peer.try_send(format!(
                "HTTP/1.1 200 OK\r\n{json}\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{begun}x\r\n",
                begun.len() + 1
            ))
            .ok()?;
            peer.try_send("0\r\n\r\n").ok()
        }
        "bits" => {
            peer.try_send(format!("HTTP/1.1 200 OK\r\n{json}\r\nX-Kind: k\r\nTransfer-Encoding: chunked\r\n\r\n"))
                .ok()?;
            for byte in SENT.bytes() {
                peer.try_send([b"1\r\n".as_slice(), &[byte], b"\r\n"].concat()).ok()?;
                thread::sleep(Duration::from_micros(200));
            }
            peer.try_send("0\r\nX-Last: 1\r\n\r\n").ok()
        }
        _ => peer.reply(404, &[], b""),
    }
}

#[test]
fn bodies_are_edited_and_heads_say_nothing_of_what_they_were() {
    let target = target();
    let proxy = start(&target, "[\"body\"]", RULE);
    let mut client = proxy.client();
    let answer = client.ask("GET", "/v1/plain", &["Accept-Encoding: gzip", "Range: bytes=0-3", "If-Range: \"t\""]);
    assert_eq!((answer.status, answer.text().as_str()), (200, GOT));
    assert_eq!(answer.field("content-length"), Some(GOT.len().to_string()));
    assert_eq!(answer.field("etag").as_deref(), Some("W/\"t\""));
    for gone in ["accept-ranges", "content-md5", "repr-digest"] {
        assert_eq!(answer.field(gone), None, "{gone}");
    }
    let seen = target.last();
    for gone in ["accept-encoding", "range", "if-range"] {
        assert_eq!(seen.field(gone), None, "{gone} would bring what cannot be edited");
    }
    let h2 = h2::Client::to(&proxy.web());
    for path in ["/v1/plain", "/v1/gzip", "/v1/bits"] {
        assert_eq!(client.get(path).text(), GOT, "{path}");
        let answer = h2.get(path);
        assert_eq!(String::from_utf8_lossy(&answer.body), GOT, "{path}");
        assert!(!answer.fields.contains_key("content-encoding"), "{path}");
    }
    let text = client.get("/v1/text");
    assert_eq!((text.text().as_str(), text.field("etag").as_deref()), (SENT, Some("\"t\"")), "it is no JSON");
    assert_eq!(client.get("/v1/error").text(), "{\"by\":\" 500 e\",\"plain\":1}");
    assert_eq!((client.get("/v1/none").status, client.get("/v1/empty").text().as_str()), (204, ""));
    let head = client.ask("HEAD", "/v1/plain", &[]);
    assert_eq!(
        (head.status, head.field("content-length"), head.field("etag").as_deref()),
        (200, None, Some("W/\"t\""))
    );
    let same = client.ask("GET", "/v1/plain", &["If-None-Match: W/\"t\""]);
    assert_eq!((same.status, same.field("etag").as_deref()), (304, Some("W/\"t\"")));
}

#[test]
fn long_bodies_stream_through() {
    let target = target();
    let proxy =
        start(&target, "[\"body\"]", &RULE.replace("remove = [\"/debug\", ", "remove = [").replace("set =", "add ="));
    let wanted = list("", 5000);
    let wanted = format!("{},\"by\":\" 200 \",\"plain\":1}}", wanted.trim_end_matches('}').to_owned() + "");
    let answer = proxy.client().get("/v1/long");
    assert_eq!((answer.status, answer.body.len()), (200, wanted.len()));
    assert!(answer.text() == wanted);
    assert!(answer.head.chunked());
    assert!(h2::Client::to(&proxy.web()).get("/v1/long").body == wanted.as_bytes());
    let mut old = proxy.client();
    old.send("GET /v1/long HTTP/1.0\r\nHost: site.test\r\n\r\n");
    assert!(old.response().text() == wanted);
}

#[test]
fn what_cannot_be_edited_is_an_error_or_cut_off_and_never_goes_out_as_it_is() {
    let target = target();
    let proxy = start(&target, "[\"body\"]", RULE);
    for (path, word) in [("/v1/bad", "bad-json"), ("/v1/odd", "coded-body"), ("/v1/part", "json-part")] {
        assert_eq!(proxy.get(path).status, 502, "{path}");
        assert_eq!(h2::Client::to(&proxy.web()).get(path).status.as_u16(), 502, "{path}");
        proxy.log.wait(&[word]);
    }
    let failed = proxy.metric("ringway_pool_errors_total", &[("pool", "site"), ("kind", "bad-body")]);
    assert_eq!(failed, 6.0);
    proxy.out.wait(&["\"reason\":\"bad-body\""]);
    let mut client = proxy.client();
    client.send(request("GET", "/v1/late", &[]));
    match client.response_to("GET") {
        Ok(answer) => assert_eq!(answer.status, 502),
        Err(broken) => assert!(matches!(broken, Broken::Truncated | Broken::Reset), "{broken:?}"),
    }
    let late = h2::Client::to(&proxy.web()).ask(h2::request(Method::GET, "/v1/late"), b"");
    assert!(late.map_or(true, |answer| answer.status.as_u16() == 502), "it was cut off");
}

#[test]
fn what_was_edited_is_compressed_behind_that() {
    let target = target();
    let proxy = start_with(&target, "[\"body\"]", RULE, "compress = { min_size = \"1B\" }");
    let h2 = h2::Client::to(&proxy.web());
    for path in ["/v1/plain", "/v1/gzip", "/v1/bits", "/v1/long"] {
        let answer = proxy.client().ask("GET", path, &["Accept-Encoding: gzip"]);
        let text = match answer.field("content-encoding").as_deref() {
            Some("gzip") => {
                let mut text = String::new();
                flate2::read::GzDecoder::new(&answer.body[..]).read_to_string(&mut text).unwrap();
                text
            }
            None => answer.text(),
            other => panic!("{path}: {other:?}"),
        };
        match path {
            "/v1/long" => assert!(text.len() > 4_000_000 && !text.contains("ssn") && answer.body.len() < 100_000),
            _ => assert_eq!(text, GOT, "{path}"),
        }
        assert_eq!(answer.field("vary").as_deref(), Some("Accept-Encoding"), "{path}");
        assert!(!String::from_utf8_lossy(&h2.get(path).body).contains("ssn"), "{path}");
    }
}

#[test]
fn a_status_decides_whether_a_body_is_edited() {
    let target = target();
    let rule = "[rules.body]\ntype = \"transform\"\nresponse.if_status = \"500-599\"\nresponse.status = 503\n\
                response.body.set = { \"\" = { \"error\" = \"{status}\" } }\n";
    let proxy = start(&target, "[\"body\"]", rule);
    assert_eq!(proxy.get("/v1/plain").text(), SENT);
    let answer = proxy.get("/v1/error");
    assert_eq!((answer.status, answer.text().as_str()), (503, "{\"error\":\"500\"}"));
}
