//! Reading PEM files. What is wrong with one names the file and says what to do; nothing of a key is ever shown.

use crate::net;
use rustls::pki_types::pem::{PemObject, SectionKind, from_buf};
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Which key of a listener's or a pool's TLS settings names a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The certificate file of the source at this position.
    Certificate(usize),
    /// Its key file.
    Key(usize),
    /// Its directory.
    Directory(usize),
    /// The OCSP response beside its certificate.
    Staple(usize),
    /// The authorities of the peers' certificates.
    Authorities,
    /// The revocation lists.
    Revocations,
    /// The authorities of the entry of `by_name` at this position.
    AuthoritiesOf(usize),
    /// Its revocation lists.
    RevocationsOf(usize),
    /// The keys of tickets.
    Tickets,
    /// All of it.
    Whole,
}

impl Place {
    /// The same within the entry of `by_name` at this position.
    pub(super) fn of(self, entry: usize) -> Self {
        match self {
            Self::Authorities => Self::AuthoritiesOf(entry),
            Self::Revocations => Self::RevocationsOf(entry),
            other => other,
        }
    }
}

/// A file that cannot be used, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What names the file.
    pub at: Place,
    /// What is wrong, with the file's name.
    pub what: String,
    /// What to do.
    pub help: String,
}

impl Fault {
    pub(super) fn new(at: Place, what: impl Into<String>, help: impl Into<String>) -> Self {
        Self { at, what: what.into(), help: help.into() }
    }
}

/// What tells one state of a file from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    seconds: i64,
    nanos: i64,
}

impl Stamp {
    /// The stamp of a file; `None` if there is none to be had.
    pub(super) fn of(path: &Path) -> Option<Self> {
        fs::metadata(path).ok().map(|data| Self::from(&data))
    }
}

impl From<&Metadata> for Stamp {
    fn from(data: &Metadata) -> Self {
        Self {
            device: data.dev(),
            inode: data.ino(),
            size: data.size(),
            seconds: data.mtime(),
            nanos: data.mtime_nsec(),
        }
    }
}

/// The largest file that is read, in bytes: a bundle of all public authorities has a quarter of a MiB.
const FILE_MAX: u64 = 16 << 20;

/// Reads a file that `at` names.
pub(super) fn read(at: Place, path: &Path) -> Result<Vec<u8>, Fault> {
    let fail = |why: &str, help: &str| Fault::new(at, format!("cannot read `{}`: {why}", path.display()), help);
    let data = match fs::metadata(path) {
        Ok(data) if data.is_dir() => return Err(fail("it is a directory", "name the file in it")),
        Ok(data) if data.len() > FILE_MAX => return Err(fail("it is larger than 16 MiB", "name a PEM file")),
        other => other,
    };
    data.and_then(|_| fs::read(path)).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => {
            fail("there is no such file", "check the path; it is relative to the file naming it")
        }
        io::ErrorKind::PermissionDenied => fail(
            &format!("permission denied to {}", net::whoami()),
            "let the user that Ringway runs as read it, by its group for example",
        ),
        _ => fail(&error.to_string(), "check the file"),
    })
}

/// The certificates in a PEM file: at least one.
pub(super) fn certificates(at: Place, path: &Path, text: &[u8]) -> Result<Vec<CertificateDer<'static>>, Fault> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) => Err(Fault::new(
            at,
            format!("`{}` holds no certificate", path.display()),
            "it must be PEM: -----BEGIN CERTIFICATE-----",
        )),
        Err(error) => Err(broken(at, path, &error)),
    }
}

/// The private key in a PEM file; `None` if it holds none.
pub(super) fn private_key(at: Place, path: &Path, text: &[u8]) -> Result<Option<PrivateKeyDer<'static>>, Fault> {
    if text.windows(ENCRYPTED.len()).any(|window| window == ENCRYPTED)
        || text.windows(ENCRYPTED_OLD.len()).any(|window| window == ENCRYPTED_OLD)
    {
        return Err(Fault::new(
            at,
            format!("the private key in `{}` is encrypted", path.display()),
            "decrypt it (`openssl pkey -in FILE -out FILE`) and let only the user that Ringway runs as read it",
        ));
    }
    match PrivateKeyDer::from_pem_slice(text) {
        Ok(key) => Ok(Some(key)),
        Err(rustls::pki_types::pem::Error::NoItemsFound) => Ok(None),
        Err(error) => Err(broken(at, path, &error)),
    }
}

const ENCRYPTED: &[u8] = b"-----BEGIN ENCRYPTED PRIVATE KEY-----";
const ENCRYPTED_OLD: &[u8] = b"Proc-Type: 4,ENCRYPTED";

/// The revocation lists in a PEM file: at least one.
pub(super) fn revocations(path: &Path, text: &[u8]) -> Result<Vec<CertificateRevocationListDer<'static>>, Fault> {
    let found: Result<Vec<_>, _> = CertificateRevocationListDer::pem_slice_iter(text).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) => Err(Fault::new(
            Place::Revocations,
            format!("`{}` holds no revocation list", path.display()),
            "it must be PEM: -----BEGIN X509 CRL----- (`openssl crl -inform der -in FILE` turns DER into it)",
        )),
        Err(error) => Err(broken(Place::Revocations, path, &error)),
    }
}

/// Whether a PEM file holds a certificate, so that it is not only a key.
pub(super) fn holds_certificate(text: &[u8]) -> bool {
    let mut rest = text;
    while let Ok(Some((kind, _))) = from_buf(&mut rest) {
        if kind == SectionKind::Certificate {
            return true;
        }
    }
    false
}

/// A certificate, key or chain in `directory`, as pairs of certificate and key files.
///
/// # Errors
/// The directory cannot be read.
pub(super) fn pairs(at: Place, directory: &Path) -> Result<Vec<(PathBuf, PathBuf)>, Fault> {
    let entries = fs::read_dir(directory).map_err(|error| {
        let why = match error.kind() {
            io::ErrorKind::NotFound => "there is no such directory".to_owned(),
            _ => net::reason(&error),
        };
        Fault::new(at, format!("cannot read `{}`: {why}", directory.display()), "name a directory of PEM files")
    })?;
    let mut names: Vec<(PathBuf, bool)> = entries
        .flatten()
        .filter(|entry| !entry.file_name().as_encoded_bytes().starts_with(b"."))
        // A link leads to a folder or a file; certbot's do.
        .map(|entry| (entry.path(), entry.file_type().is_ok_and(|kind| kind.is_dir())))
        .collect();
    names.sort();
    let keys: std::collections::HashSet<PathBuf> =
        names.iter().map(|(path, _)| path).filter(|path| has_extension(path, &["key"])).cloned().collect();
    let mut pairs = Vec::new();
    for (path, is_folder) in names {
        if is_folder {
            let (chain, key) = (path.join("fullchain.pem"), path.join("privkey.pem"));
            if chain.exists() {
                pairs.push((chain, key));
            }
        } else if has_extension(&path, &["pem", "crt", "cer"]) {
            let beside = path.with_extension("key");
            let key = if keys.contains(&beside) { beside } else { path.clone() };
            pairs.push((path, key));
        }
    }
    Ok(pairs)
}

fn has_extension(path: &Path, extensions: &[&str]) -> bool {
    path.extension().and_then(|own| own.to_str()).is_some_and(|own| extensions.contains(&own))
}

fn broken(at: Place, path: &Path, error: &rustls::pki_types::pem::Error) -> Fault {
    Fault::new(at, format!("`{}` is broken PEM: {error}", path.display()), "write the file again, whole")
}
