//! A folder whose files are opened by names that came from outside.
//!
//! What always holds: nothing outside of the folder is opened, whatever the name says and wherever links point: the kernel
//! itself resolves beneath the folder (`openat2`, Linux 5.6), and where it cannot, no link is followed at all.

use super::share::Share;
use super::{File, Kind, Opened, Status};
use crate::net::runtime::timeout;
use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use std::ffi::CString;
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// An open folder, as it was found when it was opened: renamed or replaced, it stays the same.
#[derive(Clone, Debug)]
pub struct Folder {
    folder: Arc<OwnedFd>,
    /// Whether its file system is one of this host, where opening what the kernel knows waits for nobody.
    pub(super) is_local: bool,
    /// The threads of what is below it.
    share: Share,
}

/// Tries of a name while something on its way is being renamed.
const TRIES: usize = 8;

/// File systems of this host, by the numbers that `statfs` says: ext4, xfs, btrfs, tmpfs, overlayfs, zfs, squashfs, erofs,
/// f2fs, bcachefs, ramfs, iso9660.
const LOCAL: [u32; 12] = [
    0xEF53,
    0x5846_5342,
    0x9123_683E,
    0x0102_1994,
    0x794C_7630,
    0x2FC1_2FC1,
    0x7371_7368,
    0xE0F5_E1E2,
    0xF2F5_2010,
    0xCA45_1A4E,
    0x8584_58F6,
    0x9660,
];

/// Opens a folder whose files take their threads from `share`. It may wait for the disk.
pub(super) fn open(path: &Path, share: Share) -> io::Result<Folder> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let folder = rustix::fs::open(path, flags, Mode::empty())?;
    let kind = rustix::fs::fstatfs(&folder).map_or(0, |found| found.f_type as u32);
    Ok(Folder { folder: Arc::new(folder), is_local: LOCAL.contains(&kind), share })
}

impl Folder {
    /// Opens what `name`, a relative path, stands for below the folder, to be read. Fails with `NotFound` where nothing is
    /// beneath it or a link leads out of it, with `TimedOut` after `limit`, and with `ResourceBusy` if too many wait already. A
    /// pipe does not keep it waiting.
    pub async fn open_file(&self, name: &[u8], limit: Duration) -> io::Result<(File, Status)> {
        let name = CString::new(if name.is_empty() { b"." } else { name }).map_err(|_| ErrorKind::NotFound)?;
        let cached = if self.is_local { open_beneath(self.folder.as_fd(), &name, true) } else { Err(Errno::AGAIN) };
        let opened = match cached {
            Err(Errno::AGAIN | Errno::NOSYS | Errno::PERM | Errno::INVAL | Errno::XDEV) => {
                let (folder, share) = (self.folder.clone(), self.share.clone());
                let opened = self.share.run(move || {
                    // Whoever lets it go, a thread closes it.
                    open_waiting(folder.as_fd(), &name).map(|file| Opened::new(file, share, true))
                });
                timeout(limit, opened).await.ok_or(ErrorKind::TimedOut)??
            }
            known => known.map(|file| Opened::new(file, self.share.clone(), false)),
        };
        let file = File(Arc::new(opened.map_err(plain)?));
        let status = file.status()?;
        if status.kind == Kind::Regular {
            // What it was opened with kept a pipe from waiting; a read of a file is to wait for the disk, on its thread.
            rustix::fs::fcntl_setfl(file.0.as_fd(), OFlags::empty())?;
        }
        Ok((file, status))
    }
}

/// What the kernel says, so that whoever asks need not know how the name was resolved.
fn plain(error: Errno) -> io::Error {
    match error {
        // Out of the folder, a part of the way that is no folder, too many links, a socket or a device that is not there.
        Errno::XDEV | Errno::NOTDIR | Errno::LOOP | Errno::NXIO | Errno::NODEV | Errno::NAMETOOLONG | Errno::ILSEQ => {
            ErrorKind::NotFound.into()
        }
        error => error.into(),
    }
}

const FLAGS: OFlags = OFlags::RDONLY.union(OFlags::NONBLOCK).union(OFlags::CLOEXEC).union(OFlags::NOCTTY);

fn open_beneath(folder: BorrowedFd<'_>, name: &CString, cached: bool) -> Result<OwnedFd, Errno> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    // What is mounted below may be of another host.
    let resolve = if cached { resolve | ResolveFlags::CACHED | ResolveFlags::NO_XDEV } else { resolve };
    rustix::fs::openat2(folder, name, FLAGS, Mode::empty(), resolve)
}

fn open_waiting(folder: BorrowedFd<'_>, name: &CString) -> Result<OwnedFd, Errno> {
    let mut opened = Err(Errno::AGAIN);
    for _ in 0..TRIES {
        opened = open_beneath(folder, name, false);
        if !matches!(opened, Err(Errno::AGAIN | Errno::INTR)) {
            break;
        }
    }
    match opened {
        // The kernel does not know the call, or a sandbox does not allow it.
        Err(Errno::NOSYS | Errno::PERM) => open_step_by_step(folder, name.as_bytes()),
        known => known,
    }
}

/// Opens a name part by part, following no link.
fn open_step_by_step(folder: BorrowedFd<'_>, name: &[u8]) -> Result<OwnedFd, Errno> {
    let mut at: Option<OwnedFd> = None;
    let mut parts = name.split(|&byte| byte == b'/').peekable();
    while let Some(part) = parts.next() {
        if part == b".." || part.is_empty() {
            return Err(Errno::NOENT);
        }
        let flags = match parts.peek() {
            Some(_) => OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC,
            None => FLAGS | OFlags::NOFOLLOW,
        };
        let from = at.as_ref().map_or(folder, |at| at.as_fd());
        let next = rustix::fs::openat(from, part, flags, Mode::empty())?;
        at = Some(next);
    }
    at.ok_or(Errno::NOENT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn step_by_step_nothing_outside_is_reached_either() {
        let root = std::env::temp_dir().join(format!("ringway-steps-{}", std::process::id()));
        std::fs::create_dir_all(root.join("in/deep")).unwrap();
        std::fs::write(root.join("out"), "secret").unwrap();
        std::fs::write(root.join("in/deep/file"), "known").unwrap();
        let _ = symlink("../out", root.join("in/link"));
        let _ = symlink("..", root.join("in/up"));
        let folder: OwnedFd = std::fs::File::open(root.join("in")).unwrap().into();
        let open = |name: &str| open_step_by_step(folder.as_fd(), name.as_bytes());
        assert!(open("deep/file").is_ok() && open(".").is_ok());
        for name in ["link", "up/out", "../out", "deep/../../out", "/etc/passwd", "deep//file", ""] {
            assert!(open(name).is_err(), "{name}");
        }
        std::fs::remove_dir_all(root).unwrap();
    }
}
