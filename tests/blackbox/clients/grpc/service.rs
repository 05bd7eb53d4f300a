//! A service on tonic with a method of each kind, and its client.

use crate::clients::Front;
use crate::support::proxy::Directory;
use crate::support::tls::{Authority, Kind};
use bytes::{Buf, BufMut, Bytes};
use futures_util::stream;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::thread;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tonic::body::Body;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::codegen::{BoxFuture, BoxStream, Service};
use tonic::metadata::MetadataMap;
use tonic::server::{ClientStreamingService, ServerStreamingService, StreamingService, UnaryService};
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity, ServerTlsConfig};
use tonic::{Code, Request, Response, Status, Streaming};

/// Messages as they are: what is in them is no matter of a proxy's.
#[derive(Clone, Copy)]
pub struct Plain;

impl Codec for Plain {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Plain;
    type Decoder = Plain;

    fn encoder(&mut self) -> Plain {
        Plain
    }

    fn decoder(&mut self) -> Plain {
        Plain
    }
}

impl Encoder for Plain {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, message: Bytes, out: &mut EncodeBuf<'_>) -> Result<(), Status> {
        out.put(message);
        Ok(())
    }
}

impl Decoder for Plain {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, message: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(message.copy_to_bytes(message.remaining())))
    }
}

/// The status that the message "fail" leads to.
pub fn failure() -> Status {
    let mut metadata = MetadataMap::new();
    metadata.insert("x-why", "because".parse().unwrap());
    metadata.insert_bin("x-why-bin", tonic::metadata::MetadataValue::from_bytes(&[0, 255, 10, 13]));
    let message = "50 % zu gro\u{df}, \u{2603}\nsecond line";
    Status::with_details_and_metadata(Code::FailedPrecondition, message, Bytes::from_static(b"\0details"), metadata)
}

/// How the messages of [`Echo`] are taken.
fn answer(message: Bytes) -> Result<Bytes, Status> {
    if message == "fail" { Err(failure()) } else { Ok(message) }
}

/// Mirrors messages.
#[derive(Clone)]
struct Echo {
    /// Calls that have not ended.
    live: Arc<AtomicUsize>,
}

impl Echo {
    fn begin(&self) -> Live {
        self.live.fetch_add(1, Ordering::SeqCst);
        Live(self.live.clone())
    }
}

/// One call, until it is dropped.
struct Live(Arc<AtomicUsize>);

impl Drop for Live {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Service<http::Request<Body>> for Echo {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<http::Response<Body>, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let echo = self.clone();
        Box::pin(async move {
            let mut grpc = tonic::server::Grpc::new(Plain);
            Ok(match request.uri().path() {
                "/site.Echo/One" => grpc.unary(echo, request).await,
                "/site.Echo/Collect" => grpc.client_streaming(echo, request).await,
                "/site.Echo/Repeat" => grpc.server_streaming(echo, request).await,
                "/site.Echo/Talk" => grpc.streaming(echo, request).await,
                path => Status::unimplemented(path).into_http(),
            })
        })
    }
}

/// One message, with the metadata that came; none ever for "wait".
impl UnaryService<Bytes> for Echo {
    type Response = Bytes;
    type Future = BoxFuture<Response<Bytes>, Status>;

    fn call(&mut self, request: Request<Bytes>) -> Self::Future {
        let live = self.begin();
        Box::pin(async move {
            let _live = live;
            let (metadata, _, message) = request.into_parts();
            if message == "wait" {
                std::future::pending::<()>().await;
            }
            let mut response = Response::new(answer(message)?);
            *response.metadata_mut() = metadata;
            Ok(response)
        })
    }
}

/// All messages in one.
impl ClientStreamingService<Bytes> for Echo {
    type Response = Bytes;
    type Future = BoxFuture<Response<Bytes>, Status>;

    fn call(&mut self, request: Request<Streaming<Bytes>>) -> Self::Future {
        Box::pin(async move {
            let (mut messages, mut all) = (request.into_inner(), Vec::new());
            while let Some(message) = messages.message().await? {
                all.extend_from_slice(&answer(message)?);
            }
            Ok(Response::new(all.into()))
        })
    }
}

/// The message ten times, and then what [`answer`] has to say to "fail" if it begins with that.
impl ServerStreamingService<Bytes> for Echo {
    type Response = Bytes;
    type ResponseStream = BoxStream<Bytes>;
    type Future = BoxFuture<Response<BoxStream<Bytes>>, Status>;

    fn call(&mut self, request: Request<Bytes>) -> Self::Future {
        Box::pin(async move {
            let message = request.into_inner();
            let last = message.starts_with(b"fail").then(|| Err(failure()));
            let messages: Vec<_> = (0..10).map(|_| Ok(message.clone())).chain(last).collect();
            Ok(Response::new(Box::pin(stream::iter(messages)) as BoxStream<Bytes>))
        })
    }
}

/// Each message as it comes.
impl StreamingService<Bytes> for Echo {
    type Response = Bytes;
    type ResponseStream = BoxStream<Bytes>;
    type Future = BoxFuture<Response<BoxStream<Bytes>>, Status>;

    fn call(&mut self, request: Request<Streaming<Bytes>>) -> Self::Future {
        let live = self.begin();
        Box::pin(async move {
            let answers = stream::unfold((request.into_inner(), live), |(mut messages, live)| async {
                let next = messages.message().await.transpose()?;
                Some((next.and_then(answer), (messages, live)))
            });
            Ok(Response::new(Box::pin(answers) as BoxStream<Bytes>))
        })
    }
}

/// A running server of [`Echo`]; dropping it ends it.
pub struct Server {
    pub address: SocketAddr,
    /// The keys of a pool that has it as its target.
    pub pool: String,
    live: Arc<AtomicUsize>,
    _directory: Directory,
    _stop: oneshot::Sender<()>,
}

impl Server {
    /// Speaks HTTP/2 over TLS or by prior knowledge.
    pub fn start(secure: bool) -> Server {
        let (authority, directory) = (Authority::new("Targets"), Directory::new());
        let ca = directory.write("ca.pem", &authority.pem());
        let tls = if secure { format!("tls = {{ ca = \"{ca}\" }}\n") } else { String::new() };
        let mut builder = tonic::transport::Server::builder();
        if secure {
            let made = authority.server(&["site.test"], Kind::Ecdsa);
            builder =
                builder.tls_config(ServerTlsConfig::new().identity(Identity::from_pem(made.cert, made.key))).unwrap();
        }
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let (address, live) = (listener.local_addr().unwrap(), Arc::<AtomicUsize>::default());
        let (stop, stopped) = oneshot::channel();
        let echo = Echo { live: live.clone() };
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let incoming = TcpIncoming::from(TcpListener::from_std(listener).unwrap()).with_nodelay(Some(true));
                tokio::select! {
                    served = builder.serve_with_incoming(echo, incoming) => served.unwrap(),
                    _ = stopped => {}
                }
            });
        });
        Server { address, pool: format!("protocol = \"h2\"\n{tls}"), live, _directory: directory, _stop: stop }
    }

    /// Waits until so many calls of one message and conversations have not ended.
    pub async fn has(&self, live: usize) {
        // The client's connection goes on meanwhile, in this very thread.
        while self.live.load(Ordering::SeqCst) != live {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// A connection of tonic's.
#[derive(Clone)]
pub struct Calls(Channel);

impl Calls {
    pub async fn to(front: &Front) -> Calls {
        let url = front.url("").replace("site.test", "127.0.0.1");
        let mut endpoint = Endpoint::from_shared(url).unwrap().origin(front.url("").parse().unwrap());
        if front.secure {
            let ca = Certificate::from_pem(front.authority.pem());
            endpoint = endpoint.tls_config(ClientTlsConfig::new().ca_certificate(ca).domain_name("site.test")).unwrap();
        }
        Calls(endpoint.connect().await.unwrap())
    }

    async fn ready(&self) -> tonic::client::Grpc<Channel> {
        let mut grpc = tonic::client::Grpc::new(self.0.clone());
        grpc.ready().await.unwrap();
        grpc
    }

    pub async fn one(&self, request: Request<Bytes>) -> Result<Response<Bytes>, Status> {
        self.ready().await.unary(request, "/site.Echo/One".parse().unwrap(), Plain).await
    }

    pub async fn collect(&self, messages: Vec<Bytes>) -> Result<Bytes, Status> {
        let (request, path) = (Request::new(stream::iter(messages)), "/site.Echo/Collect".parse().unwrap());
        self.ready().await.client_streaming(request, path, Plain).await.map(Response::into_inner)
    }

    pub async fn repeat(&self, message: Bytes) -> Result<Streaming<Bytes>, Status> {
        let (request, path) = (Request::new(message), "/site.Echo/Repeat".parse().unwrap());
        self.ready().await.server_streaming(request, path, Plain).await.map(Response::into_inner)
    }

    /// What is sent goes out at once; dropping the sender ends that way.
    pub async fn talk(&self) -> Result<(mpsc::UnboundedSender<Bytes>, Streaming<Bytes>), Status> {
        let (sender, receiver) = mpsc::unbounded_channel();
        let messages = stream::unfold(receiver, |mut receiver: mpsc::UnboundedReceiver<Bytes>| async {
            Some((receiver.recv().await?, receiver))
        });
        let path = "/site.Echo/Talk".parse().unwrap();
        let response = self.ready().await.streaming(Request::new(messages), path, Plain).await?;
        Ok((sender, response.into_inner()))
    }
}
