//! The shop of `tests/data/translate/shop/shop.proto` on tonic.

use crate::clients::grpc::service::Plain;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use prost::Message;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::thread;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tonic::body::Body;
use tonic::codegen::{BoxFuture, BoxStream, Service};
use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::server::{ClientStreamingService, ServerStreamingService, StreamingService, UnaryService};
use tonic::transport::server::TcpIncoming;
use tonic::{Code, Request, Response, Status, Streaming};

#[derive(Clone, PartialEq, Message)]
pub struct Item {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(string, tag = "2")]
    pub title: String,
    #[prost(int64, tag = "3")]
    pub price: i64,
    #[prost(int32, tag = "4")]
    pub kind: i32,
}

#[derive(Clone, PartialEq, Message)]
pub struct GetItemRequest {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(int32, tag = "2")]
    pub revision: i32,
}

#[derive(Clone, PartialEq, Message)]
struct CreateItemRequest {
    #[prost(string, tag = "1")]
    parent: String,
    #[prost(message, tag = "2")]
    item: Option<Item>,
    #[prost(bool, tag = "3")]
    dry_run: bool,
}

#[derive(Clone, PartialEq, Message)]
pub struct WatchRequest {
    #[prost(string, tag = "1")]
    pub shelf: String,
    #[prost(int32, tag = "2")]
    pub count: i32,
    #[prost(int32, tag = "3")]
    pub fail_with: i32,
    #[prost(bool, tag = "4")]
    pub then_wait: bool,
}

#[derive(Clone, PartialEq, Message)]
struct FailRequest {
    #[prost(int32, tag = "1")]
    code: i32,
}

/// `google.rpc.Status`, with its details as they are.
#[derive(Clone, PartialEq, Message)]
struct Details {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<Any>,
}

#[derive(Clone, PartialEq, Message)]
struct Any {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

#[derive(Clone)]
struct Keeper {
    /// Calls that have not ended.
    live: Arc<AtomicUsize>,
}

/// One call, until it is dropped.
struct Live(Arc<AtomicUsize>);

impl Drop for Live {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A running shop; dropping it ends it.
pub struct Shop {
    pub address: SocketAddr,
    live: Arc<AtomicUsize>,
    stop: Option<oneshot::Sender<()>>,
}

impl Shop {
    pub fn start() -> Shop {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let (address, live) = (listener.local_addr().unwrap(), Arc::<AtomicUsize>::default());
        let (stop, stopped) = oneshot::channel();
        let keeper = Keeper { live: live.clone() };
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let incoming = TcpIncoming::from(TcpListener::from_std(listener).unwrap()).with_nodelay(Some(true));
                tokio::select! {
                    served = tonic::transport::Server::builder().serve_with_incoming(keeper, incoming) => served.unwrap(),
                    _ = stopped => {}
                }
            });
        });
        Shop { address, live, stop: Some(stop) }
    }

    /// How many calls have not ended.
    pub fn live(&self) -> usize {
        self.live.load(Ordering::SeqCst)
    }

    /// Ends it in the midst of whatever it does.
    pub fn die(&mut self) {
        drop(self.stop.take());
    }
}

impl Keeper {
    fn begin(&self) -> Live {
        self.live.fetch_add(1, Ordering::SeqCst);
        Live(self.live.clone())
    }
}

impl Service<http::Request<Body>> for Keeper {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<http::Response<Body>, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let keeper = self.clone();
        Box::pin(async move {
            let mut grpc = tonic::server::Grpc::new(Plain);
            let method = request.uri().path().strip_prefix("/shop.v1.Shop/").unwrap_or_default().to_owned();
            let unary = One(keeper.clone(), method.clone());
            Ok(match method.as_str() {
                "GetItem" | "CreateItem" | "UpdateItem" | "DeleteItem" | "Mirror" | "Fail" => {
                    grpc.unary(unary, request).await
                }
                "Watch" => grpc.server_streaming(keeper, request).await,
                "Collect" => grpc.client_streaming(keeper, request).await,
                "Talk" => grpc.streaming(keeper, request).await,
                other => Status::unimplemented(other).into_http(),
            })
        })
    }
}

struct One(Keeper, String);

fn failure(code: i32) -> Status {
    let item = Item { title: "what is wrong".to_owned(), ..Item::default() };
    let known = Any { type_url: "type.googleapis.com/shop.v1.Item".to_owned(), value: item.encode_to_vec() };
    let unknown = Any { type_url: "type.googleapis.com/no.Such".to_owned(), value: vec![1, 2] };
    let details = Details { code, message: String::new(), details: vec![known, unknown] };
    let message = "50 % zu gro\u{df}\nsecond line";
    Status::with_details(Code::from(code), message, details.encode_to_vec().into())
}

/// An item of the name that is asked for; metadata that came as `x-asked` goes back.
impl UnaryService<Bytes> for One {
    type Response = Bytes;
    type Future = BoxFuture<Response<Bytes>, Status>;

    fn call(&mut self, request: Request<Bytes>) -> Self::Future {
        let (live, method) = (self.0.begin(), self.1.clone());
        Box::pin(async move {
            let _live = live;
            let (metadata, _, message) = request.into_parts();
            let wrong = |error: prost::DecodeError| Status::invalid_argument(error.to_string());
            let made = match method.as_str() {
                "GetItem" => {
                    let asked = GetItemRequest::decode(message).map_err(wrong)?;
                    if asked.name.ends_with("/wait") {
                        std::future::pending::<()>().await;
                    }
                    let (title, price) = (format!("revision {}", asked.revision), 1 << 60);
                    let title = if asked.name.ends_with("/large") { "x".repeat(100_000) } else { title };
                    Item { name: asked.name, title, price, kind: 1 }.encode_to_vec().into()
                }
                "CreateItem" => {
                    let asked = CreateItemRequest::decode(message).map_err(wrong)?;
                    let item = asked.item.unwrap_or_default();
                    let kind = if asked.dry_run { 2 } else { item.kind };
                    Item { name: format!("{}/items/new", asked.parent), kind, ..item }.encode_to_vec().into()
                }
                "DeleteItem" => Bytes::new(),
                "Fail" => return Err(failure(FailRequest::decode(message).map_err(wrong)?.code)),
                _ => message,
            };
            let mut response = Response::new(made);
            let given: &mut MetadataMap = response.metadata_mut();
            for name in ["x-asked", "grpc-timeout", "content-type", "te", "accept-encoding", "grpc-encoding", "x-trace"]
            {
                if let Some(value) = metadata.get(name) {
                    let name: tonic::metadata::AsciiMetadataKey = format!("x-saw-{name}").parse().unwrap();
                    given.insert(name, value.clone());
                }
            }
            given.insert("x-served", MetadataValue::from_static("yes"));
            Ok(response)
        })
    }
}

/// So many items, then an error, or nothing more ever.
impl ServerStreamingService<Bytes> for Keeper {
    type Response = Bytes;
    type ResponseStream = BoxStream<Bytes>;
    type Future = BoxFuture<Response<BoxStream<Bytes>>, Status>;

    fn call(&mut self, request: Request<Bytes>) -> Self::Future {
        let live = self.begin();
        Box::pin(async move {
            let asked = WatchRequest::decode(request.into_inner())
                .map_err(|error| Status::invalid_argument(error.to_string()))?;
            if asked.count < 0 {
                return Err(failure(asked.fail_with));
            }
            let item = move |n| Item { name: format!("{}/items/{n}", asked.shelf), price: n, ..Item::default() };
            let items = (0..i64::from(asked.count)).map(move |n| Ok(Bytes::from(item(n).encode_to_vec())));
            let error = (asked.fail_with != 0).then(|| Err(failure(asked.fail_with)));
            let all = stream::iter(items.chain(error));
            let waits = asked.then_wait;
            let rest = stream::once(async move {
                let _live = live;
                if waits {
                    std::future::pending::<()>().await;
                }
                None
            });
            let all = all.map(Some).chain(rest).filter_map(|next| async { next });
            Ok(Response::new(Box::pin(all) as BoxStream<Bytes>))
        })
    }
}

/// All titles in one.
impl ClientStreamingService<Bytes> for Keeper {
    type Response = Bytes;
    type Future = BoxFuture<Response<Bytes>, Status>;

    fn call(&mut self, request: Request<Streaming<Bytes>>) -> Self::Future {
        Box::pin(async move {
            let (mut messages, mut title) = (request.into_inner(), String::new());
            while let Some(message) = messages.message().await? {
                title.push_str(&Item::decode(message).map_err(|_| Status::invalid_argument("no item"))?.title);
            }
            Ok(Response::new(Item { title, ..Item::default() }.encode_to_vec().into()))
        })
    }
}

/// Each message as it comes.
impl StreamingService<Bytes> for Keeper {
    type Response = Bytes;
    type ResponseStream = BoxStream<Bytes>;
    type Future = BoxFuture<Response<BoxStream<Bytes>>, Status>;

    fn call(&mut self, request: Request<Streaming<Bytes>>) -> Self::Future {
        Box::pin(async move { Ok(Response::new(Box::pin(request.into_inner()) as BoxStream<Bytes>)) })
    }
}
