//! A ring of our own: a descriptor is watched by one poll that goes on saying when something has come, what a turn of
//! the loop sends goes to the kernel with the enter that waits for the next turn.
//!
//! What always holds: a buffer in [`Ring::sends`] is neither written nor freed until its send's completion has come, nor is
//! one in [`Ring::reads`] touched, and its file closed, until its read's has;
//! each operation on a descriptor is counted in its slot from its queueing to its last completion, so that the
//! descriptor is still the same one when the kernel gets to it.

use super::Happening;
use crate::net::file::Opened;
use crate::net::lease::Lease;
use crate::net::runtime::Backend;
use crate::net::watch::Event;
use io_uring::squeue::{Entry, Flags};
use io_uring::types::{CancelBuilder, Fd, SubmitArgs, Timespec};
use io_uring::{IoUring, cqueue, opcode};
use slab::Slab;
use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

pub(super) struct Ring {
    ring: IoUring,
    sends: Slab<Send>,
    reads: Slab<Read>,
    /// What did not fit into the submission queue.
    backlog: VecDeque<Entry>,
    happened: Vec<Happening>,
}

struct Send {
    lease: Lease,
    slot: u32,
    result: Option<i32>,
    /// Nobody asks for its result any more.
    given_up: bool,
}

/// A read from a file.
struct Read {
    file: Arc<Opened>,
    lease: Lease,
    result: Option<i32>,
    waker: Option<Waker>,
    /// Nobody asks for its result any more.
    given_up: bool,
}

/// Reads from files at a time: what a disk that stands still holds of a worker's memory is bounded.
const READS: usize = 1024;

/// Small enough that both queues stay in the core's own cache: a full one costs an enter more.
const ENTRIES: u32 = 512;
const COMPLETIONS: u32 = 4096;

/// What a completion is of, in the upper half of its user data; the lower half is a slot, a send or a read.
const READABLE: u64 = 1 << 32;
const WRITABLE: u64 = 2 << 32;
const SENT: u64 = 3 << 32;
/// Of a read from a file.
const READ: u64 = 5 << 32;
/// Of an order to cancel: nobody waits for it.
const CANCEL: u64 = 4 << 32;

const ENDED: u32 = (libc::POLLRDHUP | libc::POLLHUP | libc::POLLERR) as u32;

/// Builds a ring of `entries` as `backend` has it.
pub(in crate::net) fn build(backend: Backend, entries: u32) -> io::Result<IoUring> {
    let mut builder = IoUring::builder();
    match backend {
        Backend::Deferred => builder.setup_single_issuer().setup_defer_taskrun(),
        _ => builder.setup_coop_taskrun(),
    };
    // Without the flag a look at what has happened would have to be an enter of its own kind.
    builder.setup_taskrun_flag().setup_cqsize(COMPLETIONS.max(entries)).build(entries)
}

impl Ring {
    pub(super) fn new(backend: Backend) -> io::Result<Self> {
        let ring = build(backend, ENTRIES)?;
        let (sends, reads) = (Slab::new(), Slab::new());
        Ok(Self { ring, sends, reads, backlog: VecDeque::new(), happened: Vec::new() })
    }

    pub(super) fn watch(&mut self, fd: RawFd, slot: u32) {
        let events = (libc::POLLIN | libc::POLLRDHUP) as u32;
        self.push(opcode::PollAdd::new(Fd(fd), events).multi(true).build().user_data(READABLE | u64::from(slot)));
    }

    pub(super) fn watch_writable(&mut self, fd: RawFd, slot: u32) {
        self.push(opcode::PollAdd::new(Fd(fd), libc::POLLOUT as u32).build().user_data(WRITABLE | u64::from(slot)));
    }

    pub(super) fn forget(&mut self, slot: u32, watched: [bool; 2]) {
        for (kind, watched) in [READABLE, WRITABLE].into_iter().zip(watched) {
            if watched {
                self.cancel(kind | u64::from(slot));
            }
        }
    }

    pub(super) fn send(&mut self, fd: RawFd, slot: u32, lease: Lease) -> u32 {
        let (address, length) = (lease.as_ptr(), lease.len() as u32);
        // There are never more sends than descriptors.
        let send = self.sends.insert(Send { lease, slot, result: None, given_up: false }) as u32;
        let entry = opcode::Send::new(Fd(fd), address, length).flags(libc::MSG_NOSIGNAL).build();
        self.push(entry.user_data(SENT | u64::from(send)));
        send
    }

    pub(super) fn take_sent(&mut self, send: u32) -> Option<(io::Result<usize>, Lease)> {
        let result = self.sends.get(send as usize)?.result?;
        let Send { lease, .. } = self.sends.remove(send as usize);
        Some((usize::try_from(result).map_err(|_| io::Error::from_raw_os_error(-result)), lease))
    }

    pub(super) fn give_up(&mut self, send: u32) -> Option<Lease> {
        let found = self.sends.get_mut(send as usize)?;
        if found.result.is_some() {
            return Some(self.sends.remove(send as usize).lease);
        }
        found.given_up = true;
        self.cancel(SENT | u64::from(send));
        None
    }

    pub(super) fn read(
        &mut self,
        file: Arc<Opened>,
        offset: u64,
        count: usize,
        mut lease: Lease,
    ) -> Result<u32, Lease> {
        if self.reads.len() >= READS {
            return Err(lease);
        }
        let room = lease.buffer().spare_capacity_mut();
        // No buffer is nearly that large.
        let count = u32::try_from(count.min(room.len())).unwrap_or(u32::MAX);
        let entry =
            opcode::Read::new(Fd(file.as_fd().as_raw_fd()), room.as_mut_ptr().cast(), count).offset(offset).build();
        let read = self.reads.insert(Read { file, lease, result: None, waker: None, given_up: false }) as u32;
        self.push(entry.user_data(READ | u64::from(read)));
        Ok(read)
    }

    pub(super) fn poll_read(&mut self, read: u32, cx: &mut Context<'_>) -> Poll<(io::Result<usize>, Lease)> {
        let Some(found) = self.reads.get_mut(read as usize) else {
            return Poll::Ready((Err(io::ErrorKind::NotFound.into()), Lease::empty()));
        };
        let Some(result) = found.result else {
            found.waker = Some(cx.waker().clone());
            return Poll::Pending;
        };
        let Read { mut lease, .. } = self.reads.remove(read as usize);
        let result = usize::try_from(result).map_err(|_| io::Error::from_raw_os_error(-result));
        if let Ok(count) = result {
            let buffer = lease.buffer();
            let filled = (buffer.len() + count).min(buffer.capacity());
            // SAFETY: the kernel has written `count` bytes behind those that were there, into room that the buffer had; nobody
            // has touched the buffer since.
            unsafe { buffer.set_len(filled) };
        }
        Poll::Ready((result, lease))
    }

    /// Who waits for a read.
    pub(super) fn reader(&mut self, read: u32) -> Option<Waker> {
        self.reads.get_mut(read as usize)?.waker.take()
    }

    pub(super) fn give_up_read(&mut self, read: u32) -> Option<(Arc<Opened>, Lease)> {
        let found = self.reads.get_mut(read as usize)?;
        if found.result.is_some() {
            let Read { file, lease, .. } = self.reads.remove(read as usize);
            return Some((file, lease));
        }
        found.given_up = true;
        self.cancel(READ | u64::from(read));
        None
    }

    pub(super) fn wait(&mut self, limit: Option<Duration>) -> io::Result<Vec<Happening>> {
        while let Some(entry) = self.backlog.pop_front() {
            if !self.fits(&entry) {
                self.backlog.push_front(entry);
                break;
            }
        }
        let result = match limit {
            Some(Duration::ZERO) => self.ring.submit(),
            None => self.ring.submit_and_wait(1),
            Some(limit) => {
                let limit = Timespec::from(limit);
                self.ring.submitter().submit_with_args(1, &SubmitArgs::new().timespec(&limit))
            }
        };
        match result {
            Ok(_) => {}
            // Time is up, a signal came, or completions must be taken before more is submitted.
            Err(error)
                if matches!(error.raw_os_error(), Some(libc::ETIME | libc::EINTR | libc::EBUSY | libc::EAGAIN)) => {}
            Err(error) => return Err(error),
        }
        let mut happened = std::mem::take(&mut self.happened);
        let Self { ring, sends, reads, .. } = self;
        happened.extend(ring.completion().filter_map(|completion| read(&completion, sends, reads)));
        Ok(happened)
    }

    pub(super) fn take_back(&mut self, happened: Vec<Happening>) {
        self.happened = happened;
    }

    /// Closes the ring. The kernel may still read from what it has not finished sending, and write to what it has not
    /// finished reading, so those buffers stay for ever.
    pub(super) fn close(self) {
        self.reads
            .into_iter()
            .filter(|(_, read)| read.result.is_none())
            .for_each(|(_, read)| std::mem::forget((read.lease, read.file)));
        self.sends
            .into_iter()
            .filter(|(_, send)| send.result.is_none())
            .for_each(|(_, send)| std::mem::forget(send.lease));
    }

    fn cancel(&mut self, user_data: u64) {
        let which = CancelBuilder::user_data(user_data);
        let entry = opcode::AsyncCancel2::new(which).build().user_data(CANCEL);
        self.push(entry.flags(Flags::SKIP_SUCCESS));
    }

    /// Queues an entry.
    fn push(&mut self, entry: Entry) {
        if !self.backlog.is_empty() || !self.fits(&entry) {
            self.backlog.push_back(entry);
        }
    }

    fn fits(&mut self, entry: &Entry) -> bool {
        for attempt in 0..2 {
            // SAFETY: what an entry points to outlives its operation: the buffers in `sends` and `reads`, and descriptors
            // that their slots or `reads` keep open, are given up only when its completion has come.
            if unsafe { self.ring.submission().push(entry) }.is_ok() {
                return true;
            }
            if attempt == 0 && self.ring.submit().is_err() {
                return false;
            }
        }
        false
    }
}

fn read(completion: &cqueue::Entry, sends: &mut Slab<Send>, reads: &mut Slab<Read>) -> Option<Happening> {
    let (kind, number) = (completion.user_data() >> 32 << 32, completion.user_data() as u32);
    let (result, last) = (completion.result(), !cqueue::more(completion.flags()));
    match kind {
        // A poll that failed says nothing; whoever receives next learns what there is to learn.
        READABLE => {
            let ended = result > 0 && result as u32 & ENDED != 0;
            Some(Happening::Descriptor(number, Event::Readable { ended }, last))
        }
        WRITABLE => Some(Happening::Descriptor(number, Event::Writable, last)),
        SENT => {
            let send = sends.get_mut(number as usize)?;
            let slot = send.slot;
            send.result = Some(result);
            if send.given_up {
                sends.remove(number as usize);
            }
            Some(Happening::Descriptor(slot, Event::Done, last))
        }
        READ => {
            let found = reads.get_mut(number as usize)?;
            found.result = Some(result);
            if found.given_up {
                reads.remove(number as usize);
                return None;
            }
            Some(Happening::Read(number))
        }
        _ => None,
    }
}
