//! Parts of answers: given from wholes that are stored, and stored themselves.

use super::{Answer, hit, lines, origin, says, start, told};
use crate::support::target::Seen;
use crate::support::{Client, Target};

const WHOLE: &str = "0123456789abcdefghij";

/// A target that knows ranges of the one form `bytes=N-M`, and If-Range.
fn parts(fields: &'static str) -> Target {
    origin(move |seen, _| part_of(seen, fields))
}

fn part_of(seen: &Seen, fields: &str) -> Answer {
    let mut fields = lines(fields);
    let asked = seen.field("range").and_then(|range| {
        let (first, last) = range.strip_prefix("bytes=")?.split_once('-')?;
        let last = if last.is_empty() { WHOLE.len() - 1 } else { last.parse().ok()? };
        let first: usize = first.parse().ok()?;
        (first < WHOLE.len()).then(|| (first, last.min(WHOLE.len() - 1)))
    });
    match asked {
        Some((first, last)) => {
            fields.push(format!("Content-Range: bytes {first}-{last}/{}", WHOLE.len()));
            Answer { status: 206, fields, body: WHOLE[first..=last].into() }
        }
        None if seen.path == "/long" => Answer { status: 200, fields, body: WHOLE.repeat(100).into() },
        None => Answer { status: 200, fields, body: WHOLE.into() },
    }
}

#[track_caller]
fn range(client: &mut Client, range: &str) -> (u16, String, Option<String>, bool) {
    let answer = client.ask("GET", "/a", &[&format!("Range: {range}")]);
    (answer.status, answer.text(), answer.field("content-range"), hit(&answer))
}

#[test]
fn parts_are_cut_from_a_whole_that_is_stored() {
    let target = parts("Cache-Control: max-age=60\nETag: \"a\"\nX: 1\nLast-Modified: Wed, 01 Jan 2020 00:00:00 GMT");
    let proxy = start(&target);
    let mut client = proxy.client();
    client.get("/a");
    for (asked, body, place) in [
        ("bytes=0-1", "01", "bytes 0-1/20"),
        ("bytes=5-7", "567", "bytes 5-7/20"),
        ("bytes=18-", "ij", "bytes 18-19/20"),
        ("bytes=-3", "hij", "bytes 17-19/20"),
        ("bytes=-100", WHOLE, "bytes 0-19/20"),
        ("bytes=10-999", "abcdefghij", "bytes 10-19/20"),
    ] {
        assert_eq!(range(&mut client, asked), (206, body.to_owned(), Some(place.to_owned()), true), "{asked}");
    }
    let (status, _, place, _) = range(&mut client, "bytes=20-");
    assert_eq!((status, place.as_deref()), (416, Some("bytes */20")));
    for whole in ["bytes=5-2", "bytes=a-b", "pages=1-2", "bytes 0-1"] {
        let (status, body, ..) = range(&mut client, whole);
        assert_eq!((status, body.as_str()), (200, WHOLE), "{whole}");
    }
    client.get("/long");
    let several = client.ask("GET", "/long", &["Range: bytes=0-1,-2"]);
    let kind = several.field("content-type").unwrap();
    let boundary = kind.strip_prefix("multipart/byteranges; boundary=").unwrap().trim_matches('"').to_owned();
    let text = several.text();
    assert_eq!((several.status, text.matches(&format!("--{boundary}")).count()), (206, 3), "{text}");
    assert!(text.contains("\r\n\r\n01\r\n") && text.contains("\r\n\r\nij\r\n"), "{text}");
    assert!(text.to_lowercase().contains("content-range: bytes 1998-1999/2000"), "{text}");
    for (condition, status) in [
        ("\"a\"", 206),
        ("\"b\"", 200),
        ("W/\"a\"", 200),
        ("Wed, 01 Jan 2020 00:00:00 GMT", 206),
        ("Thu, 02 Jan 2020 00:00:00 GMT", 200),
    ] {
        let answer = client.ask("GET", "/a", &["Range: bytes=0-1", &format!("If-Range: {condition}")]);
        assert_eq!((answer.status, hit(&answer)), (status, true), "{condition}");
    }
    let head = client.ask("HEAD", "/a", &["Range: bytes=0-1"]);
    assert_eq!((head.status, head.head.length()), (200, Some(20)));
    let known = client.ask("GET", "/a", &["Range: bytes=0-1", "If-None-Match: \"a\""]);
    assert_eq!(known.status, 304);
    assert_eq!(target.requests(), 2);
}

#[test]
fn a_stored_part_is_no_whole_and_answers_for_what_is_in_it() {
    let target = parts("Cache-Control: max-age=60\nETag: \"a\"");
    let proxy = start(&target);
    let mut client = proxy.client();
    assert_eq!(range(&mut client, "bytes=2-9"), (206, "23456789".into(), Some("bytes 2-9/20".into()), false));
    assert_eq!(range(&mut client, "bytes=2-9"), (206, "23456789".into(), Some("bytes 2-9/20".into()), true));
    assert_eq!(range(&mut client, "bytes=4-5"), (206, "45".into(), Some("bytes 4-5/20".into()), true));
    assert_eq!(target.requests(), 1);
    assert_eq!(range(&mut client, "bytes=8-11").1, "89ab");
    let whole = client.get("/a");
    assert_eq!((whole.status, whole.text().as_str()), (200, WHOLE));
    assert!(hit(&client.get("/a")));
}

#[test]
fn parts_are_put_together_and_only_what_is_missing_is_asked_for() {
    let target = parts("Cache-Control: max-age=60\nETag: \"a\"");
    let proxy = start(&target);
    let mut client = proxy.client();
    range(&mut client, "bytes=0-4");
    range(&mut client, "bytes=15-19");
    let whole = client.get("/a");
    assert_eq!((whole.status, whole.text().as_str()), (200, WHOLE), "{}", told(&whole));
    let asked = target.last();
    assert_eq!(asked.field("range").as_deref(), Some("bytes=5-14"));
    assert_eq!(asked.field("if-range").as_deref(), Some("\"a\""));
    let again = client.get("/a");
    assert_eq!((again.text().as_str(), hit(&again), target.requests()), (WHOLE, true, 3));
    assert_eq!(again.field("content-range"), None);
    // All of it in parts is the whole.
    let target = parts("Cache-Control: max-age=60\nETag: \"a\"");
    let proxy = start(&target);
    let mut client = proxy.client();
    range(&mut client, "bytes=0-9");
    range(&mut client, "bytes=10-19");
    let whole = client.get("/a");
    assert_eq!((whole.status, whole.text().as_str(), hit(&whole)), (200, WHOLE, true));
}

#[test]
fn parts_of_different_contents_are_never_put_together() {
    for tags in [["ETag: \"a\"", "ETag: \"b\""], ["ETag: W/\"a\"", "ETag: W/\"a\""], ["X: none", "X: none"]] {
        let target = origin(move |seen, nth| {
            let tag = tags[usize::from(nth > 1)];
            part_of(seen, &format!("Cache-Control: max-age=60\n{tag}"))
        });
        let proxy = start(&target);
        let mut client = proxy.client();
        range(&mut client, "bytes=0-9");
        range(&mut client, "bytes=10-19");
        let before = target.requests();
        let whole = client.get("/a");
        assert_eq!((whole.status, whole.text().as_str(), hit(&whole)), (200, WHOLE, false), "{tags:?}");
        assert!(target.requests() > before, "{tags:?}");
        assert!(target.last().field("range").is_none() || target.last().field("if-range").is_some(), "{tags:?}");
    }
}

#[test]
fn a_whole_that_has_changed_is_given_instead_of_what_completes_the_old_one() {
    let target = origin(|seen, nth| match nth {
        1 => part_of(seen, "Cache-Control: max-age=60\nETag: \"a\""),
        // It is another by now, and If-Range says so.
        _ => says(&["Cache-Control: max-age=60", "ETag: \"b\""], "other"),
    });
    let proxy = start(&target);
    let mut client = proxy.client();
    range(&mut client, "bytes=0-9");
    let whole = client.get("/a");
    assert_eq!((whole.status, whole.text().as_str()), (200, "other"));
    let again = client.get("/a");
    assert_eq!((again.text().as_str(), hit(&again)), ("other", true));
}

#[test]
fn a_part_shorter_than_it_says_is_neither_complete_nor_stored() {
    let target = Target::with("short", |peer| {
        if peer.request().is_some() {
            let _ = peer.try_send(
                "HTTP/1.1 206 Partial Content\r\nCache-Control: max-age=60\r\nETag: \"a\"\r\nContent-Range: bytes 0-9/20\r\n\
                 Content-Length: 10\r\n\r\n01234",
            );
        }
    });
    let proxy = start(&target);
    let mut client = proxy.client();
    client.send(crate::support::client::request("GET", "/a", &["Range: bytes=0-9"]));
    assert!(client.response_to("GET").is_err());
    let mut client = proxy.client();
    client.send(crate::support::client::request("GET", "/a", &["Range: bytes=0-4", "Cache-Control: only-if-cached"]));
    assert_eq!(client.response().status, 504);
}

#[test]
fn a_stale_whole_is_validated_for_who_wants_a_part() {
    let target = origin(|seen, _| match seen.field("if-none-match") {
        Some(_) => super::status(304, &["ETag: \"a\"", "Cache-Control: max-age=60"], ""),
        None => part_of(seen, "Cache-Control: max-age=1\nAge: 2\nETag: \"a\""),
    });
    let proxy = start(&target);
    let mut client = proxy.client();
    client.get("/a");
    let (status, body, ..) = range(&mut client, "bytes=0-1");
    assert_eq!((status, body.as_str()), (206, "01"));
    assert!(target.last().field("if-none-match").is_some(), "the whole is there");
    let whole = client.get("/a");
    assert_eq!((whole.text().as_str(), hit(&whole), target.requests()), (WHOLE, true, 2));
}
