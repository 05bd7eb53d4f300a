//! Where one direction of a WebSocket is in its frames (RFC 6455 §5.2), so that a last one of ours can be put between two.

/// One direction of a WebSocket.
#[derive(Clone, Debug, Default)]
pub struct Frames {
    /// Bytes of the payload that are still to come.
    payload: u64,
    /// What has come of a header that is not whole.
    header: [u8; 14],
    held: u8,
    /// Whether a Close frame has passed: nothing may follow it.
    closed: bool,
}

/// A Close frame with the status 1001, "going away" (RFC 6455 §7.4.1), as a server sends it.
pub const GOING_AWAY: [u8; 4] = [0x88, 2, 0x03, 0xe9];
/// The same as a client sends it: masked (RFC 6455 §5.3), with a mask that changes nothing, as there is no cache on the way
/// that it could mislead.
pub const GOING_AWAY_MASKED: [u8; 8] = [0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe9];

impl Frames {
    /// These bytes pass.
    pub fn pass(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.payload > 0 {
                let passed = bytes.len().min(usize::try_from(self.payload).unwrap_or(usize::MAX));
                self.payload -= passed as u64;
                bytes = &bytes[passed..];
                continue;
            }
            self.header[usize::from(self.held)] = bytes[0];
            self.held += 1;
            bytes = &bytes[1..];
            self.read_header();
        }
    }

    /// Whether all that has passed is whole frames, and another one may follow.
    pub fn is_between(&self) -> bool {
        self.payload == 0 && self.held == 0 && !self.closed
    }

    fn read_header(&mut self) {
        let held = usize::from(self.held);
        if held < 2 {
            return;
        }
        let (masked, short) = (self.header[1] & 0x80 != 0, self.header[1] & 0x7f);
        let length = match short {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        if held < 2 + length + if masked { 4 } else { 0 } {
            return;
        }
        self.payload = match length {
            0 => u64::from(short),
            _ => self.header[2..2 + length].iter().fold(0, |number, byte| number << 8 | u64::from(*byte)),
        };
        self.closed |= self.header[0] & 0x0f == 0x8;
        self.held = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(opcode: u8, masked: bool, length: usize) -> Vec<u8> {
        let mask = if masked { 0x80 } else { 0 };
        let mut frame = vec![0x80 | opcode];
        match length {
            ..126 => frame.push(mask | length as u8),
            126..65536 => {
                frame.push(mask | 126);
                frame.extend_from_slice(&(length as u16).to_be_bytes());
            }
            _ => {
                frame.push(mask | 127);
                frame.extend_from_slice(&(length as u64).to_be_bytes());
            }
        }
        frame.extend(std::iter::repeat_n(0xff, length + if masked { 4 } else { 0 }));
        frame
    }

    #[test]
    fn borders_are_found_however_the_bytes_come() {
        for masked in [false, true] {
            for length in [0, 1, 125, 126, 127, 65535, 65536, 70_000] {
                let frame = frame(2, masked, length);
                for step in [1, 2, 3, 7, 1000, frame.len()] {
                    let mut frames = Frames::default();
                    for _ in 0..2 {
                        let mut passed = 0;
                        for piece in frame.chunks(step) {
                            assert_eq!(frames.is_between(), passed == 0, "{length} at {passed}");
                            frames.pass(piece);
                            passed += piece.len();
                        }
                        assert!(frames.is_between(), "{length} by {step}");
                    }
                }
            }
        }
    }

    #[test]
    fn nothing_may_follow_a_close() {
        let mut frames = Frames::default();
        frames.pass(&frame(1, false, 5));
        assert!(frames.is_between());
        frames.pass(&GOING_AWAY);
        assert!(!frames.is_between());
        let mut frames = Frames::default();
        frames.pass(&GOING_AWAY_MASKED);
        assert!(!frames.is_between() && frames.payload == 0 && frames.held == 0);
    }
}
