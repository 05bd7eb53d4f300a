//! Accepting from a slot.

use super::socket::{Address, Peer, Slot};
use super::stream::Stream;
use super::watch::Watch;
use socket2::{SockFilter, SockRef};
use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::mem::MaybeUninit;
use std::net::Shutdown;
use std::os::fd::{FromRawFd, OwnedFd};

/// A worker's view of one listening socket. Dropping it does not close the slot, which control owns.
pub struct Listener {
    watch: Watch,
    port: u16,
    /// Whether the socket is ours alone, and one of TCP.
    ours: bool,
}

/// Lets all pass but a first segment: SYN without ACK, in byte 13 of the header (RFC 9293 §3.1).
fn no_newcomers() -> [SockFilter; 5] {
    let step = |code: u32, jt, jf, k| SockFilter::new(code as u16, jt, jf, k);
    [
        step(libc::BPF_LD | libc::BPF_B | libc::BPF_ABS, 0, 0, 13),
        step(libc::BPF_ALU | libc::BPF_AND | libc::BPF_K, 0, 0, 0x12),
        step(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, 1, 0x02),
        step(libc::BPF_RET | libc::BPF_K, 0, 0, 0),
        step(libc::BPF_RET | libc::BPF_K, 0, 0, u32::MAX),
    ]
}

/// A connection that has just been accepted.
pub struct Accepted {
    /// The connection.
    pub stream: Stream,
    /// Who dialled.
    pub peer: Peer,
    /// The port that was dialled; 0 for a Unix socket.
    pub port: u16,
}

impl Listener {
    /// Watches a duplicate of the slot.
    pub fn new(slot: &Slot) -> io::Result<Self> {
        let port = match slot.address() {
            Address::Ip(ip) => ip.port(),
            Address::Unix(_) => 0,
        };
        let ours = port != 0 && !slot.is_lent();
        Ok(Self { watch: Watch::new(slot.duplicate()?), port, ours })
    }

    /// Lets nobody come any more, but those who are on their way into the queue. Whoever comes is not answered, and tries again
    /// a second later, when [`Listener::end`] has him refused: to end with somebody in the queue would reset him.
    pub fn hold_off(&self) {
        if self.ours
            && let Err(error) = SockRef::from(&self.watch).attach_filter(&no_newcomers())
        {
            tracing::debug!(%error, "who comes to a listening socket that closes may be reset");
        }
    }

    /// Ends the listening in all processes that have the socket: one that was followed by another keeps it for as long as it
    /// lives, and whoever came would wait for ever.
    pub fn end(&self) {
        if self.ours {
            let _ = SockRef::from(&self.watch).shutdown(Shutdown::Read);
        }
    }

    /// Waits until a connection waits in the queue. Another worker may still take it first.
    pub async fn ready(&self) -> io::Result<()> {
        poll_fn(|cx| self.watch.poll_readable(cx)).await
    }

    /// Takes one connection from the queue, if there is one. Fails if descriptors or memory are short.
    pub fn accept(&self) -> io::Result<Option<Accepted>> {
        loop {
            let mut storage = MaybeUninit::<libc::sockaddr_storage>::zeroed();
            let mut len = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
            let flags = libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
            // SAFETY: the storage is as large as `len` says and outlives the call.
            let fd = unsafe { libc::accept4(self.watch.fd(), storage.as_mut_ptr().cast(), &raw mut len, flags) };
            if fd < 0 {
                let error = io::Error::last_os_error();
                match error.kind() {
                    ErrorKind::WouldBlock => {
                        self.watch.drained();
                        return Ok(None);
                    }
                    // The client left while it waited in the queue: the next one may be there.
                    ErrorKind::Interrupted | ErrorKind::ConnectionAborted => continue,
                    _ => return Err(error),
                }
            }
            // SAFETY: accept4 has just made this descriptor; nobody else has it.
            let fd = unsafe { OwnedFd::from_raw_fd(fd) };
            // SAFETY: zeroed storage is valid, and the kernel wrote an address of `len` bytes into it.
            let peer = Peer::from_storage(unsafe { storage.assume_init_ref() });
            return Ok(Some(Accepted { stream: Stream::new(fd), peer, port: self.port }));
        }
    }
}
