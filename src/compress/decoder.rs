//! Taking a content coding off, within bounds.

use super::brotli::Unsqueeze;
use super::gzip::Inflate;
use super::shelf::Held;
use super::zstd::Unpress;
use super::{Coding, Fault};

/// Output beyond which its ratio to the input counts.
const HONEST: u64 = 8 << 20;
/// Bytes of output that a byte of input may stand for in the long run. Text seldom comes to a tenth of that.
const RATIO: u64 = 200;

/// Takes a coding off a stream of bytes.
pub struct Decoder {
    inner: Inner,
    held: Held,
    /// Bytes that the contexts of the thread may hold.
    bound: usize,
    taken: u64,
    written: u64,
}

enum Inner {
    Gzip(Box<Inflate>),
    Zstd(Unpress),
    Brotli(Unsqueeze),
}

/// What a call has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// Bytes of the input that are done with.
    pub consumed: usize,
    /// Whether there may be more output without more input.
    pub more: bool,
}

impl Decoder {
    /// One for `coding`. `None`: the contexts of this thread would hold more than `most` bytes, or there is no memory.
    pub fn new(coding: Coding, most: usize) -> Option<Self> {
        let held = Held::take(Inflate::MEMORY, most)?;
        let inner = match coding {
            Coding::Gzip => Inner::Gzip(Box::new(Inflate::new())),
            Coding::Zstd => Inner::Zstd(Unpress::new().ok()?),
            Coding::Brotli => Inner::Brotli(Unsqueeze::new()),
        };
        Some(Self { inner, held, bound: most, taken: 0, written: 0 })
    }

    /// Takes of `input` and appends what it stands for, at most `most` bytes. Call it until it has consumed all and has no more. It
    /// fails where the contexts of the thread would hold more than was allowed.
    pub fn push(&mut self, input: &[u8], most: usize, out: &mut Vec<u8>) -> Result<Step, Fault> {
        let before = out.len();
        out.resize(before + most, 0);
        let room = &mut out[before..];
        let result = match &mut self.inner {
            Inner::Gzip(context) => context.run(input, room),
            Inner::Zstd(context) => context.run(input, room),
            Inner::Brotli(context) => context.run(input, room),
        };
        let (consumed, written) = result.inspect_err(|_| out.truncate(before))?;
        out.truncate(before + written);
        // A window is taken once it is known how large it is.
        let has_room = match &self.inner {
            Inner::Gzip(_) => true,
            Inner::Zstd(context) => self.held.is(context.memory(), self.bound),
            Inner::Brotli(context) => self.held.is(context.memory(), self.bound),
        };
        if !has_room {
            return Err(Fault::Memory);
        }
        self.taken += consumed as u64;
        self.written += written as u64;
        if self.written > HONEST && self.written / RATIO > self.taken {
            return Err(Fault::Bomb);
        }
        let stuck = consumed == 0 && written == 0 && !input.is_empty();
        if stuck && most > 0 {
            return Err(Fault::Corrupt);
        }
        Ok(Step { consumed, more: written == most || consumed < input.len() })
    }

    /// Whether what has come is whole. A body without a byte is.
    pub fn finish(self) -> Result<(), Fault> {
        let ended = match &self.inner {
            Inner::Gzip(context) => context.is_ended(),
            Inner::Zstd(context) => context.is_ended(),
            Inner::Brotli(context) => context.is_ended(),
        };
        if ended || self.taken == 0 { Ok(()) } else { Err(Fault::Truncated) }
    }
}
