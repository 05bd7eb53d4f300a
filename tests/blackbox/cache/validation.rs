//! Validators: those of the origin, which spare it the content, and those of clients.

use super::{Answer, config, hit, lines, origin, says, start, status, told};
use crate::support::target::Seen;
use crate::support::{Client, Proxy, Target};

/// Stale from the beginning, with both validators; validated, it is fresh for a minute and brings `update`.
fn validated(update: &'static str) -> Target {
    origin(move |seen, nth| {
        if seen.field("if-none-match").is_some() || seen.field("if-modified-since").is_some() {
            return Answer { status: 304, fields: lines(update), body: Vec::new() };
        }
        let fields = "Cache-Control: max-age=1\nAge: 2\nETag: W/\"a\"\nLast-Modified: Wed, 01 Jan 2020 00:00:00 GMT\n\
                      X-Old: 1\nTest-Header: old\nContent-Foo: old\nContent-Type: text/plain\nContent-Encoding: x-own";
        Answer { status: 200, fields: lines(fields), body: nth.to_string().into() }
    })
}

#[test]
fn what_a_304_brings_stands_for_what_was_stored() {
    let target = validated(
        "Cache-Control: max-age=60\nETag: W/\"a\"\nTest-Header: new\nX-Test-Header: new\nContent-Foo: new\nX-Content-Foo: new\n\
         Content-Type: text/html\nContent-Encoding: br\nContent-Length: 99\nContent-Range: bytes 0-1/9\nX-Hop: 1\nConnection: x-hop",
    );
    let proxy = start(&target);
    let mut client = proxy.client();
    client.get("/a");
    let second = client.get("/a");
    let asked = target.last();
    assert_eq!(asked.field("if-none-match").as_deref(), Some("W/\"a\""));
    assert_eq!(asked.field("if-modified-since").as_deref(), Some("Wed, 01 Jan 2020 00:00:00 GMT"));
    assert_eq!(told(&second), "Ringway; fwd=stale; fwd-status=304; detail=revalidated");
    let third = client.get("/a");
    assert!(hit(&third), "it is fresh again: {}", told(&third));
    for answer in [&second, &third] {
        assert_eq!((answer.status, answer.text().as_str()), (200, "1"));
        for name in ["test-header", "x-test-header", "content-foo", "x-content-foo"] {
            assert_eq!(answer.field(name).as_deref(), Some("new"), "{name}");
        }
        assert_eq!(answer.field("x-old").as_deref(), Some("1"));
        assert_eq!(answer.field("content-encoding").as_deref(), Some("x-own"), "that of the stored bytes");
        assert_eq!((answer.head.length(), answer.field("content-range"), answer.field("x-hop")), (Some(1), None, None));
    }
    assert_eq!(target.requests(), 2);
}

#[test]
fn what_is_always_to_be_validated_is_and_its_content_is_not_sent_again() {
    let target = origin(|seen, nth| match seen.field("if-none-match") {
        Some(tag) if tag == "\"a\"" => status(304, &["ETag: \"a\"", "Cache-Control: no-cache"], ""),
        _ => says(&["ETag: \"a\"", "Cache-Control: no-cache"], &nth.to_string()),
    });
    let proxy = start(&target);
    let mut client = proxy.client();
    for n in 1..=4 {
        let answer = client.get("/a");
        assert_eq!((answer.status, answer.text().as_str(), hit(&answer)), (200, "1", false));
        assert_eq!(target.requests(), n);
    }
}

#[test]
fn a_changed_answer_takes_the_place_of_the_stored_one() {
    let target = origin(|_, nth| match nth {
        1 => says(&["ETag: \"a\"", "Cache-Control: max-age=1", "Age: 2"], "old"),
        _ => says(&["ETag: \"b\"", "Cache-Control: max-age=60"], "new"),
    });
    let proxy = start(&target);
    let mut client = proxy.client();
    assert_eq!(["/a"; 3].map(|path| client.get(path).text()), ["old", "new", "new"]);
    assert_eq!(target.requests(), 2);
}

#[test]
fn a_304_that_speaks_of_something_else_is_asked_again_and_never_passed_on() {
    let target = origin(|seen, nth| match seen.field("if-none-match") {
        Some(_) => status(304, &["ETag: \"other\"", "Cache-Control: max-age=60"], ""),
        None => says(&["ETag: \"a\"", "Cache-Control: max-age=1", "Age: 2"], &nth.to_string()),
    });
    let proxy = start(&target);
    let mut client = proxy.client();
    assert_eq!(client.get("/a").text(), "1");
    let second = client.get("/a");
    assert_eq!((second.status, second.text().as_str()), (200, "3"), "{}", told(&second));
    // One that nobody has asked for is no answer.
    let liar = origin(|_, _| status(304, &["ETag: \"a\""], ""));
    let proxy = start(&liar);
    assert_eq!(proxy.get("/a").status, 502);
}

#[test]
fn a_304_that_forbids_to_keep_what_it_validates_is_obeyed() {
    for update in
        ["Cache-Control: no-store", "Cache-Control: private, max-age=60", "Vary: *\nCache-Control: max-age=60"]
    {
        let target = origin(move |seen, nth| match seen.field("if-none-match") {
            Some(_) => Answer { status: 304, fields: lines(&format!("ETag: \"a\"\n{update}")), body: Vec::new() },
            None => says(&["ETag: \"a\"", "Cache-Control: max-age=1", "Age: 2"], &nth.to_string()),
        });
        let proxy = start(&target);
        let mut client = proxy.client();
        assert_eq!(["/"; 3].map(|path| client.get(path).text()), ["1", "1", "3"], "{update}");
        assert_eq!(target.requests_for("/").iter().filter(|seen| seen.field("if-none-match").is_some()).count(), 1);
    }
}

/// One stored answer with both validators.
fn stored() -> (Target, Proxy, Client) {
    let target = origin(|seen: &Seen, _| {
        let fields: &[&str] = match seen.path.as_str() {
            "/untagged" => &["Cache-Control: max-age=60", "Last-Modified: Wed, 01 Jan 2020 00:00:00 GMT"],
            "/weak" => &["Cache-Control: max-age=60", "ETag: W/\"a\""],
            _ => &[
                "Cache-Control: max-age=60",
                "ETag: \"a\"",
                "Last-Modified: Wed, 01 Jan 2020 00:00:00 GMT",
                "Vary: X",
                "Content-Type: text/x",
            ],
        };
        says(fields, "content")
    });
    let proxy = start(&target);
    let mut client = proxy.client();
    for path in ["/", "/untagged", "/weak"] {
        assert_eq!(client.get(path).status, 200);
    }
    (target, proxy, client)
}

#[test]
fn a_client_that_has_it_gets_304_from_the_store() {
    let (target, _proxy, mut client) = stored();
    let (early, late) =
        ("If-Modified-Since: Tue, 31 Dec 2019 23:59:59 GMT", "If-Modified-Since: Thu, 02 Jan 2020 00:00:00 GMT");
    for (path, asked, same) in [
        ("/", &["If-None-Match: \"a\""][..], true),
        ("/", &["If-None-Match: W/\"a\""], true),
        ("/", &["If-None-Match: \"x\", \"a\",\"b\""], true),
        ("/", &["If-None-Match: \"x\"", "If-None-Match: \"a\""], true),
        ("/", &["If-None-Match: *"], true),
        ("/", &["If-None-Match: a"], false),
        ("/", &["If-None-Match: \"A\""], false),
        ("/", &["If-None-Match: \"b\"", late], false),
        ("/", &["If-None-Match: \"a\"", early], true),
        ("/", &[late], true),
        ("/", &["If-Modified-Since: Wed, 01 Jan 2020 00:00:00 GMT"], true),
        ("/", &[early], false),
        ("/", &["If-Modified-Since: junk"], false),
        ("/untagged", &[late], true),
        ("/untagged", &["If-None-Match: \"a\"", late], false),
        ("/weak", &["If-None-Match: \"a\""], true),
        ("/weak", &["If-None-Match: W/\"a\""], true),
    ] {
        for method in ["GET", "HEAD"] {
            let answer = client.ask(method, path, asked);
            assert_eq!(answer.status, if same { 304 } else { 200 }, "{method} {path} {asked:?}");
            assert!(hit(&answer), "{method} {path} {asked:?}");
            if same && path == "/" {
                assert_eq!(answer.field("etag").as_deref(), Some("\"a\""));
                for name in ["cache-control", "date", "vary", "age"] {
                    assert!(answer.field(name).is_some(), "{name}");
                }
                assert_eq!((answer.field("content-type"), answer.body.len()), (None, 0));
            }
        }
    }
    assert_eq!(target.requests(), 3);
}

#[test]
fn conditions_of_clients_do_not_decide_what_others_get() {
    let target = origin(|seen, nth| match seen.field("if-none-match") {
        Some(_) => status(304, &["ETag: \"a\""], ""),
        None => says(&["ETag: \"a\"", "Cache-Control: max-age=60"], &nth.to_string()),
    });
    let proxy = start(&target);
    let mut client = proxy.client();
    let first = client.ask("GET", "/a", &["If-None-Match: \"a\"", "If-Modified-Since: Wed, 01 Jan 2020 00:00:00 GMT"]);
    assert_eq!(first.status, 304, "the client has it");
    assert_eq!(target.last().field("if-none-match"), None, "the whole was asked for");
    let second = client.get("/a");
    assert_eq!((second.status, second.text().as_str(), hit(&second)), (200, "1", true));
    // What only the origin can decide goes to it.
    let past = client.ask("GET", "/a", &["If-Match: \"b\""]);
    assert!(!hit(&past) && target.last().field("if-match").is_some());
}

#[test]
fn a_head_is_answered_from_what_a_get_has_stored_and_stores_nothing() {
    let target = origin(|_, nth| says(&["Cache-Control: max-age=60", "ETag: \"a\"", "X: 1"], &format!("{nth:0>9}")));
    let proxy = start(&target);
    let mut client = proxy.client();
    let miss = client.ask("HEAD", "/a", &[]);
    assert_eq!((miss.status, hit(&miss), target.last().method.as_str()), (200, false, "HEAD"));
    assert!(!hit(&client.get("/a")), "a HEAD stores nothing for a GET");
    let head = client.ask("HEAD", "/a", &[]);
    assert_eq!((head.status, hit(&head), head.head.length(), head.body.len()), (200, true, Some(9), 0));
    assert_eq!(head.field("x").as_deref(), Some("1"));
    assert_eq!(client.get("/a").text().len(), 9, "the connection goes on");
    assert_eq!(target.requests(), 2);
}

#[test]
fn a_head_that_shows_another_answer_outdates_the_stored_one() {
    let target = origin(|seen, nth| match seen.method.as_str() {
        "HEAD" => says(&["ETag: \"b\"", "Cache-Control: max-age=60"], "two"),
        _ => says(
            &[&format!("ETag: \"{}\"", if nth == 1 { "a" } else { "b" }), "Cache-Control: max-age=60"],
            &nth.to_string(),
        ),
    });
    let proxy = Proxy::start(config(&target, ""));
    let mut client = proxy.client();
    client.get("/a");
    assert!(hit(&client.get("/a")));
    let head = client.ask("HEAD", "/a", &["Cache-Control: no-cache"]);
    assert!(!hit(&head), "{}", told(&head));
    let after = client.get("/a");
    assert_eq!((after.text().as_str(), hit(&after)), ("2", false));
}
