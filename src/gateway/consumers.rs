//! Who asks, and what is known of them: consumers by the keys that they send.
//!
//! What always holds: a key is kept here and looked for as its SHA-256 alone. Who does not know a key can choose no hash, so that how long a
//! look takes tells nothing of the keys that there are.

use aws_lc_rs::digest::{SHA256, digest};
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

/// Somebody who is known.
#[derive(Debug, PartialEq, Eq)]
pub struct Consumer {
    /// Its name in the configuration.
    pub name: Box<str>,
    /// What it belongs to.
    pub groups: Box<[Box<str>]>,
    /// The places of the plans that it has for that among all, in their order.
    pub plans: Box<[u16]>,
}

/// All that are known.
#[derive(Default)]
pub struct Consumers(HashMap<Key, Arc<Consumer>>);

/// A key, as its SHA-256.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key([u8; 32]);

/// Two consumers have a key, the second of which is named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SameKey(pub Box<str>);

/// What keys begin with that are not written as they are.
const HASHED: &str = "sha256:";

impl Consumer {
    /// One in no group.
    pub fn new(name: &str) -> Self {
        Self { name: name.into(), groups: Box::default(), plans: Box::default() }
    }
}

impl Key {
    /// That of what a client sends.
    pub fn of(sent: &[u8]) -> Self {
        let mut hash = [0; 32];
        hash.copy_from_slice(digest(&SHA256, sent).as_ref());
        Self(hash)
    }

    /// What an operator may write in its place: the hash.
    pub fn hashed(&self) -> String {
        use std::fmt::Write;
        self.0.iter().fold(HASHED.to_owned(), |mut text, byte| {
            // Writing to a string cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
    }

    /// That of what an operator has written: a key, or the hash of one.
    ///
    /// # Errors
    /// Why it is none.
    pub fn written(text: &str) -> Result<Self, &'static str> {
        match text.strip_prefix(HASHED) {
            None if text.len() < 8 => Err("it is shorter than 8 bytes, and so can be guessed"),
            None if text.bytes().any(|byte| !(b'!'..=b'~').contains(&byte)) => {
                Err("it has a byte that no header has in mid-word")
            }
            None => Ok(Self::of(text.as_bytes())),
            Some(digits) => {
                let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
                let (pairs, rest) = digits.as_bytes().as_chunks::<2>();
                let is_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
                let bytes: Option<Vec<u8>> = pairs.iter().map(|digits| pair(digits)).collect();
                let hash = bytes.filter(|_| is_hex && rest.is_empty()).and_then(|bytes| bytes.try_into().ok());
                hash.map(Self).ok_or("a SHA-256 has 64 hexadecimal digits")
            }
        }
    }
}

impl Consumers {
    /// Nobody yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a key of a consumer.
    ///
    /// # Errors
    /// Another consumer has it.
    pub fn add(&mut self, key: Key, consumer: &Arc<Consumer>) -> Result<(), SameKey> {
        match self.0.insert(key, consumer.clone()) {
            Some(other) if !Arc::ptr_eq(&other, consumer) => Err(SameKey(other.name.clone())),
            _ => Ok(()),
        }
    }

    /// Whose key this is.
    pub fn of_key(&self, sent: &[u8]) -> Option<&Arc<Consumer>> {
        self.0.get(&Key::of(sent))
    }

    /// How many keys there are.
    pub fn keys(&self) -> usize {
        self.0.len()
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

impl fmt::Debug for Consumers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Consumers({} keys)", self.keys())
    }
}
