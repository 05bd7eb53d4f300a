//! Files in `runtime.state_dir`, readable by their owner alone. Everything here blocks.
//!
//! What always holds: a file is replaced as a whole or not at all.

use crate::net;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

/// What stands in a file; `None`: it is not there. A file with more bytes than `largest` was not written by us.
pub(super) fn read(file: &Path, largest: u64) -> Result<Option<String>, String> {
    match fs::metadata(file) {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
        Err(error) => Err(net::reason(&error)),
        Ok(about) if about.len() > largest => Err(format!("it has {} bytes", about.len())),
        Ok(_) => fs::read_to_string(file).map(Some).map_err(|error| net::reason(&error)),
    }
}

/// Replaces a file; its folder is made where it is not there.
pub(super) fn replace(file: &Path, text: &str) -> io::Result<()> {
    let folder = file.parent().unwrap_or(Path::new(""));
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let new = file.with_file_name(format!(".{name}.new"));
    // One that a crash has left may have other rights.
    match fs::remove_file(&new) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let result = fill(&new, text).and_then(|()| fs::rename(&new, file));
    if result.is_err() {
        let _ = fs::remove_file(&new);
        return result;
    }
    // It is in its place: only a crash of the whole host could take it back now.
    if let Ok(folder) = File::open(folder) {
        let _ = folder.sync_all();
    }
    Ok(())
}

/// Makes a file, unless it is there: of several processes that do so at once one does, and all find the same in it.
pub(super) fn make(file: &Path, text: &str) -> io::Result<()> {
    let folder = file.parent().unwrap_or(Path::new(""));
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let new = file.with_file_name(format!(".{name}.{:x}", fastrand::u64(..)));
    let made = fill(&new, text).and_then(|()| match fs::hard_link(&new, file) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        made => made,
    });
    let _ = fs::remove_file(&new);
    if made.is_ok()
        && let Ok(folder) = File::open(folder)
    {
        let _ = folder.sync_all();
    }
    made
}

fn fill(file: &Path, text: &str) -> io::Result<()> {
    let mut new = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)?;
    new.write_all(text.as_bytes())?;
    new.sync_all()
}
