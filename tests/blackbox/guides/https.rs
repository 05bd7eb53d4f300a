//! HTTP behind TLS with ACME.

use super::Guide;
use crate::support::client::fetch;
use crate::support::pebble::Pebble;
use crate::support::tls::shown;
use crate::support::{Client, Target, eventually, free_port, within};
use std::time::Duration;

#[test]
fn the_site_has_a_certificate_by_itself_and_who_comes_in_clear_is_sent_to_tls() {
    let (plain, secure) = (free_port(), free_port());
    let mut pebble = Pebble::new();
    pebble.start(plain, secure, 1_000_000);
    let targets = ["a", "b"].map(Target::echo);
    let authority = pebble.key(&[], "");
    let (_, authority) = authority.split_once("directory = ").unwrap();
    let guide = Guide::read("https")
        .with("\"0.0.0.0:80\", \"[::]:80\"", format!("\"127.0.0.1:{plain}\""))
        .with("\"0.0.0.0:443\", \"[::]:443\"", format!("\"127.0.0.1:{secure}\""))
        .with("contact = \"ops@example.com\" }", format!("contact = \"ops@example.com\", directory = {authority}"))
        .with("10.0.0.11:8080", &targets[0])
        .with("10.0.0.12:8080", &targets[1]);
    let proxy = guide.start();
    let web = format!("127.0.0.1:{secure}");
    let dial = pebble.dial();
    let mut client = None;
    // Pebble fails at random, waits, and looks again.
    let issued = within(Duration::from_secs(120), || {
        client = dial.try_to(&web, "www.example.com").ok();
        client.is_some()
    });
    assert!(issued, "no certificate");
    proxy.log.wait(&["certificate issued", "example.com, www.example.com"]);
    let mut client: Client = client.unwrap();
    let mut ask = |host: &str, path: &str| {
        client.send(format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nX-Forwarded-Proto: http\r\n\r\n"));
        client.response()
    };
    let answer = ask("www.example.com", "/shop");
    assert!(["a", "b"].contains(&&*answer.target()), "a target answers");
    assert_eq!(answer.field("strict-transport-security").as_deref(), Some("max-age=2592000"));
    let told: Vec<_> = targets.iter().flat_map(|target| target.requests_for("/shop")).collect();
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].field("x-forwarded-proto").as_deref(), Some("https"));
    let moved = ask("example.com", "/shop?item=1");
    let location = moved.field("location");
    assert_eq!((moved.status, location.as_deref()), (308, Some("https://www.example.com/shop?item=1")));
    assert_eq!(ask("other.example.com", "/").status, 404, "nobody else's site");
    assert_eq!(shown(&dial.to(&web, "example.com")), shown(&dial.to(&web, "www.example.com")), "one for both names");
    let clear =
        fetch(&format!("127.0.0.1:{plain}"), "POST", "/shop?item=1", &["Content-Length: 0", "Connection: close"]);
    assert_eq!((clear.status, clear.field("location").as_deref()), (308, Some("https://site.test/shop?item=1")));
    eventually("checks ask for what the page says, by its name", || {
        targets.iter().all(|target| {
            let checks = target.requests_for("/healthz");
            checks.first().is_some_and(|check| check.field("host").as_deref() == Some("www.example.com"))
        })
    });
}
