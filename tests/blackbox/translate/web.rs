//! gRPC-Web, as browsers speak it.

use super::shop::{GetItemRequest, Item, Shop, WatchRequest};
use super::{rest, send};
use crate::support::client::Response;
use crate::support::{Proxy, eventually};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use prost::Message;

fn frame(message: &[u8]) -> Vec<u8> {
    [&[0][..], &(message.len() as u32).to_be_bytes(), message].concat()
}

/// The messages of a body, and the trailers behind them.
#[track_caller]
fn read(mut body: &[u8]) -> (Vec<Vec<u8>>, String) {
    let (mut messages, mut trailers) = (Vec::new(), None);
    while let [flag, a, b, c, d, rest @ ..] = body {
        let (message, rest) = rest.split_at(u32::from_be_bytes([*a, *b, *c, *d]) as usize);
        assert!(trailers.is_none(), "nothing is behind the trailers");
        match flag {
            0 => messages.push(message.to_vec()),
            0x80 => trailers = Some(String::from_utf8(message.to_vec()).unwrap()),
            other => panic!("flag {other}"),
        }
        body = rest;
    }
    assert!(body.is_empty());
    (messages, trailers.unwrap_or_default())
}

fn get(name: &str) -> Vec<u8> {
    frame(&GetItemRequest { name: name.to_owned(), revision: 1 }.encode_to_vec())
}

fn watch(count: i32, fail_with: i32) -> Vec<u8> {
    frame(&WatchRequest { shelf: "s".to_owned(), count, fail_with, then_wait: false }.encode_to_vec())
}

fn call(proxy: &Proxy, method: &str, content_type: &str, body: impl AsRef<[u8]>) -> Response {
    send(proxy, "POST", &format!("/shop.v1.Shop/{method}"), content_type, body)
}

/// What came as base64, each piece with its padding.
fn text(body: &[u8]) -> Vec<u8> {
    let text = std::str::from_utf8(body).unwrap();
    let mut out = Vec::new();
    for group in text.as_bytes().chunks(4) {
        out.extend(BASE64_STANDARD.decode(group).unwrap());
    }
    out
}

#[test]
fn a_call_in_bytes_has_its_trailers_behind_its_messages() {
    let shop = Shop::start();
    let proxy = rest(&shop, "");
    for content_type in ["application/grpc-web", "application/grpc-web+proto"] {
        let answer = call(&proxy, "GetItem", content_type, get("a"));
        assert_eq!((answer.status, answer.field("content-type").as_deref()), (200, Some("application/grpc-web+proto")));
        assert_eq!((answer.field("x-served").as_deref(), answer.trailers.len()), (Some("yes"), 0));
        let (messages, trailers) = read(&answer.body);
        assert_eq!(Item::decode(&messages[0][..]).unwrap().title, "revision 1");
        assert!(trailers.contains("grpc-status: 0\r\n"), "{trailers:?}");
        assert!(answer.field("x-saw-content-type").unwrap().starts_with("application/grpc"));
    }
    let (messages, trailers) = read(&call(&proxy, "Watch", "application/grpc-web+proto", watch(3, 9)).body);
    assert_eq!(messages.len(), 3);
    assert!(trailers.contains("grpc-status: 9\r\n") && trailers.contains("grpc-message: 50%20%25"), "{trailers:?}");
    let (messages, trailers) = read(&call(&proxy, "Watch", "application/grpc-web+proto", watch(0, 0)).body);
    assert!(messages.is_empty() && trailers.contains("grpc-status: 0"), "{trailers:?}");
}

#[test]
fn a_call_in_text_is_base64_both_ways() {
    let shop = Shop::start();
    let proxy = rest(&shop, "");
    let kind = "application/grpc-web-text";
    let answer = call(&proxy, "GetItem", kind, BASE64_STANDARD.encode(get("ab")));
    assert_eq!(answer.field("content-type").as_deref(), Some("application/grpc-web-text+proto"));
    let (messages, trailers) = read(&text(&answer.body));
    assert_eq!(Item::decode(&messages[0][..]).unwrap().name, "ab");
    assert!(trailers.contains("grpc-status: 0\r\n"));
    // In two pieces, each with its padding.
    let (one, two) = (get("abc"), watch(2, 0));
    let pieces = [BASE64_STANDARD.encode(&two[..4]), BASE64_STANDARD.encode(&two[4..])].concat();
    assert_eq!(read(&text(&call(&proxy, "Watch", kind, pieces).body)).0.len(), 2);
    drop(one);
    for bad in ["!", "====", "YQ", "\u{ff}"] {
        let refused = call(&proxy, "GetItem", kind, bad);
        let status = (refused.field("grpc-status"), refused.field("content-type"));
        assert_eq!(status, (Some("3".to_owned()), Some("application/grpc-web-text+proto".to_owned())), "{refused:?}");
    }
    proxy.out.wait(&["\"reason\":\"bad-base64\""]);
}

#[test]
fn an_error_without_an_answer_stands_in_the_head_and_in_no_empty_frame() {
    let mut shop = Shop::start();
    let proxy = rest(&shop, "");
    let refused = call(&proxy, "Fail", "application/grpc-web+proto", frame(&[0x08, 0x05]));
    assert_eq!((refused.status, refused.field("grpc-status").as_deref(), refused.body.len()), (200, Some("5"), 0));
    assert!(refused.field("grpc-message").unwrap().starts_with("50%20%25"));
    let refused = call(&proxy, "NoSuch", "application/grpc-web+proto", frame(&[]));
    assert_eq!(refused.field("grpc-status").as_deref(), Some("12"));
    shop.die();
    eventually("its target is gone", || {
        let refused = call(&proxy, "GetItem", "application/grpc-web+proto", get("a"));
        refused.status == 200
            && refused.field("grpc-status").as_deref() == Some("14")
            && refused.field("content-type").as_deref() == Some("application/grpc-web+proto")
    });
}
