//! What goes to the peer: heads and content out of text, and whose turn it is.
//!
//! What always holds: no more goes out than the peer's windows and [`ROOM`] allow, and streams that wait for room get it in
//! turn.

use super::fields::{Content, push_request, push_response, push_trailers};
use super::frame::{self, HEAD, MOST, PAYLOAD, flag, kind};
use super::hpack::NO_TABLE;
use super::session::{ROOM, Session};
use super::streams::{Broken, Key};
use std::io::{self, ErrorKind};
use std::task::{Context, Poll};

/// What one stream may add while others wait.
const TURN: usize = PAYLOAD;

impl Session {
    /// Sends the head of an answer, which stands at the beginning of `text`. Returns its length, and what follows it;
    /// `None`: another head does.
    pub(super) fn respond(&mut self, key: Key, text: &[u8], to_head: bool) -> io::Result<(usize, Option<Content>)> {
        let id = self.open(key)?.id;
        let at = self.begin_block();
        let Some((status, content, length)) = push_response(text, to_head, self.output.buffer()) else {
            self.drop_block(at);
            return Err(io::Error::other("an answer without a head"));
        };
        let interim = status < 200 && content != Content::Tunnel;
        let ends = !interim && content == Content::None;
        self.close_block(at, key, ends, id);
        Ok((length, Some(content).filter(|_| !interim)))
    }

    /// Sends the head of a request, which stands at the beginning of `text`, as [`Session::respond`] does. Fails with
    /// `ConnectionRefused` if the server takes no more, with `WouldBlock` if it is not known yet whether it takes this one.
    pub(super) fn request(&mut self, key: Key, text: &[u8], scheme: &[u8]) -> io::Result<(usize, Option<Content>)> {
        let closing = self.closing;
        let stream = self.open(key)?;
        if closing {
            stream.break_off(Broken::Unseen);
            return Err(Broken::Unseen.error());
        }
        let id = if self.last == 0 { 1 } else { self.last + 2 };
        let at = self.begin_block();
        let Some((content, length, asked)) = push_request(text, scheme, self.output.buffer()) else {
            self.drop_block(at);
            return Err(io::Error::other("a request without a head"));
        };
        // RFC 8441 §3.
        if content == Content::Tunnel && !self.peer_connects {
            self.drop_block(at);
            if !self.is_settled() {
                return Err(ErrorKind::WouldBlock.into());
            }
            // Nobody is to wait for the answer: nothing was asked.
            if let Some(stream) = self.streams.get(key) {
                stream.break_off(Broken::Reset);
            }
            return Err(io::Error::other("no tunnels"));
        }
        self.last = id;
        self.streams.number(key, id);
        if let Some(stream) = self.streams.get(key) {
            stream.asked = asked;
        }
        self.close_block(at, key, content == Content::None, id);
        if id >= MOST - 1 {
            // RFC 9113 §5.1.1: there are no more numbers.
            self.close();
        }
        Ok((length, Some(content)))
    }

    /// Sends trailers, and the end.
    pub(super) fn trailers(&mut self, key: Key, lines: &[u8]) -> io::Result<()> {
        let id = self.open(key)?.id;
        let at = self.begin_block();
        let begun = self.output.len();
        push_trailers(lines, self.output.buffer());
        if self.output.len() == begun {
            self.drop_block(at);
            return self.content(key, b"", true).map(drop);
        }
        self.close_block(at, key, true, id);
        Ok(())
    }

    /// Leaves the place of a frame's head. Returns where.
    fn begin_block(&mut self) -> usize {
        let at = self.output.len();
        self.output.reserve(1024);
        let out = self.output.buffer();
        out.extend_from_slice(&[0; HEAD]);
        if !self.tableless {
            out.push(NO_TABLE);
        }
        at
    }

    fn drop_block(&mut self, at: usize) {
        self.output.truncate(at);
    }

    fn close_block(&mut self, at: usize, key: Key, ends: bool, id: u32) {
        self.tableless = true;
        // Where the unread part begins the frames do too.
        let begin = self.output.buffer().len() - self.output.len();
        frame::close_block(self.output.buffer(), begin + at, if ends { flag::END_STREAM } else { 0 }, id);
        self.sent(key, ends);
    }

    fn sent(&mut self, key: Key, ends: bool) {
        if ends && let Some(stream) = self.streams.get(key) {
            stream.sent = true;
        }
        self.wake_driver();
    }

    /// How many bytes of content the stream at `key` may send now.
    fn room(&mut self, key: Key) -> io::Result<usize> {
        let windows = self.open(key)?.send_window.min(self.send_window);
        let room = usize::try_from(windows).unwrap_or(0).min(ROOM.saturating_sub(self.output.len()));
        Ok(if self.line.is_empty() { room } else { room.min(TURN) })
    }

    /// Sends as much of `content` as there is room for, and the end behind all of it if it `ends`. Returns how much.
    pub(super) fn content(&mut self, key: Key, content: &[u8], ends: bool) -> io::Result<usize> {
        let room = if content.is_empty() { 0 } else { self.room(key)? };
        let (now, later) = content.split_at(room.min(content.len()));
        let ends = ends && later.is_empty();
        if now.is_empty() && !ends {
            return Ok(0);
        }
        let stream = self.open(key)?;
        stream.send_window -= now.len() as i64;
        let id = stream.id;
        self.send_window -= now.len() as i64;
        self.output.reserve(now.len() + now.len().div_ceil(PAYLOAD).max(1) * HEAD);
        let out = self.output.buffer();
        let mut rest = now;
        while !rest.is_empty() {
            let (piece, more) = rest.split_at(rest.len().min(PAYLOAD));
            let flags = if ends && more.is_empty() { flag::END_STREAM } else { 0 };
            frame::push_head(out, piece.len(), kind::DATA, flags, id);
            out.extend_from_slice(piece);
            rest = more;
        }
        if now.is_empty() {
            frame::push_head(out, 0, kind::DATA, flag::END_STREAM, id);
        }
        self.sent(key, ends);
        Ok(now.len())
    }

    /// Waits until the stream at `key` may send content.
    pub(super) fn poll_room(&mut self, key: Key, cx: &Context<'_>) -> Poll<io::Result<()>> {
        match self.room(key) {
            Ok(room) if room > 0 && self.line.is_empty() && self.is_settled() => return Poll::Ready(Ok(())),
            Err(error) => return Poll::Ready(Err(error)),
            Ok(_) => {}
        }
        let Some(stream) = self.streams.get(key) else { return Poll::Pending };
        stream.wait_to_write(cx);
        if !std::mem::replace(&mut stream.in_line, true) {
            self.line.push_back(key);
        }
        self.serve_line();
        match self.streams.get(key) {
            Some(stream) if !stream.in_line => Poll::Ready(Ok(())),
            _ => Poll::Pending,
        }
    }

    /// Wakes those who are first in line, for as much room as there is.
    pub(super) fn serve_line(&mut self) {
        if self.line.is_empty() || !self.is_settled() {
            return;
        }
        let mut room = usize::try_from(self.send_window).unwrap_or(0).min(ROOM.saturating_sub(self.output.len()));
        for _ in 0..self.line.len() {
            if room == 0 {
                return;
            }
            let Some(key) = self.line.pop_front() else { return };
            let Some(stream) = self.streams.get(key).filter(|stream| stream.in_line) else { continue };
            // One without a number waits for something else than its window.
            if stream.send_window > 0 || stream.id == 0 || stream.broken.is_some() {
                stream.in_line = false;
                stream.wake_writer();
                room = room.saturating_sub(TURN);
            } else {
                self.line.push_back(key);
            }
        }
    }
}
