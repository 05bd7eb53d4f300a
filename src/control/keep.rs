//! The file that outlives the process with what operators have overridden: `overrides.toml` in `runtime.state_dir`, readable by
//! its owner alone. Everything here blocks.
//!
//! What always holds: the file is replaced as a whole or not at all; one that could not be read is set aside, not overwritten.

use super::overrides::Overrides;
use crate::net;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Where overrides are kept.
#[derive(Clone, Debug)]
pub struct Keep {
    file: PathBuf,
    /// Whether what is there could not be read.
    damaged: bool,
}

const HEADER: &str = "# What operators have overridden. Ringway writes this file; change it by `ringway target`, or while Ringway is stopped.\n";
/// A file that is larger was not written by us.
const LARGEST: u64 = 16 << 20;

impl Keep {
    /// In the folder `state_dir`, with what is kept there. One that cannot be read counts as empty: the second result says what is
    /// wrong with it. A balancer that does not start is worse than one that starts by its configuration alone.
    pub fn open(state_dir: &Path) -> (Self, Overrides, Option<String>) {
        let file = state_dir.join("overrides.toml");
        match read(&file) {
            Ok(overrides) => (Self { file, damaged: false }, overrides, None),
            Err(why) => {
                let told = format!(
                    "`{}` cannot be used, so that nothing is overridden and targets are as the configuration has them: {why}\n  \
                     help: mend it and start anew, or set what is missing by `ringway target set`; the next change sets the file \
                     aside as `overrides.toml.damaged`",
                    file.display()
                );
                (Self { file, damaged: true }, Overrides::default(), Some(told))
            }
        }
    }

    /// Writes what lasts.
    pub fn write(&mut self, overrides: &Overrides) -> io::Result<()> {
        let text = overrides.to_kept_text().map_err(io::Error::other)?;
        if let Some(folder) = self.file.parent() {
            DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        }
        if self.damaged {
            match fs::rename(&self.file, self.file.with_extension("toml.damaged")) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                _ => self.damaged = false,
            }
        }
        let new = self.file.with_file_name(".overrides.toml.new");
        let result = fill(&new, &format!("{HEADER}{text}")).and_then(|()| fs::rename(&new, &self.file));
        if result.is_err() {
            let _ = fs::remove_file(&new);
            return result;
        }
        // It is in its place: only a crash of the whole host could take it back now.
        if let Some(folder) = self.file.parent().and_then(|folder| File::open(folder).ok()) {
            let _ = folder.sync_all();
        }
        Ok(())
    }

    /// The file.
    pub fn file(&self) -> &Path {
        &self.file
    }
}

fn read(file: &Path) -> Result<Overrides, String> {
    match fs::metadata(file) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Overrides::default()),
        Err(error) => return Err(net::reason(&error)),
        Ok(about) if about.len() > LARGEST => return Err(format!("it has {} bytes", about.len())),
        Ok(_) => {}
    }
    Overrides::from_text(&fs::read_to_string(file).map_err(|error| net::reason(&error))?)
}

fn fill(file: &Path, text: &str) -> io::Result<()> {
    // One that a crash has left may have other rights.
    match fs::remove_file(file) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut new = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)?;
    new.write_all(text.as_bytes())?;
    new.sync_all()
}

#[cfg(test)]
mod tests {
    use super::super::overrides::{Key, State, Until};
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn what_is_kept_is_found_again_by_its_owner_alone_and_damage_is_set_aside() {
        let folder = std::env::temp_dir().join(format!("ringway-keep-{}", std::process::id()));
        let (mut keep, none, told) = Keep::open(&folder);
        assert!(none.is_empty() && told.is_none());
        let key = Key { pool: "a".into(), target: "10.0.0.1:1".into() };
        let some = none.with(&key, Some(State::Drain), None, Until::Forever);
        keep.write(&some).unwrap();
        assert_eq!(fs::metadata(keep.file()).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(Keep::open(&folder).1, some);

        fs::write(keep.file(), "version = 1\nrevi").unwrap();
        let (mut keep, none, told) = Keep::open(&folder);
        let told = told.unwrap();
        assert!(none.is_empty() && told.contains("overrides.toml") && told.contains("help: mend it"), "{told}");
        keep.write(&some).unwrap();
        assert_eq!(fs::read_to_string(folder.join("overrides.toml.damaged")).unwrap(), "version = 1\nrevi");
        assert_eq!(Keep::open(&folder).1, some);
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 2, "nothing else is left");
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_folder_that_cannot_be_written_to_changes_nothing() {
        let folder = std::env::temp_dir().join(format!("ringway-keep-file-{}", std::process::id()));
        fs::write(&folder, "a file").unwrap();
        let (mut keep, none, _) = Keep::open(&folder);
        assert!(keep.write(&none).is_err());
        fs::remove_file(&folder).unwrap();
    }
}
