//! Folders by their paths, and the threads that what is below each of them may hold.
//!
//! What always holds: however many ask for a path, and however often the configuration is read anew, its threads are the same
//! few: a mount that stands still leaves the rest to what lies elsewhere.

use super::share::Share;
use super::{Folder, folder};
use crate::net::runtime::timeout;
use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, Weak};
use std::time::Duration;

/// Threads that the files below one folder take at a time: an eighth of all.
const FILES: usize = 8;
/// Threads that look a folder's own path up, so that files can be opened below one whose path hangs.
const LOOKUPS: usize = 2;
/// Who may wait for either.
const ROOM: usize = 1024;

#[expect(clippy::disallowed_types, reason = "for whoever compiles a configuration; no worker comes by")]
static ROOTS: std::sync::Mutex<BTreeMap<PathBuf, Weak<Inner>>> = std::sync::Mutex::new(BTreeMap::new());

/// The path of a folder whose files are opened.
#[derive(Clone, Debug)]
pub struct Root(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    lookups: Share,
    files: Share,
}

impl Root {
    /// That of a path: the same one for as long as there is one. Nothing is opened.
    pub fn of(path: &Path) -> Self {
        let mut roots = ROOTS.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = roots.get(path).and_then(Weak::upgrade) {
            return Self(known);
        }
        roots.retain(|_, root| root.strong_count() > 0);
        let (lookups, files) = (Share::new(LOOKUPS, ROOM), Share::new(FILES, ROOM));
        let root = Arc::new(Inner { path: path.to_owned(), lookups, files });
        roots.insert(path.to_owned(), Arc::downgrade(&root));
        Self(root)
    }

    /// The path.
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// Opens the folder. Fails with `TimedOut` after `limit`, with `ResourceBusy` if too many wait for it already.
    pub async fn open(&self, limit: Duration) -> io::Result<Folder> {
        let Inner { path, lookups, files } = &*self.0;
        let (path, files) = (path.clone(), files.clone());
        let opened = lookups.run(move || folder::open(&path, files));
        timeout(limit, opened).await.ok_or(ErrorKind::TimedOut)??
    }

    /// Whether somebody opens it just now, here or on another worker, or tried and the disk has not answered yet.
    pub fn is_being_opened(&self) -> bool {
        self.0.lookups.is_busy()
    }
}

#[cfg(test)]
impl Root {
    /// Has its path, and what is below it, hang until what is returned is dropped.
    pub(super) async fn stall(&self) -> impl Drop + use<> {
        let mut stalled = self.0.lookups.stall().await;
        stalled.append(&mut self.0.files.stall().await);
        stalled
    }

    /// Has its path hang until what is returned is dropped.
    pub(crate) async fn stall_lookups(&self) -> impl Drop + use<> {
        self.0.lookups.stall().await
    }
}
