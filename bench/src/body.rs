//! A message body on the wire: its framing (RFC 9112 section 6) read strictly, piece by piece. Shared by the backend,
//! which reads requests, and the strict client, which reads answers.

use anyhow::{Result, bail};

/// Where a body is in its framing.
#[derive(Debug)]
pub enum Body {
    /// Bytes still to come; 0 is complete.
    Length(u64),
    /// `Transfer-Encoding: chunked`.
    Chunked(Chunk),
    /// Ends with the connection.
    UntilClose,
}

/// Where a chunked body is.
#[derive(Debug)]
pub enum Chunk {
    /// In a chunk's size line, whose bytes so far are kept.
    Size(Vec<u8>),
    /// In a chunk's data: bytes still to come.
    Data(u64),
    /// In the CRLF after the data: bytes still to come.
    DataEnd(u8),
    /// In the trailer section; the current line's bytes so far.
    Trailer(Vec<u8>),
    /// After the last CRLF.
    Done,
}

/// Longest size or trailer line that is taken.
const LINE: usize = 4096;

impl Body {
    /// A chunked body from its first byte on.
    pub fn chunked() -> Self {
        Self::Chunked(Chunk::Size(Vec::new()))
    }

    /// Whether nothing more belongs to the body. Never true for [`Body::UntilClose`].
    pub fn is_complete(&self) -> bool {
        matches!(self, Self::Length(0) | Self::Chunked(Chunk::Done))
    }

    /// Takes what belongs to the body from the front of `input`, hands its data to `sink` and returns how many bytes of
    /// `input` that was. Fails on chunked framing that is not exactly RFC 9112 section 7.1.
    pub fn feed(&mut self, input: &[u8], mut sink: impl FnMut(&[u8])) -> Result<usize> {
        match self {
            Self::Length(left) => {
                let count = (*left).min(input.len() as u64);
                sink(&input[..count as usize]);
                *left -= count;
                Ok(count as usize)
            }
            Self::UntilClose => {
                sink(input);
                Ok(input.len())
            }
            Self::Chunked(chunk) => {
                let mut taken = 0;
                while taken < input.len() && !matches!(chunk, Chunk::Done) {
                    taken += chunk.step(&input[taken..], &mut sink)?;
                }
                Ok(taken)
            }
        }
    }
}

impl Chunk {
    /// Goes on by one element, or as far as `input`, which is not empty, allows.
    fn step(&mut self, input: &[u8], sink: &mut impl FnMut(&[u8])) -> Result<usize> {
        match self {
            Self::Size(line) => {
                let (taken, ended) = take_line(line, input)?;
                if ended {
                    *self = match chunk_size(line)? {
                        0 => Self::Trailer(Vec::new()),
                        size => Self::Data(size),
                    };
                }
                Ok(taken)
            }
            Self::Data(left) => {
                let count = (*left).min(input.len() as u64);
                sink(&input[..count as usize]);
                *left -= count;
                if *left == 0 {
                    *self = Self::DataEnd(2);
                }
                Ok(count as usize)
            }
            Self::DataEnd(left) => {
                if input[0] != if *left == 2 { b'\r' } else { b'\n' } {
                    bail!("chunk data is not followed by CRLF");
                }
                *left -= 1;
                if *left == 0 {
                    *self = Self::Size(Vec::new());
                }
                Ok(1)
            }
            Self::Trailer(line) => {
                let (taken, ended) = take_line(line, input)?;
                if ended && line.is_empty() {
                    *self = Self::Done;
                } else if ended {
                    line.clear();
                }
                Ok(taken)
            }
            Self::Done => Ok(0),
        }
    }
}

/// Moves bytes up to and with LF to `line`, which ends up without its CRLF.
fn take_line(line: &mut Vec<u8>, input: &[u8]) -> Result<(usize, bool)> {
    let end = memchr::memchr(b'\n', input);
    let taken = end.map_or(input.len(), |at| at + 1);
    line.extend_from_slice(&input[..taken]);
    if line.len() > LINE {
        bail!("chunk line longer than {LINE} bytes");
    }
    if end.is_some() {
        line.pop();
        if line.pop() != Some(b'\r') {
            bail!("chunk line ends without CR");
        }
    }
    Ok((taken, end.is_some()))
}

fn chunk_size(line: &[u8]) -> Result<u64> {
    let digits = line.split(|&byte| byte == b';').next().unwrap_or_default();
    let valid = !digits.is_empty() && digits.len() <= 15 && digits.iter().all(u8::is_ascii_hexdigit);
    match std::str::from_utf8(digits).ok().filter(|_| valid).and_then(|hex| u64::from_str_radix(hex, 16).ok()) {
        Some(size) => Ok(size),
        None => bail!("chunk size {:?}", String::from_utf8_lossy(line)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(wire: &[u8], step: usize) -> Result<(Vec<u8>, usize)> {
        let (mut body, mut data, mut taken) = (Body::chunked(), Vec::new(), 0);
        for piece in wire.chunks(step) {
            taken += body.feed(piece, |bytes| data.extend_from_slice(bytes))?;
            if body.is_complete() {
                break;
            }
        }
        anyhow::ensure!(body.is_complete(), "incomplete");
        Ok((data, taken))
    }

    #[test]
    fn chunked_body_ends_at_its_last_byte_however_it_is_cut() {
        let wire = b"4;x=y\r\nWiki\r\n5\r\npedia\r\n0\r\nt: 1\r\n\r\nHTTP/1.1";
        for step in 1..wire.len() {
            assert_eq!(read(wire, step).unwrap(), (b"Wikipedia".to_vec(), wire.len() - 8), "step {step}");
        }
    }

    #[test]
    fn broken_chunking_is_refused() {
        for wire in
            ["4\r\nWikiX\r\n0\r\n\r\n", "4\nWiki\r\n0\r\n\r\n", "-1\r\n", "\r\n", "0x4\r\nWiki\r\n0\r\n\r\n", "4\r\nWi"]
        {
            assert!(read(wire.as_bytes(), 64).is_err(), "{wire:?}");
        }
    }
}
