//! Session tickets: a ring of keys shared by all workers, and by all hosts that read the same file.
//!
//! What always holds: a ticket opens only on a listener of the same name under the same policy, clients' certificates and the
//! lowest version included, since the keys that seal and open it are derived from both (CVE-2025-23419 was a ticket of an
//! open name that resumed past another's policy); and not after its lifetime, whatever became of the keys.

use super::files::{self, Fault, Place, Stamp};
use crate::observe::wall;
use arc_swap::ArcSwap;
use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use aws_lc_rs::rand;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::server::ProducesTickets;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How tickets are made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TicketSpec {
    /// How long one is good for; zero makes none.
    pub lifetime: Duration,
    /// Where the keys are read from; `None`: they are of the process's own.
    pub keys_file: Option<PathBuf>,
}

/// The rings of a process, each once.
#[derive(Clone, Debug, Default)]
pub struct Rings {
    open: HashMap<(Option<PathBuf>, Duration), Arc<Ring>>,
    /// Those of the configuration before.
    before: HashMap<(Option<PathBuf>, Duration), Arc<Ring>>,
}

/// A ring on its way from one process to another: secret, and never shown.
#[derive(Serialize, Deserialize)]
pub struct KeptRing {
    lifetime_ms: u64,
    age_ms: u64,
    secrets: Vec<String>,
    sealing: usize,
}

impl fmt::Debug for KeptRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeptRing").field("lifetime_ms", &self.lifetime_ms).finish_non_exhaustive()
    }
}

/// The keys of tickets. The one at `sealing` seals, all open.
pub struct Ring {
    file: Option<PathBuf>,
    lifetime: Duration,
    keys: ArcSwap<Keys>,
}

struct Keys {
    secrets: Vec<Secret>,
    sealing: usize,
    since: Instant,
    stamp: Option<Stamp>,
    /// Whether other hosts have them, too, and say when others follow.
    shared: bool,
}

/// What keys are derived from. Never shown.
#[derive(Clone, PartialEq, Eq)]
struct Secret(Arc<[u8]>);

/// The fewest bytes of a secret.
const SECRET: usize = 32;

impl Secret {
    fn decode(text: &str) -> Option<Self> {
        let bytes = STANDARD.decode(text).ok().filter(|bytes| bytes.len() >= SECRET)?;
        Some(Self(bytes.into()))
    }
}
/// Bytes of a key's name in a ticket.
const NAME: usize = 16;
/// Bytes of the time at which a ticket was sealed.
const TIME: usize = 8;

impl Rings {
    /// For a configuration that follows: what both want goes on, so that tickets are good for as long as they were to be.
    pub fn succeed(&self) -> Self {
        Self { open: HashMap::new(), before: self.open.clone() }
    }

    /// Those that were handed over by another process.
    pub fn adopt(kept: Vec<KeptRing>) -> Self {
        let ring = |kept: KeptRing| {
            let secrets: Option<Vec<Secret>> = kept.secrets.iter().map(|text| Secret::decode(text)).collect();
            let secrets = secrets.filter(|secrets| kept.sealing < secrets.len())?;
            let lifetime = Duration::from_millis(kept.lifetime_ms);
            let since = Instant::now().checked_sub(Duration::from_millis(kept.age_ms)).unwrap_or_else(Instant::now);
            let keys = Keys { secrets, sealing: kept.sealing, since, stamp: None, shared: false };
            Some(((None, lifetime), Arc::new(Ring { file: None, lifetime, keys: ArcSwap::from_pointee(keys) })))
        };
        Self { open: HashMap::new(), before: kept.into_iter().filter_map(ring).collect() }
    }

    /// What another process needs to open the tickets of this one. Those whose keys are in files are not in it.
    pub fn hand_over(&self) -> Vec<KeptRing> {
        let own = self.open.values().filter(|ring| ring.file.is_none());
        own.map(|ring| ring.keep()).collect()
    }

    /// Those whose keys are the process's own, so that other hosts may share them.
    pub fn own(&self) -> impl Iterator<Item = &Arc<Ring>> {
        self.open.values().filter(|ring| ring.file.is_none() && !ring.lifetime.is_zero())
    }

    /// The ring for a listener's tickets.
    pub fn open(&mut self, spec: &TicketSpec) -> Result<Arc<Ring>, Fault> {
        let key = (spec.keys_file.clone(), spec.lifetime);
        if let Some(ring) = self.open.get(&key) {
            return Ok(ring.clone());
        }
        if let Some(ring) = self.before.get(&key) {
            return Ok(self.open.entry(key).or_insert(ring.clone()).clone());
        }
        let keys = match &spec.keys_file {
            Some(path) => read(path)?,
            None => Keys { secrets: vec![fresh()?], sealing: 0, since: Instant::now(), stamp: None, shared: false },
        };
        let ring = Ring { file: spec.keys_file.clone(), lifetime: spec.lifetime, keys: ArcSwap::from_pointee(keys) };
        Ok(self.open.entry(key).or_insert(Arc::new(ring)).clone())
    }
}

impl Ring {
    /// How long a ticket is good for.
    pub fn lifetime(&self) -> Duration {
        self.lifetime
    }

    fn keep(&self) -> KeptRing {
        let keys = self.keys.load();
        KeptRing {
            lifetime_ms: millis(self.lifetime),
            age_ms: millis(keys.since.elapsed()),
            secrets: keys.secrets.iter().map(|secret| STANDARD.encode(&secret.0)).collect(),
            sealing: keys.sealing,
        }
    }

    /// Keys for all hosts: what seals here is opened everywhere, and a key that is to seal next is known ahead of that. With `before`, those that follow
    /// it: what was to seal next does.
    pub fn propose(&self, before: Option<&KeptRing>) -> Result<KeptRing, Fault> {
        let kept = before.map(|before| (before.secrets.last(), before.secrets.get(before.sealing)));
        let encode = |secret: &Secret| STANDARD.encode(&secret.0);
        let keys = self.keys.load();
        let (sealing, old) = match kept {
            Some((Some(next), sealing)) => (next.clone(), sealing.cloned()),
            _ => (keys.secrets.get(keys.sealing).map(encode).unwrap_or_default(), None),
        };
        let next = encode(&fresh()?);
        let at = usize::from(old.is_some());
        let secrets = old.into_iter().chain([sealing, next]).collect();
        Ok(KeptRing { lifetime_ms: millis(self.lifetime), age_ms: 0, secrets, sealing: at })
    }

    /// Goes by keys that hosts share. What this one has sealed before is still opened. Returns whether it went by others until now; `None`: they cannot
    /// be used.
    pub fn share(&self, kept: &KeptRing, age: Duration) -> Option<bool> {
        let secrets: Option<Vec<Secret>> = kept.secrets.iter().map(|text| Secret::decode(text)).collect();
        let mut secrets = secrets.filter(|secrets| kept.sealing < secrets.len())?;
        let keys = self.keys.load();
        if keys.shared && keys.sealing == kept.sealing && keys.secrets.starts_with(&secrets) {
            return Some(false);
        }
        let own = keys.secrets.get(keys.sealing).filter(|own| secrets.iter().all(|secret| secret.0 != own.0));
        secrets.extend(own.cloned());
        let since = Instant::now().checked_sub(age).unwrap_or_else(Instant::now);
        self.keys.store(Arc::new(Keys { secrets, sealing: kept.sealing, since, stamp: None, shared: true }));
        Some(true)
    }

    /// Replaces the keys where it is time to, or their file has changed. Returns whether it did.
    pub fn turn(&self) -> Result<bool, Fault> {
        let keys = self.keys.load();
        let next = match &self.file {
            Some(path) if Stamp::of(path) != keys.stamp => read(path)?,
            // Those that are shared are followed by what hosts agree on, unless nothing is heard of that.
            None if keys.since.elapsed() >= self.lifetime.max(SHORTEST) * if keys.shared { 2 } else { 1 } => {
                // What the old one has sealed is still opened for as long as it was good for.
                let old = keys.secrets.get(keys.sealing).cloned();
                let secrets = std::iter::once(fresh()?).chain(old).collect();
                Keys { secrets, sealing: 0, since: Instant::now(), stamp: None, shared: false }
            }
            _ => return Ok(false),
        };
        self.keys.store(Arc::new(next));
        Ok(true)
    }

    /// What seals and opens tickets on listener `name` under `policy`.
    pub(super) fn ticketer(self: &Arc<Self>, name: &str, policy: &[u8; 32]) -> Arc<dyn ProducesTickets> {
        let mut purpose = b"ringway tickets 1".to_vec();
        purpose.extend_from_slice(&(name.len() as u64).to_be_bytes());
        purpose.extend_from_slice(name.as_bytes());
        purpose.extend_from_slice(policy);
        let keys = self.keys.load_full();
        let derived = ArcSwap::from_pointee(Derived::new(&keys, &purpose));
        Arc::new(Ticketer { ring: self.clone(), purpose, derived })
    }
}

/// Keys are not replaced more often than this.
const SHORTEST: Duration = Duration::from_secs(60);

impl fmt::Debug for Ring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ring").field("file", &self.file).field("lifetime", &self.lifetime).finish_non_exhaustive()
    }
}

/// Seals and opens the tickets of one listener under one policy.
struct Ticketer {
    ring: Arc<Ring>,
    purpose: Vec<u8>,
    derived: ArcSwap<Derived>,
}

/// The keys that a ring gives for one purpose.
struct Derived {
    of: Arc<Keys>,
    keys: Vec<([u8; NAME], LessSafeKey)>,
}

impl Ticketer {
    /// The keys, derived anew if the ring has turned.
    fn derived(&self) -> Arc<Derived> {
        let derived = self.derived.load_full();
        let keys = self.ring.keys.load();
        if Arc::ptr_eq(&derived.of, &keys) {
            return derived;
        }
        let derived = Arc::new(Derived::new(&keys, &self.purpose));
        self.derived.store(derived.clone());
        derived
    }
}

impl Derived {
    fn new(keys: &Arc<Keys>, purpose: &[u8]) -> Self {
        let derive = |secret: &Secret| {
            let salt = Salt::new(HKDF_SHA256, b"");
            let mut out = [0; NAME + 32];
            let info = [purpose];
            let okm = salt.extract(&secret.0);
            let okm = okm.expand(&info, Length(out.len())).ok()?;
            okm.fill(&mut out).ok()?;
            let (name, key) = out.split_first_chunk::<NAME>()?;
            Some((*name, LessSafeKey::new(UnboundKey::new(&AES_256_GCM_SIV, key).ok()?)))
        };
        // Deriving fails for no length that is used here; a key that it failed for would only open nothing.
        Self { of: keys.clone(), keys: keys.secrets.iter().filter_map(derive).collect() }
    }
}

impl ProducesTickets for Ticketer {
    fn enabled(&self) -> bool {
        !self.ring.lifetime.is_zero()
    }

    fn lifetime(&self) -> u32 {
        u32::try_from(self.ring.lifetime.as_secs()).unwrap_or(u32::MAX)
    }

    /// Key name, nonce, sealed time and plaintext. GCM-SIV: hosts that share a key may draw the same nonce.
    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        let derived = self.derived();
        let (name, key) = derived.keys.get(derived.of.sealing)?;
        let mut nonce = [0; NONCE_LEN];
        rand::fill(&mut nonce).ok()?;
        let mut sealed = Vec::with_capacity(TIME + plain.len());
        sealed.extend_from_slice(&wall::now().to_be_bytes());
        sealed.extend_from_slice(plain);
        let tag =
            key.seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Aad::from(name), &mut sealed).ok()?;
        Some([&name[..], &nonce, &sealed, tag.as_ref()].concat())
    }

    fn decrypt(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        let (name, rest) = ticket.split_first_chunk::<NAME>()?;
        let (nonce, sealed) = rest.split_first_chunk::<NONCE_LEN>()?;
        let derived = self.derived();
        // Names are no secret.
        let (name, key) = derived.keys.iter().find(|(own, _)| own == name)?;
        let mut sealed = sealed.to_vec();
        let plain = key.open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(name), &mut sealed).ok()?;
        let (time, plain) = plain.split_first_chunk::<TIME>()?;
        let age = wall::now().saturating_sub(u64::from_be_bytes(*time));
        (age <= self.ring.lifetime.as_secs()).then(|| plain.to_vec())
    }
}

impl fmt::Debug for Ticketer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticketer").field("ring", &self.ring).finish_non_exhaustive()
    }
}

/// Bytes to derive.
struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

fn fresh() -> Result<Secret, Fault> {
    let mut secret = [0; 48];
    rand::fill(&mut secret).map_err(|_| {
        Fault::new(Place::Tickets, "the system gives no random bytes for the keys of tickets", "look after the system")
    })?;
    Ok(Secret(secret.as_slice().into()))
}

fn read(path: &std::path::Path) -> Result<Keys, Fault> {
    let at = Place::Tickets;
    let help = "write one key per line: `openssl rand -base64 48`; the last but one seals";
    let stamp = Stamp::of(path);
    let text = files::read(at, path)?;
    let mut secrets = Vec::new();
    for (number, line) in text.split(|&byte| byte == b'\n').enumerate() {
        let line = line.trim_ascii();
        if line.is_empty() || line.starts_with(b"#") {
            continue;
        }
        let secret = STANDARD.decode(line).ok().filter(|secret| secret.len() >= SECRET);
        let Some(secret) = secret else {
            let what = format!("line {} of `{}` is no key of 32 bytes or more in base64", number + 1, path.display());
            return Err(Fault::new(at, what, help));
        };
        secrets.push(Secret(secret.into()));
    }
    let Some(last) = secrets.len().checked_sub(1) else {
        return Err(Fault::new(at, format!("`{}` holds no key", path.display()), help));
    };
    Ok(Keys { secrets, sealing: last.saturating_sub(1), since: Instant::now(), stamp, shared: false })
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPEN: [u8; 32] = [1; 32];
    const STRICT: [u8; 32] = [2; 32];

    fn ring(rings: &mut Rings, lifetime: u64) -> Arc<Ring> {
        rings.open(&TicketSpec { lifetime: Duration::from_secs(lifetime), keys_file: None }).unwrap()
    }

    #[test]
    fn a_ticket_opens_under_its_own_listener_and_policy_alone() {
        let ring = ring(&mut Rings::default(), 60);
        let ticket = ring.ticketer("web", &OPEN).encrypt(b"session").unwrap();
        assert_eq!(ring.ticketer("web", &OPEN).decrypt(&ticket).as_deref(), Some(&b"session"[..]));
        assert_eq!(ring.ticketer("web", &STRICT).decrypt(&ticket), None);
        assert_eq!(ring.ticketer("other", &OPEN).decrypt(&ticket), None);
        for place in 0..ticket.len() {
            let mut forged = ticket.clone();
            forged[place] ^= 1;
            assert_eq!(ring.ticketer("web", &OPEN).decrypt(&forged), None, "byte {place}");
        }
        assert_eq!(ring.ticketer("web", &OPEN).decrypt(b"short"), None);
    }

    #[test]
    fn all_listeners_without_a_file_share_a_ring() {
        let mut rings = Rings::default();
        assert!(Arc::ptr_eq(&ring(&mut rings, 60), &ring(&mut rings, 60)));
        assert!(!ring(&mut rings, 0).ticketer("web", &OPEN).enabled());
    }

    #[test]
    fn keys_are_replaced_in_time_and_open_for_as_long_again() {
        let ring = ring(&mut Rings::default(), 60);
        let ticketer = ring.ticketer("web", &OPEN);
        let age = || {
            let keys = ring.keys.load_full();
            let since = keys.since.checked_sub(Duration::from_secs(61)).unwrap();
            let secrets = keys.secrets.clone();
            ring.keys.store(Arc::new(Keys { secrets, sealing: keys.sealing, since, stamp: None, shared: false }));
        };
        assert_eq!(ring.turn(), Ok(false), "not before its time");
        let ticket = ticketer.encrypt(b"1").unwrap();
        age();
        assert_eq!(ring.turn(), Ok(true));
        assert!(ticketer.decrypt(&ticket).is_some());
        assert_ne!(ticketer.encrypt(b"2").unwrap()[..NAME], ticket[..NAME], "sealed by the new key");
        age();
        assert_eq!(ring.turn(), Ok(true));
        assert!(ticketer.decrypt(&ticket).is_none());
    }

    #[test]
    fn keys_that_hosts_share_are_taken_once_and_again_after_this_one_has_made_its_own() {
        let (ring, other) = (ring(&mut Rings::default(), 60), ring(&mut Rings::default(), 60));
        let shared = other.propose(None).unwrap();
        assert_eq!(ring.share(&shared, Duration::ZERO), Some(true));
        assert_eq!(ring.share(&shared, Duration::from_secs(1)), Some(false));
        assert_eq!(ring.turn(), Ok(false));
        // Nothing was heard for long.
        let keys = ring.keys.load_full();
        let since = keys.since.checked_sub(Duration::from_secs(121)).unwrap();
        let secrets = keys.secrets.clone();
        ring.keys.store(Arc::new(Keys { secrets, sealing: keys.sealing, since, stamp: None, shared: true }));
        assert_eq!(ring.turn(), Ok(true));
        let ticket = ring.ticketer("web", &OPEN).encrypt(b"1").unwrap();
        assert_eq!(ring.share(&shared, Duration::ZERO), Some(true), "it has gone by its own meanwhile");
        assert!(ring.ticketer("web", &OPEN).decrypt(&ticket).is_some());
        assert_eq!(ring.share(&KeptRing { sealing: 9, ..shared }, Duration::ZERO), None);
    }

    #[test]
    fn a_key_taken_out_of_the_file_opens_nothing_and_the_last_but_one_seals() {
        let path = std::env::temp_dir().join(format!("ringway-tickets-{}", std::process::id()));
        let key = |byte: u8| STANDARD.encode([byte; 48]);
        let write = |keys: &[String]| std::fs::write(&path, keys.join("\n")).unwrap();
        write(&[key(1), key(2)]);
        let spec = TicketSpec { lifetime: Duration::from_secs(60), keys_file: Some(path.clone()) };
        let ring = Rings::default().open(&spec).unwrap();
        let ticketer = ring.ticketer("web", &OPEN);
        let first = ticketer.encrypt(b"1").unwrap();
        write(&[key(1), key(2), key(3)]);
        assert_eq!(ring.turn(), Ok(true));
        assert_eq!(ring.turn(), Ok(false));
        assert!(ticketer.decrypt(&first).is_some(), "the first key still opens");
        let second = ticketer.encrypt(b"2").unwrap();
        write(&[key(2), key(3), key(4), "#".into()]);
        assert_eq!(ring.turn(), Ok(true));
        assert!(ticketer.decrypt(&first).is_none(), "the first key is gone");
        assert!(ticketer.decrypt(&second).is_some(), "the second has sealed");
        // Another host with the same file opens it.
        let other = Rings::default().open(&spec).unwrap().ticketer("web", &OPEN);
        assert!(other.decrypt(&second).is_some());
        write(&["c2hvcnQ=".into()]);
        let fault = ring.turn().unwrap_err();
        assert!(fault.what.contains("line 1 of") && !fault.what.contains("c2hv"), "{fault:?}");
        assert!(ticketer.decrypt(&second).is_some(), "a bad file keeps the keys");
        std::fs::remove_file(&path).unwrap();
    }
}
