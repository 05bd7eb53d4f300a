//! Several answers of gRPC to one request of REST.

use super::shop::Shop;
use super::{problem, rest};
use crate::support::client::request;
use crate::support::wire::Broken;
use crate::support::{Client, PATIENCE, eventually, h2, within};
use http::Method;
use serde_json::{Value, json};

fn item(n: i64) -> Value {
    let mut item = json!({ "name": format!("shelves/1/items/{n}") });
    if n > 0 {
        item["price"] = n.to_string().into();
    }
    item
}

fn watch(client: &mut Client, query: &str, fields: &[&str]) -> String {
    client.send(request("GET", &format!("/v1/shelves/1:watch?{query}"), fields));
    let head = client.head(PATIENCE).unwrap();
    assert!(head.start.contains("200") && head.chunked(), "{head:?}");
    head.field("content-type").unwrap()
}

/// What comes of a body that does not end well.
#[track_caller]
fn broken_off(client: &mut Client) -> String {
    let mut all = Vec::new();
    loop {
        match client.chunk() {
            Ok(Some(chunk)) => all.extend(chunk),
            Ok(None) => panic!("it has an end"),
            Err(broken) => {
                assert!(matches!(broken, Broken::Truncated | Broken::Closed), "{broken:?}");
                return String::from_utf8(all).unwrap();
            }
        }
    }
}

#[test]
fn each_message_is_a_line_as_soon_as_it_comes() {
    let shop = Shop::start();
    let proxy = rest(&shop, "");
    let mut client = proxy.client();
    assert_eq!(watch(&mut client, "count=3", &[]), "application/x-ndjson");
    let lines = String::from_utf8(client.chunked().unwrap().body).unwrap();
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines, [item(0), item(1), item(2)]);
    // The same connection goes on; nothing is a stream without lines.
    watch(&mut client, "", &[]);
    assert_eq!(client.chunked().unwrap().body, b"");
    watch(&mut client, "count=1&thenWait=true", &[]);
    assert_eq!(client.chunk().unwrap().unwrap(), format!("{}\n", item(0)).into_bytes());
    assert_eq!(shop.live(), 1);
    let over_h2 = h2::Client::to(&proxy.web());
    let answer = over_h2.get("/v1/shelves/1:watch?count=1000");
    assert_eq!(String::from_utf8(answer.body).unwrap().lines().count(), 1000);
}

#[test]
fn clients_that_take_events_get_events() {
    let shop = Shop::start();
    let proxy = rest(&shop, "");
    let mut client = proxy.client();
    assert_eq!(watch(&mut client, "count=2", &["Accept: text/html, text/event-stream;q=0.5"]), "text/event-stream");
    let events = String::from_utf8(client.chunked().unwrap().body).unwrap();
    assert_eq!(events, format!("data: {}\n\ndata: {}\n\n", item(0), item(1)));
    let events = rest(&shop, "stream = \"sse\"\n");
    assert_eq!(watch(&mut events.client(), "", &[]), "text/event-stream");
    let lines = rest(&shop, "stream = \"json-lines\"\n");
    assert_eq!(watch(&mut lines.client(), "", &["Accept: text/event-stream"]), "application/x-ndjson");
}

#[test]
fn an_error_behind_messages_is_the_last_of_them_and_the_answer_does_not_end_well() {
    let shop = Shop::start();
    let proxy = rest(&shop, "");
    let mut client = proxy.client();
    watch(&mut client, "count=1&failWith=5", &[]);
    let lines = broken_off(&mut client);
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let error = &lines[1]["error"];
    assert_eq!((&lines[0], &error["code"], &error["status"]), (&item(0), &json!("NOT_FOUND"), &json!(404)));
    let mut client = proxy.client();
    watch(&mut client, "failWith=5&count=1", &["Accept: text/event-stream"]);
    let events = broken_off(&mut client);
    let last = events.split("\n\n").nth(1).unwrap();
    assert!(last.starts_with("event: error\ndata: {") && last.contains("NOT_FOUND"), "{events}");
    assert!(
        h2::Client::to(&proxy.web())
            .ask(h2::request(Method::GET, "/v1/shelves/1:watch?failWith=5&count=1"), b"")
            .is_err()
    );
    proxy.settles("ringway_pool_errors_total", &[("pool", "site"), ("kind", "call")], 3.0);
    // One that comes before any message is an answer like any other.
    problem(&proxy.get("/v1/shelves/1:watch?count=-1&failWith=7"), 403, "PERMISSION_DENIED");
}

#[test]
fn a_client_that_leaves_in_the_midst_ends_its_call() {
    let shop = Shop::start();
    let proxy = rest(&shop, "");
    let mut client = proxy.client();
    watch(&mut client, "count=1&thenWait=true", &[]);
    client.chunk().unwrap();
    eventually("the call has begun", || shop.live() == 1);
    drop(client);
    assert!(within(PATIENCE, || shop.live() == 0), "the call ends with its client");
}

#[test]
fn a_target_that_dies_in_the_midst_is_told_of() {
    let mut shop = Shop::start();
    let proxy = rest(&shop, "");
    let mut client = proxy.client();
    watch(&mut client, "count=1&thenWait=true", &[]);
    client.chunk().unwrap();
    shop.die();
    let last: Value = serde_json::from_str(&broken_off(&mut client)).unwrap();
    assert_eq!(last["error"]["code"], "UNAVAILABLE");
}
