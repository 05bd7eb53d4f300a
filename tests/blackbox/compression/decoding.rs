//! Clients that cannot read what a target has compressed.

use super::{config, encoded, is_broken, page};
use crate::support::client::request;
use crate::support::wire::Broken;
use crate::support::{Proxy, Target, assert_same, h2};

/// A target that compresses whatever it is asked, in the coding that the path names.
fn stubborn(length: usize, kind: &'static str) -> Target {
    Target::with("stubborn", move |peer| {
        while let Some(seen) = peer.request() {
            let coding = seen.path.trim_start_matches('/').to_owned();
            let body = encoded(&coding, &page(length));
            let fields = [format!("Content-Encoding: {coding}"), format!("Content-Type: {kind}")];
            if peer.reply(200, &[&fields[0], &fields[1], "ETag: \"v1\"", "Content-MD5: x"], &body).is_none() {
                return;
            }
        }
    })
}

#[test]
fn who_cannot_read_a_coding_gets_it_taken_off() {
    let target = stubborn(200_000, "text/html");
    let proxy = Proxy::start(config(&target, ""));
    for coding in ["gzip", "br", "zstd"] {
        let path = format!("/{coding}");
        for fields in [&[][..], &["Accept-Encoding: deflate, gzip;q=0, br;q=0, zstd;q=0"]] {
            let response = proxy.client().ask("GET", &path, fields);
            assert_same(&response.body, &page(200_000));
            assert_eq!((response.field("content-encoding"), response.field("content-md5")), (None, None));
            assert_eq!(response.field("etag").as_deref(), Some("W/\"v1\""));
            assert_eq!(response.field("vary").as_deref(), Some("Accept-Encoding"));
        }
        let reads = proxy.client().ask("GET", &path, &[&format!("Accept-Encoding: {coding}")]);
        assert_eq!(reads.field("content-encoding").as_deref(), Some(coding));
        assert_same(&reads.body, &encoded(coding, &page(200_000)));
        assert_eq!(
            (reads.field("etag").as_deref(), reads.field("content-md5").as_deref()),
            (Some("\"v1\""), Some("x"))
        );
        assert_same(&h2::Client::to(&proxy.web()).get(&path).body, &page(200_000));
        assert_eq!(proxy.metric("ringway_decompression_responses_total", &[("coding", coding)]), 3.0);
    }
}

#[test]
fn what_is_meant_to_be_compressed_stays_so() {
    for (kind, keys) in [("application/x-gtar", ""), ("text/html", "decompress = false")] {
        let target = stubborn(5000, kind);
        let proxy = Proxy::start(config(&target, keys));
        let response = proxy.client().get("/gzip");
        assert_eq!(response.field("content-encoding").as_deref(), Some("gzip"), "{kind}");
        assert_same(&response.body, &encoded("gzip", &page(5000)));
    }
}

#[test]
fn what_is_not_in_its_coding_or_ends_early_is_cut() {
    let target = Target::with("a", |peer| {
        while let Some(seen) = peer.request() {
            let mut body = encoded("gzip", &page(100_000));
            match seen.path.as_str() {
                "/short" => body.truncate(body.len() / 2),
                _ => body[50..].fill(0xff),
            }
            if peer.reply(200, &["Content-Encoding: gzip", "Content-Type: text/html"], &body).is_none() {
                return;
            }
        }
    });
    let proxy = Proxy::start(config(&target, ""));
    for path in ["/short", "/broken"] {
        let mut client = proxy.client();
        client.send(request("GET", path, &[]));
        is_broken(&mut client, path);
    }
    proxy.settles("ringway_pool_errors_total", &[("kind", "bad-response")], 2.0);
}

/// A few kilobytes that stand for gigabytes.
#[test]
fn a_bomb_does_not_go_off() {
    let bomb = encoded("br", &vec![0; 48 << 20]);
    assert!(bomb.len() < 50_000, "{}", bomb.len());
    let target = Target::with("a", move |peer| {
        while peer.request().is_some() {
            if peer.reply(200, &["Content-Encoding: br", "Content-Type: text/html"], &bomb).is_none() {
                return;
            }
        }
    });
    let proxy = Proxy::start(config(&target, ""));
    let before = proxy.resident();
    let mut client = proxy.client();
    client.send(request("GET", "/", &[]));
    let broken = client.response_to("GET").unwrap_err();
    assert!(matches!(broken, Broken::Truncated | Broken::Reset), "{broken:?}");
    assert!(proxy.resident() < before + (40 << 20), "{} became {}", before, proxy.resident());
    proxy.log.wait(&["cannot be recoded", "Bomb"]);
}
