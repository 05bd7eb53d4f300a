//! What is asked of clients' certificates.

use super::files::{self, Fault, Place, Stamp};
use aws_lc_rs::digest::{Context, SHA256};
use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use std::path::PathBuf;
use std::sync::Arc;

/// Whether clients show a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Demand {
    /// A client may have none, but not a bad one.
    Optional,
    /// No handshake without one.
    Required,
}

/// What is asked of clients' certificates.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TrustSpec {
    /// Whether clients show one.
    pub demand: Demand,
    /// The file of authorities.
    pub authorities: PathBuf,
    /// The file of revocation lists.
    pub revocations: Option<PathBuf>,
}

/// How clients' certificates are checked.
#[derive(Clone, Debug)]
pub(super) struct Trust {
    pub(super) verifier: Arc<dyn ClientCertVerifier>,
    /// Of all that decides which client is let in.
    pub(super) digest: [u8; 32],
    stamps: [Option<Stamp>; 2],
}

impl Trust {
    /// Nothing is asked.
    pub(super) fn open() -> Self {
        let digest = digest(&[b"none"]);
        Self { verifier: WebPkiClientVerifier::no_client_auth(), digest, stamps: [None; 2] }
    }

    /// Reads the files.
    pub(super) fn load(spec: &TrustSpec, provider: &Arc<CryptoProvider>) -> Result<Self, Fault> {
        let at = Place::Authorities;
        let stamps = stamps(spec);
        let authorities = files::certificates(at, &spec.authorities, &files::read(at, &spec.authorities)?)?;
        let mut parts: Vec<&[u8]> = vec![match spec.demand {
            Demand::Optional => b"optional",
            Demand::Required => b"required",
        }];
        parts.extend(authorities.iter().map(AsRef::as_ref));
        let mut roots = RootCertStore::empty();
        for authority in &authorities {
            roots.add(authority.clone()).map_err(|error| {
                let what =
                    format!("`{}` holds a certificate that is no authority: {error}", spec.authorities.display());
                Fault::new(at, what, "name a PEM file with the authorities' own certificates")
            })?;
        }
        let lists = match &spec.revocations {
            Some(path) => files::revocations(path, &files::read(Place::Revocations, path)?)?,
            None => Vec::new(),
        };
        parts.push(b"revoked");
        parts.extend(lists.iter().map(AsRef::as_ref));
        let digest = digest(&parts);
        let mut builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone());
        if !lists.is_empty() {
            // An old list may miss what was revoked since.
            builder = builder.with_crls(lists).enforce_revocation_expiration();
        }
        if spec.demand == Demand::Optional {
            builder = builder.allow_unauthenticated();
        }
        let verifier = builder.build().map_err(|error| {
            let path = spec.revocations.as_ref().unwrap_or(&spec.authorities);
            Fault::new(Place::Revocations, format!("`{}` cannot be used: {error}", path.display()), "make it anew")
        })?;
        Ok(Self { verifier, digest, stamps })
    }

    /// Whether the files have changed since they were read.
    pub(super) fn has_changed(&self, spec: &TrustSpec) -> bool {
        self.stamps != stamps(spec)
    }
}

fn stamps(spec: &TrustSpec) -> [Option<Stamp>; 2] {
    [Stamp::of(&spec.authorities), spec.revocations.as_deref().and_then(Stamp::of)]
}

/// Of the parts in their order, each with its length, so that no two lists give the same bytes.
pub(super) fn digest(parts: &[&[u8]]) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    let mut out = [0; 32];
    out.copy_from_slice(context.finish().as_ref());
    out
}
