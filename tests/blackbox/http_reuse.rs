//! Connections to targets are reused, and that is never seen from outside. Protects the lines of HAProxy's
//! connection/http_reuse_* tests and the case "a pooled connection that the target has just closed".

use crate::support::client::request;
use crate::support::target::Leave;
use crate::support::toml::{http, http_with, pool};
use crate::support::wire::Broken;
use crate::support::{GLANCE, Proxy, Target, eventually, load, rounds};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

const ONE: &str = "balance = \"round-robin\"";

/// A target's idle timeout, shorter than any that is in use, and longer than a connection counts as just used.
const SHORT: Duration = Duration::from_millis(800);

fn single(config: String) -> Proxy {
    crate::support::proxy::Setup::new(config).workers(1).start()
}

/// connection/http_reuse_always: one connection serves many clients.
#[test]
fn one_target_connection_serves_clients_that_come_one_after_another() {
    let target = Target::echo("a");
    let proxy = single(http(&[&target]));
    for _ in 0..20 {
        assert_eq!(proxy.get("/").status, 200);
    }
    assert_eq!(target.connections(), 1);
}

/// connection/http_reuse_never: a connection that an answer closes is not used again.
#[test]
fn a_connection_that_the_target_closes_is_not_reused() {
    let target = Target::says("a", "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok");
    let proxy = single(http(&[&target]));
    let mut client = proxy.client();
    for _ in 0..5 {
        let response = client.get("/");
        assert_eq!(response.text(), "ok");
        assert!(!response.head.names("connection", "close"), "the client's connection is its own matter");
    }
    assert_eq!(target.connections(), 5);
}

#[test]
fn an_http_1_0_target_is_not_reused_unless_it_says_so() {
    let target = Target::with("a", |peer| {
        while let Some(seen) = peer.request() {
            let keep = if seen.path == "/keep" { "Connection: keep-alive\r\n" } else { "" };
            if peer.try_send(format!("HTTP/1.0 200 OK\r\n{keep}Content-Length: 2\r\n\r\nok")).is_err() {
                return;
            }
        }
    });
    let proxy = single(http(&[&target]));
    let mut client = proxy.client();
    for path in ["/keep", "/keep", "/plain", "/plain"] {
        assert_eq!(client.get(path).text(), "ok");
    }
    assert_eq!(target.connections(), 2);
}

/// connection/http_reuse_conn_hash: connections of other destinations are not mixed.
#[test]
fn pools_do_not_share_connections() {
    let (one, two) = (Target::echo("one"), Target::echo("two"));
    let config = http(&[&one]) + "\n[routes.two]\npaths = [\"/two/\"]\npool = \"two\"\n" + &pool("two", &[&two], "");
    let proxy = single(config);
    let mut client = proxy.client();
    for _ in 0..5 {
        assert_eq!(client.get("/one/").target(), "one");
        assert_eq!(client.get("/two/").target(), "two");
    }
    assert_eq!((one.connections(), two.connections()), (1, 1));
}

#[test]
fn bytes_beyond_an_answer_never_reach_the_next_client() {
    let target = Target::says(
        "a",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
    );
    let proxy = single(http(&[&target]));
    for _ in 0..5 {
        let response = proxy.client().get("/");
        assert!(response.status == 502 || response.text() == "ok", "{response:?}");
    }
    assert_eq!(target.connections(), target.requests(), "a connection with bytes too many is not reused");
}

#[test]
fn an_unasked_answer_on_an_idle_connection_reaches_nobody() {
    let target = Target::with("a", |peer| {
        while let Some(seen) = peer.request() {
            peer.echo(&seen);
            thread::sleep(Duration::from_millis(50));
            let _ = peer.try_send("HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n");
        }
    });
    let proxy = single(http(&[&target]));
    for _ in 0..5 {
        assert_eq!(proxy.client().get("/").status, 200);
        thread::sleep(Duration::from_millis(150));
    }
}

#[test]
fn a_close_of_an_idle_connection_is_seen_before_reuse() {
    let target = Target::closes_silently("a");
    let proxy = single(http(&[&target]));
    let mut client = proxy.client();
    for n in 0..rounds(40, 15) {
        let body = format!("post {n}");
        let response = client.post("/", body.as_bytes());
        assert_eq!((response.status, response.text()), (200, body));
        eventually("the target has closed", || target.open() == 0);
    }
    assert_eq!(target.requests(), rounds(40, 15));
    proxy.settles("ringway_pool_errors_total", &[("kind", "reset")], 0.0);
}

/// Case "a pooled connection that the target has just closed": POST after POST without a pause, closed each time. That
/// a close crosses a request on a connection used a moment ago cannot be ruled out; that it is common can.
#[test]
fn a_post_hardly_meets_a_502_however_the_target_closes() {
    let target = Target::with("a", |peer| {
        if let Some(seen) = peer.request() {
            peer.echo(&seen);
            peer.finish_sending();
        }
    });
    let proxy = Proxy::start(http(&[&target]));
    let (each, crossed) = (rounds(150, 50), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut client = proxy.client();
                for n in 0..each {
                    let response = client.post("/", format!("{n}").as_bytes());
                    match response.status {
                        502 => drop(crossed.fetch_add(1, Ordering::SeqCst)),
                        status => assert_eq!((status, response.text()), (200, format!("{n}"))),
                    }
                }
            });
        }
    });
    let crossed = crossed.into_inner();
    assert!(crossed * 8 <= 4 * each, "{crossed} of {} were answered 502", 4 * each);
    assert!(target.requests() <= 4 * each, "and none is executed twice");
}

#[test]
fn a_post_on_a_connection_long_idle_meets_no_502() {
    // The close races the request: idle times around the target's own timeout.
    let target = Target::with("a", |peer| {
        while let Some(seen) = peer.request() {
            peer.echo(&seen);
            if peer.fill(SHORT).is_err() {
                return;
            }
        }
    });
    let proxy = Proxy::start(http(&[&target]));
    thread::scope(|scope| {
        for start in 0..8u64 {
            let proxy = &proxy;
            scope.spawn(move || {
                let mut client = proxy.client();
                for n in 0..rounds(14, 4) as u64 {
                    let response = client.post("/", b"once");
                    assert_eq!((response.status, response.text().as_str()), (200, "once"));
                    thread::sleep(SHORT + Duration::from_millis((start + n) % 7) - Duration::from_millis(3));
                }
            });
        }
    });
    assert_eq!(target.requests(), 8 * rounds(14, 4));
}

#[test]
fn an_idempotent_request_dropped_on_a_reused_connection_is_sent_again() {
    for leave in [Leave::Close, Leave::Reset] {
        for method in ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"] {
            let target = Target::drops_the_second("a", leave);
            let proxy = single(http(&[&target]));
            let mut client = proxy.client();
            assert_eq!(client.get("/first").status, 200);
            assert_eq!(client.ask(method, "/second", &["Content-Length: 0"]).status, 200, "{method} {leave:?}");
            assert_eq!(target.requests_for("/second").len(), 2, "{method} {leave:?}");
            proxy.settles("ringway_pool_retries_total", &[], 1.0);
        }
    }
}

/// A POST may have been executed when its connection ends: it is never sent twice, whatever that costs.
#[test]
fn a_post_is_never_sent_twice() {
    let drops = |name| {
        Target::with(name, |peer| {
            peer.request();
        })
    };
    let (one, two) = (drops("one"), drops("two"));
    let proxy = Proxy::start(http_with("", &[&one, &two], ONE));
    for path in ["/1", "/2", "/3"] {
        let mut client = proxy.client();
        client.send(request("POST", path, &["Content-Length: 4"]) + "once");
        assert_eq!(client.response_to("POST").unwrap().status, 502);
        assert_eq!(one.requests_for(path).len() + two.requests_for(path).len(), 1);
    }
}

/// A fresh connection that dies under a request says more about the target than about the connection.
#[test]
fn a_request_dropped_on_a_fresh_connection_is_not_tried_without_end() {
    let target = Target::with("a", |peer| {
        peer.request();
    });
    let proxy = single(http(&[&target]));
    assert_eq!(proxy.get("/x").status, 502);
    assert!(target.requests_for("/x").len() <= 3, "set-retries: a bounded number of tries");
}

#[test]
fn an_answer_that_has_begun_is_not_replayed() {
    let target = Target::with("a", |peer| {
        if let Some(seen) = peer.request() {
            peer.echo(&seen);
            peer.request();
            let _ = peer.try_send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
        }
    });
    let proxy = single(http(&[&target]));
    let mut client = proxy.client();
    client.get("/first");
    client.send(request("GET", "/second", &[]));
    assert!(matches!(client.response_to("GET"), Err(Broken::Truncated | Broken::Reset)));
    assert_eq!(target.requests_for("/second").len(), 1);
}

#[test]
fn an_upload_partly_sent_is_not_replayed() {
    let target = Target::with("a", |peer| {
        while let Some(mut seen) = peer.head() {
            if seen.method == "PUT" {
                let _ = peer.exact(10);
                return;
            }
            peer.rest(&mut seen);
            peer.echo(&seen);
        }
    });
    let proxy = single(http(&[&target]));
    let mut client = proxy.client();
    client.get("/first");
    client.send(request("PUT", "/second", &["Content-Length: 1000"]));
    client.send("0123456789");
    target.wait_for(2);
    match client.response_to("PUT") {
        Ok(response) => assert_eq!(response.status, 502),
        Err(broken) => assert_ne!(broken, Broken::TimedOut),
    }
    assert_eq!(target.requests_for("/second").len(), 1);
}

#[test]
fn idle_connections_are_given_up_after_their_time() {
    let target = Target::echo("a");
    let proxy = single(http_with("", &[&target], "keepalive = { idle = \"300ms\" }"));
    assert_eq!(proxy.get("/").status, 200);
    eventually("the idle connection is closed", || target.open() == 0);
    assert_eq!(proxy.get("/").status, 200);
    assert_eq!(target.connections(), 2);
}

#[test]
fn a_targets_own_keep_alive_timeout_is_honoured_when_shorter() {
    let target = Target::with("a", |peer| {
        while peer.request().is_some() {
            if peer.reply(200, &["Keep-Alive: timeout=1, max=100"], b"ok").is_none() {
                return;
            }
        }
    });
    let proxy = single(http_with("", &[&target], "keepalive = { idle = \"1m\" }"));
    let response = proxy.client().get("/");
    assert_eq!(response.field("keep-alive"), None, "it speaks of the other connection");
    eventually("we close before the target would", || target.open() == 0);
}

#[test]
fn no_more_than_max_idle_connections_are_kept() {
    let target = Target::slow("a", GLANCE);
    let proxy = Proxy::start(http_with("", &[&target], "keepalive = { max_idle = 4, idle = \"1m\" }"));
    load::run(&proxy.web(), 16, 32, |n| format!("/{n}")).assert_clean();
    eventually("what is above the bound is closed", || target.open() <= 4);
    assert_eq!(proxy.get("/").status, 200);
}

#[test]
fn max_idle_zero_keeps_none() {
    let target = Target::echo("a");
    let proxy = Proxy::start(http_with("", &[&target], "keepalive = { max_idle = 0 }"));
    load::run(&proxy.web(), 2, 20, |n| format!("/{n}")).assert_clean();
    eventually("none is kept", || target.open() == 0);
}

#[test]
fn a_clients_close_does_not_close_the_targets_connection() {
    let target = Target::echo("a");
    let proxy = single(http(&[&target]));
    for _ in 0..5 {
        let mut client = proxy.client();
        let response = client.ask("GET", "/", &["Connection: close"]);
        assert!(response.head.names("connection", "close"));
        assert_eq!(client.ending(), Broken::Closed);
    }
    assert_eq!(target.connections(), 1);
}

#[test]
fn an_abandoned_exchange_does_not_poison_its_connection() {
    let target = Arc::new(Target::slow("a", GLANCE));
    let proxy = single(http(&[&*target]));
    for n in 0..5 {
        let mut gone = proxy.client();
        gone.send(request("GET", &format!("/gone{n}"), &[]));
        target.wait_for(2 * n + 1);
        drop(gone);
        let path = format!("/stay{n}");
        let response = proxy.client().ask("POST", &path, &["Content-Length: 0"]);
        assert_eq!((response.status, response.target().as_str()), (200, "a"));
        assert_eq!(target.requests_for(&path).len(), 1);
    }
}

/// The case in full: a target with a short idle timeout, requests timed around it, two targets, every method.
#[test]
fn the_keep_alive_race_costs_no_request() {
    let racing = |name| {
        Target::with(name, |peer| {
            while let Some(seen) = peer.request() {
                peer.echo(&seen);
                if peer.fill(SHORT).is_err() {
                    return;
                }
            }
        })
    };
    let (one, two) = (racing("one"), racing("two"));
    let proxy = Proxy::start(http_with("", &[&one, &two], ONE));
    thread::scope(|scope| {
        for start in 0..10u64 {
            let proxy = &proxy;
            scope.spawn(move || {
                let mut client = proxy.client();
                for n in 0..rounds(14, 4) as u64 {
                    let method = ["GET", "POST", "PUT"][((start + n) % 3) as usize];
                    let path = format!("/{method}/{start}/{n}");
                    let response = client.ask(method, &path, &["Content-Length: 0"]);
                    assert_eq!(response.status, 200, "{method}");
                    thread::sleep(SHORT + Duration::from_millis((start * 3 + n) % 7) - Duration::from_millis(3));
                }
            });
        }
    });
    let mut posts: Vec<String> = one.seen().into_iter().chain(two.seen()).map(|s| s.path).collect();
    posts.retain(|path| path.starts_with("/POST"));
    let all = posts.len();
    posts.sort();
    posts.dedup();
    assert_eq!(posts.len(), all, "no POST is executed twice");
}

/// A target that answers before it has read the body leaves bytes behind on its connection: nobody else may be sent there.
#[test]
fn a_connection_with_an_unread_body_is_not_reused() {
    let target = Target::with("a", |peer| {
        while let Some(seen) = peer.head() {
            if peer.reply(200, &[], seen.path.as_bytes()).is_none() {
                return;
            }
            if seen.method == "PUT" {
                thread::sleep(Duration::from_secs(1));
            }
        }
    });
    let proxy = single(http_with("timeouts = { write_stall = \"300ms\" }", &[&target], ""));
    for size in [20 << 10, 400 << 10, 4 << 20] {
        let mut client = proxy.client();
        client.send(request("PUT", "/upload", &[&format!("Content-Length: {size}")]));
        let _ = client.try_send(vec![b'x'; size]);
        assert_eq!(client.response_to("PUT").map(|response| response.text()).unwrap_or("/upload".into()), "/upload");
        for n in 0..3 {
            let path = format!("/after-{size}-{n}");
            assert_eq!(proxy.get(&path).text(), path);
        }
    }
}

#[test]
fn a_client_that_leaves_a_silent_stream_frees_its_target() {
    let target = Target::with("a", |peer| {
        peer.request();
        let _ = peer.try_send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n");
        peer.request();
    });
    let proxy = single(http(&[&target]));
    let mut client = proxy.client();
    client.send(request("GET", "/events", &[]));
    target.wait_for(1);
    thread::sleep(Duration::from_millis(100));
    drop(client);
    eventually("the target is freed", || target.open() == 0);
}
