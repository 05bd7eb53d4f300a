//! REST, gRPC, gRPC-Web and forms, one as the other, with tonic as the target.

mod back;
mod explained;
mod forms;
mod plain;
mod rest;
mod shop;
mod streams;
mod web;

use crate::support::client::{Response, request};
use crate::support::proxy::{Proxy, Setup};
use crate::support::toml::http_with;
use serde_json::Value;
use std::fmt::Display;
use std::path::Path;

/// The descriptor set of the shop.
pub fn descriptors() -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/translate");
    let mut compiler = protox::Compiler::new([folder]).unwrap();
    compiler.include_imports(true).open_file("shop/shop.proto").unwrap();
    compiler.encode_file_descriptor_set()
}

/// A proxy before `target`, whose route for everything has these translations, with `more` keys of the one that has descriptors.
fn setup(target: impl Display, pool: &str, translate: &str, more: &str) -> Setup {
    let setup = Setup::new("").workers(1);
    let file = setup.directory().join("shop.desc");
    std::fs::write(&file, descriptors()).unwrap();
    let file = file.display();
    let all = format!(
        "\n[routes.shop]\npool = \"site\"\ntranslate = {translate}\n\
         [translations.shop]\ndescriptors = \"{file}\"\n{more}\n\
         [translations.web]\ntype = \"grpc-web\"\n\
         [access_log]\n"
    );
    setup.with(http_with("", &[target], pool) + &all)
}

/// One that asks the shop by REST.
fn rest(shop: &shop::Shop, more: &str) -> Proxy {
    setup(shop.address, "protocol = \"h2\"\n", "[\"web\", \"shop\"]", &format!("type = \"rest-to-grpc\"\n{more}"))
        .start()
}

fn send(proxy: &Proxy, method: &str, path: &str, content_type: &str, body: impl AsRef<[u8]>) -> Response {
    let body = body.as_ref();
    let (length, kind) = (format!("Content-Length: {}", body.len()), format!("Content-Type: {content_type}"));
    let mut client = proxy.client();
    client.send(request(method, path, &[&length, &kind]));
    let _ = client.try_send(body);
    client.response()
}

#[track_caller]
fn json(response: &Response, status: u16) -> Value {
    assert_eq!(response.status, status, "{:?} {}", response.head, response.text());
    serde_json::from_slice(&response.body).unwrap_or_else(|error| panic!("{error}: {}", response.text()))
}

#[track_caller]
fn problem(response: &Response, status: u16, code: &str) -> Value {
    let told = json(response, status);
    assert_eq!(response.field("content-type").as_deref(), Some("application/problem+json"), "{told}");
    assert_eq!((told["status"].as_u64(), told["code"].as_str()), (Some(status.into()), Some(code)), "{told}");
    told
}
