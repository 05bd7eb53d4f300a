//! The Huffman code of strings (RFC 7541 §5.2).
//!
//! The code is canonical: codes of one length follow each other in the order of their symbols, and shorter codes come before
//! longer ones. So the lengths are all there is to know of it. Up to two symbols are read at once by the table of the next
//! [`PEEK`] bits; the few longer codes, none of which text needs often, are searched by their length.

use super::Broken;

/// RFC 7541 Appendix B: the length of each symbol's code. The last one is that of EOS.
#[rustfmt::skip]
const LENGTHS: [u8; 257] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28,
    28, 28, 28, 28, 28, 28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6,
    5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10, 13, 6, 7, 7, 7, 7, 7, 7,
    7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
    15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7,
    7, 7, 7, 15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,
    24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22, 21, 20, 22, 22, 23, 23, 21,
    23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24,
    21, 21, 26, 26, 28, 27, 27, 27, 20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,
    26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26, 30,
];

const SHORTEST: usize = 5;
const LONGEST: usize = 30;
const EOS: u16 = 256;

/// Bits that the table is asked for at once.
const PEEK: u32 = 12;

/// The codes of one length.
#[derive(Clone, Copy)]
struct Class {
    /// The first of them, at the high end of 32 bits.
    first: u32,
    /// The last one that begins with a code of this length.
    last: u32,
    /// Where their symbols begin in [`ORDER`].
    at: usize,
}

/// Symbols in the order of their codes, and the codes by their length.
const CODE: ([u16; 257], [Class; LONGEST + 1]) = {
    let mut order = [0; 257];
    let mut classes = [Class { first: 0, last: 0, at: 0 }; LONGEST + 1];
    let (mut next, mut count, mut length) = (0u64, 0, SHORTEST);
    while length <= LONGEST {
        let (first, at) = (next as u32, count);
        let mut symbol = 0;
        while symbol < LENGTHS.len() {
            if LENGTHS[symbol] as usize == length {
                order[count] = symbol as u16;
                count += 1;
                next += 1 << (32 - length);
            }
            symbol += 1;
        }
        classes[length] = Class { first, last: next.wrapping_sub(1) as u32, at };
        length += 1;
    }
    (order, classes)
};
static ORDER: [u16; 257] = CODE.0;
static CLASSES: [Class; LONGEST + 1] = CODE.1;

/// The symbol that `bits` begin with, and the length of its code, which is not below `length`.
const fn symbol(order: &[u16; 257], classes: &[Class; LONGEST + 1], bits: u32, mut length: usize) -> (u16, u32) {
    while length < LONGEST && bits > classes[length].last {
        length += 1;
    }
    let class = classes[length];
    (order[class.at + ((bits - class.first) >> (32 - length)) as usize], length as u32)
}

/// What the next bits begin with.
#[derive(Clone, Copy)]
struct Step {
    symbols: [u8; 2],
    /// Bits of the first symbol; 0 if its code is longer than what was looked at.
    first: u8,
    /// Bits of all symbols.
    bits: u8,
}

static STEPS: [Step; 1 << PEEK] = {
    let mut steps = [Step { symbols: [0; 2], first: 0, bits: 0 }; 1 << PEEK];
    let (order, classes) = CODE;
    let mut peek = 0;
    while peek < steps.len() {
        let bits = (peek as u32) << (32 - PEEK);
        let (one, first) = symbol(&order, &classes, bits, SHORTEST);
        if first <= PEEK {
            let (two, second) = symbol(&order, &classes, bits << first, SHORTEST);
            let both = first + second <= PEEK;
            steps[peek] = Step {
                symbols: [one as u8, if both { two as u8 } else { 0 }],
                first: first as u8,
                bits: if both { first + second } else { first } as u8,
            };
        }
        peek += 1;
    }
    steps
};

/// The room that [`decode`] needs for so many bytes.
pub(super) fn room(coded: usize) -> usize {
    // Two symbols are written at once, the second one maybe for nothing.
    coded * 8 / SHORTEST + 2
}

/// Decodes `coded` to the beginning of `out`, and returns the length.
pub(super) fn decode(coded: &[u8], out: &mut [u8]) -> Result<usize, Broken> {
    let (mut at, mut length) = (0, 0);
    let mut put = |symbols: [u8; 2], count| {
        let place = out.get_mut(length..).and_then(<[u8]>::first_chunk_mut).ok_or(Broken)?;
        *place = symbols;
        length += count;
        Ok(())
    };
    // A load has 57 bits at least: enough for two steps, and behind them the longest code.
    while let Some(load) = coded.get(at >> 3..).and_then(<[u8]>::first_chunk) {
        let mut word = u64::from_be_bytes(*load) << (at & 7);
        for _ in 0..3 {
            let step = STEPS[(word >> (64 - PEEK)) as usize];
            if step.first == 0 {
                let (symbol, bits) = long(word)?;
                put([symbol, 0], 1)?;
                at += bits as usize;
                break;
            }
            put(step.symbols, 1 + usize::from(step.bits != step.first))?;
            word <<= step.bits;
            at += usize::from(step.bits);
        }
    }
    // The rest is shorter than a load. Ones behind it are what it has to end with anyway.
    let rest = coded.get(at >> 3..).unwrap_or_default();
    let word = rest.iter().rev().fold(u64::MAX, |word, &byte| word >> 8 | u64::from(byte) << 56);
    let mut word = Ones(word);
    word.skip((at & 7) as u32);
    let mut left = (rest.len() * 8).saturating_sub(at & 7) as u32;
    loop {
        let step = STEPS[(word.0 >> (64 - PEEK)) as usize];
        let (first, all) = (u32::from(step.first), u32::from(step.bits));
        let bits = if step.first == 0 {
            match long(word.0) {
                Ok((symbol, bits)) if bits <= left => {
                    put([symbol, 0], 1)?;
                    bits
                }
                // EOS has the same bits as padding.
                _ => break,
            }
        } else if all <= left {
            put(step.symbols, 1 + usize::from(all != first))?;
            all
        } else if first <= left {
            put(step.symbols, 1)?;
            first
        } else {
            break;
        };
        word.skip(bits);
        left -= bits;
    }
    // What is left belongs to no symbol: RFC 7541 §5.2 lets it have 7 bits, all of them ones.
    if left < 8 && word.0 == u64::MAX { Ok(length) } else { Err(Broken) }
}

/// Bits, and behind them ones without end.
struct Ones(u64);

impl Ones {
    fn skip(&mut self, bits: u32) {
        self.0 = !(!self.0 << bits);
    }
}

/// The symbol whose code is longer than what the table looks at, and the length of that code. EOS must not be in a string.
#[cold]
fn long(word: u64) -> Result<(u8, u32), Broken> {
    match symbol(&ORDER, &CLASSES, (word >> 32) as u32, PEEK as usize + 1) {
        (EOS, _) => Err(Broken),
        (symbol, bits) => Ok((symbol as u8, bits)),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::tests::hex;
    use super::*;

    /// Each symbol's code, in the low bits.
    fn codes() -> Vec<u32> {
        let mut codes = vec![0; 257];
        for (length, class) in CLASSES.iter().enumerate().skip(SHORTEST) {
            let symbols = (0..257).filter(|&symbol| usize::from(LENGTHS[symbol]) == length);
            symbols.enumerate().for_each(|(at, symbol)| codes[symbol] = (class.first >> (32 - length)) + at as u32);
        }
        codes
    }

    pub(in super::super) fn encode(text: &[u8]) -> Vec<u8> {
        let codes = codes();
        let code =
            |&byte: &u8| format!("{:0length$b}", codes[usize::from(byte)], length = LENGTHS[usize::from(byte)].into());
        bits(&text.iter().map(code).collect::<String>())
    }

    /// Bytes of these bits, padded as they should be.
    fn bits(bits: &str) -> Vec<u8> {
        let padded = bits.chars().chain(std::iter::repeat_n('1', bits.len().wrapping_neg() % 8)).collect::<Vec<_>>();
        padded.chunks(8).map(|byte| byte.iter().fold(0, |sum, &bit| sum << 1 | u8::from(bit == '1'))).collect()
    }

    fn decoded(coded: &[u8]) -> Result<Vec<u8>, Broken> {
        let mut out = vec![0xaa; room(coded.len())];
        decode(coded, &mut out).map(|length| out[..length].to_vec())
    }

    #[test]
    fn the_code_is_complete_and_no_code_begins_another() {
        assert_eq!(LENGTHS.iter().map(|&length| 1u64 << (32 - length)).sum::<u64>(), 1 << 32);
        let codes = codes();
        for (one, &code) in codes.iter().enumerate() {
            for (other, &longer) in codes.iter().enumerate().filter(|&(other, _)| other != one) {
                let more = LENGTHS[other].checked_sub(LENGTHS[one]);
                assert!(more.is_none_or(|more| longer >> more != code), "{one} begins {other}");
            }
        }
        for (symbol, code) in
            [(b'0', 0), (b'a', 3), (b' ', 0x14), (b'X', 0xfc), (b'\\', 0x7fff0), (0, 0x1ff8), (10, 0x3ffffffc)]
        {
            assert_eq!(codes[usize::from(symbol)], code);
        }
        assert_eq!((codes[249], codes[255], codes[256]), (0xffffffe, 0x3ffffee, 0x3fffffff));
    }

    #[test]
    fn every_symbol_is_decoded_wherever_it_stands() {
        for symbol in 0..=255 {
            for (before, after) in (0..12).flat_map(|before| [(before, 0), (before, 1), (before, 12)]) {
                let text = [vec![b'a'; before], vec![symbol], vec![b'Z'; after]].concat();
                assert_eq!(decoded(&encode(&text)), Ok(text));
            }
        }
        let mut rng = fastrand::Rng::with_seed(1);
        let random = (0..20_000).map(|_| rng.u8(..)).collect::<Vec<_>>();
        assert_eq!(decoded(&encode(&random)), Ok(random));
        assert_eq!(decoded(b""), Ok(vec![]));
    }

    #[test]
    fn strings_of_appendix_c() {
        for (coded, text) in [
            ("f1e3 c2e5 f23a 6ba0 ab90 f4ff", "www.example.com"),
            ("a8eb 1064 9cbf", "no-cache"),
            ("25a8 49e9 5ba9 7d7f", "custom-key"),
            ("d07a be94 1054 d444 a820 0595 040b 8166 e082 a62d 1bff", "Mon, 21 Oct 2013 20:13:21 GMT"),
        ] {
            assert_eq!(decoded(&hex(coded)), Ok(text.into()));
            assert_eq!(encode(text.as_bytes()), hex(coded));
        }
    }

    #[test]
    fn nothing_but_short_padding_of_ones_may_follow() {
        // Lengths on both sides of a load; the symbol has five bits.
        for before in (0..20).map(|count| "00000".repeat(count)) {
            assert!(decoded(&bits(&before)).is_ok());
            assert_eq!(decoded(&[bits(&before), vec![0xff]].concat()), Err(Broken));
            let open = before.len().wrapping_neg() % 8;
            if open > 0 {
                assert_eq!(decoded(&bits(&(before.clone() + &"1".repeat(open - 1) + "0"))), Err(Broken));
            }
            for after in [0, 1, 15].map(|count| "00000".repeat(count)) {
                assert_eq!(decoded(&bits(&(before.clone() + &"1".repeat(LONGEST) + &after))), Err(Broken));
            }
        }
    }
}
