//! JSON bodies changed on their way: members removed, renamed, set, added, appended to, by their paths (RFC 6901).
//!
//! What always holds: a body is changed as it comes, in whatever pieces, and what is held of it does not grow with it: one frame for each
//! level that is open, and the name that is being read. What no edit names comes out byte for byte, numbers and the order of members
//! included. What comes out whole was one JSON text (RFC 8259) to all who read it: anything else ends in a [`Fault`], and so does what
//! readers disagree on where an edit is concerned, a name that stands twice. No I/O and no time.

mod editor;
mod number;
mod text;
mod tree;

pub use editor::Editor;
pub use text::push_text;
pub use tree::{Edits, Spec, TooMany};

/// Levels of objects and arrays that a body may have.
pub const DEPTH: usize = 64;
/// Bytes that a number may have.
const LONGEST_NUMBER: usize = 1 << 10;

/// Why a body cannot be changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is no JSON text.
    Syntax,
    /// It ends early.
    Truncated,
    /// A text in it is no UTF-8.
    Utf8,
    /// It goes deeper than [`DEPTH`].
    Depth,
    /// One of its numbers has more digits than any is read with.
    Number,
    /// What an edit names stands twice in an object.
    Duplicate,
    /// What is renamed would have a name that another member has.
    Taken,
}

impl Fault {
    /// It in a word, for logs.
    pub fn word(self) -> &'static str {
        match self {
            Self::Syntax => "bad-json",
            Self::Truncated => "json-truncated",
            Self::Utf8 => "json-utf8",
            Self::Depth => "json-depth",
            Self::Number => "json-number",
            Self::Duplicate => "json-duplicate",
            Self::Taken => "json-name-taken",
        }
    }
}

#[cfg(test)]
mod tests;
