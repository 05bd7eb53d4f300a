//! What a name stands for below the folder of a site.

use super::name::Name;
use crate::compress::{Choice, Coding, negotiate};
use crate::net::{File, Folder, Kind, Root, Status, coarse_now};
use crate::plan::Site;
use std::cell::RefCell;
use std::collections::HashMap;
use std::io::{self, ErrorKind};
use std::path::PathBuf;
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

/// What a worker knows of a folder.
#[derive(Default)]
struct Kept {
    folder: Option<Folder>,
    opened: Duration,
    /// When it was last told that it cannot be opened.
    told: Option<Duration>,
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

/// The folder that a path leads to, as it did a second ago at most, or as it did before for as long as somebody looks: who finds it
/// older opens it anew, others go by what there is, and so do all while the path hangs.
async fn folder(root: &Root, timeout: Duration) -> io::Result<Folder> {
    let kept = FOLDERS.with_borrow(|folders| {
        let Kept { folder, opened, .. } = folders.get(root.path())?;
        Some((folder.clone()?, *opened + FRESH > coarse_now()))
    });
    match kept {
        Some((folder, is_fresh)) if is_fresh || root.is_being_opened() => Ok(folder),
        kept => anew(root, timeout, kept.map(|(folder, _)| folder)).await,
    }
}

/// Opens a folder anew; where its path hangs, it is the one that was opened before.
async fn anew(root: &Root, timeout: Duration, kept: Option<Folder>) -> io::Result<Folder> {
    let opened = match (root.open(timeout).await, kept) {
        (Err(error), Some(kept)) if is_passing(&error) => {
            tell(root, "what it was before goes on being used", &error);
            return Ok(kept);
        }
        (opened, _) => opened,
    };
    match &opened {
        Ok(folder) => {
            let opened = coarse_now();
            known(root, |kept| *kept = Kept { folder: Some(folder.clone()), opened, told: kept.told });
        }
        Err(error) => {
            known(root, |kept| kept.folder = None);
            tell(root, "requests for its files fail", error);
        }
    }
    // What is not there is our own fault, and no client's.
    opened.map_err(|error| match error.kind() {
        ErrorKind::NotFound | ErrorKind::PermissionDenied => io::Error::other(error),
        _ => error,
    })
}

/// Whether it says nothing of where the path leads.
fn is_passing(error: &io::Error) -> bool {
    // Or no thread can be had.
    matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::ResourceBusy | ErrorKind::WouldBlock)
}

/// Has what is known of a folder changed.
fn known(root: &Root, change: impl FnOnce(&mut Kept)) {
    FOLDERS.with_borrow_mut(|folders| {
        if folders.len() >= KEPT && !folders.contains_key(root.path()) {
            folders.clear();
        }
        change(folders.entry(root.path().to_owned()).or_default());
    });
}

/// Tells that a folder cannot be opened, as often as it is opened.
fn tell(root: &Root, so: &str, error: &io::Error) {
    let now = coarse_now();
    let mut is_new = false;
    known(root, |kept| {
        is_new = kept.told.is_none_or(|told| told + FRESH <= now);
        if is_new {
            kept.told = Some(now);
        }
    });
    if is_new {
        tracing::warn!(folder = %root.path().display(), so, %error, "the folder of a route's files cannot be opened");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::{Backend, enter};

    #[test]
    fn a_path_that_hangs_leaves_the_folder_that_it_led_to() {
        let path = std::env::temp_dir().join(format!("ringway-find-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        std::fs::write(path.join("file"), "content").unwrap();
        let limit = Duration::from_secs(20);
        enter(Backend::Epoll, 0, async {
            let root = Root::of(&path);
            let opened = || FOLDERS.with_borrow(|folders| folders[&path].opened);
            let told = || FOLDERS.with_borrow(|folders| folders[&path].told);
            let old = || known(&root, |kept| kept.opened = Duration::ZERO);
            let kept = folder(&root, limit).await.unwrap();
            assert!(opened() > Duration::ZERO && told().is_none());
            old();
            let stalled = root.stall_lookups().await;
            // Who looks finds that it hangs; everybody else goes by what there is at once.
            let short = Duration::from_millis(20);
            assert!(anew(&root, short, None).await.is_err());
            FOLDERS.take();
            assert!(anew(&root, short, Some(kept.clone())).await.is_ok() && told().is_some());
            known(&root, |known| known.folder = Some(kept));
            let others = crate::net::timeout(limit / 2, folder(&root, limit)).await;
            assert!(matches!(others, Some(Ok(_))) && opened() == Duration::ZERO);
            drop(stalled);
            while opened() == Duration::ZERO {
                let folder = folder(&root, limit).await.unwrap();
                assert!(folder.open_file(b"file", limit).await.is_ok());
            }
            // A path that leads nowhere is another thing.
            std::fs::remove_dir_all(&path).unwrap();
            old();
            while root.is_being_opened() {
                crate::net::sleep(Duration::from_millis(1)).await;
            }
            assert!(folder(&root, limit).await.is_err());
        })
        .unwrap();
    }
}
