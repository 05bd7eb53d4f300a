//! Tries beside interim answers, slow heads and what targets say of themselves. Protects the retry sides of the case "early refusal of
//! an upload, with and without Expect".

use super::{config, names, nothing_is_left, single};
use crate::support::client::request;
use crate::support::target::Leave;
use crate::support::{Target, eventually};
use std::time::{Duration, Instant};

/// A target to which nothing was sent but a head takes nothing along: the client holds all of its body.
#[test]
fn a_client_that_waits_to_be_told_to_go_on_is_taken_to_another_target() {
    for leave in [Leave::Close, Leave::Reset] {
        let bad = Target::with("bad", move |peer| {
            peer.head();
            peer.leave(leave);
        });
        let good = Target::echo("good");
        let proxy = single(config(&names(&[&bad, &good]), "", ""));
        for n in 0..2 {
            let mut client = proxy.client();
            client.send(request("PUT", "/", &["Expect: 100-continue", "Content-Length: 4"]));
            // The body goes out once it is asked for.
            eventually("it is asked for", || good.requests() == n + 1);
            client.send("body");
            let answer = client.response();
            assert_eq!((answer.status, answer.text().as_str(), &answer.interim[..]), (200, "body", &[100][..]));
        }
        assert_eq!((bad.requests(), good.requests()), (1, 2));
        proxy.settles("ringway_pool_retries_total", &[("reason", "reset")], 1.0);
        // A POST may have been acted on.
        let mut statuses: Vec<u16> = (0..2)
            .map(|_| {
                let mut client = proxy.client();
                client.send(request("POST", "/post", &["Expect: 100-continue", "Content-Length: 4"]));
                let _ = client.try_send("body");
                client.response_to("POST").map_or(0, |answer| answer.status)
            })
            .collect();
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 502]);
        nothing_is_left(&proxy);
    }
}

#[test]
fn it_is_told_to_go_on_once_however_many_targets_are_asked() {
    let bad = Target::with("bad", |peer| while peer.request().is_some() && peer.reply(503, &[], b"no").is_some() {});
    let good = Target::echo("good");
    let proxy = single(config(&names(&[&bad, &good]), "", "retry = { on = [\"503\"] }"));
    for _ in 0..2 {
        let mut client = proxy.client();
        client.send(request("PUT", "/", &["Expect: 100-continue", "Content-Length: 4"]));
        assert_eq!(client.head(crate::support::PATIENCE).unwrap().start, "HTTP/1.1 100 Continue");
        client.send("body");
        let answer = client.response();
        assert_eq!((answer.status, answer.text().as_str(), &answer.interim[..]), (200, "body", &[][..]));
    }
    assert_eq!((bad.requests(), good.requests()), (1, 2));
    assert!(bad.seen().iter().chain(&good.seen()).all(|seen| seen.body == b"body"));
    nothing_is_left(&proxy);
}

/// A target that says something all the time, and never all of it, gets no more time than one that says nothing.
#[test]
fn a_head_that_trickles_makes_a_try_no_longer() {
    for (said, pause) in [
        ("HTTP/1.1 200 OK\r\n".to_owned() + &"X-Slow: and slower, and slower\r\n".repeat(20), 10),
        ("HTTP/1.1 103 Early Hints\r\n\r\n".repeat(3) + "HTTP/1.1 200 OK\r\nX-Slow: and slower\r\n", 30),
    ] {
        let slow = Target::with("slow", move |peer| {
            if peer.request().is_some() {
                let _ = peer.dribble(&said, 4, Duration::from_millis(pause));
                peer.request();
            }
        });
        let good = Target::echo("good");
        let route = "retry = { on = [\"timeout\"], per_try = \"250ms\" }";
        for hedge in ["", "\nhedge = { after = \"10s\" }"] {
            let proxy = single(config(&names(&[&slow, &good]), "", &format!("{route}{hedge}")));
            let begun = Instant::now();
            let mut statuses: Vec<u16> = (0..2).map(|_| proxy.get("/").status).collect();
            statuses.sort_unstable();
            // Of an answer that has begun no other is asked for.
            assert_eq!(statuses, [200, 504], "{hedge}");
            assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
            nothing_is_left(&proxy);
        }
    }
}

#[test]
fn what_the_last_target_says_of_itself_reaches_the_client() {
    let refuses = |name: &str| {
        Target::with(name, |peer| {
            while let Some(seen) = peer.request() {
                let length = format!("X-Length: {}", seen.body.len());
                if peer.reply(503, &["Retry-After: 120", &length], b"maintenance").is_none() {
                    return;
                }
            }
        })
    };
    let all = [refuses("a"), refuses("b"), refuses("c")];
    let proxy = single(config(&names(&all.iter().collect::<Vec<_>>()), "", "retry = { attempts = 2, on = [\"5xx\"] }"));
    let mut client = proxy.client();
    for n in 1..=3 {
        client.send(request("PUT", "/", &["Content-Length: 4"]) + "body");
        let answer = client.response();
        assert_eq!((answer.status, answer.text().as_str()), (503, "maintenance"));
        assert_eq!(answer.field("retry-after").as_deref(), Some("120"));
        assert_eq!(answer.field("x-length").as_deref(), Some("4"));
        assert_eq!(all.iter().map(Target::requests).sum::<usize>(), 3 * n);
    }
    assert!(all.iter().all(|target| target.connections() == 1), "the answers were whole");
    let head = client.ask("OPTIONS", "/", &[]);
    assert_eq!(head.status, 503);
    client.send(request("HEAD", "/", &[]));
    let head = client.response_to("HEAD").unwrap();
    assert_eq!((head.status, head.field("content-length").as_deref()), (503, Some("11")));
    assert!(all.iter().all(|target| target.connections() <= 2));
    nothing_is_left(&proxy);
}
