//! How long an answer is given without asking: Cache-Control, CDN-Cache-Control, Expires, Age, guesses.

use super::{Answer, assert_reused, config, date, hit, lines, origin, says, start, told};
use crate::support::Proxy;
use crate::support::client::request;
use std::time::Duration;

#[test]
fn the_second_get_comes_from_the_store_with_its_age() {
    let target = origin(|_, nth| {
        says(&["Cache-Control: max-age=3600", "Age: 7", &format!("Date: {}", date(-2)), "X: 1"], &nth.to_string())
    });
    let proxy = start(&target);
    let mut client = proxy.client();
    let first = client.get("/a");
    assert_eq!((first.status, first.text(), first.field("x")), (200, "1".to_owned(), Some("1".to_owned())));
    assert_eq!(told(&first), "Ringway; fwd=uri-miss; fwd-status=200; stored");
    let second = client.get("/a");
    assert_eq!((second.status, second.text()), (200, "1".to_owned()));
    let age: u32 = second.field("age").unwrap().parse().unwrap();
    assert!((7..40).contains(&age), "{age}");
    assert_eq!(told(&second), format!("Ringway; hit; ttl={}", 3600 - age));
    assert_eq!(second.field("date"), first.field("date"), "the origin's own");
    assert_eq!(second.head.lines("date").len(), 1);
    assert_eq!(target.requests(), 1);
    std::thread::sleep(Duration::from_millis(1100));
    let later: u32 = client.get("/a").field("age").unwrap().parse().unwrap();
    assert!(later > age, "it grows: {later} after {age}");
    // HTTP/2 clients are given the same.
    let other = crate::support::h2::Client::to(&proxy.web()).get("/a");
    assert_eq!(other.body, b"1");
    assert!(other.fields.contains_key("age") && target.requests() == 1, "{other:?}");
}

#[test]
fn what_says_how_long_it_is_fresh_is_given_for_so_long() {
    assert_reused(
        "heuristic = \"0%\"",
        &[
            (200, "Cache-Control: max-age=60", true),
            (200, "Cache-Control: MaX-aGe=60", true),
            (200, "Cache-Control: foo, max-age=60", true),
            (200, "Cache-Control: foo\nCache-Control: max-age=60", true),
            (200, "Cache-Control: max-age=99999999999", true),
            (200, "Cache-Control: s-maxage=60", true),
            (200, "Cache-Control: max-age=0, s-maxage=60", true),
            (200, "Cache-Control: max-age=60, s-maxage=0", false),
            (200, "Cache-Control: max-age=0", false),
            (200, "Cache-Control: max-age=-1", false),
            (200, "Cache-Control: max-age=a60", false),
            (200, "Cache-Control: max-age='60'", false),
            (200, "Cache-Control: a=\"max-age=60\"", false),
            (200, "Cache-Control: max-age=60, max-age=0", false),
            (200, "Cache-Control: max-age=60\nAge: 59", true),
            (200, "Cache-Control: max-age=60\nAge: 60", false),
            (200, "Cache-Control: max-age=60\nAge: 7200, 0", false),
            (200, "Cache-Control: max-age=60\nAge: -7200", true),
            (200, "Cache-Control: max-age=60\nAge: 7200.0", true),
            (200, "Cache-Control: max-age=60\nAge: abc", true),
            (200, "Cache-Control: max-age=60\nAge: 99999999999999999999", false),
            (200, "Cache-Control: max-age=60\nDate: {-7200}", false),
            (200, "Cache-Control: max-age=60\nDate: {7200}", true),
            (200, "Expires: {60}\nDate: {0}", true),
            (200, "Expires: {0}\nDate: {0}", false),
            (200, "Expires: {-60}\nDate: {-3600}", false),
            (200, "Expires: {7200}\nDate: {-3600}", true),
            (200, "Expires: {60}\nDate: {3600}", false),
            (200, "Expires: {3600}\nDate: {-60}\nAge: 7200", false),
            (200, "Expires: 0", false),
            (200, "Expires: Thu, 18 Aug 2050 02:01:18 UTC", false),
            (200, "Expires: Thu, 18 Aug 2050 02:01:18 +1000", false),
            (200, "Expires: Thu 18 Aug 2050 02:01:18 GMT", false),
            (200, "Expires: Thu, 18 Aug 2050 2:01:18 GMT", false),
            (200, "Expires: Thu, 18-Aug-2050 02:01:18 GMT", false),
            (200, "Expires: {60}\nExpires: {3600}", false),
            (200, "Expires: Thursday, 18-Aug-50 02:01:18 GMT", true),
            (200, "Expires: Thu Aug 18 02:01:18 2050", true),
            (200, "Expires: thu, 18 aug 2050 02:01:18 gmt", true),
            (200, "Cache-Control: max-age=0\nExpires: {60}", false),
            (200, "Cache-Control: max-age=60\nExpires: 0", true),
            (200, "Pragma: no-cache\nCache-Control: max-age=60", true),
            (299, "Cache-Control: max-age=60", true),
            (499, "Cache-Control: max-age=60", true),
            (503, "Cache-Control: max-age=60", true),
            (599, "Cache-Control: max-age=60", true),
            (204, "Cache-Control: max-age=60", true),
            (301, "Cache-Control: max-age=60\nLocation: /x", true),
        ],
    );
}

#[test]
fn an_answer_that_says_nothing_is_guessed_at_only_where_that_is_allowed() {
    assert_reused(
        "",
        &[
            (200, "Last-Modified: {-864000}", true),
            (203, "Last-Modified: {-864000}", true),
            (404, "Last-Modified: {-864000}", true),
            (410, "Last-Modified: {-864000}", true),
            (204, "Last-Modified: {-864000}", true),
            (599, "Last-Modified: {-864000}\nCache-Control: public", true),
            (201, "Last-Modified: {-864000}", false),
            (403, "Last-Modified: {-864000}", false),
            (502, "Last-Modified: {-864000}", false),
            (599, "Last-Modified: {-864000}", false),
            (200, "Last-Modified: {864000}", false),
            (200, "Server: x", false),
            (200, "Set-Cookie: a=b\nLast-Modified: {-864000}", false),
        ],
    );
}

#[test]
fn a_field_for_caches_of_our_kind_stands_for_the_others() {
    assert_reused(
        "",
        &[
            (200, "CDN-Cache-Control: max-age=60\nCache-Control: no-store", true),
            (200, "CDN-Cache-Control: max-age=60\nCache-Control: private, max-age=0\nExpires: 0", true),
            (200, "CDN-Cache-Control: no-store\nCache-Control: max-age=60", false),
            (200, "CDN-Cache-Control: private\nCache-Control: max-age=60", false),
            (200, "CDN-Cache-Control: no-cache\nCache-Control: max-age=60", false),
            (200, "CDN-Cache-Control: max-age=0\nCache-Control: max-age=60", false),
            (200, "CDN-Cache-Control: &&&\nCache-Control: max-age=60", true),
            (200, "CDN-Cache-Control: max-age=60\nAge: 61\nCache-Control: max-age=3600", false),
        ],
    );
}

#[test]
fn a_route_may_say_it_better_than_the_origin() {
    assert_reused(
        "ttl = { \"200\" = \"1m\" }\ndefault_ttl = { \"404\" = \"1m\", \"500-599\" = \"1m\" }",
        &[
            (200, "X: no word of it", true),
            (200, "Cache-Control: max-age=0", true),
            (200, "Cache-Control: no-store", false),
            (200, "Cache-Control: private", false),
            (404, "X: it is remembered that there is nothing", true),
            (404, "Cache-Control: max-age=0", false),
            (500, "X: and that it fails", true),
            (403, "X: others are not", false),
        ],
    );
}

#[test]
fn clients_may_ask_for_fresher_answers_unless_the_route_does_not_listen() {
    let act = |_: &_, nth: usize| Answer {
        status: 200,
        fields: lines("Cache-Control: max-age=60\nAge: 30"),
        body: nth.to_string().into(),
    };
    let asks: [(&str, bool); 8] = [
        ("no-cache", false),
        ("max-age=0", false),
        ("max-age=10", false),
        ("max-age=50", true),
        ("min-fresh=50", false),
        ("min-fresh=10", true),
        ("nothing-to-see-here", true),
        ("max-stale=10", true),
    ];
    let target = origin(act);
    let proxy = start(&target);
    let mut client = proxy.client();
    for (n, (directive, reused)) in asks.iter().enumerate() {
        let path = format!("/{n}");
        client.get(&path);
        let again = client.ask("GET", &path, &[&format!("Cache-Control: {directive}")]);
        assert_eq!(hit(&again), *reused, "{directive}: {}", told(&again));
    }
    client.get("/pragma");
    assert!(!hit(&client.ask("GET", "/pragma", &["Pragma: no-cache"])));
    let stored = client.ask("GET", "/not-stored", &["Cache-Control: no-store"]);
    assert_eq!((stored.status, hit(&client.get("/not-stored"))), (200, false), "no-store of a request is obeyed");
    let deaf = origin(act);
    let proxy = Proxy::start(config(&deaf, "request_directives = \"ignore\""));
    let mut client = proxy.client();
    client.get("/x");
    for (directive, _) in asks {
        assert!(hit(&client.ask("GET", "/x", &[&format!("Cache-Control: {directive}")])), "{directive}");
    }
    assert_eq!(deaf.requests(), 1);
}

#[test]
fn who_wants_only_what_is_stored_gets_504_and_the_origin_nothing() {
    let target = origin(|_, _| super::fresh("x"));
    let proxy = start(&target);
    let mut client = proxy.client();
    let none = client.ask("GET", "/a", &["Cache-Control: only-if-cached"]);
    assert_eq!((none.status, target.requests()), (504, 0));
    assert_eq!(client.get("/a").status, 200);
    let some = client.ask("GET", "/a", &["Cache-Control: only-if-cached"]);
    assert_eq!((some.status, hit(&some), target.requests()), (200, true, 1));
    let none = client.ask("GET", "/a", &["Cache-Control: only-if-cached, max-age=0"]);
    assert_eq!((none.status, target.requests()), (504, 1));
    client.send(request("GET", "/a", &[]));
    assert!(hit(&client.response()), "the connection goes on");
}
