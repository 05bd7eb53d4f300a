//! Protocol buffers' wire format, as far as spans need it: written straight from what is borrowed, without a message in
//! between, for which the libraries of the field want a copy of every text.

/// Appends fields to a message.
#[derive(Debug)]
pub struct Writer<'a>(&'a mut Vec<u8>);

const VARINT: u64 = 0;
const FIXED64: u64 = 1;
const LENGTH: u64 = 2;
const FIXED32: u64 = 5;

impl<'a> Writer<'a> {
    /// Appends to `out`.
    pub fn new(out: &'a mut Vec<u8>) -> Self {
        Self(out)
    }

    /// A `uint64`, `int64` that is not negative, `bool` or enumeration.
    pub fn number(&mut self, field: u32, value: u64) {
        self.key(field, VARINT);
        self.varint(value);
    }

    /// A `fixed64`.
    pub fn fixed64(&mut self, field: u32, value: u64) {
        self.key(field, FIXED64);
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    /// A `fixed32`.
    pub fn fixed32(&mut self, field: u32, value: u32) {
        self.key(field, FIXED32);
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    /// A `bytes`.
    pub fn bytes(&mut self, field: u32, value: &[u8]) {
        self.key(field, LENGTH);
        self.varint(value.len() as u64);
        self.0.extend_from_slice(value);
    }

    /// A `string` of at most `limit` bytes; what is beyond is left out. A string must be UTF-8, or a reader refuses the whole
    /// message; bytes that are not are shown as if they were ISO-8859-1.
    pub fn text(&mut self, field: u32, value: &[u8], limit: usize) {
        match std::str::from_utf8(value) {
            Ok(text) => self.bytes(field, &text.as_bytes()[..text.floor_char_boundary(limit)]),
            Err(_) => self.message(field, |out| {
                let start = out.0.len();
                for byte in value {
                    let mut room = [0; 2];
                    let char = char::from(*byte).encode_utf8(&mut room).as_bytes();
                    if out.0.len() - start + char.len() > limit {
                        break;
                    }
                    out.0.extend_from_slice(char);
                }
            }),
        }
    }

    /// A message, of the fields that `fill` writes.
    pub fn message(&mut self, field: u32, fill: impl FnOnce(&mut Writer<'_>)) {
        self.key(field, LENGTH);
        // Most are short: the length goes where it will be, and only what is longer moves for it.
        let at = self.0.len();
        self.0.push(0);
        fill(&mut Writer(self.0));
        let length = self.0.len() - at - 1;
        if let Ok(short @ 0..128) = u8::try_from(length) {
            self.0[at] = short;
            return;
        }
        let end = self.0.len();
        self.varint(length as u64);
        let (written, mut room) = (self.0.len() - end, [0; 10]);
        room[..written].copy_from_slice(&self.0[end..]);
        self.0.truncate(end);
        self.0.splice(at..=at, room[..written].iter().copied());
    }

    /// An OTLP `KeyValue` with a string, of at most `limit` bytes.
    pub fn attribute(&mut self, field: u32, key: &str, value: &[u8], limit: usize) {
        self.message(field, |out| {
            out.bytes(1, key.as_bytes());
            out.message(2, |out| out.text(1, value, limit));
        });
    }

    /// Bytes as they are: of a string that is made of several parts, or fields that were written before.
    pub fn raw(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    fn key(&mut self, field: u32, kind: u64) {
        self.varint(u64::from(field) << 3 | kind);
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
}

/// The value of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// Any kind of number.
    Number(u64),
    /// A `bytes`, `string` or message.
    Bytes(&'a [u8]),
}

/// The fields of a message, up to the first that makes no sense.
pub fn fields(mut message: &[u8]) -> impl Iterator<Item = (u64, Value<'_>)> {
    std::iter::from_fn(move || {
        let key = take_varint(&mut message)?;
        let value = match key & 7 {
            VARINT => Value::Number(take_varint(&mut message)?),
            FIXED64 => Value::Number(u64::from_le_bytes(*message.split_off(..8)?.as_array()?)),
            FIXED32 => Value::Number(u32::from_le_bytes(*message.split_off(..4)?.as_array()?).into()),
            LENGTH => {
                let length = usize::try_from(take_varint(&mut message)?).ok()?;
                Value::Bytes(message.split_off(..length)?)
            }
            _ => return None,
        };
        Some((key >> 3, value))
    })
}

fn take_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = *bytes.split_off_first()?;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Writer<'_>)) -> Vec<u8> {
        let mut out = Vec::new();
        write(&mut Writer::new(&mut out));
        out
    }

    #[test]
    fn fields_are_as_the_encoding_guide_shows_them() {
        assert_eq!(written(|out| out.number(1, 150)), [0x08, 0x96, 0x01]);
        assert_eq!(written(|out| out.text(2, b"testing", 99)), *b"\x12\x07testing");
        assert_eq!(written(|out| out.message(3, |out| out.number(1, 150))), [0x1a, 0x03, 0x08, 0x96, 0x01]);
        assert_eq!(written(|out| out.fixed32(16, 1)), [0x85, 0x01, 1, 0, 0, 0]);
        assert_eq!(written(|out| out.fixed64(7, 2)), [0x39, 2, 0, 0, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn what_is_written_is_read_and_garbage_ends_it() {
        let bytes = written(|out| {
            out.number(1, u64::MAX);
            out.fixed64(2, 3);
            out.fixed32(3, 4);
            out.bytes(4, b"ab");
        });
        use Value::{Bytes, Number};
        let all = [(1, Number(u64::MAX)), (2, Number(3)), (3, Number(4)), (4, Bytes(b"ab"))];
        assert_eq!(fields(&bytes).collect::<Vec<_>>(), all);
        let mut random = fastrand::Rng::with_seed(5);
        for cut in 0..bytes.len() {
            assert!(fields(&bytes[..cut]).count() <= all.len());
            let noise: Vec<u8> = std::iter::repeat_with(|| random.u8(..)).take(cut * 9).collect();
            assert!(fields(&noise).count() <= noise.len());
        }
    }

    #[test]
    fn a_long_message_has_its_whole_length_before_it() {
        for length in [0usize, 127, 128, 300, 16_383, 16_384, 70_000] {
            let long = written(|out| out.message(1, |out| out.0.resize(out.0.len() + length, b'x')));
            let flat = written(|out| out.bytes(1, &vec![b'x'; length]));
            assert!(long == flat, "{length}");
        }
    }

    #[test]
    fn a_text_is_utf_8_whatever_came_in_and_has_its_limit() {
        let text = |value: &[u8], limit| written(|out| out.text(1, value, limit)).split_off(2);
        assert_eq!(text("aé".as_bytes(), 2), b"a", "no character is cut in two");
        assert_eq!(text(b"a\xff\xfe", 99), "aÿþ".as_bytes());
        assert_eq!(text(b"a\xff\xfe", 4), "aÿ".as_bytes());
    }
}
