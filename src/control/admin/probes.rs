//! `/metrics`, `/healthz`, `/readyz`. One scrape runs at a time.

use crate::observe::prometheus::CONTENT_TYPE;
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE as CONTENT_TYPE_HEADER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use std::sync::Arc;
use tokio::sync::Mutex;

/// What metrics and probes ask the process.
pub trait AdminState: Send + Sync + 'static {
    /// The page of metrics, in Prometheus' text format.
    fn metrics(&self) -> impl Future<Output = String> + Send;

    /// Whether all workers accept: false while starting and draining.
    fn ready(&self) -> bool;
}

/// What the handlers share.
struct Shared<S> {
    state: Arc<S>,
    scrape: Mutex<()>,
}

/// The paths of their own.
pub(super) const PATHS: [&str; 3] = ["/metrics", "/healthz", "/readyz"];

pub(super) fn router<S: AdminState>(state: Arc<S>) -> Router {
    let [metrics_path, healthz_path, readyz_path] = PATHS;
    Router::new()
        .route(metrics_path, get(metrics::<S>))
        .route(healthz_path, get(|| async { plain(StatusCode::OK, "ok\n") }))
        .route(readyz_path, get(readyz::<S>))
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

#[cfg(test)]
mod tests {
    use super::super::guard::{self, Way};
    use super::super::serve::{self, MAX_CONNECTIONS};
    use super::*;
    use crate::net;
    use std::net::SocketAddr;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Duration;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;
    use tokio::time::timeout;

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
        let slot = net::bind(&net::Address::Ip("127.0.0.1:0".parse().unwrap()), false).unwrap();
        let net::Address::Ip(address) = *slot.address() else { panic!("an IP address") };
        let process = Arc::new(Process::default());
        let router = router(process.clone()).layer(axum::middleware::from_fn(guard::all));
        let way = Arc::new(Way::Tcp { listen: address, token: None });
        tokio::spawn(serve::tcp(slot, router, way, Arc::default()));
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
