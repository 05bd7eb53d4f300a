//! Brotli (RFC 7932).

use super::Fault;
use brotli::enc::StandardAlloc;
use brotli::enc::encode::BrotliEncoderStateStruct;
use brotli::enc::encode::{BrotliEncoderOperation as Operation, BrotliEncoderParameter as Parameter};
use brotli::{BrotliDecompressStream, BrotliResult, BrotliState};

/// What compresses. It cannot be used again.
pub(super) struct Squeeze(Box<BrotliEncoderStateStruct<StandardAlloc>>);

/// log2 of how far it looks back: the more, the more memory each stream takes.
const WINDOW: u32 = 18;
/// log2 of what is worked on in one go.
const BLOCK: u32 = 16;
/// The largest window of the format.
const WINDOW_IN: usize = 16 << 20;

impl Squeeze {
    /// About what one will hold, in bytes.
    pub(super) fn memory_at(level: u8) -> usize {
        match level {
            0 | 1 => 192 << 10,
            2 | 3 => 1536 << 10,
            4..=6 => 6 << 20,
            7 => 12 << 20,
            8 => 20 << 20,
            9 => 38 << 20,
            _ => 16 << 20,
        }
    }

    /// One for a body of `length` bytes, if that is known.
    pub(super) fn new(level: u8, length: Option<usize>) -> Self {
        let mut state = BrotliEncoderStateStruct::new(StandardAlloc::default());
        let hint = length.and_then(|length| u32::try_from(length).ok()).unwrap_or(0);
        for (parameter, value) in [
            (Parameter::BROTLI_PARAM_QUALITY, u32::from(level)),
            (Parameter::BROTLI_PARAM_LGWIN, WINDOW),
            (Parameter::BROTLI_PARAM_LGBLOCK, BLOCK),
            (Parameter::BROTLI_PARAM_SIZE_HINT, hint),
        ] {
            let known = state.set_parameter(parameter, value);
            debug_assert!(known, "the parameters are in range");
        }
        Self(Box::new(state))
    }

    pub(super) fn push(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
        self.run(Operation::BROTLI_OPERATION_PROCESS, input, out)
    }

    pub(super) fn flush(&mut self, out: &mut Vec<u8>) -> Result<(), Fault> {
        self.run(Operation::BROTLI_OPERATION_FLUSH, &[], out)
    }

    pub(super) fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), Fault> {
        self.run(Operation::BROTLI_OPERATION_FINISH, &[], out)
    }

    fn run(&mut self, operation: Operation, input: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
        let state = &mut self.0;
        let (mut left, mut at) = (input.len(), 0);
        loop {
            let (mut no_room, mut nowhere) = (0, 0);
            let good = state.compress_stream(
                operation,
                &mut left,
                input,
                &mut at,
                &mut no_room,
                &mut [],
                &mut nowhere,
                &mut None,
                &mut |_, _, _, _| (),
            );
            if !good {
                return Err(Fault::Memory);
            }
            while state.has_more_output() {
                // All of it; the slice goes on behind what is ready.
                let mut ready = 0;
                let room = state.take_output(&mut ready);
                out.extend_from_slice(room.get(..ready).unwrap_or_default());
            }
            let done = match operation {
                Operation::BROTLI_OPERATION_FINISH => state.is_finished(),
                _ => left == 0,
            };
            if done {
                return Ok(());
            }
        }
    }
}

/// What takes the coding off.
pub(super) struct Unsqueeze {
    state: Box<BrotliState<StandardAlloc, StandardAlloc, StandardAlloc>>,
    written: usize,
    ended: bool,
}

impl Unsqueeze {
    pub(super) fn new() -> Self {
        let alloc = StandardAlloc::default;
        Self { state: Box::new(BrotliState::new(alloc(), alloc(), alloc())), written: 0, ended: false }
    }

    /// About what it holds, in bytes: as much of the window as there is something in.
    pub(super) fn memory(&self) -> usize {
        (64 << 10) + self.written.saturating_mul(2).min(WINDOW_IN)
    }

    /// Fills `out` as far as it goes. Returns how much of `input` was taken and how much of `out` was written. What follows the end
    /// means nothing.
    pub(super) fn run(&mut self, input: &[u8], out: &mut [u8]) -> Result<(usize, usize), Fault> {
        if self.ended {
            return Ok((input.len(), 0));
        }
        let (mut left, mut at, mut room, mut written) = (input.len(), 0, out.len(), 0);
        let state = &mut *self.state;
        let result =
            BrotliDecompressStream(&mut left, &mut at, input, &mut room, &mut written, out, &mut self.written, state);
        match result {
            BrotliResult::ResultFailure => return Err(Fault::Corrupt),
            BrotliResult::ResultSuccess => self.ended = true,
            BrotliResult::NeedsMoreInput | BrotliResult::NeedsMoreOutput => {}
        }
        Ok((at, written))
    }

    pub(super) fn is_ended(&self) -> bool {
        self.ended
    }
}
