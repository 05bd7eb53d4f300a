//! The keys of TLS tickets that hosts share, so that a session that began at one is taken up at another.
//!
//! What always holds: in the server keys stand sealed (AES-256-GCM), under a key that is derived from the secret of `store.redis.secret_file`; without it
//! nothing is shared. One host makes them and the others take them; each has the key that is to seal next before any host seals with it. While the
//! server is away hosts go on with what they have. It keeps keys for as long as tickets are good, so that what is over cannot be read later by who
//! finds out the secret.

use super::seal::Seal;
use super::{Away, Call, Link, Script};
use crate::control::present::Shared;
use crate::tls::{KeptRing, Ring};
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
        let Some(seal) = Seal::of(&sharing, "tickets") else { continue };
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
    let mut opened = match found.is_empty() {
        true => None,
        false => Some(open(seal, &name, &found)?),
    };
    let age = |text: &Text| Duration::from_millis(now.saturating_sub(text.made));
    if opened.as_ref().is_none_or(|text| age(text) >= lifetime) {
        let keys = ring.propose(opened.as_ref().map(|text| &text.keys)).map_err(|fault| Away(fault.what))?;
        let new = close(seal, &name, &Text { made: now, keys })?;
        // Another host may have been faster: then its keys count.
        (found, _) = ask(&found, &new).await?;
        opened = Some(open(seal, &name, &found)?);
    }
    let Some(text) = opened else { return Ok(()) };
    match ring.share(&text.keys, age(&text)) {
        None => return Err(Away("they cannot be used".to_owned())),
        Some(false) => {}
        Some(true) => tracing::info!("the keys of TLS tickets are those that hosts share"),
    }
    Ok(())
}

/// What stands under a name, of what it says.
fn close(seal: &Seal, name: &str, text: &Text) -> Result<String, Away> {
    let sealed = serde_json::to_vec(text).ok().and_then(|bytes| seal.close(name.as_bytes(), bytes));
    Ok(STANDARD_NO_PAD.encode(sealed.ok_or_else(|| Away("they cannot be sealed".to_owned()))?))
}

/// What it says, of what stands under a name.
fn open(seal: &Seal, name: &str, text: &str) -> Result<Text, Away> {
    let bytes = STANDARD_NO_PAD.decode(text).ok().and_then(|bytes| seal.open(name.as_bytes(), &bytes));
    let opened = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    opened.ok_or_else(|| Away("they are sealed with another secret".to_owned()))
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
        let sealed = close(&seal(b'a'), "k", &text).unwrap();
        assert_eq!(open(&seal(b'a'), "k", &sealed).unwrap().made, 7);
        assert!(open(&seal(b'b'), "k", &sealed).is_err());
        assert!(open(&seal(b'a'), "l", &sealed).is_err());
        assert_ne!(close(&seal(b'a'), "k", &text).unwrap(), sealed, "no nonce comes twice");
        assert_eq!(ring.share(&open(&seal(b'a'), "k", &sealed).unwrap().keys, Duration::ZERO), Some(true));
    }
}
