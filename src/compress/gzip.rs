//! gzip (RFC 1952): bodies that are here as a whole by libdeflate, which takes two thirds of the time; the others by zlib-rs.

use super::shelf::{Keepable, Shelf, with_whole};
use super::{Fault, make_room};
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};
use libdeflater::{CompressionLvl, Compressor};

/// What compresses a stream.
pub(super) struct Deflate(Compress);

/// The window is 32 KiB: the largest that the format has.
const WINDOW: u8 = 15;

impl Keepable for Deflate {
    fn memory(&self) -> usize {
        Self::MEMORY
    }

    fn place(shelf: &mut Shelf) -> &mut Vec<Self> {
        &mut shelf.gzip
    }
}

impl Deflate {
    /// What one holds, in bytes, at every level.
    pub(super) const MEMORY: usize = 372 << 10;

    pub(super) fn new(level: u8) -> Self {
        Self(Compress::new_gzip(Self::level(level), WINDOW))
    }

    /// Makes it ready for the next stream.
    pub(super) fn again(&mut self, level: u8) -> Result<(), Fault> {
        self.0.reset();
        self.0.set_level(Self::level(level)).map_err(|_| Fault::Memory)
    }

    /// The library's level 1 is another trade: quicker than zlib's, and a quarter larger.
    fn level(level: u8) -> Compression {
        Compression::new(u32::from(level.max(2)))
    }

    pub(super) fn push(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
        self.run(input, FlushCompress::None, out)
    }

    pub(super) fn flush(&mut self, out: &mut Vec<u8>) -> Result<(), Fault> {
        self.run(&[], FlushCompress::Sync, out)
    }

    pub(super) fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), Fault> {
        self.run(&[], FlushCompress::Finish, out)
    }

    fn run(&mut self, mut input: &[u8], flush: FlushCompress, out: &mut Vec<u8>) -> Result<(), Fault> {
        loop {
            make_room(out);
            let before = self.0.total_in();
            let status = self.0.compress_vec(input, out, flush).map_err(|_| Fault::Memory)?;
            let taken = usize::try_from(self.0.total_in() - before).unwrap_or(usize::MAX);
            input = input.get(taken..).unwrap_or_default();
            let has_room = out.len() < out.capacity();
            match status {
                Status::StreamEnd => return Ok(()),
                _ if flush == FlushCompress::Finish => {}
                _ if input.is_empty() && has_room => return Ok(()),
                _ => {}
            }
        }
    }
}

/// Compresses a whole body, if that makes it smaller.
pub(super) fn whole(level: u8, body: &[u8], out: &mut Vec<u8>) -> bool {
    let make = || Compressor::new(CompressionLvl::new(level.into()).unwrap_or_default());
    let before = out.len();
    out.resize(before + body.len(), 0);
    let written = with_whole(level, make, |compressor| compressor.gzip_compress(body, &mut out[before..]).unwrap_or(0));
    out.truncate(before + written);
    (1..body.len()).contains(&written)
}

/// What takes the coding off: one member after the other.
pub(super) struct Inflate {
    member: Decompress,
    /// Whether the member has ended.
    ended: bool,
    /// Whether what follows the members is no member, and means nothing.
    over: bool,
}

impl Inflate {
    pub(super) const MEMORY: usize = 48 << 10;

    pub(super) fn new() -> Self {
        Self { member: Decompress::new_gzip(WINDOW), ended: false, over: false }
    }

    /// Fills `out` as far as it goes. Returns how much of `input` was taken and how much of `out` was written.
    pub(super) fn run(&mut self, input: &[u8], out: &mut [u8]) -> Result<(usize, usize), Fault> {
        if self.over || self.ended && input.is_empty() {
            return Ok((input.len(), 0));
        }
        if self.ended {
            if input[0] != MAGIC {
                self.over = true;
                return Ok((input.len(), 0));
            }
            *self = Self::new();
        }
        let (before_in, before_out) = (self.member.total_in(), self.member.total_out());
        let status = self.member.decompress(input, out, FlushDecompress::None).map_err(|_| Fault::Corrupt)?;
        self.ended = status == Status::StreamEnd;
        let count = |now: u64, before: u64| usize::try_from(now - before).unwrap_or(usize::MAX);
        Ok((count(self.member.total_in(), before_in), count(self.member.total_out(), before_out)))
    }

    pub(super) fn is_ended(&self) -> bool {
        self.ended
    }
}

/// The first byte of a member.
const MAGIC: u8 = 0x1f;
