//! Targets that fail live traffic are ejected, no more of them than may be, and come back.

use super::{Moody, moody};
use crate::admin::start;
use crate::reload::{reload, rewrite};
use crate::support::client::request;
use crate::support::load::Load;
use crate::support::target::{Leave, refused};
use crate::support::toml::{http_with, tcp_with};
use crate::support::{Client, Proxy, Target, eventually};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

fn pool(outlier: &str) -> String {
    format!("balance = \"round-robin\"\noutlier = {{ {outlier} }}\n")
}

fn start_with(targets: &[&Moody], outlier: &str) -> Proxy {
    let targets: Vec<String> = targets.iter().map(|moody| moody.target.to_string()).collect();
    Proxy::start(http_with("", &targets, &pool(outlier)))
}

fn ejections(proxy: &Proxy, reason: &str) -> f64 {
    proxy.metric("ringway_target_ejections_total", &[("reason", reason)])
}

fn ejected(proxy: &Proxy) -> f64 {
    proxy.metric("ringway_target_ejected", &[])
}

/// Asks until something is ejected.
#[track_caller]
fn until_ejected(proxy: &Proxy) {
    eventually("a target is ejected", || {
        proxy.get("/");
        ejected(proxy) > 0.0
    });
}

#[test]
fn errors_in_a_row_eject_a_target_until_an_operator_has_it_return() {
    let (bad, good) = (moody("bad"), moody("good"));
    let desk =
        start(&http_with("", &[&bad.target, &good.target], &pool("errors = 3, eject = \"1h\", max_eject = \"1h\"")));
    bad.says(503);
    let errors = (0..40).filter(|_| desk.proxy.get("/").status == 503).count();
    // Each of the two workers begins where it likes; whichever sees the third error ejects.
    assert_eq!((errors, bad.served()), (3, 3), "three errors, and no request more");
    assert_eq!((ejected(&desk.proxy), ejections(&desk.proxy, "errors")), (1.0, 1.0));
    let line = desk.proxy.log.wait(&["target is ejected", &bad.target.to_string()]);
    assert!(line.contains("reason=errors") && line.contains("pool"), "{line}");

    let at = format!("/v1/pools/site/targets/{}", bad.target);
    let shown = desk.operator.get(&at);
    assert_eq!(
        (&shown["up"], &shown["ejected"]["reason"], &shown["ejected"]["times"]),
        (&true.into(), &"errors".into(), &1.into())
    );
    assert!(shown["ejected"]["left"].as_u64().unwrap() > 3000, "{shown}");
    assert_eq!(desk.operator.get("/v1/pools/site")["up"], 1);
    assert!(desk.runs(&["status"]).contains("ejected for errors, "), "{}", desk.runs(&["status"]));

    bad.says(200);
    let told = desk.runs(&["target", "return", "site", &bad.target.to_string()]);
    assert!(told.contains("is no longer ejected"), "{told}");
    let names: Vec<String> = (0..10).map(|_| desk.proxy.get("/").target()).collect();
    assert!(names.iter().any(|name| name == "bad") && ejected(&desk.proxy) == 0.0, "{names:?}");
    assert!(desk.operator.get(&at)["ejected"].is_null());
    let detail = desk.operator.wrong("DELETE", &format!("{at}/ejection"), "", 409);
    assert!(detail.contains("is not ejected"), "{detail}");
    desk.operator.wrong("DELETE", "/v1/pools/site/targets/10.0.0.1:1/ejection", "", 404);
    desk.operator.wrong("DELETE", "/v1/pools/none/targets/10.0.0.1:1/ejection", "", 404);
}

#[test]
fn an_error_now_and_then_ejects_nobody() {
    let (shaky, good) = (moody("shaky"), moody("good"));
    let proxy = start_with(&[&shaky, &good], "errors = 4, eject = \"1h\", max_eject = \"1h\"");
    for round in 0..30 {
        shaky.says(if round % 2 == 0 { 502 } else { 200 });
        let before = shaky.served();
        eventually("it is asked", || {
            proxy.get("/");
            shaky.served() > before
        });
    }
    assert_eq!(ejected(&proxy), 0.0);
}

#[test]
fn what_an_application_says_is_no_error_unless_that_is_wanted() {
    let (angry, good) = (moody("angry"), moody("good"));
    angry.says(500);
    let proxy = start_with(&[&angry, &good], "errors = 2, eject = \"1h\", max_eject = \"1h\"");
    (0..20).for_each(|_| drop(proxy.get("/")));
    assert_eq!((ejected(&proxy), angry.served()), (0.0, 10));
    let proxy = start_with(&[&angry, &good], "errors = 2, eject = \"1h\", max_eject = \"1h\", statuses = \"500-599\"");
    until_ejected(&proxy);
}

#[test]
fn after_its_time_one_request_tries_it_and_a_failure_ejects_it_for_longer() {
    let at_once = Arc::new([AtomicUsize::new(0), AtomicUsize::new(0)]);
    let counts = at_once.clone();
    let bad = Target::with("bad", move |peer| {
        while peer.request().is_some() {
            let now = counts[0].fetch_add(1, Ordering::SeqCst) + 1;
            counts[1].fetch_max(now, Ordering::SeqCst);
            thread::sleep(Duration::from_millis(30));
            counts[0].fetch_sub(1, Ordering::SeqCst);
            if peer.reply(503, &[], b"").is_none() {
                return;
            }
        }
    });
    let good = Target::echo("good");
    let lines = pool("errors = 3, eject = \"100ms\", max_eject = \"400ms\"");
    let proxy = Proxy::start(http_with("", &[&bad, &good], &lines));
    let load = Load::start(&proxy.web(), 8, Duration::from_millis(1));
    eventually("it is ejected", || ejections(&proxy, "errors") >= 1.0);
    // Who was under way at that time has its end.
    eventually("they have ended", || at_once[0].load(Ordering::SeqCst) == 0);
    at_once[1].store(0, Ordering::SeqCst);
    eventually("it is tried in vain", || ejections(&proxy, "trial") >= 3.0);
    load.stop();
    assert_eq!(at_once[1].load(Ordering::SeqCst), 1, "one at a time tries it");
    for term in ["term=200ms", "term=400ms"] {
        proxy.log.wait(&["target is ejected again", term]);
    }
    assert_eq!(ejections(&proxy, "errors"), 1.0);
}

#[test]
fn a_request_that_tries_it_with_success_brings_it_back() {
    let (bad, good) = (moody("bad"), moody("good"));
    let proxy = start_with(&[&bad, &good], "errors = 2, eject = \"300ms\"");
    bad.says(504);
    until_ejected(&proxy);
    bad.says(200);
    eventually("it serves again", || proxy.get("/").target() == "bad");
    proxy.log.wait(&["target is no longer ejected", "it has served a request"]);
    proxy.settles("ringway_target_ejected", &[], 0.0);
}

#[test]
fn an_ejected_target_comes_back_without_any_traffic_also_a_backup() {
    let (bad, good) = (moody("bad"), moody("good"));
    let lines = pool("errors = 1, eject = \"200ms\", max_ejected = \"100%\"");
    let config = http_with("", &[&good.target], &lines).replace(
        &format!("targets = [\"{}\"]", good.target),
        &format!("targets = [\"{}\", {{ address = \"{}\", backup = true }}]", good.target, bad.target),
    );
    let proxy = Proxy::start(config);
    bad.says(503);
    good.target.kill();
    let label = bad.target.to_string();
    eventually("the backup is ejected", || {
        proxy.get("/");
        proxy.metric("ringway_target_ejected", &[("target", &label)]) > 0.0
    });
    proxy.log.wait(&["target is no longer ejected", &label, "nothing came to try it with"]);
    eventually("nobody is ejected any more", || ejected(&proxy) == 0.0);
}

#[test]
fn no_more_are_ejected_than_may_be() {
    let all: Vec<Moody> = (0..4).map(|n| moody(&format!("t{n}"))).collect();
    let targets: Vec<&Moody> = all.iter().collect();
    let proxy = start_with(&targets, "errors = 2, eject = \"1h\", max_eject = \"1h\"");
    all.iter().for_each(|moody| moody.says(503));
    let load = Load::start(&proxy.web(), 4, Duration::ZERO);
    eventually("ejections are withheld", || {
        assert!(ejected(&proxy) <= 2.0);
        proxy.metric("ringway_target_ejections_withheld_total", &[]) >= 4.0
    });
    load.stop();
    assert_eq!(ejected(&proxy), 2.0);
    proxy.log.wait(&["target is not ejected: as many are as may be", "ejected=2"]);
    let lines = proxy.log.count(&["target is not ejected"]);
    assert!(lines <= 2, "{lines} lines within an ejection's time");
}

#[test]
fn the_only_target_is_asked_whatever_it_says() {
    let bad = moody("bad");
    let proxy = start_with(&[&bad], "errors = 1");
    bad.says(503);
    (0..5).for_each(|_| drop(proxy.get("/")));
    assert_eq!((ejected(&proxy), bad.served()), (0.0, 5));
}

#[test]
fn a_share_of_errors_ejects() {
    let count = AtomicUsize::new(0);
    let shaky = Target::with("shaky", move |peer| {
        while let Some(seen) = peer.request() {
            let done = match count.fetch_add(1, Ordering::SeqCst) % 2 {
                0 => peer.reply(502, &[], b""),
                _ => peer.echo(&seen),
            };
            if done.is_none() {
                return;
            }
        }
    });
    let good = Target::echo("good");
    let lines =
        pool("errors = 0, window = \"1s\", rate = \"40%\", min_requests = 10, eject = \"1h\", max_eject = \"1h\"");
    let proxy = Proxy::start(http_with("", &[&shaky, &good], &lines));
    let load = Load::start(&proxy.web(), 4, Duration::from_millis(5));
    eventually("it is ejected", || ejections(&proxy, "rate") == 1.0);
    load.stop();
    let before = shaky.requests();
    (0..20).for_each(|_| assert_eq!(proxy.get("/").target(), "good"));
    assert_eq!(shaky.requests(), before);
}

#[test]
fn a_share_of_errors_ejects_although_the_pool_changes_all_the_time() {
    let (bad, good) = (moody("bad"), moody("good"));
    bad.says(502);
    let rule = "errors = 0, window = \"5s\", rate = \"40%\", min_requests = 10, eject = \"1h\", max_eject = \"1h\"";
    let lines = pool(rule) + "\nslow_start = \"1s\"";
    let proxy = Proxy::start(http_with("", &[&bad.target, &good.target], &lines));
    let load = Load::start(&proxy.web(), 2, Duration::from_millis(2));
    let mut round = 0;
    // More often than the share is looked at, twice a second here.
    eventually("it is ejected", || {
        round += 1;
        let (old, new) = if round % 2 == 1 { ("\"1s\"", "\"2s\"") } else { ("\"2s\"", "\"1s\"") };
        rewrite(&proxy, |text| text.replace(&format!("slow_start = {old}"), &format!("slow_start = {new}")));
        reload(&proxy, "applied");
        ejections(&proxy, "rate") == 1.0
    });
    load.stop();
}

#[test]
fn a_latency_beyond_that_of_the_others_ejects() {
    let all = [moody("a"), moody("slow"), moody("c")];
    all[1].takes(Duration::from_millis(60));
    let rule = "errors = 0, window = \"1s\", latency = 3.0, min_requests = 5, eject = \"1h\", max_eject = \"1h\"";
    let proxy = start_with(&[&all[0], &all[1], &all[2]], rule);
    let load = Load::start(&proxy.web(), 6, Duration::from_millis(5));
    eventually("the slow one is ejected", || {
        proxy.metric("ringway_target_ejected", &[("target", &all[1].target.to_string())]) == 1.0
    });
    load.stop();
    assert_eq!((ejected(&proxy), ejections(&proxy, "latency")), (1.0, 1.0));
}

#[test]
fn a_refused_connect_ejects_and_a_retry_saves_the_request() {
    let (gone, good) = (refused(), Target::echo("good"));
    let lines = pool("errors = 3, eject = \"1h\", max_eject = \"1h\"");
    let proxy = Proxy::start(http_with("", &[gone.to_string(), good.to_string()], &lines));
    (0..20).for_each(|_| assert_eq!(proxy.get("/").target(), "good"));
    assert_eq!(ejected(&proxy), 1.0);
    assert_eq!(proxy.metric("ringway_pool_retries_total", &[]), 3.0);
}

#[test]
fn idle_connections_that_a_target_had_closed_are_no_errors() {
    let (hasty, good) = (Target::closes_silently("hasty"), Target::echo("good"));
    let proxy = Proxy::start(http_with("", &[&hasty, &good], &pool("errors = 2, eject = \"1h\", max_eject = \"1h\"")));
    for _ in 0..60 {
        assert_eq!(proxy.get("/").status, 200);
    }
    assert_eq!(ejected(&proxy), 0.0);
}

#[test]
fn clients_that_leave_eject_nobody() {
    let (mute, good) = (Target::mute("mute"), Target::echo("good"));
    let proxy = Proxy::start(http_with("", &[&mute, &good], &pool("errors = 2, eject = \"1h\", max_eject = \"1h\"")));
    for n in 1..=4 {
        eventually("a client of the mute one leaves", || {
            let mut client = proxy.client();
            client.send(request("GET", "/", &[]));
            let waits = client.quiet(Duration::from_millis(100)) && mute.requests() == n;
            client.reset();
            waits
        });
    }
    proxy.settles("ringway_pool_errors_total", &[("kind", "client-abort")], 4.0);
    assert_eq!(ejected(&proxy), 0.0);
}

#[test]
fn a_tcp_target_that_refuses_or_breaks_what_it_took_is_ejected() {
    let good = Target::greets("good");
    let resets = Target::with("resets", |peer| peer.leave(Leave::Reset));
    let lines = pool("errors = 3, eject = \"1h\", max_eject = \"1h\"");
    let proxy = Proxy::start(tcp_with("", &[&resets, &good], &lines));
    eventually("it is ejected", || {
        let _ = Client::try_to(&proxy.web()).map(|mut client| client.exact(4));
        ejected(&proxy) == 1.0
    });
    assert!(resets.connections() <= 6, "{} connections came to it", resets.connections());
    for _ in 0..10 {
        assert_eq!(proxy.client().exact(4).unwrap(), b"good");
    }
    let proxy = Proxy::start(tcp_with("", &[refused().to_string(), good.to_string()], &lines));
    for _ in 0..10 {
        assert_eq!(proxy.client().exact(4).unwrap(), b"good");
    }
    assert_eq!(ejected(&proxy), 1.0);
}

/// As balancers in front of this one do to see whether it is there.
#[test]
fn a_tcp_client_that_says_nothing_and_leaves_ejects_nobody() {
    let [a, b] = ["a", "b"].map(Target::greets);
    let waits = Target::with("waits", |peer| drop(peer.until_end()));
    let proxy = Proxy::start(tcp_with("", &[&waits, &a, &b], &pool("errors = 1, eject = \"1h\", max_eject = \"1h\"")));
    for n in 0..12 {
        let client = proxy.client();
        if n % 2 == 0 {
            client.finish_sending();
        } else {
            client.reset();
        }
    }
    proxy.settles("ringway_pool_in_flight", &[], 0.0);
    assert_eq!(ejected(&proxy), 0.0);
}

#[test]
fn a_monitor_and_an_open_pool_count_ejected_targets_as_down() {
    let bad = moody("bad");
    let rule = "errors = 1, max_ejected = \"100%\", eject = \"1h\", max_eject = \"1h\"";
    let alive = "\n[routes.alive]\npaths = [\"=/alive\"]\nrespond = { status = 204, fail_if_down = [\"site\"] }\n";
    let proxy = Proxy::start(http_with("", &[&bad.target], &pool(rule)) + alive);
    assert_eq!(proxy.get("/alive").status, 204);
    bad.says(503);
    until_ejected(&proxy);
    assert_eq!(proxy.get("/alive").status, 503);
    let before = bad.served();
    assert_eq!((proxy.get("/").status, bad.served()), (503, before), "nobody asks it");
    let open = Proxy::start(http_with("", &[&bad.target], &("all_down = \"open\"\n".to_owned() + &pool(rule))));
    until_ejected(&open);
    bad.says(200);
    assert_eq!(open.get("/").target(), "bad");
}
