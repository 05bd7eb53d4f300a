//! The keys of TLS tickets that hosts share, so that a session that began at one is taken up at another.
//!
//! What always holds: in the server keys stand sealed (AES-256-GCM), under a key that is derived from the secret of `store.redis.secret_file`; without it
//! nothing is shared. One host makes them and the others take them; each has the key that is to seal next before any host seals with it. While the
//! server is away hosts go on with what they have. It keeps keys for as long as tickets are good, so that what is over cannot be read later by who
//! finds out the secret.

use super::{Away, Call, Link, Script};
use crate::control::present::Shared;
use crate::plan::Sharing;
use crate::tls::{KeptRing, Ring};
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::rand;
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How often it is looked for other keys.
const EVERY: Duration = Duration::from_secs(1);
/// Keys are not replaced more often than this.
const SHORTEST: Duration = Duration::from_secs(60);

static SCRIPT: Script = Script::new(include_str!("tickets.lua"));

/// What is sealed.
#[derive(Serialize, Deserialize)]
struct Text {
    /// When the keys were made, in the server's milliseconds since 1970.
    made: u64,
    keys: KeptRing,
}

/// Keeps keys as those of the other hosts, for as long as the process lives.
pub async fn share(link: Link, shared: Shared) {
    let mut told = false;
    loop {
        tokio::time::sleep(EVERY).await;
        let Some(sharing) = link.sharing().filter(|_| link.is_up()) else { continue };
        let Some(seal) = Seal::of(&sharing) else { continue };
        let plan = shared.load().plan.clone();
        for ring in plan.rings.own() {
            match turn(&link, &seal, ring).await {
                Ok(()) => told = false,
                Err(Away(why)) if link.is_up() && !told => {
                    tracing::warn!(why, "the keys of TLS tickets that hosts share are of no use here");
                    told = true;
                }
                Err(_) => {}
            }
        }
    }
}

/// Looks once.
async fn turn(link: &Link, seal: &Seal, ring: &Ring) -> Result<(), Away> {
    let name = link.key(&format!("tickets:{}", ring.lifetime().as_millis()));
    let lifetime = ring.lifetime().max(SHORTEST);
    let ask = |old: &str, new: &str| {
        let kept = u64::try_from(lifetime.as_millis()).unwrap_or(u64::MAX).saturating_mul(3);
        link.ask::<(String, u64)>(Call::new(&SCRIPT).key(name.as_str()).arg(old).arg(new).arg(kept))
    };
    let (mut found, now) = ask("", "").await?;
    let mut open = match found.is_empty() {
        true => None,
        false => Some(seal.open(&name, &found)?),
    };
    let age = |text: &Text| Duration::from_millis(now.saturating_sub(text.made));
    if open.as_ref().is_none_or(|text| age(text) >= lifetime) {
        let keys = ring.propose(open.as_ref().map(|text| &text.keys)).map_err(|fault| Away(fault.what))?;
        let new = seal.close(&name, &Text { made: now, keys })?;
        // Another host may have been faster: then its keys count.
        (found, _) = ask(&found, &new).await?;
        open = Some(seal.open(&name, &found)?);
    }
    let Some(text) = open else { return Ok(()) };
    match ring.share(&text.keys, age(&text)) {
        None => return Err(Away("they cannot be used".to_owned())),
        Some(false) => {}
        Some(true) => tracing::info!("the keys of TLS tickets are those that hosts share"),
    }
    Ok(())
}

/// Seals and opens what stands in the server.
struct Seal(LessSafeKey);

impl Seal {
    /// By the secret that hosts share; `None`: they share none.
    fn of(sharing: &Sharing) -> Option<Self> {
        Self::by(&sharing.key("tickets")?)
    }

    fn by(key: &[u8; 32]) -> Option<Self> {
        Some(Self(LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).ok()?)))
    }

    fn close(&self, name: &str, text: &Text) -> Result<String, Away> {
        let wrong = || Away("they cannot be sealed".to_owned());
        let mut bytes = serde_json::to_vec(text).map_err(|_| wrong())?;
        let mut nonce = [0; NONCE_LEN];
        rand::fill(&mut nonce).map_err(|_| wrong())?;
        let sealed = Nonce::assume_unique_for_key(nonce);
        self.0.seal_in_place_append_tag(sealed, Aad::from(name), &mut bytes).map_err(|_| wrong())?;
        Ok(STANDARD_NO_PAD.encode([&nonce[..], &bytes].concat()))
    }

    fn open(&self, name: &str, text: &str) -> Result<Text, Away> {
        let wrong = || Away("they are sealed with another secret".to_owned());
        let mut bytes = STANDARD_NO_PAD.decode(text).map_err(|_| wrong())?;
        let (nonce, sealed) = bytes.split_first_chunk_mut::<NONCE_LEN>().ok_or_else(wrong)?;
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let plain = self.0.open_in_place(nonce, Aad::from(name), sealed).map_err(|_| wrong())?;
        serde_json::from_slice(plain).map_err(|_| wrong())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::{Rings, TicketSpec};

    fn seal(secret: u8) -> Seal {
        Seal::by(&[secret; 32]).unwrap()
    }

    #[test]
    fn what_is_sealed_is_opened_by_the_same_secret_under_the_same_name_alone() {
        let spec = TicketSpec { lifetime: Duration::from_secs(60), keys_file: None };
        let ring = Rings::default().open(&spec).unwrap();
        let text = Text { made: 7, keys: ring.propose(None).unwrap() };
        let sealed = seal(b'a').close("k", &text).unwrap();
        assert_eq!(seal(b'a').open("k", &sealed).unwrap().made, 7);
        assert!(seal(b'b').open("k", &sealed).is_err());
        assert!(seal(b'a').open("l", &sealed).is_err());
        assert_ne!(seal(b'a').close("k", &text).unwrap(), sealed, "no nonce comes twice");
        assert_eq!(ring.share(&seal(b'a').open("k", &sealed).unwrap().keys, Duration::ZERO), Some(true));
    }
}
