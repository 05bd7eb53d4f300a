//! Sessions without sockets: frames go in and come out, and two of them talk to each other.

use super::PREFACE;
use super::frame::{self, Code, HEAD, Head, flag, kind};
use super::hpack::push_field;
use super::session::{Limits, Role, Session};
use super::streams::Key;
use std::io::ErrorKind;
use std::task::{Context, Poll, Waker};

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
