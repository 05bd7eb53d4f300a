//! Requests that are held against the description of an API, over real sockets.

use super::faults;
use crate::support::client::{Response, request};
use crate::support::page::Page;
use crate::support::proxy::{Proxy, Setup, ringway};
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

#[test]
fn mistakes_of_a_published_description_are_warnings_and_faults_where_it_is_to_be_strict() {
    let target = Target::echo("a");
    let setup = Setup::new("").workers(1);
    let file = setup.directory().join("orders.json").display().to_string();
    let code = serde_json::json!({ "type": "string", "pattern": "^(?=a)[", "maxLength": 3 });
    let body = serde_json::json!({ "schema": { "type": "object", "properties": {
        "code": code, "any": { "$recursiveRef": "#" }, "share": { "type": "number", "minimum": 0, "exclusiveMinimum": true } } } });
    let description = serde_json::json!({ "openapi": "3.1.0", "paths": {
        "/orders": { "post": { "requestBody": { "content": { "application/json": body, "examples": {} } } } },
        "/orders#again": { "post": {} } } });
    std::fs::write(&file, description.to_string()).unwrap();
    let text = config(&target, &file, "").replace("[apis.orders]", "[apis.orders]\nbase = \"/v1\"");
    let proxy = setup.with(text.as_str()).start();
    let (status, out, err) = ringway(&["check", "-c", &proxy.config_file().display().to_string()]);
    assert_eq!(status, Some(0), "{err}");
    assert!(out.contains("4 warnings"), "{out}{err}");
    let places = ["code/pattern`", "any/$recursiveRef`", "content/examples`", "/paths/~1orders#again`"];
    places.iter().for_each(|place| assert!(err.contains(place), "{place}: {err}"));
    proxy.log.wait(&["code/pattern"]);
    for (body, status) in
        [(&br#"{"code":"xyz","any":[1],"share":0.5}"#[..], 200), (br#"{"code":"xyzz"}"#, 400), (br#"{"share":0}"#, 400)]
    {
        assert_eq!(json(&proxy, body).status, status, "{body:?}");
    }
    let told = faults(&text, "base = \"/v1\"", "base = \"/v1\"\nstrict = true");
    places.iter().for_each(|place| assert!(told.contains(place), "{place}: {told}"));
}

/// A route that is made of the description.
fn made(target: &Target, file: &str) -> String {
    let text = config(target, file, "").replace("paths = [\"/v1/\"]", "from_openapi = \"orders\"");
    // No route takes the rest, nor does the listener.
    text.replacen("\npool = \"site\"\n", "\n", 1)
}

#[test]
fn routes_are_made_of_operations_and_known_by_their_names() {
    let target = Target::echo("a");
    let setup = Setup::new("").workers(1);
    let file = setup.directory().join("orders.yaml").display().to_string();
    std::fs::write(&file, DESCRIPTION).unwrap();
    let tests = "[tests.one]\nrequest = { url = \"http://a.test/v1/orders/7\" }\nexpect = { route = \"api.getOrder\", pool = \"site\" }\n";
    let proxy = setup.with(made(&target, &file) + tests).start();
    let config_file = proxy.config_file().display().to_string();
    let (code, out, err) = ringway(&["check", "-c", &config_file]);
    assert_eq!(code, Some(0), "{out}{err}");
    assert_eq!(proxy.get("/v1/orders/7").status, 200);
    assert_eq!(proxy.get("/v1/orders/mine").status, 200);
    assert_eq!(proxy.client().ask("HEAD", "/v1/orders", &[]).status, 200);
    assert_eq!(json(&proxy, b"{}").status, 400);
    assert_eq!(proxy.client().ask("DELETE", "/v1/orders", &[]).status, 404, "no route takes it");
    assert_eq!(proxy.get("/v1/orders/7/x").status, 404);
    for (route, class) in
        [("api.getOrder", "2xx"), ("api.get-orders-mine", "2xx"), ("api.listOrders", "2xx"), ("api.createOrder", "4xx")]
    {
        let count = proxy.metric("ringway_route_requests_total", &[("route", route), ("code_class", class)]);
        assert_eq!(count, 1.0, "{route}");
    }
    proxy.out.wait(&["\"route\":\"api.getOrder\"", "\"uri\":\"/v1/orders/7\""]);
    let (code, out, err) = ringway(&["explain", "-c", &config_file, "http://a.test/v1/orders/mine"]);
    assert_eq!(code, Some(0), "{err}");
    assert!(out.contains("api.get-orders-mine") && out.contains("api.getOrder"), "{out}");
    let told = faults(&made(&target, &file), "from_openapi = \"orders\"", "from_openapi = \"orders\"\npaths = [\"/\"]");
    assert!(told.contains("`paths` is what the description of `orders` says"), "{told}");
}

#[test]
fn a_description_of_hundreds_of_paths_is_served() {
    let target = Target::echo("a");
    let setup = Setup::new("").workers(1);
    let file = setup.directory().join("orders.json").display().to_string();
    let mut description: Value =
        serde_json::json!({ "openapi": "3.0.3", "paths": {}, "components": { "schemas": {} } });
    for at in 0..600 {
        let name = |at: usize| format!("#/components/schemas/S{at}");
        // Each schema leads to some others, and back.
        let near =
            [at / 8 * 8 + (at + 1) % 8, at / 8 * 8 + (at + 3) % 8].map(|at| serde_json::json!({ "$ref": name(at) }));
        description["components"]["schemas"][format!("S{at}")] = serde_json::json!({ "type": "object", "required": ["id"], "properties": {
            "id": { "type": "integer", "format": "int32" }, "name": { "type": "string", "pattern": "^[a-z]{1,20}$", "nullable": true },
            "one": near[0], "all": { "type": "array", "maxItems": 9, "items": near[1] } } });
        let id = serde_json::json!([{ "name": "id", "in": "path", "required": true, "schema": { "type": "string", "maxLength": 20 } }]);
        let body = serde_json::json!({ "content": { "application/json": { "schema": { "$ref": name(at) } } } });
        description["paths"][format!("/things{}/{{id}}/part{at}", at % 30)] = serde_json::json!({ "parameters": id,
            "get": { "operationId": format!("get{at}") }, "put": { "operationId": format!("put{at}"), "requestBody": body } });
    }
    std::fs::write(&file, description.to_string()).unwrap();
    let proxy = setup.with(made(&target, &file)).start();
    assert_eq!(proxy.get("/things29/x/part599").status, 200);
    assert_eq!(proxy.get(&format!("/things29/{}/part599", "x".repeat(21))).status, 400);
    proxy.out.wait(&["\"route\":\"api.get599\""]);
    let put = |body: &[u8]| {
        let mut client = proxy.client();
        let length = format!("Content-Length: {}", body.len());
        client.send(request("PUT", "/things0/x/part0", &["Content-Type: application/json", &length]));
        client.send(body);
        client.response().status
    };
    assert_eq!(put(br#"{"id":1,"one":{"id":2,"all":[{"id":3,"name":null}]}}"#), 200);
    assert_eq!(put(br#"{"id":1,"one":{"id":2,"all":[{"id":3,"name":"A"}]}}"#), 400);
}

#[test]
fn a_page_of_the_api_is_served_that_needs_nothing_from_elsewhere() {
    let target = Target::echo("a");
    let portal = "[routes.docs]\npaths = [\"/docs/\"]\nportal = \"orders\"\n[access_log]";
    let setup = Setup::new("").workers(1);
    let file = setup.directory().join("orders.yaml").display().to_string();
    std::fs::write(&file, DESCRIPTION).unwrap();
    let text = config(&target, &file, "").replace("[access_log]", portal);
    let proxy = setup.with(text.as_str()).start();
    let page = proxy.get("/docs/");
    assert_eq!((page.status, page.field("content-type").as_deref()), (200, Some("text/html; charset=utf-8")));
    assert!(page.field("content-security-policy").unwrap().contains("default-src 'none'"));
    let html = page.text();
    for part in ["<title>Orders</title>", "/v1/orders/{id}", "limit", "href=\"#schema-Order\"", "id=\"schema-Order\""] {
        assert!(html.contains(part), "{part}: {html}");
    }
    assert!(!html.contains("http://") && !html.contains("https://"), "{html}");
    for (file, kind) in
        [("portal.js", "text/javascript"), ("portal.css", "text/css"), ("openapi.json", "application/json")]
    {
        let answer = proxy.get(&format!("/docs/{file}"));
        assert!(answer.status == 200 && answer.field("content-type").unwrap().starts_with(kind), "{file}");
    }
    let described: Value = serde_json::from_slice(&proxy.get("/docs/openapi.json").body).unwrap();
    assert_eq!(described["paths"]["/orders"]["get"]["operationId"], "listOrders");
    let told = faults(&text, "paths = [\"/docs/\"]", "paths = [\"=/docs\"]");
    assert!(told.contains("write paths = [\"/docs/\"]"), "{told}");
}

#[test]
fn operations_are_tried_from_the_page_with_what_proves_who_asks() {
    let target = Target::echo("a");
    let setup = Setup::new("").workers(1);
    let file = setup.directory().join("orders.yaml").display().to_string();
    std::fs::write(&file, DESCRIPTION).unwrap();
    let rest = "[routes.docs]\npaths = [\"/docs/\"]\nportal = \"orders\"\n[rules.key]\ntype = \"api-key\"\n[consumers.acme]\n\
                keys = [\"a-key-of-16-bytes-or-more\"]\n[access_log]";
    let text = config(&target, &file, "").replace("[access_log]", rest).replace("[\"valid\"]", "[\"key\", \"valid\"]");
    let proxy = setup.with(text.as_str()).start();
    let mut page = Page::start();
    page.size(1280, 1600);
    page.go(&format!("http://{}/docs/", proxy.web()));
    page.wait("document.querySelectorAll('form.try').length === 4");
    let get = "form.try[data-method=GET][data-path=\"/v1/orders/{id}\"]";
    let answers = |text: &str| format!("document.querySelector('{get} .answer').textContent.includes({text:?})");
    let fill = |page: &mut Page, selector: &str, value: &str| {
        page.eval(&format!("document.querySelector('{selector}').value = {value:?}"));
    };
    page.press(&format!("{get} button"));
    page.wait(&answers("401"));
    fill(&mut page, "#header-name", "apikey");
    fill(&mut page, "#header-value", "a-key-of-16-bytes-or-more");
    fill(&mut page, &format!("{get} [name=id]"), "seven");
    page.press(&format!("{get} button"));
    page.wait(&answers("400"));
    page.wait(&answers("application/problem+json"));
    fill(&mut page, &format!("{get} [name=id]"), "7");
    page.press(&format!("{get} button"));
    page.wait(&answers("200"));
    let post = "form.try[data-method=POST]";
    fill(&mut page, &format!("{post} textarea"), "{\"items\":[1]}");
    page.press(&format!("{post} button"));
    page.wait(&format!("document.querySelector('{post} .answer').textContent.includes('200')"));
    assert_eq!(target.requests(), 2);
}
