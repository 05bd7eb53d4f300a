//! What is asked for by REST and answered by gRPC, one message each way.

use super::shop::Shop;
use super::{json, problem, rest, send};
use crate::support::{PATIENCE, eventually, h2, within};
use http::Method;
use serde_json::json;

#[test]
fn a_method_is_asked_for_by_its_path_query_and_body() {
    let shop = Shop::start();
    let proxy = rest(&shop, "");
    let mut client = proxy.client();
    let got = client.ask(
        "GET",
        "/v1/shelves/1/items/a%20b?revision=3",
        &["X-Asked: 1", "Grpc-Encoding: gzip", "Accept-Encoding: br"],
    );
    let item =
        json!({ "name": "shelves/1/items/a b", "title": "revision 3", "price": "1152921504606846976", "kind": "BOOK" });
    assert_eq!(json(&got, 200), item);
    let field = |name: &str| got.field(name).unwrap_or_default();
    assert_eq!(
        (field("content-type"), field("x-served"), field("x-saw-x-asked")),
        ("application/json".into(), "yes".into(), "1".into())
    );
    // What is gRPC's own does not come from the client, and does not go to it.
    assert_eq!(
        (field("x-saw-grpc-encoding"), field("x-saw-accept-encoding"), field("grpc-status")),
        Default::default()
    );
    assert_eq!((field("x-saw-grpc-timeout"), field("x-saw-te")), ("60000m".into(), "trailers".into()));
    // The same connection goes on.
    let got = client.post("/v1/shelves/1/items?dryRun=true", br#"{"title":"x","price":"5"}"#);
    assert_eq!(json(&got, 200), json!({ "name": "shelves/1/items/new", "title": "x", "price": "5", "kind": "TOY" }));
    let all = json!({ "text": "ä", "data": "AP8=", "numbers": [1, 2], "at": "2026-11-29T05:00:00Z", "took": "1.500s",
        "free": { "a": [1.0, null] }, "mask": "a.bC", "maybe": "7", "any": { "@type": "type.googleapis.com/shop.v1.Item", "title": "x" } });
    let got = client.post("/v1/mirror", all.to_string().as_bytes());
    assert_eq!(json(&got, 200), all);
    assert_eq!(
        json(&client.get("/v1/mirror?inner.numbers=1&kind=2"), 200),
        json!({ "inner": { "numbers": [1] }, "kind": "TOY" })
    );
    assert_eq!(json(&client.ask("DELETE", "/v1/shelves/1/items/2", &[]), 200), json!({}));
    assert_eq!(json(&client.get("/v1/title/shelves/1/items/2"), 200), json!("revision 0"));
    let over_h2 = h2::Client::to(&proxy.web());
    let got = over_h2.get("/v1/shelves/2/items/1");
    assert_eq!((got.status.as_u16(), got.fields["content-type"].to_str().unwrap()), (200, "application/json"));
    assert!(String::from_utf8_lossy(&got.body).contains("shelves/2/items/1") && got.trailers.is_empty());
    let got = over_h2.ask(h2::request(Method::POST, "/v1/mirror"), br#"{"text":"x"}"#).unwrap();
    assert_eq!(got.body, br#"{"text":"x"}"#);
}

#[test]
fn an_error_of_a_call_is_told_by_its_status_and_a_document() {
    let shop = Shop::start();
    let proxy = rest(&shop, "");
    for (code, status, name) in [
        (3, 400, "INVALID_ARGUMENT"),
        (5, 404, "NOT_FOUND"),
        (7, 403, "PERMISSION_DENIED"),
        (8, 429, "RESOURCE_EXHAUSTED"),
        (12, 501, "UNIMPLEMENTED"),
        (16, 401, "UNAUTHENTICATED"),
    ] {
        let told = problem(&proxy.get(&format!("/v1/fail/{code}")), status, name);
        assert_eq!((&told["detail"], &told["grpc_status"]), (&json!("50 % zu groß\nsecond line"), &json!(code)));
        assert_eq!(
            told["details"],
            json!([
                { "@type": "type.googleapis.com/shop.v1.Item", "title": "what is wrong" },
                { "@type": "type.googleapis.com/no.Such", "value": "AQI=" },
            ])
        );
    }
    proxy.out.wait(&["\"status\":404", "/v1/fail/5"]);
}

#[test]
fn what_cannot_be_translated_reaches_no_target() {
    let shop = Shop::start();
    let proxy = rest(&shop, "");
    problem(&proxy.get("/v1/nothing"), 404, "UNIMPLEMENTED");
    let refused = proxy.client().ask("PUT", "/v1/mirror", &[]);
    problem(&refused, 405, "UNIMPLEMENTED");
    assert_eq!(refused.field("allow").as_deref(), Some("GET, POST"));
    problem(&proxy.get("/v1/shelves/1/items/2?revision=x"), 400, "INVALID_ARGUMENT");
    problem(&proxy.get("/v1/mirror?nothing=1"), 400, "INVALID_ARGUMENT");
    let told =
        problem(&send(&proxy, "POST", "/v1/mirror", "application/json", r#"{"nothing":1}"#), 400, "INVALID_ARGUMENT");
    assert!(told["detail"].as_str().unwrap().contains("nothing"), "{told}");
    for body in ["{", "[]", r#"{"text":"#, "\u{0}", &r#"{"inner":"#.repeat(10_000)] {
        problem(&send(&proxy, "POST", "/v1/mirror", "application/json", body), 400, "INVALID_ARGUMENT");
    }
    problem(&send(&proxy, "POST", "/v1/mirror", "text/xml", "<a/>"), 415, "INVALID_ARGUMENT");
    problem(&send(&proxy, "POST", "/v1/collect", "application/json", "{}"), 501, "UNIMPLEMENTED");
    proxy.out.wait(&["\"reason\":\"no-binding\""]);
    proxy.out.wait(&["\"reason\":\"client-stream\""]);
    assert!(proxy.metric("ringway_refused_total", &[("reason", "translation")]) >= 11.0);
    assert_eq!(proxy.metric("ringway_pool_requests_total", &[("pool", "site")]), 0.0);
}

#[test]
fn what_is_larger_than_a_message_may_be_is_refused_on_both_ways() {
    let shop = Shop::start();
    let proxy = rest(&shop, "max_message = \"10KiB\"\n");
    let body = format!(r#"{{"text":"{}"}}"#, "x".repeat(20_000));
    assert_eq!(send(&proxy, "POST", "/v1/mirror", "application/json", &body).status, 413);
    let mut client = proxy.client();
    client.send("POST /v1/mirror HTTP/1.1\r\nHost: site.test\r\nTransfer-Encoding: chunked\r\n\r\n");
    let _ = client.try_send(format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len()));
    assert_eq!(client.response().status, 413);
    assert_eq!(proxy.get("/v1/shelves/1/items/large").status, 502);
    assert_eq!(proxy.metric("ringway_pool_errors_total", &[("pool", "site"), ("kind", "translation")]), 1.0);
    assert_eq!(proxy.get("/v1/shelves/1/items/1").status, 200);
}

#[test]
fn answers_and_requests_are_as_the_keys_say() {
    let shop = Shop::start();
    let keys = "unknown = \"ignore\"\nfield_names = \"proto\"\nenums = \"number\"\ndefaults = true\nunannotated = true\nunmatched = \"pass\"\n";
    let proxy = rest(&shop, keys);
    let got = json(&proxy.get("/v1/shelves/1/items/2?nothing=1"), 200);
    assert_eq!(got["kind"], 1);
    let got = json(&send(&proxy, "POST", "/v1/mirror", "application/json", r#"{"nothing":1,"unsignedLong":"1"}"#), 200);
    assert_eq!((&got["unsigned_long"], &got["text"], &got["nothing"]), (&json!("1"), &json!(""), &json!(null)));
    // What no binding has goes on as it is, and is none of gRPC to its server.
    assert_ne!(proxy.get("/v1/nothing").status, 404);
    let proxy = rest(&shop, "services = [\"shop.v1.Shop\"]\n");
    assert_eq!(proxy.get("/v1/shelves/1/items/2").status, 200);
}

#[test]
fn a_target_that_fails_or_speaks_no_grpc_is_told_by_502() {
    let mut dying = Shop::start();
    let proxy = rest(&dying, "");
    assert_eq!(proxy.get("/v1/shelves/1/items/2").status, 200);
    dying.die();
    eventually("its target is gone", || matches!(proxy.get("/v1/shelves/1/items/2").status, 502 | 503));
}

#[test]
fn a_client_that_leaves_ends_its_call() {
    let shop = Shop::start();
    let proxy = rest(&shop, "");
    let mut client = proxy.client();
    client.send("GET /v1/shelves/1/items/wait HTTP/1.1\r\nHost: site.test\r\n\r\n");
    eventually("the call has begun", || shop.live() == 1);
    drop(client);
    assert!(within(PATIENCE, || shop.live() == 0), "the call ends with its client");
}

#[test]
fn rules_and_the_log_see_what_the_client_has_asked_for() {
    let shop = Shop::start();
    let rules = "\n[rules.no-items]\ntype = \"cel\"\nallow = 'request.path != \"/v1/shelves/1/items/2\"'\n[routes.guarded]\npaths = [\"/v1/\"]\n\
         pool = \"site\"\ntranslate = [\"shop\"]\nrules = [\"no-items\"]\n";
    let proxy = rest(&shop, rules);
    assert_eq!(proxy.get("/v1/shelves/1/items/2").status, 403);
    assert_eq!(proxy.get("/v1/shelves/1//items/./%32").status, 403, "by its one path");
    assert_eq!(proxy.get("/v1/shelves/1/items/3").status, 200);
    proxy.out.wait(&["\"uri\":\"/v1/shelves/1/items/3\"", "\"route\":\"guarded\""]);
}
