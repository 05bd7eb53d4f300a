//! `multipart/byteranges`: several parts in one answer (RFC 9110 §14.6).

use super::range::{ContentRange, Span};

/// What stands between the parts. It must not occur in the content: long and random is safe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Boundary([u8; 24]);

impl Boundary {
    /// Of random bits.
    pub fn new(random: u128) -> Self {
        const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
        Self(std::array::from_fn(|at| LETTERS[(random >> (5 * at)) as usize & 31]))
    }

    /// The value of Content-Type of the answer.
    pub fn write_content_type(&self, into: &mut Vec<u8>) {
        into.extend_from_slice(b"multipart/byteranges; boundary=");
        into.extend_from_slice(&self.0);
    }

    /// What goes before the bytes of a part.
    pub fn write_head(&self, span: Span, complete: u64, content_type: Option<&[u8]>, into: &mut Vec<u8>) {
        into.extend_from_slice(b"\r\n--");
        into.extend_from_slice(&self.0);
        if let Some(content_type) = content_type {
            into.extend_from_slice(b"\r\nContent-Type: ");
            into.extend_from_slice(content_type);
        }
        into.extend_from_slice(b"\r\nContent-Range: ");
        ContentRange { span, complete: Some(complete) }.write(into);
        into.extend_from_slice(b"\r\n\r\n");
    }

    /// What goes after the last part.
    pub fn write_end(&self, into: &mut Vec<u8>) {
        into.extend_from_slice(b"\r\n--");
        into.extend_from_slice(&self.0);
        into.extend_from_slice(b"--\r\n");
    }

    /// The length of the answer. `scratch` is overwritten.
    pub fn length(&self, spans: &[Span], complete: u64, content_type: Option<&[u8]>, scratch: &mut Vec<u8>) -> u64 {
        scratch.clear();
        let mut length = 0;
        for span in spans {
            self.write_head(*span, complete, content_type, scratch);
            length += span.len();
        }
        self.write_end(scratch);
        length + scratch.len() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_written_and_counted() {
        let boundary = Boundary::new(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef);
        let content = b"0123456789";
        let spans = [Span::new(0, 2), Span::new(8, 10)];
        let mut text = Vec::new();
        for span in spans {
            boundary.write_head(span, 10, Some(b"text/plain"), &mut text);
            text.extend_from_slice(&content[span.start as usize..span.end as usize]);
        }
        boundary.write_end(&mut text);
        assert_eq!(boundary.length(&spans, 10, Some(b"text/plain"), &mut Vec::new()), text.len() as u64);
        let mut kind = Vec::new();
        boundary.write_content_type(&mut kind);
        let kind = String::from_utf8_lossy(&kind).into_owned();
        let mark = kind.strip_prefix("multipart/byteranges; boundary=").unwrap_or_default();
        assert_eq!(mark.len(), 24);
        assert_eq!(
            String::from_utf8_lossy(&text),
            format!(
                "\r\n--{mark}\r\nContent-Type: text/plain\r\nContent-Range: bytes 0-1/10\r\n\r\n01\
                 \r\n--{mark}\r\nContent-Type: text/plain\r\nContent-Range: bytes 8-9/10\r\n\r\n89\r\n--{mark}--\r\n"
            )
        );
        assert_ne!(Boundary::new(1), Boundary::new(2));
    }
}
