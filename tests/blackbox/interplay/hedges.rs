//! A second target beside limits, stickiness, budgets and clients that leave.

use super::{asking, config, cookie, limited, names, nothing_is_left, single};
use crate::support::client::request;
use crate::support::h2;
use crate::support::proxy::ringway;
use crate::support::streams::{Says, Streams};
use crate::support::{Proxy, Target, eventually, load};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const MILLI: Duration = Duration::from_millis(1);

/// Over HTTP/1.1 and HTTP/2 a client leaves before the second target is asked, and after it.
#[test]
fn who_leaves_frees_the_first_target_and_the_second() {
    for after in ["30s", "30ms"] {
        let both = after == "30ms";
        let (a, b) = (Target::mute("a"), Target::mute("b"));
        let proxy = Proxy::start(limited(&names(&[&a, &b]), 1, "", &format!("hedge = {{ after = \"{after}\" }}")));
        let asked = |wanted| eventually("they are asked", || a.requests() + b.requests() == wanted);
        asking(&proxy, "/h1").reset();
        let client = asking(&proxy, "/h1");
        let first = if both { 2 } else { 1 };
        eventually("it is asked", || a.requests_for("/h1").len() + b.requests_for("/h1").len() >= first);
        client.reset();
        eventually("who was asked for nothing hears of it", || a.open() + b.open() == 0);
        nothing_is_left(&proxy);
        let before = a.requests() + b.requests();
        let mut frames = h2::Frames::to(&proxy.web());
        frames.send(h2::HEADERS, 5, 1, h2::GET).unwrap();
        asked(before + first);
        // CANCEL
        frames.send(h2::RST_STREAM, 0, 1, &8u32.to_be_bytes()).unwrap();
        eventually("who was asked for nothing hears of it", || a.open() + b.open() == 0);
        nothing_is_left(&proxy);
        assert!(proxy.metric("ringway_pool_errors_total", &[("kind", "client-abort")]) >= 2.0);
    }
}

#[test]
fn a_client_is_not_sent_away_from_the_target_that_it_belongs_to() {
    let targets = [Target::slow("a", 300 * MILLI), Target::slow("b", 300 * MILLI)];
    let route = "hedge = { after = \"30ms\" }";
    let proxy = single(config(&names(&[&targets[0], &targets[1]]), "sticky = { cookie = \"RWSRV\" }", route));
    let first = proxy.get("/");
    assert_eq!(targets.iter().map(Target::requests).sum::<usize>(), 2, "who belongs nowhere is helped out");
    let own = cookie(&first);
    for _ in 0..3 {
        let answer = proxy.client().ask("GET", "/own", &[&format!("Cookie: {own}")]);
        assert_eq!((answer.status, answer.target(), answer.field("set-cookie")), (200, first.target(), None));
    }
    assert_eq!(targets.iter().map(|target| target.requests_for("/own").len()).sum::<usize>(), 3);
    proxy.settles("ringway_pool_retries_total", &[("reason", "hedge")], 1.0);
    let explained = |cookie: &str| {
        let url = format!("http://site.test:{}/", proxy.web().rsplit_once(':').unwrap().1);
        let (file, header) = (proxy.config_file(), format!("Cookie: {cookie}"));
        let (code, out, err) = ringway(&["explain", "-c", file.to_str().unwrap(), "-H", &header, &url]);
        assert_eq!(code, Some(0), "{err}");
        out.contains("a second target as well after 30ms")
    };
    assert!(explained("a=1") && !explained(&own));
    // Whoever had to go elsewhere is helped out there.
    let owner = targets.iter().find(|target| target.name() == first.target()).unwrap();
    owner.kill();
    let answer = proxy.client().ask("GET", "/moved", &[&format!("Cookie: {own}")]);
    assert_eq!(answer.status, 200);
    assert_ne!(cookie(&answer), own);
}

/// Each of two targets takes one at a time: a third client waits, and no second target is asked by those who have theirs.
#[test]
fn a_second_target_takes_no_room_from_those_who_wait() {
    let open = Arc::new(AtomicBool::new(false));
    let gated = |name: &str| {
        let open = open.clone();
        Target::with(name, move |peer| {
            while let Some(seen) = peer.request() {
                while seen.path == "/hold" && !open.load(Ordering::SeqCst) {
                    thread::sleep(MILLI);
                }
                if peer.echo(&seen).is_none() {
                    return;
                }
            }
        })
    };
    let (a, b) = (gated("a"), gated("b"));
    let pool = "timeouts = { queue = \"20s\" }";
    let proxy = Proxy::start(limited(&names(&[&a, &b]), 1, pool, "hedge = { after = \"100ms\" }"));
    let mut holders = [asking(&proxy, "/hold"), asking(&proxy, "/hold")];
    eventually("both are held", || a.requests() == 1 && b.requests() == 1);
    let mut waiting: Vec<_> = (0..3).map(|_| asking(&proxy, "/waits")).collect();
    eventually("they wait", || proxy.metric("ringway_pool_queue_length", &[("pool", "site")]) == 3.0);
    thread::sleep(200 * MILLI);
    open.store(true, Ordering::SeqCst);
    for client in holders.iter_mut().chain(&mut waiting) {
        assert_eq!(client.response().status, 200);
    }
    assert_eq!(proxy.metric("ringway_pool_retries_total", &[("reason", "hedge")]), 0.0);
    nothing_is_left(&proxy);
}

/// A second target counts as any other request does, and gives its room back whoever wins.
#[test]
fn second_targets_count_against_the_limits() {
    let uneven = |name: &str| {
        Target::with(name, |peer| {
            while let Some(seen) = peer.request() {
                thread::sleep(if fastrand::u8(..3) == 0 { 60 * MILLI } else { 2 * MILLI });
                if peer.echo(&seen).is_none() {
                    return;
                }
            }
        })
    };
    let targets = [uneven("a"), uneven("b"), uneven("c")];
    let names = names(&targets.iter().collect::<Vec<_>>());
    let proxy = Proxy::start(limited(&names, 3, "", "hedge = { after = \"10ms\" }"));
    load::run(&proxy.web(), 6, 150, |n| format!("/{n}")).assert_clean();
    nothing_is_left(&proxy);
    let hedges = proxy.metric("ringway_pool_retries_total", &[("reason", "hedge")]);
    assert!(hedges > 0.0);
    let asked = proxy.metric("ringway_target_requests_total", &[("pool", "site")]);
    assert_eq!(asked, 150.0 + hedges + proxy.metric("ringway_pool_retries_total", &[("reason", "stale")]));
    // All of the room is there.
    let mut all: Vec<_> = (0..9).map(|_| asking(&proxy, "/")).collect();
    all.iter_mut().for_each(|client| assert_eq!(client.response().status, 200));
}

#[test]
fn over_h2_the_stream_that_lost_is_reset_and_its_connection_goes_on() {
    let a = Streams::with("a", |asked, _| match asked.path.as_str() {
        "/slow" => Says::Nothing,
        _ => Says::Echo(Duration::ZERO),
    });
    let b = Streams::echo("b", Duration::ZERO);
    let proxy = single(config(&[&a, &b], "protocol = \"h2\"", "hedge = { after = \"80ms\" }"));
    let client = h2::Client::to(&proxy.web());
    for _ in 0..4 {
        let answer = client.get("/slow");
        assert_eq!((answer.status.as_u16(), &answer.body[..]), (200, &b"b"[..]));
    }
    let helped = a.seen_for("/slow");
    assert!((1..4).contains(&helped), "it is asked in turn: {helped}");
    eventually("the streams that lost are reset", || a.resets().len() == helped);
    assert!(a.resets().iter().all(|reason| *reason == ::h2::Reason::CANCEL), "{:?}", a.resets());
    (0..4).for_each(|_| assert_eq!(client.get("/quick").status, 200));
    assert_eq!((a.connections(), b.connections(), a.seen_for("/quick")), (1, 1, 2));
    nothing_is_left(&proxy);
}

/// The time of the first is over before a second one would be asked: that is a timeout, and `on` says what it leads to.
#[test]
fn a_first_target_whose_time_is_over_is_not_helped_out() {
    let (mute, good) = (Target::mute("mute"), Target::echo("good"));
    let route = "hedge = { after = \"1s\" }\nretry = { on = [\"connect\"], per_try = \"150ms\" }";
    let proxy = single(config(&names(&[&mute, &good]), "", route));
    let mut statuses: Vec<u16> = (0..2).map(|_| proxy.get("/").status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 504]);
    assert_eq!((mute.requests(), good.requests()), (1, 1));
    proxy.settles("ringway_pool_retries_total", &[], 0.0);
}

/// Second targets and retries draw on one budget, and no target is asked twice for a request.
#[test]
fn tries_and_second_targets_have_an_end_and_a_budget() {
    let failing = |name: &str| {
        Target::with(name, |peer| {
            while peer.request().is_some() {
                thread::sleep(40 * MILLI);
                if peer.reply(503, &["Retry-After: 7"], b"no").is_none() {
                    return;
                }
            }
        })
    };
    let targets = [failing("a"), failing("b"), failing("c"), failing("d")];
    let names = names(&targets.iter().collect::<Vec<_>>());
    let route =
        |budget: &str| format!("hedge = {{ after = \"10ms\" }}\nretry = {{ attempts = 10, on = [\"5xx\"]{budget} }}");
    let proxy = single(limited(&names, 2, "", &route("")));
    let begun = Instant::now();
    for n in 0..5 {
        let answer = proxy.get(&format!("/{n}"));
        assert_eq!((answer.status, answer.text().as_str()), (503, "no"));
        assert_eq!(answer.field("retry-after").as_deref(), Some("7"), "the last answer is the client's as it is");
    }
    assert!(begun.elapsed() < Duration::from_secs(8));
    let mut asked = HashMap::new();
    for seen in targets.iter().flat_map(|target| target.seen().into_iter().map(|seen| (target.name(), seen.path))) {
        *asked.entry(seen).or_insert(0) += 1;
    }
    assert!(asked.len() <= 20 && asked.values().all(|times| *times == 1), "{asked:?}");
    nothing_is_left(&proxy);
    let proxy = single(limited(&names, 2, "", &route(", budget = \"50%\"")));
    for n in 0..20 {
        assert_eq!(proxy.get(&format!("/budget/{n}")).status, 503);
    }
    let tries = proxy.metric("ringway_target_requests_total", &[("pool", "site")]);
    assert!((24.0..=30.0).contains(&tries), "{tries} of 20 requests");
    assert!(proxy.metric("ringway_pool_retries_denied_total", &[]) >= 10.0);
    nothing_is_left(&proxy);
    let mut client = proxy.client();
    client.send(request("GET", "/left", &[]));
    client.reset();
    nothing_is_left(&proxy);
}
