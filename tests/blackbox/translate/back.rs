//! Calls of gRPC that become requests of REST.

use super::setup;
use super::shop::{GetItemRequest, Item};
use crate::clients::grpc::service::Plain;
use crate::support::{PATIENCE, Proxy, Target};
use bytes::Bytes;
use prost::Message;
use tonic::transport::Endpoint;
use tonic::{Code, Request, Response, Status};

fn call(proxy: &Proxy, method: &str, message: Vec<u8>) -> Result<Response<Bytes>, Status> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let url = format!("http://{}", proxy.web());
    let all = async {
        let mut grpc = tonic::client::Grpc::new(Endpoint::from_shared(url).unwrap().connect().await.unwrap());
        grpc.ready().await.unwrap();
        grpc.unary(Request::new(message.into()), format!("/shop.v1.Shop/{method}").parse().unwrap(), Plain).await
    };
    runtime.block_on(async { tokio::time::timeout(PATIENCE, all).await }).expect("an answer in time")
}

fn get(proxy: &Proxy, name: &str) -> Result<Item, Status> {
    let asked = GetItemRequest { name: name.to_owned(), revision: 3 };
    call(proxy, "GetItem", asked.encode_to_vec()).map(|got| Item::decode(got.into_inner()).unwrap())
}

#[test]
fn a_call_asks_a_target_of_rest_and_gets_its_answer_as_a_message() {
    let target = Target::with("a", |peer| {
        while let Some(seen) = peer.request() {
            let answer = match seen.path.as_str() {
                "/v1/shelves/1/items/none?revision=3" => peer.reply(
                    404,
                    &["Content-Type: application/problem+json"],
                    br#"{"detail":"no such item: \u00e4"}"#,
                ),
                "/v1/shelves/1/items/busy?revision=3" => peer.reply(503, &[], b"<html>"),
                "/v1/shelves/1/items/html?revision=3" => peer.reply(200, &[], b"<html>"),
                "/v1/shelves/1/items/large?revision=3" => peer.reply(200, &[], &vec![b' '; 20_000]),
                _ if seen.method == "POST" => peer.reply(201, &["X-Made: yes"], &seen.body),
                _ => peer.reply(200, &[], br#"{"name":"n","price":"7","kind":"TOY","unknown":[1]}"#),
            };
            if answer.is_none() {
                break;
            }
        }
    });
    let proxy = setup(&target, "", "[\"shop\"]", "type = \"grpc-to-rest\"\nmax_message = \"10KiB\"\n").start();
    let item = get(&proxy, "shelves/1/items/a b").unwrap();
    assert_eq!((item.name.as_str(), item.price, item.kind), ("n", 7, 2));
    let seen = target.last();
    assert_eq!((seen.method.as_str(), seen.path.as_str()), ("GET", "/v1/shelves/1/items/a%20b?revision=3"));
    assert_eq!(
        (seen.field("accept").as_deref(), seen.field("content-type"), seen.field("te")),
        (Some("application/json"), None, None)
    );
    let made = [&[0x0a, 0x09][..], b"shelves/1", &[0x12, 0x03, 0x12, 0x01, b'x']].concat();
    let made = call(&proxy, "CreateItem", made).unwrap();
    assert_eq!(
        (made.metadata().get("x-made").unwrap(), Item::decode(made.get_ref().clone()).unwrap().title),
        (&"yes".parse().unwrap(), "x".to_owned())
    );
    assert_eq!(
        (target.last().path, target.last().body),
        ("/v1/shelves/1/items".to_owned(), br#"{"title":"x"}"#.to_vec())
    );
    let refused = get(&proxy, "shelves/1/items/none").unwrap_err();
    assert_eq!((refused.code(), refused.message()), (Code::NotFound, "no such item: ä"));
    assert_eq!(get(&proxy, "shelves/1/items/busy").unwrap_err().code(), Code::Unavailable);
    for bad in ["html", "large"] {
        assert_eq!(get(&proxy, &format!("shelves/1/items/{bad}")).unwrap_err().code(), Code::Unavailable, "{bad}");
    }
    let requests = target.requests();
    for bad in ["", "shelves/../items/1", "elsewhere"] {
        assert_eq!(get(&proxy, bad).unwrap_err().code(), Code::InvalidArgument, "{bad}");
    }
    assert_eq!(get(&proxy, &"x".repeat(20_000)).unwrap_err().code(), Code::ResourceExhausted);
    assert_eq!(call(&proxy, "GetItem", vec![0xff; 9]).unwrap_err().code(), Code::InvalidArgument);
    for method in ["Watch", "Talk", "NoSuch"] {
        assert_eq!(call(&proxy, method, Vec::new()).unwrap_err().code(), Code::Unimplemented, "{method}");
    }
    assert_eq!(target.requests(), requests);
    // What is no call goes on as it is.
    assert_eq!(proxy.get("/v1/x").status, 200);
}
