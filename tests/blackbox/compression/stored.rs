//! Answers that a cache keeps, compressed for those who take it.

use super::{decoded, page, pages};
use crate::support::Proxy;
use crate::support::toml::http;

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
        assert!(part.body == page(length)[10..20], "a part is one of the content without a coding");
        let known = client.ask("GET", "/a", &["Accept-Encoding: gzip", "If-None-Match: W/\"strong\""]);
        assert_eq!(known.status, 304);
        assert_eq!(target.requests(), 1, "{length}");
    }
}
