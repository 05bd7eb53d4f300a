//! Putting a content coding on.

use super::brotli::Squeeze;
use super::gzip::{self, Deflate};
use super::shelf::{self, Held, Keepable};
use super::zstd::Press;
use super::{Coding, Fault};

/// Puts a coding on a stream of bytes.
pub struct Encoder {
    /// `None` once it is given back.
    inner: Option<Inner>,
    held: Held,
    coding: Coding,
    /// Whether anything may be held back.
    unflushed: bool,
}

enum Inner {
    Gzip(Deflate),
    Zstd(Press),
    Brotli(Squeeze),
}

impl Encoder {
    /// One at a level that `coding` has. `None`: the contexts of this thread would hold more than `most` bytes, or there is no
    /// memory.
    pub fn new(coding: Coding, level: u8, most: usize) -> Option<Self> {
        let memory = match coding {
            Coding::Gzip => Deflate::MEMORY,
            Coding::Zstd => Press::memory_at(level),
            Coding::Brotli => Squeeze::memory_at(level),
        };
        let held = Held::take(memory, most)?;
        let inner = match coding {
            Coding::Gzip => Inner::Gzip(gzip(level).ok()?),
            Coding::Zstd => Inner::Zstd(zstd(level).ok()?),
            Coding::Brotli => Inner::Brotli(Squeeze::new(level, None)),
        };
        Some(Self { inner: Some(inner), held, coding, unflushed: false })
    }

    /// Its coding.
    pub fn coding(&self) -> Coding {
        self.coding
    }

    /// Whether a flush would bring anything out.
    pub fn is_unflushed(&self) -> bool {
        self.unflushed
    }

    /// Takes `input`, and appends what is ready.
    pub fn push(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
        self.unflushed |= !input.is_empty();
        match &mut self.inner {
            Some(Inner::Gzip(context)) => context.push(input, out),
            Some(Inner::Zstd(context)) => {
                let pushed = context.push(input, out);
                let _ = self.held.is(context.memory(), usize::MAX);
                pushed
            }
            Some(Inner::Brotli(context)) => context.push(input, out),
            None => Ok(()),
        }
    }

    /// Appends what is held back, so that a reader has all that was pushed.
    pub fn flush(&mut self, out: &mut Vec<u8>) -> Result<(), Fault> {
        if !std::mem::take(&mut self.unflushed) {
            return Ok(());
        }
        match &mut self.inner {
            Some(Inner::Gzip(context)) => context.flush(out),
            Some(Inner::Zstd(context)) => context.flush(out),
            Some(Inner::Brotli(context)) => context.flush(out),
            None => Ok(()),
        }
    }

    /// Appends the rest, with what says that it is whole.
    pub fn finish(mut self, out: &mut Vec<u8>) -> Result<(), Fault> {
        match &mut self.inner {
            Some(Inner::Gzip(context)) => context.finish(out),
            Some(Inner::Zstd(context)) => context.finish(out),
            Some(Inner::Brotli(context)) => context.finish(out),
            None => Ok(()),
        }
    }
}

impl Drop for Encoder {
    fn drop(&mut self) {
        match self.inner.take() {
            Some(Inner::Gzip(context)) => shelf::keep(context),
            Some(Inner::Zstd(context)) => shelf::keep(context),
            Some(Inner::Brotli(_)) | None => {}
        }
    }
}

/// Appends all of `body` in that coding. False: it would be no smaller, and what was appended is of no use.
///
/// No more than [`Coding::piece`] should be given at a time where others wait.
pub fn whole(coding: Coding, level: u8, body: &[u8], out: &mut Vec<u8>) -> Result<bool, Fault> {
    match coding {
        Coding::Gzip => Ok(gzip::whole(level, body, out)),
        Coding::Zstd => {
            let mut context = zstd(level)?;
            let smaller = context.whole(body, out);
            shelf::keep(context);
            smaller
        }
        Coding::Brotli => {
            let before = out.len();
            let mut context = Squeeze::new(level, Some(body.len()));
            context.push(body, out)?;
            context.finish(out)?;
            Ok(out.len() - before < body.len())
        }
    }
}

fn gzip(level: u8) -> Result<Deflate, Fault> {
    match shelf::take::<Deflate>() {
        Some(mut context) => context.again(level).map(|()| context),
        None => Ok(Deflate::new(level)),
    }
}

fn zstd(level: u8) -> Result<Press, Fault> {
    let mut context = shelf::take::<Press>().map_or_else(Press::new, Ok)?;
    context.again(level)?;
    Ok(context)
}
