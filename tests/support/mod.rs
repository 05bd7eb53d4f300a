//! What the black-box tests are made of: the real binary ([`proxy`]), a client with exact control over its bytes
//! ([`client`]), named targets ([`target`]), a collector of traces ([`collector`]), load with a strict count ([`load`]) and
//! ways to hurt a process ([`hurt`]).
//!
//! Everything waits for a condition, never for a time: [`eventually`] gives up after [`PATIENCE`].

pub mod client;
pub mod collector;
pub mod h2;
pub mod hurt;
pub mod issuer;
pub mod load;
pub mod nameserver;
pub mod network;
pub mod ocsp;
pub mod page;
pub mod pebble;
pub mod provider;
pub mod proxy;
pub mod secure;
pub mod servers;
pub mod session;
pub mod streams;
pub mod target;
pub mod tls;
pub mod toml;
pub mod udp;
pub mod wire;

pub use client::Client;
pub use nameserver::Nameserver;
pub use proxy::Proxy;
pub use target::Target;

use std::net::{TcpListener, UdpSocket};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

/// How long a test waits for what must happen. Long, because a busy machine is no fault of the product.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// How long a test looks at what must not happen.
pub const GLANCE: Duration = Duration::from_millis(300);

/// Waits until `condition` holds; fails naming `what` when it does not in time.
#[track_caller]
pub fn eventually(what: &str, condition: impl FnMut() -> bool) {
    assert!(within(PATIENCE, condition), "did not happen within {PATIENCE:?}: {what}");
}

/// Whether `condition` came to hold within `time`.
pub fn within(time: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + time;
    loop {
        if condition() {
            return true;
        }
        if Instant::now() >= end {
            return false;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Lengthens a load when the whole suite runs, shortens it in the inner loop (`RINGWAY_TEST_QUICK`).
pub fn rounds(full: usize, quick: usize) -> usize {
    if std::env::var_os("RINGWAY_TEST_QUICK").is_some() { quick } else { full }
}

/// A port that is free on all addresses, below those that the kernel gives out by itself, so that no other test gets it meanwhile.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    loop {
        let place = NEXT.fetch_add(1, Ordering::Relaxed) as u32 + std::process::id() * 64;
        let port = 15_000 + (place % 15_000) as u16;
        if TcpListener::bind(("0.0.0.0", port)).is_ok() && UdpSocket::bind(("0.0.0.0", port)).is_ok() {
            return port;
        }
    }
}

/// Waits until a process that was told to stop (SIGSTOP) has: the signal returns before all of its threads stand still.
#[track_caller]
pub fn wait_until_stopped(pid: i32) {
    eventually("it stands still", || {
        let threads = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap().flatten();
        threads.map(|thread| std::fs::read_to_string(thread.path().join("stat")).unwrap_or_default()).all(|stat| {
            // The name of the program, in parentheses, may hold anything.
            stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('T'))
        })
    });
}

/// Bytes that show any loss, swap or repetition: no two places within 16 MiB look alike.
pub fn pattern(length: usize) -> Vec<u8> {
    (0..length.div_ceil(4))
        .flat_map(|word| (word as u32).wrapping_mul(0x9E37_79B1).to_le_bytes())
        .take(length)
        .collect()
}

/// Fails with the first place where the two differ, not with megabytes of output.
#[track_caller]
pub fn assert_same(got: &[u8], want: &[u8]) {
    // Far quicker than to look for the place.
    if got == want {
        return;
    }
    let differ = got.iter().zip(want).position(|(a, b)| a != b);
    panic!("got {} bytes, want {}; first difference at {differ:?}", got.len(), want.len());
}
