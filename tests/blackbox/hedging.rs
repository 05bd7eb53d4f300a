//! A second target that is asked while the first is slow: who wins, and what is never asked twice.

use crate::support::proxy::Setup;
use crate::support::toml::http_with;
use crate::support::{GLANCE, Proxy, Target, eventually};
use std::time::{Duration, Instant};

/// One worker in front of two targets, in turn, the second of which is asked 100 ms later.
fn hedged(first: &Target, second: &Target, retry: &str) -> Proxy {
    let config = http_with("", &[first, second], "balance = \"round-robin\"")
        + &format!(
            "\n[routes.all]\npaths = [\"/\"]\npool = \"site\"\nhedge = {{ after = \"100ms\" }}\nretry = {{ {retry} }}\n"
        );
    Setup::new(config).workers(1).start()
}

#[test]
fn a_slow_target_is_helped_out_by_another_and_let_go_of() {
    let (mute, quick) = (Target::mute("mute"), Target::echo("quick"));
    let proxy = hedged(&mute, &quick, "");
    let begun = Instant::now();
    let mut client = proxy.client();
    for _ in 0..6 {
        let answer = client.get("/");
        assert_eq!((answer.status, answer.target()), (200, "quick".to_owned()));
    }
    assert!(begun.elapsed() < Duration::from_secs(10), "not the minute that an answer may take");
    let helped = mute.requests();
    assert!((1..6).contains(&helped), "it is asked in turn: {helped}");
    eventually("the one that lost hears of it", || mute.open() == 0);
    proxy.settles("ringway_pool_retries_total", &[("reason", "hedge")], helped as f64);
    proxy.settles("ringway_pool_hedges_won_total", &[], helped as f64);
    proxy.settles("ringway_target_in_flight", &[], 0.0);
    assert_eq!(proxy.metric("ringway_pool_errors_total", &[]), 0.0, "to be slower is no failure");
}

#[test]
fn the_first_one_can_still_win() {
    let (slow, mute) = (Target::slow("slow", Duration::from_millis(600)), Target::mute("mute"));
    let proxy = hedged(&slow, &mute, "");
    for _ in 0..2 {
        assert_eq!(proxy.get("/").target(), "slow");
    }
    eventually("the one that lost hears of it", || mute.open() == 0);
    assert_eq!((slow.requests(), mute.requests()), (2, 2));
    // In turn: once the slow one was the second.
    proxy.settles("ringway_pool_hedges_won_total", &[], 1.0);
}

#[test]
fn what_must_not_be_sent_twice_is_not() {
    let (slow, other) =
        (Target::slow("slow", Duration::from_millis(500)), Target::slow("other", Duration::from_millis(500)));
    let proxy = hedged(&slow, &other, "");
    let mut client = proxy.client();
    assert_eq!(client.post("/", b"once").text(), "once");
    assert_eq!(client.ask("POST", "/", &["Content-Length: 0"]).status, 200);
    client.send("PUT / HTTP/1.1\r\nHost: site.test\r\nContent-Length: 4\r\n\r\nbody");
    assert_eq!(client.response().text(), "body");
    assert_eq!(slow.requests() + other.requests(), 3);
    proxy.settles("ringway_pool_retries_total", &[], 0.0);
    // A budget bounds them as it bounds retries.
    let proxy = hedged(&slow, &other, "budget = \"0%\"");
    assert_eq!(proxy.get("/").status, 200);
    proxy.settles("ringway_pool_retries_denied_total", &[], 1.0);
    assert_eq!(slow.requests() + other.requests(), 4);
}

#[test]
fn one_that_fails_leaves_the_field_to_the_other() {
    let slow = Target::slow("slow", Duration::from_millis(700));
    let failing = Target::with("failing", |peer| {
        while peer.request().is_some() {
            std::thread::sleep(GLANCE);
            if peer.reply(503, &[], b"no").is_none() {
                return;
            }
        }
    });
    let proxy = hedged(&slow, &failing, "on = [\"503\"]");
    for _ in 0..2 {
        let answer = proxy.get("/");
        assert_eq!((answer.status, answer.target()), (200, "slow".to_owned()), "whoever is asked first");
    }
    proxy.settles("ringway_pool_errors_total", &[("kind", "status")], 2.0);
    let leaving = Target::with("leaving", |peer| {
        peer.request();
        std::thread::sleep(GLANCE);
    });
    let proxy = hedged(&slow, &leaving, "");
    for _ in 0..2 {
        assert_eq!(proxy.get("/").target(), "slow");
    }
    proxy.settles("ringway_pool_errors_total", &[("kind", "reset")], 2.0);
}
