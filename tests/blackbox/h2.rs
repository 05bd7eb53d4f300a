//! HTTP/2 with clients and targets: the same proxy as over HTTP/1.1, and no way to make it work for nothing.

use crate::support::h2::{
    CONTINUATION, Client, DATA, Ended, Frames, GET, GOAWAY, HEADERS, PING, PRIORITY, RST_STREAM, SETTINGS,
    WINDOW_UPDATE, block, request,
};
use crate::support::toml::{http, http_with};
use crate::support::{PATIENCE, Proxy, Target, assert_same, eventually, pattern};
use crate::upgrade::{accept, websocket};
use http::{HeaderMap, Method, StatusCode};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

const LOG: &str = "\n[access_log]\npath = \"stdout\"\nformat = \"json\"\n";

#[test]
fn a_request_takes_the_same_way_as_one_of_http11() {
    let target = Target::echo("a");
    let proxy = Proxy::start(http(&[&target]) + LOG);
    let client = Client::to(&proxy.web());
    let answer = client.get("/p?q=1");
    assert_eq!((answer.status, &answer.body[..]), (StatusCode::OK, &b"a"[..]));
    assert!(answer.fields.contains_key("date") && !answer.fields.contains_key("connection"));
    let seen = target.last();
    assert_eq!(seen.field("host").unwrap(), "site.test");
    assert_eq!(seen.field("x-forwarded-for").unwrap(), "127.0.0.1");
    assert_eq!(seen.field("x-forwarded-proto").unwrap(), "http");
    let line = proxy.out.wait(&["\"uri\":\"/p?q=1\""]);
    assert!(line.contains("\"protocol\":\"HTTP/2.0\"") && line.contains("\"status\":200"), "{line}");
    // The same listener still speaks HTTP/1.1.
    assert_eq!(proxy.get("/").status, 200);
}

/// http-cookies/h2_cookie_concat
#[test]
fn cookies_in_pieces_reach_the_target_in_one() {
    let target = Target::echo("a");
    let proxy = Proxy::start(http(&[&target]));
    let mut asked = request(Method::GET, "/");
    asked.headers_mut().append("cookie", "a=1".parse().unwrap());
    asked.headers_mut().append("cookie", "b=2".parse().unwrap());
    Client::to(&proxy.web()).ask(asked, b"").unwrap();
    assert_eq!(target.last().field("cookie").unwrap(), "a=1; b=2");
}

#[test]
fn bodies_pass_both_ways_whole() {
    let target = Target::echo("a");
    let proxy = Proxy::start(http(&[&target]));
    let client = Client::to(&proxy.web());
    let body = pattern(3 << 20);
    for size in [1, 16_384, 16_385, 70_000, 1 << 20, 3 << 20] {
        for announced in [true, false] {
            let mut asked = request(Method::POST, "/");
            if announced {
                asked.headers_mut().insert("content-length", size.into());
            }
            let answer = client.ask(asked, &body[..size]).unwrap();
            assert_eq!(answer.status, 200);
            assert_same(&answer.body, &body[..size]);
            assert_eq!(target.last().field("transfer-encoding").is_none(), announced);
        }
    }
    let head = client.ask(request(Method::HEAD, "/"), b"").unwrap();
    assert_eq!((head.status, head.body.len()), (StatusCode::OK, 0));
}

#[test]
fn trailers_pass_both_ways() {
    let target = Target::says(
        "a",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: grpc-status\r\n\r\n2\r\nok\r\n0\r\ngrpc-status: 7\r\n\r\n",
    );
    let proxy = Proxy::start(http(&[&target]));
    let mut asked = request(Method::POST, "/");
    asked.headers_mut().insert("te", "trailers".parse().unwrap());
    let mut trailers = HeaderMap::new();
    trailers.insert("x-sum", "3".parse().unwrap());
    let answer = Client::to(&proxy.web()).ask_with_trailers(asked, b"abc", trailers);
    assert_eq!((&answer.body[..], answer.trailers["grpc-status"].as_bytes()), (&b"ok"[..], &b"7"[..]));
}

#[test]
fn many_streams_share_a_connection() {
    let target = Target::echo("a");
    let proxy = Proxy::start(http(&[&target]));
    let client = Client::to(&proxy.web());
    for _ in 0..5 {
        let answers = client.ask_all((0..100).map(|n| request(Method::GET, &format!("/{n}"))).collect());
        assert!(answers.iter().all(|answer| answer.as_ref().is_ok_and(|answer| answer.body == b"a")));
    }
    proxy.settles("ringway_http_requests_total", &[("code_class", "2xx")], 500.0);
    assert_eq!(proxy.metric("ringway_h2_connections_total", &[("listener", "web")]), 1.0);
    assert_eq!(proxy.metric("ringway_h2_streams_total", &[("listener", "web")]), 500.0);
    // What came by HTTP/1.1 is none of it.
    assert_eq!(proxy.get("/").status, 200);
    assert_eq!(proxy.metric("ringway_h2_streams_total", &[]), 500.0);
}

#[test]
fn what_could_be_read_in_two_ways_ends_its_stream_alone() {
    let target = Target::echo("a");
    let proxy = Proxy::start(http(&[&target]));
    let client = Client::to(&proxy.web());
    let mut two_hosts = request(Method::GET, "/");
    two_hosts.headers_mut().insert("host", "other.test".parse().unwrap());
    let error = client.ask(two_hosts, b"").unwrap_err();
    assert_eq!(error.reason(), Some(::h2::Reason::PROTOCOL_ERROR));
    // What HTTP/1.1 would be answered with, HTTP/2 is too.
    assert_eq!(client.ask(request(Method::GET, "/a%2fb"), b"").unwrap().status, 400);
    assert_eq!(client.get("/").status, 200);
    assert_eq!(target.requests(), 1);
}

#[test]
fn a_websocket_comes_by_extended_connect() {
    let target = websocket();
    let proxy = Proxy::start(http(&[&target]));
    let (status, got) = Client::to(&proxy.web()).websocket("/chat", b"there and back", 16);
    assert_eq!((status, &got[..]), (StatusCode::OK, &b"hithere and back"[..]));
}

/// http-messaging/websocket: 2xx would say that the tunnel stands, and 101 means nothing here (RFC 8441 section 5).
#[test]
fn a_websocket_that_is_not_granted_is_no_tunnel() {
    for (answer, status) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", None),
        ("HTTP/1.1 204 No Content\r\n\r\n", None),
        ("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: other\r\n\r\n", Some(502)),
        ("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno", Some(403)),
        ("HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n", Some(302)),
    ] {
        let target = Target::says("a", answer);
        let proxy = Proxy::start(http(&[&target]));
        let outer = Proxy::start(http_with("", &[proxy.web()], "protocol = \"h2\""));
        for address in [proxy.web(), outer.web()] {
            let got = Client::to(&address).websocket_status("/chat");
            assert!(!got.as_ref().is_ok_and(StatusCode::is_success), "{got:?} for {answer:?}");
            assert!(status.is_none_or(|status| got.as_ref().is_ok_and(|got| *got == status)), "{got:?} for {answer:?}");
        }
    }
    let target = websocket();
    let proxy = Proxy::start(http_with("upgrades = []", &[&target], ""));
    let mut frames = Frames::to(&proxy.web());
    let connect = [(":method", "CONNECT"), (":protocol", "websocket")];
    let rest = [(":scheme", "http"), (":path", "/chat"), (":authority", "site.test"), ("sec-websocket-version", "13")];
    frames.send(HEADERS, 0x4, 1, &block(&[&connect[..], &rest].concat())).unwrap();
    assert_ne!(frames.ending(1), Ended::Answer { good: true });
    assert_eq!(target.requests(), 0);
}

/// http-messaging/srv_ws
#[test]
fn a_websocket_of_http11_goes_on_to_a_target_over_http2() {
    let target = websocket();
    let inner = Proxy::start(http(&[&target]) + LOG);
    let outer = Proxy::start(http_with("", &[inner.web()], "protocol = \"h2\""));
    let mut client = outer.client();
    crate::upgrade::upgrade(&mut client);
    client.send("there and back");
    assert_eq!(client.exact(14).unwrap(), b"there and back");
    drop(client);
    assert!(inner.out.wait(&["\"uri\":\"/chat\""]).contains("HTTP/2.0"));
    // A target that declines is an ordinary exchange.
    let target = Target::echo("a");
    let inner = Proxy::start(http(&[&target]));
    let outer = Proxy::start(http_with("", &[inner.web()], "protocol = \"h2\""));
    let status = crate::upgrade::ask(&mut outer.client()).status;
    assert!(status == 200 || status >= 400, "{status}");
}

#[test]
fn a_tunnel_that_ends_one_way_goes_on_the_other() {
    let heard: Arc<Mutex<Vec<u8>>> = Arc::default();
    let hears = heard.clone();
    let target = Target::with("ws", move |peer| {
        let Some(seen) = peer.request() else { return };
        let key = accept(&seen.field("sec-websocket-key").unwrap());
        peer.send(format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {key}\r\n\r\nbye"
        ));
        peer.finish_sending();
        while peer.fill(PATIENCE).is_ok_and(|n| n > 0) {}
        hears.lock().unwrap().append(&mut peer.buffer);
    });
    let proxy = Proxy::start(http(&[&target]));
    let outer = Proxy::start(http_with("", &[proxy.web()], "protocol = \"h2\""));
    for address in [proxy.web(), outer.web()] {
        assert_eq!(Client::to(&address).websocket_to_the_end("/chat", b"late"), b"bye");
        eventually("what came late is heard", || std::mem::take(&mut *heard.lock().unwrap()) == b"late");
    }
}

#[test]
fn a_call_of_grpc_that_fails_here_gets_a_status_of_grpc() {
    let nobody = Proxy::start(http(&[&crate::support::target::refused()]) + LOG);
    let mut call = request(Method::POST, "/pkg.Service/Call");
    call.headers_mut().insert("content-type", "application/grpc+proto".parse().unwrap());
    let answer = Client::to(&nobody.web()).ask(call, b"").unwrap();
    assert_eq!((answer.status, answer.body.len()), (StatusCode::OK, 0));
    assert_eq!(answer.fields["content-type"], "application/grpc");
    assert_eq!(answer.fields["grpc-status"], "14");
    let line = nobody.out.wait(&["/pkg.Service/Call"]);
    assert!(line.contains("\"reason\":\"connect\""), "{line}");
}

/// http-messaging/http_abortonclose
#[test]
fn a_stream_that_its_client_resets_frees_its_target_and_is_logged_as_the_clients() {
    let target = Target::mute("a");
    let proxy = Proxy::start(http(&[&target]) + LOG);
    let mut frames = Frames::to(&proxy.web());
    frames.send(HEADERS, 0x5, 1, GET).unwrap();
    target.wait_for(1);
    frames.send(RST_STREAM, 0, 1, &8u32.to_be_bytes()).unwrap();
    eventually("the target is free", || target.open() == 0);
    let line = proxy.out.wait(&["\"uri\":\"/\""]);
    assert!(line.contains("\"termination\":\"CH--\""), "{line}");
}

/// http-messaging/http_wait_for_body
#[test]
fn an_upload_that_stands_still_ends_alone() {
    let target = Target::echo("a");
    let proxy = Proxy::start(http_with("timeouts = { client_body = \"300ms\" }", &[&target], ""));
    let mut frames = Frames::to(&proxy.web());
    let post = [(":method", "POST"), (":scheme", "http"), (":path", "/"), (":authority", "site.test")];
    frames.send(HEADERS, 0x4, 1, &block(&post)).unwrap();
    frames.send(DATA, 0, 1, b"half").unwrap();
    assert_ne!(frames.ending(1), Ended::Answer { good: true });
    eventually("the target is free", || target.open() == 0);
    assert!(target.seen().iter().all(|seen| !seen.whole));
    frames.send(HEADERS, 0x5, 3, GET).unwrap();
    assert_eq!(frames.ending(3), Ended::Answer { good: true });
}

/// http-messaging/truncated
#[test]
fn an_answer_that_is_cut_is_never_taken_for_whole() {
    let chunks = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n";
    for target in [
        Target::closes_after("a", 1000, 5000),
        Target::says_and_closes("b", chunks),
        Target::says_and_closes("c", chunks.to_owned() + "4\r\nha"),
        // All but the end of the trailers.
        Target::says_and_closes("d", chunks.to_owned() + "0\r\n"),
    ] {
        let proxy = Proxy::start(http(&[&target]));
        let outer = Proxy::start(http_with("", &[proxy.web()], "protocol = \"h2\""));
        for address in [proxy.web(), outer.web()] {
            let answer = Client::to(&address).ask(request(Method::GET, "/"), b"");
            assert!(!answer.as_ref().is_ok_and(|answer| answer.status == 200), "{answer:?}");
        }
    }
    let nobody = Proxy::start(http(&[&crate::support::target::refused()]));
    assert_eq!(Client::to(&nobody.web()).get("/").status, 502);
}

#[test]
fn the_order_to_end_lets_streams_end() {
    let target = Target::slow("a", Duration::from_millis(400));
    let mut proxy = Proxy::start(http(&[&target]));
    let client = Client::to(&proxy.web());
    let answers = thread::scope(|scope| {
        scope.spawn(|| {
            target.wait_for(20);
            proxy.signal(libc::SIGTERM);
        });
        client.ask_all((0..20).map(|n| request(Method::GET, &format!("/{n}"))).collect())
    });
    assert!(answers.iter().all(|answer| answer.as_ref().is_ok_and(|answer| answer.status == 200)), "{answers:?}");
    assert_eq!(proxy.exit().code(), Some(0));
}

#[test]
fn a_client_that_answers_no_ping_is_taken_as_gone() {
    let slow = Target::slow("a", Duration::from_millis(1500));
    let proxy = Proxy::start(http_with("timeouts = { idle = \"200ms\" }", &[&slow], ""));
    // One that is there waits for its answer as long as it takes.
    assert_eq!(Client::to(&proxy.web()).get("/").status, 200);
    let mute = Target::mute("b");
    let proxy = Proxy::start(http_with("timeouts = { idle = \"200ms\" }", &[&mute], ""));
    let mut gone = Frames::to(&proxy.web());
    gone.send(HEADERS, 0x5, 1, GET).unwrap();
    mute.wait_for(1);
    let begun = Instant::now();
    assert!(gone.ends());
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    eventually("its target is free", || mute.open() == 0);
}

/// `POST /` as [`GET`].
const POST: &[u8] = b"\x83\x84\x86\x41\x09site.test";

#[test]
fn an_upload_whose_target_stops_reading_is_held_back_and_goes_on_later() {
    const SIZE: usize = 48 << 20;
    let (go, waits) = mpsc::channel::<()>();
    let waits = Mutex::new(waits);
    let target = Target::with("a", move |peer| {
        let Some(mut seen) = peer.head() else { return };
        let _ = waits.lock().unwrap().recv();
        let whole = peer.rest(&mut seen) && seen.body.len() == SIZE;
        peer.reply(if whole { 200 } else { 500 }, &[], b"");
    });
    let proxy = Proxy::start(http(&[&target]));
    let before = proxy.resident();
    let mut frames = Frames::to(&proxy.web());
    frames.send(HEADERS, 0x4, 1, POST).unwrap();
    let (mut windows, mut left, mut held_at) = ([65_535_i64; 2], SIZE, None);
    let status = loop {
        let room = windows[0].min(windows[1]).clamp(0, 16_384) as usize;
        let piece = room.min(left);
        if piece > 0 {
            left -= piece;
            frames.send(DATA, u8::from(left == 0), 1, &vec![7; piece]).unwrap();
            windows = windows.map(|window| window - piece as i64);
            continue;
        }
        match frames.next(if held_at.is_some() { PATIENCE } else { Duration::from_millis(500) }) {
            None => {
                assert_eq!(held_at.replace(left), None, "it does not go on");
                let grown = proxy.resident().saturating_sub(before);
                assert!(grown < 8 << 20, "{grown} bytes are held");
                go.send(()).unwrap();
            }
            Some((WINDOW_UPDATE, stream, payload)) => {
                windows[stream as usize] += i64::from(u32::from_be_bytes(payload.try_into().unwrap()));
            }
            Some((SETTINGS, _, payload)) => {
                for window in payload.chunks(6).filter(|setting| setting[..2] == [0, 4]) {
                    windows[1] += i64::from(u32::from_be_bytes(window[2..].try_into().unwrap())) - 65_535;
                }
            }
            Some((HEADERS, 1, payload)) => break payload[1],
            Some(_) => {}
        }
    };
    // Behind the size of the table stands the index of `:status: 200`.
    assert_eq!(status, 0x88);
    assert!(held_at.is_some_and(|left| left > 0));
}

#[test]
fn content_byte_by_byte_comes_whole() {
    let target = Target::echo("a");
    let proxy = Proxy::start(http(&[&target]));
    let mut frames = Frames::to(&proxy.web());
    frames.send(HEADERS, 0x4, 1, POST).unwrap();
    let body = pattern(50_000);
    let bytes: Vec<u8> = body.iter().flat_map(|byte| Frames::frame(DATA, 0, 1, &[*byte])).collect();
    std::io::Write::write_all(&mut frames.0, &bytes).unwrap();
    frames.send(DATA, 0x1, 1, b"").unwrap();
    eventually("all of it has come", || target.seen().first().is_some_and(|seen| seen.whole));
    assert_same(&target.last().body, &body);
}

#[test]
fn a_client_that_resets_its_stream_for_no_fault_has_left_too() {
    let target = Target::mute("a");
    let proxy = Proxy::start(http(&[&target]));
    let mut frames = Frames::to(&proxy.web());
    frames.send(HEADERS, 0x5, 1, GET).unwrap();
    target.wait_for(1);
    frames.send(RST_STREAM, 0, 1, &[0; 4]).unwrap();
    eventually("its target is free", || target.open() == 0);
}

#[test]
fn a_connection_that_fails_ends_although_a_request_had_just_come() {
    let target = Target::echo("a");
    let proxy = Proxy::start(http(&[&target]));
    let mut frames = Frames::to(&proxy.web());
    let both = [Frames::frame(HEADERS, 0x5, 1, GET), Frames::frame(PING, 0, 1, &[0; 8])].concat();
    std::io::Write::write_all(&mut frames.0, &both).unwrap();
    assert!(frames.ends());
}

#[test]
fn an_answer_on_its_way_outlives_its_connection() {
    const SIZE: usize = 1 << 20;
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {SIZE}\r\n\r\n").into_bytes();
    let target = Target::says("a", [head, vec![7; SIZE]].concat());
    let proxy = Proxy::start(http(&[&target]));
    // How much of it is still on its way when the connection ends is chance.
    for asked in 1..=8 {
        let mut frames = Frames::to(&proxy.web());
        frames.send(SETTINGS, 0, 0, &[0, 4, 0x7f, 0xff, 0xff, 0xff]).unwrap();
        frames.send(WINDOW_UPDATE, 0, 0, &(1_u32 << 30).to_be_bytes()).unwrap();
        frames.send(HEADERS, 0x5, 1, GET).unwrap();
        proxy.settles("ringway_http_requests_total", &[("code_class", "2xx")], f64::from(asked));
        // It wants nothing more, and reads what there is as slowly as any other.
        frames.send(GOAWAY, 0, 0, &[0; 8]).unwrap();
        let mut got = 0;
        while got < SIZE {
            let (kind, _, payload) = frames.next(PATIENCE).unwrap();
            if kind == DATA {
                got += payload.len();
                frames.send(WINDOW_UPDATE, 0, 0, &(payload.len() as u32).to_be_bytes()).unwrap();
            }
        }
        assert!(frames.ends());
    }
}

/// connection/h2_glitches. Floods a connection; others are served meanwhile, and the flood's own connection ends, which
/// counts as `kind`.
fn flood(what: &str, kind: &str, flood: impl Fn(&mut Frames) -> std::io::Result<()> + Sync) {
    let target = Target::echo("a");
    let proxy = Proxy::start(http(&[&target]));
    let ended = thread::scope(|scope| {
        let flooding = scope.spawn(|| {
            let mut frames = Frames::to(&proxy.web());
            // More than any client has use for. What is sent after the end is met by a reset.
            for _ in 0..50_000 {
                if flood(&mut frames).is_err() {
                    break;
                }
            }
            frames.ends()
        });
        let client = Client::to(&proxy.web());
        for n in 0..100 {
            assert_eq!(client.get(&format!("/{n}")).status, 200, "{what}");
        }
        flooding.join().unwrap()
    });
    assert!(ended, "{what}: the connection goes on");
    proxy.settles("ringway_h2_floods_total", &[("listener", "web"), ("kind", kind)], 1.0);
    assert_eq!(proxy.metric("ringway_h2_floods_total", &[]), 1.0, "{what}");
    assert_eq!(proxy.metric("ringway_refused_total", &[("reason", "flood")]), 1.0, "{what}");
    assert!(proxy.resident() < 200 << 20, "{what}: {} bytes", proxy.resident());
}

#[test]
fn a_flood_of_resets_ends_its_connection() {
    let stream = std::sync::atomic::AtomicU32::new(1);
    flood("rapid reset (CVE-2023-44487)", "reset", |frames| {
        let id = stream.fetch_add(2, std::sync::atomic::Ordering::Relaxed);
        frames.send(HEADERS, 0x5, id, GET)?;
        frames.send(RST_STREAM, 0, id, &8u32.to_be_bytes())
    });
}

#[test]
fn a_head_without_end_ends_its_connection() {
    let begun = std::sync::atomic::AtomicBool::new(false);
    flood("CONTINUATION (CVE-2024-27316)", "continuation", |frames| {
        if !begun.swap(true, std::sync::atomic::Ordering::Relaxed) {
            frames.send(HEADERS, 0x1, 1, GET)?;
        }
        frames.send(CONTINUATION, 0, 1, b"\x40\x01x\x01y")
    });
}

#[test]
fn a_flood_of_pings_and_settings_that_reads_no_answer_ends_its_connection() {
    flood("pings (CVE-2019-9512)", "ping", |frames| frames.send(PING, 0, 0, &[0; 8]));
    flood("settings (CVE-2019-9515)", "settings", |frames| frames.send(SETTINGS, 0, 0, b"\x00\x04\x00\x00\xff\xff"));
}

#[test]
fn a_flood_of_empty_data_ends_its_connection() {
    let begun = std::sync::atomic::AtomicBool::new(false);
    flood("empty DATA (CVE-2019-9518)", "empty-data", |frames| {
        if !begun.swap(true, std::sync::atomic::Ordering::Relaxed) {
            frames.send(HEADERS, 0x4, 1, b"\x83\x84\x86\x41\x09site.test")?;
        }
        frames.send(DATA, 0, 1, b"")
    });
}

#[test]
fn a_flood_of_what_hardly_anyone_sends_ends_its_connection() {
    flood("PRIORITY", "priority", |frames| frames.send(PRIORITY, 0, 1, &[0, 0, 0, 3, 1]));
    flood("WINDOW_UPDATE", "window-update", |frames| frames.send(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1]));
    flood("frames of an unknown type", "unknown", |frames| frames.send(77, 0, 0, b""));
}

#[test]
fn a_flood_of_streams_that_we_have_to_reset_ends_its_connection() {
    let stream = std::sync::atomic::AtomicU32::new(1);
    flood("made you reset (CVE-2025-8671)", "provoked-reset", |frames| {
        let id = stream.fetch_add(2, std::sync::atomic::Ordering::Relaxed);
        // More content than the head has announced: one byte.
        frames.send(HEADERS, 0x4, id, b"\x83\x84\x86\x41\x09site.test\x0f\x0d\x011")?;
        frames.send(DATA, 0, id, b"12")
    });
}

#[test]
fn targets_are_asked_over_few_connections() {
    // The target is another Ringway, which speaks HTTP/2 by prior knowledge.
    let target = Target::echo("a");
    let inner = Proxy::start(http(&[&target]) + LOG);
    let outer = Proxy::start(http_with("", &[inner.web()], "protocol = \"h2\""));
    let client = Client::to(&outer.web());
    for _ in 0..5 {
        let answers = client.ask_all((0..100).map(|n| request(Method::GET, &format!("/{n}"))).collect());
        assert!(answers.iter().all(|answer| answer.as_ref().is_ok_and(|answer| answer.body == b"a")));
    }
    assert!(inner.out.wait(&["\"uri\":\"/99\""]).contains("HTTP/2.0"));
    let connects = outer.metric("ringway_target_connects_total", &[]);
    assert!((1.0..=4.0).contains(&connects), "{connects} connections for 500 requests");
    assert_eq!(outer.metric("ringway_pool_h2_connections_total", &[("pool", "site")]), connects);
    assert_eq!(outer.metric("ringway_pool_h2_streams_total", &[("pool", "site")]), 500.0);
    // A client of HTTP/1.1 gets there too, with a body of any size.
    let body = pattern(1 << 20);
    assert_same(&outer.client().post("/", &body).body, &body);
    assert_same(&client.ask(request(Method::POST, "/"), &body).unwrap().body, &body);
}

#[test]
fn trailers_and_errors_of_targets_over_http2_reach_the_client() {
    let target = Target::says(
        "a",
        "HTTP/1.1 200 OK\r\nContent-Type: application/grpc\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\ngrpc-status: 7\r\n\r\n",
    );
    let inner = Proxy::start(http(&[&target]));
    let outer = Proxy::start(http_with("", &[inner.web()], "protocol = \"h2\""));
    let client = Client::to(&outer.web());
    let mut asked = request(Method::POST, "/");
    asked.headers_mut().insert("te", "trailers".parse().unwrap());
    let answer = client.ask(asked, b"abc").unwrap();
    assert_eq!((&answer.body[..], answer.trailers["grpc-status"].as_bytes()), (&b"ok"[..], &b"7"[..]));
    let cut = Target::closes_after("b", 1000, 5000);
    let inner = Proxy::start(http(&[&cut]));
    let outer = Proxy::start(http_with("", &[inner.web()], "protocol = \"h2\""));
    // Whether the cut was seen before anything went on (502) or after it, what comes is no whole answer.
    let answer = Client::to(&outer.web()).ask(request(Method::GET, "/"), b"");
    assert!(!answer.is_ok_and(|answer| answer.status == 200));
}

#[test]
fn a_target_over_http2_that_dies_is_replaced_by_another_connection() {
    let target = Target::echo("a");
    let mut inner = Proxy::start(http(&[&target]));
    let address = inner.web();
    let outer = Proxy::start(http_with("", &[&address], "protocol = \"h2\""));
    assert_eq!(outer.get("/").status, 200);
    inner.signal(libc::SIGKILL);
    inner.exit();
    eventually("the dead target is noticed", || outer.get("/").status == 502);
    let again = Proxy::start(http(&[&target]).replace("127.0.0.1:0", &address));
    eventually("the target is back", || outer.get("/").status == 200);
    drop(again);
}

#[test]
fn a_target_over_http2_that_answers_no_ping_is_taken_as_gone() {
    let target = Target::slow("a", Duration::from_millis(1500));
    let inner = Proxy::start(http(&[&target]));
    let patient = "protocol = \"h2\"\ntimeouts = { connect = \"300ms\", response_head = \"1h\" }";
    let outer = Proxy::start(http_with("", &[inner.web()], patient));
    // One that is there has as long for its answer as the pool allows.
    assert_eq!(outer.get("/").status, 200);
    inner.signal(libc::SIGSTOP);
    assert_eq!(outer.get("/").status, 502);
    inner.signal(libc::SIGCONT);
    assert_eq!(outer.get("/").status, 200);
}

#[test]
fn a_head_that_comes_drop_by_drop_has_the_time_of_a_head() {
    let target = Target::echo("a");
    let proxy = Proxy::start(http_with("timeouts = { request_head = \"500ms\" }", &[&target], ""));
    let mut slow = Frames::to(&proxy.web());
    slow.send(HEADERS, 0x1, 1, GET).unwrap();
    eventually("the connection ends", || slow.send(CONTINUATION, 0, 1, b"\x40\x01x\x01y").is_err());
    proxy.settles("ringway_refused_total", &[("reason", "head-timeout")], 1.0);
}

#[test]
fn a_websocket_goes_on_to_a_target_over_http2() {
    let target = websocket();
    let inner = Proxy::start(http(&[&target]));
    let outer = Proxy::start(http_with("", &[inner.web()], "protocol = \"h2\""));
    let (status, got) = Client::to(&outer.web()).websocket("/chat", b"there and back", 16);
    assert_eq!((status, &got[..]), (StatusCode::OK, &b"hithere and back"[..]));
}
