//! The file that outlives the process with what was found last: `discovered.json` in `runtime.state_dir`, readable by its owner
//! alone. It is of use only where a source does not answer at a start, so that its loss is told and no more.

use super::found::Found;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;

/// Where it is kept.
pub(super) struct Keep {
    file: PathBuf,
    /// The change that was kept last.
    kept: Option<u64>,
    writing: Option<JoinHandle<io::Result<()>>>,
    /// When the next one may be.
    due: Instant,
    /// Whether it was told that it cannot be.
    told: bool,
}

const NAME: &str = "discovered.json";
/// Between two writes.
const APART: Duration = Duration::from_secs(1);
/// A file that is larger was not written by us.
const LARGEST: u64 = 64 << 20;

impl Keep {
    pub(super) fn new(state_dir: &Path) -> Self {
        Self { file: state_dir.join(NAME), kept: None, writing: None, due: Instant::now(), told: false }
    }

    /// What was kept. Blocks.
    pub(super) fn read(state_dir: &Path) -> Found {
        let file = state_dir.join(NAME);
        let read = || -> Result<Found, String> {
            match fs::metadata(&file) {
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Found::default()),
                Err(error) => return Err(error.to_string()),
                Ok(about) if about.len() > LARGEST => return Err(format!("it has {} bytes", about.len())),
                Ok(_) => {}
            }
            Found::from_text(&fs::read_to_string(&file).map_err(|error| error.to_string())?)
        };
        read().unwrap_or_else(|why| {
            eprintln!("ringway: `{}` cannot be used: {why}; it is written anew", file.display());
            Found::default()
        })
    }

    /// Has a change kept, once the one before is, and a second later.
    pub(super) async fn write(&mut self, (revision, found): (u64, Arc<Found>)) {
        if self.kept == Some(revision) || Instant::now() < self.due {
            return;
        }
        match self.writing.take() {
            Some(writing) if !writing.is_finished() => {
                self.writing = Some(writing);
                return;
            }
            Some(writing) => self.tell(writing.await.unwrap_or_else(|error| Err(io::Error::other(error)))),
            None => {}
        }
        (self.kept, self.due) = (Some(revision), Instant::now() + APART);
        let file = self.file.clone();
        self.writing = Some(tokio::task::spawn_blocking(move || {
            let text = found.to_text().map_err(io::Error::other)?;
            replace(&file, &text)
        }));
    }

    fn tell(&mut self, written: io::Result<()>) {
        if let Err(error) = written
            && !std::mem::replace(&mut self.told, true)
        {
            let file = self.file.display().to_string();
            tracing::warn!(file, %error, "the targets that were found cannot be kept: a start without their sources has none");
        }
    }
}

/// Replaces the file as a whole.
fn replace(file: &Path, text: &str) -> io::Result<()> {
    if let Some(folder) = file.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    let new = file.with_file_name(format!(".{NAME}.new"));
    match fs::remove_file(&new) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut open = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
    open.write_all(text.as_bytes())?;
    open.sync_all()?;
    fs::rename(&new, file)
}
