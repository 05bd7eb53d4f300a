//! The field lines of a head, whatever holds them.

/// The field lines of a head, in the order in which they were sent.
pub trait Fields {
    /// Each line: its name in any case, and its value without the whitespace around it.
    fn lines(&self) -> impl Iterator<Item = (&[u8], &[u8])>;

    /// The values of the lines of this name.
    fn values<'f>(&'f self, name: &'f [u8]) -> impl Iterator<Item = &'f [u8]> {
        self.lines().filter(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// The value of the first line of this name.
    fn first<'f>(&'f self, name: &'f [u8]) -> Option<&'f [u8]> {
        self.values(name).next()
    }
}

impl<F: Fields + ?Sized> Fields for &F {
    fn lines(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        (**self).lines()
    }
}

impl Fields for [(&[u8], &[u8])] {
    fn lines(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.iter().copied()
    }
}

impl<const N: usize> Fields for [(&[u8], &[u8]); N] {
    fn lines(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.iter().copied()
    }
}

impl<const N: usize> Fields for [(&str, &str); N] {
    fn lines(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()))
    }
}

/// Field lines as HTTP/1.1 writes them, `Name: value` and CR LF each; a line without a colon is none.
#[derive(Clone, Copy, Debug)]
pub struct Lines<'a>(pub &'a [u8]);

impl Fields for Lines<'_> {
    fn lines(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            loop {
                let end = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
                if rest.is_empty() {
                    return None;
                }
                let line = &rest[..end];
                rest = rest.get(end + 1..).unwrap_or_default();
                if let Some(colon) = memchr::memchr(b':', line) {
                    return Some((&line[..colon], line[colon + 1..].trim_ascii()));
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_text_are_read_and_found_in_any_case() {
        let text = Lines(b"Vary:  a \r\nETag: \"x:y\"\r\nno colon\r\nvARY:b\r\nempty:\r\n\r\n");
        let values: Vec<&[u8]> = text.values(b"vary").collect();
        assert_eq!(values, [&b"a"[..], b"b"]);
        assert_eq!(text.first(b"etag"), Some(&b"\"x:y\""[..]));
        assert_eq!(text.first(b"empty"), Some(&b""[..]));
        assert_eq!(text.lines().count(), 4);
    }
}
