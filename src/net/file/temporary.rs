//! Files without a name, for what finds no room in memory: however the process ends, nothing is left of them.
//!
//! What always holds: nobody but the process's user can read them. They are made, written and closed by the threads of a [`Share`]:
//! a disk that stands still leaves the others to other files, and holds no more than what those few write. Files that are to be
//! closed are no more than were open at a time: who makes one stands behind them in the same line, so while one waits to be closed
//! none is made but for those bodies that asked before it.

use super::share::Share;
use super::{File, Opened};
use crate::net::lease::Lease;
use crate::net::runtime::timeout;
use rustix::fs::{Mode, OFlags, unlink};
use rustix::io::Errno;
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

/// A file without a name. Clones are the same file, which is gone with the last of them.
#[derive(Clone, Debug)]
pub struct TempFile(File);

/// Threads that have to do with such files at a time. Those that wait for one are bodies, which are bounded.
const AT_ONCE: usize = 8;

static SHARE: LazyLock<Share> = LazyLock::new(|| Share::new(AT_ONCE, usize::MAX));

impl TempFile {
    /// Makes one in `folder`, with nothing in it. Fails with `TimedOut` after `limit`.
    pub async fn create(folder: &Path, limit: Duration) -> io::Result<Self> {
        let folder = folder.to_owned();
        let made = SHARE.run(move || create(&folder).map(Self::of));
        timeout(limit, made).await.ok_or(ErrorKind::TimedOut)??
    }

    fn of(file: OwnedFd) -> Self {
        // What a large one takes on the disk is given back in no short time.
        Self(File(Arc::new(Opened::new(file, SHARE.clone(), true))))
    }

    /// Writes the first `count` bytes of `bytes`, at `offset`, and gives all of them back. Fails with `TimedOut` after `limit`; what
    /// the file holds there is then not known.
    pub async fn write_at(&self, offset: u64, bytes: Lease, count: usize, limit: Duration) -> (io::Result<()>, Lease) {
        let (bytes, start) = bytes.into_parts();
        let end = bytes.len().min(start + count);
        let bytes = Arc::new(bytes);
        let (this, shared) = (self.clone(), bytes.clone());
        let written = async { SHARE.run(move || write_all(&this.0, &shared[start..end], offset)).await? };
        let result = timeout(limit, written).await.unwrap_or_else(|| Err(ErrorKind::TimedOut.into()));
        let bytes = match Arc::try_unwrap(bytes) {
            Ok(bytes) => Lease::of_parts((bytes, start)),
            // A thread has not let go of them yet.
            Err(shared) => {
                let mut copy = Lease::with_room(shared.len() - start);
                copy.buffer().extend_from_slice(&shared[start..]);
                copy
            }
        };
        (result, bytes)
    }

    /// As [`File::read_at`], but what is not there is a failure, and too many reads at a time are not.
    pub async fn read_at(&self, offset: u64, count: usize, limit: Duration) -> io::Result<Lease> {
        let read = self.0.read_at(offset, count, limit).await?;
        if read.len() < count { Err(ErrorKind::UnexpectedEof.into()) } else { Ok(read) }
    }
}

const FLAGS: OFlags = OFlags::RDWR.union(OFlags::EXCL).union(OFlags::CLOEXEC);

fn create(folder: &Path) -> io::Result<OwnedFd> {
    let mode = Mode::RUSR | Mode::WUSR;
    match rustix::fs::open(folder, FLAGS | OFlags::TMPFILE, mode) {
        // A file system, such as NFS, or a kernel that cannot.
        Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL) => create_and_unlink(folder, mode),
        made => Ok(made?),
    }
}

fn create_and_unlink(folder: &Path, mode: Mode) -> io::Result<OwnedFd> {
    let name = folder.join(format!(".ringway-{:016x}", fastrand::u64(..)));
    let file = rustix::fs::open(&name, FLAGS | OFlags::CREATE | OFlags::NOFOLLOW, mode)?;
    unlink(&name)?;
    Ok(file)
}

fn write_all(file: &File, mut bytes: &[u8], mut offset: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        match rustix::io::pwrite(file.0.as_fd(), bytes, offset) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(count) => (bytes, offset) = (&bytes[count..], offset + count as u64),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::runtime::{Backend, Driver, enter, probe};
    use std::os::unix::fs::PermissionsExt;

    const LIMIT: Duration = Duration::from_secs(20);

    fn lease(bytes: &[u8]) -> Lease {
        let mut lease = Lease::with_room(bytes.len());
        lease.buffer().extend_from_slice(bytes);
        lease
    }

    fn backends() -> Vec<Backend> {
        let (best, _) = probe(Driver::Auto).unwrap();
        if best == Backend::Epoll { vec![best] } else { vec![best, Backend::Epoll] }
    }

    #[test]
    fn what_is_written_is_read_and_has_no_name() {
        let folder = std::env::temp_dir().join(format!("ringway-temporary-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let content: Vec<u8> = (0..300_000u32).map(|n| (n % 251) as u8).collect();
        for backend in backends() {
            enter(backend, 0, async {
                let file = TempFile::create(&folder, LIMIT).await.unwrap();
                let mut bytes = lease(&content);
                bytes.advance(10);
                let (result, rest) = file.write_at(5, bytes, 200_000, LIMIT).await;
                assert!(result.is_ok() && rest[..] == content[10..], "{backend:?}: all of it comes back");
                let read = file.read_at(5, 200_000, LIMIT).await.unwrap();
                assert!(read[..] == content[10..200_010], "{backend:?}");
                let beyond = file.read_at(5, 200_001, LIMIT).await.unwrap_err();
                assert_eq!(beyond.kind(), ErrorKind::UnexpectedEof, "{backend:?}");
                assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0, "{backend:?}");
            })
            .unwrap();
        }
        let other = create_and_unlink(&folder, Mode::RUSR | Mode::WUSR).unwrap();
        for file in [create(&folder).unwrap(), other] {
            let found = std::fs::File::from(file).metadata().unwrap();
            assert_eq!(found.permissions().mode() & 0o777, 0o600);
        }
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0);
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_folder_that_is_not_there_and_a_disk_that_is_full_are_failures() {
        for backend in backends() {
            enter(backend, 0, async {
                let missing = TempFile::create(Path::new("/nowhere/at/all"), LIMIT).await.unwrap_err();
                assert_eq!(missing.kind(), ErrorKind::NotFound, "{backend:?}");
                let full: OwnedFd = std::fs::File::options().write(true).open("/dev/full").unwrap().into();
                let full = TempFile::of(full);
                let (result, bytes) = full.write_at(0, lease(b"content"), 7, LIMIT).await;
                assert_eq!((result.unwrap_err().kind(), &bytes[..]), (ErrorKind::StorageFull, &b"content"[..]));
            })
            .unwrap();
        }
    }

    #[test]
    fn few_write_at_a_time_and_who_waits_too_long_gets_its_bytes_back() {
        for backend in backends() {
            enter(backend, 0, async {
                let file = TempFile::create(&std::env::temp_dir(), LIMIT).await.unwrap();
                let other = TempFile::create(&std::env::temp_dir(), LIMIT).await.unwrap();
                let link = format!("/proc/self/fd/{}", other.0.descriptor());
                let stalled = SHARE.stall().await;
                let before = std::fs::read_link(&link).unwrap();
                drop(other);
                assert_eq!(std::fs::read_link(&link).ok(), Some(before), "{backend:?}: no worker closes it");
                let (result, bytes) = file.write_at(0, lease(b"content"), 7, Duration::from_millis(20)).await;
                assert_eq!((result.unwrap_err().kind(), &bytes[..]), (ErrorKind::TimedOut, &b"content"[..]));
                drop(stalled);
                assert!(file.write_at(0, bytes, 7, LIMIT).await.0.is_ok(), "{backend:?}");
            })
            .unwrap();
        }
    }
}
