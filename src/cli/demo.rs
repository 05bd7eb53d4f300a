//! `ringway demo`: targets and a balancer in front of them, to try things out.

use super::run;
use crate::net::{self, Address};
use axum::Router;
use axum::extract::Request;
use std::fmt::Write as _;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;

/// How many HTTP and how many TCP targets there are.
const TARGETS: usize = 3;

/// Starts the demo and runs until Ctrl-C.
pub fn demo() -> ExitCode {
    match prepare() {
        Ok(config) => {
            let code = run::run(&config);
            let _ = std::fs::remove_file(&config);
            code
        }
        Err(error) => {
            eprintln!("ringway: the demo cannot start: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Starts the targets, writes the configuration, and says what to try.
fn prepare() -> io::Result<PathBuf> {
    let (web, tcp) = start_targets()?;
    let ports = Ports { http: free_port(8080)?, tcp: free_port(8081)?, admin: free_port(9901)? };
    let path = std::env::temp_dir().join(format!("ringway-demo-{}.toml", std::process::id()));
    std::fs::write(&path, configuration(&ports, &web, &tcp))?;
    println!("{}", greeting(&ports, &path.display().to_string()));
    Ok(path)
}

struct Ports {
    http: u16,
    tcp: u16,
    admin: u16,
}

/// The port of the user's expectation, or any that is free.
fn free_port(wanted: u16) -> io::Result<u16> {
    let address = |port| Address::Ip(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    if net::probe_bind(&address(wanted), &net::Binding::default()).is_ok() {
        return Ok(wanted);
    }
    match net::bind(&address(0), false)?.address() {
        Address::Ip(free) => Ok(free.port()),
        Address::Unix(_) => Ok(wanted),
    }
}

fn configuration(ports: &Ports, web: &[SocketAddr], tcp: &[SocketAddr]) -> String {
    let list = |targets: &[SocketAddr]| {
        targets.iter().fold(String::new(), |mut list, target| {
            let _ = write!(list, "{}\"{target}\"", if list.is_empty() { "" } else { ", " });
            list
        })
    };
    let Ports { http, tcp: echo, admin } = ports;
    let (web, tcp) = (list(web), list(tcp));
    let pid = std::process::id();
    format!(
        r#"[runtime]
state_dir = "ringway-demo-{pid}"

[admin]
listen = "127.0.0.1:{admin}"
socket = "ringway-demo-{pid}.sock"

[listeners.web]
listen = ["127.0.0.1:{http}"]
pool = "web"

[listeners.echo]
listen = ["127.0.0.1:{echo}"]
protocol = "tcp"
pool = "echo"

[routes.teapot]
paths = ["=/teapot"]
respond = {{ status = 418, body = "short and stout\n" }}

[pools.web]
balance = "round-robin"
targets = [{web}]
health = {{ type = "http", path = "/healthz" }}

[pools.echo]
targets = [{tcp}]
"#
    )
}

fn greeting(ports: &Ports, config: &str) -> String {
    let Ports { http, tcp, admin } = ports;
    let tries = [
        (format!("curl http://127.0.0.1:{http}/"), "a target says which one it is, and what it was sent"),
        (format!("curl -i http://127.0.0.1:{http}/teapot"), "a route answers by itself"),
        (format!("nc 127.0.0.1 {tcp}"), "TCP: what you type comes back"),
        (format!("curl http://127.0.0.1:{admin}/metrics"), "what happened so far"),
        (format!("ringway status -c {config}"), "the same on a screen, from another terminal"),
    ];
    let tries = tries.iter().fold(String::new(), |mut text, (command, what)| {
        let _ = writeln!(text, "  {command:<48} {what}");
        text
    });
    format!(
        "Ringway balances over {TARGETS} HTTP and {TARGETS} TCP targets of its own. Try:\n\n{tries}\nThe configuration is \
         {config}. Ctrl-C ends the demo.\n"
    )
}

/// Starts the targets on a thread of their own; returns where the HTTP and the TCP ones listen.
fn start_targets() -> io::Result<(Vec<SocketAddr>, Vec<SocketAddr>)> {
    let bind = || -> io::Result<Vec<std::net::TcpListener>> {
        (0..TARGETS).map(|_| std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).collect()
    };
    let addresses = |listeners: &[std::net::TcpListener]| -> io::Result<Vec<SocketAddr>> {
        listeners.iter().map(std::net::TcpListener::local_addr).collect()
    };
    let (web, tcp) = (bind()?, bind()?);
    let found = (addresses(&web)?, addresses(&tcp)?);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::Builder::new().name("demo-targets".to_owned()).spawn(move || {
        runtime.block_on(async {
            for (number, listener) in web.into_iter().enumerate() {
                tokio::spawn(serve_http(listener, number + 1));
            }
            for listener in tcp {
                tokio::spawn(serve_echo(listener));
            }
            std::future::pending::<()>().await;
        });
    })?;
    Ok(found)
}

async fn serve_http(listener: std::net::TcpListener, number: usize) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let answer = move |request: Request| async move {
        let mut text = format!("Hello from target {number}.\n\n{} {}\n", request.method(), request.uri());
        for (name, value) in request.headers() {
            let _ = writeln!(text, "{name}: {}", String::from_utf8_lossy(value.as_bytes()));
        }
        text
    };
    axum::serve(listener, Router::new().fallback(answer)).await
}

async fn serve_echo(listener: std::net::TcpListener) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let listener = tokio::net::TcpListener::from_std(listener)?;
    loop {
        let (mut stream, _) = listener.accept().await?;
        tokio::spawn(async move {
            let (mut reader, mut writer) = stream.split();
            let _ = tokio::io::copy(&mut reader, &mut writer).await;
        });
    }
}
