//! Messages as gRPC has them on the wire: a flag, four bytes of length, and as many bytes.

/// Reads messages from content that comes in pieces.
#[derive(Debug)]
pub struct Frames {
    head: [u8; HEAD],
    have: usize,
    message: Vec<u8>,
    most: usize,
}

/// Why a message cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is longer than allowed.
    TooLarge,
    /// It is compressed, which nobody asked for.
    Compressed,
    /// Its flag means nothing.
    BadFlag,
}

const HEAD: usize = 5;

impl Frames {
    /// Messages of at most so many bytes.
    pub fn new(most: usize) -> Self {
        Self { head: [0; HEAD], have: 0, message: Vec::new(), most }
    }

    /// Takes from `content` up to the end of a message. `None`: all was taken, and the message is not whole yet.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn next(&mut self, content: &mut &[u8]) -> Result<Option<Vec<u8>>, Fault> {
        if self.have < HEAD {
            let take = (HEAD - self.have).min(content.len());
            self.head[self.have..self.have + take].copy_from_slice(&content[..take]);
            self.have += take;
            *content = &content[take..];
            if self.have < HEAD {
                return Ok(None);
            }
            match self.head[0] {
                0 => {}
                1 => return Err(Fault::Compressed),
                _ => return Err(Fault::BadFlag),
            }
            if self.length() > self.most {
                return Err(Fault::TooLarge);
            }
        }
        // It grows as it comes: a length alone takes no memory.
        let take = (self.length() - self.message.len()).min(content.len());
        self.message.extend_from_slice(&content[..take]);
        *content = &content[take..];
        if self.message.len() < self.length() {
            return Ok(None);
        }
        self.have = 0;
        Ok(Some(std::mem::take(&mut self.message)))
    }

    /// Whether no message has begun that is not whole.
    pub fn is_between(&self) -> bool {
        self.have == 0
    }

    fn length(&self) -> usize {
        let [_, length @ ..] = self.head;
        u32::from_be_bytes(length) as usize
    }
}

impl Fault {
    /// The same as one word.
    pub fn word(self) -> &'static str {
        match self {
            Self::TooLarge => "message-too-large",
            Self::Compressed => "compressed-message",
            Self::BadFlag => "bad-message",
        }
    }
}

/// Appends a message with its length.
pub fn push_frame(flag: u8, message: &[u8], out: &mut Vec<u8>) {
    out.push(flag);
    // Whoever has more than 4 GiB has been refused before.
    out.extend_from_slice(&u32::try_from(message.len()).unwrap_or(u32::MAX).to_be_bytes());
    out.extend_from_slice(message);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_found_in_whatever_pieces_they_come() {
        let mut text = Vec::new();
        for message in [&b"one"[..], b"", b"three"] {
            push_frame(0, message, &mut text);
        }
        for size in 1..=text.len() {
            let (mut frames, mut all) = (Frames::new(5), Vec::new());
            for mut piece in text.chunks(size) {
                while let Some(message) = frames.next(&mut piece).unwrap() {
                    all.push(message);
                }
                assert!(piece.is_empty());
            }
            assert_eq!(all, [&b"one"[..], b"", b"three"]);
            assert!(frames.is_between());
        }
    }

    #[test]
    fn what_is_no_message_is_a_fault_before_it_takes_memory() {
        let next = |mut text: &[u8]| Frames::new(4).next(&mut text);
        assert_eq!(next(&[0, 255, 255, 255, 255, 1]), Err(Fault::TooLarge));
        assert_eq!(next(&[0, 0, 0, 0, 5]), Err(Fault::TooLarge));
        assert_eq!(next(&[1, 0, 0, 0, 0]), Err(Fault::Compressed));
        assert_eq!(next(&[0x80, 0, 0, 0, 0]), Err(Fault::BadFlag));
        assert_eq!(next(&[0, 0, 0, 0]), Ok(None));
    }
}
