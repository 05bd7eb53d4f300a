//! Peers that say anything, and users of streams that do anything: nothing panics, nothing grows, and all of it ends.

use super::*;
use crate::http::h2::session::ROOM;
use crate::http::h2::streams::Stream;
use fastrand::Rng;

/// Frames that a peer may send, most of them in order. `waiting`: bytes on their way.
fn frames(rng: &mut Rng, session: &mut Session, next: &mut u32, waiting: usize) -> Vec<u8> {
    let role = session.role;
    let mut streams = session.streams.each().map(|stream| stream.id).filter(|&id| id > 0).collect::<Vec<_>>();
    streams.extend((0..5).map(|_| rng.u32(..=session.last) | 1).filter(|&id| id <= session.last));
    let live = rng.choice(&streams).copied().unwrap_or(1);
    let none = streams.is_empty() || role == Role::Client && rng.u8(..60) == 0;
    let content = vec![b'c'; [0, 1, 3, 100, 5000, PAYLOAD][rng.usize(..6)]];
    let ends = rng.u8(..6) == 0;
    let fits = session.receive_window > (waiting + 2 * PAYLOAD) as i64;
    match rng.u8(..24) {
        0..5 if fits && !none => data(live, &content, ends),
        5 if fits && !none => {
            let content = &content[..content.len().min(9)];
            raw(kind::DATA, flag::PADDED | u8::from(ends), live, &[&[2][..], content, b"pp"].concat())
        }
        6..12 => match role {
            Role::Server => {
                *next += 2;
                message(rng, role, *next - 2, ends)
            }
            Role::Client if !none => message(rng, role, live, ends),
            Role::Client => Vec::new(),
        },
        12 if !none && rng.u8(..4) == 0 => head(live, &[("x-trailer", "1")], rng.u8(..4) > 0),
        13 if role == Role::Server => {
            *next += 2;
            let whole = message(rng, role, *next - 2, ends)[HEAD..].to_vec();
            let (first, rest) = whole.split_at(rng.usize(..whole.len()));
            [raw(kind::HEADERS, u8::from(ends), *next - 2, first), raw(kind::CONTINUATION, 4, *next - 2, rest)].concat()
        }
        14 => raw(kind::PRIORITY, 0, live, &[0, 0, 0, 0, 8]),
        15 if !none => word(kind::RST_STREAM, live, rng.u32(..14)),
        16 => settings(&[
            ([setting::MAX_CONCURRENT_STREAMS, 0x1, 0x6, 0x99][rng.usize(..4)], rng.u32(..)),
            (setting::INITIAL_WINDOW_SIZE, rng.u32(..200_000)),
        ]),
        17 => raw(kind::SETTINGS, flag::ACK, 0, b""),
        18 => raw(kind::PING, rng.u8(..2), 0, if rng.bool() { b"farewell" } else { b"12345678" }),
        19 if rng.u8(..20) == 0 => raw(kind::GOAWAY, 0, 0, &[&rng.u32(..40).to_be_bytes()[..], &[0; 4]].concat()),
        20 => raw(rng.u8(10..), rng.u8(..), live, &content),
        21 if !none => word(kind::WINDOW_UPDATE, live, rng.u32(..100_000)),
        22 => word(kind::WINDOW_UPDATE, 0, rng.u32(1..100_000)),
        23 if rng.u8(..100) == 0 => data(rng.u32(..9), b"x", ends),
        _ => Vec::new(),
    }
}

fn message(rng: &mut Rng, role: Role, stream: u32, ends: bool) -> Vec<u8> {
    let length = rng.usize(..9000).to_string();
    let path = format!("/{}", "p".repeat(rng.usize(..3000)));
    let mut fields: Vec<(&str, &str)> = match (role, rng.u8(..4)) {
        (Role::Client, 0) => vec![(":status", "103")],
        (Role::Client, 1) => vec![(":status", "204")],
        (Role::Client, _) => vec![(":status", "200")],
        (Role::Server, 0) => [&GET[..3], &[(":path", &path[..])]].concat(),
        (Role::Server, 1) => [&[(":method", "CONNECT"), (":protocol", "websocket")][..], &GET[1..]].concat(),
        (Role::Server, _) => GET.to_vec(),
    };
    for _ in 0..rng.usize(..4) {
        fields.push(
            [("x", "y"), ("cookie", "a=1"), ("content-length", &length), ("te", "trailers"), ("Bad", "x")]
                [rng.usize(..5)],
        );
    }
    let mut payload = block(&fields);
    match rng.u16(..500) {
        // What the table keeps, and what it is asked for.
        0..60 => payload.extend_from_slice(b"\x40\x03new\x03val\xbe\xbe"),
        60 => payload.push(rng.u8(..)),
        _ => {}
    }
    raw(kind::HEADERS, flag::END_HEADERS | u8::from(ends), stream, &payload)
}

/// Something that whoever holds streams may do.
fn act(rng: &mut Rng, session: &mut Session, held: &mut Vec<Key>) {
    while let Some(arrival) = session.arrivals.pop_front() {
        assert!(arrival.text.len() < LIMITS.head + 8192);
        held.push(arrival.key);
    }
    if session.role == Role::Client && held.len() < 8 && rng.u8(..3) == 0 {
        held.extend(session.begin());
    }
    if rng.u8(..200) == 0 {
        if session.role == Role::Client { session.close() } else { session.announce_end() }
    }
    if held.is_empty() {
        return;
    }
    let place = rng.usize(..held.len());
    let key = held[place];
    // Whatever fails does so because the stream has ended.
    let cx = cx();
    let _ = match rng.u8(..14) {
        0..3 => session.poll_read(key, &cx).map(|ready| ready.map(|()| session.take(key).map(drop))).is_ready(),
        3 => session.take(key).is_some(),
        4 => session.poll_broken(key, &cx).is_ready(),
        5 if session.role == Role::Server => {
            let text: [&[u8]; 3] =
                [b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 103 Early\r\nLink: x\r\n\r\n", b"HTTP/1.1 101 S\r\n\r\n"];
            session.respond(key, text[rng.usize(..3)], rng.bool()).is_ok()
        }
        5 | 6 if session.streams.get(key).is_some_and(|stream| stream.id == 0) => {
            let text: [&[u8]; 4] = [
                b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
                b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n",
                b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
                b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nSec-WebSocket-Key: a\r\n\r\n",
            ];
            session.request(key, text[rng.usize(..4)], b"http").is_ok()
        }
        7 | 8 if session.streams.get(key).is_some_and(|stream| stream.id > 0) => {
            session.content(key, &vec![1; rng.usize(..100_000)], rng.u8(..4) == 0).is_ok()
        }
        9 if session.streams.get(key).is_some_and(|stream| stream.id > 0) => session.trailers(key, b"x: y\r\n").is_ok(),
        10 | 11 => session.poll_room(key, &cx).is_ready(),
        12 => {
            session.reset(key, Code::CANCEL, Broken::Reset);
            true
        }
        13 => {
            session.release(held.swap_remove(place), Code::CANCEL);
            true
        }
        _ => false,
    };
}

fn check(session: &mut Session, fed: usize, held: usize) {
    assert!(session.output.len() <= 2 * ROOM + fed * 4, "{} bytes wait", session.output.len());
    assert!(session.line.len() <= session.streams.len());
    assert!(session.failed || session.streams.len() == held + session.arrivals.len());
    assert!(balance(session) <= i64::from(LIMITS.connection_window));
    let most = LIMITS.stream_window as usize + 2 * LIMITS.head + 8192;
    let small = |stream: &mut Stream| stream.inbox.len() <= most && stream.held + stream.taken <= LIMITS.stream_window;
    assert!(session.streams.each().all(small));
}

#[test]
fn nothing_that_comes_breaks_more_than_its_connection() {
    let (mut failed, mut lived) = (0, 0);
    for seed in 0..240 {
        let mut rng = Rng::with_seed(seed);
        let role = if seed % 2 == 0 { Role::Server } else { Role::Client };
        let wild = seed % 4 < 2;
        let mut session = begun(role);
        let mut held = Vec::new();
        // Bytes that have not been fed yet.
        let (mut queue, mut next) = (Vec::new(), 1);
        for _ in 0..400 {
            let mut more = frames(&mut rng, &mut session, &mut next, queue.len());
            if wild && !more.is_empty() && rng.u8(..50) == 0 {
                let at = rng.usize(..more.len());
                more[at] ^= 1 << rng.u8(..8);
            }
            queue.extend_from_slice(&more);
            if session.listens() {
                let piece = queue
                    .drain(..if rng.bool() { queue.len() } else { rng.usize(..=queue.len()) })
                    .collect::<Vec<u8>>();
                session.feed(&piece);
                check(&mut session, piece.len(), held.len());
            }
            for _ in 0..rng.usize(..4) {
                act(&mut rng, &mut session, &mut held);
            }
            if rng.u8(..3) == 0 {
                session.take_output();
            }
        }
        if session.failed {
            failed += 1
        } else {
            lived += 1
        }
        session.feed(&queue);
        session.feed(&raw(kind::GOAWAY, 0, 0, &[0; 8]));
        if !session.closing {
            session.cut();
        }
        while let Some(arrival) = session.arrivals.pop_front() {
            held.push(arrival.key);
        }
        held.iter().for_each(|&key| session.release(key, Code::CANCEL));
        assert!(session.is_over(), "seed {seed}");
        if !session.failed {
            assert_eq!(balance(&session), i64::from(LIMITS.connection_window), "seed {seed}");
        }
    }
    assert!(failed > 20 && lived > 20, "{failed} failed, {lived} lived");
}
