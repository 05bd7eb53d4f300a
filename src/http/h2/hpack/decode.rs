//! Reads blocks of fields.
//!
//! Nothing is copied but what is Huffman-coded, which is decoded to a place that is kept, and what the peer has stored in
//! the table.

use super::table::{Entry, Table};
use super::{Broken, huffman};

/// The largest integer that is read. Nothing that is meant is larger, and no sum of two overflows.
const MOST: u64 = 1 << 28;
/// What a place for decoded strings has at least.
const ROOM: usize = 256;
/// What is kept of it from one block to the next.
const KEPT: usize = 8 << 10;

/// What is known of a peer that compresses.
pub(in crate::http::h2) struct Decoder {
    table: Table,
    /// What the peer may make of the table.
    limit: usize,
    /// The place for decoded strings. Its length is all of it.
    scratch: Vec<u8>,
}

impl Decoder {
    /// `limit`: our SETTINGS_HEADER_TABLE_SIZE.
    ///
    /// The table has the size that a peer begins with, whatever the limit: a peer that has to make it smaller says so when it
    /// has seen our settings.
    pub(in crate::http::h2) fn new(limit: usize) -> Self {
        Self { table: Table::default(), limit, scratch: Vec::new() }
    }

    /// Reads a complete field block and calls `field(name, value)` for each field, in order. How many bytes that makes is for
    /// `field` to watch: a block of one byte can stand for all that the table holds.
    pub(in crate::http::h2) fn decode(
        &mut self,
        block: &[u8],
        mut field: impl FnMut(&[u8], &[u8]),
    ) -> Result<(), Broken> {
        let mut input = block;
        self.resize(&mut input)?;
        while let Some(&first) = input.first() {
            if first >= 0x80 {
                let (name, value) = self.table.get(integer(&mut input, 0x7f)?)?;
                field(name, value);
                continue;
            }
            let stored = first >= 0x40;
            let index = match first {
                0x40.. => integer(&mut input, 0x3f)?,
                // A size may change only before all fields (RFC 7541 §4.2).
                0x20.. => return Err(Broken),
                // Whether it may be stored by others is no matter here: what goes on is written anew.
                _ => integer(&mut input, 0x0f)?,
            };
            let name = if index == 0 { Some(Text::read(&mut input)?) } else { None };
            let value = Text::read(&mut input)?;
            let rooms = (name.as_ref().map_or(0, Text::room), value.room());
            let (left, right) = halves(&mut self.scratch, rooms);
            let name = match name {
                Some(name) => name.decode(left)?,
                None => self.table.get(index)?.0,
            };
            let value = value.decode(right)?;
            field(name, value);
            if stored {
                // It is copied first: the name may be that of an entry which has to go for it.
                let entry = Entry::new(name, value);
                self.table.insert(entry);
            }
        }
        if self.scratch.len() > KEPT {
            self.scratch = Vec::new();
        }
        Ok(())
    }

    /// Takes the sizes that a block begins with. There are two where the table was smaller for a while; no peer has a use
    /// for more (RFC 7541 §4.2), and the third one is found where a field should be.
    fn resize(&mut self, input: &mut &[u8]) -> Result<(), Broken> {
        for _ in 0..2 {
            if !matches!(input.first(), Some(0x20..0x40)) {
                break;
            }
            let capacity = integer(input, 0x1f)?;
            if capacity > self.limit {
                return Err(Broken);
            }
            self.table.resize(capacity);
        }
        Ok(())
    }
}

/// Two places of these sizes, or larger ones.
fn halves(scratch: &mut Vec<u8>, (left, right): (usize, usize)) -> (&mut [u8], &mut [u8]) {
    if scratch.len() < left + right {
        *scratch = vec![0; (left + right).next_power_of_two().max(ROOM)];
    }
    scratch.split_at_mut(left)
}

/// Reads an integer (RFC 7541 §5.1). `mask`: the bits of the first byte that belong to it.
#[inline(always)]
fn integer(input: &mut &[u8], mask: u8) -> Result<usize, Broken> {
    let first = byte(input)? & mask;
    if first < mask { Ok(first.into()) } else { rest_of_integer(input, mask) }
}

fn rest_of_integer(input: &mut &[u8], mask: u8) -> Result<usize, Broken> {
    let mut value = u64::from(mask);
    for shift in [0, 7, 14, 21, 28] {
        let byte = byte(input)?;
        value += u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return if value <= MOST { Ok(value as usize) } else { Err(Broken) };
        }
    }
    Err(Broken)
}

#[inline(always)]
fn byte(input: &mut &[u8]) -> Result<u8, Broken> {
    let (&byte, rest) = input.split_first().ok_or(Broken)?;
    *input = rest;
    Ok(byte)
}

/// A string as it stands in a block (RFC 7541 §5.2).
struct Text<'a> {
    bytes: &'a [u8],
    coded: bool,
}

impl<'a> Text<'a> {
    #[inline]
    fn read(input: &mut &'a [u8]) -> Result<Self, Broken> {
        let coded = *input.first().ok_or(Broken)? >= 0x80;
        let length = integer(input, 0x7f)?;
        let (bytes, rest) = input.split_at_checked(length).ok_or(Broken)?;
        *input = rest;
        Ok(Self { bytes, coded })
    }

    /// What [`decode`](Self::decode) needs.
    fn room(&self) -> usize {
        if self.coded { huffman::room(self.bytes.len()) } else { 0 }
    }

    #[inline]
    fn decode<'b>(self, room: &'b mut [u8]) -> Result<&'b [u8], Broken>
    where
        'a: 'b,
    {
        if !self.coded {
            return Ok(self.bytes);
        }
        let length = huffman::decode(self.bytes, room)?;
        room.get(..length).ok_or(Broken)
    }
}

#[cfg(test)]
impl Decoder {
    /// The table's size, and its fields from the newest on.
    pub(super) fn state(&self) -> (usize, Vec<String>) {
        self.table.state()
    }
}

#[cfg(test)]
mod tests {
    use super::super::huffman::tests::encode;
    use super::super::tests::{hex, read};
    use super::*;

    #[test]
    fn integers_of_appendix_c_1() {
        for (mask, bytes, value) in [(0x1f, "ea", 10), (0x1f, "1f9a 0a", 1337), (0xff, "2a", 42)] {
            let bytes = hex(bytes);
            let mut input = &bytes[..];
            assert_eq!((integer(&mut input, mask), input), (Ok(value), &b""[..]));
        }
    }

    #[test]
    fn what_cannot_be_is_broken() {
        for (block, why) in [
            ("80", "index 0"),
            ("be", "an index behind the tables"),
            ("7e00", "the same for a name"),
            ("ff ffff ffff 0f", "an index that is too large"),
            ("ff 8080 8080 8000", "an integer that is too long"),
            ("82ff", "the end within an integer"),
            ("82ff 80", "the same later on"),
            ("40", "the end before a name"),
            ("4001", "the end within a name"),
            ("4001 61", "the end before a value"),
            ("4001 6102 61", "the end within a value"),
            ("0481 ff", "padding of more than 7 bits"),
            ("0482 07ff", "the same behind a symbol"),
            ("0481 06", "padding that is not all ones"),
            ("0484 ffff ffff", "EOS"),
            ("3fe2 1f", "a table over the limit"),
            ("8220", "a size behind a field"),
            ("2020 20", "three sizes"),
        ] {
            assert_eq!(read(&mut Decoder::new(4096), &hex(block)), Err(Broken), "{why}");
        }
        assert_eq!(integer(&mut &hex("7f81 ffff 7f")[..], 0x7f), Ok(1 << 28));
        assert_eq!(integer(&mut &hex("7f82 ffff 7f")[..], 0x7f), Err(Broken));
    }

    #[test]
    fn sizes_at_the_beginning_are_taken() {
        let mut decoder = Decoder::new(4096);
        assert_eq!(read(&mut decoder, &hex("4001 6101 62")).unwrap(), ["a: b"]);
        assert_eq!(read(&mut decoder, &hex("203f e11f 82")).unwrap(), [":method: GET"]);
        assert_eq!(decoder.state(), (0, vec![]));
        assert_eq!(read(&mut Decoder::new(100), &hex("3f46")), Err(Broken));
        assert_eq!(read(&mut Decoder::new(100), &hex("3f45")), Ok(vec![]));
    }

    #[test]
    fn a_name_outlives_its_entry() {
        let mut decoder = Decoder::new(4096);
        // Room for one entry only.
        assert_eq!(
            read(&mut decoder, &hex("3f09 4003 6162 6301 31 7e01 32 be")).unwrap(),
            ["abc: 1", "abc: 2", "abc: 2"]
        );
        assert_eq!(decoder.state(), (36, vec!["abc: 2".into()]));
        assert_eq!(read(&mut decoder, &hex("7e06 3131 3131 3131")).unwrap(), ["abc: 111111"]);
        assert_eq!(decoder.state(), (0, vec![]));
    }

    #[test]
    fn one_entry_can_be_meant_often() {
        let mut decoder = Decoder::new(4096);
        let value = vec![b'v'; 4000];
        read(&mut decoder, &[&hex("4001 617f a11e"), &value[..]].concat()).unwrap();
        let mut bytes = 0;
        assert_eq!(decoder.decode(&[0xbe; 16 << 10], |name, value| bytes += name.len() + value.len()), Ok(()));
        assert_eq!(bytes, 4001 << 14);
    }

    #[test]
    fn what_a_long_string_needed_is_not_kept() {
        let mut decoder = Decoder::new(4096);
        let coded = encode(&[b'a'; 9000]);
        assert_eq!(decoder.scratch.capacity(), 0);
        assert_eq!(
            read(&mut decoder, &hex("418c f1e3 c2e5 f23a 6ba0 ab90 f4ff")).unwrap(),
            [":authority: www.example.com"]
        );
        assert_eq!(decoder.scratch.capacity(), ROOM);
        let length = coded.len() - 127;
        let block = [&[4, 0xff, length as u8 | 0x80, (length >> 7) as u8], &coded[..]].concat();
        assert_eq!(read(&mut decoder, &block).unwrap(), [format!(":path: {}", "a".repeat(9000))]);
        assert_eq!(decoder.scratch.capacity(), 0);
    }
}
