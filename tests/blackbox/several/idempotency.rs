//! Requests with an Idempotency-Key that hosts know together: carried out once over all of them, and by each that is alone.

use super::{is_away, is_up, know_each_other, redis, store};
use crate::gateway::idempotency::{Gate, counting, open, post, refused, requests, text};
use crate::reload::{reload, rewrite};
use crate::support::proxy::{Proxy, Setup};
use crate::support::servers::Server;
use crate::support::toml::http;
use crate::support::{PATIENCE, Target, eventually};
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Instant;

/// A host whose rule `once` has these keys, with more of the store.
#[track_caller]
fn host(target: &Target, server: &Server, keys: &str, more: &str) -> Proxy {
    prepared(target, server, keys, more).start()
}

fn prepared(target: &Target, server: &Server, keys: &str, more: &str) -> Setup {
    let setup = Setup::new("");
    std::fs::write(setup.directory().join("shared"), "s".repeat(40)).unwrap();
    let rule = format!(
        "\n[routes.api]\npaths = [\"/v1/\"]\npool = \"site\"\nrules = [\"once\"]\n[rules.once]\ntype = \"idempotency\"\nscope = \"cluster\"\n{keys}\n"
    );
    setup.with(http(&[target]) + &rule + &store(server, more) + "[access_log]\npath = \"stdout\"\n")
}

#[track_caller]
fn pair(target: &Target, server: &Server, keys: &str) -> (Proxy, Proxy) {
    let (one, two) = (host(target, server, keys, ""), host(target, server, keys, ""));
    know_each_other(&[&one, &two]);
    (one, two)
}

fn shared(proxy: &Proxy, result: &str) -> f64 {
    proxy.metric("ringway_idempotency_shared_total", &[("rule", "once"), ("result", result)])
}

/// Waits until so many keys are known to the server as carried out.
#[track_caller]
fn are_told(server: &Server, count: usize) {
    eventually("what was carried out is told", || redis::<usize>(server, &["ZCARD", "ringway:once:once:all"]) == count);
}

fn keys(server: &Server) -> Vec<String> {
    let all: Vec<String> = redis(server, &["KEYS", "ringway:once:once:*"]);
    all.into_iter().filter(|key| key.len() > 60).collect()
}

#[test]
fn what_one_host_has_carried_out_the_other_gives_again() {
    let (server, target) = (Server::redis(&[]), counting(&open()));
    let (one, two) = pair(&target, &server, "");
    let first = post(&one, "/v1/x", "k", &[], "body");
    let again = post(&two, "/v1/x", "k", &[], "body");
    assert_eq!((first.status, first.text()), (201, "number 1".to_owned()));
    assert_eq!((again.status, again.text()), (201, "number 1".to_owned()));
    assert_eq!(again.field("idempotency-replayed").as_deref(), Some("true"));
    assert_eq!(again.field("location").as_deref(), Some("/v1/made"));
    refused(&post(&two, "/v1/x", "k", &[], "other"), 422, "idempotency-mismatch");
    assert_eq!(post(&two, "/v1/x", "l", &[], "body").text(), "number 2");
    refused(&post(&one, "/v1/x", "l", &[], "other"), 422, "idempotency-mismatch");
    assert_eq!(post(&one, "/v1/x", "l", &[], "body").text(), "number 2");
    assert_eq!(target.requests(), 2);
    assert_eq!([shared(&one, "claimed"), shared(&one, "alone"), shared(&one, "twice")], [1.0, 0.0, 0.0]);
    assert_eq!([requests(&two, "executed"), shared(&two, "claimed")], [1.0, 1.0]);
    // What is known of it here is asked of nobody any more.
    let asked = shared(&two, "elsewhere");
    assert_eq!(post(&two, "/v1/x", "k", &[], "body").text(), "number 1");
    assert_eq!(shared(&two, "elsewhere"), asked);
}

#[test]
fn who_comes_to_another_host_meanwhile_waits_for_the_answer_of_the_first() {
    let (server, gate) = (Server::redis(&[]), Gate::default());
    let target = counting(&gate);
    let (one, two) = pair(&target, &server, "wait = \"60s\"");
    let mut first = one.client();
    first.send(text("/v1/held", "k", &[], "body"));
    target.wait_for(1);
    let others: Vec<_> = (0..20)
        .map(|number| {
            let mut client = if number % 2 == 0 { &one } else { &two }.client();
            client.send(text("/v1/held", "k", &[], "body"));
            client
        })
        .collect();
    eventually("they wait", || shared(&two, "elsewhere") >= 1.0);
    gate.store(true, Ordering::Relaxed);
    assert_eq!(first.response().text(), "number 1");
    for mut client in others {
        let answer = client.response();
        assert_eq!((answer.status, answer.text()), (201, "number 1".to_owned()));
    }
    assert_eq!((target.requests(), requests(&two, "executed")), (1, 0.0));
}

#[test]
fn of_many_at_once_at_all_hosts_one_of_each_key_is_carried_out() {
    let (server, target) = (Server::redis(&[]), counting(&open()));
    let (one, two) = pair(&target, &server, "wait = \"60s\"");
    const KEYS: usize = 20;
    let ask = |proxy: &Proxy| {
        let mut client = proxy.client();
        let one = |key| {
            client.send(text("/v1/x", &format!("k{key}"), &[], "body"));
            client.response().text()
        };
        (0..KEYS).map(one).collect::<Vec<_>>()
    };
    let (one, two) = (&one, &two);
    let answers: Vec<Vec<String>> = thread::scope(|scope| {
        let all: Vec<_> =
            (0..8).map(|number| scope.spawn(move || ask(if number % 2 == 0 { one } else { two }))).collect();
        all.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    assert_eq!(target.requests(), KEYS);
}

#[test]
fn what_is_under_way_is_known_for_as_long_as_it_is() {
    let (server, gate) = (Server::redis(&[]), Gate::default());
    let target = counting(&gate);
    let (one, two) = pair(&target, &server, "ttl = \"1s\"");
    let mut first = one.client();
    first.send(text("/v1/held", "k", &[], "body"));
    target.wait_for(1);
    let key = keys(&server).remove(0);
    let left: i64 = redis(&server, &["PTTL", &key]);
    assert!(left > 50_000, "{left}");
    redis::<i64>(&server, &["DEL", &key]);
    eventually("it is told again", || keys(&server) == [key.as_str()]);
    let mut second = two.client();
    second.send(text("/v1/held", "k", &[], "body"));
    eventually("it waits", || shared(&two, "elsewhere") == 1.0);
    gate.store(true, Ordering::Relaxed);
    assert_eq!([first.response().text(), second.response().text()], ["number 1", "number 1"]);
    assert_eq!(target.requests(), 1);
}

#[test]
fn keys_are_shared_from_the_reload_on_that_says_so() {
    let (server, target) = (Server::redis(&[]), counting(&open()));
    let rule = "\n[routes.api]\npaths = [\"/v1/\"]\npool = \"site\"\nrules = [\"once\"]\n[rules.once]\ntype = \"idempotency\"\n";
    let text = http(&[&target]) + &store(&server, "") + rule;
    let [one, two] = [0, 1].map(|_| Setup::new(text.clone()).start());
    know_each_other(&[&one, &two]);
    assert_eq!(post(&one, "/v1/x", "k", &[], "body").text(), "number 1");
    assert_eq!(keys(&server).len(), 0);
    for proxy in [&one, &two] {
        rewrite(proxy, |text| format!("{text}scope = \"cluster\"\n"));
        reload(proxy, "applied");
    }
    eventually("what was known before is told", || keys(&server).len() == 1);
    assert_eq!(post(&two, "/v1/x", "k", &[], "body").text(), "number 1");
    assert_eq!(target.requests(), 1);
}

#[test]
fn who_waits_is_given_the_answer_though_the_server_has_lost_all_meanwhile() {
    let (server, gate) = (Server::redis(&[]), Gate::default());
    let target = counting(&gate);
    let (one, two) = pair(&target, &server, "wait = \"60s\"");
    let [mut first, mut second] = [&one, &two].map(Proxy::client);
    first.send(text("/v1/held", "k", &[], "body"));
    target.wait_for(1);
    second.send(text("/v1/held", "k", &[], "body"));
    eventually("it waits", || shared(&two, "elsewhere") == 1.0);
    redis::<String>(&server, &["FLUSHALL"]);
    eventually("it is told again", || keys(&server).len() == 1);
    gate.store(true, Ordering::Relaxed);
    assert_eq!([first.response().text(), second.response().text()], ["number 1", "number 1"]);
    assert_eq!(target.requests(), 1);
}

#[test]
fn what_is_under_way_when_its_rule_goes_is_told_all_the_same() {
    let (server, gate) = (Server::redis(&[]), Gate::default());
    let target = counting(&gate);
    let (one, two) = pair(&target, &server, "wait = \"60s\"");
    let [mut first, mut second] = [&one, &two].map(Proxy::client);
    first.send(text("/v1/held", "k", &[], "body"));
    target.wait_for(1);
    second.send(text("/v1/held", "k", &[], "body"));
    eventually("it waits", || shared(&two, "elsewhere") == 1.0);
    rewrite(&one, |text| {
        text.replace("rules = [\"once\"]", "rules = []")
            .replace("type = \"idempotency\"", "type = \"idempotency\"\nmode = \"off\"")
    });
    reload(&one, "applied");
    gate.store(true, Ordering::Relaxed);
    assert_eq!([first.response().text(), second.response().text()], ["number 1", "number 1"]);
    assert_eq!(target.requests(), 1);
}

#[test]
fn what_a_host_that_ends_has_no_time_for_is_not_carried_out_again() {
    let (server, gate) = (Server::redis(&[]), Gate::default());
    let target = counting(&gate);
    let mut one = prepared(&target, &server, "", "").runtime("shutdown_timeout = \"200ms\"").start();
    let two = host(&target, &server, "wait = \"60s\"", "");
    know_each_other(&[&one, &two]);
    let [mut first, mut second] = [&one, &two].map(Proxy::client);
    first.send(text("/v1/held", "k", &[], "body"));
    target.wait_for(1);
    second.send(text("/v1/held", "k", &[], "body"));
    eventually("it waits", || shared(&two, "elsewhere") == 1.0);
    one.signal(libc::SIGTERM);
    one.exit();
    refused(&second.response(), 409, "idempotency-unkept");
    gate.store(true, Ordering::Relaxed);
    assert_eq!(target.requests(), 1);
}

#[test]
fn who_comes_after_an_upgrade_is_given_what_another_host_has_carried_out() {
    let (server, gate) = (Server::redis(&[]), Gate::default());
    let target = counting(&gate);
    let (one, mut two) = pair(&target, &server, "wait = \"60s\"");
    let [mut first, mut second] = [&one, &two].map(Proxy::client);
    first.send(text("/v1/held", "k", &[], "body"));
    target.wait_for(1);
    second.send(text("/v1/held", "k", &[], "body"));
    eventually("it waits", || shared(&two, "elsewhere") == 1.0);
    two.upgrade();
    let mut third = two.client();
    third.send(text("/v1/held", "k", &[], "body"));
    gate.store(true, Ordering::Relaxed);
    for mut client in [first, second, third] {
        assert_eq!(client.response().text(), "number 1");
    }
    assert_eq!(target.requests(), 1);
}

#[test]
fn what_is_under_way_in_the_process_before_is_given_by_the_next_one() {
    let (server, gate) = (Server::redis(&[]), Gate::default());
    let target = counting(&gate);
    let (mut one, two) = pair(&target, &server, "wait = \"60s\"");
    let mut first = one.client();
    first.send(text("/v1/held", "k", &[], "body"));
    target.wait_for(1);
    one.upgrade();
    let [mut second, mut third] = [&one, &two].map(Proxy::client);
    second.send(text("/v1/held", "k", &[], "body"));
    third.send(text("/v1/held", "k", &[], "body"));
    eventually("the other host waits", || shared(&two, "elsewhere") == 1.0);
    gate.store(true, Ordering::Relaxed);
    for mut client in [first, second, third] {
        assert_eq!(client.response().text(), "number 1");
    }
    assert_eq!(target.requests(), 1);
}

#[test]
fn a_server_that_takes_nothing_in_fails_no_request() {
    let (server, target) = (Server::redis(&[]), counting(&open()));
    let (one, two) = pair(&target, &server, "");
    redis::<String>(&server, &["CONFIG", "SET", "maxmemory", "1"]);
    for proxy in [&one, &two] {
        assert_eq!(post(proxy, "/v1/x", "k", &[], "body").status, 201);
    }
    redis::<String>(&server, &["CONFIG", "SET", "maxmemory", "0"]);
    eventually("it is told later", || shared(&one, "twice") + shared(&two, "twice") == 1.0);
    assert_eq!(target.requests(), 2);
}

#[test]
fn what_came_to_no_answer_is_carried_out_by_whoever_gets_it_again() {
    let (server, target) = (Server::redis(&[]), counting(&open()));
    let (one, two) = pair(&target, &server, "");
    assert_eq!(post(&one, "/v1/fails", "k", &[], "body").status, 500);
    // Be it that the other is not told yet.
    assert_eq!(post(&two, "/v1/fails", "k", &[], "body").text(), "number 2");
    assert_eq!(post(&one, "/v1/fails", "k", &[], "body").text(), "number 2");
    assert_eq!(target.requests(), 2);
}

#[test]
fn without_the_server_each_host_goes_by_itself_and_tells_once_it_is_back() {
    let (mut server, target) = (Server::redis(&[]), counting(&open()));
    let (one, two) = pair(&target, &server, "");
    assert_eq!(post(&one, "/v1/x", "before", &[], "body").text(), "number 1");
    server.kill();
    [&one, &two].into_iter().for_each(is_away);
    assert_eq!(post(&one, "/v1/x", "k", &[], "body").text(), "number 2");
    assert_eq!(post(&one, "/v1/x", "k", &[], "body").text(), "number 2", "it knows its own");
    one.out.wait(&["\"idempotency\":\"alone\"", "\"status\":201"]);
    assert_eq!(post(&two, "/v1/x", "both", &[], "body").text(), "number 3");
    assert_eq!(post(&one, "/v1/x", "both", &[], "body").text(), "number 4");
    assert_eq!(shared(&one, "alone"), 2.0);
    // It keeps nothing on a disk.
    server.revive();
    for proxy in [&one, &two] {
        is_up(proxy);
    }
    assert_eq!(post(&two, "/v1/x", "k", &[], "body").text(), "number 2");
    assert_eq!(post(&two, "/v1/x", "before", &[], "body").text(), "number 1");
    eventually("it is seen that one was carried out twice", || shared(&one, "twice") + shared(&two, "twice") == 1.0);
    let told = [&one, &two].map(|proxy| proxy.log.count(&["was carried out here and at another host"]));
    assert_eq!(told.iter().sum::<usize>(), 1, "{told:?}");
    assert_eq!(target.requests(), 4);
}

#[test]
fn nobody_believes_a_server_that_is_emptied_before_it_is_told_again() {
    let (server, target) = (Server::redis(&[]), counting(&open()));
    let (one, two) = pair(&target, &server, "");
    assert_eq!(post(&one, "/v1/x", "k", &[], "body").text(), "number 1");
    are_told(&server, 1);
    redis::<String>(&server, &["FLUSHALL"]);
    assert_eq!(post(&two, "/v1/x", "k", &[], "body").text(), "number 1");
    assert_eq!(target.requests(), 1);
}

#[test]
fn nobody_believes_a_server_that_comes_back_from_a_former_state_before_it_is_told_again() {
    let (mut server, target) = (Server::redis(&[]), counting(&open()));
    let (one, two) = pair(&target, &server, "");
    assert_eq!(redis::<String>(&server, &["SAVE"]), "OK");
    let beats = || redis::<Vec<(String, f64)>>(&server, &["ZRANGE", "ringway:hosts", "0", "-1", "WITHSCORES"]);
    let before = beats();
    eventually("both are heard of again", || beats().iter().all(|beat| !before.contains(beat)));
    assert_eq!(post(&one, "/v1/x", "k", &[], "body").text(), "number 1");
    are_told(&server, 1);
    server.kill();
    server.revive();
    two.log.wait(&["redis is back"]);
    assert_eq!(post(&two, "/v1/x", "k", &[], "body").text(), "number 1");
    assert_eq!(target.requests(), 1);
}

#[test]
fn without_the_server_what_is_new_is_refused_where_that_is_wanted() {
    let (mut server, target) = (Server::redis(&[]), counting(&open()));
    let (one, two) = pair(&target, &server, "when_away = \"refuse\"");
    assert_eq!(post(&one, "/v1/x", "k", &[], "body").text(), "number 1");
    server.kill();
    is_away(&one);
    refused(&post(&one, "/v1/x", "l", &[], "body"), 503, "idempotency-away");
    assert_eq!(post(&one, "/v1/x", "k", &[], "body").text(), "number 1", "what it knows it gives");
    assert_eq!(one.client().post("/v1/x", b"body").text(), "number 2", "without a key nothing is asked");
    assert_eq!(requests(&one, "away"), 1.0);
    server.revive();
    is_up(&one);
    is_up(&two);
    assert_eq!(post(&one, "/v1/x", "l", &[], "body").text(), "number 3");
    assert_eq!(post(&two, "/v1/x", "l", &[], "body").text(), "number 3");
}

#[test]
fn what_was_refused_as_the_server_said_nothing_is_free_at_all_hosts() {
    let (server, target) = (Server::redis(&[]), counting(&open()));
    let (one, two) = pair(&target, &server, "when_away = \"refuse\"\nwait = \"0s\"");
    // By then the server knows the question by its name.
    assert_eq!(post(&one, "/v1/x", "first", &[], "body").status, 201);
    server.freeze();
    refused(&post(&one, "/v1/x", "k", &[], "body"), 503, "idempotency-away");
    server.thaw();
    is_up(&one);
    is_up(&two);
    eventually("another host carries it out", || post(&two, "/v1/x", "k", &[], "body").status == 201);
    assert_eq!(target.requests(), 2);
}

#[test]
fn a_server_that_throws_away_what_it_has_no_room_for_is_warned_of() {
    let target = counting(&open());
    for (policy, is_told) in [("allkeys-lru", true), ("noeviction", false)] {
        let server = Server::redis(&["--maxmemory", "100mb", "--maxmemory-policy", policy]);
        let proxy = host(&target, &server, "", "");
        // It is told before.
        proxy.log.wait(&["redis is there"]);
        assert_eq!(proxy.log.contains(&["set its maxmemory-policy to noeviction"]), is_told, "{policy}");
    }
}

#[test]
fn a_server_that_is_slow_holds_nobody_up_for_long() {
    let (server, target) = (Server::redis(&[]), counting(&open()));
    let (one, two) = pair(&target, &server, "");
    server.freeze();
    for key in 0..20 {
        let begun = Instant::now();
        assert_eq!(post(&one, "/v1/x", &format!("k{key}"), &[], "body").status, 201);
        assert!(begun.elapsed() < PATIENCE / 4, "a request waited");
    }
    server.thaw();
    is_up(&one);
    is_up(&two);
    are_told(&server, 20);
    assert_eq!(post(&two, "/v1/x", "k19", &[], "body").text(), "number 20");
    assert_eq!(target.requests(), 20);
}

#[test]
fn what_was_under_way_at_a_host_that_is_gone_is_not_carried_out_again() {
    let (server, gate) = (Server::redis(&[]), Gate::default());
    let target = counting(&gate);
    let (mut one, two) = pair(&target, &server, "wait = \"60s\"");
    let mut first = one.client();
    first.send(text("/v1/held", "k", &[], "body"));
    target.wait_for(1);
    let mut second = two.client();
    second.send(text("/v1/held", "k", &[], "body"));
    eventually("it waits", || shared(&two, "elsewhere") == 1.0);
    one.signal(libc::SIGKILL);
    one.exit();
    refused(&second.response(), 409, "idempotency-unkept");
    refused(&post(&two, "/v1/held", "k", &[], "body"), 409, "idempotency-unkept");
    gate.store(true, Ordering::Relaxed);
    assert_eq!(target.requests(), 1);
}

#[test]
fn a_host_that_ends_tells_what_it_has_carried_out_to_the_last() {
    let (server, gate) = (Server::redis(&[]), Gate::default());
    let target = counting(&gate);
    let (mut one, two) = pair(&target, &server, "wait = \"60s\"");
    let mut first = one.client();
    first.send(text("/v1/held", "k", &[], "body"));
    target.wait_for(1);
    one.signal(libc::SIGTERM);
    gate.store(true, Ordering::Relaxed);
    assert_eq!(first.response().text(), "number 1");
    one.exit();
    assert_eq!(post(&two, "/v1/held", "k", &[], "body").text(), "number 1");
    assert_eq!(target.requests(), 1);
}

#[test]
fn the_server_holds_no_more_than_rules_allow() {
    let (server, target) = (Server::redis(&[]), counting(&open()));
    let (one, two) = pair(&target, &server, "max_keys = 3");
    for key in 0..10 {
        post(&one, "/v1/x", &format!("k{key}"), &[], "body");
    }
    eventually("others are forgotten", || keys(&server).len() == 3);
    are_told(&server, 3);
    assert_eq!(post(&two, "/v1/x", "k9", &[], "body").text(), "number 10");
    // The oldest were forgotten, at both.
    assert_eq!(post(&two, "/v1/x", "k0", &[], "body").text(), "number 11");
}

#[test]
fn answers_that_are_too_many_for_the_server_give_way_and_their_keys_stay_known() {
    let (server, target) = (Server::redis(&[]), counting(&open()));
    let (one, two) = pair(&target, &server, "max_body = \"1MiB\"\nmemory = \"2MiB\"");
    for key in 0..3 {
        assert_eq!(post(&one, "/v1/some", &format!("k{key}"), &[], "body").body.len(), 900_000);
        are_told(&server, key + 1);
    }
    assert_eq!(keys(&server).len(), 3);
    let bytes: usize = redis(&server, &["GET", "ringway:once:once:bytes"]);
    assert!(bytes <= 2 << 20, "{bytes}");
    refused(&post(&two, "/v1/some", "k0", &[], "body"), 409, "idempotency-unkept");
    assert_eq!(post(&two, "/v1/some", "k2", &[], "body").body.len(), 900_000);
    assert_eq!(target.requests(), 3);
}

#[test]
fn keys_that_are_too_many_are_refused_at_all_hosts_where_that_is_wanted() {
    let (server, target) = (Server::redis(&[]), counting(&open()));
    let (one, two) = pair(&target, &server, "max_keys = 2\nwhen_full = \"refuse\"");
    for key in ["a", "b"] {
        assert_eq!(post(&one, "/v1/x", key, &[], "body").status, 201);
    }
    are_told(&server, 2);
    refused(&post(&two, "/v1/x", "c", &[], "body"), 503, "idempotency-full");
    assert_eq!(post(&two, "/v1/x", "b", &[], "body").text(), "number 2");
    assert_eq!(target.requests(), 2);
}

#[test]
fn with_a_secret_the_server_never_sees_answers() {
    let (server, target) = (Server::redis(&[]), counting(&open()));
    let [one, two] = [0, 1].map(|_| host(&target, &server, "", "secret_file = \"shared\""));
    know_each_other(&[&one, &two]);
    assert_eq!(post(&one, "/v1/x", "k", &[], "body").text(), "number 1");
    are_told(&server, 1);
    let all = keys(&server);
    let [key] = &all[..] else { panic!("{all:?}") };
    let kept: Vec<u8> = redis(&server, &["GET", key]);
    assert!(kept.len() > 100 && !kept.windows(6).any(|part| part == b"number"), "{}", kept.escape_ascii());
    assert_eq!(post(&two, "/v1/x", "k", &[], "body").text(), "number 1");
    // Without it nothing of that is given, and nothing is carried out again.
    let stranger = host(&target, &server, "", "");
    is_up(&stranger);
    refused(&post(&stranger, "/v1/x", "k", &[], "body"), 409, "idempotency-unkept");
    assert_eq!(target.requests(), 1);
}

#[test]
fn what_another_has_written_there_does_no_harm() {
    let (server, target) = (Server::redis(&[]), counting(&open()));
    let (one, two) = pair(&target, &server, "");
    assert_eq!(post(&one, "/v1/x", "k", &[], "body").text(), "number 1");
    are_told(&server, 1);
    let key = keys(&server).remove(0);
    let whole: Vec<u8> = redis(&server, &["GET", &key]);
    let torn = &String::from_utf8_lossy(&whole[..1]);
    for (number, text) in ["", "x", torn, &"r".repeat(48), &"u".repeat(49)].into_iter().enumerate() {
        redis::<String>(&server, &["SET", &key, text]);
        let late = host(&target, &server, "", "");
        is_up(&late);
        let status = post(&late, "/v1/x", "k", &[], "body").status;
        assert!([409, 422].contains(&status), "{number}: {status}");
    }
    assert_eq!(target.requests(), 1);
    // A key of another type: nobody can be asked.
    redis::<i64>(&server, &["DEL", &key]);
    redis::<i64>(&server, &["LPUSH", &key, "x"]);
    let late = host(&target, &server, "", "");
    is_up(&late);
    assert_eq!(post(&late, "/v1/x", "k", &[], "body").status, 201);
    // Others are told and asked all the same.
    assert_eq!(post(&late, "/v1/x", "l", &[], "body").text(), "number 3");
    eventually("it is told", || keys(&server).len() == 2);
    assert_eq!(post(&two, "/v1/x", "l", &[], "body").text(), "number 3");
}
