//! Making bytes of strangers fit for a line. Each function appends to `out` and copies runs of harmless bytes whole.

const HEX: &[u8; 16] = b"0123456789abcdef";
const HEX_UPPER: &[u8; 16] = b"0123456789ABCDEF";

/// The inside of a JSON string (RFC 8259 §7). UTF-8 stays as it is, except for control and line- or
/// direction-changing characters; bytes that are not UTF-8 are read as ISO-8859-1.
#[inline]
pub fn json(bytes: &[u8], out: &mut Vec<u8>) {
    match is_json_clean(bytes) {
        true => out.extend_from_slice(bytes),
        false => json_dirty(bytes, out),
    }
}

/// Whether nothing has to be escaped: eight bytes at a time, and the last eight once more in place of the rest.
#[inline]
fn is_json_clean(bytes: &[u8]) -> bool {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGH: u64 = ONES << 7;
    // Each finds its bytes' high bits set, and maybe those above the lowest one found: all are zero or not.
    let dirty = |chunk: &[u8; 8]| {
        let word = u64::from_le_bytes(*chunk);
        let is = |byte: u8| {
            let zero = word ^ (ONES * u64::from(byte));
            zero.wrapping_sub(ONES) & !zero
        };
        let beyond = word | word.wrapping_add(ONES);
        let control = word.wrapping_sub(ONES * 0x20) & !word;
        (beyond | control | is(b'"') | is(b'\\')) & HIGH != 0
    };
    match bytes.last_chunk::<8>() {
        Some(last) => !bytes.as_chunks::<8>().0.iter().any(dirty) && !dirty(last),
        None => bytes.iter().all(|byte| JSON_CLEAN[*byte as usize]),
    }
}

fn json_dirty(bytes: &[u8], out: &mut Vec<u8>) {
    let mut rest = bytes;
    loop {
        let clean = rest.iter().position(|b| !JSON_CLEAN[*b as usize]).unwrap_or(rest.len());
        let (run, after) = rest.split_at(clean);
        out.extend_from_slice(run);
        let Some(first) = after.first() else { return };
        let used = if first.is_ascii() {
            json_escape(*first, out);
            1
        } else {
            json_character(after, out)
        };
        rest = &after[used..];
    }
}

fn json_escape(byte: u8, out: &mut Vec<u8>) {
    match byte {
        b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
        b'\n' => out.extend_from_slice(b"\\n"),
        b'\r' => out.extend_from_slice(b"\\r"),
        b'\t' => out.extend_from_slice(b"\\t"),
        _ => json_code(u32::from(byte), out),
    }
}

/// Writes the character that `bytes` begin with, and says how many bytes it took.
fn json_character(bytes: &[u8], out: &mut Vec<u8>) -> usize {
    let head = &bytes[..bytes.len().min(4)];
    let text = match std::str::from_utf8(head) {
        Ok(text) => text,
        Err(error) => std::str::from_utf8(&head[..error.valid_up_to()]).unwrap_or_default(),
    };
    match text.chars().next() {
        Some(c) if c.is_control() || is_format(c) => {
            json_code(u32::from(c), out);
            c.len_utf8()
        }
        Some(c) => {
            out.extend_from_slice(&head[..c.len_utf8()]);
            c.len_utf8()
        }
        None => {
            json_code(u32::from(bytes[0]), out);
            1
        }
    }
}

/// Characters that begin a new line or turn the direction of text in some viewers.
fn is_format(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn json_code(code: u32, out: &mut Vec<u8>) {
    let digit = |shift: u32| HEX[(code >> shift & 15) as usize];
    out.extend_from_slice(&[b'\\', b'u', digit(12), digit(8), digit(4), digit(0)]);
}

/// As NGINX escapes in its "combined" format: `"`, `\` and all that is not printable ASCII become `\xHH`.
pub fn combined(bytes: &[u8], out: &mut Vec<u8>) {
    runs(bytes, out, |b| matches!(b, b'"' | b'\\'), b"\\x");
}

/// As HAProxy escapes inside quotes ("Non-printable characters" in its manual): `"`, `#` and all that is not printable
/// ASCII become `#HH`.
pub fn haproxy(bytes: &[u8], out: &mut Vec<u8>) {
    runs(bytes, out, |b| matches!(b, b'"' | b'#'), b"#");
}

/// As [`haproxy`], between the braces and bars of captured headers.
pub fn haproxy_capture(bytes: &[u8], out: &mut Vec<u8>) {
    runs(bytes, out, |b| matches!(b, b'"' | b'#' | b'{' | b'|' | b'}'), b"#");
}

/// A name as a field of its own in a line that is split at spaces and slashes.
pub fn field(bytes: &[u8], out: &mut Vec<u8>) {
    runs(bytes, out, |b| matches!(b, b' ' | b'"' | b'#'), b"#");
}

#[inline]
fn runs(bytes: &[u8], out: &mut Vec<u8>, special: impl Fn(u8) -> bool, prefix: &[u8]) {
    let mut rest = bytes;
    let dirty = |b: &u8| !(0x20..0x7f).contains(b) || special(*b);
    while let Some(at) = rest.iter().position(dirty) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(prefix);
        let byte = rest[at];
        out.extend_from_slice(&[HEX_UPPER[usize::from(byte >> 4)], HEX_UPPER[usize::from(byte & 15)]]);
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
}

static JSON_CLEAN: [bool; 256] = {
    let mut clean = [false; 256];
    let mut byte = 0x20;
    while byte < 0x7f {
        clean[byte] = byte != b'"' as usize && byte != b'\\' as usize;
        byte += 1;
    }
    clean
};

#[cfg(test)]
mod tests {
    use super::*;

    fn with(escape: fn(&[u8], &mut Vec<u8>), bytes: &[u8]) -> String {
        let mut out = Vec::new();
        escape(bytes, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn any_bytes_make_valid_json_that_means_them() {
        for first in 0..=255u8 {
            for second in [b'a', 0x80, 0xbf, 0xc3, 0xff, b'"'] {
                let bytes = [first, second];
                let text = format!("\"{}\"", with(json, &bytes));
                let read: String = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{text}: {e}"));
                match std::str::from_utf8(&bytes) {
                    Ok(utf8) => assert_eq!(read, utf8),
                    Err(_) => assert_eq!(read, bytes.iter().map(|b| char::from(*b)).collect::<String>()),
                }
            }
        }
    }

    #[test]
    fn the_quick_look_misses_no_byte_at_any_place() {
        for length in [1, 7, 8, 9, 15, 16, 17, 31] {
            let clean = vec![b'~'; length];
            assert!(is_json_clean(&clean));
            for (place, byte) in (0..length).flat_map(|place| (0..=255u8).map(move |byte| (place, byte))) {
                let mut bytes = clean.clone();
                bytes[place] = byte;
                assert_eq!(is_json_clean(&bytes), JSON_CLEAN[usize::from(byte)], "{byte} at {place} of {length}");
            }
        }
        assert!(is_json_clean(b""));
    }

    #[test]
    fn utf8_stays_readable_and_a_cut_character_is_not_read_beyond_the_end() {
        assert_eq!(with(json, "né 漢字 🦀".as_bytes()), "né 漢字 🦀");
        assert_eq!(with(json, &"🦀".as_bytes()[..3]), "\\u00f0\\u009f\\u00a6");
        assert_eq!(with(json, "a\u{202e}b\u{85}".as_bytes()), "a\\u202eb\\u0085");
    }

    #[test]
    fn quoted_fields_cannot_be_left() {
        assert_eq!(with(combined, b"a\"b\\c\nd\xff"), "a\\x22b\\x5Cc\\x0Ad\\xFF");
        assert_eq!(with(haproxy, b"a\"b#c\x1bd e"), "a#22b#23c#1Bd e");
        assert_eq!(with(field, b"a b"), "a#20b");
    }
}
