//! Parts that fail: what stands for them, what is said of it, and when there is no answer.

use super::{config, json, says};
use crate::support::proxy::Setup;
use crate::support::target::refused;
use crate::support::{Proxy, Target, client, eventually, h2};
use std::fmt::Display;

const JSON: &str = "Content-Type: application/json\r\n";
const LIMITS: &str = "timeout = \"400ms\"\nmax_body = \"1KiB\"\nmax_depth = 4\nmax_members = 10";

/// What fails in each way there is: its address, what the log says, the metric's word, and the status of the whole without it.
struct Failing {
    what: &'static str,
    address: Box<dyn Display>,
    word: &'static str,
    result: &'static str,
    status: u16,
}

fn failing() -> Vec<Failing> {
    let one =
        |what, target: Box<dyn Display>, word, result, status| Failing { what, address: target, word, result, status };
    let large = "[".to_owned() + &"1,".repeat(600) + "1]";
    let chunked = Target::says(
        "chunked",
        format!("HTTP/1.1 200 OK\r\n{JSON}Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{large}\r\n0\r\n\r\n", large.len()),
    );
    let cut = Target::says_and_closes("cut", format!("HTTP/1.1 200 OK\r\n{JSON}Content-Length: 100\r\n\r\n{{\"a\":"));
    vec![
        one("dead", Box::new(refused()), "connect", "failed", 502),
        one("mute", Box::new(Target::mute("mute")), "timeout", "timeout", 504),
        one(
            "stalled",
            Box::new(Target::says("stalled", format!("HTTP/1.1 200 OK\r\n{JSON}Content-Length: 9\r\n\r\n[1"))),
            "timeout",
            "timeout",
            504,
        ),
        one("error", Box::new(says("error", "500 Oops", JSON, "{\"password\":1}")), "status-500", "status", 502),
        one("moved", Box::new(says("moved", "302 Found", "Location: /x\r\n", "")), "status-302", "status", 502),
        one("page", Box::new(says("page", "200 OK", "Content-Type: text/html\r\n", "<p>")), "type", "type", 502),
        one("untyped", Box::new(says("untyped", "200 OK", "", "{}")), "type", "type", 502),
        one(
            "coded",
            Box::new(says("coded", "200 OK", &format!("{JSON}Content-Encoding: gzip\r\n"), "{}")),
            "type",
            "type",
            502,
        ),
        one("half", Box::new(json("half", "{\"a\":")), "bad-json", "bad-json", 502),
        one("two", Box::new(json("two", "{} {}")), "bad-json", "bad-json", 502),
        one("empty", Box::new(json("empty", "")), "bad-json", "bad-json", 502),
        one("twice", Box::new(json("twice", "{\"a\":1,\"a\":2}")), "json-duplicate", "bad-json", 502),
        one("deep", Box::new(json("deep", "[[[[[]]]]]")), "json-depth", "bad-json", 502),
        one("wide", Box::new(json("wide", "[1,2,3,4,5,6,7,8,9,10,11]")), "json-members", "bad-json", 502),
        one("large", Box::new(json("large", &large)), "too-large", "too-large", 502),
        one("chunked", Box::new(chunked), "too-large", "too-large", 502),
        one("cut", Box::new(cut), "reset", "failed", 502),
    ]
}

#[test]
fn what_stands_for_a_part_that_fails_is_in_its_place_and_what_is_missing_is_said() {
    let good = json("good", "{\"x\":1}");
    for Failing { what, address, word, result, .. } in failing() {
        let keys = format!("on_failure = \"partial\"\ncache_control = \"max-age=60\"\n{LIMITS}");
        let parts: [(&str, &dyn Display, &str); 2] =
            [("bad", &address, "default = '{\"items\": []}'"), ("good", &good, "")];
        let proxy = Proxy::start(config("", &keys, &parts) + "\n[access_log]\n");
        let mut client = proxy.client();
        for _ in 0..2 {
            let answer = client.get("/whole/7");
            assert_eq!(
                (answer.status, answer.text().as_str()),
                (200, "{\"bad\":{\"items\": []},\"good\":{\"x\":1}}"),
                "{what}"
            );
            assert_eq!(answer.field("ringway-partial").as_deref(), Some("bad"), "{what}");
            assert_eq!(answer.field("cache-control").as_deref(), Some("no-store"), "{what}");
        }
        proxy.out.wait(&["\"status\":200", &format!("\"missing\":\"bad={word}\"")]);
        proxy.settles("ringway_aggregate_parts_total", &[("part", "bad"), ("result", result)], 2.0);
        proxy.settles("ringway_aggregate_parts_total", &[("part", "good"), ("result", "good")], 2.0);
    }
}

#[test]
fn without_a_part_that_is_required_there_is_no_answer_and_no_word_of_its_target() {
    let good = json("good", "{\"x\":1}");
    for Failing { what, address, word, status, .. } in failing() {
        let parts: [(&str, &dyn Display, &str); 2] = [("good", &good, "required = false"), ("bad", &address, "")];
        let proxy = Proxy::start(config("", LIMITS, &parts) + "\n[access_log]\n");
        let mut client = proxy.client();
        for _ in 0..2 {
            let answer = client.get("/whole/7");
            assert_eq!(answer.status, status, "{what}");
            assert_eq!(answer.field("content-type").as_deref(), Some("application/problem+json"), "{what}");
            let problem: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
            assert_eq!(
                (problem["status"].as_u64(), problem["part"].as_str()),
                (Some(status.into()), Some("bad")),
                "{what}"
            );
            assert!(!answer.text().contains(&address.to_string()) && !answer.text().contains("password"), "{what}");
        }
        proxy.out.wait(&[&format!("\"status\":{status}"), &format!("\"missing\":\"bad={word}\""), "\"reason\":\""]);
    }
}

#[test]
fn a_status_may_be_passed_on_or_expected_and_no_content_is_no_failure() {
    let (gone, none) =
        (says("gone", "404 Not Found", JSON, "{}"), Target::says("none", "HTTP/1.1 204 No Content\r\n\r\n"));
    let odd = says("odd", "404 Not Found", JSON, "{\"why\":1}");
    let passed = config("", "", &[("gone", &gone, "pass_status = \"401,404\"")]);
    let answer = Proxy::start(passed).get("/whole/7");
    assert_eq!((answer.status, answer.text().contains("\"part\":\"gone\"")), (404, true));
    let parts: [(&str, &dyn Display, &str); 3] = [
        ("none", &none, "default = \"[]\""),
        ("odd", &odd, "expect = \"200-299,404\""),
        ("more", &none, "merge = true"),
    ];
    let answer = Proxy::start(config("", "", &parts)).get("/whole/7");
    assert_eq!((answer.status, answer.text().as_str()), (200, "{\"none\":[],\"odd\":{\"why\":1}}"));
    assert_eq!(answer.field("ringway-partial"), None);
}

#[test]
fn what_is_merged_is_an_object_and_all_together_have_a_bound() {
    let (list, half) = (json("list", "[1]"), json("half", &format!("\"{}\"", "x".repeat(600))));
    let keys = "on_failure = \"partial\"\nmax_total = \"1000B\"";
    let parts: [(&str, &dyn Display, &str); 3] = [("list", &list, "merge = true"), ("a", &half, ""), ("b", &half, "")];
    let proxy = Proxy::start(config("", keys, &parts) + "\n[access_log]\n");
    let answer = proxy.get("/whole/7");
    assert_eq!(answer.status, 200);
    let missing = answer.field("ringway-partial").unwrap();
    // Which of the two came first, nobody knows.
    assert!(missing == "list, a" || missing == "list, b", "{missing}");
    proxy.out.wait(&["\"missing\":\"list=no-object", "=too-large\""]);
}

#[test]
fn what_is_held_of_parts_has_its_share_of_memory_and_gives_it_back() {
    let (large, small) = (json("large", &format!("\"{}\"", "x".repeat(3000))), json("small", "1"));
    let parts: [(&str, &dyn Display, &str); 2] = [("large", &large, ""), ("small", &small, "")];
    let text = config("", "on_failure = \"partial\"", &parts) + "\n[limits]\nbuffers = \"2KiB\"\n[access_log]\n";
    let proxy = Setup::new(text).workers(1).start();
    let answer = proxy.get("/whole/7");
    assert_eq!((answer.status, answer.text().as_str()), (200, "{\"large\":null,\"small\":1}"));
    proxy.out.wait(&["\"missing\":\"large=no-room\""]);
    proxy.settles("ringway_aggregate_parts_total", &[("part", "large"), ("result", "no-room")], 1.0);
    proxy.settles("ringway_worker_buffered_bytes", &[], 0.0);
}

#[test]
fn where_no_part_comes_there_is_no_answer_though_none_is_required() {
    let (a, b) = (refused(), says("b", "503 Busy", JSON, "{}"));
    let proxy = Proxy::start(config("", "on_failure = \"partial\"", &[("a", &a, ""), ("b", &b, "")]));
    let answer = proxy.get("/whole/7");
    assert_eq!((answer.status, answer.text().contains("\"part\":\"a\"")), (502, true));
}

#[test]
fn a_client_that_leaves_takes_its_parts_along() {
    let (mute, slow) = (Target::mute("mute"), Target::mute("slow"));
    let parts: [(&str, &dyn Display, &str); 2] = [("mute", &mute, ""), ("slow", &slow, "required = false")];
    let proxy = Proxy::start(config("", "timeout = \"10m\"", &parts) + "\n[access_log]\n");
    let mut leaving = proxy.client();
    leaving.send("GET /whole/7 HTTP/1.1\r\nHost: site.test\r\n\r\n");
    mute.wait_for(1);
    slow.wait_for(1);
    drop(leaving);
    let mut frames = h2::Frames::to(&proxy.web());
    let path = [(":method", "GET"), (":scheme", "http"), (":authority", "site.test"), (":path", "/whole/8")];
    frames.send(1, 5, 1, &h2::block(&path)).unwrap();
    mute.wait_for(2);
    slow.wait_for(2);
    frames.send(3, 0, 1, &8_u32.to_be_bytes()).unwrap();
    eventually("the targets are let go", || mute.open() == 0 && slow.open() == 0);
    for part in ["mute", "slow"] {
        proxy.settles("ringway_aggregate_parts_total", &[("part", part), ("result", "given-up")], 2.0);
        proxy.settles("ringway_pool_in_flight", &[("pool", part)], 0.0);
    }
    proxy.out.wait(&["\"reason\":\"client-abort\"", "/whole/7"]);
}

#[test]
fn a_part_that_is_required_and_fails_ends_the_wait_for_the_others() {
    let (mute, bad) = (Target::mute("mute"), says("bad", "500 Oops", JSON, "{}"));
    let proxy = Proxy::start(config("", "timeout = \"10m\"", &[("mute", &mute, ""), ("bad", &bad, "")]));
    // Would it wait for the other, that would be for ten minutes.
    assert_eq!(proxy.get("/whole/7").status, 502);
    proxy.settles("ringway_aggregate_parts_total", &[("part", "mute"), ("result", "given-up")], 1.0);
}

#[test]
fn no_request_fails_while_the_target_of_a_part_that_is_not_required_dies_and_returns() {
    let (user, mut extra) = (json("user", "{\"id\":7}"), json("extra", "[1,2]"));
    let parts: [(&str, &dyn Display, &str); 2] =
        [("user", &user, ""), ("extra", &extra, "required = false\ndefault = \"[]\"")];
    let proxy = Proxy::start(config("", "", &parts));
    let web = proxy.web();
    let (whole, partial) = ("{\"user\":{\"id\":7},\"extra\":[1,2]}", "{\"user\":{\"id\":7},\"extra\":[]}");
    let ask = |clients: usize, each: usize| -> (usize, usize) {
        let counts: Vec<(usize, usize)> = std::thread::scope(|scope| {
            let one = || {
                let mut client = client::Client::to(&web);
                let mut counts = (0, 0);
                for n in 0..each {
                    let answer = client.get(&format!("/whole/{n}"));
                    match (answer.status, answer.text().as_str(), answer.field("ringway-partial").as_deref()) {
                        (200, text, None) if text == whole => counts.0 += 1,
                        (200, text, Some("extra")) if text == partial => counts.1 += 1,
                        wrong => panic!("{wrong:?}"),
                    }
                }
                counts
            };
            let all: Vec<_> = (0..clients).map(|_| scope.spawn(one)).collect();
            all.into_iter().map(|one| one.join().unwrap()).collect()
        });
        counts.iter().fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
    };
    assert_eq!(ask(4, 100), (400, 0));
    let before = user.requests();
    let (good, lacking) = std::thread::scope(|scope| {
        let load = scope.spawn(|| ask(4, 100));
        eventually("the load is under way", || user.requests() > before + 50);
        extra.kill();
        load.join().unwrap()
    });
    assert_eq!(good + lacking, 400);
    let (_, lacking) = ask(2, 50);
    assert_eq!(lacking, 100, "it is dead");
    extra.revive();
    assert_eq!(ask(4, 25), (100, 0), "it is back");
}
