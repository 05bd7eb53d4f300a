//! Whose certificates targets may show.

use super::files::{self, Fault, Place, Stamp};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use std::path::PathBuf;
use std::sync::Arc;
use x509_parser::prelude::{FromDer, X509Certificate};

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
        let mut own = Vec::new();
        let roots = match authorities {
            None => {
                let verifier = Arc::new(Unverified(provider.signature_verification_algorithms));
                return Ok(Self { verifier, stamps });
            }
            Some(Authorities::System) => system()?,
            Some(Authorities::File(path)) => {
                let at = Place::Authorities;
                let mut roots = RootCertStore::empty();
                own = files::certificates(at, path, &files::read(at, path)?)?;
                for authority in &own {
                    roots.add(authority.clone()).map_err(|error| {
                        let what = format!("`{}` holds a certificate that is no authority: {error}", path.display());
                        Fault::new(at, what, "name a PEM file with the authorities' own certificates")
                    })?;
                }
                roots
            }
        };
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build();
        let authorities = verifier.map_err(|error| {
            Fault::new(Place::Authorities, format!("the authorities cannot be used: {error}"), "check the file")
        })?;
        Ok(Self { verifier: Arc::new(Named { own, authorities }), stamps })
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

/// Takes the certificates of authorities, and such as are named themselves: one that is signed by itself has no other
/// authority, and most tools make it an authority's, which is no good as anything else (RFC 5280 §4.2.1.9).
#[derive(Debug)]
struct Named {
    own: Vec<CertificateDer<'static>>,
    authorities: Arc<WebPkiServerVerifier>,
}

impl ServerCertVerifier for Named {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        staple: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if !self.own.contains(certificate) {
            return self.authorities.verify_server_cert(certificate, chain, name, staple, now);
        }
        let (_, read) = X509Certificate::from_der(certificate).map_err(|_| CertificateError::BadEncoding)?;
        let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        if now > read.validity().not_after.timestamp() {
            return Err(CertificateError::Expired.into());
        }
        if now < read.validity().not_before.timestamp() {
            return Err(CertificateError::NotValidYet.into());
        }
        verify_server_name(&ParsedCertificate::try_from(certificate)?, name)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.authorities.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.authorities.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.authorities.supported_verify_schemes()
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
