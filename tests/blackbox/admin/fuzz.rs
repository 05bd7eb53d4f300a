//! Random and mutated requests: whatever is asked, control lives, answers in its own words, and traffic goes on.

use super::start;
use crate::support::client::Client;
use crate::support::load::Load;
use crate::support::rounds;
use crate::support::target::Target;
use crate::support::toml::http;
use std::time::Duration;

/// Repeats itself for a seed, so that a failure does.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn of<'a, T: ?Sized>(&mut self, all: &[&'a T]) -> &'a T {
        all[self.next() as usize % all.len()]
    }

    /// A text with some of its bytes gone, doubled or turned into others.
    fn mutated(&mut self, text: &str) -> Vec<u8> {
        let mut bytes = text.as_bytes().to_vec();
        for _ in 0..self.next() % 4 {
            if bytes.is_empty() {
                break;
            }
            let at = self.next() as usize % bytes.len();
            match self.next() % 4 {
                0 => drop(bytes.remove(at)),
                1 => bytes.insert(at, bytes[at]),
                2 => bytes[at] = self.next() as u8,
                _ => bytes[at] = *self.of(&[&b'"', &b'{', &b'%', &b'/', &b'\\', &b'0', &b',']),
            }
        }
        bytes
    }
}

const METHODS: [&str; 8] = ["GET", "PUT", "POST", "PATCH", "DELETE", "HEAD", "OPTIONS", "QUERY"];
const BODIES: [&str; 14] = [
    "{\"state\":\"drain\",\"weight\":5,\"until\":\"restart\"}",
    "{\"state\":\"ready\",\"weight\":null,\"until\":\"restart\"}",
    "{\"address\":\"127.0.0.1:1\",\"weight\":0,\"until\":\"restart\"}",
    "{\"address\":\"unix:/x\",\"backup\":true,\"until\":\"restart\"}",
    "{\"for\":\"1s\",\"reason\":\"\\u0000\",\"close\":false}",
    "{\"for\":\"99999999999d\"}",
    "{\"for\":\"30d\",\"reason\":\"x\"}",
    "{\"filter\":\"info\"}",
    "{\"filter\":\"a[{b=c}]=info\"}",
    "{\"share\":\"1%\",\"for\":\"1s\"}",
    "{}",
    "[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
    "{\"weight\":1e400}",
    "\u{feff}{\"a\":\"\u{202e}\"}",
];

#[test]
fn control_outlives_thousands_of_nonsensical_requests() {
    let seed = std::env::var("RINGWAY_TEST_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(0x5eed);
    let mut dice = Dice(seed);
    let target = Target::echo("a");
    let mut desk = start(&http(&[&target]));
    let load = Load::start(&desk.proxy.web(), 2, Duration::from_millis(2));
    let document = desk.operator.get("/openapi.json");
    let mut paths: Vec<String> = document["paths"].as_object().unwrap().keys().cloned().collect();
    // It does what it says, and then another process is asked.
    paths.retain(|path| path != "/v1/upgrade");
    paths.extend(["/", "//v1//status", "/v1/../metrics", "/v1/%2e%2e/plan", "/v1/pools/%00"].map(str::to_owned));
    let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
    let places = ["site", "nosuch", "", "%2F", "a%zz", "\u{fffd}", "x".repeat(300).leak()];
    let addresses =
        ["127.0.0.1:1", "unix%3A%2Fx", "[::1]:1", "0-0-0-0", "192.0.2.0%2F24", "::", "%F0%28", "4294967296-0-0-0"];
    let queries = [
        "",
        "?",
        "?limit=1",
        "?limit=-1",
        "?after=%",
        "?a=b",
        "?until=restart",
        "?client=192.0.2.1",
        "?&&==&",
        "?listener=site",
    ];
    let count = rounds(6000, 2500);
    for round in 0..count {
        let method = dice.of(&METHODS);
        let path = dice.of(&paths).replace("{pool}", dice.of(&places)).replace("{target}", dice.of(&addresses));
        let path = path.replace("{client}", dice.of(&addresses)).replace("{id}", dice.of(&addresses));
        let path = path + dice.of(&queries);
        // Those that would end the load, or fill the log with what is not meant.
        if method == "DELETE" && path.starts_with("/v1/connections?") {
            continue;
        }
        let body = dice.of(&BODIES);
        let body = dice.mutated(body);
        let path = if dice.next().is_multiple_of(3) { dice.mutated(&path) } else { path.into_bytes() };
        let length = if dice.next().is_multiple_of(20) { body.len() + 1 } else { body.len() };
        let head = format!(
            "Host: localhost\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
        );
        let bytes = [method.as_bytes(), b" ", &path, b" HTTP/1.1\r\n", head.as_bytes(), &body].concat();
        let mut client = Client::to(&desk.operator.at);
        let _ = client.try_send(&bytes);
        client.finish_sending();
        // A head that is none is answered by closing; every other answer is one of ours.
        if let Ok(response) = client.response_to(method) {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            assert_ne!(response.status, 500, "seed {seed}, round {round}: {text}: {}", response.text());
            let kind = response.field("content-type").unwrap_or_default();
            let of_hyper = response.status == 400 && kind.is_empty();
            if response.status >= 400 && method != "HEAD" && !of_hyper && !text.contains("/v1/reload") {
                assert_eq!(kind, "application/problem+json", "seed {seed}, round {round}: {text}: {}", response.text());
            }
        }
        if round % 500 == 0 {
            assert_eq!(desk.operator.get("/v1/status")["state"], "ready");
        }
    }
    assert!(desk.proxy.running());
    assert_eq!(desk.operator.get("/v1/status")["state"], "ready");
    desk.operator.told("DELETE", "/v1/overrides", "", 200);
    load.stop().assert_clean();
    assert!(!desk.proxy.log.contains(&["panic"]), "{:?}", desk.proxy.log);
    assert_eq!(desk.proxy.get("/").status, 200);
}
