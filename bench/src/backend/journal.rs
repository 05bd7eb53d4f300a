//! A note of every request that must not arrive twice, kept in a file so that it outlives a killed backend.

use anyhow::{Context, Result};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;

/// An open journal.
pub struct Journal(File);

impl Journal {
    /// Appends to the file at `path`, made if it is missing.
    pub fn open(path: &Path) -> Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path);
        Ok(Self(file.with_context(|| path.display().to_string())?))
    }

    /// Notes that the head of request `id` has arrived.
    pub fn note(&mut self, id: u64) -> Result<()> {
        Ok(self.0.write_all(&id.to_le_bytes())?)
    }
}

/// All ids in the journal at `path`, in order of arrival.
pub fn read(path: &Path) -> Result<Vec<u64>> {
    let bytes = std::fs::read(path).with_context(|| path.display().to_string())?;
    Ok(bytes.as_chunks::<8>().0.iter().map(|id| u64::from_le_bytes(*id)).collect())
}
