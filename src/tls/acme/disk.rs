//! What is kept: the account and the certificates with their keys. Everything here blocks.

use super::Spec;
use crate::tls::certificate::Pair;
use crate::tls::files;
use rcgen::KeyPair;
use rustls::crypto::aws_lc_rs;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// A certificate that is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// The names it is for, in lower case.
    pub names: Vec<String>,
    /// Seconds since 1970 from which it is valid.
    pub not_before: i64,
    /// Seconds since 1970 after which it is no longer valid.
    pub not_after: i64,
    /// Whether its key is of the kind that is asked for.
    pub fitting_key: bool,
}

impl Held {
    /// Whether it is for all that is asked for. What it has beyond that, which some authorities add, does no harm.
    pub fn serves(&self, spec: &Spec) -> bool {
        self.fitting_key && spec.names.iter().all(|name| self.names.contains(name))
    }
}

/// Makes the folder, and sees that files can be written there: what is issued must not be lost.
pub fn prepare(spec: &Spec) -> Result<(), String> {
    let mut made = DirBuilder::new();
    made.recursive(true).mode(0o700);
    let result = made.create(&spec.folder).and_then(|()| {
        for folder in [Some(spec.folder.as_path()), spec.folder.parent()].into_iter().flatten() {
            fs::set_permissions(folder, fs::Permissions::from_mode(0o700))?;
        }
        let probe = beside(&spec.certificate_file());
        create(&probe)?.sync_all()?;
        fs::remove_file(probe)
    });
    result.map_err(|error| {
        format!(
            "cannot write to `{}`: {error}; set runtime.state_dir to a folder that Ringway may write to",
            spec.folder.display()
        )
    })
}

/// The certificate that is kept, if there is one.
pub fn read(spec: &Spec) -> Result<Option<Held>, String> {
    let file = spec.certificate_file();
    if !file.exists() {
        return Ok(None);
    }
    load(&file, spec).map(Some)
}

/// Keeps a certificate with its key, both in PEM, if they can be used.
pub fn write_certificate(spec: &Spec, key: &str, chain: &str) -> Result<Held, String> {
    let file = spec.certificate_file();
    let new = beside(&file);
    // The key comes first, as it is the one that must be found.
    let text = format!("{}\n{}\n", key.trim_end(), chain.trim_end());
    let result = fill(&new, text.as_bytes()).map_err(|error| unwritten(&file, &error)).and_then(|()| {
        let held = load(&new, spec)?;
        settle(&new, &file).map_err(|error| unwritten(&file, &error))?;
        Ok(held)
    });
    if result.is_err() {
        let _ = fs::remove_file(&new);
    }
    result
}

/// Keeps a text.
pub fn write_text(file: &Path, text: &str) -> Result<(), String> {
    let new = beside(file);
    fill(&new, text.as_bytes()).and_then(|()| settle(&new, file)).map_err(|error| unwritten(file, &error))
}

/// A text that is kept, if there is one.
pub fn read_text(file: &Path) -> Result<Option<String>, String> {
    match fs::read_to_string(file) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!("cannot read `{}`: {error}", file.display())),
    }
}

fn load(file: &Path, spec: &Spec) -> Result<Held, String> {
    let pair = Pair { source: 0, cert: file.to_owned(), key: file.to_owned() };
    let certificate = pair.load(&aws_lc_rs::default_provider()).map_err(|fault| fault.what)?;
    let text = files::read(files::Place::Whole, file).map_err(|fault| fault.what)?;
    let key = KeyPair::from_pem(&String::from_utf8_lossy(&text)).map(|key| key.algorithm() == spec.key.algorithm());
    Ok(Held {
        names: certificate.names.iter().map(|name| name.to_string()).collect(),
        not_before: certificate.not_before,
        not_after: certificate.not_after,
        fitting_key: key.unwrap_or(false),
    })
}

/// Where a file is written before it takes its place. Directories of certificates leave hidden files alone.
fn beside(file: &Path) -> PathBuf {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    file.with_file_name(format!(".{name}.new"))
}

fn create(file: &Path) -> io::Result<File> {
    // One that a crash has left may have other rights.
    match fs::remove_file(file) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)
}

fn fill(file: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut new = create(file)?;
    new.write_all(bytes)?;
    new.sync_all()
}

fn settle(new: &Path, file: &Path) -> io::Result<()> {
    fs::rename(new, file)?;
    match file.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

fn unwritten(file: &Path, error: &io::Error) -> String {
    format!("cannot write `{}`: {error}", file.display())
}

#[cfg(test)]
mod tests {
    use super::super::{Challenge, KeyKind};
    use super::*;
    use rcgen::CertificateParams;

    struct Folder(PathBuf);

    impl Folder {
        fn spec(&self, key: KeyKind, names: &[&str]) -> Spec {
            Spec {
                listener: "web".to_owned(),
                names: names.iter().map(|&name| name.to_owned()).collect(),
                contact: None,
                directory: "https://ca.test/directory".to_owned(),
                ca: None,
                challenge: Challenge::Http,
                key,
                renew_before: None,
                folder: Spec::folder(&self.0, "https://ca.test/directory"),
            }
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn folder(name: &str) -> Folder {
        Folder(std::env::temp_dir().join(format!("ringway-acme-{name}-{}", std::process::id())))
    }

    /// A key and a certificate for it, as an authority makes them.
    fn issue(spec: &Spec) -> (String, String) {
        let (key, request) = spec.request().unwrap();
        assert!(!request.is_empty());
        let pair = KeyPair::from_pem(&key).unwrap();
        (key, CertificateParams::new(spec.names.clone()).unwrap().self_signed(&pair).unwrap().pem())
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_certificate_of_each_kind_is_kept_and_found_again_by_its_owner_alone() {
        let folder = folder("kinds");
        for kind in [KeyKind::EcdsaP256, KeyKind::EcdsaP384, KeyKind::Rsa2048] {
            let spec = folder.spec(kind, &["a.test", "*.b.test"]);
            prepare(&spec).unwrap();
            // A crash may have left one that others may read.
            fs::write(beside(&spec.certificate_file()), "rest").unwrap();
            let (key, chain) = issue(&spec);
            let held = write_certificate(&spec, &key, &chain).unwrap();
            assert_eq!(read(&spec), Ok(Some(held.clone())));
            assert!(held.serves(&spec), "{kind:?}");
            assert_eq!((mode(&spec.certificate_file()), mode(&spec.folder)), (0o600, 0o700));
            assert!(held.serves(&folder.spec(kind, &["a.test"])), "fewer names");
            assert!(!held.serves(&folder.spec(kind, &["a.test", "c.test"])), "other names");
            let other = if kind == KeyKind::Rsa2048 { KeyKind::EcdsaP256 } else { KeyKind::Rsa2048 };
            assert!(!read(&folder.spec(other, &["a.test", "*.b.test"])).unwrap().unwrap().serves(&spec), "another key");
        }
    }

    #[test]
    fn what_cannot_be_used_replaces_nothing_and_leaves_nothing() {
        let folder = folder("bad");
        let spec = folder.spec(KeyKind::EcdsaP256, &["a.test"]);
        assert_eq!(read(&spec), Ok(None));
        prepare(&spec).unwrap();
        let (key, chain) = issue(&spec);
        let held = write_certificate(&spec, &key, &chain).unwrap();
        let (other, _) = issue(&spec);
        for (key, chain) in [(&*other, &*chain), (&*key, "no certificate"), ("no key", &*chain)] {
            let told = write_certificate(&spec, key, chain).unwrap_err();
            assert!(!told.contains("BEGIN"), "{told}");
            assert_eq!(read(&spec), Ok(Some(held.clone())));
        }
        assert_eq!(fs::read_dir(&spec.folder).unwrap().count(), 1);
        fs::write(spec.certificate_file(), "broken").unwrap();
        assert!(read(&spec).is_err());
    }

    #[test]
    fn a_folder_that_cannot_be_written_to_is_named_with_what_to_do() {
        let folder = folder("file");
        fs::write(&folder.0, "a file").unwrap();
        let told = prepare(&folder.spec(KeyKind::EcdsaP256, &["a.test"])).unwrap_err();
        assert!(told.contains("cannot write to") && told.contains("set runtime.state_dir"), "{told}");
        fs::remove_file(&folder.0).unwrap();
    }
}
