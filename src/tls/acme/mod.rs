//! Certificates from an authority that speaks ACME (RFC 8555): what is asked for, what is kept of it on disk, how
//! challenges are answered, and when it is time. Talking to the authority is control's.
//!
//! What always holds:
//! - A file is written beside its place, synced and renamed, so that it is whole; only its owner may read it.
//! - A certificate that cannot be used, or not with its key, replaces nothing.
//! - An answer to a challenge is there for as long as its [`Published`] is; it is public by its nature.
//!
//! May depend on what the rest of `tls` may.

mod answers;
mod disk;
mod schedule;

pub(super) use answers::PROTOCOL;
pub use answers::{Answers, Published};
pub use disk::{Held, prepare, read, read_text, write_certificate, write_text};
pub use schedule::{Backoff, Blame, renewal};

use super::files::{self, Place};
use rcgen::{CertificateParams, DistinguishedName, KeyPair, SignatureAlgorithm};
use rcgen::{PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_RSA_SHA256};
use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, RootCertStore};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// What one listener has an authority issue: one certificate for all of its names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    /// The listener's name.
    pub listener: String,
    /// The names, in lower case; `*.` begins a wildcard.
    pub names: Vec<String>,
    /// Whom the authority may write to.
    pub contact: Option<String>,
    /// The URL of the authority's directory.
    pub directory: String,
    /// What the authority's own certificate is checked by; `None`: what the system trusts.
    pub ca: Option<PathBuf>,
    /// How the authority sees that the names are ours.
    pub challenge: Challenge,
    /// The kind of key.
    pub key: KeyKind,
    /// How long before its end a certificate is renewed; `None`: a third of its lifetime.
    pub renew_before: Option<Duration>,
    /// Where all that concerns this authority is kept.
    pub folder: PathBuf,
}

/// How an authority sees that names are ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Challenge {
    /// A file on port 80 (RFC 8555 §8.3).
    Http,
    /// A certificate on port 443 (RFC 8737).
    TlsAlpn,
    /// A record in DNS (RFC 8555 §8.4), which a program puts there.
    Dns {
        /// The program.
        hook: PathBuf,
        /// How long one call of it may take.
        timeout: Duration,
    },
}

/// The kind of a certificate's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// ECDSA on P-256.
    EcdsaP256,
    /// ECDSA on P-384.
    EcdsaP384,
    /// RSA of 2048 bits.
    Rsa2048,
}

impl Spec {
    /// Where what concerns the authority of `directory` is kept below `state`: a folder of its own, so that nothing of a
    /// test authority is taken for the real one's.
    pub fn folder(state: &Path, directory: &str) -> PathBuf {
        let digest = xxhash_rust::xxh3::xxh3_64(directory.as_bytes());
        let host: String = host(directory).chars().map(|c| if c == ':' { '_' } else { c }).collect();
        state.join("acme").join(format!("{host}-{:08x}", digest >> 32))
    }

    /// The file of the certificate, its chain and its key.
    pub fn certificate_file(&self) -> PathBuf {
        certificate_file(&self.folder, &self.listener)
    }

    /// The file of the account, which all listeners with this authority share.
    pub fn account_file(&self) -> PathBuf {
        self.folder.join("account.json")
    }

    /// The file that says why the authority refused last.
    pub fn refusal_file(&self) -> PathBuf {
        self.folder.join(format!("{}.refused", self.listener))
    }

    /// The authority's host.
    pub fn authority(&self) -> &str {
        host(&self.directory)
    }

    /// Makes a key and a request to certify it, in PEM and DER. Computes.
    pub fn request(&self) -> Result<(String, Vec<u8>), String> {
        let make = || {
            let key = KeyPair::generate_for(self.key.algorithm())?;
            let mut params = CertificateParams::new(self.names.clone())?;
            params.distinguished_name = DistinguishedName::new();
            let request = params.serialize_request(&key)?;
            Ok((key.serialize_pem(), request.der().to_vec()))
        };
        make().map_err(|error: rcgen::Error| format!("no request for a certificate can be made: {error}"))
    }
}

/// How an authority is spoken to: its certificate is checked by the authorities in `ca`, or by what the system trusts.
/// Blocks.
pub fn client(ca: Option<&Path>) -> Result<ClientConfig, String> {
    let mut roots = RootCertStore::empty();
    match ca {
        Some(path) => {
            let text = files::read(Place::Whole, path).map_err(|fault| fault.what)?;
            for authority in files::certificates(Place::Whole, path, &text).map_err(|fault| fault.what)? {
                roots
                    .add(authority)
                    .map_err(|error| format!("a certificate in `{}` cannot be used: {error}", path.display()))?;
            }
        }
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            if roots.is_empty() {
                return Err("this system trusts no authority: install ca-certificates, or set `ca`".to_owned());
            }
        }
    }
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("TLS cannot be set up: {error}"))?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

/// The file of a listener's certificate in an authority's folder.
pub fn certificate_file(folder: &Path, listener: &str) -> PathBuf {
    folder.join(format!("{listener}.pem"))
}

fn host(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split(['/', '?', '#']).next().unwrap_or_default()
}

impl KeyKind {
    fn algorithm(self) -> &'static SignatureAlgorithm {
        match self {
            Self::EcdsaP256 => &PKCS_ECDSA_P256_SHA256,
            Self::EcdsaP384 => &PKCS_ECDSA_P384_SHA384,
            Self::Rsa2048 => &PKCS_RSA_SHA256,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_authority_has_a_folder_of_its_own() {
        let folder = |url| Spec::folder(Path::new("/s"), url).display().to_string();
        let (real, test) = (folder("https://ca.test/directory"), folder("https://ca.test/staging"));
        assert!(real.starts_with("/s/acme/ca.test-") && real != test, "{real} {test}");
        let with_port = folder("https://127.0.0.1:14000/dir");
        assert!(with_port.starts_with("/s/acme/127.0.0.1_14000-"), "{with_port}");
    }
}
