//! From `[listeners.NAME.tls]` to what ends TLS there and to what authorities are asked for, and from `[pools.NAME.tls]` to what
//! begins it.

use super::Plan;
use super::compile::key_path;
use crate::config::model::{
    self, AcmeChallenge, AcmeKey, CaSource, ClientAuthMode, Config, Hsts, PoolProtocol, Protocol, SniPolicy, TlsLevel,
};
use crate::config::{Fault, KeyPath};
use crate::tls::acme::{self, Answers};
use crate::tls::{
    self, Authorities, Demand, Edge, Named, Outbound, OutboundSpec, Place, Policy, Rings, Source, Spec, Speech,
    TicketSpec, TrustSpec, Versions,
};
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What listeners share.
pub(super) struct Shared {
    pub(super) rings: Rings,
    pub(super) answers: Arc<Answers>,
    /// Whether an authority may ask in clear.
    in_clear: bool,
    /// Whether an authority may ask in a handshake.
    in_handshakes: bool,
    state_dir: PathBuf,
}

impl Shared {
    /// Goes on with what `previous` has.
    pub(super) fn new(config: &Config, previous: Option<&Plan>, rings: Rings) -> Self {
        let uses = |challenge| asked(config).any(|(_, acme)| acme.challenge == challenge);
        Self {
            rings,
            answers: previous.map(|plan| plan.answers.clone()).unwrap_or_default(),
            in_clear: uses(AcmeChallenge::Http01),
            in_handshakes: uses(AcmeChallenge::TlsAlpn01),
            state_dir: config.runtime.state_dir.clone(),
        }
    }

    /// The challenges that a listener answers to requests, if there are any.
    pub(super) fn answers_in_clear(&self, listener: &model::Listener) -> Option<Arc<Answers>> {
        (self.in_clear && listener.tls.is_none()).then(|| self.answers.clone())
    }
}

/// Reads the files that the TLS of a listener names. Fails with every one that cannot be used. What is set as it was in
/// `previous` stays in service as it is.
pub(super) fn compile(
    name: &str,
    listener: &model::Listener,
    tls: &model::Tls,
    shared: &mut Shared,
    previous: Option<&Plan>,
) -> Result<Arc<Edge>, Vec<Fault>> {
    let named = |entry: &model::TlsByName| Named {
        names: entry.names.clone(),
        policy: policy(listener.protocol, tls, Some(entry)),
    };
    let issued = tls.acme.as_ref().map(|acme| {
        let folder = acme::Spec::folder(&shared.state_dir, &acme.directory);
        Source::Issued(acme::certificate_file(&folder, name))
    });
    let spec = Spec {
        listener: name.to_owned(),
        sources: tls.certificates.iter().filter_map(source).chain(issued).collect(),
        strict: tls.strict_sni,
        policy: policy(listener.protocol, tls, None),
        by_name: tls.by_name.iter().map(named).collect(),
        tickets: TicketSpec { lifetime: tls.tickets.lifetime.0, keys_file: tls.tickets.keys_file.clone() },
        handshake: listener.timeouts.handshake.0,
        answers: shared.in_handshakes.then(|| shared.answers.clone()),
    };
    let before = previous.and_then(|plan| plan.listener(name)).and_then(|listener| listener.tls.as_ref());
    if let Some(edge) = before.filter(|edge| *edge.spec() == spec) {
        // Its ring stays a ring of this plan.
        return match shared.rings.open(&spec.tickets) {
            Ok(_) => Ok(edge.clone()),
            Err(fault) => Err(vec![placed(name, tls, fault)]),
        };
    }
    Edge::load(spec, &mut shared.rings)
        .map(Arc::new)
        .map_err(|faults| faults.into_iter().map(|fault| placed(name, tls, fault)).collect())
}

/// What authorities are asked for.
pub(super) fn acme(config: &Config) -> Vec<Arc<acme::Spec>> {
    asked(config).map(|(name, acme)| Arc::new(spec(name, acme, &config.runtime.state_dir))).collect()
}

/// The listeners that have an authority: name, keys.
fn asked(config: &Config) -> impl Iterator<Item = (&String, &model::Acme)> {
    config.listeners.iter().filter_map(|(name, listener)| Some((name, listener.tls.as_ref()?.acme.as_ref()?)))
}

fn spec(listener: &str, acme: &model::Acme, state_dir: &Path) -> acme::Spec {
    let mut names = acme.names.clone();
    let mut seen = HashSet::new();
    names.retain(|name| seen.insert(name.clone()));
    acme::Spec {
        listener: listener.to_owned(),
        names,
        contact: acme.contact.clone(),
        directory: acme.directory.clone(),
        ca: acme.ca.clone(),
        challenge: match acme.challenge {
            AcmeChallenge::Http01 => acme::Challenge::Http,
            AcmeChallenge::TlsAlpn01 => acme::Challenge::TlsAlpn,
            AcmeChallenge::Dns01 => {
                acme::Challenge::Dns { hook: acme.dns_hook.clone().unwrap_or_default(), timeout: acme.dns_timeout.0 }
            }
        },
        key: match acme.key {
            AcmeKey::EcdsaP256 => acme::KeyKind::EcdsaP256,
            AcmeKey::EcdsaP384 => acme::KeyKind::EcdsaP384,
            AcmeKey::Rsa2048 => acme::KeyKind::Rsa2048,
        },
        renew_before: acme.renew_before.map(|before| before.0),
        folder: acme::Spec::folder(state_dir, &acme.directory),
    }
}

/// Reads the files that the TLS of a pool names. Fails with every one that cannot be used. What is set as it was `before` stays
/// in service as it is.
pub(super) fn compile_outbound(
    name: &str,
    pool: &model::Pool,
    tls: &model::PoolTls,
    before: Option<&Arc<Outbound>>,
) -> Result<Arc<Outbound>, Vec<Fault>> {
    let authorities = match &tls.ca {
        CaSource::System => Authorities::System,
        CaSource::File(path) => Authorities::File(path.clone()),
    };
    let spec = OutboundSpec {
        authorities: tls.verify.then_some(authorities),
        name: match &tls.sni {
            SniPolicy::Host => None,
            // A certificate names an address without brackets.
            SniPolicy::Fixed(name) => Some(name.trim_matches(['[', ']']).into()),
        },
        identity: tls.cert.as_ref().map(|cert| (cert.clone(), tls.key.as_ref().unwrap_or(cert).clone())),
        versions: versions(tls.level),
        speech: match pool.protocol {
            PoolProtocol::H1 => Speech::Http1,
            PoolProtocol::H2 => Speech::Http2,
            PoolProtocol::Alpn => Speech::Either,
        },
        alpn: tls.alpn.iter().map(|protocol| protocol.clone().into_bytes()).collect(),
        targets: pool.targets.len(),
    };
    if let Some(same) = before.filter(|before| *before.spec() == spec) {
        return Ok(same.clone());
    }
    let at = key_path(&["pools", name, "tls"]);
    Outbound::load(spec).map(Arc::new).map_err(|faults| {
        let placed = |fault: tls::Fault| {
            let at = match fault.at {
                Place::Authorities => at.child("ca"),
                Place::Certificate(_) => at.child("cert"),
                Place::Key(_) => at.child("key"),
                _ => at.clone(),
            };
            Fault::new(at, fault.what).help(fault.help)
        };
        faults.into_iter().map(placed).collect()
    })
}

/// What handshakes go by, for the names of `entry` where it is one's.
fn policy(protocol: Protocol, tls: &model::Tls, entry: Option<&model::TlsByName>) -> Policy {
    let alpn = entry.and_then(|entry| entry.alpn.as_ref()).unwrap_or(&tls.alpn);
    Policy {
        versions: versions(entry.and_then(|entry| entry.level).unwrap_or(tls.level)),
        alpn: match (protocol, &alpn[..]) {
            (Protocol::Http, []) => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
            (_, protocols) => protocols.iter().map(|protocol| protocol.clone().into_bytes()).collect(),
        },
        trust: trust(entry.and_then(|entry| entry.client_auth.as_ref()).unwrap_or(&tls.client_auth)),
    }
}

fn versions(level: TlsLevel) -> Versions {
    match level {
        TlsLevel::Modern => Versions::Modern,
        TlsLevel::Intermediate => Versions::Intermediate,
    }
}

/// The header line that tells browsers to come over TLS only (RFC 6797 §6.1).
pub(super) fn hsts(hsts: &Hsts) -> Box<[u8]> {
    let names = if hsts.include_subdomains { "; includeSubDomains" } else { "" };
    let preload = if hsts.preload { "; preload" } else { "" };
    let line = format!("Strict-Transport-Security: max-age={}{names}{preload}\r\n", hsts.max_age.0.as_secs());
    line.into_bytes().into()
}

fn source(source: &model::CertificateSource) -> Option<Source> {
    match (&source.cert, &source.directory) {
        (Some(cert), _) => {
            let key = source.key.as_ref().unwrap_or(cert);
            Some(Source::Files { cert: cert.clone(), key: key.clone() })
        }
        (None, Some(path)) => Some(Source::Directory(path.clone())),
        (None, None) => None,
    }
}

fn trust(auth: &model::ClientAuth) -> Option<TrustSpec> {
    let demand = match auth.mode {
        ClientAuthMode::None => return None,
        ClientAuthMode::Optional => Demand::Optional,
        ClientAuthMode::Required => Demand::Required,
    };
    Some(TrustSpec { demand, authorities: auth.ca.clone()?, revocations: auth.crl.clone() })
}

/// The fault at the key that names the file.
fn placed(name: &str, tls: &model::Tls, fault: tls::Fault) -> Fault {
    let at = key_path(&["listeners", name, "tls"]);
    let certificate = |index: usize, key: &str| -> KeyPath { at.child("certificates").child(index).child(key) };
    let at = match fault.at {
        // What an authority issues is named by no key.
        Place::Certificate(index) | Place::Key(index) | Place::Staple(index) if index >= tls.certificates.len() => {
            at.child("acme")
        }
        // What is wrong with a file in a directory is shown at the directory.
        Place::Certificate(index) | Place::Key(index) | Place::Staple(index)
            if tls.certificates.get(index).is_some_and(|source| source.directory.is_some()) =>
        {
            certificate(index, "directory")
        }
        Place::Certificate(index) | Place::Staple(index) => certificate(index, "cert"),
        Place::Key(index) => certificate(index, "key"),
        Place::Directory(index) => certificate(index, "directory"),
        Place::Authorities => at.child("client_auth").child("ca"),
        Place::Revocations => at.child("client_auth").child("crl"),
        Place::AuthoritiesOf(entry) => at.child("by_name").child(entry).child("client_auth").child("ca"),
        Place::RevocationsOf(entry) => at.child("by_name").child(entry).child("client_auth").child("crl"),
        Place::Tickets => at.child("tickets").child("keys_file"),
        Place::Whole => at,
    };
    Fault::new(at, fault.what).help(fault.help)
}
