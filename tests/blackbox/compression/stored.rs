//! Answers that a cache keeps, compressed for those who take it.

use super::{decoded, encoded, page, pages};
use crate::support::client::request;
use crate::support::toml::http;
use crate::support::{Proxy, Target, assert_same, eventually};
use std::time::Duration;

const LENGTHS: [usize; 2] = [3_000, 300_000];

#[test]
fn a_stored_answer_is_given_in_each_coding_without_asking_again() {
    for length in LENGTHS {
        let target = pages(length, &["Content-Type: text/html", "Cache-Control: max-age=60", "ETag: \"strong\""]);
        let proxy = Proxy::start(
            http(&[&target]) + "\n[caches.c]\n[routes.all]\npool = \"site\"\ncache = \"c\"\ncompress = true\n",
        );
        let mut client = proxy.client();
        for coding in ["gzip", "zstd", "br", "gzip", "zstd", "br"] {
            let answer = client.ask("GET", "/a", &[&format!("Accept-Encoding: {coding}")]);
            assert_eq!(answer.field("content-encoding").as_deref(), Some(coding), "{length}");
            assert_eq!(answer.field("vary").as_deref(), Some("Accept-Encoding"), "{length} {coding}");
            assert_eq!(answer.field("etag").as_deref(), Some("W/\"strong\""), "{length} {coding}");
            assert!(decoded(coding, &answer.body) == page(length), "{length} {coding}: other bytes");
        }
        let plain = client.ask("GET", "/a", &["Accept-Encoding: identity"]);
        assert_eq!((plain.field("content-encoding"), plain.field("etag")), (None, Some("\"strong\"".to_owned())));
        assert!(plain.body == page(length), "{length}: other bytes");
        let part = client.ask("GET", "/a", &["Accept-Encoding: gzip", "Range: bytes=10-19"]);
        assert_eq!((part.status, part.field("content-encoding")), (206, None));
        assert_eq!(part.field("vary").as_deref(), Some("Accept-Encoding"), "as the whole says");
        assert!(part.body == page(length)[10..20], "a part is one of the content without a coding");
        let known = client.ask("GET", "/a", &["Accept-Encoding: gzip", "If-None-Match: W/\"strong\""]);
        assert_eq!(known.status, 304);
        assert_eq!(target.requests(), 1, "{length}");
    }
}

#[test]
fn what_is_too_large_without_its_coding_is_given_and_not_kept() {
    let whole = page(10_000).repeat(600);
    let small = encoded("gzip", &whole);
    let body = small.clone();
    let target = Target::with("packed", move |peer| {
        while peer.request().is_some() {
            let fields =
                ["Content-Type: text/html", "Content-Encoding: gzip", "Cache-Control: max-age=60", "Vary: Accept"];
            if peer.reply(200, &fields, &body).is_none() {
                return;
            }
        }
    });
    let cache = "\n[caches.c]\nmemory = \"8MiB\"\n[routes.all]\npool = \"site\"\ncache = \"c\"\ncompress = true\n";
    let proxy = Proxy::start(http(&[&target]) + cache);
    let mut client = proxy.client();
    for _ in 0..3 {
        let plain = client.ask("GET", "/a", &["Accept-Encoding: identity"]);
        assert_same(&plain.body, &whole);
        let packed = client.ask("GET", "/a", &["Accept-Encoding: gzip"]);
        assert_same(&packed.body, &small);
        let held = proxy.metric("ringway_cache_bytes", &[("cache", "c"), ("tier", "memory")]);
        assert!(held > 0.0 && held < 3e6, "{held} bytes: of {} at most a window is held", whole.len());
    }
    assert_eq!(target.requests(), 1, "it stays stored as it came");
    // Those who come after one that has left in its middle get it as well.
    let mut left = proxy.client();
    left.send(request("GET", "/a", &["Accept-Encoding: identity"]));
    eventually("it is being answered", || left.buffer.len() > 1000 || left.fill(Duration::from_secs(1)).is_ok());
    left.reset();
    let plain = client.ask("GET", "/a", &["Accept-Encoding: identity"]);
    assert_eq!(plain.field("content-encoding"), None);
    assert_same(&plain.body, &whole);
}
