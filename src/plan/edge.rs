//! From `[listeners.NAME.tls]` to what ends TLS there, and from `[pools.NAME.tls]` to what begins it.

use super::compile::key_path;
use crate::config::model::{self, CaSource, ClientAuthMode, Hsts, PoolProtocol, Protocol, SniPolicy, TlsLevel};
use crate::config::{Fault, KeyPath};
use crate::tls::{
    self, Authorities, Demand, Edge, Outbound, OutboundSpec, Place, Rings, Source, Spec, Speech, TicketSpec, TrustSpec,
    Versions,
};

/// Reads the files that the TLS of a listener names. Fails with every one that cannot be used.
pub(super) fn compile(
    name: &str,
    listener: &model::Listener,
    tls: &model::Tls,
    rings: &mut Rings,
) -> Result<Edge, Vec<Fault>> {
    let spec = Spec {
        listener: name.to_owned(),
        sources: tls.certificates.iter().filter_map(source).collect(),
        versions: versions(tls.level),
        strict: tls.strict_sni,
        alpn: match (listener.protocol, &tls.alpn[..]) {
            (Protocol::Http, []) => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
            (_, protocols) => protocols.iter().map(|protocol| protocol.clone().into_bytes()).collect(),
        },
        trust: trust(&tls.client_auth),
        tickets: TicketSpec { lifetime: tls.tickets.lifetime.0, keys_file: tls.tickets.keys_file.clone() },
        handshake: listener.timeouts.handshake.0,
    };
    Edge::load(spec, rings).map_err(|faults| faults.into_iter().map(|fault| placed(name, tls, fault)).collect())
}

/// Reads the files that the TLS of a pool names. Fails with every one that cannot be used.
pub(super) fn compile_outbound(name: &str, pool: &model::Pool, tls: &model::PoolTls) -> Result<Outbound, Vec<Fault>> {
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
        targets: pool.targets.len(),
    };
    let at = key_path(&["pools", name, "tls"]);
    Outbound::load(spec).map_err(|faults| {
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
        // What is wrong with a file in a directory is shown at the directory.
        Place::Certificate(index) | Place::Key(index)
            if tls.certificates.get(index).is_some_and(|source| source.directory.is_some()) =>
        {
            certificate(index, "directory")
        }
        Place::Certificate(index) => certificate(index, "cert"),
        Place::Key(index) => certificate(index, "key"),
        Place::Directory(index) => certificate(index, "directory"),
        Place::Authorities => at.child("client_auth").child("ca"),
        Place::Revocations => at.child("client_auth").child("crl"),
        Place::Tickets => at.child("tickets").child("keys_file"),
        Place::Whole => at,
    };
    Fault::new(at, fault.what).help(fault.help)
}
