//! Calls of gRPC in all four kinds, through the listener and the route that translate.

use super::rest;
use super::shop::{GetItemRequest, Item, Shop, WatchRequest};
use crate::clients::grpc::service::Plain;
use crate::support::PATIENCE;
use bytes::Bytes;
use futures_util::stream;
use prost::Message;
use tonic::transport::Endpoint;
use tonic::{Code, Request};

#[test]
fn calls_of_all_kinds_pass_beside_what_is_translated() {
    let shop = Shop::start();
    let proxy = rest(&shop, "");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let url = format!("http://{}", proxy.web());
    let all = async {
        let channel = Endpoint::from_shared(url).unwrap().connect().await.unwrap();
        let mut grpc = tonic::client::Grpc::new(channel);
        let path = |method: &str| format!("/shop.v1.Shop/{method}").parse().unwrap();
        grpc.ready().await.unwrap();
        let asked = GetItemRequest { name: "shelves/1/items/2".to_owned(), revision: 4 };
        let asked = Request::new(Bytes::from(asked.encode_to_vec()));
        let one = grpc.unary(asked, path("GetItem"), Plain).await.unwrap();
        assert_eq!(one.metadata().get("x-served").unwrap(), "yes");
        assert_eq!(Item::decode(one.into_inner()).unwrap().title, "revision 4");
        let asked = WatchRequest { shelf: "shelves/1".to_owned(), count: 2, fail_with: 9, then_wait: false };
        grpc.ready().await.unwrap();
        let asked = Request::new(Bytes::from(asked.encode_to_vec()));
        let mut items = grpc.server_streaming(asked, path("Watch"), Plain).await.unwrap().into_inner();
        for n in 0..2 {
            assert_eq!(Item::decode(items.message().await.unwrap().unwrap()).unwrap().price, n);
        }
        let status = items.message().await.unwrap_err();
        assert_eq!((status.code(), status.message()), (Code::FailedPrecondition, "50 % zu gro\u{df}\nsecond line"));
        let titles =
            || ["a", "b"].map(|title| Bytes::from(Item { title: title.to_owned(), ..Item::default() }.encode_to_vec()));
        grpc.ready().await.unwrap();
        let asked = Request::new(stream::iter(titles()));
        let all = grpc.client_streaming(asked, path("Collect"), Plain).await.unwrap().into_inner();
        assert_eq!(Item::decode(all).unwrap().title, "ab");
        grpc.ready().await.unwrap();
        let asked = Request::new(stream::iter(titles()));
        let mut talk = grpc.streaming(asked, path("Talk"), Plain).await.unwrap().into_inner();
        for title in titles() {
            assert_eq!(talk.message().await.unwrap(), Some(title));
        }
        assert_eq!(talk.message().await.unwrap(), None);
        proxy.get("/v1/shelves/1/items/2")
    };
    let answer = runtime.block_on(async { tokio::time::timeout(PATIENCE, all).await }).expect("all calls end in time");
    assert_eq!(answer.status, 200);
}
