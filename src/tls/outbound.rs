//! What TLS with the targets of a pool is done with: made from its settings, and made anew when its files change.
//!
//! Invariant: whom a connection is with and which state of the files it was verified by is its [`Purpose`]; a connection
//! made for one serves no other.

use super::certificate::{Pair, Stamps};
use super::edge::{Refreshed, Versions};
use super::files::{Fault, Place};
use super::roots::{Authorities, Roots};
use super::store::Expiry;
use super::troubles::Troubles;
use crate::observe::wall;
use arc_swap::ArcSwap;
use rustls::ClientConfig;
use rustls::client::danger::ServerCertVerifier;
use rustls::client::{ClientSessionMemoryCache, Resumption};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::ServerName;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::{TLS12, TLS13};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// How TLS is spoken with the targets of a pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboundSpec {
    /// Whose certificates are taken; `None`: anybody's, unverified.
    pub authorities: Option<Authorities>,
    /// The name that targets are asked for and must prove; `None`: the host that is asked.
    pub name: Option<Box<str>>,
    /// The files of the certificate and the key that are shown to targets that ask for one.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// Which versions are spoken.
    pub versions: Versions,
    /// What exchanges may be in.
    pub speech: Speech,
    /// What is offered for bytes of a protocol that is not ours to know, the most wanted first.
    pub alpn: Vec<Vec<u8>>,
    /// How many targets there are.
    pub targets: usize,
}

/// What is offered to targets by ALPN (RFC 7301) for exchanges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speech {
    /// HTTP/1.1
    Http1,
    /// HTTP/2, and nothing else will do.
    Http2,
    /// Either, as the target likes.
    Either,
}

/// What a connection carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cargo<'a> {
    /// Exchanges of HTTP.
    Exchanges,
    /// Bytes of a protocol that is not ours to know, and what the client has agreed with us that it is.
    Bytes(Option<&'a [u8]>),
}

/// Whom a connection is with, and by which state of the files that was made sure of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Purpose {
    pub(super) name: Box<str>,
    pub(super) state: u64,
}

/// What TLS with the targets of a pool is done with. Shared by all workers; control alone refreshes it.
pub struct Outbound {
    spec: OutboundSpec,
    provider: Arc<CryptoProvider>,
    served: ArcSwap<Served>,
    troubles: Troubles,
    /// When a warning about each target was last given, in seconds since 1970.
    warned: Box<[AtomicU64]>,
}

/// What new handshakes get.
pub(super) struct Served {
    pub(super) state: u64,
    roots: Roots,
    shown: Option<Shown>,
    /// By target: sessions of one are of no use with another.
    exchanges: Box<[Arc<ClientConfig>]>,
    bytes: Box<[Arc<ClientConfig>]>,
    /// Health checks look at the certificate each time.
    checks: [Arc<ClientConfig>; 2],
}

/// The certificate that targets are shown.
#[derive(Clone)]
struct Shown {
    key: Arc<CertifiedKey>,
    not_after: i64,
    stamps: Stamps,
}

/// Names whose sessions are remembered for each target.
const NAMES: usize = 64;
/// Between two warnings about one target, in seconds.
const QUIET: u64 = 60;

impl Outbound {
    /// Reads all files. Fails with everything that cannot be used. Blocks.
    pub fn load(spec: OutboundSpec) -> Result<Self, Vec<Fault>> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut faults = Vec::new();
        let mut keep = |fault| faults.push(fault);
        let roots = Roots::load(spec.authorities.as_ref(), &provider).map_err(&mut keep).ok();
        let shown = Shown::load(&spec, &provider).map_err(&mut keep).ok();
        let (Some(roots), Some(shown)) = (roots, shown) else { return Err(faults) };
        let served = Served::new(&spec, &provider, 1, roots, shown).map_err(|fault| vec![fault])?;
        let warned = (0..spec.targets).map(|_| AtomicU64::new(0)).collect();
        Ok(Self { spec, provider, served: ArcSwap::from_pointee(served), troubles: Troubles::default(), warned })
    }

    /// Looks at the files again, as [`Edge::refresh`](super::Edge::refresh) does. Connections that were verified by what
    /// there was before are used for nothing new. Blocks.
    pub fn refresh(&self) -> Refreshed {
        let served = self.served.load_full();
        let (mut faults, mut changes) = (Vec::new(), 0);
        let mut roots = served.roots.clone();
        if roots.has_changed(self.spec.authorities.as_ref()) {
            match Roots::load(self.spec.authorities.as_ref(), &self.provider) {
                Ok(new) => (roots, changes) = (new, changes + 1),
                Err(fault) => faults.push(fault),
            }
        }
        let mut shown = served.shown.clone();
        if shown.as_ref().is_some_and(|shown| shown.has_changed(&self.spec)) {
            match Shown::load(&self.spec, &self.provider) {
                Ok(new) => (shown, changes) = (new, changes + 1),
                Err(fault) => faults.push(fault),
            }
        }
        if changes > 0 {
            match Served::new(&self.spec, &self.provider, served.state + 1, roots, shown) {
                Ok(new) => self.served.store(Arc::new(new)),
                Err(fault) => {
                    changes = 0;
                    faults.push(fault);
                }
            }
        }
        Refreshed { changes, faults: self.troubles.untold(faults) }
    }

    /// How it was set.
    pub fn spec(&self) -> &OutboundSpec {
        &self.spec
    }

    /// When the certificate that targets are shown ends, if there is one.
    pub fn expiry(&self) -> Option<Expiry> {
        let (file, _) = self.spec.identity.clone()?;
        self.served.load().shown.as_ref().map(|shown| Expiry { file, not_after: shown.not_after })
    }

    /// Which state of the files new connections are verified by.
    pub fn state(&self) -> u64 {
        self.served.load().state
    }

    /// Whom a connection must be with to ask `authority`, a host with a port or without.
    pub fn purpose(&self, authority: &[u8]) -> Purpose {
        let name = match &self.spec.name {
            Some(name) => name.clone(),
            None => String::from_utf8_lossy(bare(authority)).to_ascii_lowercase().into(),
        };
        Purpose { name, state: self.state() }
    }

    /// What a health check's handshake is done with, and for whom.
    pub fn check(&self, authority: &[u8], cargo: Cargo<'_>) -> Option<(Arc<ClientConfig>, ServerName<'static>)> {
        let name = self.purpose(authority).server_name()?;
        let served = self.served.load();
        let [exchanges, bytes] = &served.checks;
        let config = if cargo == Cargo::Exchanges { exchanges } else { bytes };
        Some((config.clone(), name))
    }

    /// Whether whoever runs the target at position `target` should be warned now: once a minute, whatever goes wrong.
    pub fn is_worth_a_warning(&self, target: usize) -> bool {
        let Some(last) = self.warned.get(target) else { return false };
        let now = wall::now();
        let before = last.load(Ordering::Relaxed);
        now.saturating_sub(before) >= QUIET
            && last.compare_exchange(before, now, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    pub(super) fn served(&self) -> Arc<Served> {
        self.served.load_full()
    }
}

impl Purpose {
    /// The state of the files.
    pub fn state(&self) -> u64 {
        self.state
    }

    /// The name as the handshake takes it; `None` if no certificate could be for it.
    pub(super) fn server_name(&self) -> Option<ServerName<'static>> {
        ServerName::try_from(String::from(self.name.clone())).ok()
    }
}

impl Served {
    fn new(
        spec: &OutboundSpec,
        provider: &Arc<CryptoProvider>,
        state: u64,
        roots: Roots,
        shown: Option<Shown>,
    ) -> Result<Self, Fault> {
        let key = shown.as_ref().map(|shown| &shown.key);
        let exchanges = config(spec, provider, &roots.verifier, key, Cargo::Exchanges)?;
        let bytes = config(spec, provider, &roots.verifier, key, Cargo::Bytes(None))?;
        let each = |config: &ClientConfig| -> Box<[Arc<ClientConfig>]> {
            (0..spec.targets).map(|_| remembering(config)).collect()
        };
        Ok(Self {
            state,
            exchanges: each(&exchanges),
            bytes: each(&bytes),
            checks: [Arc::new(exchanges), Arc::new(bytes)],
            roots,
            shown,
        })
    }

    /// What a handshake with the target at position `target` is done with.
    pub(super) fn config(&self, target: usize, cargo: Cargo<'_>) -> Option<Arc<ClientConfig>> {
        let configs = if cargo == Cargo::Exchanges { &self.exchanges } else { &self.bytes };
        configs.get(target).cloned()
    }
}

/// A configuration that remembers no sessions.
fn config(
    spec: &OutboundSpec,
    provider: &Arc<CryptoProvider>,
    verifier: &Arc<dyn ServerCertVerifier>,
    key: Option<&Arc<CertifiedKey>>,
    cargo: Cargo<'_>,
) -> Result<ClientConfig, Fault> {
    let versions = match spec.versions {
        Versions::Modern => &[&TLS13][..],
        Versions::Intermediate => &[&TLS13, &TLS12],
    };
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(versions)
        .map_err(|error| Fault::new(Place::Whole, format!("TLS cannot be set up: {error}"), "please report it"))?
        .dangerous()
        .with_custom_certificate_verifier(verifier.clone());
    let mut config = match key {
        Some(key) => builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(key.clone()))),
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = match (cargo, spec.speech) {
        (Cargo::Bytes(_), _) => spec.alpn.clone(),
        (_, Speech::Http1) => vec![b"http/1.1".to_vec()],
        (_, Speech::Http2) => vec![b"h2".to_vec()],
        (_, Speech::Either) => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
    };
    config.resumption = Resumption::disabled();
    Ok(config)
}

/// The same, remembering sessions of its own. Workers meet at its lock only when they shake hands, and for a look into a map.
fn remembering(config: &ClientConfig) -> Arc<ClientConfig> {
    let mut config = config.clone();
    config.resumption = Resumption::store(Arc::new(ClientSessionMemoryCache::new(NAMES)));
    Arc::new(config)
}

impl Shown {
    fn load(spec: &OutboundSpec, provider: &CryptoProvider) -> Result<Option<Self>, Fault> {
        let Some(pair) = pair(spec) else { return Ok(None) };
        let stamps = pair.stamps();
        let certificate = pair.load(provider)?;
        Ok(Some(Self { key: certificate.key, not_after: certificate.not_after, stamps }))
    }

    fn has_changed(&self, spec: &OutboundSpec) -> bool {
        pair(spec).is_some_and(|pair| pair.stamps() != self.stamps)
    }
}

fn pair(spec: &OutboundSpec) -> Option<Pair> {
    let (cert, key) = spec.identity.clone()?;
    Some(Pair { source: 0, cert, key })
}

/// The host of an authority: without its port, the brackets of IPv6 and the final dot.
fn bare(authority: &[u8]) -> &[u8] {
    let (inner, end) = match authority.strip_prefix(b"[") {
        Some(inner) => (inner, b']'),
        None => (authority, b':'),
    };
    let host = inner.split(|&byte| byte == end).next().unwrap_or_default();
    host.strip_suffix(b".").unwrap_or(host)
}

impl fmt::Debug for Outbound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbound").field("spec", &self.spec).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_what_is_left_of_an_authority() {
        for (authority, host) in [
            ("a.test", "a.test"),
            ("a.test:8443", "a.test"),
            ("a.test.", "a.test"),
            ("a.test.:1", "a.test"),
            ("10.0.0.1:80", "10.0.0.1"),
            ("[::1]:80", "::1"),
            ("[::1]", "::1"),
            ("", ""),
        ] {
            assert_eq!(bare(authority.as_bytes()), host.as_bytes(), "{authority}");
        }
    }

    #[test]
    fn addresses_are_names_and_nonsense_is_none() {
        let name = |name: &str| Purpose { name: name.into(), state: 0 }.server_name();
        assert!(matches!(name("10.0.0.1"), Some(ServerName::IpAddress(_))));
        assert!(matches!(name("::1"), Some(ServerName::IpAddress(_))));
        assert!(matches!(name("my_app.test"), Some(ServerName::DnsName(_))));
        assert!(name("").is_none() && name("a b").is_none());
    }
}
