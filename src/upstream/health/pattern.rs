//! What an answer must hold.

use regex::bytes::Regex;
use std::fmt;

/// A text that is looked for byte by byte, or a regular expression over bytes.
#[derive(Clone, Debug)]
pub enum Pattern {
    /// This text, anywhere.
    Text(Vec<u8>),
    /// What this matches.
    Regex(Regex),
}

impl Pattern {
    /// Reads `"text"` or `"~regex"`. Fails with what is wrong with the expression.
    pub fn new(text: &str) -> Result<Self, String> {
        match text.strip_prefix('~') {
            Some(regex) => Regex::new(regex).map(Self::Regex).map_err(|error| error.to_string()),
            None => Ok(Self::Text(text.as_bytes().to_vec())),
        }
    }

    /// Where the first match ends.
    pub fn end_in(&self, bytes: &[u8]) -> Option<usize> {
        match self {
            Self::Text(text) => memchr::memmem::find(bytes, text).map(|at| at + text.len()),
            Self::Regex(regex) => regex.find(bytes).map(|found| found.end()),
        }
    }

    /// Whether it is there.
    pub fn is_in(&self, bytes: &[u8]) -> bool {
        self.end_in(bytes).is_some()
    }

    /// The least bytes that could hold it, where that can be told.
    pub fn least(&self) -> usize {
        match self {
            Self::Text(text) => text.len().max(1),
            Self::Regex(_) => 1,
        }
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Text(one), Self::Text(other)) => one == other,
            (Self::Regex(one), Self::Regex(other)) => one.as_str() == other.as_str(),
            _ => false,
        }
    }
}

impl Eq for Pattern {}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(&super::finding::said(text)),
            Self::Regex(regex) => write!(f, "~{regex}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_and_expressions_are_found_in_any_bytes() {
        let text = Pattern::new("+PONG").unwrap();
        assert_eq!(text.end_in(b"\xff+PONG\r\n"), Some(6));
        assert!(!text.is_in(b"+PON"));
        let regex = Pattern::new("~role:(master|primary)\r").unwrap();
        assert!(regex.is_in(b"\xffrole:master\r\n") && !regex.is_in(b"role:slave\r\n"));
        assert!(Pattern::new("~(").is_err());
        assert_ne!(text, regex);
        assert_eq!(regex, Pattern::new("~role:(master|primary)\r").unwrap());
    }
}
