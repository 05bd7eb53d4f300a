//! Requests held against descriptions, by hand.

use super::*;
use crate::gateway::sent::Sent;
use crate::gateway::{Asked, Denial, Halt, Reading, Rule, Who, jwt};
use serde_json::{Value, json};
use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

const BOUNDS: Bounds = Bounds { depth: 32, members: 1000 };

fn shop() -> Value {
    json!({
        "openapi": "3.0.3",
        "servers": [{ "url": "https://{host}/v1", "variables": { "host": { "default": "a.test" } } }],
        "paths": {
            "/orders": {
                "get": { "operationId": "list", "parameters": [
                    { "name": "limit", "in": "query", "schema": { "type": "integer", "minimum": 1, "maximum": 100 } },
                    { "name": "tag", "in": "query", "schema": { "type": "array", "items": { "type": "string", "pattern": "^[a-z]+$" } } },
                    { "name": "ids", "in": "query", "explode": false, "schema": { "type": "array", "items": { "type": "integer" } } },
                    { "name": "filter", "in": "query", "style": "deepObject", "schema": { "type": "object",
                        "properties": { "open": { "type": "boolean" } }, "additionalProperties": false } },
                    { "name": "X-Trace", "in": "header", "schema": { "type": "string", "format": "uuid" } },
                    { "name": "session", "in": "cookie", "schema": { "type": "string", "maxLength": 4 } },
                ] },
                "post": { "operationId": "create", "requestBody": { "$ref": "#/components/requestBodies/Order" } },
            },
            "/orders/{id}": {
                "parameters": [{ "name": "id", "in": "path", "required": true, "schema": { "type": "integer" } }],
                "get": { "parameters": [{ "name": "kind", "in": "query", "required": true, "schema": { "enum": ["a", "b"] } }] },
                "delete": {},
            },
            "/orders/mine": { "get": {} },
        },
        "components": {
            "requestBodies": { "Order": { "required": true, "content": {
                "application/json": { "schema": { "$ref": "#/components/schemas/Order" } },
                "text/*": {},
            } } },
            "schemas": {
                "Order": { "type": "object", "required": ["id", "items"], "additionalProperties": false, "properties": {
                    "id": { "type": "integer", "readOnly": true },
                    "note": { "type": "string", "nullable": true },
                    "price": { "type": "number", "minimum": 0, "exclusiveMinimum": true },
                    "count": { "type": "integer", "format": "int32" },
                    "items": { "type": "array", "items": { "$ref": "#/components/schemas/Item" }, "uniqueItems": true },
                } },
                "Item": { "type": "object", "required": ["sku"], "properties": {
                    "sku": { "type": "string" }, "parts": { "type": "array", "items": { "$ref": "#/components/schemas/Item" } },
                } },
            },
        },
    })
}

fn rule(description: Value) -> OpenApi {
    OpenApi::new(3, false, Arc::new(Api::new(description, None).unwrap()), 1000, BOUNDS)
}

fn decide(rule: &OpenApi, sent: &Sent<'_>, readings: &[Reading]) -> Result<Who, Denial> {
    let mut who = Who::default();
    let (client, tokens) = ("192.0.2.1".parse().unwrap(), RefCell::new(jwt::Cache::new(0)));
    let now = Duration::ZERO;
    let asked =
        Asked { client, route: "r", request: sent, now, clock: 0, tokens: &tokens, readings, answers: &[], dry: false };
    match rule.decide(&asked, &mut who) {
        Ok(()) => Ok(who),
        Err(Halt::Denied(denial)) => Err(denial),
        Err(Halt::Ask(_)) => panic!("it asks"),
    }
}

fn get<'a>(path: &'a str, query: &'a str, fields: &'a [(&'a str, &'a str)]) -> Sent<'a> {
    Sent { path: path.as_bytes(), query: Some(query.as_bytes()), ..Sent::with(fields) }
}

#[test]
fn parameters_are_what_the_description_says() {
    let rule = rule(shop());
    for (path, query, fields, expected) in [
        ("/v1/orders", "", &[][..], None),
        ("/v1/orders", "limit=100&tag=a&tag=b&ids=1,2&filter[open]=true&other=x", &[][..], None),
        ("/v1/orders", "filter%5Bopen%5D=true", &[], None),
        ("/v1/orders", "limit=101", &[], Some("limit")),
        ("/v1/orders", "limit=1e999", &[], Some("limit")),
        ("/v1/orders", "limit=x", &[], Some("limit")),
        ("/v1/orders", "limit=1&limit=2", &[], Some("limit")),
        ("/v1/orders", "l%69mit=0", &[], Some("limit")),
        ("/v1/orders", "tag=a&tag=B", &[], Some("tag")),
        ("/v1/orders", "tag=%ff", &[], Some("tag")),
        ("/v1/orders", "ids=1,x", &[], Some("ids")),
        ("/v1/orders", "filter[open]=maybe", &[], Some("filter")),
        ("/v1/orders", "filter[other]=1", &[], Some("filter")),
        ("/v1/orders", "", &[("X-Trace", "0b7f8c1e-7d0c-4b53-9d3a-3e3a4a3f0a11")], None),
        ("/v1/orders", "", &[("x-trace", "nonsense")], Some("X-Trace")),
        ("/v1/orders", "", &[("Cookie", "a=1; session=abcd")], None),
        ("/v1/orders", "", &[("Cookie", "session=abcde")], Some("session")),
        ("/v1/orders", "", &[("Cookie", "session=a; session=b")], Some("session")),
        ("/v1/orders/7", "kind=a", &[], None),
        ("/v1/orders/7", "kind=c", &[], Some("kind")),
        ("/v1/orders/7", "", &[], Some("kind")),
        ("/v1/orders/x", "kind=a", &[], Some("id")),
        ("/v1/orders/mine", "", &[], None),
    ] {
        let denial = decide(&rule, &get(path, query, fields), &[]).err();
        let told = denial.as_ref().map(|denial| denial.problem.as_deref().unwrap().to_owned());
        let told: Option<Value> = told.map(|told| serde_json::from_str(&told).unwrap());
        let name = told.as_ref().map(|told| told["errors"][0]["name"].as_str().unwrap());
        assert_eq!(name, expected, "{path}?{query} {fields:?}: {told:?}");
        assert!(denial.is_none_or(|denial| denial.status == 400 && denial.word == "parameter"));
    }
}

#[test]
fn what_is_not_described_is_not_there() {
    let rule = rule(shop());
    let refused = |method, path: &str| {
        let denial = decide(&rule, &Sent { method, ..get(path, "", &[]) }, &[]).err();
        denial.map(|denial| (denial.status, denial.lines))
    };
    assert_eq!(refused("GET", "/v1/other"), Some((404, String::new())));
    assert_eq!(refused("GET", "/orders"), Some((404, String::new())));
    assert_eq!(refused("GET", "/v10/orders"), Some((404, String::new())));
    assert_eq!(refused("PUT", "/v1/orders"), Some((405, "Allow: GET, POST, HEAD\r\n".to_owned())));
    assert_eq!(refused("DELETE", "/v1/orders/mine"), Some((405, "Allow: GET, HEAD\r\n".to_owned())));
    assert_eq!(refused("HEAD", "/v1/orders"), None);
    let reading = Reading { path: b"/v1/orders/mine"[..].into(), word: "path-parameter" };
    let denial = decide(&rule, &get("/v1/orders/7", "kind=a", &[]), &[reading]).err();
    assert_eq!(denial.map(|denial| (denial.status, denial.word)), Some((400, "path-parameter")));
}

#[test]
fn bodies_are_what_their_schemas_say() {
    let rule = rule(shop());
    let json = [("Content-Type", "application/json; charset=utf-8")];
    let who = decide(&rule, &Sent { method: "POST", ..get("/v1/orders", "", &json) }, &[]).unwrap();
    let [awaited] = &who.bodies[..] else { panic!("{:?}", who.bodies) };
    let pointer = |body: &str| {
        let denial = awaited.check(body.as_bytes()).err()?;
        let told: Value = serde_json::from_str(&denial.problem.unwrap()).unwrap();
        Some((denial.word, told["errors"][0]["pointer"].as_str().unwrap().to_owned()))
    };
    let wrong = |word, pointer: &str| Some((word, pointer.to_owned()));
    for (body, expected) in [
        (r#"{"items":[]}"#, None),
        (r#"{"items":[{"sku":"a","parts":[{"sku":"b"}]}],"note":null,"price":0.1,"count":2147483647}"#, None),
        ("", wrong("no-body", "")),
        ("[]", wrong("body", "")),
        ("{", wrong("bad-json", "")),
        (r#"{"items":[],"items":[]}"#, wrong("json-duplicate", "")),
        ("{}", wrong("body", "")),
        (r#"{"items":[],"other":1}"#, wrong("body", "")),
        (r#"{"items":[],"price":0}"#, wrong("body", "/price")),
        (r#"{"items":[],"count":2147483648}"#, wrong("body", "/count")),
        (r#"{"items":[{"sku":"a","parts":[{"sku":1}]}]}"#, wrong("body", "/items/0/parts/0/sku")),
        (r#"{"items":[{"sku":"a"},{"sku":"a"}]}"#, wrong("body", "/items")),
        (&" ".repeat(1001), Some(("body-too-large", String::new()))),
    ] {
        if body.len() > 1000 {
            assert_eq!(
                awaited.check(body.as_bytes()).err().map(|denial| (denial.status, denial.word)),
                Some((413, "body-too-large"))
            );
            continue;
        }
        assert_eq!(pointer(body), expected, "{body}");
    }
    let told = awaited.check(br#"{"items":"my-secret-value"}"#).unwrap_err().problem.unwrap();
    assert!(!told.contains("my-secret-value"), "{told}");
}

#[test]
fn a_body_goes_by_its_type() {
    let rule = rule(shop());
    let post = |fields: &[(&str, &str)]| {
        let decided = decide(&rule, &Sent { method: "POST", ..get("/v1/orders", "", fields) }, &[]);
        decided.map(|who| who.bodies.len()).map_err(|denial| (denial.status, denial.lines))
    };
    let refused = || Err((415, "Accept: application/json, text/*\r\n".to_owned()));
    assert_eq!(post(&[("Content-Type", "text/plain")]), Ok(0));
    assert_eq!(post(&[("Content-Type", "Application/JSON")]), Ok(1));
    assert_eq!(post(&[]), Ok(1), "whether there is a body is not known yet");
    assert_eq!(post(&[("Content-Length", "2")]), refused());
    assert_eq!(post(&[("Transfer-Encoding", "chunked")]), refused());
    assert_eq!(post(&[("Content-Type", "application/xml")]), refused());
    assert_eq!(post(&[("Content-Type", "application/jsonx")]), refused());
    assert_eq!(post(&[("Content-Type", "text/plain"), ("Content-Type", "application/json")]), refused());
    let coded = post(&[("Content-Type", "application/json"), ("Content-Encoding", "gzip")]);
    assert_eq!(coded, Err((415, "Accept-Encoding: identity\r\n".to_owned())));
    assert_eq!(
        post(&[("Content-Type", "application/json"), ("Content-Length", "1001")]).map_err(|(status, _)| status),
        Err(413)
    );
}

#[test]
fn what_is_wrong_with_a_description_is_told_with_its_place() {
    let wrong = |pointer: &str, value: Value| {
        let mut description = shop();
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        description.pointer_mut(parent).unwrap()[key.replace("~1", "/")] = value;
        let Wrong { at, what } = Api::new(description, None).unwrap_err();
        format!("{at}: {what}")
    };
    for (pointer, value, expected) in [
        ("/openapi", json!("2.0"), "/openapi"),
        ("/paths", json!(1), "paths"),
        ("/components/schemas/Order", json!({ "$ref": "other.yaml#/Order" }), "/components/schemas/Order/$ref"),
        ("/components/schemas/Order", json!({ "$ref": "https://a.test/x" }), "leads out of the document"),
        ("/components/requestBodies/Order", json!({ "$ref": "#/components/requestBodies/Order" }), "without end"),
        ("/components/requestBodies/Order", json!({ "$ref": "#/nowhere" }), "leads to nothing"),
        ("/paths/~1orders~1{x}", json!({}), "/paths/~1orders~1{x}"),
        ("/paths/~1orders/get/parameters/0/style", json!("matrix"), "/paths/~1orders/get/parameters/0/style"),
        ("/paths/~1orders/get/parameters/0/schema/type", json!("whole"), "/paths/~1orders/get/parameters/0/schema"),
    ] {
        let told = wrong(pointer, value);
        assert!(told.contains(expected), "{pointer}: {told}");
    }
}

#[test]
fn what_is_not_understood_is_left_out_and_told_with_its_place() {
    for (written, places) in [
        (json!({ "pattern": "(a" }), &["/components/schemas/Item/pattern"][..]),
        (json!({ "pattern": "(?=a)" }), &["/components/schemas/Item/pattern"]),
        (
            json!({ "patternProperties": { "(?!a)": false, "^b": { "$dynamicRef": "#x" } } }),
            &[
                "/components/schemas/Item/patternProperties",
                "/components/schemas/Item/patternProperties/^b/$dynamicRef",
            ],
        ),
        (json!({ "$id": "https://a.test/item", "pattern": "^a" }), &["/components/schemas/Item/$id"]),
    ] {
        let mut description = shop();
        description["components"]["schemas"]["Item"] = written;
        let api = Api::new(description, None).unwrap();
        let told: Vec<&str> = api.left_out().iter().map(|wrong| &*wrong.at).collect();
        assert_eq!(told, places);
    }
}

#[test]
fn hundreds_of_paths_are_compiled_and_found() {
    let many = 600;
    let schemas = (0..many).map(|at| {
        let next = format!("#/components/schemas/S{}", at / 10 * 10 + (at + 1) % 10);
        (format!("S{at}"), json!({ "type": "object", "properties": { "next": { "$ref": next }, "name": { "type": "string", "maxLength": 80 } } }))
    });
    let paths = (0..many).map(|at| {
        let schema = json!({ "$ref": format!("#/components/schemas/S{at}") });
        let body = json!({ "content": { "application/json": { "schema": schema } } });
        let id = json!([{ "name": "id", "in": "path", "required": true, "schema": { "type": "integer" } }]);
        (format!("/things{at}/{{id}}"), json!({ "parameters": id, "get": {}, "post": { "requestBody": body } }))
    });
    let description = json!({ "openapi": "3.1.0", "paths": paths.collect::<serde_json::Map<_, _>>(),
        "components": { "schemas": schemas.collect::<serde_json::Map<_, _>>() } });
    let rule = rule(description);
    assert!(decide(&rule, &get("/things599/7", "", &[]), &[]).is_ok());
    assert!(decide(&rule, &get("/things599/x", "", &[]), &[]).is_err());
}
