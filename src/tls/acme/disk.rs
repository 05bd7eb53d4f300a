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
    /// Whether it is for all that is asked for, and nothing else.
    pub fn serves(&self, spec: &Spec) -> bool {
        let sorted = |names: &[String]| {
            let mut names = names.to_vec();
            names.sort();
            names.dedup();
            names
        };
        self.fitting_key && sorted(&self.names) == sorted(&spec.names)
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
