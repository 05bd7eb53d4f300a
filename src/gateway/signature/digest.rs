//! Whether content is that of its digest: `Content-Digest` (RFC 9530).

use super::Denial;
use crate::gateway::Request;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{Context, SHA256, SHA512};
use sfv::{BareItem, Dictionary, Item, ListEntry, Parser};
use std::fmt;

/// What a request says of its content.
#[derive(Clone, PartialEq, Eq)]
pub struct ContentDigest {
    is_512: bool,
    digest: Vec<u8>,
}

/// What content has to be before any of it goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Promised {
    /// What is said of it.
    pub digest: ContentDigest,
    /// How much of it is taken to see that, in bytes.
    pub most: usize,
}

/// Content that comes piece by piece.
pub struct Content {
    context: Context,
    expected: Vec<u8>,
}

impl ContentDigest {
    /// What `Content-Digest` says; `None`: there is none. The longest digest that is understood counts.
    ///
    /// # Errors
    /// None of them is understood.
    pub fn read(request: &dyn Request) -> Result<Option<Self>, Denial> {
        let (mut text, mut count): (Vec<u8>, usize) = (Vec::new(), 0);
        request.each("content-digest", &mut |value| {
            text.extend_from_slice(if count == 0 { b"" } else { b", " });
            text.extend_from_slice(value);
            count += 1;
        });
        if count == 0 {
            return Ok(None);
        }
        let all: Dictionary = Parser::new(&text).parse().map_err(|_| Denial::Digest)?;
        let digest = |name: &str, length: usize| match all.get(name) {
            Some(ListEntry::Item(Item { bare_item: BareItem::ByteSequence(bytes), .. })) if bytes.len() == length => {
                Some(bytes.clone())
            }
            _ => None,
        };
        let found = digest("sha-512", 64).map(|digest| Self { is_512: true, digest });
        let found = found.or_else(|| digest("sha-256", 32).map(|digest| Self { is_512: false, digest }));
        found.map(Some).ok_or(Denial::Digest)
    }

    /// Content that is to be looked at.
    pub fn begin(&self) -> Content {
        Content { context: Context::new(if self.is_512 { &SHA512 } else { &SHA256 }), expected: self.digest.clone() }
    }
}

impl Content {
    /// A piece of it.
    pub fn add(&mut self, piece: &[u8]) {
        self.context.update(piece);
    }

    /// Whether all of it is that of its digest.
    ///
    /// # Errors
    /// It is not.
    pub fn end(self) -> Result<(), Denial> {
        verify_slices_are_equal(self.context.finish().as_ref(), &self.expected).map_err(|_| Denial::Content)
    }
}

impl fmt::Debug for ContentDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_512 { "sha-512" } else { "sha-256" })
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Content")
    }
}
