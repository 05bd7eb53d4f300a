//! The cookies of sessions and logins: made, found, and taken away again.
//!
//! What always holds: over TLS they are `__Host-` cookies, which no other host and nothing in clear can set; scripts read none; other
//! sites' requests bring none along, but for links that are followed. A value that is longer than a cookie may be is in several, and one that
//! is longer than these is refused.

use crate::gateway::{Place, Request};
use std::fmt::Write;

/// The longest value of one cookie, so that with its name and attributes it stays below 4 KiB.
const PIECE: usize = 3600;
/// As many pieces as a value may have.
pub(super) const PIECES: usize = 4;

/// A name of cookies.
#[derive(Clone, Debug)]
pub(super) struct Jar {
    name: Box<str>,
}

impl Jar {
    pub(super) fn new(name: &str) -> Self {
        Self { name: name.into() }
    }

    /// The name of a piece, for a scheme.
    pub(super) fn name(&self, secure: bool, piece: usize) -> String {
        let prefix = if secure { "__Host-" } else { "" };
        match piece {
            0 => format!("{prefix}{}", self.name),
            _ => format!("{prefix}{}.{piece}", self.name),
        }
    }

    /// What a request has of a value; `None`: nothing, or something twice.
    pub(super) fn find(&self, request: &dyn Request) -> Option<Vec<u8>> {
        let secure = request.scheme() == "https";
        let mut whole = Vec::new();
        for piece in 0..PIECES {
            let place = Place::Cookie(self.name(secure, piece).into());
            match place.find(request) {
                (1, Some(value)) => whole.extend_from_slice(&value),
                (0, _) => break,
                _ => return None,
            }
        }
        (!whole.is_empty()).then_some(whole)
    }

    /// The lines that give a value to the browser to keep, for so many seconds; `None`: it is too long. Pieces of a longer one go.
    pub(super) fn set(&self, secure: bool, value: &str, seconds: u64) -> Option<String> {
        if value.len() > PIECE * PIECES {
            return None;
        }
        let mut lines = String::new();
        let mut rest = value;
        for piece in 0..PIECES {
            let (own, more) = rest.split_at_checked(PIECE.min(rest.len()))?;
            let age = if own.is_empty() { 0 } else { seconds };
            self.line(&mut lines, secure, piece, (own, age));
            rest = more;
        }
        Some(lines)
    }

    /// The lines that take it away.
    pub(super) fn clear(&self, secure: bool) -> String {
        let mut lines = String::new();
        (0..PIECES).for_each(|piece| self.line(&mut lines, secure, piece, ("", 0)));
        lines
    }

    /// The line that does the same to a value that is in one piece.
    pub(super) fn clear_one(&self, secure: bool) -> String {
        let mut lines = String::new();
        self.line(&mut lines, secure, 0, ("", 0));
        lines
    }

    /// The line that gives a short value.
    pub(super) fn set_one(&self, secure: bool, value: &str, seconds: u64) -> Option<String> {
        let mut lines = String::new();
        self.line(&mut lines, secure, 0, (value, seconds));
        (value.len() <= PIECE).then_some(lines)
    }

    fn line(&self, out: &mut String, secure: bool, piece: usize, (value, seconds): (&str, u64)) {
        let name = self.name(secure, piece);
        let secure = if secure { "; Secure" } else { "" };
        // A string takes everything.
        let _ =
            write!(out, "Set-Cookie: {name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}\r\n");
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::sent::Sent;
    use super::*;

    fn found(jar: &Jar, cookies: &str) -> Option<Vec<u8>> {
        jar.find(&Sent { scheme: "https", ..Sent::with(&[("cookie", cookies)]) })
    }

    fn kept(lines: &str) -> String {
        let cookies = lines.lines().filter(|line| !line.contains("Max-Age=0"));
        let pairs = cookies.map(|line| line.split_once(": ").unwrap().1.split(';').next().unwrap());
        pairs.collect::<Vec<_>>().join("; ")
    }

    #[test]
    fn a_value_comes_back_whole_in_as_many_cookies_as_it_needs() {
        let jar = Jar::new("s");
        for (length, pieces) in [(1, 1), (PIECE, 1), (PIECE + 1, 2), (PIECE * PIECES, PIECES)] {
            let value: String = (0..length).map(|at| char::from(b'a' + (at % 26) as u8)).collect();
            let lines = jar.set(true, &value, 60).unwrap();
            assert!(
                lines.lines().all(|line| line.len() < 4096 && line.starts_with("Set-Cookie: __Host-s")),
                "{length}"
            );
            assert_eq!(lines.matches("Max-Age=60").count(), pieces);
            assert_eq!(found(&jar, &kept(&lines)).as_deref(), Some(value.as_bytes()), "{length}");
        }
        assert_eq!(jar.set(true, &"a".repeat(PIECE * PIECES + 1), 60), None);
        assert_eq!(found(&jar, "__Host-s=a; __Host-s=b"), None, "two are one too many");
        assert_eq!(found(&jar, "s=a; __Host-s.1=b"), None);
        let line = jar.set_one(true, "v", 60).unwrap();
        assert_eq!(line, "Set-Cookie: __Host-s=v; Path=/; Max-Age=60; HttpOnly; SameSite=Lax; Secure\r\n");
        assert!(
            !jar.set(false, "v", 60).unwrap().contains("Secure")
                && jar.clear(true).matches("Max-Age=0").count() == PIECES
        );
    }
}
