//! The access log on its way to a syslog server: messages as RFC 5424 has them, and traffic that does not notice what
//! becomes of the server. Protects the case "nobody reads the log pipe" for sockets.

use crate::support::proxy::{Proxy, Setup};
use crate::support::toml::http;
use crate::support::{Target, eventually, load, rounds, within};
use regex::Regex;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::time::{Duration, Instant};

fn proxy(target: &Target, syslog: &str, log: &str) -> Proxy {
    Proxy::start(http(&[target]) + &format!("\n[access_log]\nsyslog = {{ {syslog} }}\n{log}\n"))
}

fn lost(proxy: &Proxy) -> f64 {
    proxy.metric("ringway_access_log_lines_lost_total", &[])
}

fn written(proxy: &Proxy) -> f64 {
    proxy.metric("ringway_access_log_lines_total", &[])
}

/// The messages in a stream of counted ones (RFC 6587 §3.4.1); panics at what is no whole message, but for the last.
fn counted(mut bytes: &[u8]) -> Vec<String> {
    let mut messages = Vec::new();
    while let Some(space) = bytes.iter().position(|b| *b == b' ') {
        let length: usize = std::str::from_utf8(&bytes[..space]).unwrap().parse().unwrap();
        let Some(message) = bytes.get(space + 1..space + 1 + length) else { break };
        messages.push(String::from_utf8(message.to_vec()).unwrap());
        bytes = &bytes[space + 1 + length..];
    }
    messages
}

/// Reads what has come.
fn take(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> usize {
    let mut room = vec![0; 1 << 20];
    let length = stream.read(&mut room).unwrap_or(0);
    bytes.extend_from_slice(&room[..length]);
    length
}

#[track_caller]
fn receive(socket: &UdpSocket) -> String {
    socket.set_read_timeout(Some(crate::support::PATIENCE)).unwrap();
    let mut room = vec![0; 65536];
    let length = socket.recv(&mut room).expect("a datagram");
    String::from_utf8(room[..length].to_vec()).unwrap()
}

#[test]
fn a_datagram_is_one_message_of_rfc_5424() {
    let (server, target) = (UdpSocket::bind("127.0.0.1:0").unwrap(), Target::echo("a"));
    let to = server.local_addr().unwrap();
    let more = "facility = \"local3\", app_name = \"edge\", hostname = \"lb-1\"";
    let proxy = proxy(&target, &format!("to = \"udp://{to}\", {more}"), "");
    proxy.get("/x");
    let message = receive(&server);
    // local3 is 19: 19 * 8 + 6.
    let pid = proxy.pid();
    let expected = format!(
        r#"^<158>1 20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{{3}}Z lb-1 edge {pid} access - \{{"time".*"uri":"/x".*\}}$"#
    );
    assert!(Regex::new(&expected).unwrap().is_match(&message), "{message}");
    // A request that is refused is a warning, and what is not ASCII comes behind a mark.
    proxy.client().ask("GET", "/bad%2fpath", &["User-Agent: n\u{e9}"]);
    let message = receive(&server);
    assert!(message.starts_with("<156>1 ") && message.contains(" access - \u{feff}{\"time\""), "{message}");
    eventually("both are counted", || written(&proxy) == 2.0);
}

#[test]
fn a_line_that_is_too_long_for_a_datagram_is_cut() {
    let (server, target) = (UdpSocket::bind("127.0.0.1:0").unwrap(), Target::echo("a"));
    let to = server.local_addr().unwrap();
    let proxy = proxy(&target, &format!("to = \"udp://{to}\""), "format = \"combined\"");
    proxy.client().ask("GET", "/long", &[&format!("User-Agent: {}", "p".repeat(20_000))]);
    let long = receive(&server);
    assert!(long.len() == 8192 && long.starts_with("<134>1 ") && long.ends_with("ppp"), "{}", long.len());
    proxy.get("/short");
    assert!(receive(&server).contains("\"GET /short HTTP/1.1\""));
}

#[test]
fn tcp_messages_are_counted_and_whole_over_reconnects() {
    let (server, target) = (TcpListener::bind("127.0.0.1:0").unwrap(), Target::echo("a"));
    let to = server.local_addr().unwrap();
    let proxy = proxy(&target, &format!("to = \"tcp://{to}\""), "");
    let read = |mut stream: TcpStream, until: &str, count: usize| {
        stream.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        let mut bytes = Vec::new();
        eventually("the messages came", || {
            take(&mut stream, &mut bytes);
            let messages = counted(&bytes);
            messages.len() >= count && messages.iter().any(|message| message.contains(until))
        });
        counted(&bytes)
    };
    let accept = || server.accept().unwrap().0;
    load::run(&proxy.web(), 2, 50, |n| format!("/a{n}")).assert_clean();
    proxy.get("/first-end");
    let messages = read(accept(), "/first-end", 51);
    assert_eq!(messages.len(), 51);
    assert!(messages.iter().all(|message| message.starts_with("<134>1 ") && message.ends_with('}')));
    // The server has gone; what is written from now on comes by the next connection.
    proxy.get("/unnoticed");
    eventually("the end is noticed", || {
        proxy.get("/more");
        server.set_nonblocking(true).unwrap();
        match server.accept() {
            Ok((stream, _)) => {
                stream.set_nonblocking(false).unwrap();
                proxy.get("/second-end");
                assert!(read(stream, "/second-end", 1).iter().all(|message| message.starts_with("<134>1 ")));
                true
            }
            Err(_) => false,
        }
    });
}

#[test]
fn a_unix_socket_gets_datagrams_or_a_stream_of_lines() {
    let target = Target::echo("a");
    let setup = Setup::new("");
    let path = setup.directory().join("log");
    let server = UnixDatagram::bind(&path).unwrap();
    server.set_read_timeout(Some(crate::support::PATIENCE)).unwrap();
    let log = format!("\n[access_log]\nsyslog = {{ to = \"unix:{}\" }}\n", path.display());
    let proxy = setup.with(http(&[&target]) + &log).start();
    proxy.get("/datagram");
    let mut room = vec![0; 65536];
    let length = server.recv(&mut room).unwrap();
    let message = String::from_utf8_lossy(&room[..length]).into_owned();
    assert!(message.starts_with("<134>1 ") && message.contains("/datagram") && message.ends_with('}'), "{message}");
    drop((proxy, server));

    let setup = Setup::new("");
    let path = setup.directory().join("log");
    let server = UnixListener::bind(&path).unwrap();
    let log = format!("\n[access_log]\nsyslog = {{ to = \"unix:{}\" }}\n", path.display());
    let proxy = setup.with(http(&[&target]) + &log).start();
    proxy.get("/stream");
    let mut stream = server.accept().unwrap().0;
    let length = stream.read(&mut room).unwrap();
    let message = String::from_utf8_lossy(&room[..length]).into_owned();
    assert!(message.starts_with("<134>1 ") && message.contains("/stream") && message.ends_with("}\n"), "{message}");
}

/// Nobody listens at the start: what fits waits, and all of it comes once somebody does.
#[test]
fn a_server_that_comes_later_gets_what_was_written_before() {
    let target = Target::echo("a");
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let proxy = proxy(&target, &format!("to = \"tcp://{free}\""), "");
    load::run(&proxy.web(), 2, 200, |n| format!("/{n}")).assert_clean();
    proxy.log.wait(&["the syslog server takes no lines", &free.to_string()]);
    let server = TcpListener::bind(free).unwrap();
    let mut stream = server.accept().unwrap().0;
    stream.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    let mut bytes = Vec::new();
    eventually("all lines came", || {
        take(&mut stream, &mut bytes);
        counted(&bytes).len() == 200
    });
    assert_eq!(lost(&proxy), 0.0);
}

#[test]
fn a_server_that_is_away_costs_lines_that_are_counted_and_told() {
    let target = Target::echo("a");
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let proxy = proxy(&target, &format!("to = \"tcp://{free}\""), "");
    let path = format!("/{}", "p".repeat(3000));
    let requests = rounds(6000, 3000);
    let count = load::run(&proxy.web(), 8, requests, |_| path.clone());
    count.assert_clean();
    assert!(count.longest < Duration::from_secs(5), "{:?}", count.longest);
    eventually("lost lines are counted", || lost(&proxy) > 0.0);
    assert!(proxy.resident() < 200 << 20, "{}", proxy.resident());
    let server = TcpListener::bind(free).unwrap();
    let mut stream = server.accept().unwrap().0;
    stream.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    let mut bytes = Vec::new();
    eventually("the rest came", || {
        take(&mut stream, &mut bytes);
        counted(&bytes).len() as f64 + lost(&proxy) == requests as f64
    });
    proxy.log.wait(&["access log: lost", "lines"]);
    assert_eq!(written(&proxy) + lost(&proxy), requests as f64);
}

/// Whoever accepts and reads nothing holds up no request, and gets no half message.
#[test]
fn a_tcp_server_that_stalls_costs_lines_and_no_request() {
    let (server, target) = (TcpListener::bind("127.0.0.1:0").unwrap(), Target::echo("a"));
    let to = server.local_addr().unwrap();
    let mut proxy = proxy(&target, &format!("to = \"tcp://{to}\""), "");
    let path = format!("/{}", "p".repeat(8000));
    let requests = rounds(6000, 4000);
    let count = load::run(&proxy.web(), 8, requests, |_| path.clone());
    count.assert_clean();
    assert!(count.longest < Duration::from_secs(5), "{:?}", count.longest);
    eventually("lost lines are counted", || lost(&proxy) > 0.0);
    assert!(proxy.resident() < 200 << 20, "{}", proxy.resident());
    let mut stream = server.accept().unwrap().0;
    proxy.signal(libc::SIGTERM);
    let begun = Instant::now();
    assert_eq!(proxy.exit().code(), Some(0));
    assert!(begun.elapsed() < Duration::from_secs(10), "a stop takes its usual time");
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes);
    let messages = counted(&bytes);
    assert!(!messages.is_empty() && messages.iter().all(|message| message.ends_with('}')));
}

#[test]
fn a_full_unix_socket_costs_lines_and_no_request() {
    let target = Target::echo("a");
    let setup = Setup::new("");
    let path = setup.directory().join("log");
    let server = UnixDatagram::bind(&path).unwrap();
    let log = format!("\n[access_log]\nsyslog = {{ to = \"unix:{}\" }}\n", path.display());
    let mut proxy = setup.with(http(&[&target]) + &log).start();
    let long = format!("/{}", "p".repeat(6000));
    let requests = rounds(6000, 3000);
    let count = load::run(&proxy.web(), 8, requests, |_| long.clone());
    count.assert_clean();
    assert!(count.longest < Duration::from_secs(5), "{:?}", count.longest);
    eventually("lost lines are counted", || lost(&proxy) > 0.0);
    server.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    let mut room = vec![0; 65536];
    let mut read = 0;
    while let Ok(length) = server.recv(&mut room) {
        assert!(room[..length].starts_with(b"<134>1 ") && room[..length].ends_with(b"}"), "whole messages only");
        read += 1;
    }
    assert_eq!(read as f64 + lost(&proxy), requests as f64);
    proxy.log.wait(&["access log: lost", "lines"]);
    proxy.signal(libc::SIGTERM);
    assert_eq!(proxy.exit().code(), Some(0));
}

/// The kernel tells of a port on which nobody listens; what was sent there is lost, what waits is not.
#[test]
fn a_udp_port_that_nobody_listens_on_is_noticed() {
    let target = Target::echo("a");
    let free = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let proxy = proxy(&target, &format!("to = \"udp://{free}\""), "");
    load::run(&proxy.web(), 2, 100, |n| format!("/{n}")).assert_clean();
    eventually("a loss is counted", || lost(&proxy) > 0.0);
    let server = UdpSocket::bind(free).unwrap();
    server.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    let (mut room, mut read) = (vec![0; 65536], 0);
    eventually("every line came or is counted", || {
        while server.recv(&mut room).is_ok() {
            read += 1;
        }
        read as f64 + lost(&proxy) == 100.0
    });
    assert_eq!(written(&proxy), read as f64);
    proxy.log.wait(&["access log: lost", "lines"]);
}

#[test]
fn a_stop_does_not_wait_for_a_server_that_is_away() {
    let target = Target::echo("a");
    let mut proxy = proxy(&target, "to = \"tcp://127.0.0.1:9\"", "");
    proxy.get("/x");
    proxy.signal(libc::SIGTERM);
    let mut status = None;
    assert!(within(Duration::from_secs(10), || {
        status = proxy.exit_within(Duration::ZERO);
        status.is_some()
    }));
    assert_eq!(status.and_then(|status| status.code()), Some(0));
}

/// One stops reading in mid-message and goes: the message is sent again, whole, to the next.
#[test]
fn a_message_that_broke_off_is_sent_again_in_whole() {
    let (server, target) = (TcpListener::bind("127.0.0.1:0").unwrap(), Target::echo("a"));
    let to = server.local_addr().unwrap();
    let proxy = proxy(&target, &format!("to = \"tcp://{to}\""), "");
    let path = format!("/{}", "p".repeat(8000));
    load::run(&proxy.web(), 4, 800, |_| path.clone()).assert_clean();
    let mut first = server.accept().unwrap().0;
    let mut part = vec![0; 10_000];
    first.read_exact(&mut part).unwrap();
    first.flush().unwrap();
    drop(first);
    let mut second = server.accept().unwrap().0;
    second.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    let mut bytes = Vec::new();
    eventually("the rest came", || take(&mut second, &mut bytes) == 0 && written(&proxy) + lost(&proxy) == 800.0);
    let messages = counted(&bytes);
    assert!(
        !messages.is_empty() && messages.iter().all(|message| message.starts_with("<134>1 ")),
        "from its beginning"
    );
}
