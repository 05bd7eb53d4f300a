//! The document of the API (OpenAPI 3.1), made from the table of operations and the types of what they say and take.

use super::operations::{OPERATIONS, Operation, Tags};
use super::view::Problem;
use axum::http::HeaderValue;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};
use std::sync::OnceLock;

pub(super) async fn show() -> Response {
    static TEXT: OnceLock<String> = OnceLock::new();
    let text = TEXT.get_or_init(|| format!("{:#}\n", document()));
    ([(CONTENT_TYPE, HeaderValue::from_static("application/json"))], text.as_str()).into_response()
}

/// The document.
pub(super) fn document() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut schemas = settings.into_generator();
    let mut paths = Map::new();
    for operation in OPERATIONS {
        let path = paths.entry(operation.path).or_insert_with(|| json!({}));
        path[operation.method] = describe(operation, &mut schemas);
    }
    for (path, what, kind) in [
        ("/metrics", "Metrics in Prometheus' text format.", "text/plain"),
        ("/healthz", "200 while the process lives.", "text/plain"),
        ("/readyz", "200 once all workers accept, 503 while starting and draining.", "text/plain"),
        ("/openapi.json", "This document.", "application/json"),
    ] {
        let id = path.trim_matches('/').replace(".json", "");
        let answer = json!({ "description": what, "content": { kind: {} } });
        paths.insert(
            path.into(),
            json!({ "get": {
            "operationId": id, "summary": what, "responses": { "200": answer }, "security": []
        } }),
        );
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Ringway admin API",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "What operators ask a running Ringway and tell it. Over the Unix socket everything is allowed; over TCP, \
                changes need a token, and so does everything on an address that other hosts can reach.",
        },
        "paths": paths,
        "components": {
            "schemas": schemas.take_definitions(true),
            "securitySchemes": { "token": { "type": "http", "scheme": "bearer" } },
        },
        "security": [{ "token": [] }, {}],
    })
}

fn describe(operation: &Operation, schemas: &mut SchemaGenerator) -> Value {
    let mut parameters: Vec<Value> = operation.path.split('/').filter_map(piece).collect();
    if let Some(query) = operation.query {
        let schema = definition(&query(schemas).to_value(), schemas);
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            let about = property["description"].clone();
            parameters.push(json!({ "name": name, "in": "query", "description": about, "schema": property }));
        }
    }
    if operation.tags == Tags::Heeded {
        let about = "An ETag: 412 if what is changed is not what had it.";
        let schema = json!({ "type": "string" });
        parameters.push(json!({ "name": "If-Match", "in": "header", "description": about, "schema": schema }));
    }
    let mut good = json!({ "description": "Done." });
    if let Some(answer) = operation.answer {
        good["content"] = json!({ "application/json": { "schema": answer(schemas) } });
    }
    if operation.tags != Tags::None {
        good["headers"] = json!({ "ETag": { "schema": { "type": "string" } } });
    }
    let problem = schemas.subschema_for::<Problem>();
    let wrong = json!({ "description": "Refused.", "content": { "application/problem+json": { "schema": problem } } });
    let mut responses = Map::new();
    responses.insert(operation.status.to_string(), good);
    if operation.id == "reload" {
        let refused = json!({ "application/json": { "schema": operation.answer.map(|answer| answer(schemas)) } });
        responses.insert("422".into(), json!({ "description": "The configuration is refused.", "content": refused }));
    }
    responses.insert("default".into(), wrong);
    let mut described = json!({
        "operationId": operation.id,
        "summary": operation.summary,
        "parameters": parameters,
        "responses": responses,
    });
    if let Some(body) = operation.body {
        let content = json!({ "application/json": { "schema": body(schemas) } });
        described["requestBody"] = json!({ "required": operation.body_required, "content": content });
    }
    if operation.changes {
        described["security"] = json!([{ "token": [] }]);
    }
    described
}

/// A piece of a path that stands for something.
fn piece(segment: &str) -> Option<Value> {
    let name = segment.strip_prefix('{')?.strip_suffix('}')?;
    let about = match name {
        "pool" => "A pool's name.",
        "target" => "A target's address, percent-encoded.",
        "cache" => "A cache's name.",
        "client" => "An address, or a range such as 10.0.0.0%2F8.",
        _ => "A connection's id.",
    };
    let schema = json!({ "type": "string" });
    Some(json!({ "name": name, "in": "path", "required": true, "description": about, "schema": schema }))
}

fn definition(schema: &Value, schemas: &SchemaGenerator) -> Value {
    let name = schema["$ref"].as_str().and_then(|reference| reference.rsplit('/').next());
    name.and_then(|name| schemas.definitions().get(name)).unwrap_or(schema).clone()
}

#[cfg(test)]
mod tests {
    use super::super::probes;
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_operation_is_in_the_document_once_and_every_reference_leads_somewhere() {
        let document = document();
        let mut described = BTreeSet::new();
        let mut ids = BTreeSet::new();
        for (path, methods) in document["paths"].as_object().unwrap() {
            for (method, operation) in methods.as_object().unwrap() {
                described.insert((path.clone(), method.clone()));
                assert!(ids.insert(operation["operationId"].as_str().unwrap().to_owned()), "{operation}");
                assert!(!operation["summary"].as_str().unwrap().is_empty());
            }
        }
        let table = OPERATIONS.iter().map(|operation| (operation.path.to_owned(), operation.method.to_owned()));
        let others = probes::PATHS.into_iter().chain(["/openapi.json"]).map(|path| (path.to_owned(), "get".to_owned()));
        assert_eq!(described, table.chain(others).collect());
        let text = document.to_string();
        for reference in text.split("\"$ref\":\"#").skip(1).filter_map(|rest| rest.split('"').next()) {
            assert!(document.pointer(reference).is_some(), "{reference}");
        }
        assert!(document["components"]["schemas"]["Problem"].is_object());
    }

    #[test]
    fn parameters_come_from_the_types() {
        let document = document();
        let list = &document["paths"]["/v1/connections"]["get"]["parameters"];
        let names: BTreeSet<&str> = list.as_array().unwrap().iter().filter_map(|one| one["name"].as_str()).collect();
        assert_eq!(names, ["after", "client", "limit", "listener", "target"].into());
        let patch = &document["paths"]["/v1/pools/{pool}/targets/{target}"]["patch"];
        let names: Vec<&str> =
            patch["parameters"].as_array().unwrap().iter().filter_map(|one| one["name"].as_str()).collect();
        assert_eq!(names, ["pool", "target", "If-Match"]);
        assert!(patch["requestBody"]["content"]["application/json"]["schema"]["$ref"].is_string());
    }
}
