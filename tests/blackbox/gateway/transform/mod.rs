//! Requests and answers that rules change on the way.

mod answers;
mod faulty;
mod heads;
mod requests;
mod stored;

use super::{config, faults};
use crate::support::client::{Client, Response, request};
use crate::support::proxy::Proxy;
use crate::support::{Target, h2};
use http::{HeaderName, HeaderValue, Method};

/// A route `/v1/` with these rules, of which `rule` are the tables.
fn start(target: &Target, rules: &str, rule: &str) -> Proxy {
    start_with(target, rules, rule, "")
}

/// The same with further keys of the route.
fn start_with(target: &Target, rules: &str, rule: &str, more: &str) -> Proxy {
    Proxy::start(config(target, rules, more) + rule)
}

/// Sends a JSON body.
fn send(client: &mut Client, method: &str, path: &str, body: &str) -> Response {
    let length = format!("Content-Length: {}", body.len());
    client.send(request(method, path, &["Content-Type: application/json", &length]));
    client.send(body);
    client.response()
}

/// The same over HTTP/2.
fn send2(client: &h2::Client, method: Method, path: &str, fields: &[(&str, &str)], body: &str) -> h2::Answer {
    let mut asked = h2::request(method, path);
    for (name, value) in fields {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        asked.headers_mut().append(name, HeaderValue::from_str(value).unwrap());
    }
    client.ask(asked, body.as_bytes()).unwrap()
}

const JSON: (&str, &str) = ("content-type", "application/json");
