//! One process at a time has a folder: the file `lock` in it says which.

use rustix::fs::FlockOperation;
use rustix::io::Errno;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// The lock of a folder, given back when it is dropped or the process ends.
#[derive(Debug)]
pub(super) struct Lock(File);

impl Lock {
    /// Opens the file, without taking the lock.
    pub fn open(folder: &Path) -> io::Result<Self> {
        let path = folder.join("lock");
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600).open(path).map(Self)
    }

    /// Takes it. False: another process has it, or another opening of this one.
    pub fn take(&mut self) -> io::Result<bool> {
        match rustix::fs::flock(&self.0, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => return Ok(false),
            Err(error) => return Err(error.into()),
        }
        self.0.set_len(0)?;
        self.0.seek(SeekFrom::Start(0))?;
        writeln!(self.0, "{}", std::process::id())?;
        Ok(true)
    }

    /// The number of the process that has it, or had it last.
    pub fn owner(&mut self) -> String {
        let mut text = String::new();
        let read = self.0.seek(SeekFrom::Start(0)).and_then(|_| (&self.0).take(32).read_to_string(&mut text));
        read.map(|_| text.trim().to_owned()).unwrap_or_default()
    }
}
