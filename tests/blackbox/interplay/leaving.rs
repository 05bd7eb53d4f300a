//! Clients that leave at any moment take nothing along.

use super::{limited, nothing_is_left};
use crate::support::client::request;
use crate::support::h2;
use crate::support::streams::{Says, Streams};
use crate::support::{Proxy, Target, eventually, rounds};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

const MILLI: Duration = Duration::from_millis(1);

/// Everything that can be waited for: room, a second target, another try, the time until it.
const ROUTE: &str = "hedge = { after = \"15ms\" }\n\
                     retry = { attempts = 3, on = [\"connect\", \"reset\", \"timeout\", \"5xx\"], per_try = \"60ms\", backoff = \"20ms\" }";
const POOL: &str = "timeouts = { queue = \"150ms\" }\nqueue = { length = 8 }";
const PATHS: [&str; 5] = ["/quick", "/slow", "/mute", "/bad", "/reset"];

/// Sends requests and leaves after a random time, over both protocols.
fn come_and_go(proxy: &Proxy, each: usize) {
    thread::scope(|scope| {
        for n in 0..12 {
            scope.spawn(move || {
                for _ in 0..each {
                    let path = PATHS[fastrand::usize(..PATHS.len())];
                    let stay = Duration::from_millis(fastrand::u64(..90));
                    if n % 2 == 0 {
                        let mut client = proxy.client();
                        client.send(request("GET", path, &[]));
                        thread::sleep(stay);
                        if fastrand::bool() {
                            client.reset()
                        } else {
                            drop(client)
                        }
                        continue;
                    }
                    let mut frames = h2::Frames::to(&proxy.web());
                    let head = [(":method", "GET"), (":scheme", "http"), (":authority", "site.test"), (":path", path)];
                    for stream in [1, 3, 5] {
                        let _ = frames.send(h2::HEADERS, 5, stream, &h2::block(&head));
                    }
                    thread::sleep(stay);
                    let _ = frames.send(h2::RST_STREAM, 0, 1, &8u32.to_be_bytes());
                    thread::sleep(stay / 8);
                }
            });
        }
    });
}

#[test]
fn who_leaves_while_it_waits_is_helped_out_or_tried_again_takes_no_room_along() {
    let gathered = Arc::new(AtomicUsize::new(0));
    let act = |name: &str| {
        let gathered = gathered.clone();
        Target::with(name, move |peer| {
            while let Some(seen) = peer.request() {
                let going = match seen.path.as_str() {
                    "/slow" => {
                        thread::sleep(30 * MILLI);
                        peer.echo(&seen)
                    }
                    "/mute" => {
                        peer.request();
                        None
                    }
                    "/bad" => peer.reply(503, &[], b"no"),
                    "/reset" => None,
                    "/gather" => {
                        gathered.fetch_add(1, Ordering::SeqCst);
                        while gathered.load(Ordering::SeqCst) < 4 {
                            thread::sleep(MILLI);
                        }
                        peer.echo(&seen)
                    }
                    _ => peer.echo(&seen),
                };
                if going.is_none() {
                    return;
                }
            }
        })
    };
    let targets = [act("a"), act("b")];
    let names: Vec<String> = targets.iter().map(ToString::to_string).collect();
    let proxy = Proxy::start(limited(&names, 2, POOL, ROUTE) + GATHER);
    come_and_go(&proxy, rounds(30, 6));
    nothing_is_left(&proxy);
    eventually("targets hear of it", || targets.iter().map(|target| target.requests()).sum::<usize>() > 0);
    // Had any room got lost, the fourth of these would never be let in.
    let mut all: Vec<_> = (0..4).map(|_| super::asking(&proxy, "/gather")).collect();
    all.iter_mut().for_each(|client| assert_eq!(client.response().status, 200));
    nothing_is_left(&proxy);
}

/// A route without anything that would give up on it.
const GATHER: &str = "\n[routes.gather]\npaths = [\"=/gather\"]\npool = \"site\"\n";

#[test]
fn the_same_holds_where_targets_speak_http2() {
    let act = |name: &str| {
        Streams::with(name, |asked, _| match asked.path.as_str() {
            "/slow" => Says::Echo(30 * MILLI),
            "/mute" => Says::Nothing,
            "/bad" => Says::Status(503),
            "/reset" => Says::BreaksOff,
            "/gather" => Says::Echo(400 * MILLI),
            _ => Says::Echo(Duration::ZERO),
        })
    };
    let targets = [act("a"), act("b")];
    let pool = format!("protocol = \"h2\"\n{POOL}");
    let proxy = Proxy::start(limited(&[&targets[0], &targets[1]], 2, &pool, ROUTE) + GATHER);
    come_and_go(&proxy, rounds(30, 6));
    nothing_is_left(&proxy);
    let mut all: Vec<_> = (0..4).map(|_| super::asking(&proxy, "/gather")).collect();
    eventually("all of the room is there", || {
        targets.iter().map(|target| target.seen_for("/gather")).sum::<usize>() == 4
    });
    assert!(proxy.metric("ringway_pool_queue_length", &[("pool", "site")]) == 0.0);
    all.iter_mut().for_each(|client| assert_eq!(client.response().status, 200));
    nothing_is_left(&proxy);
}
