//! Frames: their heads, and how they are written (RFC 9113 §4, §6).

/// What a frame begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) length: usize,
    pub(super) kind: u8,
    pub(super) flags: u8,
    pub(super) stream: u32,
}

/// The length of a frame's head.
pub(super) const HEAD: usize = 9;
/// The longest payload: what every peer takes, and what we take (RFC 9113 §6.5.2).
pub(super) const PAYLOAD: usize = 16 << 10;
/// The largest window, and the highest stream (RFC 9113 §6.9.1, §5.1.1).
pub(super) const MOST: u32 = (1 << 31) - 1;

/// Kinds of frames.
pub(super) mod kind {
    pub(in super::super) const DATA: u8 = 0x0;
    pub(in super::super) const HEADERS: u8 = 0x1;
    pub(in super::super) const PRIORITY: u8 = 0x2;
    pub(in super::super) const RST_STREAM: u8 = 0x3;
    pub(in super::super) const SETTINGS: u8 = 0x4;
    pub(in super::super) const PUSH_PROMISE: u8 = 0x5;
    pub(in super::super) const PING: u8 = 0x6;
    pub(in super::super) const GOAWAY: u8 = 0x7;
    pub(in super::super) const WINDOW_UPDATE: u8 = 0x8;
    pub(in super::super) const CONTINUATION: u8 = 0x9;
}

/// Flags of frames.
pub(super) mod flag {
    pub(in super::super) const ACK: u8 = 0x1;
    pub(in super::super) const END_STREAM: u8 = 0x1;
    pub(in super::super) const END_HEADERS: u8 = 0x4;
    pub(in super::super) const PADDED: u8 = 0x8;
    pub(in super::super) const PRIORITY: u8 = 0x20;
}

/// Settings (RFC 9113 §6.5.2, RFC 8441 §3).
pub(super) mod setting {
    pub(in super::super) const ENABLE_PUSH: u16 = 0x2;
    pub(in super::super) const MAX_CONCURRENT_STREAMS: u16 = 0x3;
    pub(in super::super) const INITIAL_WINDOW_SIZE: u16 = 0x4;
    pub(in super::super) const MAX_FRAME_SIZE: u16 = 0x5;
    pub(in super::super) const MAX_HEADER_LIST_SIZE: u16 = 0x6;
    pub(in super::super) const ENABLE_CONNECT_PROTOCOL: u16 = 0x8;
}

/// Why a stream or a connection is ended (RFC 9113 §7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Code(pub(super) u32);

impl Code {
    pub(super) const NO_ERROR: Self = Self(0x0);
    pub(super) const PROTOCOL_ERROR: Self = Self(0x1);
    pub(super) const INTERNAL_ERROR: Self = Self(0x2);
    pub(super) const FLOW_CONTROL_ERROR: Self = Self(0x3);
    pub(super) const STREAM_CLOSED: Self = Self(0x5);
    pub(super) const FRAME_SIZE_ERROR: Self = Self(0x6);
    pub(super) const REFUSED_STREAM: Self = Self(0x7);
    pub(super) const CANCEL: Self = Self(0x8);
    pub(super) const COMPRESSION_ERROR: Self = Self(0x9);
    pub(super) const ENHANCE_YOUR_CALM: Self = Self(0xb);
}

impl Head {
    /// Reads a frame's head.
    pub(super) fn read(bytes: &[u8; HEAD]) -> Self {
        let [a, b, c, kind, flags, d, e, f, g] = *bytes;
        Self {
            length: u32::from_be_bytes([0, a, b, c]) as usize,
            kind,
            flags,
            stream: u32::from_be_bytes([d, e, f, g]) & MOST,
        }
    }

    /// Whether it has `flag`.
    pub(super) fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}

/// A frame's head. Payloads are never longer than what 24 bits hold.
fn head(length: usize, kind: u8, flags: u8, stream: u32) -> [u8; HEAD] {
    let [_, a, b, c] = (length as u32).to_be_bytes();
    let [d, e, f, g] = stream.to_be_bytes();
    [a, b, c, kind, flags, d, e, f, g]
}

/// Appends a frame's head.
pub(super) fn push_head(out: &mut Vec<u8>, length: usize, kind: u8, flags: u8, stream: u32) {
    out.extend_from_slice(&head(length, kind, flags, stream));
}

/// Appends a frame of four bytes: RST_STREAM or WINDOW_UPDATE.
pub(super) fn push_word(out: &mut Vec<u8>, kind: u8, stream: u32, word: u32) {
    push_head(out, 4, kind, 0, stream);
    out.extend_from_slice(&word.to_be_bytes());
}

/// Appends SETTINGS.
pub(super) fn push_settings(out: &mut Vec<u8>, settings: &[(u16, u32)]) {
    push_head(out, settings.len() * 6, kind::SETTINGS, 0, 0);
    for (name, value) in settings {
        out.extend_from_slice(&name.to_be_bytes());
        out.extend_from_slice(&value.to_be_bytes());
    }
}

/// Appends GOAWAY.
pub(super) fn push_goaway(out: &mut Vec<u8>, last: u32, code: Code) {
    push_head(out, 8, kind::GOAWAY, 0, 0);
    out.extend_from_slice(&last.to_be_bytes());
    out.extend_from_slice(&code.0.to_be_bytes());
}

/// Appends PING, or the answer to one.
pub(super) fn push_ping(out: &mut Vec<u8>, flags: u8, opaque: [u8; 8]) {
    push_head(out, 8, kind::PING, flags, 0);
    out.extend_from_slice(&opaque);
}

/// Makes frames of the field block that was appended to `out` behind the place of a head at `at`: HEADERS, and
/// CONTINUATION for what does not fit into it.
pub(super) fn close_block(out: &mut Vec<u8>, at: usize, flags: u8, stream: u32) {
    let length = out.len() - at - HEAD;
    let first = length.min(PAYLOAD);
    let whole = if length == first { flag::END_HEADERS } else { 0 };
    out[at..at + HEAD].copy_from_slice(&head(first, kind::HEADERS, flags | whole, stream));
    if length > first {
        let rest = out.split_off(at + HEAD + first);
        let mut pieces = rest.chunks(PAYLOAD).peekable();
        while let Some(piece) = pieces.next() {
            let flags = if pieces.peek().is_none() { flag::END_HEADERS } else { 0 };
            push_head(out, piece.len(), kind::CONTINUATION, flags, stream);
            out.extend_from_slice(piece);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_go_there_and_back() {
        let mut out = Vec::new();
        push_head(&mut out, 0x01_02_03, kind::PING, flag::ACK, 0x0a0b_0c0d);
        let head = Head::read(out.as_slice().try_into().unwrap());
        assert_eq!(head, Head { length: 0x01_02_03, kind: kind::PING, flags: flag::ACK, stream: 0x0a0b_0c0d });
        assert!(head.has(flag::ACK) && !head.has(flag::PADDED));
        assert_eq!(Head::read(&[0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]).stream, MOST);
    }

    #[test]
    fn a_block_that_is_too_long_goes_on_in_other_frames() {
        let mut out = b"before".to_vec();
        out.resize(6 + HEAD + 2 * PAYLOAD + 7, 1);
        close_block(&mut out, 6, flag::END_STREAM, 5);
        let mut rest = &out[6..];
        let mut seen = Vec::new();
        while let Some((head, more)) = rest.split_first_chunk() {
            let head = Head::read(head);
            seen.push((head.kind, head.length, head.flags, head.stream));
            rest = &more[head.length..];
        }
        assert_eq!(seen, [(1, PAYLOAD, flag::END_STREAM, 5), (9, PAYLOAD, 0, 5), (9, 7, flag::END_HEADERS, 5)]);
    }
}
