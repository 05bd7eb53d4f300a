//! What comes from the peer: frames out of bytes, and what each of them does (RFC 9113 §4–§6).
//!
//! What always holds: every field block is decoded, whatever becomes of its stream, as the next one may refer to it; an
//! `Err` ends the connection, and what is wrong with one stream ends that stream alone.

use super::PREFACE;
use super::frame::{self, Code, HEAD, Head, MOST, PAYLOAD, flag, kind, setting};
use super::head::{Malformed, RequestText, ResponseText, TrailerText, Written};
use super::session::{Arrival, Farewell, LAST_PING, Role, Session};
use super::streams::{Broken, Key, Stream};
use crate::http::h1::{CHUNK_END, push_last_chunk};
use crate::net::{Lease, coarse_now};
use crate::observe::reason::Flood;
use std::time::Duration;

/// How far the bytes have been read.
pub(super) struct Reading {
    state: State,
    /// What has come of a frame's head or payload.
    partial: Vec<u8>,
    /// Whether the peer's first SETTINGS have come.
    settled: bool,
    /// A field block whose end has not come.
    block: Option<Block>,
}

enum State {
    /// So much of the preface has come.
    Preface(usize),
    Head,
    Payload(Head),
    /// Content, which goes on as it comes: for this stream, so many bytes, and whether they are its last.
    Content(Option<Key>, usize, bool),
}

struct Block {
    stream: u32,
    ends: bool,
    /// Whether the stream depends on itself.
    selfish: bool,
    bytes: Vec<u8>,
    since: Duration,
}

/// What is kept of the room for reading heads.
const SPARE: usize = 4 << 10;
/// The longest field block, in heads of the allowed length: what is longer than that as text is refused with a status.
const BLOCK: usize = 4;

/// The line before a chunk, whose size is not known yet. No window has more digits.
const CHUNK_SIZE: &[u8] = b"00000000\r\n";

impl Reading {
    pub(super) fn new(role: Role) -> Self {
        let state = if role == Role::Server { State::Preface(0) } else { State::Head };
        Self { state, partial: Vec::new(), settled: false, block: None }
    }

    /// Since when a field block has been coming whose end has not come.
    pub(super) fn block_since(&self) -> Option<Duration> {
        self.block.as_ref().map(|block| block.since)
    }

    /// Whether the peer has said what it allows.
    pub(super) fn is_settled(&self) -> bool {
        self.settled
    }
}

/// Takes `bytes`.
pub(super) fn feed(session: &mut Session, mut bytes: &[u8]) -> Result<(), Code> {
    // What it provokes may be too much in the middle of it.
    while !session.failed {
        match session.reading.state {
            State::Preface(seen) => {
                let rest = &PREFACE[seen..];
                let count = rest.len().min(bytes.len());
                if bytes[..count] != rest[..count] {
                    return Err(Code::PROTOCOL_ERROR);
                }
                bytes = &bytes[count..];
                session.reading.state = if count == rest.len() { State::Head } else { State::Preface(seen + count) };
                if count < rest.len() {
                    return Ok(());
                }
            }
            State::Head => {
                let head = match bytes.split_first_chunk::<HEAD>() {
                    Some((head, rest)) if session.reading.partial.is_empty() => {
                        bytes = rest;
                        Head::read(head)
                    }
                    _ => {
                        if !gather(session, &mut bytes, HEAD) {
                            return Ok(());
                        }
                        let partial = std::mem::take(&mut session.reading.partial);
                        let Some(head) = partial.first_chunk() else { return Err(Code::INTERNAL_ERROR) };
                        Head::read(head)
                    }
                };
                session.reading.state = begin(session, head)?;
            }
            State::Payload(head) => {
                if session.reading.partial.is_empty() && bytes.len() >= head.length {
                    let (payload, rest) = bytes.split_at(head.length);
                    bytes = rest;
                    session.reading.state = State::Head;
                    take(session, head, payload)?;
                } else {
                    if !gather(session, &mut bytes, head.length) {
                        return Ok(());
                    }
                    let payload = std::mem::take(&mut session.reading.partial);
                    session.reading.state = State::Head;
                    take(session, head, &payload)?;
                }
            }
            State::Content(key, left, ends) => {
                let (piece, rest) = bytes.split_at(left.min(bytes.len()));
                bytes = rest;
                let left = left - piece.len();
                session.reading.state = if left == 0 { State::Head } else { State::Content(key, left, ends) };
                content(session, key, piece);
                if left == 0 && ends {
                    end(session, key, b"");
                }
                if left > 0 {
                    return Ok(());
                }
            }
        }
        if bytes.is_empty()
            && !matches!(session.reading.state, State::Payload(Head { length: 0, .. }) | State::Content(_, 0, _))
        {
            return Ok(());
        }
    }
    Ok(())
}

/// Moves bytes to what has come of a frame until that is `length` long. Whether it is.
fn gather(session: &mut Session, bytes: &mut &[u8], length: usize) -> bool {
    let partial = &mut session.reading.partial;
    let (more, rest) = bytes.split_at((length - partial.len()).min(bytes.len()));
    partial.extend_from_slice(more);
    *bytes = rest;
    partial.len() == length
}

/// Looks at a frame's head. Content goes on as it comes, all else is taken when it is whole.
fn begin(session: &mut Session, head: Head) -> Result<State, Code> {
    if head.length > PAYLOAD {
        return Err(Code::FRAME_SIZE_ERROR);
    }
    session.count(head)?;
    // RFC 9113 §3.4.
    if !session.reading.settled && (head.kind != kind::SETTINGS || head.has(flag::ACK)) {
        return Err(Code::PROTOCOL_ERROR);
    }
    // RFC 9113 §6.10.
    let within = session.reading.block.as_ref().map(|block| block.stream);
    if within.is_some_and(|stream| head.kind != kind::CONTINUATION || head.stream != stream) {
        return Err(Code::PROTOCOL_ERROR);
    }
    if head.kind != kind::DATA || head.has(flag::PADDED) {
        return Ok(State::Payload(head));
    }
    let key = admit(session, head)?;
    Ok(State::Content(key, head.length, head.has(flag::END_STREAM)))
}

/// Takes a frame that is whole.
fn take(session: &mut Session, head: Head, payload: &[u8]) -> Result<(), Code> {
    match head.kind {
        kind::DATA => {
            let key = admit(session, head)?;
            let piece = unpadded(head, payload)?;
            let padding = (payload.len() - piece.len()) as u32;
            match key {
                Some(key) => {
                    // Padding is never held.
                    session.gone_on(key, padding);
                    content(session, Some(key), piece);
                    if head.has(flag::END_STREAM) {
                        end(session, Some(key), b"");
                    }
                }
                None => session.repay(payload.len() as u32),
            }
            Ok(())
        }
        kind::HEADERS => headers(session, head, payload),
        kind::PRIORITY => {
            let [dependency @ .., _] = payload else { return Err(Code::FRAME_SIZE_ERROR) };
            let Ok(dependency) = <[u8; 4]>::try_from(dependency) else { return Err(Code::FRAME_SIZE_ERROR) };
            if head.stream == 0 || u32::from_be_bytes(dependency) & MOST == head.stream {
                return Err(Code::PROTOCOL_ERROR);
            }
            Ok(())
        }
        kind::RST_STREAM => {
            let code = Code(word(payload)?);
            if is_idle(session, head.stream) {
                return Err(Code::PROTOCOL_ERROR);
            }
            if let Some(key) = session.streams.find(head.stream)
                && let Some(stream) = session.streams.get(key)
            {
                if code == Code::NO_ERROR && stream.received && session.role == Role::Client {
                    // RFC 9113 §8.1.
                    stream.send_no_more();
                } else if !stream.is_over() {
                    stream.by_peer = true;
                    stream.break_off(Broken::by(code));
                }
                session.serve_line();
            }
            Ok(())
        }
        kind::SETTINGS => settings(session, head, payload),
        kind::PING => {
            let Ok(opaque) = <[u8; 8]>::try_from(payload) else { return Err(Code::FRAME_SIZE_ERROR) };
            match head {
                Head { stream: 1.., .. } => return Err(Code::PROTOCOL_ERROR),
                _ if !head.has(flag::ACK) => frame::push_ping(session.output.buffer(), flag::ACK, opaque),
                _ if opaque == LAST_PING => session.heard_farewell(),
                _ => {}
            }
            Ok(())
        }
        kind::GOAWAY => {
            let Some(last) = payload.get(..8).and_then(<[u8]>::first_chunk) else { return Err(Code::FRAME_SIZE_ERROR) };
            if head.stream != 0 {
                return Err(Code::PROTOCOL_ERROR);
            }
            session.closing = true;
            if session.role == Role::Client {
                let last = u32::from_be_bytes(*last) & MOST;
                let unseen = |stream: &&mut Stream| stream.id == 0 || stream.id > last;
                session.streams.each().filter(unseen).for_each(|stream| stream.break_off(Broken::Unseen));
            }
            Ok(())
        }
        kind::WINDOW_UPDATE => window_update(session, head, payload),
        kind::CONTINUATION => {
            let Some(mut block) = session.reading.block.take() else { return Err(Code::PROTOCOL_ERROR) };
            if block.bytes.len() + payload.len() > BLOCK * session.limits.head.max(PAYLOAD) {
                return Err(session.calm(Flood::Continuation));
            }
            block.bytes.extend_from_slice(payload);
            if head.has(flag::END_HEADERS) {
                return section(session, block.stream, block.ends, block.selfish, &block.bytes);
            }
            session.reading.block = Some(block);
            Ok(())
        }
        // We never allowed it (RFC 9113 §8.4).
        kind::PUSH_PROMISE => Err(Code::PROTOCOL_ERROR),
        // RFC 9113 §5.5.
        _ => Ok(()),
    }
}

fn word(payload: &[u8]) -> Result<u32, Code> {
    payload.try_into().map(u32::from_be_bytes).map_err(|_| Code::FRAME_SIZE_ERROR)
}

/// The payload without its padding (RFC 9113 §6.1).
fn unpadded(head: Head, payload: &[u8]) -> Result<&[u8], Code> {
    if !head.has(flag::PADDED) {
        return Ok(payload);
    }
    let (&padding, rest) = payload.split_first().ok_or(Code::FRAME_SIZE_ERROR)?;
    let length = rest.len().checked_sub(padding.into()).ok_or(Code::PROTOCOL_ERROR)?;
    Ok(&rest[..length])
}

/// Whether no stream of that number has been begun (RFC 9113 §5.1.1).
fn is_idle(session: &Session, stream: u32) -> bool {
    stream == 0 || stream.is_multiple_of(2) || stream > session.last && session.farewell < Farewell::Said
}

/// Counts the content of a frame against the windows, and finds the stream that it is for; none if it is for nobody.
fn admit(session: &mut Session, head: Head) -> Result<Option<Key>, Code> {
    let length = head.length as i64;
    session.receive_window -= length;
    if session.receive_window < 0 {
        return Err(Code::FLOW_CONTROL_ERROR);
    }
    session.repay(0);
    if is_idle(session, head.stream) {
        return Err(Code::PROTOCOL_ERROR);
    }
    let key = session.streams.find(head.stream);
    let Some((key, stream)) = key.and_then(|key| Some((key, session.streams.get(key)?))) else {
        // What was on its way when we ended the stream is no fault.
        let unwanted = head.stream > session.last;
        if !unwanted && session.streams.has_ended(head.stream) != Some(true) {
            refuse(session, head.stream, Code::STREAM_CLOSED);
        }
        return Ok(None);
    };
    if stream.broken.is_some() {
        if stream.by_peer {
            refuse(session, head.stream, Code::STREAM_CLOSED);
        }
        return Ok(None);
    }
    stream.receive_window -= length;
    if stream.received {
        provoke(session, key, Code::STREAM_CLOSED);
        return Ok(None);
    }
    if !stream.headed {
        provoke(session, key, Code::PROTOCOL_ERROR);
        return Ok(None);
    }
    if stream.receive_window < 0 {
        provoke(session, key, Code::FLOW_CONTROL_ERROR);
        return Ok(None);
    }
    Ok(Some(key))
}

/// Ends the stream at `key` for what the peer did on it.
fn provoke(session: &mut Session, key: Key, code: Code) {
    session.provoked();
    session.reset(key, code, Broken::Malformed);
}

/// Ends a stream that nobody holds.
fn refuse(session: &mut Session, stream: u32, code: Code) {
    // One too many may have been begun before the client knew how many it may have.
    if code != Code::REFUSED_STREAM {
        session.provoked();
    }
    frame::push_word(session.output.buffer(), kind::RST_STREAM, stream, code.0);
}

/// Content for the stream at `key`, or for nobody.
fn content(session: &mut Session, key: Option<Key>, piece: &[u8]) {
    let open = key.and_then(|key| Some((key, session.streams.get(key).filter(|stream| stream.broken.is_none())?)));
    let Some((key, stream)) = open else { return session.repay(piece.len() as u32) };
    if piece.is_empty() {
        return;
    }
    let left = stream.expected.map(|left| left.checked_sub(piece.len() as u64));
    if left == Some(None) {
        session.repay(piece.len() as u32);
        return provoke(session, key, Code::PROTOCOL_ERROR);
    }
    stream.expected = left.flatten();
    stream.held += piece.len() as u32;
    stream.inbox.reserve(CHUNK_SIZE.len() + piece.len() + CHUNK_END.len());
    let out = stream.inbox.buffer();
    if stream.chunked {
        // All that nobody has taken yet is one chunk: content in tiny frames must not take many times its room.
        match stream.chunk {
            0 => out.extend_from_slice(CHUNK_SIZE),
            _ => out.truncate(out.len() - CHUNK_END.len()),
        }
        out.extend_from_slice(piece);
        stream.chunk += piece.len();
        let at = out.len() - stream.chunk - CHUNK_SIZE.len();
        let digits = [28, 24, 20, 16, 12, 8, 4, 0].map(|shift| b"0123456789abcdef"[stream.chunk >> shift & 15]);
        out[at..at + digits.len()].copy_from_slice(&digits);
        out.extend_from_slice(CHUNK_END);
    } else {
        out.extend_from_slice(piece);
    }
    stream.wake_reader();
}

/// The end of what the peer says on the stream at `key`, with these lines of trailers.
fn end(session: &mut Session, key: Option<Key>, trailers: &[u8]) {
    let open = key.and_then(|key| Some((key, session.streams.get(key).filter(|stream| stream.broken.is_none())?)));
    let Some((key, stream)) = open else { return };
    if stream.expected.is_some_and(|left| left > 0) {
        return provoke(session, key, Code::PROTOCOL_ERROR);
    }
    if stream.chunked {
        push_last_chunk(stream.inbox.buffer(), trailers);
    }
    stream.received = true;
    stream.wake_reader();
}

/// HEADERS (RFC 9113 §6.2).
fn headers(session: &mut Session, head: Head, payload: &[u8]) -> Result<(), Code> {
    if head.stream == 0 || head.stream.is_multiple_of(2) {
        return Err(Code::PROTOCOL_ERROR);
    }
    let mut block = unpadded(head, payload)?;
    let mut selfish = false;
    if head.has(flag::PRIORITY) {
        let Some((dependency, [_, rest @ ..])) = block.split_first_chunk() else { return Err(Code::FRAME_SIZE_ERROR) };
        // RFC 7540 §5.3.1, which RFC 9113 §5.3.2 leaves to us.
        selfish = u32::from_be_bytes(*dependency) & MOST == head.stream;
        block = rest;
    }
    let (stream, ends) = (head.stream, head.has(flag::END_STREAM));
    if head.has(flag::END_HEADERS) {
        return section(session, stream, ends, selfish, block);
    }
    session.reading.block = Some(Block { stream, ends, selfish, bytes: block.to_vec(), since: coarse_now() });
    Ok(())
}

/// A field section that is whole: a head, or trailers.
fn section(session: &mut Session, id: u32, ends: bool, selfish: bool, block: &[u8]) -> Result<(), Code> {
    if let Some(key) = session.streams.find(id) {
        return known(session, key, ends, selfish, block);
    }
    if session.farewell == Farewell::Said && id > session.last {
        // RFC 9113 §6.8: the client knows that it comes to nothing.
        return ignore(session, block);
    }
    if !is_idle(session, id) || session.role == Role::Client {
        ignore(session, block)?;
        return match session.streams.has_ended(id) {
            // It was on its way when we ended the stream.
            Some(true) => Ok(()),
            Some(false) => Err(Code::STREAM_CLOSED),
            None => Err(Code::PROTOCOL_ERROR),
        };
    }
    session.last = id;
    if session.streams.len() >= session.limits.streams as usize {
        ignore(session, block)?;
        refuse(session, id, Code::REFUSED_STREAM);
        session.streams.remember(id, true);
        return Ok(());
    }
    let mut text = Lease::new();
    let limits = session.limits;
    let mut request = RequestText::new(text.buffer(), limits.head, limits.websockets, &mut session.spare);
    let read = session.decoder.decode(block, |name, value| request.field(name, value));
    read.map_err(|_| Code::COMPRESSION_ERROR)?;
    let finished = request.finish(ends);
    if session.spare.capacity() > SPARE {
        session.spare = Vec::new();
    }
    match finished {
        Ok(written) if !selfish => {
            let Written { chunked, length, to_head, .. } = written;
            let key = session.streams.add(Stream {
                id,
                receive_window: limits.stream_window.into(),
                send_window: session.first_window.into(),
                expected: length,
                chunked,
                headed: true,
                received: ends,
                ..Stream::default()
            });
            session.arrivals.push_back(Arrival { key, text, to_head });
        }
        _ => {
            session.malformed += 1;
            refuse(session, id, Code::PROTOCOL_ERROR);
            session.streams.remember(id, true);
        }
    }
    Ok(())
}

/// Decodes a block that nobody reads.
fn ignore(session: &mut Session, block: &[u8]) -> Result<(), Code> {
    session.decoder.decode(block, |_, _| {}).map_err(|_| Code::COMPRESSION_ERROR)
}

/// A field section on a stream that there is.
fn known(session: &mut Session, key: Key, ends: bool, selfish: bool, block: &[u8]) -> Result<(), Code> {
    let Some(stream) = session.streams.get(key) else { return ignore(session, block) };
    if stream.received || stream.broken.is_some() {
        let (id, open, by_peer) = (stream.id, stream.broken.is_none(), stream.by_peer);
        ignore(session, block)?;
        if open {
            provoke(session, key, Code::STREAM_CLOSED);
        } else if by_peer {
            refuse(session, id, Code::STREAM_CLOSED);
        }
        return Ok(());
    }
    let read = if stream.headed {
        let (mut lines, limit) = (Vec::new(), session.limits.head);
        let mut trailers = TrailerText::new(&mut lines, limit);
        let read = session.decoder.decode(block, |name, value| trailers.field(name, value));
        read.map_err(|_| Code::COMPRESSION_ERROR)?;
        match trailers.finish() {
            Ok(()) if ends && !selfish => {
                end(session, Some(key), &lines);
                Ok(())
            }
            _ => Err(Malformed),
        }
    } else {
        answer(session, key, ends, block)?
    };
    if read.is_err() {
        provoke(session, key, Code::PROTOCOL_ERROR);
    }
    Ok(())
}

/// The head of an answer, interim or final.
fn answer(session: &mut Session, key: Key, ends: bool, block: &[u8]) -> Result<Result<(), Malformed>, Code> {
    let Some(stream) = session.streams.get(key) else { return Ok(Err(Malformed)) };
    stream.inbox.reserve(1024);
    // Interim answers that nobody has taken count too: no window bounds how many come.
    let mut response = ResponseText::new(stream.inbox.buffer(), session.limits.head, &stream.asked);
    let read = session.decoder.decode(block, |name, value| response.field(name, value));
    read.map_err(|_| Code::COMPRESSION_ERROR)?;
    let Ok(Written { chunked, length, interim, .. }) = response.finish(ends) else { return Ok(Err(Malformed)) };
    stream.answered = true;
    if !interim {
        (stream.headed, stream.chunked, stream.expected, stream.received) = (true, chunked, length, ends);
    }
    stream.wake_reader();
    Ok(Ok(()))
}

/// SETTINGS (RFC 9113 §6.5).
fn settings(session: &mut Session, head: Head, payload: &[u8]) -> Result<(), Code> {
    if head.stream != 0 {
        return Err(Code::PROTOCOL_ERROR);
    }
    if head.has(flag::ACK) {
        return if payload.is_empty() { Ok(()) } else { Err(Code::FRAME_SIZE_ERROR) };
    }
    let (settings, []) = payload.as_chunks::<6>() else { return Err(Code::FRAME_SIZE_ERROR) };
    for &[a, b, c, d, e, f] in settings {
        let value = u32::from_be_bytes([c, d, e, f]);
        match u16::from_be_bytes([a, b]) {
            setting::ENABLE_PUSH if value > u32::from(session.role == Role::Server) => {
                return Err(Code::PROTOCOL_ERROR);
            }
            setting::ENABLE_CONNECT_PROTOCOL if value > 1 => return Err(Code::PROTOCOL_ERROR),
            setting::ENABLE_CONNECT_PROTOCOL => session.peer_connects = value == 1,
            setting::MAX_FRAME_SIZE if !(PAYLOAD..1 << 24).contains(&(value as usize)) => {
                return Err(Code::PROTOCOL_ERROR);
            }
            setting::MAX_CONCURRENT_STREAMS => session.peer_streams = value,
            setting::INITIAL_WINDOW_SIZE => {
                if value > MOST {
                    return Err(Code::FLOW_CONTROL_ERROR);
                }
                let change = i64::from(value) - i64::from(session.first_window);
                session.first_window = value;
                for stream in session.streams.each() {
                    stream.send_window += change;
                    if stream.send_window > MOST.into() {
                        return Err(Code::FLOW_CONTROL_ERROR);
                    }
                }
            }
            _ => {}
        }
    }
    session.reading.settled = true;
    frame::push_head(session.output.buffer(), 0, kind::SETTINGS, flag::ACK, 0);
    session.serve_line();
    Ok(())
}

/// WINDOW_UPDATE (RFC 9113 §6.9).
fn window_update(session: &mut Session, head: Head, payload: &[u8]) -> Result<(), Code> {
    let more = i64::from(word(payload)? & MOST);
    if head.stream == 0 {
        if more == 0 {
            return Err(Code::PROTOCOL_ERROR);
        }
        session.send_window += more;
        if session.send_window > MOST.into() {
            return Err(Code::FLOW_CONTROL_ERROR);
        }
    } else {
        if is_idle(session, head.stream) {
            return Err(Code::PROTOCOL_ERROR);
        }
        let Some(key) = session.streams.find(head.stream) else { return Ok(()) };
        let Some(stream) = session.streams.get(key) else { return Ok(()) };
        stream.send_window += more;
        if more == 0 {
            provoke(session, key, Code::PROTOCOL_ERROR);
        } else if stream.send_window > MOST.into() {
            provoke(session, key, Code::FLOW_CONTROL_ERROR);
        }
    }
    session.serve_line();
    Ok(())
}
