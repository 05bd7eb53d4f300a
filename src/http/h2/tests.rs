//! Sessions without sockets: frames go in and come out, and two of them talk to each other.

use super::PREFACE;
use super::fields::Content;
use super::frame::{self, Code, HEAD, Head, MOST, PAYLOAD, flag, kind, setting};
use super::hpack::push_field;
use super::session::{Arrival, FLUSH, Limits, Role, Session};
use super::streams::{Broken, Key};
use crate::net::coarse_now;
use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

mod fuzz;
mod pair;

const LIMITS: Limits =
    Limits { streams: 8, stream_window: 64 << 10, connection_window: 256 << 10, head: 4096, websockets: true };

/// A frame.
fn raw(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    frame::push_head(&mut out, payload.len(), kind, flags, stream);
    [out, payload.to_vec()].concat()
}

fn word(kind: u8, stream: u32, word: u32) -> Vec<u8> {
    raw(kind, 0, stream, &word.to_be_bytes())
}

fn settings(settings: &[(u16, u32)]) -> Vec<u8> {
    let mut out = Vec::new();
    frame::push_settings(&mut out, settings);
    out
}

fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut out = Vec::new();
    fields.iter().for_each(|(name, value)| push_field(&mut out, name.as_bytes(), value.as_bytes()));
    out
}

const GET: [(&str, &str); 4] = [(":method", "GET"), (":scheme", "https"), (":authority", "a.test"), (":path", "/")];

/// HEADERS that are whole.
fn head(stream: u32, fields: &[(&str, &str)], ends: bool) -> Vec<u8> {
    raw(kind::HEADERS, flag::END_HEADERS | u8::from(ends), stream, &block(fields))
}

fn data(stream: u32, content: &[u8], ends: bool) -> Vec<u8> {
    raw(kind::DATA, u8::from(ends), stream, content)
}

/// A session whose peer has begun in order. What it said first is gone.
fn begun(role: Role) -> Session {
    let mut session = Session::new(role, LIMITS);
    if role == Role::Server {
        session.feed(PREFACE);
    }
    session.feed(&settings(&[]));
    assert!(session.is_settled() && !session.failed);
    said(&mut session);
    session
}

/// The frames that wait to be sent.
fn said(session: &mut Session) -> Vec<(Head, Vec<u8>)> {
    let mut out = Vec::new();
    while let Some(output) = session.take_output() {
        out.extend_from_slice(&output);
    }
    let mut rest = out.strip_prefix(PREFACE).unwrap_or(&out);
    let mut frames = Vec::new();
    while let Some((head, more)) = rest.split_first_chunk::<HEAD>() {
        let head = Head::read(head);
        let (payload, more) = more.split_at(head.length);
        frames.push((head, payload.to_vec()));
        rest = more;
    }
    assert!(rest.is_empty(), "frames are whole");
    frames
}

fn number(payload: &[u8]) -> u32 {
    u32::from_be_bytes(*payload.first_chunk().unwrap())
}

/// The resets among `frames`.
fn resets(frames: &[(Head, Vec<u8>)]) -> Vec<(u32, Code)> {
    let resets = frames.iter().filter(|(head, _)| head.kind == kind::RST_STREAM);
    resets.map(|(head, payload)| (head.stream, Code(number(payload)))).collect()
}

/// The last stream and the code of the first GOAWAY among `frames`.
fn farewell(frames: &[(Head, Vec<u8>)]) -> Option<(u32, Code)> {
    let (_, payload) = frames.iter().find(|(head, _)| head.kind == kind::GOAWAY)?;
    Some((number(payload), Code(number(&payload[4..]))))
}

/// What a session's peer may send, if all that is owed were told.
fn balance(session: &Session) -> i64 {
    session.receive_window + i64::from(session.owed)
}

fn cx() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

/// Asks for `/` as a client's session does.
fn ask(session: &mut Session) -> Key {
    let key = session.begin().unwrap();
    session.request(key, b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n", b"http").unwrap();
    key
}

/// What has come on a stream, or why nothing more does.
fn got(session: &mut Session, key: Key) -> Poll<Result<String, ErrorKind>> {
    session.poll_read(key, &cx()).map(|ready| match ready {
        Ok(()) => Ok(String::from_utf8_lossy(&session.take(key).unwrap()).into_owned()),
        Err(error) => Err(error.kind()),
    })
}

#[test]
fn content_that_is_late_for_one_stream_never_gets_to_the_next_in_its_place() {
    let mut session = begun(Role::Client);
    let first = ask(&mut session);
    session.feed(&head(1, &[(":status", "200")], false));
    let content = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nwrong";
    let frame = data(1, content, true);
    let (early, late) = frame.split_at(HEAD + 3);
    session.feed(early);
    session.release(first, Code::CANCEL);
    let second = ask(&mut session);
    session.feed(late);
    assert_eq!(got(&mut session, second), Poll::Pending);
    session.feed(&head(3, &[(":status", "204")], true));
    assert_eq!(got(&mut session, second), Poll::Ready(Ok("HTTP/1.1 204 No Content\r\n\r\n".into())));
}

#[test]
fn a_connection_that_fails_is_over_although_a_request_had_just_come() {
    let mut session = begun(Role::Server);
    session.feed(&[head(1, &GET, false), word(kind::PING, 0, 0)].concat());
    assert_eq!(farewell(&said(&mut session)), Some((1, Code::FRAME_SIZE_ERROR)));
    assert!(session.is_over());
    let mut session = begun(Role::Server);
    session.feed(&head(1, &GET, true));
    session.cut();
    assert!(session.is_over());
}

#[test]
fn what_is_wrong_with_a_connection_ends_it_with_its_code() {
    use Code as C;
    let open = head(1, &GET, false);
    let with = |frame: Vec<u8>| [&open[..], &frame].concat();
    let get = block(&GET);
    let cut = raw(kind::HEADERS, 0, 1, &get);
    let full = |stream| [head(stream, &GET, false), data(stream, &[0; PAYLOAD], false).repeat(4)].concat();
    let all = [full(1), full(3), full(5), full(7), full(9)].concat();
    let settings_of = |name, value| settings(&[(name, value)]);
    for (what, bytes, code) in [
        ("a frame that is too long", raw(kind::DATA, 0, 1, &[0; PAYLOAD + 1]), C::FRAME_SIZE_ERROR),
        ("DATA on 0", data(0, b"x", false), C::PROTOCOL_ERROR),
        ("DATA on a stream that is not begun", data(1, b"x", false), C::PROTOCOL_ERROR),
        ("DATA on a stream of ours", data(2, b"x", false), C::PROTOCOL_ERROR),
        ("padding without a length", with(raw(kind::DATA, flag::PADDED, 1, b"")), C::FRAME_SIZE_ERROR),
        ("padding longer than all", with(raw(kind::DATA, flag::PADDED, 1, b"\x02x")), C::PROTOCOL_ERROR),
        ("more than the connection's window", all, C::FLOW_CONTROL_ERROR),
        ("HEADERS on 0", head(0, &GET, true), C::PROTOCOL_ERROR),
        ("HEADERS on a stream of ours", head(2, &GET, true), C::PROTOCOL_ERROR),
        ("HEADERS on a stream that was passed over", [head(3, &GET, true), open.clone()].concat(), C::PROTOCOL_ERROR),
        ("HEADERS with too much padding", raw(kind::HEADERS, flag::PADDED | 4, 1, b"\x01"), C::PROTOCOL_ERROR),
        ("HEADERS with half a priority", raw(kind::HEADERS, flag::PRIORITY | 4, 1, &[0; 4]), C::FRAME_SIZE_ERROR),
        ("a block that cannot be read", raw(kind::HEADERS, flag::END_HEADERS, 1, b"\x80"), C::COMPRESSION_ERROR),
        ("the same in trailers", with(raw(kind::HEADERS, 0x5, 1, b"\x80")), C::COMPRESSION_ERROR),
        ("another frame within a block", [cut.clone(), data(1, b"x", true)].concat(), C::PROTOCOL_ERROR),
        ("an unknown one", [cut.clone(), raw(0x42, 0, 1, b"")].concat(), C::PROTOCOL_ERROR),
        (
            "a block that goes on elsewhere",
            [cut.clone(), raw(kind::CONTINUATION, 4, 3, b"")].concat(),
            C::PROTOCOL_ERROR,
        ),
        ("CONTINUATION of nothing", with(raw(kind::CONTINUATION, 4, 1, b"")), C::PROTOCOL_ERROR),
        (
            "a block without end",
            [cut.clone(), raw(kind::CONTINUATION, 0, 1, &[0x82; PAYLOAD]).repeat(5)].concat(),
            C::ENHANCE_YOUR_CALM,
        ),
        ("PRIORITY on 0", raw(kind::PRIORITY, 0, 0, &[0; 5]), C::PROTOCOL_ERROR),
        ("PRIORITY of four bytes", raw(kind::PRIORITY, 0, 1, &[0; 4]), C::FRAME_SIZE_ERROR),
        ("RST_STREAM on 0", word(kind::RST_STREAM, 0, 8), C::PROTOCOL_ERROR),
        ("RST_STREAM on a stream that is not begun", word(kind::RST_STREAM, 1, 8), C::PROTOCOL_ERROR),
        ("RST_STREAM of three bytes", with(raw(kind::RST_STREAM, 0, 1, &[0; 3])), C::FRAME_SIZE_ERROR),
        ("SETTINGS on a stream", raw(kind::SETTINGS, 0, 1, b""), C::PROTOCOL_ERROR),
        ("SETTINGS that do not come out even", raw(kind::SETTINGS, 0, 0, &[0; 5]), C::FRAME_SIZE_ERROR),
        ("an ACK of SETTINGS that says something", raw(kind::SETTINGS, 1, 0, &[0; 6]), C::FRAME_SIZE_ERROR),
        ("a window that is too large", settings_of(setting::INITIAL_WINDOW_SIZE, MOST + 1), C::FLOW_CONTROL_ERROR),
        (
            "one that is too large for a stream",
            [with(word(kind::WINDOW_UPDATE, 1, 1)), settings_of(setting::INITIAL_WINDOW_SIZE, MOST)].concat(),
            C::FLOW_CONTROL_ERROR,
        ),
        ("frames that are too short", settings_of(setting::MAX_FRAME_SIZE, 16_383), C::PROTOCOL_ERROR),
        ("frames that are too long", settings_of(setting::MAX_FRAME_SIZE, 1 << 24), C::PROTOCOL_ERROR),
        ("pushes of 2", settings_of(setting::ENABLE_PUSH, 2), C::PROTOCOL_ERROR),
        ("extended CONNECT of 2", settings_of(setting::ENABLE_CONNECT_PROTOCOL, 2), C::PROTOCOL_ERROR),
        ("PUSH_PROMISE", with(raw(kind::PUSH_PROMISE, 4, 1, &[0, 0, 0, 2])), C::PROTOCOL_ERROR),
        ("PING on a stream", raw(kind::PING, 0, 1, &[0; 8]), C::PROTOCOL_ERROR),
        ("PING of seven bytes", raw(kind::PING, 0, 0, &[0; 7]), C::FRAME_SIZE_ERROR),
        ("GOAWAY on a stream", raw(kind::GOAWAY, 0, 1, &[0; 8]), C::PROTOCOL_ERROR),
        ("GOAWAY of seven bytes", raw(kind::GOAWAY, 0, 0, &[0; 7]), C::FRAME_SIZE_ERROR),
        ("WINDOW_UPDATE of 0", word(kind::WINDOW_UPDATE, 0, 0), C::PROTOCOL_ERROR),
        ("WINDOW_UPDATE of three bytes", raw(kind::WINDOW_UPDATE, 0, 0, &[0; 3]), C::FRAME_SIZE_ERROR),
        ("WINDOW_UPDATE beyond the largest", word(kind::WINDOW_UPDATE, 0, MOST), C::FLOW_CONTROL_ERROR),
        ("WINDOW_UPDATE on a stream that is not begun", word(kind::WINDOW_UPDATE, 1, 1), C::PROTOCOL_ERROR),
    ] {
        for piece in [1, 7, bytes.len()] {
            let mut session = begun(Role::Server);
            bytes.chunks(piece).for_each(|bytes| session.feed(bytes));
            assert_eq!(farewell(&said(&mut session)).map(|(_, code)| code), Some(code), "{what}");
            assert!(session.failed && !session.listens(), "{what}");
        }
    }
    for first in [raw(kind::PING, 0, 0, &[0; 8]), raw(kind::SETTINGS, flag::ACK, 0, b"")] {
        for role in [Role::Server, Role::Client] {
            let mut session = Session::new(role, LIMITS);
            session.feed(if role == Role::Server { PREFACE } else { b"" });
            session.feed(&first);
            assert!(session.failed && !session.is_settled());
        }
    }
    let mut session = Session::new(Role::Server, LIMITS);
    session.feed(b"PRI * HTTP/2.0\r\n\r\nXX");
    assert!(session.failed);
}

#[test]
fn what_a_target_may_not_do_ends_its_connection() {
    use Code as C;
    for (what, bytes, code) in [
        ("a stream of its own", head(2, &[(":status", "200")], true), C::PROTOCOL_ERROR),
        ("one that nobody has begun", head(3, &[(":status", "200")], true), C::PROTOCOL_ERROR),
        ("content on one that nobody has begun", data(3, b"x", true), C::PROTOCOL_ERROR),
        ("a promise", raw(kind::PUSH_PROMISE, 4, 1, &[0, 0, 0, 2]), C::PROTOCOL_ERROR),
        ("pushes", settings(&[(setting::ENABLE_PUSH, 1)]), C::PROTOCOL_ERROR),
    ] {
        let mut session = begun(Role::Client);
        let key = ask(&mut session);
        session.feed(&bytes);
        assert_eq!(farewell(&said(&mut session)), Some((0, code)), "{what}");
        assert_eq!(got(&mut session, key), Poll::Ready(Err(ErrorKind::ConnectionReset)), "{what}");
        session.release(key, C::CANCEL);
        assert!(session.is_over());
    }
}

#[test]
fn what_is_wrong_with_a_stream_ends_it_alone() {
    use Code as C;
    let open = head(1, &GET, false);
    let with = |frame: Vec<u8>| [&open[..], &frame].concat();
    let of_length = [&GET[..], &[("content-length", "3")]].concat();
    let selfish = raw(kind::HEADERS, flag::PRIORITY | 5, 1, &[&[0, 0, 0, 1, 0][..], &block(&GET)].concat());
    for (what, bytes, code) in [
        ("a head without a path", head(1, &GET[..3], true), C::PROTOCOL_ERROR),
        ("one that depends on itself", selfish, C::PROTOCOL_ERROR),
        ("content that is missing", head(1, &of_length, true), C::PROTOCOL_ERROR),
        ("the same later", [head(1, &of_length, false), data(1, b"ab", true)].concat(), C::PROTOCOL_ERROR),
        ("too much of it", [head(1, &of_length, false), data(1, b"abcd", false)].concat(), C::PROTOCOL_ERROR),
        ("trailers that are not the end", with(head(1, &[("x", "y")], false)), C::PROTOCOL_ERROR),
        ("trailers with a pseudo field", with(head(1, &[(":path", "/")], true)), C::PROTOCOL_ERROR),
        ("content behind the end", [head(1, &GET, true), data(1, b"x", false)].concat(), C::STREAM_CLOSED),
        ("a head behind the end", [head(1, &GET, true), head(1, &[("x", "y")], true)].concat(), C::STREAM_CLOSED),
        ("more than its window", with(data(1, &[0; PAYLOAD], false).repeat(5)), C::FLOW_CONTROL_ERROR),
        ("WINDOW_UPDATE of 0", with(word(kind::WINDOW_UPDATE, 1, 0)), C::PROTOCOL_ERROR),
        ("WINDOW_UPDATE beyond the largest", with(word(kind::WINDOW_UPDATE, 1, MOST)), C::FLOW_CONTROL_ERROR),
        (
            "content behind a reset",
            with([word(kind::RST_STREAM, 1, 8), data(1, b"x", true)].concat()),
            C::STREAM_CLOSED,
        ),
    ] {
        for piece in [1, bytes.len()] {
            let mut session = begun(Role::Server);
            bytes.chunks(piece).for_each(|bytes| session.feed(bytes));
            assert_eq!(resets(&said(&mut session)), [(1, code)], "{what}");
            session.feed(&head(3, &GET, true));
            let arrivals: Vec<Arrival> = session.arrivals.drain(..).collect();
            assert_eq!(arrivals.last().map(|arrival| &arrival.text[..3]), Some(&b"GET"[..]), "{what}");
            arrivals.iter().for_each(|arrival| session.release(arrival.key, C::CANCEL));
            assert_eq!(balance(&session), i64::from(LIMITS.connection_window), "{what}");
            assert!(!session.failed && session.streams.len() == 0, "{what}");
        }
    }
}

#[test]
fn frames_on_their_way_to_a_stream_that_we_reset_are_no_fault() {
    let mut session = begun(Role::Server);
    session.feed(&head(1, &GET, false));
    let arrival = session.arrivals.pop_front().unwrap();
    session.reset(arrival.key, Code::CANCEL, Broken::Reset);
    let late = [data(1, b"abc", false), word(kind::WINDOW_UPDATE, 1, 1), head(1, &[("x", "y")], true)].concat();
    session.feed(&late);
    session.release(arrival.key, Code::CANCEL);
    session.feed(&late);
    session.feed(&word(kind::RST_STREAM, 1, 8));
    assert_eq!(resets(&said(&mut session)), [(1, Code::CANCEL)]);
    assert!(!session.failed);
    assert_eq!((session.receive_window, session.owed), (i64::from(LIMITS.connection_window) - 6, 6));
}

#[test]
fn streams_beyond_what_is_allowed_are_refused() {
    let mut session = begun(Role::Server);
    (0..9).for_each(|n| session.feed(&head(1 + 2 * n, &GET, false)));
    assert_eq!(resets(&said(&mut session)), [(17, Code::REFUSED_STREAM)]);
    session.feed(&[data(17, b"x", true), data(1, b"x", true)].concat());
    assert!(said(&mut session).is_empty() && session.arrivals.len() == 8);
    let arrival = session.arrivals.pop_front().unwrap();
    session.release(arrival.key, Code::CANCEL);
    session.feed(&head(19, &GET, true));
    assert_eq!(session.arrivals.len(), 8);
}

#[test]
fn padding_that_nobody_takes_opens_the_window_again() {
    let mut session = begun(Role::Server);
    session.feed(&head(1, &GET, false));
    let padding = raw(kind::DATA, flag::PADDED, 1, &[&[255][..], &[0; 255]].concat());
    let (mut ours, mut all) = (i64::from(LIMITS.stream_window), i64::from(LIMITS.connection_window));
    for _ in 0..2000 {
        assert!(ours >= 256 && all >= 256, "the client may not go on");
        (ours, all) = (ours - 256, all - 256);
        session.feed(&padding);
        for (head, payload) in said(&mut session).iter().filter(|(head, _)| head.kind == kind::WINDOW_UPDATE) {
            *if head.stream == 0 { &mut all } else { &mut ours } += i64::from(number(payload));
        }
    }
    assert!(!session.failed);
}

#[test]
fn content_in_tiny_frames_takes_little_more_room_than_its_own() {
    let mut session = begun(Role::Server);
    session.feed(&head(1, &GET, false));
    let arrival = session.arrivals.pop_front().unwrap();
    session.feed(&data(1, b"x", false).repeat(LIMITS.stream_window as usize / 2));
    let first = session.take(arrival.key).unwrap();
    assert!(first.len() < LIMITS.stream_window as usize / 2 + 32, "{} bytes", first.len());
    session.feed(&data(1, b"y", false).repeat(3));
    session.feed(&head(1, &[("x-sum", "1")], true));
    assert_eq!(session.take(arrival.key).unwrap()[..], *b"00000003\r\nyyy\r\n0\r\nx-sum: 1\r\n\r\n");
}

#[test]
fn interim_answers_that_nobody_reads_are_bounded() {
    let mut session = begun(Role::Client);
    let key = ask(&mut session);
    let interim = head(1, &[(":status", "103"), ("link", &"x".repeat(1000))], false);
    for _ in 0..1000 {
        session.feed(&interim);
    }
    assert_eq!(got(&mut session, key), Poll::Ready(Err(ErrorKind::InvalidData)));
    assert_eq!(resets(&said(&mut session)), [(1, Code::PROTOCOL_ERROR)]);
}

#[test]
fn a_request_that_was_not_looked_at_says_so() {
    let mut session = begun(Role::Client);
    let keys = [ask(&mut session), ask(&mut session), ask(&mut session), session.begin().unwrap()];
    session.feed(&word(kind::RST_STREAM, 3, 7));
    session.feed(&head(1, &[(":status", "103")], false));
    session.feed(&raw(kind::GOAWAY, 0, 0, &[&3u32.to_be_bytes()[..], &[0; 4]].concat()));
    assert_eq!(got(&mut session, keys[0]), Poll::Ready(Ok("HTTP/1.1 103 Early Hints\r\n\r\n".into())));
    for key in &keys[1..] {
        assert_eq!(got(&mut session, *key), Poll::Ready(Err(ErrorKind::ConnectionRefused)));
    }
    assert!(session.begin().is_none());
    // Who has begun to answer has looked at it.
    session.feed(&word(kind::RST_STREAM, 1, 7));
    assert_eq!(got(&mut session, keys[0]), Poll::Ready(Err(ErrorKind::ConnectionReset)));
    keys.iter().for_each(|key| session.release(*key, Code::CANCEL));
    assert!(session.is_over());
}

#[test]
fn a_connection_without_more_numbers_takes_nothing_more() {
    let mut session = begun(Role::Client);
    session.last = MOST - 2;
    let (last, late) = (ask(&mut session), Session::begin(&mut session));
    assert!(late.is_none() && session.closing);
    session.feed(&head(MOST, &[(":status", "204")], true));
    assert!(matches!(got(&mut session, last), Poll::Ready(Ok(_))));
    // One that was begun before and has sent nothing may go elsewhere at once.
    let mut session = begun(Role::Client);
    session.last = MOST - 2;
    let waits = session.begin().unwrap();
    ask(&mut session);
    let refused = session.request(waits, b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n", b"http");
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::ConnectionRefused);
    assert_eq!(got(&mut session, waits), Poll::Ready(Err(ErrorKind::ConnectionRefused)));
}

#[test]
fn an_answer_that_is_complete_is_kept() {
    let post = b"POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 9\r\n\r\n";
    let whole = [head(1, &[(":status", "413"), ("content-length", "2")], false), data(1, b"no", true)].concat();
    let expected = "HTTP/1.1 413 Content Too Large\r\ncontent-length: 2\r\n\r\nno";
    // The server wants no more of the request (RFC 9113 §8.1), or ends the connection.
    let ends: [fn(&mut Session); 3] =
        [|session| session.feed(&word(kind::RST_STREAM, 1, 0)), Session::cut, |session| session.fail(Code::NO_ERROR)];
    for end in ends {
        let mut session = begun(Role::Client);
        let key = session.begin().unwrap();
        session.request(key, post, b"http").unwrap();
        session.feed(&whole);
        end(&mut session);
        assert_eq!(session.content(key, b"late", false).unwrap_err().kind(), ErrorKind::BrokenPipe);
        assert_eq!(got(&mut session, key), Poll::Ready(Ok(expected.into())));
    }
    // A reset of what is over on both sides takes nothing away either.
    let mut session = begun(Role::Client);
    let key = ask(&mut session);
    session.feed(&[whole, word(kind::RST_STREAM, 1, 8)].concat());
    assert_eq!(got(&mut session, key), Poll::Ready(Ok(expected.into())));
}

#[test]
fn a_client_that_resets_its_request_has_left_whatever_the_code() {
    for code in [0, 8] {
        let mut session = begun(Role::Server);
        session.feed(&[head(1, &GET, true), word(kind::RST_STREAM, 1, code)].concat());
        let key = session.arrivals.pop_front().unwrap().key;
        assert!(session.poll_broken(key, &cx()).is_ready());
    }
}

#[test]
fn a_stream_that_is_let_go_of_is_reset_as_it_should_be() {
    let released = |session: &mut Session, key| {
        session.release(key, Code::CANCEL);
        resets(&said(session))
    };
    // A request of which nobody waits for the answer.
    let mut session = begun(Role::Client);
    let key = ask(&mut session);
    assert_eq!(released(&mut session, key), [(1, Code::CANCEL)]);
    // An answer that has all of its content, if not the word that it has.
    let key = ask(&mut session);
    session.feed(&[head(3, &[(":status", "200"), ("content-length", "2")], false), data(3, b"ok", false)].concat());
    assert_eq!(released(&mut session, key), []);
    session.feed(&data(3, b"", true));
    assert!(said(&mut session).is_empty() && !session.failed);
    // An answer before its request was complete.
    let mut session = begun(Role::Server);
    session.feed(&head(1, &GET, false));
    let key = session.arrivals.pop_front().unwrap().key;
    session.respond(key, b"HTTP/1.1 204 No Content\r\n\r\n", false).unwrap();
    assert_eq!(released(&mut session, key), [(1, Code::NO_ERROR)]);
}

#[test]
fn an_end_in_order_lets_go_of_what_came_too_late() {
    let mut session = begun(Role::Server);
    session.feed(&head(1, &GET, false));
    session.announce_end();
    let frames = said(&mut session);
    assert_eq!(farewell(&frames), Some((MOST, Code::NO_ERROR)));
    session.feed(&head(3, &GET, true));
    // What the client had begun comes behind the answer that says that it has heard.
    session.feed(&[raw(kind::PING, flag::ACK, 0, &frames[1].1), head(5, &GET, true)].concat());
    assert!(session.sweep(coarse_now()) && said(&mut session).is_empty());
    session.sweep(coarse_now() + FLUSH);
    assert_eq!(farewell(&said(&mut session)), Some((5, Code::NO_ERROR)));
    // RFC 9113 §6.8: such frames change nothing but the connection's window.
    session.feed(&[head(7, &GET, false), data(7, b"late", true), word(kind::RST_STREAM, 7, 8)].concat());
    session.feed(&[head(9, &GET, false), word(kind::WINDOW_UPDATE, 9, 9), head(9, &[("x", "y")], true)].concat());
    assert!(said(&mut session).is_empty() && !session.failed && session.owed == 4);
    assert_eq!(session.arrivals.len(), 3);
    while let Some(arrival) = session.arrivals.pop_front() {
        assert!(!session.is_over());
        session.release(arrival.key, Code::CANCEL);
    }
    assert!(session.is_over());
}

/// Counts how often somebody is woken.
#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn whoever_moves_the_bytes_learns_that_the_last_stream_has_gone() {
    let ends: [fn(&mut Session); 2] = [Session::close, |session| session.fail(Code::NO_ERROR)];
    for end in ends {
        let mut session = begun(Role::Client);
        let key = ask(&mut session);
        session.feed(&head(1, &[(":status", "204")], true));
        end(&mut session);
        said(&mut session);
        assert!(!session.is_over());
        let wakes = Arc::new(Wakes::default());
        session.driven_by(&Context::from_waker(&Waker::from(wakes.clone())));
        session.release(key, Code::CANCEL);
        assert!(session.is_over() && wakes.0.load(Ordering::Relaxed) > 0);
    }
}

#[test]
fn a_window_may_shrink_below_what_was_used() {
    let mut session = begun(Role::Client);
    let key = session.begin().unwrap();
    let post = b"POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(session.request(key, post, b"http").unwrap().1, Some(Content::Chunked));
    assert_eq!(session.content(key, &[0; 40_000], false).unwrap(), 40_000);
    session.feed(&settings(&[(setting::INITIAL_WINDOW_SIZE, 100)]));
    assert_eq!(session.content(key, b"x", false).unwrap(), 0);
    let wakes = Arc::new(Wakes::default());
    let waker = Waker::from(wakes.clone());
    assert!(session.poll_room(key, &Context::from_waker(&waker)).is_pending());
    session.feed(&word(kind::WINDOW_UPDATE, 1, 39_900));
    assert_eq!(wakes.0.load(Ordering::Relaxed), 0);
    session.feed(&word(kind::WINDOW_UPDATE, 1, 3));
    assert_eq!(wakes.0.load(Ordering::Relaxed), 1);
    assert_eq!(session.content(key, b"abcd", true).unwrap(), 3);
    assert_eq!(session.content(key, b"", true).unwrap(), 0);
    assert!(session.content(key, b"x", true).is_err());
}

#[test]
fn a_stream_that_leaves_stands_in_line_no_more() {
    let mut session = begun(Role::Server);
    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n";
    for n in 0..100 {
        session.feed(&head(1 + 2 * n, &GET, true));
        let key = session.arrivals.pop_front().unwrap().key;
        session.respond(key, answer, false).unwrap();
        // The first one uses up the window of them all, which the client never raises.
        session.content(key, &[0; 65_535], false).unwrap();
        assert!(session.poll_room(key, &cx()).is_pending());
        session.release(key, Code::CANCEL);
        assert!(session.line.is_empty());
        said(&mut session);
    }
}

#[test]
fn a_tunnel_that_waited_for_the_first_settings_goes_on_whatever_its_window() {
    let mut session = Session::new(Role::Client, LIMITS);
    let key = session.begin().unwrap();
    let text =
        b"GET / HTTP/1.1\r\nHost: a.test\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    assert_eq!(session.request(key, text, b"http").unwrap_err().kind(), ErrorKind::WouldBlock);
    assert!(session.poll_room(key, &cx()).is_pending());
    session.feed(&settings(&[(setting::ENABLE_CONNECT_PROTOCOL, 1), (setting::INITIAL_WINDOW_SIZE, 0)]));
    assert!(session.poll_room(key, &cx()).is_ready());
    assert_eq!(session.request(key, text, b"http").unwrap().1, Some(Content::Tunnel));
    // Where there are none it fails, and so does the wait for its answer.
    let mut session = begun(Role::Client);
    let key = session.begin().unwrap();
    assert_eq!(session.request(key, text, b"http").unwrap_err().kind(), ErrorKind::Other);
    assert_eq!(got(&mut session, key), Poll::Ready(Err(ErrorKind::ConnectionReset)));
}
