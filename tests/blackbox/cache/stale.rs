//! Answers that are no longer fresh: given while they are validated, given where the origin fails, or not given.

use super::{Answer, config, config_with, hit, lines, origin, says, start, status, told};
use crate::support::client::request;
use crate::support::target::Seen;
use crate::support::{Proxy, Target, eventually};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

#[test]
fn a_refresh_holds_up_neither_its_client_nor_the_next_request_of_its_connection() {
    let gate = Arc::new(AtomicBool::new(false));
    let open = gate.clone();
    let target = Target::with("slow", move |peer| {
        while let Some(seen) = peer.request() {
            let first = !seen.path.starts_with("/stale") || peer.number == 0;
            let text = if first { "old" } else { "new" };
            while !first && !open.load(Ordering::SeqCst) {
                std::thread::sleep(Duration::from_millis(5));
            }
            let control = if first { "max-age=1, stale-while-revalidate=600\r\nAge: 2" } else { "max-age=600" };
            let head = format!("HTTP/1.1 200 OK\r\nCache-Control: {control}\r\nContent-Length: 3\r\n\r\n{text}");
            if peer.try_send(head).is_err() {
                return;
            }
            if first && seen.path.starts_with("/stale") {
                // The next question about it comes on another connection, which waits.
                return;
            }
        }
    });
    let proxy = start(&target);
    let mut client = proxy.client();
    assert_eq!(client.get("/stale").text(), "old");
    // The origin does not answer any more; everybody else is served at once.
    for n in 0..5 {
        let begun = Instant::now();
        let stale = client.get("/stale");
        assert_eq!((stale.text().as_str(), stale.status), ("old", 200), "{n}");
        assert!(
            told(&stale).starts_with("Ringway; hit; ttl=-") && told(&stale).ends_with("detail=stale-while-revalidate"),
            "{}",
            told(&stale)
        );
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    }
    client.send([request("GET", "/stale", &[]), request("GET", "/stale", &[])].concat());
    assert_eq!(
        (client.response().text(), client.response().text()),
        ("old".into(), "old".into()),
        "in a pipeline, too"
    );
    target.wait_for(2);
    assert_eq!(target.requests_for("/stale").len(), 2, "one refresh at a time");
    gate.store(true, Ordering::SeqCst);
    eventually("the new one is there", || client.get("/stale").text() == "new");
    assert_eq!(target.requests_for("/stale").len(), 2);
}

#[test]
fn a_stale_answer_is_not_given_outside_its_window_nor_where_that_is_forbidden() {
    let cases: &'static [(&str, bool)] = &[
        ("max-age=1, stale-while-revalidate=600", true),
        ("max-age=1, stale-while-revalidate=1", false),
        ("max-age=1, stale-while-revalidate=600, must-revalidate", false),
        ("max-age=1, stale-while-revalidate=600, proxy-revalidate", false),
        ("max-age=1, stale-while-revalidate=600, no-cache", false),
        ("max-age=1", false),
    ];
    let target = origin(|seen, nth| {
        let place: usize = seen.path[1..].parse().unwrap();
        says(&[&format!("Cache-Control: {}", cases[place].0), "ETag: \"a\"", "Age: 5"], &nth.to_string())
    });
    let proxy = start(&target);
    let mut client = proxy.client();
    for (n, (control, given)) in cases.iter().enumerate() {
        let path = format!("/{n}");
        client.get(&path);
        assert_eq!(client.get(&path).text() == "1", *given, "{control}");
    }
    let max_stale = client.ask("GET", "/5", &["Cache-Control: max-stale=600"]);
    assert!(hit(&max_stale), "as the client allows: {}", told(&max_stale));
    let max_stale = client.ask("GET", "/2", &["Cache-Control: max-stale=600"]);
    assert!(!hit(&max_stale), "not where the origin forbids it: {}", told(&max_stale));
}

#[test]
fn the_route_may_give_stale_answers_where_the_origin_says_nothing() {
    let target = origin(|_, nth| says(&["Cache-Control: max-age=1", "ETag: \"a\"", "Age: 5"], &nth.to_string()));
    let proxy = Proxy::start(config(&target, "stale_while_revalidate = \"1m\""));
    let mut client = proxy.client();
    client.get("/a");
    assert_eq!(client.get("/a").text(), "1");
    eventually("it is fetched anew", || client.get("/a").text() != "1");
}

/// Asks once for each, has the origin fail, and asks again: what comes then.
#[track_caller]
fn fails(how: impl Fn(&mut Target), fail: impl Fn(&Seen) -> Answer + Send + Sync + 'static, failed: u16) {
    let cases = [
        ("max-age=1, stale-if-error=600", true),
        ("max-age=1", true),
        ("max-age=1, stale-if-error=1", false),
        ("max-age=1, stale-if-error=600, must-revalidate", false),
        ("max-age=1, proxy-revalidate", false),
        ("s-maxage=1", false),
        ("no-cache", false),
    ];
    let bad = Arc::new(AtomicBool::new(false));
    let is_bad = bad.clone();
    let mut target = origin(move |seen, _| {
        if is_bad.load(Ordering::SeqCst) {
            return fail(seen);
        }
        let place: usize = seen.path[1..].parse().unwrap();
        says(&[&format!("Cache-Control: {}", cases[place].0), "ETag: \"a\"", "Age: 5"], "good")
    });
    let proxy = Proxy::start(config_with(&target, "", "16MiB", "[pools.site.timeouts]\nresponse_head = \"1s\"\n"));
    let mut client = proxy.client();
    for n in 0..cases.len() {
        assert_eq!(client.get(&format!("/{n}")).text(), "good");
    }
    bad.store(true, Ordering::SeqCst);
    how(&mut target);
    std::thread::scope(|scope| {
        for (n, (control, given)) in cases.into_iter().enumerate() {
            let proxy = &proxy;
            scope.spawn(move || {
                let answer = proxy.get(&format!("/{n}"));
                let strict = control.contains("revalidate") || control == "s-maxage=1" || control == "no-cache";
                match given {
                    true => {
                        assert_eq!((answer.status, answer.text().as_str()), (200, "good"), "{control}");
                        assert!(told(&answer).contains("detail=stale-if-error"), "{control}: {}", told(&answer));
                        assert!(answer.field("age").is_some(), "{control}");
                    }
                    false if strict && failed != 500 => assert_eq!(answer.status, 504, "{control}"),
                    false => assert_eq!(answer.status, failed, "{control}"),
                }
            });
        }
    });
}

#[test]
fn a_stale_answer_is_given_where_the_origin_refuses() {
    fails(|target| target.kill(), |_| status(500, &[], "bad"), 502);
}

#[test]
fn a_stale_answer_is_given_where_the_origin_says_that_it_fails() {
    fails(|_| {}, |_| status(500, &["Cache-Control: max-age=60"], "bad"), 500);
}

#[test]
fn a_stale_answer_is_given_where_the_origin_does_not_answer() {
    fails(
        |_| {},
        |_| {
            std::thread::sleep(Duration::from_secs(3));
            status(200, &[], "late")
        },
        504,
    );
}

#[test]
fn nothing_is_stale_because_the_origin_is_slow_to_say_that_it_is_not() {
    // What one client waits for is not what the others wait for one after the other.
    let count = Arc::new(AtomicUsize::new(0));
    let seen = count.clone();
    let target = origin(move |asked, _| {
        if asked.field("if-none-match").is_some() {
            seen.fetch_add(1, Ordering::SeqCst);
            std::thread::sleep(Duration::from_millis(300));
            return Answer { status: 304, fields: lines("ETag: \"a\"\nCache-Control: max-age=60"), body: Vec::new() };
        }
        says(&["Cache-Control: max-age=1", "ETag: \"a\"", "Age: 5"], "x")
    });
    let proxy = start(&target);
    proxy.get("/a");
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| assert_eq!(proxy.get("/a").text(), "x"));
        }
    });
    assert_eq!(count.load(Ordering::SeqCst), 1, "one validation for all");
}

#[test]
fn a_process_that_stood_still_gives_no_younger_age_and_nothing_stale_as_fresh() {
    let target = origin(|_, nth| says(&["Cache-Control: max-age=2"], &nth.to_string()));
    let proxy = start(&target);
    let mut client = proxy.client();
    client.get("/a");
    assert!(hit(&client.get("/a")));
    proxy.signal(libc::SIGSTOP);
    std::thread::sleep(Duration::from_millis(2300));
    proxy.signal(libc::SIGCONT);
    let after = client.get("/a");
    assert_eq!((after.text().as_str(), hit(&after)), ("2", false));
    // Other clocks than ours: an answer from the future or the past has no negative age.
    let target = origin(|seen, _| {
        let offset = if seen.path == "/future" { 86_400 * 40 } else { -10 };
        says(&["Cache-Control: max-age=3600", &format!("Date: {}", super::date(offset))], "x")
    });
    let proxy = start(&target);
    let mut client = proxy.client();
    for (path, least, most) in [("/future", 0, 8), ("/past", 9, 30)] {
        client.get(path);
        let age: i64 = client.get(path).field("age").unwrap().parse().unwrap();
        assert!((least..=most).contains(&age), "{path}: {age}");
    }
}
