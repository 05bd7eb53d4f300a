//! What a route's `retry` says, and what it must never do. Protects the retry sides of the cases "early refusal of an upload" and
//! "a pooled connection that the target has just closed".

use crate::support::client::request;
use crate::support::proxy::Setup;
use crate::support::target::{Leave, refused};
use crate::support::toml::http_with;
use crate::support::{Proxy, Target, eventually, load, rounds};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// One worker in front of these targets, in turn, with a route that tries again as `retry` says.
fn retrying(targets: &[String], retry: &str) -> Proxy {
    Setup::new(config(targets, retry)).workers(1).start()
}

fn config(targets: &[String], retry: &str) -> String {
    http_with("", targets, "balance = \"round-robin\"")
        + &format!("\n[routes.all]\npaths = [\"/\"]\npool = \"site\"\nretry = {{ {retry} }}\n")
}

fn names(targets: &[&Target]) -> Vec<String> {
    targets.iter().map(ToString::to_string).collect()
}

/// Answers each request with `status`.
fn refuses(name: &str, status: u16) -> Target {
    Target::with(name, move |peer| while peer.request().is_some() && peer.reply(status, &[], b"no").is_some() {})
}

#[test]
fn an_answer_with_a_status_that_is_named_is_given_up_for_anothers() {
    let (bad, good) = (refuses("bad", 503), Target::echo("good"));
    let proxy = retrying(&names(&[&bad, &good]), "on = [\"connect\", \"502-503\"]");
    let mut client = proxy.client();
    for _ in 0..6 {
        let answer = client.get("/");
        assert_eq!((answer.status, answer.target()), (200, "good".to_owned()));
    }
    assert!(bad.requests() >= 3 && good.requests() == 6, "{} {}", bad.requests(), good.requests());
    assert_eq!(bad.connections(), 1, "its connection is kept: the answers were whole");
    proxy.settles("ringway_pool_retries_total", &[("reason", "status")], bad.requests() as f64);
    // A POST may have done something, whatever the target says of it.
    let statuses: Vec<u16> = (0..4).map(|_| client.post("/", b"once").status).collect();
    assert!(statuses.contains(&503) && statuses.contains(&200), "{statuses:?}");
}

#[test]
fn the_last_answer_goes_to_the_client_as_it_is() {
    let all = [refuses("a", 503), refuses("b", 503), refuses("c", 503), refuses("d", 503)];
    let proxy = retrying(&names(&all.iter().collect::<Vec<_>>()), "on = [\"5xx\"]");
    let answer = proxy.get("/");
    assert_eq!((answer.status, answer.text()), (503, "no".to_owned()));
    assert_eq!(all.iter().map(Target::requests).sum::<usize>(), 3, "two tries beyond the first");
    // Where there is no other target there is nothing to give it up for.
    let proxy = retrying(&names(&[&all[0]]), "on = [\"5xx\"]");
    assert_eq!(proxy.get("/").text(), "no");
    proxy.settles("ringway_pool_retries_total", &[], 0.0);
}

#[test]
fn a_try_that_takes_too_long_makes_room_for_another() {
    let (mute, good) = (Target::mute("mute"), Target::echo("good"));
    let proxy = retrying(&names(&[&mute, &good]), "on = [\"timeout\"], per_try = \"200ms\"");
    let begun = Instant::now();
    for _ in 0..2 {
        assert_eq!(proxy.get("/").target(), "good");
    }
    assert!(begun.elapsed() < Duration::from_secs(10), "not the minute of the pool's own timeout");
    assert_eq!(mute.requests(), 1);
    proxy.settles("ringway_pool_retries_total", &[("reason", "timeout")], 1.0);
    let statuses: Vec<u16> = (0..2).map(|_| proxy.client().post("/", b"once").status).collect();
    assert!(statuses.contains(&504) && statuses.contains(&200), "a POST may have arrived: {statuses:?}");
    assert_eq!((mute.requests(), good.requests()), (2, 3));
}

#[test]
fn a_try_includes_its_connecting() {
    let (deaf, good) = (crate::support::target::Deaf::start(), Target::echo("good"));
    let targets = [deaf.address.to_string(), good.to_string()];
    let proxy = retrying(&targets, "per_try = \"200ms\"");
    let begun = Instant::now();
    for _ in 0..2 {
        assert_eq!(proxy.client().post("/", b"x").text(), "x", "nothing was sent: a POST moves on too");
    }
    assert!(begun.elapsed() < Duration::from_millis(1900), "{:?}: less than `connect` allows", begun.elapsed());
}

#[test]
fn an_answer_that_cannot_be_read_is_tried_again_where_it_is_named() {
    let (bad, good) = (Target::says("bad", "HTTP/9 what\r\n\r\n"), Target::echo("good"));
    let proxy = retrying(&names(&[&bad, &good]), "on = [\"bad-response\"]");
    for _ in 0..4 {
        assert_eq!(proxy.get("/").target(), "good");
    }
    let proxy = retrying(&names(&[&bad, &good]), "on = [\"connect\", \"reset\"]");
    let statuses: Vec<u16> = (0..4).map(|_| proxy.get("/").status).collect();
    assert!(statuses.contains(&502), "{statuses:?}");
}

#[test]
fn the_methods_that_may_be_sent_twice_can_be_chosen() {
    let dropping = || {
        Target::with("bad", |peer| {
            peer.request();
            peer.leave(Leave::Reset);
        })
    };
    for (methods, post, put) in [("\"idempotent\"", 502, 200), ("\"all\"", 200, 200), ("[\"POST\"]", 200, 502)] {
        let (bad, good) = (dropping(), Target::echo("good"));
        let proxy = retrying(&names(&[&bad, &good]), &format!("methods = {methods}"));
        for (method, expected) in [("POST", post), ("PUT", put)] {
            // One of two in turn goes to the bad one first.
            let ask = |_| proxy.client().ask(method, "/", &["Content-Length: 0"]).status;
            let worst = (0..2).map(ask).max();
            assert_eq!(worst, Some(expected), "{method} where {methods} may");
        }
    }
}

/// HAProxy's turn-around time: with one server only, a retry waits and asks the same again.
#[test]
fn a_pool_of_one_is_carried_over_its_restart_by_a_backoff() {
    let mut only = Target::echo("only");
    let proxy = retrying(&names(&[&only]), "attempts = 10, backoff = \"300ms\"");
    assert_eq!(proxy.get("/").status, 200);
    only.kill();
    thread::scope(|scope| {
        let asking = scope.spawn(|| proxy.client().post("/", b"late").text());
        eventually("it is tried in vain", || proxy.metric("ringway_pool_errors_total", &[("kind", "connect")]) >= 1.0);
        only.revive();
        assert_eq!(asking.join().unwrap(), "late");
    });
    // Who does not wait for it costs nothing more.
    only.kill();
    let mut client = proxy.client();
    client.send(request("GET", "/gone", &[]));
    eventually("it waits", || proxy.metric("ringway_pool_in_flight", &[]) >= 1.0);
    client.reset();
    proxy.settles("ringway_pool_in_flight", &[], 0.0);
    proxy.settles("ringway_pool_errors_total", &[("kind", "client-abort")], 1.0);
}

/// The bound that a budget promises: when all fail, tries are at most 1.2 times the requests.
#[test]
fn a_budget_bounds_the_tries_when_all_targets_fail() {
    let count = rounds(2000, 400);
    let all = [refuses("a", 503), refuses("b", 503), refuses("c", 503)];
    let bad = names(&all.iter().collect::<Vec<_>>());
    let gone: Vec<String> = (0..3).map(|_| refused().to_string()).collect();
    for (targets, statuses) in [(bad, [503, 503]), (gone, [502, 503])] {
        let proxy = Proxy::start(config(&targets, "attempts = 10, on = [\"connect\", \"5xx\"], budget = \"20%\""));
        let result = load::run(&proxy.web(), 8, count, |n| format!("/{n}"));
        assert!(result.broken.is_empty() && result.answers.keys().all(|(status, _)| statuses.contains(status)));
        assert_eq!(result.sent(), count);
        let tries = proxy.metric("ringway_target_requests_total", &[]);
        assert!(tries <= 1.2 * count as f64, "{tries} tries of {count} requests");
        assert!(tries >= 1.15 * count as f64, "what is allowed is used: {tries} of {count}");
        assert!(proxy.metric("ringway_pool_retries_denied_total", &[]) >= 0.7 * count as f64);
    }
}

/// One of three targets is killed and started again, and its connections are cut in mid-flight, all the time; nobody notices.
/// `cargo test --test blackbox retries::` sends 10,000 requests, 1,000 with RINGWAY_TEST_QUICK.
#[test]
fn no_idempotent_request_fails_while_one_of_three_targets_is_reset_at_random() {
    let count = rounds(10_000, 1_000);
    let resets = Arc::new(AtomicUsize::new(0));
    let unsteady = {
        let resets = resets.clone();
        Target::with("unsteady", move |peer| {
            while let Some(seen) = peer.request() {
                // Before the answer begins, and without a word.
                if fastrand::u8(..4) == 0 {
                    resets.fetch_add(1, Ordering::SeqCst);
                    return peer.leave(if fastrand::bool() { Leave::Reset } else { Leave::Close });
                }
                if peer.echo(&seen).is_none() {
                    return;
                }
            }
        })
    };
    let (one, two) = (Target::echo("one"), Target::echo("two"));
    let targets = names(&[&one, &two, &unsteady]);
    let proxy = Proxy::start(config(&targets, "attempts = 2, on = [\"connect\", \"reset\"]"));
    let done = AtomicBool::new(false);
    let result = thread::scope(|scope| {
        let mut unsteady = unsteady;
        let done = &done;
        let restarting = scope.spawn(move || {
            let mut restarts = 0;
            while !done.load(Ordering::SeqCst) {
                thread::sleep(Duration::from_millis(fastrand::u64(5..40)));
                // No answer is half out: it is a few bytes, written at once.
                unsteady.kill();
                thread::sleep(Duration::from_millis(fastrand::u64(1..20)));
                unsteady.revive();
                restarts += 1;
            }
            (restarts, unsteady.requests())
        });
        let result = load::run(&proxy.web(), 16, count, |n| format!("/{n}"));
        done.store(true, Ordering::SeqCst);
        (result, restarting.join().unwrap())
    });
    let (result, (restarts, seen)) = result;
    result.assert_clean();
    assert_eq!(result.sent(), count);
    let reset = resets.load(Ordering::SeqCst);
    assert!(restarts >= 2 && reset >= count / 100 && seen > reset, "{restarts} restarts, {reset} resets, {seen} seen");
    assert!(proxy.metric("ringway_pool_retries_total", &[]) >= reset as f64 / 2.0);
}
