//! What a name stands for below the folder of a site.

use super::name::Name;
use crate::compress::{Choice, Coding, negotiate};
use crate::net::{File, Folder, Kind, Status, coarse_now};
use crate::plan::Site;
use std::cell::RefCell;
use std::collections::HashMap;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A file that is there.
pub(super) struct Found {
    pub(super) file: File,
    pub(super) status: Status,
    /// How it was compressed before.
    pub(super) coding: Option<Coding>,
    /// Its name, without what says how it was compressed.
    pub(super) name: Vec<u8>,
}

/// Why there is none.
pub(super) enum Lost {
    /// Nothing is there, or nothing that is sent.
    Missing,
    /// A folder, asked for as if it were a file.
    Slash,
    /// It could not be opened.
    Failed(io::Error),
}

/// For how long a worker goes by a folder that it has opened: it may be a link that leads elsewhere by now.
const FRESH: Duration = Duration::from_secs(1);
/// Folders that a worker keeps open.
const KEPT: usize = 256;

thread_local! {
    static FOLDERS: RefCell<HashMap<PathBuf, Kept>> = RefCell::default();
}

struct Kept {
    folder: Folder,
    opened: Duration,
}

/// Finds what `name` stands for, or what is sent where that is nothing; `accepts` are the lines of Accept-Encoding.
pub(super) async fn find(site: &Site, name: Option<Name>, accepts: &[&[u8]]) -> Result<Found, Lost> {
    let root = folder(&site.root, site.timeout).await.map_err(Lost::Failed)?;
    if let Some(name) = name {
        match look(site, &root, name, accepts).await {
            Err(Lost::Missing) => {}
            known => return known,
        }
    }
    let Some(fallback) = &site.fallback else { return Err(Lost::Missing) };
    look(site, &root, Name { bytes: fallback.as_bytes().to_vec(), is_folder: false }, accepts).await
}

async fn look(site: &Site, root: &Folder, mut name: Name, accepts: &[&[u8]]) -> Result<Found, Lost> {
    let (mut file, mut status) = open(site, root, &name.bytes).await?;
    match status.kind {
        Kind::Regular if !name.is_folder => {}
        Kind::Folder => {
            (file, status) = index(site, root, &mut name.bytes).await?;
            if !name.is_folder {
                return Err(Lost::Slash);
            }
        }
        _ => return Err(Lost::Missing),
    }
    let found = Found { file, status, coding: None, name: name.bytes };
    if site.precompressed { Ok(compressed(site, root, found, accepts).await) } else { Ok(found) }
}

/// The first of the files that stand for a folder; its name is added to that of the folder.
async fn index(site: &Site, root: &Folder, name: &mut Vec<u8>) -> Result<(File, Status), Lost> {
    if !name.is_empty() {
        name.push(b'/');
    }
    let length = name.len();
    for index in &site.index {
        name.truncate(length);
        name.extend_from_slice(index.as_bytes());
        match open(site, root, name).await {
            Ok((file, status)) if status.kind == Kind::Regular => return Ok((file, status)),
            Ok(_) | Err(Lost::Missing) => {}
            Err(lost) => return Err(lost),
        }
    }
    Err(Lost::Missing)
}

/// In place of a file, what was made of it before in a coding that the client takes. One that is older was made of something else.
async fn compressed(site: &Site, root: &Folder, found: Found, accepts: &[&[u8]]) -> Found {
    let mut offered = Coding::ALL.to_vec();
    // In the order of what the client prefers: what it does not take is not looked for.
    while let Choice::Coded(coding) | Choice::Needed(coding) = negotiate(accepts.iter().copied(), &offered) {
        let end = match coding {
            Coding::Zstd => &b".zst"[..],
            Coding::Brotli => b".br",
            Coding::Gzip => b".gz",
        };
        if let Ok((file, status)) = open(site, root, &[&found.name, end].concat()).await
            && status.kind == Kind::Regular
            && status.modified >= found.status.modified
        {
            return Found { file, status, coding: Some(coding), name: found.name };
        }
        offered.retain(|&other| other != coding);
    }
    found
}

async fn open(site: &Site, root: &Folder, name: &[u8]) -> Result<(File, Status), Lost> {
    root.open_file(name, site.timeout).await.map_err(|error| match error.kind() {
        ErrorKind::NotFound => Lost::Missing,
        _ => Lost::Failed(error),
    })
}

/// The folder that a path leads to, as it did a second ago at most. Who finds it older opens it anew, while others go by what there is.
async fn folder(path: &Path, timeout: Duration) -> io::Result<Folder> {
    let now = coarse_now();
    let kept = FOLDERS.with_borrow_mut(|folders| {
        let kept = folders.get_mut(path)?;
        let is_fresh = kept.opened + FRESH > now;
        if !is_fresh {
            kept.opened = now;
        }
        is_fresh.then(|| kept.folder.clone())
    });
    if let Some(folder) = kept {
        return Ok(folder);
    }
    let opened = Folder::open(path, timeout).await;
    FOLDERS.with_borrow_mut(|folders| match &opened {
        Ok(folder) => {
            if folders.len() >= KEPT {
                folders.clear();
            }
            folders.insert(path.to_owned(), Kept { folder: folder.clone(), opened: coarse_now() });
        }
        Err(error) => {
            folders.remove(path);
            tracing::warn!(folder = %path.display(), %error, "the folder of a route's files cannot be opened");
        }
    });
    // What is not there is our own fault, and no client's.
    opened.map_err(|error| match error.kind() {
        ErrorKind::NotFound | ErrorKind::PermissionDenied => io::Error::other(error),
        _ => error,
    })
}
