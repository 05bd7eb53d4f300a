//! The admin listener: `/metrics`, `/healthz`, `/readyz`. Read only, for loopback.
//!
//! It cannot be used to exhaust the process: connections, the time for a head and a connection's life are bounded, and
//! one scrape runs at a time. A browser on this host that was led to it by another site's name (DNS rebinding) gets
//! 403, since Host must be a loopback name, or the address listened on.

use crate::observe::prometheus::CONTENT_TYPE;
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE as CONTENT_TYPE_HEADER, HOST};
use axum::http::uri::Authority;
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, Semaphore};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};

/// Connections at a time; more wait in the kernel's queue.
const MAX_CONNECTIONS: usize = 64;
/// From the last response to the end of the next request head, too.
const HEAD_TIMEOUT: Duration = Duration::from_secs(if cfg!(test) { 1 } else { 10 });
/// After this a connection ends with its current response,
const CONNECTION_LIFE: Duration = Duration::from_secs(300);
/// which then has this long to get through.
const LAST_RESPONSE: Duration = Duration::from_secs(10);
/// Bytes of a request head.
const MAX_HEAD: usize = 16 * 1024;

/// What the admin listener asks the process.
pub trait AdminState: Send + Sync + 'static {
    /// The page of metrics, in Prometheus' text format.
    fn metrics(&self) -> impl Future<Output = String> + Send;

    /// Whether all workers accept: false while starting and draining.
    fn ready(&self) -> bool;
}

/// An admin listener that serves.
pub struct Served {
    listener: std::net::TcpListener,
    serve: Box<dyn Fn(std::net::TcpListener) -> JoinHandle<()> + Send>,
    task: Option<JoinHandle<()>>,
}

impl Served {
    /// Serves on `listener` from now on.
    pub fn new<S: AdminState>(listener: std::net::TcpListener, state: Arc<S>) -> Self {
        let serve = move |listener| {
            let served = serve(listener, state.clone());
            tokio::spawn(async move {
                if let Err(error) = served.await {
                    tracing::error!(%error, "the admin listener ended");
                }
            })
        };
        let mut served = Self { listener, serve: Box::new(serve), task: None };
        served.start();
        served
    }

    /// Serves, if it does not.
    pub fn start(&mut self) {
        if self.task.is_none() {
            self.task = self.listener.try_clone().ok().map(&self.serve);
        }
    }

    /// Serves nobody any more; who is connected is cut off.
    pub fn stop(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
        }
    }

    /// The listening socket, for another process.
    pub fn descriptor(&self) -> io::Result<OwnedFd> {
        Ok(self.listener.try_clone()?.into())
    }
}

/// Serves the admin endpoints on `listener` until it is dropped, its connections with it.
///
/// # Errors
/// The listener cannot be used at all.
pub async fn serve<S: AdminState>(listener: std::net::TcpListener, state: Arc<S>) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let listener = TcpListener::from_std(listener)?;
    let service = TowerToHyperService::new(router(state, listener.local_addr()?));
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { return Ok(()) };
        while connections.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((stream, _)) => {
                let service = service.clone();
                connections.spawn(async move {
                    serve_connection(stream, service).await;
                    drop(place);
                });
            }
            // Out of descriptors, or the peer left already: neither is a reason to end or to spin.
            Err(error) => {
                tracing::debug!(%error, "admin listener: accept");
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn serve_connection(stream: TcpStream, service: TowerToHyperService<Router>) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(MAX_HEAD)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    // How a client's connection ended is its own affair.
    if timeout(CONNECTION_LIFE, connection.as_mut()).await.is_err() {
        connection.as_mut().graceful_shutdown();
        let _ = timeout(LAST_RESPONSE, connection).await;
    }
}

/// What the handlers share.
struct Shared<S> {
    state: Arc<S>,
    scrape: Mutex<()>,
}

fn router<S: AdminState>(state: Arc<S>, listen: SocketAddr) -> Router {
    Router::new()
        .route("/metrics", get(metrics::<S>))
        .route("/healthz", get(|| async { plain(StatusCode::OK, "ok\n") }))
        .route("/readyz", get(readyz::<S>))
        .fallback(|| async { plain(StatusCode::NOT_FOUND, "there are /metrics, /healthz and /readyz\n") })
        .layer(middleware::from_fn_with_state(listen.ip(), guard_host))
        .with_state(Arc::new(Shared { state, scrape: Mutex::new(()) }))
}

async fn metrics<S: AdminState>(State(shared): State<Arc<Shared<S>>>) -> Response {
    let _one_at_a_time = shared.scrape.lock().await;
    let page = shared.state.metrics().await;
    ([(CONTENT_TYPE_HEADER, HeaderValue::from_static(CONTENT_TYPE))], page).into_response()
}

async fn readyz<S: AdminState>(State(shared): State<Arc<Shared<S>>>) -> Response {
    if shared.state.ready() {
        plain(StatusCode::OK, "ready\n")
    } else {
        plain(StatusCode::SERVICE_UNAVAILABLE, "not ready\n")
    }
}

fn plain(status: StatusCode, text: &'static str) -> Response {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE_HEADER, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

async fn guard_host(State(listen): State<IpAddr>, request: Request, next: Next) -> Response {
    // What the request names: the target in absolute form, or else the one Host header (RFC 9112 §3.2.2).
    let named = match request.uri().authority() {
        Some(authority) => Some(authority.host().to_owned()),
        None => {
            let mut hosts = request.headers().get_all(HOST).iter();
            let only = hosts.next().filter(|_| hosts.next().is_none());
            only.and_then(|host| Authority::try_from(host.as_bytes()).ok()).map(|host| host.host().to_owned())
        }
    };
    if named.is_some_and(|host| is_ours(&host, listen)) {
        next.run(request).await
    } else {
        plain(StatusCode::FORBIDDEN, "Host must be localhost or the address of the admin listener\n")
    }
}

fn is_ours(host: &str, listen: IpAddr) -> bool {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    match bare.parse::<IpAddr>() {
        Ok(ip) => ip.to_canonical().is_loopback() || ip == listen,
        Err(_) => host.trim_end_matches('.').eq_ignore_ascii_case("localhost"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[derive(Default)]
    struct Process {
        ready: AtomicBool,
    }

    impl AdminState for Process {
        async fn metrics(&self) -> String {
            tokio::task::yield_now().await;
            "up 1\n".into()
        }

        fn ready(&self) -> bool {
            self.ready.load(Ordering::Relaxed)
        }
    }

    fn start() -> (SocketAddr, Arc<Process>) {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let process = Arc::new(Process::default());
        tokio::spawn(serve(listener, process.clone()));
        (address, process)
    }

    async fn send(address: SocketAddr, request: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        timeout(Duration::from_secs(5), stream.read_to_string(&mut answer)).await.unwrap().unwrap();
        answer
    }

    async fn ask(address: SocketAddr, method: &str, path: &str, host: &str) -> (u16, String) {
        let request = format!("{method} {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
        let answer = send(address, &request).await;
        (answer[9..12].parse().unwrap(), answer)
    }

    #[tokio::test]
    async fn the_three_endpoints_answer_and_nothing_else_does() {
        let (address, process) = start();
        let (status, answer) = ask(address, "GET", "/metrics", "localhost").await;
        assert_eq!(status, 200);
        assert!(answer.contains("text/plain; version=0.0.4") && answer.ends_with("\r\n\r\nup 1\n"), "{answer}");
        assert_eq!(ask(address, "GET", "/healthz", "localhost").await.0, 200);
        assert_eq!(ask(address, "GET", "/readyz", "localhost").await.0, 503);
        process.ready.store(true, Ordering::Relaxed);
        assert_eq!(ask(address, "GET", "/readyz", "localhost").await.0, 200);
        assert_eq!(ask(address, "GET", "/", "localhost").await.0, 404);
        assert_eq!(ask(address, "POST", "/metrics", "localhost").await.0, 405);
        let (status, answer) = ask(address, "HEAD", "/healthz", "localhost").await;
        assert_eq!(status, 200);
        assert!(answer.ends_with("\r\n\r\n"), "{answer}");
    }

    #[tokio::test]
    async fn a_name_of_another_site_is_refused() {
        let (address, _process) = start();
        for host in ["localhost", "LOCALHOST.:99", "127.0.0.1:1", "[::1]:9901", "127.9.9.9"] {
            assert_eq!(ask(address, "GET", "/healthz", host).await.0, 200, "{host}");
        }
        for host in ["evil.example", "localhost.evil.example", "10.0.0.1", "", "localhost\r\nhost: evil.example"] {
            assert_eq!(ask(address, "GET", "/healthz", host).await.0, 403, "{host}");
        }
        let absolute = "GET http://evil.example/healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
        assert!(send(address, absolute).await.starts_with("HTTP/1.1 403"));
        assert!(send(address, "GET /healthz HTTP/1.0\r\n\r\n").await.starts_with("HTTP/1.0 403"));
        assert!(is_ours("10.1.2.3", "10.1.2.3".parse().unwrap()));
    }

    #[tokio::test]
    async fn a_client_that_sends_no_head_is_closed_in_time() {
        let (address, _process) = start();
        for begun in ["", "GET /metrics HTT"] {
            let answer = send(address, begun).await;
            assert!(!answer.contains("200"), "{answer}");
        }
    }

    #[tokio::test]
    async fn connections_beyond_the_cap_wait_for_a_place() {
        let (address, _process) = start();
        let mut idle = Vec::new();
        for _ in 0..MAX_CONNECTIONS {
            idle.push(TcpStream::connect(address).await.unwrap());
        }
        // The kernel takes connections in order, so that this one comes after all of them.
        let mut late = TcpStream::connect(address).await.unwrap();
        late.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await.unwrap();
        let mut answer = [0; 12];
        assert!(timeout(Duration::from_millis(200), late.read_exact(&mut answer)).await.is_err());
        idle.pop();
        timeout(Duration::from_secs(5), late.read_exact(&mut answer)).await.unwrap().unwrap();
        assert_eq!(&answer, b"HTTP/1.1 200");
    }
}
