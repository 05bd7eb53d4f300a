//! Writes fields without state: none of them is stored by the peer, and none is Huffman-coded. Both would save bytes and
//! cost time.

/// Opens the first block that is sent: the size of our table is 0 (RFC 7541 §4.2).
pub(in crate::http::h2) const NO_TABLE: u8 = 0x20;

/// Bits before an index that stands for a whole field (RFC 7541 §6.1).
const INDEXED: u8 = 0x80;
/// Bits before the index of a name whose value follows, for nobody to store (RFC 7541 §6.2.2).
const LITERAL: u8 = 0x00;
/// The same, and nobody on the way may ever store it (RFC 7541 §6.2.3): what is secret must not be guessed by the size that
/// it is compressed to (RFC 7541 §7.1).
const SECRET: u8 = 0x10;

/// Appends `:status`, which has three digits.
pub(in crate::http::h2) fn push_status(out: &mut Vec<u8>, status: u16) {
    let index = match status {
        200 => 8,
        204 => 9,
        206 => 10,
        304 => 11,
        400 => 12,
        404 => 13,
        500 => 14,
        _ => {
            let digit = |unit| b'0' + (status / unit % 10) as u8;
            return out.extend_from_slice(&[LITERAL | 8, 3, digit(100), digit(10), digit(1)]);
        }
    };
    out.push(INDEXED | index);
}

/// Appends a field. `name` is in lower case already.
pub(in crate::http::h2) fn push_field(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    let index = index(name);
    if let Some(index) = whole(index, value) {
        return out.push(INDEXED | index);
    }
    let pattern = if matches!(index, 23 | 32 | 49 | 55) { SECRET } else { LITERAL };
    push_integer(out, pattern, 0x0f, usize::from(index));
    if index == 0 {
        push_text(out, name);
    }
    push_text(out, value);
}

fn push_text(out: &mut Vec<u8>, text: &[u8]) {
    push_integer(out, 0, 0x7f, text.len());
    out.extend_from_slice(text);
}

/// Appends an integer whose first byte has `pattern` where `mask` has no bits (RFC 7541 §5.1).
#[inline]
fn push_integer(out: &mut Vec<u8>, pattern: u8, mask: u8, value: usize) {
    let Some(mut rest) = value.checked_sub(usize::from(mask)) else { return out.push(pattern | value as u8) };
    out.push(pattern | mask);
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

/// The index of the field whose name has the first index `name`, if the static table has it with this value.
#[inline]
fn whole(name: u8, value: &[u8]) -> Option<u8> {
    match (name, value) {
        (0, _) => None,
        (2, b"GET") => Some(2),
        (2, b"POST") => Some(3),
        (4, b"/") => Some(4),
        (4, b"/index.html") => Some(5),
        (6, b"http") => Some(6),
        (6, b"https") => Some(7),
        (8, b"200") => Some(8),
        (8, b"204") => Some(9),
        (8, b"206") => Some(10),
        (8, b"304") => Some(11),
        (8, b"400") => Some(12),
        (8, b"404") => Some(13),
        (8, b"500") => Some(14),
        (16, b"gzip, deflate") => Some(16),
        (2 | 4 | 6 | 8 | 16, _) => None,
        (_, b"") => Some(name),
        _ => None,
    }
}

/// The first index with this name in the static table; 0 if there is none.
fn index(name: &[u8]) -> u8 {
    match name {
        b":authority" => 1,
        b":method" => 2,
        b":path" => 4,
        b":scheme" => 6,
        b":status" => 8,
        b"accept-charset" => 15,
        b"accept-encoding" => 16,
        b"accept-language" => 17,
        b"accept-ranges" => 18,
        b"accept" => 19,
        b"access-control-allow-origin" => 20,
        b"age" => 21,
        b"allow" => 22,
        b"authorization" => 23,
        b"cache-control" => 24,
        b"content-disposition" => 25,
        b"content-encoding" => 26,
        b"content-language" => 27,
        b"content-length" => 28,
        b"content-location" => 29,
        b"content-range" => 30,
        b"content-type" => 31,
        b"cookie" => 32,
        b"date" => 33,
        b"etag" => 34,
        b"expect" => 35,
        b"expires" => 36,
        b"from" => 37,
        b"host" => 38,
        b"if-match" => 39,
        b"if-modified-since" => 40,
        b"if-none-match" => 41,
        b"if-range" => 42,
        b"if-unmodified-since" => 43,
        b"last-modified" => 44,
        b"link" => 45,
        b"location" => 46,
        b"max-forwards" => 47,
        b"proxy-authenticate" => 48,
        b"proxy-authorization" => 49,
        b"range" => 50,
        b"referer" => 51,
        b"refresh" => 52,
        b"retry-after" => 53,
        b"server" => 54,
        b"set-cookie" => 55,
        b"strict-transport-security" => 56,
        b"transfer-encoding" => 57,
        b"user-agent" => 58,
        b"vary" => 59,
        b"via" => 60,
        b"www-authenticate" => 61,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::super::table::STATIC;
    use super::super::tests::hex;
    use super::*;

    fn field(name: &str, value: &str) -> Vec<u8> {
        let mut out = Vec::new();
        push_field(&mut out, name.as_bytes(), value.as_bytes());
        out
    }

    #[test]
    fn what_the_static_table_has_is_one_byte() {
        for (at, (name, value)) in STATIC.iter().enumerate() {
            let mut out = Vec::new();
            push_field(&mut out, name, value);
            assert_eq!(out, [0x81 + at as u8]);
            let first = STATIC.iter().position(|(other, _)| other == name).unwrap();
            assert_eq!(usize::from(index(name)), first + 1);
        }
    }

    #[test]
    fn anything_else_is_a_literal() {
        assert_eq!(field(":path", "/sample/path"), hex("040c 2f73 616d 706c 652f 7061 7468"));
        assert_eq!(field(":method", ""), hex("0200"));
        assert_eq!(field("age", "7"), hex("0f06 0137"));
        assert_eq!(field("a", "b"), hex("0001 6101 62"));
        assert_eq!(field("", ""), hex("0000 00"));
    }

    #[test]
    fn secrets_are_never_stored() {
        assert_eq!(field("authorization", "x"), hex("1f08 0178"));
        assert_eq!(field("cookie", "x"), hex("1f11 0178"));
        assert_eq!(field("proxy-authorization", "x"), hex("1f22 0178"));
        assert_eq!(field("set-cookie", "x"), hex("1f28 0178"));
    }

    #[test]
    fn a_status_is_the_field_that_it_is() {
        for status in 100..1000 {
            let mut out = Vec::new();
            push_status(&mut out, status);
            assert_eq!(out, field(":status", &status.to_string()));
        }
    }

    #[test]
    fn integers_of_appendix_c_1() {
        for (mask, value, bytes) in [(0x1f, 10, "0a"), (0x1f, 1337, "1f9a 0a"), (0xff, 42, "2a"), (0x7f, 127, "7f00")] {
            let mut out = Vec::new();
            push_integer(&mut out, 0, mask, value);
            assert_eq!(out, hex(bytes));
        }
    }
}
