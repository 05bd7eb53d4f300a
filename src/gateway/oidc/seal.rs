//! What is given to a browser to keep for us: nobody else can read it, or make it.
//!
//! AES-256-GCM with random nonces, under keys that HKDF makes of the operator's secret, one for each purpose: at most 2³² values
//! under a secret (NIST SP 800-38D §8.3).

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::fmt;

/// Seals and opens values of one purpose.
pub(super) struct Seal {
    key: RandomizedNonceKey,
    purpose: Box<str>,
}

struct Length;

impl KeyType for Length {
    fn len(&self) -> usize {
        32
    }
}

impl Seal {
    /// One for a purpose; a value of another does not open. Fails if the library does.
    pub(super) fn new(secret: &[u8], purpose: &str) -> Result<Self, String> {
        let make = || {
            let mut key = [0; 32];
            let material = Salt::new(HKDF_SHA256, b"ringway oidc").extract(secret);
            material.expand(&[purpose.as_bytes()], Length)?.fill(&mut key)?;
            RandomizedNonceKey::new(&AES_256_GCM, &key)
        };
        let key = make().map_err(|_| "no key can be made of the secret")?;
        Ok(Self { key, purpose: purpose.into() })
    }

    /// Seals a text, into one that a cookie can hold. `None`: there is no randomness.
    pub(super) fn seal(&self, text: &str) -> Option<String> {
        let mut bytes = text.as_bytes().to_vec();
        let aad = Aad::from(self.purpose.as_bytes());
        let nonce = self.key.seal_in_place_append_tag(aad, &mut bytes).ok()?;
        let mut whole = nonce.as_ref().to_vec();
        whole.append(&mut bytes);
        Some(URL_SAFE_NO_PAD.encode(whole))
    }

    /// Opens what was sealed; `None`: that is no such thing.
    pub(super) fn open(&self, sealed: &[u8]) -> Option<String> {
        let whole = URL_SAFE_NO_PAD.decode(sealed).ok()?;
        let (nonce, bytes) = whole.split_at_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut bytes = bytes.to_vec();
        let text = self.key.open_in_place(nonce, Aad::from(self.purpose.as_bytes()), &mut bytes).ok()?;
        String::from_utf8(text.to_vec()).ok()
    }
}

impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Seal({})", self.purpose)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_opens_as_it_was_and_for_its_purpose_alone() {
        let seal = Seal::new(&[7; 32], "session").unwrap();
        let sealed = seal.seal("text é").unwrap();
        assert_eq!(seal.open(sealed.as_bytes()).as_deref(), Some("text é"));
        assert_ne!(seal.seal("text é").unwrap(), sealed, "two are never alike");
        assert!(
            !sealed.contains("text")
                && sealed.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
        );
        for other in [Seal::new(&[7; 32], "login").unwrap(), Seal::new(&[8; 32], "session").unwrap()] {
            assert_eq!(other.open(sealed.as_bytes()), None);
        }
        for place in 0..sealed.len() {
            let mut changed = sealed.clone().into_bytes();
            changed[place] = if changed[place] == b'A' { b'B' } else { b'A' };
            assert_eq!(seal.open(&changed), None, "{place}");
        }
        for wrong in ["", "A", "AAAAAAAAAAAAAAAAAAAA", &sealed[1..], &sealed[..sealed.len() - 1], "é"] {
            assert_eq!(seal.open(wrong.as_bytes()), None, "{wrong}");
        }
    }
}
