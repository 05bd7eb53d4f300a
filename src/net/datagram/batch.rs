//! Many datagrams in one call (recvmmsg(2)).

use super::Local;
use super::message::{BESIDE, Beside, Name};
use crate::net::lease::{CLASSES, Lease};
use std::io;
use std::net::SocketAddr;
use std::os::fd::RawFd;
use std::ptr;

/// Room for what is received at a time. It holds buffers of the worker's pool from a receive until [`Batch::rest`].
pub struct Batch {
    leases: [Lease; LEASES],
    names: [Name; Batch::SIZE],
    beside: [Beside; Batch::SIZE],
    pieces: [libc::iovec; Batch::SIZE],
    heads: [libc::mmsghdr; Batch::SIZE],
    /// How many of them were received last.
    count: usize,
    local: Local,
}

/// A datagram, or several of a flow in one piece.
#[derive(Clone, Copy, Debug)]
pub struct Received<'a> {
    /// Who sent it.
    pub from: SocketAddr,
    /// To which address of this host.
    pub to: Local,
    /// What was sent; may be empty.
    pub bytes: &'a [u8],
    /// Bytes of each datagram in it, of which the last may have fewer; 0: it is one.
    pub segment: usize,
}

impl Received<'_> {
    /// How many datagrams it is.
    pub fn count(&self) -> u64 {
        match self.segment {
            0 => 1,
            segment => self.bytes.len().div_ceil(segment).max(1) as u64,
        }
    }
}

/// The longest datagram, or piece of them (RFC 768, UDP_GRO).
const LONGEST: usize = 1 << 16;
/// Datagrams that fit into a buffer. Each begins in another set of the core's cache than the one before.
const EACH: usize = 7;
const STRIDE: usize = (CLASSES[3] / EACH) & !63;
const LEASES: usize = 2;

const _: () = assert!(STRIDE >= LONGEST && STRIDE * EACH <= CLASSES[3]);

impl Batch {
    /// How many datagrams, or pieces, it takes.
    pub const SIZE: usize = LEASES * EACH;

    /// One that holds nothing.
    pub fn new() -> Self {
        // SAFETY: all of them are numbers and pointers, for which zero will do: it points to nothing.
        let (pieces, heads) = unsafe { (std::mem::zeroed(), std::mem::zeroed()) };
        Self {
            leases: [Lease::empty(), Lease::empty()],
            names: [Name::none(); Self::SIZE],
            beside: [Beside([0; BESIDE]); Self::SIZE],
            pieces,
            heads,
            count: 0,
            local: Local { ip: std::net::Ipv4Addr::UNSPECIFIED.into(), interface: 0 },
        }
    }

    /// Receives at most `most`; `local` is where those were sent to of which the kernel does not say it.
    pub(super) fn receive(&mut self, fd: RawFd, most: usize, local: Local) -> io::Result<usize> {
        let most = most.min(Self::SIZE);
        self.count = 0;
        self.local = local;
        for (place, lease) in self.leases.iter_mut().enumerate() {
            if place * EACH < most && lease.room() < STRIDE * EACH {
                *lease = Lease::of_class(3);
            }
        }
        for place in 0..most {
            let lease = self.leases[place / EACH].buffer();
            // Within the buffer: it has room for EACH of them.
            let start = lease.as_mut_ptr().wrapping_add(place % EACH * STRIDE);
            self.pieces[place] = libc::iovec { iov_base: start.cast(), iov_len: LONGEST };
            let head = &mut self.heads[place].msg_hdr;
            head.msg_name = ptr::from_mut(&mut self.names[place]).cast();
            head.msg_namelen = size_of::<Name>() as libc::socklen_t;
            head.msg_iov = &raw mut self.pieces[place];
            head.msg_iovlen = 1;
            head.msg_control = self.beside[place].0.as_mut_ptr().cast();
            head.msg_controllen = BESIDE as _;
            head.msg_flags = 0;
        }
        let heads = self.heads.as_mut_ptr();
        // SAFETY: each of the first `most` heads points to a name, a control buffer and a piece that live in `self` or, the
        // piece's bytes, in a buffer that `self` holds, with the lengths that it says; nothing else uses them during the call.
        let count = unsafe { libc::recvmmsg(fd, heads, most as libc::c_uint, libc::MSG_DONTWAIT, ptr::null_mut()) };
        self.count = usize::try_from(count).map_err(|_| io::Error::last_os_error())?;
        Ok(self.count)
    }

    /// What was received last.
    pub fn iter(&self) -> impl Iterator<Item = Received<'_>> {
        (0..self.count).filter_map(|place| self.get(place))
    }

    fn get(&self, place: usize) -> Option<Received<'_>> {
        let head = &self.heads[place];
        let length = (head.msg_len as usize).min(LONGEST);
        // SAFETY: the kernel has written that many bytes at the start of the piece, in a buffer that `self` still holds: it is
        // given back by `rest` alone, which forgets what was received.
        let bytes = unsafe { std::slice::from_raw_parts(self.pieces[place].iov_base.cast::<u8>(), length) };
        let (to, segment) = self.beside[place].read(head.msg_hdr.msg_controllen);
        let from = match head.msg_hdr.msg_namelen {
            // Of a connected socket that is known.
            0 => SocketAddr::new(self.local.ip, 0),
            _ => self.names[place].read()?,
        };
        // A datagram of one segment says so, too.
        let segment = if length <= segment { 0 } else { segment };
        Some(Received { from, to: to.unwrap_or(self.local), bytes, segment })
    }

    /// Gives the buffers back and forgets what was received.
    pub fn rest(&mut self) {
        self.count = 0;
        self.leases.iter_mut().for_each(|lease| *lease = Lease::empty());
    }
}

impl Default for Batch {
    fn default() -> Self {
        Self::new()
    }
}
