//! What a client sends to prove itself: `Authorization: Basic` (RFC 7617 §2).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::fmt;
use std::str;

/// A user's name and password, as they were sent.
#[derive(PartialEq, Eq)]
pub struct Sent {
    bytes: Vec<u8>,
    /// Where the colon is.
    colon: usize,
}

/// Why there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unread {
    /// Another scheme.
    Other,
    /// Not what the scheme has.
    Malformed,
}

/// The longest that is read, in base64.
const LONGEST: usize = 1024;

impl Sent {
    /// Reads the value of `Authorization`.
    ///
    /// # Errors
    /// Why it has none.
    pub fn read(value: &[u8]) -> Result<Self, Unread> {
        let value = value.trim_ascii();
        let end = value.iter().position(|&byte| byte == b' ').unwrap_or(value.len());
        let (scheme, rest) = value.split_at(end);
        if !scheme.eq_ignore_ascii_case(b"basic") {
            return Err(Unread::Other);
        }
        let text = rest.trim_ascii();
        if text.len() > LONGEST {
            return Err(Unread::Malformed);
        }
        let bytes = STANDARD.decode(text).map_err(|_| Unread::Malformed)?;
        let colon = bytes.iter().position(|&byte| byte == b':').ok_or(Unread::Malformed)?;
        let is_text = str::from_utf8(&bytes).is_ok() && !bytes.iter().any(u8::is_ascii_control);
        if is_text { Ok(Self { bytes, colon }) } else { Err(Unread::Malformed) }
    }

    /// The user's name.
    pub fn user(&self) -> &str {
        str::from_utf8(&self.bytes[..self.colon]).unwrap_or_default()
    }

    /// The password.
    pub fn password(&self) -> &[u8] {
        &self.bytes[self.colon + 1..]
    }
}

impl fmt::Debug for Sent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sent(secret)")
    }
}
