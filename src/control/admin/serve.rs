//! Connections of operators, over TCP and over a Unix socket, each served by the same router.

use super::guard::{Caller, Way};
use crate::net::Slot;
use axum::Router;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// Connections at a time and listener; more wait in the kernel's queue.
pub(super) const MAX_CONNECTIONS: usize = 64;
/// From the last response to the end of the next request head, too.
const HEAD_TIMEOUT: Duration = Duration::from_secs(if cfg!(test) { 1 } else { 10 });
/// After this a connection ends with its current response,
const CONNECTION_LIFE: Duration = Duration::from_secs(300);
/// which then has this long to get through.
const LAST_RESPONSE: Duration = Duration::from_secs(10);
/// How long answers under way get when nobody else is to be served.
const LAST_ANSWERS: Duration = Duration::from_secs(1);
/// Bytes of a request head.
const MAX_HEAD: usize = 16 * 1024;

/// Serves what comes by TCP until it is dropped, its connections with it, or told to stop. Fails if the listener cannot be used at
/// all.
pub(super) async fn tcp(slot: Slot, router: Router, way: Arc<Way>, stop: Arc<Notify>) -> io::Result<()> {
    let listener = slot.into_std();
    listener.set_nonblocking(true)?;
    let listener = TcpListener::from_std(listener)?;
    accept(router, way, stop, || async { listener.accept().await.map(|(stream, peer)| (stream, peer.to_string())) })
        .await
}

/// Serves what comes by a Unix socket, as [`tcp`] does.
pub(super) async fn socket(slot: Slot, router: Router, way: Arc<Way>, stop: Arc<Notify>) -> io::Result<()> {
    let listener = slot.into_unix();
    listener.set_nonblocking(true)?;
    let listener = UnixListener::from_std(listener)?;
    let next = || async {
        let (stream, _) = listener.accept().await?;
        let peer = match stream.peer_cred() {
            Ok(peer) => match peer.pid() {
                Some(pid) => format!("socket (uid {}, pid {pid})", peer.uid()),
                None => format!("socket (uid {})", peer.uid()),
            },
            Err(_) => "socket".to_owned(),
        };
        Ok((stream, peer))
    };
    accept(router, way, stop, next).await
}

async fn accept<S, F>(router: Router, way: Arc<Way>, stop: Arc<Notify>, mut next: impl FnMut() -> F) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    F: Future<Output = io::Result<(S, String)>>,
{
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let accepted = async {
            let place = places.clone().acquire_owned().await;
            (place, next().await)
        };
        let (place, accepted) = tokio::select! {
            accepted = accepted => accepted,
            () = stop.notified() => {
                // Who asked for what ends this is to have the answer.
                let answered = async { while connections.join_next().await.is_some() {} };
                let _ = timeout(LAST_ANSWERS, answered).await;
                return Ok(());
            }
        };
        while connections.try_join_next().is_some() {}
        match accepted {
            Ok((stream, peer)) => {
                let caller = Caller { way: way.clone(), peer };
                let router = router.clone();
                connections.spawn(async move {
                    serve_connection(stream, router, caller).await;
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

async fn serve_connection<S>(stream: S, router: Router, caller: Caller)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(caller.clone());
        router.call(request)
    });
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
