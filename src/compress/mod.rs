//! Content codings (RFC 9110 §8.4.1): gzip (RFC 1952), Brotli (RFC 7932) and Zstandard (RFC 8878), both ways; which of them a
//! client is given; which types are worth it.
//!
//! What always holds: an [`Encoder`] never holds back what it was given beyond the next flush; a [`Decoder`] writes no more at a time
//! than it is told, and no more in all than what comes in could honestly become; what contexts hold of memory is counted
//! ([`held`]), and one more than is allowed is not made. Contexts are kept by the thread and used again: to make one costs more than
//! to compress a small body.
//!
//! No I/O and no time. May depend on nothing else in the crate.

mod brotli;
mod decoder;
mod encoder;
mod gzip;
mod negotiate;
mod shelf;
mod types;
mod zstd;

pub use decoder::{Decoder, Step};
pub use encoder::{Encoder, whole};
pub use negotiate::{Choice, is_acceptable, negotiate, weight};
pub use shelf::{held, trim};
pub use types::{Types, is_type_pattern};

use std::fmt;
use std::ops::RangeInclusive;

/// A content coding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Coding {
    /// `zstd` (RFC 8878, RFC 9659)
    Zstd,
    /// `br` (RFC 7932)
    Brotli,
    /// `gzip` (RFC 1952)
    Gzip,
}

/// Why bytes could not be coded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// There is no memory for it.
    Memory,
    /// They are not what they are said to be.
    Corrupt,
    /// They end early.
    Truncated,
    /// They would become far more than such bytes honestly do.
    Bomb,
}

impl Coding {
    /// How many there are.
    pub const COUNT: usize = 3;
    /// All of them, the preferred one first.
    pub const ALL: [Self; Self::COUNT] = [Self::Zstd, Self::Brotli, Self::Gzip];

    /// Its name in `Content-Encoding` (RFC 9110 §8.4.1).
    pub fn token(self) -> &'static str {
        match self {
            Self::Zstd => "zstd",
            Self::Brotli => "br",
            Self::Gzip => "gzip",
        }
    }

    /// The coding of that name, without regard to case; `x-gzip` is another name for gzip (RFC 9110 §8.4.1.3).
    pub fn of(token: &[u8]) -> Option<Self> {
        if token.eq_ignore_ascii_case(b"x-gzip") {
            return Some(Self::Gzip);
        }
        Self::ALL.into_iter().find(|coding| token.eq_ignore_ascii_case(coding.token().as_bytes()))
    }

    /// Its position in [`Coding::ALL`].
    pub fn index(self) -> usize {
        self as usize
    }

    /// The levels that it has; the higher, the smaller and the slower.
    pub fn levels(self) -> RangeInclusive<u8> {
        match self {
            Self::Zstd => 1..=19,
            Self::Brotli => 0..=11,
            Self::Gzip => 1..=9,
        }
    }

    /// The level for when there is no time: above it each costs notably more.
    pub fn fastest(self) -> u8 {
        1
    }

    /// How many bytes are encoded at a time, so that others of the thread wait for a millisecond or so.
    pub fn piece(self, level: u8) -> usize {
        match (self, level) {
            (Self::Gzip, ..=6) | (Self::Zstd, ..=3) => 128 << 10,
            (Self::Zstd, ..=7) | (Self::Brotli, ..=3) => 64 << 10,
            (Self::Gzip, _) | (Self::Brotli, ..=5) => 32 << 10,
            (Self::Zstd, ..=12) | (Self::Brotli, ..=9) => 8 << 10,
            _ => 4 << 10,
        }
    }
}

impl fmt::Display for Coding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.token())
    }
}

/// Room for output that is asked for at a time.
const ROOM: usize = 4 << 10;

/// Makes room behind what is in `out`.
fn make_room(out: &mut Vec<u8>) {
    if out.capacity() - out.len() < ROOM / 4 {
        out.reserve(ROOM.max(out.capacity() / 2));
    }
}

#[cfg(test)]
mod tests;
