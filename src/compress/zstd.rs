//! Zstandard (RFC 8878), within the window that RFC 9659 lets every client have.

use super::shelf::{Keepable, Shelf};
use super::{Fault, make_room};
use zstd_safe::zstd_sys::ZSTD_EndDirective::{self, ZSTD_e_continue, ZSTD_e_end, ZSTD_e_flush};
use zstd_safe::{CCtx, CParameter, DCtx, DParameter, InBuffer, OutBuffer, ResetDirective};

/// What compresses.
pub(super) struct Press(CCtx<'static>);

/// log2 of how far it looks back: the more, the more memory each stream takes.
const WINDOW: u32 = 18;
/// What the tables are laid out for, where the length is not known.
const USUAL: u32 = 1 << WINDOW;
/// log2 of how far back it may have been looked in what comes in: 8 MiB (RFC 9659 §3).
const WINDOW_IN: u32 = 23;

impl Keepable for Press {
    fn memory(&self) -> usize {
        self.0.sizeof()
    }

    fn place(shelf: &mut Shelf) -> &mut Vec<Self> {
        &mut shelf.zstd
    }
}

impl Press {
    /// About what one will hold, in bytes.
    pub(super) fn memory_at(level: u8) -> usize {
        match level {
            0..=4 => 2 << 20,
            5..=9 => 3 << 20,
            _ => 7 << 20,
        }
    }

    pub(super) fn new() -> Result<Self, Fault> {
        CCtx::try_create().map(Self).ok_or(Fault::Memory)
    }

    /// Makes it ready for the next stream.
    pub(super) fn again(&mut self, level: u8) -> Result<(), Fault> {
        self.0.reset(ResetDirective::SessionOnly).map_err(|_| Fault::Memory)?;
        for parameter in
            [CParameter::CompressionLevel(level.into()), CParameter::WindowLog(WINDOW), CParameter::SrcSizeHint(USUAL)]
        {
            self.0.set_parameter(parameter).map_err(|_| Fault::Memory)?;
        }
        Ok(())
    }

    pub(super) fn push(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
        self.run(input, ZSTD_e_continue, out)
    }

    pub(super) fn flush(&mut self, out: &mut Vec<u8>) -> Result<(), Fault> {
        self.run(&[], ZSTD_e_flush, out)
    }

    pub(super) fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), Fault> {
        self.run(&[], ZSTD_e_end, out)
    }

    /// Compresses a whole body, if that makes it smaller.
    pub(super) fn whole(&mut self, body: &[u8], out: &mut Vec<u8>) -> Result<bool, Fault> {
        let before = out.len();
        self.0.set_pledged_src_size(Some(body.len() as u64)).map_err(|_| Fault::Memory)?;
        self.run(body, ZSTD_e_end, out)?;
        Ok(out.len() - before < body.len())
    }

    fn run(&mut self, input: &[u8], end: ZSTD_EndDirective, out: &mut Vec<u8>) -> Result<(), Fault> {
        let mut input = InBuffer::around(input);
        loop {
            make_room(out);
            let written = out.len();
            let mut output = OutBuffer::around_pos(out, written);
            let left = self.0.compress_stream2(&mut output, &mut input, end).map_err(|_| Fault::Memory)?;
            let taken = input.pos() == input.src.len();
            if taken && (left == 0 || end == ZSTD_e_continue) {
                return Ok(());
            }
        }
    }
}

/// What takes the coding off: one frame after the other.
pub(super) struct Unpress {
    context: DCtx<'static>,
    /// Whether a frame has ended and none has begun since.
    ended: bool,
}

impl Unpress {
    pub(super) fn new() -> Result<Self, Fault> {
        let mut context = DCtx::try_create().ok_or(Fault::Memory)?;
        context.set_parameter(DParameter::WindowLogMax(WINDOW_IN)).map_err(|_| Fault::Memory)?;
        Ok(Self { context, ended: false })
    }

    pub(super) fn memory(&self) -> usize {
        self.context.sizeof()
    }

    /// Fills `out` as far as it goes. Returns how much of `input` was taken and how much of `out` was written.
    pub(super) fn run(&mut self, input: &[u8], out: &mut [u8]) -> Result<(usize, usize), Fault> {
        let (mut input, mut output) = (InBuffer::around(input), OutBuffer::around(out));
        let left = self.context.decompress_stream(&mut output, &mut input).map_err(|_| Fault::Corrupt)?;
        if input.pos() > 0 || output.pos() > 0 {
            self.ended = left == 0;
        }
        Ok((input.pos(), output.pos()))
    }

    pub(super) fn is_ended(&self) -> bool {
        self.ended
    }
}
