//! The keys that tokens of a kind are verified with.

use super::key::{Key, Print};
use super::token::Token;
use super::{Algorithm, Claims, Denial, jwk, pem};
use aws_lc_rs::digest::{SHA256, digest};
use std::fmt;

/// As many keys as there may be.
const MOST: usize = 256;
/// As many keys as one token is tried with: what a forged one costs is bounded by it.
const TRIED: usize = 8;

/// Keys. They do not change: what fetches or reads them anew makes others.
pub struct Keys {
    keys: Vec<Key>,
    skipped: Vec<String>,
    print: Print,
}

impl Keys {
    /// The keys of a JSON Web Key Set (RFC 7517), of 512 KiB and 256 keys at most.
    ///
    /// # Errors
    /// A message for the user: it is none, or no key in it can be used.
    pub fn from_jwks(document: &[u8]) -> Result<Self, String> {
        let (keys, skipped) = jwk::read(document)?;
        if keys.is_empty() {
            let why = skipped.first().map_or(String::new(), |why| format!(": {why}"));
            return Err(format!("no key of it can be used{why}"));
        }
        Self::new(keys, skipped)
    }

    /// The public keys of a PEM text. With an `id` they are for tokens that name it or none, without for all; with an `algorithm`
    /// for that alone.
    ///
    /// # Errors
    /// A message for the user: there is none, or one cannot be used.
    pub fn from_pem(text: &[u8], id: Option<&str>, algorithm: Option<Algorithm>) -> Result<Self, String> {
        Self::new(pem::read(text, id, algorithm)?, Vec::new())
    }

    /// A shared secret, of 32 bytes at least; it is for those algorithms whose hash is no longer.
    ///
    /// # Errors
    /// A message for the user: it is too short, or is no secret.
    pub fn from_secret(secret: &[u8], id: Option<&str>, algorithm: Option<Algorithm>) -> Result<Self, String> {
        if secret.trim_ascii_start().starts_with(b"-----BEGIN ") {
            return Err("a secret is no PEM: if it is a public key, give it as one".to_owned());
        }
        Self::new(vec![Key::secret(id, secret, algorithm)?], Vec::new())
    }

    /// These and those, as when one key follows upon another.
    ///
    /// # Errors
    /// A message for the user: there are too many.
    pub fn and(mut self, other: Self) -> Result<Self, String> {
        self.keys.extend(other.keys);
        self.skipped.extend(other.skipped);
        Self::new(self.keys, self.skipped)
    }

    fn new(mut keys: Vec<Key>, skipped: Vec<String>) -> Result<Self, String> {
        let mut prints: Vec<Print> = Vec::new();
        keys.retain(|key| {
            let new = !prints.contains(key.print());
            prints.push(*key.print());
            new
        });
        if keys.len() > MOST {
            return Err(format!("there are more than {MOST} keys"));
        }
        // In which order an issuer lists them says nothing.
        prints.sort_unstable();
        prints.dedup();
        let print = digest(&SHA256, prints.as_flattened()).as_ref().try_into().map_err(|_| "SHA-256 has 32 bytes")?;
        Ok(Self { keys, skipped, print })
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.keys.len()
    }

    /// Why keys of a document were left out, for the log.
    pub fn skipped(&self) -> &[String] {
        &self.skipped
    }

    /// What tells them from others: the same keys have the same, in any order and however often they are read.
    pub(super) fn print(&self) -> &Print {
        &self.print
    }

    /// The claims of a token that one of the keys has signed. No policy has judged them yet.
    pub(super) fn authenticate(&self, token: &str) -> Result<Claims, Denial> {
        let token = Token::read(token)?;
        let mut named = self.keys.iter().filter(|key| key.answers_to(token.id.as_deref())).peekable();
        named.peek().ok_or(Denial::KeyUnknown)?;
        let fit = named.filter(|key| key.is_for(token.algorithm));
        match fit.clone().take(TRIED + 1).count() {
            0 => return Err(Denial::AlgorithmMismatch),
            1..=TRIED => {}
            _ => return Err(Denial::KeyAmbiguous),
        }
        let mut fit = fit;
        if !fit.any(|key| key.verifies(token.algorithm, token.signed.as_bytes(), &token.signature)) {
            return Err(Denial::Signature);
        }
        Claims::read(token)
    }
}

impl PartialEq for Keys {
    fn eq(&self, other: &Self) -> bool {
        self.print == other.print
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_list().entries(&self.keys).finish()
    }
}
