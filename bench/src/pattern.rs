//! Bytes that belong to one message: a stream that can be made and checked at any offset, different for every id.

/// Which of a request's two bodies a stream is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The body that the client sends.
    Request,
    /// The body that the backend answers with.
    Answer,
}

/// Writes the bytes of `id`'s stream from `offset` on over all of `out`.
pub fn fill(id: u64, side: Side, offset: u64, out: &mut [u8]) {
    let seed = seed(id, side);
    let (mut at, mut rest) = (offset, out);
    while !rest.is_empty() {
        let word = word(seed, at / 8);
        let from = (at % 8) as usize;
        let count = (8 - from).min(rest.len());
        let (now, later) = rest.split_at_mut(count);
        now.copy_from_slice(&word[from..from + count]);
        at += count as u64;
        rest = later;
    }
}

/// Follows a body as it comes in pieces and remembers the first byte that is not the stream's.
#[derive(Debug)]
pub struct Check {
    seed: u64,
    at: u64,
    wrong: Option<u64>,
}

impl Check {
    /// Starts at offset 0 of `id`'s stream.
    pub fn new(id: u64, side: Side) -> Self {
        Self { seed: seed(id, side), at: 0, wrong: None }
    }

    /// Takes the next piece.
    pub fn feed(&mut self, piece: &[u8]) {
        let mut rest = piece;
        while !rest.is_empty() {
            let word = word(self.seed, self.at / 8);
            let from = (self.at % 8) as usize;
            let count = (8 - from).min(rest.len());
            if rest[..count] != word[from..from + count] {
                self.wrong.get_or_insert(self.at);
            }
            self.at += count as u64;
            rest = &rest[count..];
        }
    }

    /// How many bytes came.
    pub fn seen(&self) -> u64 {
        self.at
    }

    /// Offset of the word that holds the first wrong byte.
    pub fn wrong_at(&self) -> Option<u64> {
        self.wrong
    }
}

fn seed(id: u64, side: Side) -> u64 {
    mix(id ^ if side == Side::Request { 0x5bd1_e995_0000_0001 } else { 0xc2b2_ae35_0000_0002 })
}

fn word(seed: u64, index: u64) -> [u8; 8] {
    mix(seed.wrapping_add(index.wrapping_mul(0x9e37_79b9_7f4a_7c15))).to_le_bytes()
}

/// SplitMix64's finalizer.
pub fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_of_any_size_match_the_whole() {
        let mut whole = vec![0; 1000];
        fill(7, Side::Answer, 0, &mut whole);
        let mut tail = vec![0; 500];
        fill(7, Side::Answer, 500, &mut tail);
        assert_eq!(whole[500..], tail);
        let mut check = Check::new(7, Side::Answer);
        whole.chunks(13).for_each(|piece| check.feed(piece));
        assert_eq!((check.seen(), check.wrong_at()), (1000, None));
    }

    #[test]
    fn one_flipped_byte_and_another_ids_bytes_are_seen() {
        let mut bytes = vec![0; 64];
        fill(7, Side::Request, 0, &mut bytes);
        for (id, side) in [(8, Side::Request), (7, Side::Answer)] {
            let mut check = Check::new(id, side);
            check.feed(&bytes);
            assert_eq!(check.wrong_at(), Some(0));
        }
        bytes[20] ^= 1;
        let mut check = Check::new(7, Side::Request);
        check.feed(&bytes);
        assert!(check.wrong_at().is_some_and(|at| (16..=20).contains(&at)));
    }
}
