//! Whose certificates targets may show.

use super::files::{self, Fault, Place, Stamp};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use std::path::PathBuf;
use std::sync::Arc;

/// Whose certificates are taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Authorities {
    /// Those that the system trusts.
    System,
    /// Those of the authorities in a PEM file.
    File(PathBuf),
}

/// How targets' certificates are checked.
#[derive(Clone, Debug)]
pub(super) struct Roots {
    pub(super) verifier: Arc<dyn ServerCertVerifier>,
    stamps: Vec<Option<Stamp>>,
}

impl Roots {
    /// Reads the authorities; with none of them, anybody's certificate is taken.
    pub(super) fn load(authorities: Option<&Authorities>, provider: &Arc<CryptoProvider>) -> Result<Self, Fault> {
        let stamps = stamps(authorities);
        let roots = match authorities {
            None => {
                let verifier = Arc::new(Unverified(provider.signature_verification_algorithms));
                return Ok(Self { verifier, stamps });
            }
            Some(Authorities::System) => system()?,
            Some(Authorities::File(path)) => {
                let at = Place::Authorities;
                let mut roots = RootCertStore::empty();
                for authority in files::certificates(at, path, &files::read(at, path)?)? {
                    roots.add(authority).map_err(|error| {
                        let what = format!("`{}` holds a certificate that is no authority: {error}", path.display());
                        Fault::new(at, what, "name a PEM file with the authorities' own certificates")
                    })?;
                }
                roots
            }
        };
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build();
        let verifier = verifier.map_err(|error| {
            Fault::new(Place::Authorities, format!("the authorities cannot be used: {error}"), "check the file")
        })?;
        Ok(Self { verifier, stamps })
    }

    /// Whether the files have changed since they were read.
    pub(super) fn has_changed(&self, authorities: Option<&Authorities>) -> bool {
        self.stamps != stamps(authorities)
    }
}

/// The authorities that the system trusts.
fn system() -> Result<RootCertStore, Fault> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    // Old ones that nobody can check any more lie among them; one such must not keep out the others.
    let (usable, _) = roots.add_parsable_certificates(found.certs);
    if usable == 0 {
        let why = found.errors.first().map(|error| format!(": {error}")).unwrap_or_default();
        return Err(Fault::new(
            Place::Authorities,
            format!("the system has no certificates of authorities{why}"),
            "install them (the package ca-certificates), or name a PEM file: ca = \"ca.pem\"",
        ));
    }
    Ok(roots)
}

fn stamps(authorities: Option<&Authorities>) -> Vec<Option<Stamp>> {
    match authorities {
        None => Vec::new(),
        Some(Authorities::File(path)) => vec![Stamp::of(path)],
        Some(Authorities::System) => {
            let places = openssl_probe::probe();
            places.cert_file.iter().chain(&places.cert_dir).map(|path| Stamp::of(path)).collect()
        }
    }
}

/// Takes any certificate; that the target has its key is still made sure of.
#[derive(Debug)]
struct Unverified(WebPkiSupportedAlgorithms);

impl ServerCertVerifier for Unverified {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}
