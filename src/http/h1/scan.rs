//! Finding the end of a head that arrives in pieces, and the line structure that requests and responses share.
//!
//! `httparse` splits the lines and checks each byte; it also takes a bare LF for a line end, which is why every line end is
//! looked at again here.

use crate::http::head::{Field, Name, Span};

/// The largest number of fields that any limit can allow.
pub const MAX_FIELDS: usize = 256;

/// What a head may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes, from the first line to the empty line.
    pub head: usize,
    /// Field lines, at most [`MAX_FIELDS`].
    pub fields: usize,
}

/// How far a head has been looked at, so that a peer who sends it byte by byte costs no more than its length twice over.
/// One is kept for as long as the bytes of one head grow; a new head begins with `Scan::default()`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Scan {
    searched: usize,
    parse_at: usize,
}

impl Scan {
    /// Below this length a head is parsed anew with every piece: faults are seen at once, and it costs next to nothing.
    const SMALL: usize = 512;

    /// Whether parsing `bytes` may bring news: the head is complete, or has doubled since it was last parsed.
    #[inline]
    pub(super) fn is_due(&mut self, bytes: &[u8]) -> bool {
        if bytes.len() >= self.parse_at {
            return true;
        }
        let from = self.searched.saturating_sub(3);
        self.searched = bytes.len();
        bytes.get(from..).is_some_and(has_empty_line)
    }

    /// Notes that `bytes` were parsed and that the head is not complete.
    pub(super) fn parsed(&mut self, bytes: &[u8]) {
        self.searched = bytes.len();
        self.parse_at = if bytes.len() < Self::SMALL { 0 } else { bytes.len() * 2 };
    }
}

fn has_empty_line(bytes: &[u8]) -> bool {
    memchr::memchr_iter(b'\n', bytes).any(|at| matches!(bytes[at + 1..], [b'\n', ..] | [b'\r', b'\n', ..]))
}

/// A parse that may have to wait for more bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parsed<T> {
    /// The head is not complete, and nothing in it is wrong so far.
    Partial {
        /// Whether more than empty lines has come.
        begun: bool,
    },
    /// The head is complete.
    Complete(T),
}

/// Which line ends count.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum LineEnds {
    /// CRLF alone.
    Strict,
    /// A bare LF too (RFC 9112 §2.2 lets a recipient choose): from targets, whose heads are written anew.
    Lenient,
}

/// Where the line that `from` lies in ends, if only blanks are left of it: the offset of the next line.
#[inline]
pub(super) fn next_line(text: &[u8], from: usize, ends: LineEnds) -> Option<usize> {
    match text.get(from..)? {
        [b'\r', b'\n', ..] => Some(from + 2),
        rest => skip_blanks(rest, ends).map(|skipped| from + skipped),
    }
}

#[cold]
fn skip_blanks(rest: &[u8], ends: LineEnds) -> Option<usize> {
    let blanks = rest.iter().take_while(|&&byte| byte == b' ' || byte == b'\t').count();
    match rest[blanks..] {
        [b'\r', b'\n', ..] => Some(blanks + 2),
        [b'\n', ..] if ends == LineEnds::Lenient => Some(blanks + 1),
        _ => None,
    }
}

/// Adds the parsed field lines, of which the first begins at `line`, to `fields`, and checks each line's end. The empty
/// line must end at `head_end`. `None` if a line ends in another way than `ends` allows.
#[inline]
pub(super) fn collect(
    text: &[u8],
    lines: &[httparse::Header<'_>],
    mut line: usize,
    head_end: usize,
    ends: LineEnds,
    fields: &mut Vec<Field>,
) -> Option<()> {
    fields.reserve(lines.len());
    for field in lines {
        let name = span_in(text, field.name.as_bytes());
        let value = span_in(text, field.value);
        debug_assert_eq!(name.start as usize, line);
        line = next_line(text, value.end as usize, ends)?;
        fields.push(Field { name, value, kind: Name::of(field.name.as_bytes()) });
    }
    (next_line(text, line, ends)? == head_end).then_some(())
}

/// The span of `part`, a slice of `text`; empty if it is none.
#[inline]
pub(super) fn span_in(text: &[u8], part: &[u8]) -> Span {
    let start = (part.as_ptr() as usize).wrapping_sub(text.as_ptr() as usize);
    if start > text.len() || part.len() > text.len() - start {
        return Span::EMPTY;
    }
    Span::new(start, start + part.len())
}

/// Says what is wrong with the field lines of a head that httparse refused. Slow: it runs once per refused head.
#[cold]
pub(super) fn explain_lines(lines: &[u8], ends: LineEnds) -> &'static str {
    for line in lines.split_inclusive(|&byte| byte == b'\n') {
        let content = match line {
            [content @ .., b'\r', b'\n'] => content,
            [content @ .., b'\n'] if ends == LineEnds::Lenient => content,
            [content @ .., b'\n'] if !content.contains(&b'\r') => return "bare-lf",
            content => content,
        };
        if content.is_empty() {
            break;
        }
        if matches!(content[0], b' ' | b'\t') {
            return "obs-fold";
        }
        if let Some(fault) = explain_line(content) {
            return fault;
        }
    }
    "bad-field-line"
}

/// Says what is wrong with one field line without its end, if anything is.
pub(super) fn explain_line(line: &[u8]) -> Option<&'static str> {
    let Some(colon) = line.iter().position(|&byte| byte == b':') else {
        return Some(if line.contains(&b'\r') { "bare-cr" } else { "field-without-colon" });
    };
    let (name, value) = (&line[..colon], &line[colon + 1..]);
    if name.is_empty() {
        return Some("empty-field-name");
    }
    if matches!(name.last(), Some(b' ' | b'\t')) {
        return Some("space-before-colon");
    }
    if !is_token(name) {
        return Some("bad-field-name");
    }
    value.iter().find(|&&byte| (byte < b' ' && byte != b'\t') || byte == 0x7f).map(|byte| match byte {
        b'\r' => "bare-cr",
        0 => "nul",
        _ => "control-in-value",
    })
}

/// Whether `bytes` is a token (RFC 9110 §5.6.2).
pub(super) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty()
        && bytes.iter().all(|byte| {
            byte.is_ascii_alphanumeric()
                || matches!(byte, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'^'..=b'`' | b'|' | b'~')
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dribbled_head_is_parsed_a_few_times_only() {
        let mut head = b"GET / HTTP/1.1\r\n".to_vec();
        while head.len() < 30_000 {
            head.extend_from_slice(b"X-Some-Field: with some value\r\n");
        }
        head.extend_from_slice(b"\r\n");
        let mut scan = Scan::default();
        let mut parses = 0;
        for end in 1..head.len() {
            if scan.is_due(&head[..end]) {
                parses += usize::from(end >= Scan::SMALL);
                scan.parsed(&head[..end]);
            }
        }
        assert!(parses < 10, "{parses}");
        assert!(scan.is_due(&head), "the last byte completes it");
    }

    #[test]
    fn the_empty_line_is_found_across_any_split() {
        let head = [b"GET / HTTP/1.1\r\nX: ".as_slice(), &[b'a'; 700], b"\r\n\r\n"].concat();
        for cut in 600..head.len() {
            let mut scan = Scan::default();
            scan.parsed(&head[..cut]);
            assert!(scan.is_due(&head), "{cut}");
        }
    }

    #[test]
    fn tokens_are_what_the_rfc_lists() {
        let allowed: Vec<u8> = (0..=255).filter(|&byte| is_token(&[byte])).collect();
        assert_eq!(allowed.len(), 77);
        assert!(allowed.iter().filter(|byte| !byte.is_ascii_alphanumeric()).eq(b"!#$%&'*+-.^_`|~"));
    }
}
