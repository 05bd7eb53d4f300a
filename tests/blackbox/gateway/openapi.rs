//! Requests that are held against the description of an API, over real sockets.

use super::faults;
use crate::support::client::{Response, request};
use crate::support::proxy::{Proxy, Setup};
use crate::support::toml::http;
use crate::support::{Target, h2};
use http::Method;
use serde_json::Value;

const DESCRIPTION: &str = r##"
openapi: 3.1.0
info: { title: Orders, version: "1" }
servers:
  - url: https://api.example.com/v1
paths:
  /orders:
    get:
      operationId: listOrders
      parameters:
        - { name: limit, in: query, schema: { type: integer, minimum: 1, maximum: 100 } }
      responses: { 200: { description: all of them } }
    post:
      operationId: createOrder
      requestBody:
        required: true
        content:
          application/json:
            schema: { $ref: "#/components/schemas/Order" }
          text/csv: {}
      responses: { 201: { description: made } }
  /orders/{id}:
    parameters:
      - { name: id, in: path, required: true, schema: { type: integer } }
    get:
      operationId: getOrder
      responses: { 200: { description: one } }
  /orders/mine:
    get:
      responses: { 200: { description: mine } }
components:
  schemas:
    Order:
      type: object
      required: [items]
      properties:
        items: { type: array, items: { type: integer } }
        note: { type: [string, "null"] }
        inner: { $ref: "#/components/schemas/Order" }
"##;

fn setup(target: &Target, more: &str) -> Setup {
    let setup = Setup::new("").workers(1);
    let file = setup.directory().join("orders.yaml");
    std::fs::write(&file, DESCRIPTION).unwrap();
    setup.with(config(target, &file.display().to_string(), more))
}

fn config(target: &Target, file: &str, more: &str) -> String {
    http(&[target])
        + "\n[routes.api]\npaths = [\"/v1/\"]\npool = \"site\"\nrules = [\"valid\"]\n"
        + &format!("[apis.orders]\nopenapi = \"{file}\"\n[rules.valid]\ntype = \"openapi\"\napi = \"orders\"\n{more}\n")
        + "[access_log]\n"
}

fn post(proxy: &Proxy, fields: &[&str], body: &[u8]) -> Response {
    let length = format!("Content-Length: {}", body.len());
    let mut client = proxy.client();
    client.send(request("POST", "/v1/orders", &[fields, &[&length]].concat()));
    let _ = client.try_send(body);
    client.response()
}

fn json(proxy: &Proxy, body: &[u8]) -> Response {
    post(proxy, &["Content-Type: application/json"], body)
}

#[track_caller]
fn problem(response: &Response, status: u16) -> Value {
    assert_eq!(
        (response.status, response.field("content-type").as_deref()),
        (status, Some("application/problem+json"))
    );
    let told: Value = serde_json::from_slice(&response.body).unwrap();
    assert_eq!(told["status"], status);
    told
}

#[test]
fn a_request_that_is_not_as_described_reaches_no_target_and_is_told_what_is_wrong() {
    let target = Target::echo("a");
    let proxy = setup(&target, "").start();
    assert_eq!(proxy.get("/v1/orders?limit=5").status, 200);
    assert_eq!(proxy.get("/v1/orders/7").status, 200);
    assert_eq!(proxy.get("/v1/orders/mine").status, 200);
    let told = problem(&proxy.get("/v1/orders?limit=500"), 400);
    let error = &told["errors"][0];
    assert_eq!((error["in"].as_str(), error["name"].as_str()), (Some("query"), Some("limit")), "{told}");
    assert_eq!(problem(&proxy.get("/v1/orders/x"), 400)["errors"][0]["in"], "path");
    problem(&proxy.get("/v1/nothing"), 404);
    let refused = proxy.client().ask("DELETE", "/v1/orders", &[]);
    problem(&refused, 405);
    assert_eq!(refused.field("allow").as_deref(), Some("GET, POST, HEAD"));
    let refused = post(&proxy, &["Content-Type: application/xml"], b"<a/>");
    problem(&refused, 415);
    assert_eq!(refused.field("accept").as_deref(), Some("application/json, text/csv"));
    assert_eq!(post(&proxy, &["Content-Type: text/csv"], b"a,b").status, 200, "by its type alone");
    let told = problem(&json(&proxy, br#"{"items":[1,"two"]}"#), 400);
    assert_eq!(told["errors"][0]["pointer"], "/items/1", "{told}");
    problem(&json(&proxy, b""), 400);
    let good = json(&proxy, br#"{"items":[1,2],"note":null}"#);
    assert_eq!((good.status, good.text().contains(r#"{"items":[1,2],"note":null}"#)), (200, true), "{}", good.text());
    proxy.out.wait(&["\"reason\":\"body\"", "\"denied_by\":\"valid\""]);
    proxy.out.wait(&["\"reason\":\"no-path\""]);
    let count = |result| proxy.metric("ringway_rule_requests_total", &[("rule", "valid"), ("result", result)]);
    assert_eq!((count("passed"), count("denied")), (5.0, 7.0));
    assert_eq!(proxy.metric("ringway_refused_total", &[("reason", "openapi")]), 6.0);
}

#[test]
fn hostile_json_is_refused_within_the_bounds() {
    let target = Target::echo("a");
    let proxy = setup(&target, "max_body = \"64KiB\"\nmax_depth = 8\nmax_members = 100").start();
    let items = |inner: &str| format!("{{\"items\":[{inner}]}}").into_bytes();
    let deep = format!("{}{{\"items\":[]}}{}", "{\"items\":[],\"inner\":".repeat(20), "}".repeat(20));
    for (body, word) in [
        (deep.into_bytes(), "json-depth"),
        ("[".repeat(60_000).into_bytes(), "json-depth"),
        (items(&vec!["1"; 101].join(",")), "json-members"),
        (items("1e400"), "json-number"),
        (items(&"9".repeat(10_000)), "json-number"),
        (br#"{"items":[],"items":[1]}"#.to_vec(), "json-duplicate"),
        (br#"{"items":[],"\u0069tems":[1]}"#.to_vec(), "json-duplicate"),
        (b"{\"items\":[],\"note\":\"\xc0\xaf\"}".to_vec(), "json-utf8"),
        (br#"{"items":[],"note":"\ud800"}"#.to_vec(), "bad-json"),
        (b"{\"items\":[]}{\"items\":[]}".to_vec(), "bad-json"),
        (b"{\"items\":[".to_vec(), "bad-json"),
    ] {
        problem(&json(&proxy, &body), 400);
        proxy.out.wait(&[&format!("\"reason\":\"{word}\"")]);
    }
    let mut client = proxy.client();
    client.send(request("POST", "/v1/orders", &["Content-Type: application/json", "Content-Length: 1000000000"]));
    problem(&client.response(), 413);
    // Of spaces without an announced length no more is taken than is held.
    let mut client = proxy.client();
    client.send(request("POST", "/v1/orders", &["Content-Type: application/json", "Transfer-Encoding: chunked"]));
    let chunk = format!("10000\r\n{}\r\n", " ".repeat(1 << 16));
    for _ in 0..64 {
        if client.try_send(&chunk).is_err() {
            break;
        }
    }
    problem(&client.response(), 413);
    assert_eq!(json(&proxy, &items("1")).status, 200, "and it goes on");
}

#[test]
fn bodies_over_http_2_are_held_against_their_schema_as_well() {
    let target = Target::echo("a");
    let proxy = setup(&target, "").start();
    let h2 = h2::Client::to(&proxy.web());
    let ask = |kind: Option<&str>, body: &[u8]| {
        let mut request = h2::request(Method::POST, "/v1/orders");
        if let Some(kind) = kind {
            request.headers_mut().insert("content-type", kind.parse().unwrap());
        }
        h2.ask(request, body).unwrap().status.as_u16()
    };
    let json = Some("application/json");
    assert_eq!(ask(json, br#"{"items":[1]}"#), 200);
    assert_eq!(ask(json, br#"{"items":1}"#), 400);
    assert_eq!(ask(json, b""), 400);
    assert_eq!(ask(None, br#"{"items":[1]}"#), 415, "no type, and no length said that there is a body");
    assert_eq!(ask(None, b""), 400);
    assert_eq!(ask(Some("text/csv"), b"a"), 200);
    assert_eq!(h2.get("/v1/orders?limit=x").status.as_u16(), 400);
}

#[test]
fn in_shadow_mode_everything_goes_on_and_is_counted() {
    let target = Target::echo("a");
    let proxy = setup(&target, "mode = \"shadow\"\nmax_body = \"1KiB\"").start();
    assert_eq!(proxy.get("/v1/nothing").status, 200);
    assert_eq!(json(&proxy, b"{").status, 200);
    assert_eq!(json(&proxy, &[b' '; 4096]).status, 200);
    let mut client = proxy.client();
    client.send(request("POST", "/v1/orders", &["Content-Type: application/json", "Transfer-Encoding: chunked"]));
    client.send(format!("1000\r\n{}\r\n0\r\n\r\n", " ".repeat(4096)));
    assert_eq!(client.response().status, 200);
    let count = |result| proxy.metric("ringway_rule_requests_total", &[("rule", "valid"), ("result", result)]);
    assert_eq!((count("shadow-denied"), count("passed"), count("denied")), (4.0, 0.0, 0.0));
    proxy.out.wait(&["\"shadow_denied_by\":\"valid\""]);
}

#[test]
fn what_is_wrong_with_a_description_keeps_a_configuration_out() {
    let target = Target::echo("a");
    let setup = Setup::new("");
    let write = |text: &str| {
        let file = setup.directory().join("api.yaml");
        std::fs::write(&file, text).unwrap();
        faults(&config(&target, &file.display().to_string(), ""), "[access_log]", "[access_log]")
    };
    let told =
        write(&DESCRIPTION.replace("#/components/schemas/Order\" }\n          text", "other.yaml\" }\n          text"));
    assert!(told.contains("/paths/~1orders/post/requestBody/content/application~1json/schema/$ref"), "{told}");
    assert!(told.contains("apis.orders.openapi") || told.contains("openapi ="), "{told}");
    let told = write("openapi: 2.0.0\n");
    assert!(told.contains("versions 3.0 and 3.1"), "{told}");
    let told = write("openapi: [\n");
    assert!(told.contains("it is no YAML"), "{told}");
    std::fs::write(setup.directory().join("api.yaml"), DESCRIPTION).unwrap();
    let file = setup.directory().join("api.yaml").display().to_string();
    let told = faults(&config(&target, &file, ""), "api = \"orders\"", "api = \"order\"");
    assert!(told.contains("no api is named `order`") && told.contains("did you mean `orders`?"), "{told}");
}
