//! The chunked transfer coding (RFC 9112 §7.1): a decoder that takes any split of its input, and the encoder's lines.
//!
//! The decoder is strict: sizes are hexadecimal digits alone, lines end in CRLF, a chunk is followed by CRLF at once.
//! Extensions are dropped; how much of them is read is bounded by the data between them, and so is the trailer section.

use super::scan::explain_line;
use crate::http::head::Name;
use std::ops::Range;

/// Bytes of extensions that are read beyond the number of data bytes (CVE-2023-39326: a byte of data for a page of extension).
const MAX_EXTENSION: u64 = 4096;
/// Bytes of a trailer section.
const MAX_TRAILER: usize = 8192;
/// Fields of a trailer section.
const MAX_TRAILER_FIELDS: usize = 64;

/// A body that is not chunked as it should be; where the message ends is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadChunk {
    /// What was wrong, as one word for log and metric.
    pub reason: &'static str,
}

/// What a call of [`ChunkDecoder::decode`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Bytes of the input that are done with, `data` included.
    pub consumed: usize,
    /// Body bytes: a range of the input, empty if there are none in what was consumed.
    pub data: Range<usize>,
    /// The body is complete. Bytes that were not consumed belong to the next message.
    pub end: bool,
}

/// Decodes one chunked body.
#[derive(Debug, Default)]
pub struct ChunkDecoder {
    state: State,
    /// What is left of the chunk, or its size as read so far.
    left: u64,
    digits: u8,
    extension: u64,
    /// Lines that may be forwarded, then the line being read.
    trailers: Vec<u8>,
    line_start: usize,
    trailer_bytes: usize,
    trailer_fields: usize,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Size,
    Extension,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    Trailer,
    Done,
}

impl ChunkDecoder {
    /// Reads on until there are data bytes to pass on, the input is used up, or the body has ended. Call it with what was not
    /// consumed, followed by what has come since.
    pub fn decode(&mut self, input: &[u8]) -> Result<Step, BadChunk> {
        let mut at = 0;
        while at < input.len() {
            match self.state {
                State::Data => {
                    let len = self.left.min((input.len() - at) as u64);
                    self.left -= len;
                    self.extension = self.extension.saturating_sub(len);
                    if self.left == 0 {
                        self.state = State::DataCr;
                    }
                    let end = at + len as usize;
                    return Ok(Step { consumed: end, data: at..end, end: false });
                }
                State::Done => break,
                _ => {
                    self.byte(input[at])?;
                    at += 1;
                }
            }
        }
        Ok(Step { consumed: at, data: at..at, end: self.state == State::Done })
    }

    /// The trailer fields that may be passed on, as lines that end in CRLF; complete once the body has ended.
    pub fn trailers(&self) -> &[u8] {
        match self.state {
            State::Done => &self.trailers,
            _ => &[],
        }
    }

    #[inline]
    fn byte(&mut self, byte: u8) -> Result<(), BadChunk> {
        match (self.state, byte) {
            (State::Size, _) if byte.is_ascii_hexdigit() => return self.digit(byte),
            (State::Size, _) if self.digits == 0 => return Err(BadChunk { reason: "bad-chunk-size" }),
            (State::Size | State::Extension, b'\r') => self.state = State::SizeLf,
            // A blank at the end of a size is what some servers pad it with.
            (State::Size, b';' | b' ' | b'\t') => self.state = State::Extension,
            (State::Size, _) => return Err(BadChunk { reason: "bad-chunk-size" }),
            (State::Extension, b'\t' | b' '..=0x7e | 0x80..) => {
                self.extension += 1;
                if self.extension > MAX_EXTENSION {
                    return Err(BadChunk { reason: "chunk-extension-too-long" });
                }
            }
            (State::Extension, _) => return Err(BadChunk { reason: "bad-chunk-extension" }),
            (State::SizeLf, b'\n') => {
                self.digits = 0;
                self.state = if self.left == 0 { State::Trailer } else { State::Data };
            }
            (State::DataCr, b'\r') => self.state = State::DataLf,
            (State::DataLf, b'\n') => self.state = State::Size,
            (State::SizeLf | State::DataCr | State::DataLf, _) => {
                return Err(BadChunk { reason: "bad-chunk-line-end" });
            }
            (State::Trailer, _) => return self.trailer_byte(byte),
            (State::Data | State::Done, _) => debug_assert!(false, "no line byte is due"),
        }
        Ok(())
    }

    fn digit(&mut self, byte: u8) -> Result<(), BadChunk> {
        let value = match byte {
            b'0'..=b'9' => byte - b'0',
            _ => (byte | 0x20) - b'a' + 10,
        };
        self.digits += 1;
        // Four more bits must leave it within 63.
        if self.digits > 16 || self.left >> 59 != 0 {
            return Err(BadChunk { reason: "chunk-size-too-large" });
        }
        self.left = self.left << 4 | u64::from(value);
        Ok(())
    }

    fn trailer_byte(&mut self, byte: u8) -> Result<(), BadChunk> {
        self.trailer_bytes += 1;
        if self.trailer_bytes > MAX_TRAILER {
            return Err(BadChunk { reason: "trailers-too-large" });
        }
        self.trailers.push(byte);
        if byte != b'\n' {
            return Ok(());
        }
        let line = match &self.trailers[self.line_start..] {
            [line @ .., b'\r', b'\n'] => line,
            _ => return Err(BadChunk { reason: "bad-trailer-line-end" }),
        };
        if line.is_empty() {
            self.trailers.truncate(self.line_start);
            self.state = State::Done;
            return Ok(());
        }
        if explain_line(line).is_some() {
            return Err(BadChunk { reason: "bad-trailer" });
        }
        self.trailer_fields += 1;
        if self.trailer_fields > MAX_TRAILER_FIELDS {
            return Err(BadChunk { reason: "too-many-trailers" });
        }
        let name = line.split(|&byte| byte == b':').next().unwrap_or_default();
        if is_trailer(name) {
            self.line_start = self.trailers.len();
        } else {
            self.trailers.truncate(self.line_start);
        }
        Ok(())
    }
}

/// RFC 9110 §6.5.1: what frames, routes, authenticates, controls caches, describes the content or tells who the client is
/// has no place behind the body.
fn is_trailer(name: &[u8]) -> bool {
    const BARRED: [&[u8]; 24] = [
        b"age",
        b"authentication-info",
        b"authorization",
        b"cache-control",
        b"content-encoding",
        b"content-language",
        b"content-location",
        b"content-range",
        b"expires",
        b"if-match",
        b"if-modified-since",
        b"if-none-match",
        b"if-range",
        b"if-unmodified-since",
        b"location",
        b"origin",
        b"pragma",
        b"range",
        b"referer",
        b"retry-after",
        b"user-agent",
        b"vary",
        b"warning",
        b"www-authenticate",
    ];
    matches!(Name::of(name), Name::Other | Name::Server | Name::XRequestId)
        && !BARRED.iter().any(|barred| barred.eq_ignore_ascii_case(name))
}

/// The line before a chunk of `size` bytes, at most 18 bytes long. `size` is not 0.
pub fn push_chunk_size(out: &mut Vec<u8>, size: usize) {
    debug_assert!(size > 0, "a chunk of 0 bytes ends the body");
    let digits = (usize::BITS - size.leading_zeros()).div_ceil(4).max(1);
    for digit in (0..digits).rev() {
        out.push(b"0123456789abcdef"[size >> (digit * 4) & 15]);
    }
    out.extend_from_slice(b"\r\n");
}

/// What ends each chunk.
pub const CHUNK_END: &[u8] = b"\r\n";

/// The last chunk, with trailer lines from [`ChunkDecoder::trailers`].
pub fn push_last_chunk(out: &mut Vec<u8>, trailers: &[u8]) {
    out.extend_from_slice(b"0\r\n");
    out.extend_from_slice(trailers);
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Body, trailers, and what follows the end.
    type Decoded = (Vec<u8>, Vec<u8>, Vec<u8>);

    /// Decodes `input` given in pieces that end at `cuts`; `None` if it has no end.
    fn decode(input: &[u8], cuts: &[usize]) -> Result<Option<Decoded>, &'static str> {
        let (mut decoder, mut body, mut from) = (ChunkDecoder::default(), Vec::new(), 0);
        for &cut in cuts.iter().chain([&input.len()]) {
            loop {
                let step = decoder.decode(&input[from..cut]).map_err(|bad| bad.reason)?;
                assert!(step.data.end <= step.consumed && step.consumed <= cut - from);
                body.extend_from_slice(&input[from..][step.data.clone()]);
                from += step.consumed;
                if step.end {
                    return Ok(Some((body, decoder.trailers().to_vec(), input[from..].to_vec())));
                }
                if from == cut {
                    break;
                }
            }
        }
        Ok(None)
    }

    #[test]
    fn bodies_are_read_and_what_follows_is_left() {
        for (input, body, rest) in [
            ("0\r\n\r\n", "", ""),
            ("5\r\nhello\r\n0\r\n\r\nGET", "hello", "GET"),
            ("5;a=b;c=\"d\"\r\nhello\r\n000\r\n\r\n", "hello", ""),
            ("5 \r\nhello\r\n0\t;x\r\n\r\n", "hello", ""),
            ("A\r\n0123456789\r\n1\r\n!\r\n0\r\n\r\n\r\n", "0123456789!", "\r\n"),
        ] {
            let (got, trailers, left) = decode(input.as_bytes(), &[]).unwrap().unwrap();
            assert_eq!((got.as_slice(), left.as_slice()), (body.as_bytes(), rest.as_bytes()), "{input:?}");
            assert!(trailers.is_empty());
        }
    }

    #[test]
    fn whatever_two_readers_could_read_apart_is_refused() {
        for (input, reason) in [
            ("\r\n0\r\n\r\n", "bad-chunk-size"),
            ("5\nhello", "bad-chunk-size"),
            ("0x5\r\n", "bad-chunk-size"),
            (" 5\r\n", "bad-chunk-size"),
            ("+5\r\n", "bad-chunk-size"),
            ("-5\r\n", "bad-chunk-size"),
            ("5\0\r\n", "bad-chunk-size"),
            ("\r5\r\n", "bad-chunk-size"),
            (";a\r\n", "bad-chunk-size"),
            ("5_0\r\n", "bad-chunk-size"),
            ("5;a\rX\r\nhello", "bad-chunk-line-end"),
            ("5;a\nhello", "bad-chunk-extension"),
            ("5;\0a\r\n", "bad-chunk-extension"),
            ("5 \x0b\r\n", "bad-chunk-extension"),
            ("5\r\nhello\n0\r\n\r\n", "bad-chunk-line-end"),
            ("5\r\nhello!\r\n", "bad-chunk-line-end"),
            ("10000000000000005\r\n", "chunk-size-too-large"),
            ("8000000000000000\r\n", "chunk-size-too-large"),
            ("00000000000000005\r\n", "chunk-size-too-large"),
            ("0\r\nGET / HTTP/1.1\r\n\r\n", "bad-trailer"),
            ("0\r\nX-A : b\r\n\r\n", "bad-trailer"),
            ("0\r\nX-A: b\r\n c\r\n\r\n", "bad-trailer"),
            ("0\r\nX-A: b\rc\r\n\r\n", "bad-trailer"),
            ("0\r\nX-A: b\n\r\n", "bad-trailer-line-end"),
            ("0\r\n\n", "bad-trailer-line-end"),
        ] {
            assert_eq!(decode(input.as_bytes(), &[]), Err(reason), "{input:?}");
        }
    }

    #[test]
    fn the_largest_size_is_accepted() {
        let step = ChunkDecoder::default().decode(b"7fffffffffffffff\r\nab").unwrap();
        assert_eq!((step.data, step.end), (18..20, false));
    }

    #[test]
    fn extensions_and_trailers_are_bounded() {
        let long = [b"1;".as_slice(), &[b'a'; 5000], b"\r\n"].concat();
        assert_eq!(decode(&long, &[]), Err("chunk-extension-too-long"));
        let many = b"1;aaaa\r\nx\r\n".repeat(2000);
        assert_eq!(decode(&many, &[]), Err("chunk-extension-too-long"));
        let paid = b"5;aaaa\r\nhello\r\n".repeat(5000);
        assert_eq!(decode(&paid, &[]), Ok(None), "extensions that the data outweighs");
        let huge = [b"0\r\nX-A: ".as_slice(), &[b'a'; 120_000], b"\r\n\r\n"].concat();
        assert_eq!(decode(&huge, &[]), Err("trailers-too-large"));
        let crowd = [b"0\r\n".as_slice(), &b"A:\r\n".repeat(100), b"\r\n"].concat();
        assert_eq!(decode(&crowd, &[]), Err("too-many-trailers"));
    }

    #[test]
    fn trailers_that_would_act_as_headers_are_dropped() {
        let input = b"0\r\nX-Sum: 1\r\nContent-Length: 50\r\nhost: evil.test\r\nX_Forwarded_For: 6.6.6.6\r\nX-Forwarded-For: 6.6.6.6\r\n\
            Authorization: x\r\nSet-Cookie: a=b\r\nTransfer-Encoding: chunked\r\ngrpc-status: 0\r\nTrailer: x\r\n\r\n";
        let (_, trailers, _) = decode(input, &[]).unwrap().unwrap();
        assert_eq!(String::from_utf8(trailers).unwrap(), "X-Sum: 1\r\ngrpc-status: 0\r\n");
    }

    #[test]
    fn every_split_gives_the_same_result() {
        let mut random = fastrand::Rng::with_seed(7);
        let pieces: [&[u8]; 14] = [
            b"5\r\nhello\r\n",
            b"0\r\n\r\n",
            b"0\r\nX-A: b\r\nHost: c\r\n\r\n",
            b"1f;x=y\r\n",
            b"0123456789012345678901234567890\r\n",
            b"\r\n",
            b"\n",
            b"3\r\nabc\r\n",
            b"a",
            b";",
            b"\r",
            b"0\r\n",
            b"GET / HTTP/1.1\r\n",
            b"ffffffffffffffff",
        ];
        let mut complete = 0;
        for _ in 0..3000 {
            let mut input = Vec::new();
            for _ in 0..random.usize(1..6) {
                input.extend_from_slice(if random.u8(..) < 150 {
                    pieces[random.usize(..3)]
                } else {
                    pieces[random.usize(..pieces.len())]
                });
            }
            let whole = decode(&input, &[]);
            complete += usize::from(matches!(whole, Ok(Some(_))));
            for cut in 0..=input.len() {
                assert_eq!(decode(&input, &[cut]), whole, "{:?} cut at {cut}", input.escape_ascii().to_string());
            }
            let every: Vec<usize> = (1..input.len()).collect();
            assert_eq!(decode(&input, &every), whole, "{:?} byte by byte", input.escape_ascii().to_string());
        }
        assert!(complete > 500, "the streams are not all broken: {complete}");
    }

    #[test]
    fn what_is_encoded_is_decoded_again() {
        let mut random = fastrand::Rng::with_seed(8);
        for _ in 0..200 {
            let (mut out, mut body) = (Vec::new(), Vec::new());
            for _ in 0..random.usize(0..8) {
                let chunk: Vec<u8> = (0..random.usize(1..5000)).map(|_| random.u8(..)).collect();
                push_chunk_size(&mut out, chunk.len());
                out.extend_from_slice(&chunk);
                out.extend_from_slice(CHUNK_END);
                body.extend_from_slice(&chunk);
            }
            push_last_chunk(&mut out, b"X-Sum: 1\r\n");
            assert_eq!(decode(&out, &[]), Ok(Some((body, b"X-Sum: 1\r\n".to_vec(), Vec::new()))));
        }
    }
}
