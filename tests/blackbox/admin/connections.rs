//! Clients' connections as operators see and end them, and clients that they refuse.

use super::start;
use crate::support::client::{Client, fetch, request};
use crate::support::h2;
use crate::support::proxy::Proxy;
use crate::support::target::Target;
use crate::support::toml::{http, http_with, tcp};
use crate::support::{eventually, rounds, within};
use ::http::Method;
use serde_json::Value;
use std::thread;
use std::time::Duration;

const JSON: &str = "\n[access_log]\npath = \"stdout\"\nformat = \"json\"\n";

fn items(list: &Value) -> &Vec<Value> {
    list["items"].as_array().unwrap()
}

#[track_caller]
fn record(proxy: &Proxy, part: &str) -> Value {
    serde_json::from_str(&proxy.out.wait(&[part])).unwrap()
}

#[test]
fn open_connections_are_listed_and_filtered() {
    let (a, b) = (Target::echo("a"), Target::echo("b"));
    let desk = start(
        &(http(&[&a])
            + &format!(
                "[listeners.other]\nlisten = [\"127.0.0.1:0\"]\npool = \"more\"\n[pools.more]\ntargets = [\"{b}\"]\n"
            )),
    );
    let mut clients: Vec<Client> = (0..3).map(|_| desk.proxy.client()).collect();
    let mut far = Client::from("127.0.0.7", &desk.proxy.at("other"));
    clients.iter_mut().chain([&mut far]).for_each(|client| drop(client.get("/")));
    let all = desk.operator.get("/v1/connections");
    assert_eq!(items(&all).len(), 4);
    let port = far.socket.local_addr().unwrap().as_socket().unwrap().port();
    let one = desk.operator.get("/v1/connections?client=127.0.0.7");
    let [one] = &items(&one)[..] else { panic!("{one}") };
    assert_eq!(one["client"], format!("127.0.0.7:{port}"));
    assert_eq!((&one["listener"], &one["protocol"]), (&"other".into(), &"h1".into()));
    assert_eq!(one["target"], b.to_string());
    assert!(one["age"].as_u64().unwrap() < 60);
    for (query, count) in [
        ("listener=web", 3),
        ("listener=other", 1),
        ("client=127.0.0.0/24", 4),
        ("client=10.0.0.0%2F8", 0),
        (&*format!("target={a}"), 3),
        (&*format!("target={b}&listener=web"), 0),
    ] {
        assert_eq!(items(&desk.operator.get(&format!("/v1/connections?{query}"))).len(), count, "{query}");
    }
    desk.operator.wrong("GET", "/v1/connections?listener=nosuch", "", 404);
    desk.operator.wrong("GET", "/v1/connections?after=x", "", 422);
    drop((clients, far));
    eventually("those that are gone are not listed", || items(&desk.operator.get("/v1/connections")).is_empty());
}

#[test]
fn many_connections_come_in_parts_each_once_and_hold_up_nobody() {
    let target = Target::echo("a");
    let desk = start(&http(&[&target]));
    let count = rounds(1500, 700);
    let clients: Vec<Client> = (0..count).map(|_| desk.proxy.client()).collect();
    eventually("all are open", || desk.operator.get("/v1/status")["connections"]["open"] == count);
    let (mut ids, mut after) = (Vec::new(), String::new());
    loop {
        let part = desk.operator.get(&format!("/v1/connections?limit=300{after}"));
        ids.extend(items(&part).iter().map(|one| one["id"].as_str().unwrap().to_owned()));
        match part["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    assert_eq!(ids.len(), count);
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), count);
    let closed = desk.operator.told("DELETE", "/v1/connections?listener=web", "", 200);
    assert_eq!((&closed["closed"], &closed["more"]), (&count.into(), &false.into()));
    eventually("all are closed", || desk.operator.get("/v1/status")["connections"]["open"] == 0);
    drop(clients);
}

#[test]
fn an_idle_connection_is_ended_by_its_id_and_no_other() {
    let target = Target::echo("a");
    let desk = start(&http(&[&target]));
    let (mut one, mut other) = (Client::from("127.0.0.8", &desk.proxy.web()), desk.proxy.client());
    assert_eq!((one.get("/").status, other.get("/").status), (200, 200));
    let id = items(&desk.operator.get("/v1/connections?client=127.0.0.8"))[0]["id"].as_str().unwrap().to_owned();
    desk.operator.told("DELETE", &format!("/v1/connections/{id}"), "", 204);
    one.ending();
    assert!(other.alive());
    desk.operator.wrong("DELETE", &format!("/v1/connections/{id}"), "", 404);
    desk.operator.wrong("DELETE", "/v1/connections/99-0-0-0", "", 404);
    desk.operator.wrong("DELETE", "/v1/connections/nonsense", "", 404);
    let detail = desk.operator.wrong("DELETE", "/v1/connections", "", 422);
    assert!(detail.contains("say which"), "{detail}");
}

#[test]
fn an_exchange_that_an_operator_ends_is_logged_as_such_and_its_target_freed() {
    let target = Target::mute("a");
    let desk = start(&(http(&[&target]) + JSON));
    let mut client = desk.proxy.client();
    client.send(request("GET", "/held", &[]));
    target.wait_for(1);
    let closed = desk.operator.told("DELETE", &format!("/v1/connections?target={target}"), "", 200);
    assert_eq!(closed["closed"], 1);
    client.ending();
    let record = record(&desk.proxy, "/held");
    assert_eq!(record["reason"], "closed-by-operator", "{record}");
    assert!(record["termination"].as_str().unwrap().starts_with('K'), "{record}");
    desk.proxy.settles("ringway_target_in_flight", &[], 0.0);
    desk.proxy.settles("ringway_connections_open", &[], 0.0);
}

#[test]
fn every_stream_of_a_connection_that_an_operator_ends_is_logged_as_such() {
    let target = Target::mute("a");
    let desk = start(&(http(&[&target]) + JSON));
    let client = h2::Client::to(&desk.proxy.web());
    thread::scope(|scope| {
        let asked =
            scope.spawn(|| client.ask_all((0..3).map(|n| h2::request(Method::GET, &format!("/held{n}"))).collect()));
        target.wait_for(3);
        let list = desk.operator.get("/v1/connections");
        assert_eq!((items(&list).len(), &items(&list)[0]["protocol"]), (1, &"h2".into()));
        assert_eq!(desk.operator.told("DELETE", "/v1/connections?listener=web", "", 200)["closed"], 1);
        assert!(asked.join().unwrap().iter().all(Result::is_err));
    });
    for n in 0..3 {
        let record = record(&desk.proxy, &format!("/held{n}"));
        assert_eq!(record["reason"], "closed-by-operator", "{record}");
    }
    desk.proxy.settles("ringway_target_in_flight", &[], 0.0);
}

#[test]
fn a_tunnel_is_ended_both_ways_though_its_target_says_nothing() {
    // It does not mind that nobody sends any more.
    let deaf = Target::with("deaf", |peer| {
        let _ = peer.exact(1);
        thread::sleep(Duration::from_secs(20));
    });
    let desk = start(&(tcp(&[&deaf]) + JSON));
    let mut client = desk.proxy.client();
    client.send("x");
    eventually("it is joined", || {
        items(&desk.operator.get(&format!("/v1/connections?target={deaf}")))
            .iter()
            .any(|one| one["protocol"] == "tunnel")
    });
    desk.operator.told("DELETE", "/v1/connections?client=127.0.0.0%2F8", "", 200);
    client.ending();
    let record = record(&desk.proxy, "\"protocol\":\"TCP\"");
    assert_eq!(record["reason"], "closed-by-operator", "{record}");
    assert!(record["termination"].as_str().unwrap().starts_with("KD"), "{record}");
    desk.proxy.settles("ringway_pool_errors_total", &[("kind", "closed-by-operator")], 1.0);
}

#[test]
fn a_banned_client_is_refused_before_anything_else_until_its_time_is_over() {
    let target = Target::echo("a");
    let desk = start(&http(&[&target]));
    let mut open = Client::from("127.0.0.9", &desk.proxy.web());
    assert_eq!(open.get("/").status, 200);
    let ban = desk.operator.told("PUT", "/v1/bans/127.0.0.9", "{\"for\":\"2s\",\"reason\":\"probing\"}", 200);
    assert_eq!((&ban["client"], &ban["left"]), (&"127.0.0.9/32".into(), &2.into()));
    Client::from("127.0.0.9", &desk.proxy.web()).ending();
    desk.proxy.settles("ringway_refused_total", &[("reason", "banned")], 1.0);
    assert_eq!(open.get("/").status, 403, "who is in gets no further");
    assert_eq!(desk.proxy.get("/").status, 200, "others do");
    let back = || Client::from("127.0.0.9", &desk.proxy.web()).try_send(request("GET", "/", &[])).is_ok();
    assert!(within(Duration::from_secs(10), || {
        let mut client = Client::from("127.0.0.9", &desk.proxy.web());
        client.try_send(request("GET", "/", &[])).is_ok() && client.response_to("GET").is_ok_and(|r| r.status == 200)
    }));
    assert!(back());
    eventually("what is over is swept away", || items(&desk.operator.get("/v1/bans")).is_empty());
}

#[test]
fn a_ban_of_a_range_may_end_what_is_open_and_be_taken_back() {
    let target = Target::echo("a");
    let desk = start(&tcp(&[&target]));
    let mut open = Client::from("127.0.1.1", &desk.proxy.web());
    open.send(request("GET", "/", &[]));
    assert_eq!(open.response().status, 200);
    desk.operator.told("PUT", "/v1/bans/127.0.1.0%2F24", "{\"close\":true}", 200);
    open.ending();
    Client::from("127.0.1.200", &desk.proxy.web()).ending();
    assert_eq!(desk.operator.get("/v1/status")["bans"], 1);
    desk.operator.told("DELETE", "/v1/bans/127.0.1.0%2F24", "", 204);
    desk.operator.wrong("DELETE", "/v1/bans/127.0.1.0%2F24", "", 404);
    let mut again = Client::from("127.0.1.1", &desk.proxy.web());
    again.send(request("GET", "/", &[]));
    assert_eq!(again.response().status, 200);
    for (client, told) in [
        ("0.0.0.0%2F0", "everybody"),
        ("10.1.2.3%2F8", "write 10.0.0.0/8"),
        ("example.com", "no address"),
        ("10.0.0.0%2F33", "no address"),
    ] {
        let detail = desk.operator.wrong("PUT", &format!("/v1/bans/{client}"), "{}", 422);
        assert!(detail.contains(told), "{client}: {detail}");
    }
}

#[test]
fn a_client_behind_a_trusted_proxy_is_refused_by_the_address_that_it_vouches_for() {
    let target = Target::echo("a");
    let config = http_with("trusted_proxies = [\"127.0.0.0/8\"]", &[&target], "") + JSON;
    let desk = start(&config);
    desk.operator.told("PUT", "/v1/bans/192.0.2.0%2F24", "{}", 200);
    let ask = |from: &str| fetch(&desk.proxy.web(), "GET", "/", &[&format!("X-Forwarded-For: {from}")]).status;
    assert_eq!((ask("192.0.2.77"), ask("192.0.3.1")), (403, 200));
    let record = record(&desk.proxy, "\"status\":403");
    assert_eq!(record["reason"], "banned", "{record}");
    assert_eq!(target.requests(), 1);
    desk.proxy.settles("ringway_refused_total", &[("reason", "banned")], 1.0);
}
