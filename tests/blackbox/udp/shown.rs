//! Sessions as operators see and end them.

use super::client;
use crate::admin::start;
use crate::support::toml::udp_with;
use crate::support::udp::{UdpClient, UdpTarget};
use crate::support::{eventually, rounds};
use serde_json::Value;
use std::collections::BTreeSet;

fn items(list: &Value) -> &Vec<Value> {
    list["items"].as_array().unwrap()
}

/// What comes to be there.
#[track_caller]
fn wait<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let mut found = None;
    eventually("it is shown", || {
        found = look();
        found.is_some()
    });
    found.unwrap()
}

const JSON: &str = "[access_log]\npath = \"stdout\"\nformat = \"json\"\n";

#[test]
fn sessions_are_listed_beside_connections_and_ended_by_id_or_choice() {
    let (a, b) = (UdpTarget::echo("a"), UdpTarget::echo("b"));
    let two = "[listeners.two]\nlisten = [\"127.0.0.1:0\", \"127.0.0.2:0\"]\nprotocol = \"udp\"\npool = \"more\"\n";
    let more = format!("[pools.more]\ntargets = [\"{b}\"]\n");
    let desk = start(&(JSON.to_owned() + &udp_with("", &[&a], "") + two + &more));
    let (first, second) = (client(&desk.proxy), client(&desk.proxy));
    let far = UdpClient::to(&desk.proxy.at("two"));
    assert_eq!((first.ask("hello"), second.ask("hi"), far.ask("x")), ("a hello".into(), "a hi".into(), "b x".into()));
    second.ask("again");
    let list = |query: &str| desk.operator.get(&format!("/v1/connections?{query}"));
    let port = second.socket.local_addr().unwrap().port();
    for (query, count) in [
        ("listener=web", 2),
        ("listener=two", 1),
        ("client=127.0.0.1", 3),
        ("client=10.0.0.0%2F8", 0),
        (&*format!("target={a}"), 2),
        (&*format!("target={b}&listener=web"), 0),
    ] {
        // A worker that is held up for long is passed over.
        eventually(query, || items(&list(query)).len() == count);
    }
    let name = format!("127.0.0.1:{port}");
    let one = wait(|| items(&list("listener=web")).iter().find(|one| one["client"] == name.as_str()).cloned());
    assert_eq!(
        (&one["protocol"], &one["listener"], &one["target"]),
        (&"udp".into(), &"web".into(), &a.to_string().into())
    );
    assert_eq!((&one["datagrams_in"], &one["datagrams_out"]), (&2.into(), &2.into()), "{one}");
    assert_eq!((&one["bytes_in"], &one["bytes_out"]), (&7.into(), &11.into()), "{one}");
    assert!(one["age"].as_u64().unwrap() < 60);
    let row = wait(|| {
        let shown = desk.runs(&["conns", "--listener", "web"]);
        shown.lines().find(|line| line.contains(&format!(":{port} "))).map(str::to_owned)
    });
    assert!(row.contains("  udp  ") && row.contains("2 in, 2 out") && row.ends_with("7 in, 11 out"), "{row}");
    let status = desk.runs(&["status"]);
    let row = status.lines().find(|line| line.starts_with("web ")).unwrap();
    assert_eq!(row.split_whitespace().collect::<Vec<_>>()[1..5], ["udp", "2", "3", "0"], "{status}");

    let id = one["id"].as_str().unwrap();
    desk.operator.told("DELETE", &format!("/v1/connections/{id}"), "", 204);
    desk.operator.wrong("DELETE", &format!("/v1/connections/{id}"), "", 404);
    let record: Value = serde_json::from_str(&desk.proxy.out.wait(&["closed-by-operator"])).unwrap();
    assert_eq!((&record["client_port"], &record["datagrams_in"]), (&port.into(), &2.into()), "{record}");
    assert!(record["termination"].as_str().unwrap().starts_with('K'), "{record}");
    desk.proxy.settles("ringway_udp_sessions", &[("listener", "web")], 1.0);
    eventually("those of the client are ended", || {
        let told = desk.runs(&["conns", "--client", "127.0.0.1", "--close"]);
        assert!(told.ends_with(" closed\n"), "{told}");
        let left = |listener| desk.proxy.metric("ringway_udp_sessions", &[("listener", listener)]);
        left("web") + left("two") == 0.0
    });
    assert_eq!(far.ask("y"), "b y", "whoever sends again has another session");
}

#[test]
fn many_sessions_come_in_parts_each_once_and_a_ban_ends_them() {
    let target = UdpTarget::echo("a");
    let listener = "listen = [\"127.0.0.1:0\", \"127.0.0.2:0\"]";
    let desk = start(&udp_with(listener, &[&target], ""));
    let count = rounds(700, 300);
    let clients: Vec<UdpClient> = (0..count).map(|_| client(&desk.proxy)).collect();
    for client in &clients {
        client.ask_patiently("hello");
    }
    let ids = wait(|| {
        let (mut ids, mut after) = (Vec::new(), String::new());
        loop {
            let part = desk.operator.get(&format!("/v1/connections?limit=100{after}"));
            ids.extend(items(&part).iter().map(|one| one["id"].as_str().unwrap().to_owned()));
            match part["next"].as_str() {
                Some(next) => after = format!("&after={next}"),
                None => return (ids.len() >= count).then_some(ids),
            }
        }
    });
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "each once");
    eventually("a ban ends them", || {
        desk.operator.told("PUT", "/v1/bans/127.0.0.1", r#"{"close":true}"#, 200);
        desk.proxy.metric("ringway_udp_sessions", &[]) == 0.0
    });
    desk.proxy.settles("ringway_udp_sockets", &[], 0.0);
}
