//! One certificate with its key, and the names that it is for.

use super::files::{self, Fault, Place, Stamp};
use super::names::canonical;
use super::staple::Staple;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys, SignatureAlgorithm};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

/// The files of a certificate.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Pair {
    /// Position of the source that named it.
    pub(super) source: usize,
    /// The certificate and its chain.
    pub(super) cert: PathBuf,
    /// The key; the same file if it holds both.
    pub(super) key: PathBuf,
}

/// The states of a certificate's file and its key's.
pub(super) type Stamps = [Option<Stamp>; 2];

/// One certificate with its key.
#[derive(Clone, Debug)]
pub(super) struct Certificate {
    /// What is given to clients.
    pub(super) key: Arc<CertifiedKey>,
    /// The names it is for, in lower case; `*.` begins a wildcard.
    pub(super) names: Vec<Box<str>>,
    /// The kind of its key.
    pub(super) algorithm: SignatureAlgorithm,
    /// Seconds since 1970 from which it is valid.
    pub(super) not_before: i64,
    /// Seconds since 1970 after which it is no longer valid.
    pub(super) not_after: i64,
    staple: Staple,
}

impl Pair {
    /// What tells whether its files have changed.
    pub(super) fn stamps(&self) -> Stamps {
        [Stamp::of(&self.cert), Stamp::of(&self.key)]
    }

    /// Reads the files.
    pub(super) fn load(&self, provider: &CryptoProvider) -> Result<Certificate, Fault> {
        let at = Place::Certificate(self.source);
        let text = files::read(at, &self.cert)?;
        let chain = files::certificates(at, &self.cert, &text)?;
        let key_at = if self.key == self.cert { at } else { Place::Key(self.source) };
        let key = match self.key == self.cert {
            true => files::private_key(key_at, &self.key, &text)?,
            false => files::private_key(key_at, &self.key, &files::read(key_at, &self.key)?)?,
        };
        let Some(key) = key else {
            let help = match self.key == self.cert {
                true => "add it to the file, name it with `key`, or put NAME.key beside NAME.pem in a directory",
                false => "it must be PEM: -----BEGIN PRIVATE KEY-----",
            };
            return Err(Fault::new(key_at, format!("`{}` holds no private key", self.key.display()), help));
        };
        let (names, not_before, not_after) = read_leaf(at, &self.cert, &chain)?;
        let signer = provider.key_provider.load_private_key(key).map_err(|error| {
            let what = format!("the private key in `{}` cannot be used: {error}", self.key.display());
            Fault::new(key_at, what, "use an RSA key of 2048 bits or more, or an ECDSA key on P-256, P-384 or P-521")
        })?;
        let algorithm = signer.algorithm();
        let key = CertifiedKey::new(chain, signer);
        match key.keys_match() {
            Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => {}
            Err(_) => {
                let what = format!(
                    "the key in `{}` is not that of the first certificate in `{}`",
                    self.key.display(),
                    self.cert.display()
                );
                return Err(Fault::new(
                    key_at,
                    what,
                    "name the two that were made together, the own certificate first",
                ));
            }
        }
        let certificate =
            Certificate { key: Arc::new(key), names, algorithm, not_before, not_after, staple: Staple::default() };
        // What is wrong with the response is found at the next look, too.
        let (stapled, _) = certificate.look_at_staple(self);
        Ok(stapled.unwrap_or(certificate))
    }

    /// Where an OCSP response would lie, in DER.
    fn staple_file(&self) -> PathBuf {
        let mut path = self.cert.clone().into_os_string();
        path.push(".ocsp");
        path.into()
    }
}

impl Certificate {
    /// The same with the OCSP response that lies beside it now, `None` if it has that already; and what is wrong with the
    /// response, as long as something is.
    pub(super) fn look_at_staple(&self, pair: &Pair) -> (Option<Self>, Option<Fault>) {
        let leaf = self.key.cert.first().map_or(&[][..], |leaf| leaf.as_ref());
        let (staple, fault) = self.staple.look(Place::Staple(pair.source), &pair.staple_file(), leaf);
        let stapled = staple.map(|staple| {
            let key = CertifiedKey { ocsp: staple.response(), ..(*self.key).clone() };
            Self { key: Arc::new(key), staple, ..self.clone() }
        });
        (stapled, fault)
    }
}

/// The names of the first certificate of a chain, and from when to when it is valid.
fn read_leaf(at: Place, path: &Path, chain: &[CertificateDer<'_>]) -> Result<(Vec<Box<str>>, i64, i64), Fault> {
    let leaf = chain.first().map_or(&[][..], |leaf| leaf.as_ref());
    let Ok((_, leaf)) = X509Certificate::from_der(leaf) else {
        let what = format!("the first certificate in `{}` cannot be understood", path.display());
        return Err(Fault::new(at, what, "make it anew; `openssl x509 -in FILE -text` must show it"));
    };
    let mut names = Vec::new();
    if let Ok(Some(alternatives)) = leaf.subject_alternative_name() {
        for name in &alternatives.value.general_names {
            if let GeneralName::DNSName(name) = name {
                names.push(canonical(name));
            }
        }
    }
    // Certificates of private authorities may have their name there alone.
    if names.is_empty() {
        names.extend(leaf.subject().iter_common_name().filter_map(|name| name.as_str().ok()).map(canonical));
    }
    let validity = leaf.validity();
    Ok((names, validity.not_before.timestamp(), validity.not_after.timestamp()))
}
