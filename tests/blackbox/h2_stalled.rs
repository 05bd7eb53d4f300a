//! Clients of HTTP/2 that ask for much and take nothing: what they hold is bounded, and nobody else waits for them.

use crate::support::client::Client;
use crate::support::h2::{self, Frames, GET, HEADERS, PREFACE, SETTINGS, WINDOW_UPDATE};
use crate::support::proxy::Setup;
use crate::support::tls::{Authority, Kind, listener};
use crate::support::toml::http_with;
use crate::support::{GLANCE, Proxy, Target, eventually};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

const GIGABYTE: u64 = 1 << 30;
/// What a stream of such a client may hold, with a target over HTTP/1.1 or HTTP/2, and its connection, as
/// docs/configuration.md states it.
const BEFORE_HTTP1: usize = 128 << 10;
const BEFORE_HTTP2: usize = 384 << 10;
const CONNECTION: usize = 4 << 20;

/// Targets whose answers have a gigabyte, and which push as much of it as is taken.
struct Pushing {
    target: Target,
    pushed: Arc<AtomicU64>,
}

impl Pushing {
    fn new() -> Pushing {
        let pushed = Arc::<AtomicU64>::default();
        let counted = pushed.clone();
        let target = Target::with("a", move |peer| {
            while let Some(asked) = peer.request() {
                if asked.path == "/small" {
                    peer.echo(&asked);
                    continue;
                }
                peer.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {GIGABYTE}\r\n\r\n"));
                while peer.try_send([7; 65_536]).is_ok() {
                    counted.fetch_add(65_536, Ordering::Relaxed);
                }
            }
        });
        Pushing { target, pushed }
    }

    /// Waits until nobody takes any more.
    fn settle(&self, streams: usize) {
        self.target.wait_for(streams);
        let pushed = || self.pushed.load(Ordering::Relaxed);
        eventually("nothing more is taken", || {
            let before = pushed();
            std::thread::sleep(GLANCE);
            before == pushed()
        });
        // The kernel's buffers have most of it.
        assert!(
            pushed() < streams as u64 * GIGABYTE / 10,
            "{} bytes were taken for a client that takes none",
            pushed()
        );
    }
}

/// Asks for as many answers as there are `streams`, with windows of this size for each and all of them, and reads nothing.
fn asks(client: &mut Client, streams: u32, window: Option<u32>) {
    let mut text = PREFACE.to_vec();
    let settings = window.map_or(Vec::new(), |window| [&[0, 4][..], &window.to_be_bytes()].concat());
    text.extend(Frames::frame(SETTINGS, 0, 0, &settings));
    if let Some(window) = window {
        text.extend(Frames::frame(WINDOW_UPDATE, 0, 0, &(window - 65_535).to_be_bytes()));
    }
    (0..streams).for_each(|n| text.extend(Frames::frame(HEADERS, 0x5, 2 * n + 1, GET)));
    client.send(text);
}

/// What stands still does so for as long as a test looks at it.
const PATIENT: &str = "timeouts = { write_stall = \"1h\" }";
/// The windows of clients: as they are unless one says otherwise, and the largest there are.
const WINDOWS: [Option<u32>; 2] = [None, Some((1 << 31) - 1)];

#[test]
fn a_client_that_takes_nothing_holds_little() {
    const STREAMS: u32 = 100;
    for window in WINDOWS {
        for secure in [false, true] {
            let pushing = Pushing::new();
            let authority = Authority::new("Test");
            let setup = Setup::new("");
            authority.server(&["site.test"], Kind::Ecdsa).write(setup.directory(), "site");
            let tls = if secure { listener(&["site"], "") } else { String::new() };
            let proxy = setup.with(http_with(&tls, &[&pushing.target], "")).start();
            let mut client = match secure {
                true => authority.dial().alpn(&["h2"]).to(&proxy.web(), "site.test"),
                false => proxy.client(),
            };
            let before = proxy.resident();
            asks(&mut client, STREAMS, window);
            pushing.settle(STREAMS as usize);
            let grown = proxy.resident().saturating_sub(before);
            let most = STREAMS as usize * BEFORE_HTTP1 + CONNECTION;
            assert!(grown < most, "{grown} bytes, not {most}, with windows of {window:?}, over TLS: {secure}");
        }
    }
}

#[test]
fn a_client_that_takes_nothing_of_targets_over_http2_holds_little_and_up_no_one() {
    // One more is another client's, and takes the last place on the connection.
    const STREAMS: u32 = 99;
    for window in WINDOWS {
        let pushing = Pushing::new();
        let inner = Proxy::start(http_with(PATIENT, &[&pushing.target], ""));
        let config = http_with(PATIENT, &[inner.web()], "protocol = \"h2\"");
        let outer = Setup::new(config).workers(1).start();
        let before = outer.resident();
        let mut client = outer.client();
        asks(&mut client, STREAMS, window);
        pushing.settle(STREAMS as usize);
        let grown = outer.resident().saturating_sub(before);
        let most = STREAMS as usize * BEFORE_HTTP2 + CONNECTION;
        assert!(grown < most, "{grown} bytes, not {most}, with windows of {window:?}");
        assert_eq!(h2::Client::to(&outer.web()).get("/small").status, 200);
        assert_eq!(outer.get("/small").status, 200);
        assert_eq!(outer.metric("ringway_pool_h2_connections_total", &[]), 1.0);
    }
}
