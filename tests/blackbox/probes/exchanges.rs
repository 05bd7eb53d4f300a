//! Checks by HTTP and gRPC: what is asked, what of the answer counts, over which transport and to which port.

use super::{health, passed, shown, up};
use crate::support::proxy::Setup;
use crate::support::secure::{Secure, Speaks};
use crate::support::tls::{Authority, Kind};
use crate::support::toml::{http_with, tcp_with};
use crate::support::{Proxy, Target, eventually};
use ::h2::server::{self, SendResponse};
use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread;

/// checks/http-check-send and http-check-expect: method, headers and body as configured, and the answer's body counts.
#[test]
fn a_check_sends_what_it_is_told_to_and_reads_the_body() {
    let target = Target::with("a", |peer| {
        while let Some(seen) = peer.request() {
            let body = if seen.method == "POST" { "status: degraded" } else { "status: fine" };
            if peer.reply(200, &[], body.as_bytes()).is_none() {
                return;
            }
        }
    });
    let post = "\"http\", method = \"POST\", path = \"/deep\", headers = { X-Probe = \"one\" }, body = '{\"q\":1}', expect_not_body = \"~degraded|failed\"";
    let proxy = Proxy::start(http_with("", &[&target], &health(post)));
    let seen = target.wait_for(1);
    assert_eq!((seen.method.as_str(), seen.path.as_str(), seen.body.as_slice()), ("POST", "/deep", &b"{\"q\":1}"[..]));
    assert_eq!(seen.field("x-probe").as_deref(), Some("one"));
    eventually("what must not be there is", || !up(&proxy, &target));
    proxy.log.wait(&["target is down", "check=\"L7RSP\"", "the body holds `~degraded|failed`"]);
    let config = proxy.ask_admin("GET", "/v1/config").text();
    assert!(!config.contains("\"one\""), "headers may be secrets: {config}");
    let get = "\"http\", expect_body = \"status: fine\"";
    let proxy = Proxy::start(http_with("", &[&target], &health(get)));
    eventually("it passes", || passed(&proxy) >= 1.0);
    let check = &shown(&proxy, "site", &target)["check"];
    assert_eq!((&check["result"], &check["code"]), (&"L7OK".into(), &200.into()));
    assert!(proxy.metric("ringway_pool_checks_total", &[("outcome", "L7OK")]) >= 1.0);
}

/// What Patroni's users do: PostgreSQL's traffic, and a check by HTTP on another port.
#[test]
fn a_check_may_have_a_port_and_an_address_of_its_own() {
    let (database, patroni) = (Target::greets("db"), Target::echo("patroni"));
    let at: SocketAddr = patroni.address;
    let keys = format!("\"http\", path = \"/master\", address = \"{}\", port = {}", at.ip(), at.port());
    let proxy = Proxy::start(tcp_with("", &[&database], &health(&keys)));
    patroni.wait_for(2);
    assert_eq!(database.connections(), 0, "the target itself is not asked");
    assert!(up(&proxy, &database));
    patroni.kill();
    eventually("it is down", || !up(&proxy, &database));
}

#[test]
fn a_check_may_be_over_tls_although_the_traffic_is_not() {
    let authority = Authority::new("Test CA");
    let made = authority.server(&["app.test"], Kind::Ecdsa);
    let target = Secure::echo("secure", &Speaks::with(&made));
    let setup = Setup::new("");
    std::fs::write(setup.directory().join("ca.pem"), authority.pem()).unwrap();
    let keys = "\"tls\", tls = { ca = \"ca.pem\", sni = \"app.test\" }";
    let proxy = setup.with(tcp_with("", &[&target.target], &health(keys))).start();
    eventually("it passes", || passed(&proxy) >= 1.0);
    assert_eq!(shown(&proxy, "site", &target.target)["check"]["result"], "L6OK");

    let setup = Setup::new("");
    std::fs::write(setup.directory().join("ca.pem"), Authority::new("Another CA").pem()).unwrap();
    let proxy = setup.with(tcp_with("", &[&target.target], &health(keys))).start();
    eventually("another authority is not taken", || !up(&proxy, &target.target));
    proxy.log.wait(&["target is down", "check=\"L6RSP\""]);

    let plain = Target::echo("plain");
    let proxy = Proxy::start(tcp_with("", &[&plain], &health("\"tls\"")));
    eventually("a target without TLS has no handshake", || !up(&proxy, &plain));
}

#[test]
fn a_plain_check_of_a_pool_over_tls_shakes_no_hands() {
    let plain = Target::echo("plain");
    let lines = format!("{}\ntls = {{ verify = false }}", health("\"http\", tls = false"));
    let proxy = Proxy::start(http_with("", &[&plain], &lines));
    assert_eq!(plain.wait_for(1).method, "GET");
    eventually("it passes", || passed(&proxy) >= 1.0);
}

/// Serves HTTP/2 in clear on a thread of its own: `answer` to each request.
fn serve<F>(answer: impl Fn(Request<::h2::RecvStream>, SendResponse<Bytes>) -> F + Clone + Send + 'static) -> SocketAddr
where
    F: Future<Output = ()> + 'static,
{
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let tasks = tokio::task::LocalSet::new();
        tasks.block_on(&runtime, async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            while let Ok((stream, _)) = listener.accept().await {
                let answer = answer.clone();
                tokio::task::spawn_local(async move {
                    let Ok(mut connection) = server::handshake(stream).await else { return };
                    while let Some(Ok((request, reply))) = connection.accept().await {
                        tokio::task::spawn_local(answer(request, reply));
                    }
                });
            }
        });
    });
    address
}

/// A gRPC server whose health is `status`; 255 is that it does not know the service.
fn grpc(status: Arc<AtomicU8>) -> SocketAddr {
    serve(move |request, mut reply| {
        let code = status.load(Ordering::SeqCst);
        async move {
            assert_eq!(request.uri().path(), "/grpc.health.v1.Health/Check");
            assert_eq!(asked(request).await, b"\0\0\0\0\x06\x0a\x04shop");
            let head = Response::builder().header("content-type", "application/grpc");
            if code == 255 {
                let head = head.header("grpc-status", "5").header("grpc-message", "unknown service");
                reply.send_response(head.body(()).unwrap(), true).unwrap();
                return;
            }
            let mut stream = reply.send_response(head.body(()).unwrap(), false).unwrap();
            stream.send_data(Bytes::copy_from_slice(&[0, 0, 0, 0, 2, 8, code]), false).unwrap();
            let mut trailers = HeaderMap::new();
            trailers.insert("grpc-status", "0".parse().unwrap());
            stream.send_trailers(trailers).unwrap();
        }
    })
}

async fn asked(request: Request<::h2::RecvStream>) -> Vec<u8> {
    let (head, mut body) = request.into_parts();
    assert_eq!((head.method.as_str(), head.headers["te"].to_str().unwrap()), ("POST", "trailers"));
    let mut all = Vec::new();
    while let Some(Ok(data)) = body.data().await {
        all.extend_from_slice(&data);
    }
    all
}

#[test]
fn a_grpc_service_is_up_while_it_is_serving() {
    let status = Arc::new(AtomicU8::new(1));
    let address = grpc(status.clone());
    let lines = format!("protocol = \"h2\"\n{}", health("\"grpc\", service = \"shop\""));
    let proxy = Proxy::start(http_with("", &[address], &lines));
    eventually("it passes", || passed(&proxy) >= 1.0);
    status.store(2, Ordering::SeqCst);
    eventually("it is down", || !up(&proxy, &address));
    proxy.log.wait(&["target is down", "NOT_SERVING"]);
    status.store(1, Ordering::SeqCst);
    eventually("it is back", || up(&proxy, &address));
    status.store(255, Ordering::SeqCst);
    eventually("a service that nobody knows is down", || !up(&proxy, &address));
    proxy.log.wait(&["target is down", "grpc-status 5 unknown service"]);
}

#[test]
fn a_check_speaks_http2_where_the_pool_does() {
    let address = serve(|request, mut reply| async move {
        let status = if request.uri().path() == "/healthz" { 200 } else { 404 };
        let mut stream = reply.send_response(Response::builder().status(status).body(()).unwrap(), false).unwrap();
        let _ = stream.send_data(Bytes::from_static(b"fine"), true);
    });
    for lines in ["protocol = \"h2\"", ""] {
        let version = if lines.is_empty() { ", version = \"h2\"" } else { "" };
        let keys = format!("\"http\", path = \"/healthz\", expect_body = \"fine\"{version}");
        let proxy = Proxy::start(http_with("", &[address], &format!("{lines}\n{}", health(&keys))));
        eventually("it passes", || passed(&proxy) >= 2.0);
        assert!(up(&proxy, &address));
    }
}
