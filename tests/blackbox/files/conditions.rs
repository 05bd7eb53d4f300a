//! What a client has already, and parts.

use super::Site;
use crate::support::client::Response;
use std::time::{Duration, SystemTime};

const OLD: &str = "Wed, 25 Nov 2020 04:31:00 GMT";

/// A site with one file of 26 letters that was changed in 2020.
fn letters() -> Site {
    let site = Site::new(", precompressed = true, cache_control = \"no-cache\"");
    let path = site.write("az", "abcdefghijklmnopqrstuvwxyz");
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_606_278_660);
    std::fs::File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
    site
}

#[test]
fn who_has_it_is_not_sent_it_again() {
    let proxy = letters().setup.start();
    let mut client = proxy.client();
    let whole = client.get("/az");
    let etag = whole.field("etag").unwrap();
    assert_eq!(whole.field("last-modified").as_deref(), Some(OLD));
    let other = "\"other\"";
    for (fields, status) in [
        (vec![format!("If-None-Match: {etag}")], 304),
        (vec![format!("If-None-Match: {other}, W/{etag}")], 304),
        (vec!["If-None-Match: *".to_owned()], 304),
        (vec![format!("If-None-Match: {other}")], 200),
        (vec![format!("If-Modified-Since: {OLD}")], 304),
        (vec!["If-Modified-Since: Wed, 25 Nov 2020 04:30:59 GMT".to_owned()], 200),
        (vec!["If-Modified-Since: yesterday".to_owned()], 200),
        (vec![format!("If-None-Match: {other}"), format!("If-Modified-Since: {OLD}")], 200),
        (vec![format!("If-Match: {etag}")], 200),
        (vec![format!("If-Match: {other}")], 412),
        (vec![format!("If-Match: W/{etag}")], 412),
        (vec!["If-Match: *".to_owned()], 200),
        (vec![format!("If-Unmodified-Since: {OLD}")], 200),
        (vec!["If-Unmodified-Since: Wed, 25 Nov 2020 04:30:59 GMT".to_owned()], 412),
    ] {
        for method in ["GET", "HEAD"] {
            let lines: Vec<&str> = fields.iter().map(String::as_str).collect();
            let response = client.ask(method, "/az", &lines);
            assert_eq!(response.status, status, "{method} {fields:?}");
            // RFC 9110 §15.4.5
            for name in ["etag", "cache-control", "vary"] {
                assert_eq!(response.field(name), whole.field(name), "{method} {fields:?}: {name}");
            }
            assert!(response.field("date").is_some());
            if status == 304 {
                assert!(response.body.is_empty() && response.field("content-type").is_none(), "{fields:?}");
            }
        }
    }
}

fn range(response: &Response) -> (u16, Option<String>, String) {
    (response.status, response.field("content-range"), response.text())
}

#[test]
fn a_part_is_what_was_asked_for_and_whole_where_it_has_changed() {
    let proxy = letters().setup.start();
    let mut client = proxy.client();
    let etag = client.get("/az").field("etag").unwrap();
    let part = |range: &str, text: &str| (206, Some(range.to_owned()), text.to_owned());
    let whole = (200, None, "abcdefghijklmnopqrstuvwxyz".to_owned());
    for (fields, wanted) in [
        (vec!["Range: bytes=0-0"], part("bytes 0-0/26", "a")),
        (vec!["Range: bytes=23-"], part("bytes 23-25/26", "xyz")),
        (vec!["Range: bytes=-2"], part("bytes 24-25/26", "yz")),
        (vec!["Range: bytes=20-999"], part("bytes 20-25/26", "uvwxyz")),
        (vec!["Range: bytes=26-"], (416, Some("bytes */26".to_owned()), String::new())),
        (vec!["Range: letters=0-1"], whole.clone()),
        (vec!["Range: bytes=5-4"], whole.clone()),
        (vec!["Range: bytes=0-0", &format!("If-Range: {etag}")], part("bytes 0-0/26", "a")),
        (vec!["Range: bytes=0-0", "If-Range: \"other\""], whole.clone()),
        (vec!["Range: bytes=0-0", &format!("If-Range: W/{etag}")], whole.clone()),
        (vec!["Range: bytes=0-0", &format!("If-Range: {OLD}")], part("bytes 0-0/26", "a")),
        (vec!["Range: bytes=0-0", "If-Range: Wed, 25 Nov 2020 04:31:01 GMT"], whole.clone()),
    ] {
        assert_eq!(range(&client.ask("GET", "/az", &fields)), wanted, "{fields:?}");
    }
    let head = client.ask("HEAD", "/az", &["Range: bytes=0-0"]);
    assert_eq!((head.status, head.field("content-length").as_deref()), (200, Some("26")), "RFC 9110 §14.2");
}

#[test]
fn several_parts_come_in_one_answer_and_a_thousand_are_the_whole() {
    let site = letters();
    site.write("large", "0123456789".repeat(1000));
    let proxy = site.setup.start();
    let mut client = proxy.client();
    let response = client.ask("GET", "/large", &["Range: bytes=0-2,5000-5004,-1"]);
    assert_eq!(response.status, 206);
    let kind = response.field("content-type").unwrap();
    let boundary = kind.strip_prefix("multipart/byteranges; boundary=").unwrap().to_owned();
    let text = response.text();
    let parts: Vec<&str> = text.split(&format!("\r\n--{boundary}")).collect();
    assert_eq!((parts.len(), parts[0], parts[4]), (5, "", "--\r\n"), "{text}");
    for (part, (range, content)) in parts[1..4].iter().zip([("0-2", "012"), ("5000-5004", "01234"), ("9999-9999", "9")])
    {
        assert!(part.contains(&format!("Content-Range: bytes {range}/10000\r\n")), "{part}");
        assert!(part.ends_with(&format!("\r\n\r\n{content}")), "{part}");
    }
    let parts: Vec<String> = (0..1000).map(|n| format!("{}-{}", n * 10, n * 10)).collect();
    let response = client.ask("GET", "/large", &[&format!("Range: bytes={}", parts.join(","))]);
    assert_eq!((response.status, response.body.len()), (200, 10_000));
    // Overlapping parts are worth no more than what they cover (CVE-2011-3192).
    let parts: Vec<String> = (0..30).map(|n| format!("{n}-")).collect();
    let response = client.ask("GET", "/large", &[&format!("Range: bytes={}", parts.join(","))]);
    assert!(response.body.len() <= 10_000, "{}", response.body.len());
}
