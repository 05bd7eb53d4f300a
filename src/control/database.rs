//! SQLite files of control's in `runtime.state_dir`, readable by their owner alone. Everything here blocks.
//!
//! What always holds: a file that is damaged is set aside, not overwritten; one of a newer version is left alone; two processes may begin the
//! same file at a time.

use rusqlite::{Connection, ErrorCode, OpenFlags, Transaction, TransactionBehavior};
use std::fmt::Display;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What a file is.
pub(super) struct Layout {
    /// Its name in the folder.
    pub(super) name: &'static str,
    /// What is kept in it, as the log calls it.
    pub(super) what: &'static str,
    /// Four letters, so that tools know whose file it is.
    pub(super) application: i64,
    /// The version of its tables.
    pub(super) schema: i64,
    /// What makes its tables.
    pub(super) tables: &'static str,
}

/// How long another process may be at it.
const BUSY: Duration = Duration::from_secs(2);

impl Layout {
    /// Opens that of a folder; an empty one where there is none yet, for which `fill` says what stands in it from the beginning.
    pub(super) fn open(
        &self,
        folder: &Path,
        fill: impl Fn(&Transaction<'_>) -> rusqlite::Result<()>,
    ) -> Result<Connection, String> {
        let file = folder.join(self.name);
        let told = |why: &dyn Display| format!("`{}`: {why}", file.display());
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(|error| told(&error))?;
        match self.begin(&file, &fill) {
            Err(Trouble::Damaged(why)) => {
                let aside = set_aside(&file).map_err(|error| told(&error))?;
                let (what, file) = (self.what, file.display());
                tracing::error!(why, %file, aside = %aside.display(), "{what} begin anew: what was kept of them is damaged");
            }
            begun => return begun.map_err(|trouble| told(&trouble.why())),
        }
        self.begin(&file, &fill).map_err(|trouble| told(&trouble.why()))
    }

    fn begin(
        &self,
        file: &Path,
        fill: &impl Fn(&Transaction<'_>) -> rusqlite::Result<()>,
    ) -> Result<Connection, Trouble> {
        match OpenOptions::new().write(true).create_new(true).mode(0o600).open(file) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(Trouble::Other(error.to_string())),
            _ => {}
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection = Connection::open_with_flags(file, flags)?;
        connection.busy_timeout(BUSY)?;
        connection.pragma_update(None, "journal_mode", "wal")?;
        // What a process has written outlives it; a host that loses its power may lose the last seconds, and nothing more.
        connection.pragma_update(None, "synchronous", "normal")?;
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let schema: i64 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
        if schema == 0 {
            transaction.execute_batch(self.tables)?;
            fill(&transaction)?;
            transaction.pragma_update(None, "application_id", self.application)?;
            transaction.pragma_update(None, "user_version", self.schema)?;
        } else if schema != self.schema {
            let why = format!("its tables are of version {schema}, this process knows {}", self.schema);
            return Err(Trouble::Other(why));
        }
        transaction.commit()?;
        Ok(connection)
    }
}

/// Why a file cannot be used.
enum Trouble {
    /// It is none, or broken.
    Damaged(String),
    Other(String),
}

impl Trouble {
    fn why(self) -> String {
        match self {
            Self::Damaged(why) | Self::Other(why) => why,
        }
    }
}

impl From<rusqlite::Error> for Trouble {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => Self::Damaged(error.to_string()),
            _ => Self::Other(error.to_string()),
        }
    }
}

/// Has a damaged file, and what belongs to it, out of the way.
fn set_aside(file: &Path) -> io::Result<PathBuf> {
    let beside = |end: &str| PathBuf::from(format!("{}{end}", file.display()));
    let aside = beside(".damaged");
    fs::rename(file, &aside)?;
    for end in ["-wal", "-shm"] {
        match fs::remove_file(beside(end)) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(aside)
}
