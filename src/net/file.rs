//! Files as a worker reads them, which never waits for a disk: what the kernel has in its cache is taken at once, what it
//! has not comes through the worker's ring, or, on epoll, from the threads of [`pool`].
//!
//! What always holds: dropping a future of these loses no descriptor, and no buffer is touched by anybody else before the
//! kernel has let go of it; what a disk that stands still holds is bounded, beyond it a read fails. What a thread opened, a thread
//! closes: that may wait as well.

mod folder;
mod pool;
mod root;
mod share;
mod temporary;

pub use folder::Folder;
pub use root::Root;
pub use temporary::TempFile;

use super::driver;
use super::lease::Lease;
use super::runtime::timeout;
use rustix::fs::{AtFlags, FileType, Statx, StatxFlags};
use share::Share;
use std::future::{Future, poll_fn};
use std::io::{self, ErrorKind};
use std::mem::ManuallyDrop;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::pin::Pin;
use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll};
use std::time::Duration;

/// An open file, for any thread and any number of reads at a time. Clones are the same open file.
#[derive(Clone, Debug)]
pub struct File(Arc<Opened>);

/// An open file, and whose threads it is read by where that takes one.
#[derive(Debug)]
pub(super) struct Opened {
    file: ManuallyDrop<OwnedFd>,
    share: Share,
    /// Whether closing it may wait.
    is_slow: bool,
}

/// Threads that read files of others at a time, and who may wait for them.
const OTHERS: (usize, usize) = (16, 1024);

/// What kind of thing a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Content of a certain size.
    Regular,
    /// A folder.
    Folder,
    /// A device, a pipe or a socket.
    Other,
}

/// What is known of a file without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// What it is.
    pub kind: Kind,
    /// Bytes.
    pub size: u64,
    /// When its content was last changed, as seconds since 1970 and nanoseconds; a program can set it.
    pub modified: (i64, u32),
    /// When anything about it was last changed; no program can set it.
    pub changed: (i64, u32),
    /// Its number in its file system.
    pub inode: u64,
}

impl File {
    /// What is known of the file. It does not wait: on a file system of another host it may be a little old.
    pub fn status(&self) -> io::Result<Status> {
        let flags = AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC;
        let found = rustix::fs::statx(self.0.as_fd(), c"", flags, StatxFlags::BASIC_STATS)?;
        Ok(Status::of(&found))
    }

    /// Reads `count` bytes from `offset` on. Fewer are the end of the file, none that `offset` lies beyond it. Fails with
    /// `TimedOut` after `limit`, with `ResourceBusy` if too many reads wait already.
    pub async fn read_at(&self, offset: u64, count: usize, limit: Duration) -> io::Result<Lease> {
        self.read_and_tell(offset, count, limit).await.map(|(lease, _)| lease)
    }

    /// As [`File::read_at`], and whether the kernel had all of it in its cache.
    pub async fn read_and_tell(&self, offset: u64, count: usize, limit: Duration) -> io::Result<(Lease, bool)> {
        let mut lease = Lease::with_room(count);
        let now = self.read_cached(offset, count, &mut lease)?;
        if now == Cached::Done {
            return Ok((lease, true));
        }
        let read = timeout(limit, self.read_rest(offset, count, lease)).await;
        read.unwrap_or_else(|| Err(ErrorKind::TimedOut.into())).map(|lease| (lease, false))
    }

    /// Reads what is there at once. What could not be had is left for [`File::read_rest`].
    fn read_cached(&self, offset: u64, count: usize, lease: &mut Lease) -> io::Result<Cached> {
        while lease.len() < count {
            let done = lease.len();
            match read_nowait(self.0.as_fd().as_raw_fd(), offset + done as u64, count - done, lease) {
                Ok(0) => return Ok(Cached::Done),
                Ok(_) => {}
                Err(error) => match error.raw_os_error() {
                    Some(libc::EINTR) => {}
                    // Not in the cache, or a file system that cannot say.
                    Some(libc::EAGAIN | libc::EOPNOTSUPP | libc::ENOSYS | libc::EINVAL) => return Ok(Cached::Missing),
                    _ => return Err(error),
                },
            }
        }
        Ok(Cached::Done)
    }

    async fn read_rest(&self, offset: u64, count: usize, mut lease: Lease) -> io::Result<Lease> {
        while lease.len() < count {
            let (at, rest) = (offset + lease.len() as u64, count - lease.len());
            let (result, filled) = match driver::read(&self.0, at, rest, lease) {
                Ok(number) => Queued(Some(number)).await,
                Err(unread) => self.read_elsewhere(at, rest, unread).await?,
            };
            lease = filled;
            match result {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(lease)
    }

    /// Reads on a thread that may wait.
    async fn read_elsewhere(&self, at: u64, count: usize, lease: Lease) -> io::Result<(io::Result<usize>, Lease)> {
        let (file, mut bytes) = (self.0.clone(), lease.into_bytes());
        let read = self.0.share.run(move || {
            let filled = bytes.len();
            bytes.resize(filled + count, 0);
            let result = rustix::io::pread(file.as_fd(), &mut bytes[filled..], at);
            bytes.truncate(filled + result.unwrap_or(0));
            (result, bytes)
        });
        let (result, bytes) = read.await?;
        Ok((result.map_err(io::Error::from), Lease::of_bytes(bytes)))
    }
}

impl AsFd for File {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// One that somebody else has opened, for whom closing it is no matter.
impl From<std::fs::File> for File {
    fn from(file: std::fs::File) -> Self {
        static SHARE: LazyLock<Share> = LazyLock::new(|| Share::new(OTHERS.0, OTHERS.1));
        Self(Arc::new(Opened::new(file.into(), SHARE.clone(), false)))
    }
}

impl Opened {
    fn new(file: OwnedFd, share: Share, is_slow: bool) -> Self {
        Self { file: ManuallyDrop::new(file), share, is_slow }
    }
}

impl AsFd for Opened {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        // SAFETY: it is taken once, here, and nobody gets at it afterwards.
        let file = unsafe { ManuallyDrop::take(&mut self.file) };
        if self.is_slow {
            self.share.leave(move || drop(file));
        }
    }
}

impl Status {
    fn of(found: &Statx) -> Self {
        let kind = match FileType::from_raw_mode(found.stx_mode.into()) {
            FileType::RegularFile => Kind::Regular,
            FileType::Directory => Kind::Folder,
            _ => Kind::Other,
        };
        let (modified, changed) = (found.stx_mtime, found.stx_ctime);
        Self {
            kind,
            size: found.stx_size,
            modified: (modified.tv_sec, modified.tv_nsec),
            changed: (changed.tv_sec, changed.tv_nsec),
            inode: found.stx_ino,
        }
    }
}

#[derive(PartialEq, Eq)]
enum Cached {
    /// All was there, or the file ends earlier.
    Done,
    /// Something is not in memory.
    Missing,
}

/// Reads at most `count` bytes to the end of what `lease` holds, if they are in the kernel's cache.
fn read_nowait(file: RawFd, offset: u64, count: usize, lease: &mut Lease) -> io::Result<usize> {
    let buffer = lease.buffer();
    let room = buffer.spare_capacity_mut();
    let vector = libc::iovec { iov_base: room.as_mut_ptr().cast(), iov_len: count.min(room.len()) };
    let offset = i64::try_from(offset).map_err(|_| ErrorKind::InvalidInput)?;
    // SAFETY: the vector names room of the buffer, which is ours alone during the call; the call takes no other pointer.
    let result = unsafe { libc::preadv2(file, &vector, 1, offset, libc::RWF_NOWAIT) };
    let count = usize::try_from(result).map_err(|_| io::Error::last_os_error())?;
    // SAFETY: the kernel has written that many bytes of the room.
    unsafe { buffer.set_len(buffer.len() + count) };
    Ok(count)
}

/// A read that is queued. Dropped, the buffer stays with the driver until the kernel has let go of it.
struct Queued(Option<u32>);

impl Future for Queued {
    type Output = (io::Result<usize>, Lease);

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(number) = self.0 else { return Poll::Ready((Err(ErrorKind::NotConnected.into()), Lease::empty())) };
        let ended = driver::poll_read(number, cx);
        if ended.is_ready() {
            self.0 = None;
        }
        ended
    }
}

impl Drop for Queued {
    fn drop(&mut self) {
        if let Some(number) = self.0 {
            driver::give_up_read(number);
        }
    }
}

/// Lets others of the worker have their turn: for whoever sends a file that is in memory to a peer that takes all of it.
pub async fn give_way() {
    let mut given = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut given, true) {
            return Poll::Ready(());
        }
        super::executor::defer(cx.waker());
        Poll::Pending
    })
    .await;
}

#[cfg(test)]
mod tests;
