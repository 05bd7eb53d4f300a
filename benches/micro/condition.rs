//! Asking conditions in CEL about a request.

use divan::{Bencher, black_box};
use ringway::gateway::condition::{Condition, Stage};
use ringway::gateway::{About, Request, Who};
use std::net::Ipv4Addr;

/// A request with a dozen headers.
struct Sent;

const HEADERS: [(&str, &str); 12] = [
    ("host", "api.example.com"),
    ("user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"),
    ("accept", "text/html,application/xhtml+xml"),
    ("accept-language", "en-US,en;q=0.5"),
    ("accept-encoding", "gzip, deflate, br, zstd"),
    ("referer", "https://www.example.com/"),
    ("cookie", "session=0123456789abcdef; theme=dark"),
    ("x-tenant", "acme"),
    ("x-request-id", "0123456789abcdef"),
    ("sec-fetch-mode", "cors"),
    ("priority", "u=1"),
    ("x-beta", "1"),
];

impl Request for Sent {
    fn method(&self) -> &[u8] {
        b"GET"
    }

    fn scheme(&self) -> &str {
        "https"
    }

    fn authority(&self) -> &[u8] {
        b"api.example.com"
    }

    fn path(&self) -> &[u8] {
        b"/v1/orders"
    }

    fn query(&self) -> Option<&[u8]> {
        Some(b"page=2")
    }

    fn each(&self, name: &str, see: &mut dyn FnMut(&[u8])) {
        let found = HEADERS.iter().filter(|(other, _)| other.eq_ignore_ascii_case(name));
        found.for_each(|(_, value)| see(value.as_bytes()));
    }
}

#[divan::bench(args = [
    "request.headers[\"x-beta\"] == \"1\" || !tls.enabled",
    "request.method in ['GET', 'POST'] && request.path.startsWith('/v1/')",
    "client.ip.in_cidr('10.0.0.0/8')",
    "request.path.matches('^/v[0-9]+/orders$')",
    "request.cookies.theme == 'dark'",
])]
fn holds(bencher: Bencher<'_, '_>, text: &str) {
    let condition = Condition::compile(text, Stage::Routing).expect("a condition that compiles");
    let who = &Who::default();
    let about = About { client: Ipv4Addr::LOCALHOST.into(), route: "", request: &Sent, who, path: None };
    bencher.bench_local(|| black_box(&condition).holds(black_box(&about)).expect("it can be said"));
}
