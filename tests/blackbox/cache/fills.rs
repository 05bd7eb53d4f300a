//! What comes in while the process changes: reloads, a stop, origins that say one thing and do another.

use super::{config, config_with, fresh, hit, origin, start};
use crate::reload::{reload, rewrite};
use crate::support::client::request;
use crate::support::target::Leave;
use crate::support::{GLANCE, Proxy, Target, eventually, within};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Sends half of an answer, and the other half when it may.
fn halves(open: &Arc<AtomicUsize>) -> Target {
    let open = open.clone();
    Target::with("halves", move |peer| {
        while peer.request().is_some() {
            let head = "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 8\r\n\r\nhalf";
            if peer.try_send(head).is_err() {
                return;
            }
            within(crate::support::PATIENCE, || open.load(Ordering::SeqCst) > 0);
            if peer.try_send("half").is_err() {
                return;
            }
        }
    })
}

#[test]
fn a_reload_loses_nothing_of_what_comes_in_nor_of_what_is_stored() {
    let open = Arc::new(AtomicUsize::new(0));
    let target = halves(&open);
    let proxy = start(&target);
    let asks = |path: &str| {
        let mut client = proxy.client();
        client.send(request("GET", path, &[]));
        eventually("half of it has come", || {
            client.buffer.ends_with(b"half") || client.fill(Duration::from_secs(1)).is_ok()
        });
        client
    };
    let mut first = asks("/a");
    rewrite(&proxy, |text| text.replace("memory = \"16MiB\"", "memory = \"32MiB\""));
    reload(&proxy, "applied");
    let mut second = asks("/a");
    assert_eq!(target.requests(), 1, "who comes after it shares what comes in");
    open.store(1, Ordering::SeqCst);
    assert_eq!((first.response().text(), second.response().text()), ("halfhalf".into(), "halfhalf".into()));
    assert!(hit(&proxy.get("/a")), "what is stored stays");
    // A route that has no cache any more lets what comes in come to its end.
    open.store(0, Ordering::SeqCst);
    let mut third = asks("/b");
    rewrite(&proxy, |text| text.replace("[routes.all.cache]\nstore = \"c\"", ""));
    reload(&proxy, "applied");
    open.store(1, Ordering::SeqCst);
    assert_eq!(third.response().text(), "halfhalf");
    let past = first.get("/a");
    assert_eq!((past.field("cache-status"), past.text().as_str()), (None, "halfhalf"));
}

#[test]
fn a_stop_waits_for_what_comes_in() {
    let open = Arc::new(AtomicUsize::new(0));
    let target = halves(&open);
    let mut proxy = start(&target);
    let mut clients: Vec<_> = (0..4).map(|_| proxy.client()).collect();
    for client in &mut clients {
        client.send(request("GET", "/a", &[]));
        eventually("half of it has come", || {
            client.buffer.ends_with(b"half") || client.fill(Duration::from_secs(1)).is_ok()
        });
    }
    proxy.signal(libc::SIGTERM);
    std::thread::sleep(GLANCE);
    assert!(proxy.running());
    open.store(1, Ordering::SeqCst);
    for client in &mut clients {
        assert_eq!(client.response().text(), "halfhalf");
    }
    assert_eq!(proxy.exit().code(), Some(0));
}

#[test]
fn an_origin_that_says_one_thing_and_does_another_stores_nothing_and_breaks_nothing() {
    let head =
        |length: usize| format!("HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: {length}\r\n\r\nabc");
    for (name, text, leave) in [
        ("short", head(9), Leave::Close),
        ("reset", head(9), Leave::Reset),
        (
            "no length",
            "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc".to_owned(),
            Leave::Close,
        ),
        (
            "bad chunk",
            "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n0\r\n\r\n"
                .to_owned(),
            Leave::Close,
        ),
        ("half a head", "HTTP/1.1 200 OK\r\nCache-Control: max-".to_owned(), Leave::Close),
        (
            "coded",
            "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nTransfer-Encoding: foo\r\n\r\nabc".to_owned(),
            Leave::Close,
        ),
    ] {
        let target = Target::with(name, move |peer| {
            if peer.request().is_some() {
                let _ = peer.try_send(&text);
                peer.leave(leave);
            }
        });
        let proxy = start(&target);
        for n in 0..2 {
            let mut client = proxy.client();
            client.send(request("GET", "/a", &[]));
            let answer = client.response_to("GET");
            assert!(answer.as_ref().map_or(true, |answer| answer.status >= 500), "{name}: {answer:?}");
            eventually("it is asked again", || target.requests() > n);
        }
        assert_eq!(proxy.client().ask("GET", "/a", &["Cache-Control: only-if-cached"]).status, 504, "{name}");
        assert_eq!(proxy.metric("ringway_worker_panics_total", &[]), 0.0);
        assert!(!proxy.log.contains(&["panicked"]), "{name}");
    }
    // What comes behind an answer belongs to nobody.
    let target = Target::says_and_closes("more", head(3) + "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil");
    let proxy = start(&target);
    let mut client = proxy.client();
    assert_eq!((client.get("/a").text(), client.get("/a").text()), ("abc".into(), "abc".into()));
    assert_eq!(target.requests(), 1);
}

#[test]
fn many_objects_take_no_more_than_the_cache_may_and_what_is_asked_for_often_stays() {
    let body = "x".repeat(60_000);
    let target = origin(move |_, _| fresh(&body));
    let proxy = Proxy::start(config_with(&target, "", "4MiB", ""));
    let mut client = proxy.client();
    for _ in 0..6 {
        client.get("/often");
    }
    for n in 0..200 {
        client.get(&format!("/{n}"));
        if n % 10 == 0 {
            client.get("/often");
        }
    }
    assert!(
        target.requests_for("/often").len() <= 2,
        "a scan does not wash it out: {}",
        target.requests_for("/often").len()
    );
    let kept = (0..200)
        .filter(|n| client.ask("GET", &format!("/{n}"), &["Cache-Control: only-if-cached"]).status == 200)
        .count();
    assert!((20..70).contains(&kept), "{kept} of 60 KB are kept in 4 MiB");
}

#[test]
fn one_client_after_the_other_is_served_over_one_connection_to_the_target() {
    let target = origin(|seen, _| match seen.path.as_str() {
        "/private" => super::says(&["Cache-Control: private"], "x"),
        _ => fresh("x"),
    });
    let proxy = Proxy::start(config(&target, ""));
    let mut client = proxy.client();
    for n in 0..40 {
        assert_eq!(client.get(&format!("/{n}")).text(), "x");
        assert_eq!(client.get("/private").text(), "x");
    }
    assert!(target.connections() <= 2, "{} connections", target.connections());
}
