//! Targets of HTTP/2 that let few streams begin on a connection. Protects the case "GOAWAY crossing a request that has a body".

use crate::support::client::request;
use crate::support::h2::{DATA, Frames, GOAWAY, HEADERS, PING, SETTINGS, WINDOW_UPDATE};
use crate::support::target::Peer;
use crate::support::toml::http_with;
use crate::support::{Proxy, Target, eventually, rounds};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// What a target does once it has let as many streams begin as it wants.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Then {
    /// Answers them, and looks at no others.
    Answers,
    /// Ends the connection, which leaves open what became of them.
    Leaves,
    /// Answers them, looks at no others, and closes at once.
    Closes,
    /// On every second connection, looks at none: the last one is stream 0, with this error, and the connection is closed.
    Forgets(u32),
    /// Says first that these are enough, and which was the last once that has been heard. Then none may begin.
    TwoSteps,
}

/// A target that says after `streams` streams that these were the last, and counts the requests that it has carried out.
fn limited(streams: usize, then: Then) -> (Target, Arc<AtomicUsize>) {
    let done = Arc::new(AtomicUsize::new(0));
    let counted = done.clone();
    let accepted = AtomicUsize::new(0);
    let target = Target::with("limited", move |peer| {
        let (streams, then) = match then {
            Then::Forgets(_) if accepted.fetch_add(1, Ordering::SeqCst) % 2 == 1 => (50, Then::Answers),
            then => (streams, then),
        };
        let _ = serve(peer, streams, then, &counted);
    });
    (target, done)
}

fn serve(peer: &mut Peer, streams: usize, then: Then, done: &AtomicUsize) -> Option<()> {
    let send = |peer: &mut Peer, kind, flags, stream, payload: &[u8]| {
        peer.try_send(Frames::frame(kind, flags, stream, payload)).ok()
    };
    peer.exact(24).ok()?;
    send(peer, SETTINGS, 0, 0, b"")?;
    let (mut begun, mut last, mut highest) = (0, u32::MAX, 0);
    // Streams that are at work, and whether the last one is said.
    let (mut open, mut heard) = (0, false);
    loop {
        let head = peer.exact(9).ok()?;
        let [a, b, c, kind, flags, d, e, f, g] = head[..].try_into().unwrap();
        let payload = peer.exact(u32::from_be_bytes([0, a, b, c]) as usize).ok()?;
        let (stream, ends) = (u32::from_be_bytes([d, e, f, g]), flags & 1 != 0);
        match kind {
            SETTINGS | PING if flags & 1 == 0 => send(peer, kind, 1, 0, if kind == PING { &payload } else { b"" })?,
            PING => {
                (last, heard) = (highest, true);
                send(peer, GOAWAY, 0, 0, &goaway(last, 0))?;
            }
            HEADERS if stream <= last => {
                assert!(!heard, "a stream begins on a connection that is ending");
                (begun, open, highest) = (begun + 1, open + 1, stream);
                match then {
                    _ if begun != streams => {}
                    Then::Forgets(code) => {
                        send(peer, GOAWAY, 0, 0, &goaway(0, code))?;
                        eventually("it has arrived", || unacknowledged(peer) == 0);
                        return None;
                    }
                    Then::TwoSteps => {
                        send(peer, GOAWAY, 0, 0, &goaway(i32::MAX as u32, 0))?;
                        send(peer, PING, 0, 0, b"heard it")?;
                    }
                    _ => {
                        last = stream;
                        send(peer, GOAWAY, 0, 0, &goaway(last, 0))?;
                    }
                }
            }
            // The window of the connection is for all, also for what is not looked at.
            DATA if !payload.is_empty() => {
                let credit = (payload.len() as u32).to_be_bytes();
                send(peer, WINDOW_UPDATE, 0, 0, &credit)?;
                if !ends {
                    send(peer, WINDOW_UPDATE, 0, stream, &credit)?;
                }
            }
            _ => {}
        }
        if matches!(kind, HEADERS | DATA) && ends && stream <= last {
            if matches!(then, Then::Forgets(_)) {
                continue;
            }
            done.fetch_add(1, Ordering::SeqCst);
            if then == Then::Leaves && last != u32::MAX {
                return None;
            }
            // `:status: 200` of the static table.
            send(peer, HEADERS, 4, stream, &[0x88])?;
            send(peer, DATA, 1, stream, b"ok")?;
            open -= 1;
            if then == Then::Closes && last != u32::MAX && open == 0 {
                // A close with something unread resets the connection, and takes back what has not arrived.
                eventually("all that was said has arrived", || unacknowledged(peer) == 0);
                return None;
            }
        }
    }
}

/// Bytes that were sent and that the other side's kernel does not have yet (SIOCOUTQ, tcp(7)).
fn unacknowledged(peer: &Peer) -> i32 {
    let mut bytes = 0;
    // SAFETY: the descriptor is open, and the number lives for the call.
    assert_eq!(unsafe { libc::ioctl(peer.socket.as_raw_fd(), libc::TIOCOUTQ, &mut bytes) }, 0);
    bytes
}

fn goaway(last: u32, code: u32) -> Vec<u8> {
    [last.to_be_bytes(), code.to_be_bytes()].concat()
}

fn proxy(target: &Target, retry: &str) -> Proxy {
    Proxy::start(
        http_with("", &[target], "protocol = \"h2\"")
            + &format!("\n[routes.all]\npaths = [\"/\"]\npool = \"site\"\nretry = {{ {retry} }}\n"),
    )
}

/// Clients that send GET, a small and a large POST in turn: each is answered, and carried out once.
fn all_are_carried_out_once(streams: usize, then: Then) {
    let (target, done) = limited(streams, then);
    let proxy = proxy(&target, "body = \"256KiB\"");
    let (clients, each) = (12, rounds(40, 12));
    let body = vec![b'x'; 100_000];
    thread::scope(|scope| {
        for client in 0..clients {
            let (proxy, body) = (&proxy, &body);
            scope.spawn(move || {
                let mut connection = proxy.client();
                for n in 0..each {
                    let answer = match (client + n) % 3 {
                        0 => connection.get("/get"),
                        1 => connection.post("/small", &body[..100]),
                        _ => connection.post("/large", body),
                    };
                    assert_eq!((answer.status, answer.text().as_str()), (200, "ok"), "{client} {n}");
                }
            });
        }
    });
    assert_eq!(done.load(Ordering::SeqCst), clients * each);
    proxy.settles("ringway_worker_retry_bytes", &[], 0.0);
    proxy.settles("ringway_target_in_flight", &[], 0.0);
    let fewest = if matches!(then, Then::Forgets(_)) { 4 } else { clients * each / 14 };
    assert!(target.connections() >= fewest, "{}", target.connections());
}

#[test]
fn streams_above_the_last_one_are_sent_again_and_nothing_is_carried_out_twice() {
    all_are_carried_out_once(7, Then::Answers);
}

#[test]
fn the_same_holds_where_the_connection_is_closed_behind_the_last_answer() {
    all_are_carried_out_once(7, Then::Closes);
}

#[test]
fn the_same_holds_where_the_last_stream_is_said_in_two_steps() {
    all_are_carried_out_once(7, Then::TwoSteps);
}

/// GOAWAY with stream 0 as the last: nothing of what was sent was looked at, be it for an error or without one.
#[test]
fn the_same_holds_where_none_was_looked_at() {
    for code in [0, 11] {
        all_are_carried_out_once(1, Then::Forgets(code));
    }
}

/// What is idempotent may be sent again although it was at or below the last stream; another target takes it.
#[test]
fn what_may_be_sent_twice_moves_on_when_the_connection_ends() {
    let (target, done) = limited(1, Then::Leaves);
    let (other, others) = limited(7, Then::Answers);
    let config = http_with("", &[&target, &other], "protocol = \"h2\"\nbalance = \"round-robin\"");
    let proxy = crate::support::proxy::Setup::new(config).workers(1).start();
    for _ in 0..6 {
        assert_eq!(proxy.get("/").status, 200);
    }
    let (lost, answered) = (done.load(Ordering::SeqCst), others.load(Ordering::SeqCst));
    assert!(lost >= 2 && answered == 6, "{lost} {answered}");
    let mut statuses: Vec<u16> = (0..2).map(|_| proxy.client().post("/", b"once").status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 502]);
}

/// Who has begun with a request may have carried it out.
#[test]
fn a_stream_that_the_target_may_have_acted_on_is_not_sent_again() {
    let (target, done) = limited(1, Then::Leaves);
    let proxy = proxy(&target, "");
    for n in 1..=4 {
        let mut client = proxy.client();
        client.send(request("POST", "/", &["Content-Length: 4"]));
        client.send("once");
        assert_eq!(client.response().status, 502);
        assert_eq!(done.load(Ordering::SeqCst), n);
    }
}
