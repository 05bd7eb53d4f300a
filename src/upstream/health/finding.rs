//! What a check found.

use crate::observe::reason::Outcome;
use crate::upstream::agent::Reply;
use std::fmt;

/// What one check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How far it came, and how it ended.
    pub outcome: Outcome,
    /// The number that the target's protocol has for it, where it has one: a status, an exit code.
    pub code: Option<u32>,
    /// In words; nothing where there is no more to say.
    pub words: String,
    /// What an agent said.
    pub reply: Option<Box<Reply>>,
}

/// The longest words, in characters: they come from targets.
const LONGEST: usize = 120;

impl Finding {
    /// One without a number.
    pub fn new(outcome: Outcome, words: impl Into<String>) -> Self {
        Self { outcome, code: None, words: words.into(), reply: None }
    }

    /// One with the number that the target gave.
    pub fn coded(outcome: Outcome, code: u32, words: impl Into<String>) -> Self {
        Self { code: Some(code), ..Self::new(outcome, words) }
    }

    /// An answer that cannot be understood, or is not as it should be.
    pub fn bad(words: impl Into<String>) -> Self {
        Self::new(Outcome::BadAnswer, words)
    }

    /// Whether the check has passed.
    pub fn passed(&self) -> bool {
        self.outcome.is_good()
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&*self.words, self.code) {
            ("", Some(code)) => write!(f, "status {code}"),
            ("", None) => self.outcome.fmt(f),
            (words, _) => f.write_str(words),
        }
    }
}

/// What a target said, as it may stand in a log: one line, not too long.
pub(super) fn said(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let plain = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    let words: String = plain.take(LONGEST).collect();
    words.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_targets_are_one_line_and_bounded() {
        assert_eq!(said(b"  a\r\nb\x1b[31m\0 "), "a  b [31m");
        assert_eq!(said(&[b'x'; 1000]).len(), LONGEST);
        assert_eq!(said(&[0xff, b'a']), "\u{fffd}a");
    }

    #[test]
    fn a_finding_tells_the_most_that_it_knows() {
        assert_eq!(Finding::coded(Outcome::BadStatus, 503, "").to_string(), "status 503");
        assert_eq!(Finding::new(Outcome::Connected, "").to_string(), "L4OK");
        assert_eq!(Finding::bad("too short").to_string(), "too short");
    }
}
