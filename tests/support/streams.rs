//! A target of HTTP/2 in clear that does with each request what it is told, and remembers what it saw.

use super::target::own_address;
use ::h2::server::{self, SendResponse};
use ::h2::{Reason, RecvStream};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response};
use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// A running target; dropping it ends it.
pub struct Streams {
    pub address: SocketAddr,
    inner: Arc<Inner>,
    _running: oneshot::Sender<()>,
}

/// One request as the target saw it.
#[derive(Clone, Debug)]
pub struct Asked {
    pub method: Method,
    pub path: String,
    pub fields: HeaderMap,
    pub body: Vec<u8>,
    pub trailers: HeaderMap,
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug)]
pub enum Says {
    /// 200 with its body, or the target's name, after so long.
    Echo(Duration),
    /// This status with a body of a few bytes.
    Status(u16),
    /// It is not looked at: REFUSED_STREAM, before its body has come.
    Refuses,
    /// Nothing, ever.
    Nothing,
    /// The head of an answer and a part of its body, and then a reset.
    BreaksOff,
    /// No more on this connection, in two steps; this one and those on their way are answered.
    Farewell,
}

type Act = dyn Fn(&Asked, usize) -> Says + Send + Sync;

struct Inner {
    name: String,
    act: Box<Act>,
    /// Requests whose body has come whole.
    seen: Mutex<Vec<Asked>>,
    /// Requests whose head has come.
    begun: AtomicUsize,
    connections: AtomicUsize,
    /// Streams that it is at, and the most at a time.
    now: AtomicUsize,
    most: AtomicUsize,
    /// Why streams were reset by the other side.
    resets: Mutex<Vec<Reason>>,
}

impl Streams {
    /// Does with each request what `act` says, which is told how many came before it.
    pub fn with(name: &str, act: impl Fn(&Asked, usize) -> Says + Send + Sync + 'static) -> Streams {
        let listener = std::net::TcpListener::bind((own_address(), 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let inner = Arc::new(Inner {
            name: name.to_owned(),
            act: Box::new(act),
            seen: Mutex::default(),
            begun: AtomicUsize::new(0),
            connections: AtomicUsize::new(0),
            now: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
            resets: Mutex::default(),
        });
        let (running, ended) = oneshot::channel();
        let shared = inner.clone();
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            tokio::task::LocalSet::new().block_on(&runtime, async move {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                let accepting = async {
                    while let Ok((stream, _)) = listener.accept().await {
                        let _ = stream.set_nodelay(true);
                        tokio::task::spawn_local(connection(shared.clone(), stream));
                    }
                };
                tokio::select! {
                    () = accepting => {}
                    _ = ended => {}
                }
            });
        });
        Streams { address, inner, _running: running }
    }

    /// Answers all, each after `time`.
    pub fn echo(name: &str, time: Duration) -> Streams {
        Self::with(name, move |_, _| Says::Echo(time))
    }

    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// The requests that came whole and were not refused.
    pub fn seen(&self) -> Vec<Asked> {
        self.inner.seen.lock().unwrap().clone()
    }

    /// Those for one path.
    pub fn seen_for(&self, path: &str) -> usize {
        self.seen().iter().filter(|asked| asked.path == path).count()
    }

    /// How many requests have begun, refused ones too.
    pub fn begun(&self) -> usize {
        self.inner.begun.load(Ordering::SeqCst)
    }

    pub fn connections(&self) -> usize {
        self.inner.connections.load(Ordering::SeqCst)
    }

    /// The most streams that it had in hand at a time.
    pub fn most(&self) -> usize {
        self.inner.most.load(Ordering::SeqCst)
    }

    /// Why streams were reset by the other side.
    pub fn resets(&self) -> Vec<Reason> {
        self.inner.resets.lock().unwrap().clone()
    }
}

/// The address, as a configuration names it.
impl std::fmt::Display for Streams {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.address.fmt(f)
    }
}

async fn connection(inner: Arc<Inner>, stream: tokio::net::TcpStream) {
    inner.connections.fetch_add(1, Ordering::SeqCst);
    let Ok(mut connection) = server::handshake(stream).await else { return };
    let (farewell, mut farewells) = mpsc::unbounded_channel();
    loop {
        tokio::select! {
            accepted = connection.accept() => match accepted {
                Some(Ok((request, reply))) => {
                    drop(tokio::task::spawn_local(exchange(inner.clone(), request, reply, farewell.clone())));
                }
                _ => return,
            },
            Some(()) = farewells.recv() => connection.graceful_shutdown(),
        }
    }
}

/// Counts a stream as in hand.
struct InHand(Arc<Inner>);

impl InHand {
    fn new(inner: &Arc<Inner>) -> InHand {
        inner.most.fetch_max(inner.now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        InHand(inner.clone())
    }
}

impl Drop for InHand {
    fn drop(&mut self) {
        self.0.now.fetch_sub(1, Ordering::SeqCst);
    }
}

async fn exchange(
    inner: Arc<Inner>,
    request: Request<RecvStream>,
    mut reply: SendResponse<Bytes>,
    farewell: mpsc::UnboundedSender<()>,
) {
    let (parts, mut incoming) = request.into_parts();
    let mut asked = Asked {
        method: parts.method,
        path: parts.uri.path().to_owned(),
        fields: parts.headers,
        body: Vec::new(),
        trailers: HeaderMap::new(),
    };
    let says = (inner.act)(&asked, inner.begun.fetch_add(1, Ordering::SeqCst));
    if matches!(says, Says::Refuses) {
        return reply.send_reset(Reason::REFUSED_STREAM);
    }
    let in_hand = InHand::new(&inner);
    while let Some(Ok(data)) = incoming.data().await {
        let _ = incoming.flow_control().release_capacity(data.len());
        asked.body.extend_from_slice(&data);
    }
    asked.trailers = incoming.trailers().await.ok().flatten().unwrap_or_default();
    inner.seen.lock().unwrap().push(asked.clone());
    let head = |status: u16| Response::builder().status(status).header("x-target", &inner.name);
    let body = if asked.body.is_empty() { inner.name.clone().into_bytes() } else { asked.body.clone() };
    let work = match says {
        Says::Echo(time) => time,
        Says::Nothing => Duration::from_secs(600),
        _ => Duration::ZERO,
    };
    // The other side may have had enough of it.
    tokio::select! {
        () = tokio::time::sleep(work) => {}
        reset = poll_fn(|cx| reply.poll_reset(cx)) => {
            inner.resets.lock().unwrap().extend(reset.ok());
            return;
        }
    }
    // Before the answer is out: what comes after it may come at once.
    drop(in_hand);
    let (status, body) = match says {
        Says::Status(status) => (status, b"no".to_vec()),
        _ => (200, body),
    };
    let to_head = asked.method == Method::HEAD;
    let response = head(status).header("content-length", body.len()).body(()).unwrap();
    let Ok(mut out) = reply.send_response(response, to_head) else { return };
    if to_head {
        return;
    }
    if matches!(says, Says::BreaksOff) {
        let _ = out.send_data(Bytes::copy_from_slice(&body[..1]), false);
        tokio::time::sleep(Duration::from_millis(50)).await;
        return out.send_reset(Reason::INTERNAL_ERROR);
    }
    if matches!(says, Says::Farewell) {
        let _ = farewell.send(());
    }
    let mut rest = Bytes::from(body);
    while !rest.is_empty() {
        out.reserve_capacity(rest.len());
        let Some(Ok(room)) = poll_fn(|cx| out.poll_capacity(cx)).await else { return };
        let piece = rest.split_to(room.min(rest.len()));
        if out.send_data(piece, rest.is_empty()).is_err() {
            return;
        }
    }
}
