//! HTTP/2 in clear, by prior knowledge, as far as a target needs it whose answer is always the same: nothing is read of a request
//! but where it ends, so that no header is decoded.

use anyhow::{Result, ensure};
use std::collections::VecDeque;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Length, kind, flags and stream.
const HEAD: usize = 9;
/// Longest payload, by the protocol's default, which we leave as it is.
const LONGEST: usize = 16 << 10;
/// Bytes that a connection may be sent before its peer says otherwise.
const WINDOW: i64 = 65_535;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;

const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

const INITIAL_WINDOW_SIZE: u16 = 4;

/// `:status: 200` and `content-length: 128`, by their places in HPACK's static table.
const FIELDS: [u8; 7] = [0x88, 0x0f, 0x0d, 3, b'1', b'2', b'8'];
/// The answer's body.
const BODY: [u8; 128] = [b'x'; 128];

/// One connection's state.
#[derive(Debug)]
pub struct Http2 {
    input: Vec<u8>,
    greeted: bool,
    window: i64,
    /// A stream whose request is whole but for the rest of its header.
    unfinished: Option<u32>,
    /// Streams whose answers are due, in order.
    due: VecDeque<u32>,
}

impl Http2 {
    /// Before the first byte.
    pub fn new() -> Self {
        Self { input: Vec::new(), greeted: false, window: WINDOW, unfinished: None, due: VecDeque::new() }
    }

    /// Takes the next bytes and appends to `out` what they call for; how many answers that was.
    pub fn take(&mut self, fresh: &[u8], out: &mut Vec<u8>) -> Result<u64> {
        let mut input = std::mem::take(&mut self.input);
        input.extend_from_slice(fresh);
        let mut at = 0;
        if !self.greeted && input.len() >= PREFACE.len() {
            ensure!(input.starts_with(PREFACE), "not HTTP/2");
            push(out, SETTINGS, 0, 0, &[]);
            (self.greeted, at) = (true, PREFACE.len());
        }
        while self.greeted
            && let Some(head) = input.get(at..at + HEAD)
        {
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
            ensure!(length <= LONGEST, "frame too long");
            let (kind, flags, stream) = (head[3], head[4], number(&head[5..9]) & 0x7fff_ffff);
            let Some(payload) = input.get(at + HEAD..at + HEAD + length) else { break };
            self.frame(kind, flags, stream, payload, out)?;
            at += HEAD + length;
        }
        input.drain(..at);
        self.input = input;
        Ok(self.answer(out))
    }

    fn frame(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8], out: &mut Vec<u8>) -> Result<()> {
        match kind {
            HEADERS if flags & END_STREAM == 0 => {}
            HEADERS if flags & END_HEADERS == 0 => self.unfinished = Some(stream),
            HEADERS => self.due.push_back(stream),
            CONTINUATION if flags & END_HEADERS != 0 => self.due.extend(self.unfinished.take()),
            DATA => {
                if flags & END_STREAM != 0 {
                    self.due.push_back(stream);
                }
                if !payload.is_empty() {
                    let taken = (payload.len() as u32).to_be_bytes();
                    push(out, WINDOW_UPDATE, 0, 0, &taken);
                    push(out, WINDOW_UPDATE, 0, stream, &taken);
                }
            }
            SETTINGS if flags & ACK == 0 => {
                for setting in payload.chunks_exact(6) {
                    let (name, value) = (u16::from_be_bytes([setting[0], setting[1]]), number(&setting[2..]));
                    ensure!(
                        name != INITIAL_WINDOW_SIZE || value as usize >= BODY.len(),
                        "a window too small to answer"
                    );
                }
                push(out, SETTINGS, ACK, 0, &[]);
            }
            PING if flags & ACK == 0 => push(out, PING, ACK, 0, payload),
            WINDOW_UPDATE if stream == 0 && payload.len() == 4 => self.window += i64::from(number(payload)),
            GOAWAY => ensure!(payload.get(4..8) == Some(&[0; 4]), "the peer found a fault"),
            _ => {}
        }
        Ok(())
    }

    /// Answers as many as the window has room for.
    fn answer(&mut self, out: &mut Vec<u8>) -> u64 {
        let mut answers = 0;
        while self.window >= BODY.len() as i64
            && let Some(stream) = self.due.pop_front()
        {
            push(out, HEADERS, END_HEADERS, stream, &FIELDS);
            push(out, DATA, END_STREAM, stream, &BODY);
            self.window -= BODY.len() as i64;
            answers += 1;
        }
        answers
    }
}

fn push(out: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    out.extend_from_slice(&(payload.len() as u32).to_be_bytes()[1..]);
    out.extend_from_slice(&[kind, flags]);
    out.extend_from_slice(&stream.to_be_bytes());
    out.extend_from_slice(payload);
}

/// The first four bytes, which must be there.
fn number(bytes: &[u8]) -> u32 {
    u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The kinds and streams of the frames in `wire`.
    fn frames(mut wire: &[u8]) -> Vec<(u8, u32)> {
        let mut frames = Vec::new();
        while !wire.is_empty() {
            let length = u32::from_be_bytes([0, wire[0], wire[1], wire[2]]) as usize;
            frames.push((wire[3], number(&wire[5..9])));
            wire = &wire[HEAD + length..];
        }
        frames
    }

    #[test]
    fn requests_are_answered_whatever_pieces_they_come_in() {
        let mut wire = PREFACE.to_vec();
        push(&mut wire, SETTINGS, 0, 0, &[]);
        push(&mut wire, HEADERS, END_HEADERS | END_STREAM, 1, &[0x82]);
        push(&mut wire, HEADERS, END_STREAM, 3, &[0x82]);
        push(&mut wire, CONTINUATION, END_HEADERS, 3, &[0x84]);
        push(&mut wire, HEADERS, END_HEADERS, 5, &[0x83]);
        push(&mut wire, DATA, END_STREAM, 5, b"body");
        push(&mut wire, PING, 0, 0, &[7; 8]);
        for size in [1, 10, wire.len()] {
            let (mut connection, mut out) = (Http2::new(), Vec::new());
            let taken = wire.chunks(size).map(|piece| connection.take(piece, &mut out).unwrap());
            assert_eq!(taken.sum::<u64>(), 3);
            let mut answered = frames(&out);
            answered.retain(|(kind, _)| matches!(*kind, HEADERS | DATA));
            assert_eq!(answered, [1, 3, 5].map(|stream| [(HEADERS, stream), (DATA, stream)]).concat());
            assert!(frames(&out).contains(&(PING, 0)) && frames(&out).contains(&(WINDOW_UPDATE, 5)));
        }
    }

    #[test]
    fn answers_wait_for_the_window_and_faults_end_the_connection() {
        let (mut connection, mut out) = (Http2::new(), Vec::new());
        connection.take(PREFACE, &mut out).unwrap();
        let mut wire = Vec::new();
        (0..600).for_each(|number| push(&mut wire, HEADERS, END_HEADERS | END_STREAM, 2 * number + 1, &[0x82]));
        assert_eq!(connection.take(&wire, &mut out).unwrap(), 511);
        let mut more = Vec::new();
        push(&mut more, WINDOW_UPDATE, 0, 0, &(1u32 << 20).to_be_bytes());
        assert_eq!(connection.take(&more, &mut out).unwrap(), 89);
        assert!(connection.take(&[0xff; HEAD], &mut out).is_err());
        assert!(Http2::new().take(b"GET / HTTP/1.1\r\nhost: bench\r\n\r\n", &mut out).is_err());
    }
}
