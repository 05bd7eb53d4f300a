//! Who gets which coding, and what the heads say of it. Protects compression/basic, compression/etags_conversion,
//! compression/min_size and compression/vary.

use super::{accepting, config, content, decoded, page, pages};
use crate::support::client::request;
use crate::support::h2;
use crate::support::{Proxy, Target, assert_same};
use http::Method;
use std::process::Command;

const HTML: &[&str] =
    &["Content-Type: text/html; charset=utf-8", "ETag: \"v1\"", "Accept-Ranges: bytes", "Vary: Origin"];

#[test]
fn each_client_gets_the_coding_that_it_likes_best() {
    let target = pages(20_000, HTML);
    let proxy = Proxy::start(config(&target, ""));
    for (codings, coding) in [
        ("gzip, deflate, br, zstd", Some("zstd")),
        ("gzip, deflate, br", Some("br")),
        ("gzip;q=0.8, br;q=0.2", Some("gzip")),
        ("x-gzip", Some("gzip")),
        ("*;q=0.1", Some("zstd")),
        ("deflate, identity", None),
        ("gzip;q=0", None),
        ("identity;q=0", None),
    ] {
        let response = accepting(&proxy, codings);
        assert_eq!(response.field("content-encoding").as_deref(), coding, "{codings}");
        assert_same(&content(&response), &page(20_000));
        assert_eq!(response.head.lines("vary"), ["Origin, Accept-Encoding"], "{codings}");
        assert_eq!(response.field("content-length"), Some(response.body.len().to_string()), "it was there as a whole");
        let tag = if coding.is_some() { "W/\"v1\"" } else { "\"v1\"" };
        assert_eq!(response.field("etag").as_deref(), Some(tag), "{codings}");
        assert_eq!(response.field("accept-ranges").is_none(), coding.is_some());
        assert_eq!(target.last().field("accept-encoding").as_deref(), Some(codings), "the target sees what it says");
    }
    assert!(proxy.metric("ringway_compression_responses_total", &[("coding", "zstd")]) == 2.0);
    assert!(proxy.metric("ringway_compression_input_bytes_total", &[("coding", "br")]) == 20_000.0);
    let output = proxy.metric("ringway_compression_output_bytes_total", &[("coding", "br")]);
    assert!((100.0..10_000.0).contains(&output), "{output}");
    assert_eq!(proxy.metric("ringway_compression_skipped_total", &[("reason", "not-accepted")]), 3.0);
}

#[test]
fn the_configured_order_goes_before_ours_and_levels_count() {
    let target = pages(60_000, HTML);
    let smallest = Proxy::start(config(&target, "codings = [\"gzip\", \"br\"], level = { gzip = 9 }"));
    let quickest = Proxy::start(config(&target, "codings = [\"gzip\"], level = { gzip = 1 }"));
    let (small, quick) = (accepting(&smallest, "zstd, br, gzip"), accepting(&quickest, "gzip"));
    assert_eq!(small.field("content-encoding").as_deref(), Some("gzip"));
    assert!(small.body.len() < quick.body.len(), "{} and {}", small.body.len(), quick.body.len());
    assert_same(&content(&quick), &page(60_000));
}

#[test]
fn head_says_what_get_says() {
    let target = pages(20_000, HTML);
    let proxy = Proxy::start(config(&target, ""));
    for codings in ["gzip", "identity"] {
        let fields = [format!("Accept-Encoding: {codings}")];
        let fields = [fields[0].as_str()];
        let mut client = proxy.client();
        let (get, head) = (client.ask("GET", "/", &fields), client.ask("HEAD", "/", &fields));
        assert!(head.body.is_empty());
        for name in ["content-encoding", "etag", "vary", "content-type", "accept-ranges"] {
            assert_eq!(get.field(name), head.field(name), "{codings}: {name}");
        }
        let told = head.field("content-length");
        assert!(told.is_none() || told == get.field("content-length"), "{codings}: {told:?}");
        assert!(client.alive(), "no byte of a body came");
    }
}

#[test]
fn clients_of_http2_get_the_same() {
    let target = pages(20_000, HTML);
    let proxy = Proxy::start(config(&target, ""));
    let client = h2::Client::to(&proxy.web());
    for coding in ["zstd", "br", "gzip"] {
        let mut asked = h2::request(Method::GET, "/");
        asked.headers_mut().insert("accept-encoding", coding.parse().unwrap());
        let answer = client.ask(asked, b"").unwrap();
        let field = |name: &str| answer.fields.get(name).map(|value| value.to_str().unwrap().to_owned());
        assert_eq!(field("content-encoding").as_deref(), Some(coding));
        assert_eq!(
            (field("etag").as_deref(), field("vary").as_deref()),
            (Some("W/\"v1\""), Some("Origin, Accept-Encoding"))
        );
        assert_same(&decoded(coding, &answer.body), &page(20_000));
        let mut asked = h2::request(Method::HEAD, "/");
        asked.headers_mut().insert("accept-encoding", coding.parse().unwrap());
        let head = client.ask(asked, b"").unwrap();
        assert_eq!((head.fields.get("content-encoding"), head.body.len()), (answer.fields.get("content-encoding"), 0));
    }
    let plain = client.get("/");
    assert_eq!((plain.fields.get("content-encoding"), plain.body.len()), (None, 20_000));
}

#[test]
fn what_must_not_change_does_not() {
    let target = Target::with("a", |peer| {
        while let Some(seen) = peer.request() {
            let body = super::page(5000);
            let html = "Content-Type: text/html";
            let sent = match seen.path.as_str() {
                "/no-transform" => {
                    peer.reply(200, &[html, "ETag: \"v1\"", "Cache-Control: private, no-transform"], &body)
                }
                "/encoded" => peer.reply(200, &[html, "Content-Encoding: gzip", "ETag: \"v1\""], b"of whatever sort"),
                "/part" => peer.reply(206, &[html, "ETag: \"v1\"", "Content-Range: bytes 0-4999/9000"], &body),
                "/image" => peer.reply(200, &["Content-Type: image/png", "ETag: \"v1\""], &body),
                "/untyped" => peer.reply(200, &["ETag: \"v1\""], &body),
                "/small" => peer.reply(200, &[html, "ETag: \"v1\""], &body[..900]),
                "/noise" => peer.reply(200, &[html, "ETag: \"v1\""], &crate::support::pattern(2000)),
                "/events" => peer.reply(200, &["Content-Type: text/event-stream", "ETag: \"v1\""], &body),
                "/none" => peer.try_send("HTTP/1.1 204 No Content\r\nETag: \"v1\"\r\n\r\n").ok(),
                _ => peer.reply(200, &[html], &body),
            };
            if sent.is_none() {
                return;
            }
        }
    });
    let proxy = Proxy::start(config(&target, ""));
    let mut client = proxy.client();
    for (path, varies) in [
        ("/no-transform", false),
        ("/encoded", true),
        ("/part", true),
        ("/image", false),
        ("/untyped", false),
        ("/small", true),
        ("/noise", true),
        ("/events", false),
        ("/none", false),
    ] {
        let response = client.ask("GET", path, &["Accept-Encoding: gzip, br, zstd"]);
        let coding = response.field("content-encoding");
        assert_eq!(coding.as_deref(), (path == "/encoded").then_some("gzip"), "{path}");
        assert_eq!(response.field("etag").as_deref(), Some("\"v1\""), "{path}");
        assert_eq!(response.field("vary").is_some(), varies, "{path}");
    }
    for (reason, count) in
        [("no-transform", 1.0), ("encoded", 1.0), ("range", 1.0), ("type", 3.0), ("size", 1.0), ("gain", 1.0)]
    {
        assert_eq!(proxy.metric("ringway_compression_skipped_total", &[("reason", reason)]), count, "{reason}");
    }
    assert_eq!(client.ask("GET", "/", &["Accept-Encoding: gzip"]).field("content-encoding").as_deref(), Some("gzip"));
}

/// nginx leaves clients of HTTP/1.0 and whoever comes by way of a proxy without compression, unless it is told otherwise.
#[test]
fn clients_of_http10_and_of_proxies_get_it_too() {
    let target = pages(20_000, HTML);
    let proxy = Proxy::start(config(&target, ""));
    let mut client = proxy.client();
    client.send("GET / HTTP/1.0\r\nHost: site.test\r\nVia: 1.1 cdn\r\nAccept-Encoding: gzip\r\n\r\n");
    let response = client.response();
    assert_eq!(response.field("content-encoding").as_deref(), Some("gzip"));
    assert!(!response.head.chunked());
    assert_same(&content(&response), &page(20_000));
}

#[test]
fn routes_without_compression_have_none_of_it() {
    let target = pages(20_000, HTML);
    let keys = "\n[defaults.route]\ncompress = { codings = [\"gzip\"] }\n[routes.off]\npaths = [\"/off/\"]\npool = \"site\"\ncompress = false\n\
        [routes.on]\npaths = [\"/on/\"]\npool = \"site\"\ncompress = true\n[routes.default]\npaths = [\"/default/\"]\npool = \"site\"\n";
    let proxy = Proxy::start(crate::support::toml::http(&[&target]) + keys);
    let mut client = proxy.client();
    for (path, coding) in [("/off/", None), ("/on/", Some("gzip")), ("/default/", Some("gzip")), ("/", None)] {
        let response = client.ask("GET", path, &["Accept-Encoding: zstd, gzip"]);
        assert_eq!(response.field("content-encoding").as_deref(), coding, "{path}");
        assert_eq!(response.field("vary").as_deref() == Some("Origin"), coding.is_none(), "{path}");
    }
}

#[test]
fn targets_are_not_told_where_all_is_to_be_compressed_here() {
    let target = pages(20_000, HTML);
    let proxy = Proxy::start(config(&target, "offload = true"));
    let response = proxy.client().ask("GET", "/", &["Accept-Encoding: br", "X-End: 1"]);
    assert_eq!(response.field("content-encoding").as_deref(), Some("br"));
    let seen = target.last();
    assert_eq!((seen.field("accept-encoding"), seen.field("x-end").as_deref()), (None, Some("1")));
}

#[test]
fn curl_reads_every_coding_that_it_knows() {
    let target = pages(50_000, HTML);
    let proxy = Proxy::start(config(&target, ""));
    let version = Command::new("curl").arg("--version").output().unwrap();
    let version = String::from_utf8_lossy(&version.stdout).into_owned();
    for (feature, coding) in [("libz", "gzip"), ("brotli", "br"), ("zstd", "zstd")] {
        if !version.contains(feature) {
            continue;
        }
        let out = Command::new("curl")
            .args([
                "-sS",
                "--compressed",
                "-H",
                &format!("Accept-Encoding: {coding}"),
                &format!("http://{}/", proxy.web()),
            ])
            .output()
            .unwrap();
        assert!(out.status.success(), "{coding}: {}", String::from_utf8_lossy(&out.stderr));
        assert_same(&out.stdout, &page(50_000));
        assert_eq!(proxy.metric("ringway_compression_responses_total", &[("coding", coding)]), 1.0);
    }
}

#[test]
fn a_pipeline_of_compressed_answers_stays_in_order() {
    let target = Target::with("a", |peer| {
        while let Some(seen) = peer.request() {
            let body = seen.path.repeat(500);
            if peer.reply(200, &["Content-Type: text/plain"], body.as_bytes()).is_none() {
                return;
            }
        }
    });
    let proxy = Proxy::start(config(&target, ""));
    let mut client = proxy.client();
    let paths: Vec<String> = (0..20).map(|n| format!("/{n:04}")).collect();
    client.send(paths.iter().map(|path| request("GET", path, &["Accept-Encoding: gzip"])).collect::<String>());
    for path in paths {
        assert_eq!(String::from_utf8(content(&client.response())).unwrap(), path.repeat(500));
    }
}
