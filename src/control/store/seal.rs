//! What hosts share sealed, so that whoever reads the server cannot read it.

use crate::plan::Sharing;
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::rand;

/// Seals and opens what stands in the server (AES-256-GCM), each under its name there.
pub(super) struct Seal(LessSafeKey);

impl Seal {
    /// By the secret that hosts share, for one purpose; `None`: they share none.
    pub(super) fn of(sharing: &Sharing, purpose: &str) -> Option<Self> {
        Self::by(&sharing.key(purpose)?)
    }

    pub(super) fn by(key: &[u8; 32]) -> Option<Self> {
        Some(Self(LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).ok()?)))
    }

    /// `None`: the system has no nonce for it.
    pub(super) fn close(&self, name: &[u8], mut text: Vec<u8>) -> Option<Vec<u8>> {
        let mut nonce = [0; NONCE_LEN];
        rand::fill(&mut nonce).ok()?;
        let with = Nonce::assume_unique_for_key(nonce);
        self.0.seal_in_place_append_tag(with, Aad::from(name), &mut text).ok()?;
        Some([&nonce[..], &text].concat())
    }

    /// `None`: it is sealed with another secret, under another name, or not whole.
    pub(super) fn open(&self, name: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE_LEN>()?;
        let mut text = sealed.to_vec();
        let length = self.0.open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(name), &mut text).ok()?.len();
        text.truncate(length);
        Some(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_is_opened_by_the_same_secret_under_the_same_name_alone() {
        let (one, other) = (Seal::by(&[1; 32]).unwrap(), Seal::by(&[2; 32]).unwrap());
        let sealed = one.close(b"k", b"text".to_vec()).unwrap();
        assert_eq!(one.open(b"k", &sealed).as_deref(), Some(&b"text"[..]));
        assert_eq!(other.open(b"k", &sealed), None);
        assert_eq!(one.open(b"l", &sealed), None);
        assert_eq!(one.open(b"k", &sealed[..5]), None);
        assert_ne!(one.close(b"k", b"text".to_vec()).unwrap(), sealed, "no nonce comes twice");
    }
}
