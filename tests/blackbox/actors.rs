//! The tests' own clients and targets do what their names say, without a proxy between them.

use crate::support::client::request;
use crate::support::target::{Deaf, Leave, refused};
use crate::support::wire::Broken;
use crate::support::{Client, Target, assert_same, load, pattern};
use std::net::TcpStream;
use std::time::Duration;

fn client(target: &Target) -> Client {
    Client::to(&target.address.to_string())
}

#[test]
fn echo_returns_the_body_and_remembers_the_request() {
    let target = Target::echo("a");
    let mut client = client(&target);
    let body = pattern(300_000);
    assert_same(&client.post("/x", &body).body, &body);
    client.send(request("PUT", "/y", &["Transfer-Encoding: chunked", "Trailer: t"]));
    client.send("3;ext=1\r\nabc\r\n0\r\nT: v\r\n\r\n");
    assert_eq!(client.response().text(), "abc");
    assert_eq!(client.ask("HEAD", "/z", &[]).body, b"");
    assert_eq!(client.get("/z").text(), "a");
    let seen = target.seen();
    assert_eq!(seen[1].trailers, [("t".to_owned(), "v".to_owned())]);
    assert!(seen.iter().all(|s| s.whole && s.connection == 0));
}

#[test]
fn endings_are_told_apart() {
    let closing = Target::closes_silently("a");
    let mut one = client(&closing);
    assert_eq!(one.get("/").status, 200);
    assert_eq!(one.ending(), Broken::Closed);
    let resetting = Target::drops_the_second("b", Leave::Reset);
    let mut two = client(&resetting);
    assert_eq!(two.get("/").status, 200);
    two.send(request("GET", "/", &[]));
    assert_eq!(two.response_to("GET").unwrap_err(), Broken::Reset);
    let cut = Target::closes_after("c", 3, 9);
    let mut three = client(&cut);
    three.send(request("GET", "/", &[]));
    assert_eq!(three.response_to("GET").unwrap_err(), Broken::Truncated);
}

#[test]
fn a_killed_target_refuses_and_a_revived_one_serves_on_the_same_address() {
    let mut target = Target::echo("a");
    let mut before = client(&target);
    assert!(before.alive());
    target.kill();
    assert_ne!(before.ending(), Broken::TimedOut);
    assert!(TcpStream::connect(target.address).is_err());
    target.revive();
    assert!(client(&target).alive());
}

#[test]
fn a_deaf_target_lets_connecting_hang_and_a_refused_one_does_not() {
    let deaf = Deaf::start();
    let hang = TcpStream::connect_timeout(&deaf.address, Duration::from_millis(200)).unwrap_err();
    assert_eq!(hang.kind(), std::io::ErrorKind::TimedOut);
    let refusal = TcpStream::connect_timeout(&refused(), Duration::from_millis(200)).unwrap_err();
    assert_eq!(refusal.kind(), std::io::ErrorKind::ConnectionRefused);
}

#[test]
fn the_load_counts_every_request_once() {
    let target = Target::echo("a");
    let count = load::run(&target.address.to_string(), 4, 100, |n| format!("/{n}"));
    count.assert_clean();
    assert_eq!((count.of("a"), count.sent(), target.requests()), (100, 100, 100));
    let liar = Target::says("b", "HTTP/1.1 200 OK\r\nX-Target: b\r\nContent-Length: 1\r\n\r\nbHTTP/1.1");
    assert_eq!(load::run(&liar.address.to_string(), 1, 1, |n| format!("/{n}")).broken.len(), 1);
}
