//! Targets of HTTP/2 that let few streams begin on a connection. Protects the case "GOAWAY crossing a request that has a body".

use crate::support::client::request;
use crate::support::h2::{DATA, Frames, GOAWAY, HEADERS, PING, SETTINGS, WINDOW_UPDATE};
use crate::support::target::Peer;
use crate::support::toml::http_with;
use crate::support::{Proxy, Target, rounds};
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
}

/// A target that says after `streams` streams that these were the last, and counts the requests that it has carried out.
fn limited(streams: usize, then: Then) -> (Target, Arc<AtomicUsize>) {
    let done = Arc::new(AtomicUsize::new(0));
    let counted = done.clone();
    let target = Target::with("limited", move |peer| {
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
    let (mut begun, mut last) = (0, u32::MAX);
    loop {
        let head = peer.exact(9).ok()?;
        let [a, b, c, kind, flags, d, e, f, g] = head[..].try_into().unwrap();
        let payload = peer.exact(u32::from_be_bytes([0, a, b, c]) as usize).ok()?;
        let (stream, ends) = (u32::from_be_bytes([d, e, f, g]), flags & 1 != 0);
        match kind {
            SETTINGS | PING if flags & 1 == 0 => send(peer, kind, 1, 0, if kind == PING { &payload } else { b"" })?,
            HEADERS if stream <= last => {
                begun += 1;
                if begun == streams {
                    last = stream;
                    send(peer, GOAWAY, 0, 0, &[&last.to_be_bytes()[..], &[0; 4]].concat())?;
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
            done.fetch_add(1, Ordering::SeqCst);
            if then == Then::Leaves && last != u32::MAX {
                return None;
            }
            // `:status: 200` of the static table.
            send(peer, HEADERS, 4, stream, &[0x88])?;
            send(peer, DATA, 1, stream, b"ok")?;
        }
    }
}

fn proxy(target: &Target, retry: &str) -> Proxy {
    Proxy::start(
        http_with("", &[target], "protocol = \"h2\"")
            + &format!("\n[routes.all]\npaths = [\"/\"]\npool = \"site\"\nretry = {{ {retry} }}\n"),
    )
}

#[test]
fn streams_above_the_last_one_are_sent_again_and_nothing_is_carried_out_twice() {
    let (target, done) = limited(7, Then::Answers);
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
    assert!(target.connections() >= clients * each / 7);
    proxy.settles("ringway_worker_retry_bytes", &[], 0.0);
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
