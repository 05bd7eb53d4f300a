//! A text of JSON (RFC 8259 §7) in its quotes: read piece by piece, taken out of its escapes, and written.

use super::Fault;

/// How far a text has been read, behind the quote that opens it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Text {
    /// Between characters.
    #[default]
    Plain,
    /// Behind a backslash.
    Escape,
    /// In `\u`, with so many digits to come.
    Digits(u8),
    /// In a character of UTF-8, with so many bytes to come, of which the next lies within these (RFC 3629 §4).
    Within(u8, u8, u8),
}

impl Text {
    /// Reads on. Returns how many bytes belong to it, and whether its closing quote is the last of them.
    pub(super) fn read(&mut self, bytes: &[u8]) -> Result<(usize, bool), Fault> {
        for (at, &byte) in bytes.iter().enumerate() {
            *self = match *self {
                Self::Plain => match byte {
                    b'"' => return Ok((at + 1, true)),
                    b'\\' => Self::Escape,
                    ..0x20 => return Err(Fault::Syntax),
                    0x20..0x80 => continue,
                    0xC2..=0xDF => Self::Within(1, 0x80, 0xBF),
                    0xE0 => Self::Within(2, 0xA0, 0xBF),
                    0xED => Self::Within(2, 0x80, 0x9F),
                    0xE1..=0xEF => Self::Within(2, 0x80, 0xBF),
                    0xF0 => Self::Within(3, 0x90, 0xBF),
                    0xF1..=0xF3 => Self::Within(3, 0x80, 0xBF),
                    0xF4 => Self::Within(3, 0x80, 0x8F),
                    _ => return Err(Fault::Utf8),
                },
                Self::Escape => match byte {
                    b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Self::Plain,
                    b'u' => Self::Digits(4),
                    _ => return Err(Fault::Syntax),
                },
                Self::Digits(left) if byte.is_ascii_hexdigit() => match left {
                    1 => Self::Plain,
                    _ => Self::Digits(left - 1),
                },
                Self::Digits(_) => return Err(Fault::Syntax),
                Self::Within(left, low, high) if (low..=high).contains(&byte) => match left {
                    1 => Self::Plain,
                    _ => Self::Within(left - 1, 0x80, 0xBF),
                },
                Self::Within(..) => return Err(Fault::Utf8),
            };
        }
        Ok((bytes.len(), false))
    }
}

/// Puts what a text in its quotes says into `out`. False: half of a pair of surrogates stands in it, which no text says.
pub(super) fn unescape(quoted: &[u8], out: &mut Vec<u8>) -> bool {
    out.clear();
    let mut rest = quoted.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")).unwrap_or_default();
    while let Some((&first, after)) = rest.split_first() {
        if first != b'\\' {
            out.push(first);
            rest = after;
            continue;
        }
        let Some((&kind, after)) = after.split_first() else { return false };
        rest = after;
        let plain = match kind {
            b'b' => 0x08,
            b'f' => 0x0C,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => {
                let Some((said, behind)) = character(after) else { return false };
                rest = behind;
                out.extend_from_slice(said.encode_utf8(&mut [0; 4]).as_bytes());
                continue;
            }
            other => other,
        };
        out.push(plain);
    }
    true
}

/// The character that four digits stand for, or eight with another `\u` between, and what is behind them.
fn character(digits: &[u8]) -> Option<(char, &[u8])> {
    let (high, rest) = unit(digits)?;
    if let Some(said) = char::from_u32(high) {
        return Some((said, rest));
    }
    let (low, rest) = unit(rest.strip_prefix(b"\\u")?)?;
    let pair = (0xD800..0xDC00).contains(&high) && (0xDC00..0xE000).contains(&low);
    let said = char::from_u32(0x10000 + ((high & 0x3FF) << 10) + (low & 0x3FF)).filter(|_| pair)?;
    Some((said, rest))
}

fn unit(digits: &[u8]) -> Option<(u32, &[u8])> {
    let (four, rest) = digits.split_at_checked(4)?;
    Some((u32::from_str_radix(std::str::from_utf8(four).ok()?, 16).ok()?, rest))
}

/// Writes a text in its quotes. Bytes that are no UTF-8 become U+FFFD.
pub fn push_text(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    for chunk in text.utf8_chunks() {
        for &byte in chunk.valid().as_bytes() {
            match byte {
                b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
                ..0x20 => {
                    let digit = |half: u8| char::from_digit(half.into(), 16).map_or(b'0', |digit| digit as u8);
                    out.extend_from_slice(&[b'\\', b'u', b'0', b'0', digit(byte >> 4), digit(byte & 15)]);
                }
                _ => out.push(byte),
            }
        }
        if !chunk.invalid().is_empty() {
            out.extend_from_slice("\u{FFFD}".as_bytes());
        }
    }
    out.push(b'"');
}
