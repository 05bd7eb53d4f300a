//! One message to the kernel, with what goes beside its bytes.

use super::Local;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::RawFd;
use std::ptr;

/// Where a message goes, and how.
pub(super) struct Message {
    /// To whom; `None`: to whom the socket is connected with.
    pub(super) to: Option<SocketAddr>,
    /// From which address of this host; `None`: as the socket has it.
    pub(super) from: Option<Local>,
    /// Bytes of each datagram that the message is to be cut into; 0: it is one.
    pub(super) segment: usize,
}

/// An address as the kernel takes it, of either family.
#[derive(Clone, Copy)]
#[repr(C)]
pub(super) union Name {
    pub(super) v4: libc::sockaddr_in,
    pub(super) v6: libc::sockaddr_in6,
}

/// Room for what goes beside the bytes of a message: an address of this host, and how it is cut.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
pub(super) struct Beside(pub(super) [u8; BESIDE]);

pub(super) const BESIDE: usize = 80;

impl Message {
    pub(super) fn send(&self, fd: RawFd, bytes: &[u8]) -> io::Result<()> {
        let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
        let (name, name_length) = self.to.map_or((Name::none(), 0), Name::of);
        let name_at: *const libc::c_void = if name_length == 0 { ptr::null() } else { ptr::from_ref(&name).cast() };
        let sent = if self.from.is_none() && self.segment == 0 {
            // SAFETY: the bytes and the name live until the call returns, and their lengths are those of what is pointed to.
            unsafe { libc::sendto(fd, bytes.as_ptr().cast(), bytes.len(), flags, name_at.cast(), name_length) }
        } else {
            let mut piece = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
            let mut beside = Beside([0; BESIDE]);
            let mut length = 0;
            if let Some(local) = self.from {
                length = beside.push_local(length, local);
            }
            if self.segment > 0 {
                let segment = u16::try_from(self.segment).unwrap_or(u16::MAX);
                length = beside.push(length, libc::SOL_UDP, libc::UDP_SEGMENT, &segment.to_ne_bytes());
            }
            // SAFETY: all bits zero is a header that points to nothing.
            let mut head: libc::msghdr = unsafe { std::mem::zeroed() };
            head.msg_name = name_at.cast_mut();
            head.msg_namelen = name_length;
            head.msg_iov = &raw mut piece;
            head.msg_iovlen = 1;
            head.msg_control = beside.0.as_mut_ptr().cast();
            head.msg_controllen = length as _;
            // SAFETY: all that the header points to lives until the call returns, which only reads from it, within the lengths
            // that the header says.
            unsafe { libc::sendmsg(fd, &raw const head, flags) }
        };
        if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }
}

impl Name {
    pub(super) const fn none() -> Self {
        // SAFETY: both are numbers alone, of which 0 is one.
        unsafe { std::mem::zeroed() }
    }

    fn of(address: SocketAddr) -> (Self, libc::socklen_t) {
        let mut name = Self::none();
        match address {
            SocketAddr::V4(address) => {
                name.v4.sin_family = libc::AF_INET as libc::sa_family_t;
                name.v4.sin_port = address.port().to_be();
                name.v4.sin_addr.s_addr = u32::from_ne_bytes(address.ip().octets());
                (name, size_of::<libc::sockaddr_in>() as libc::socklen_t)
            }
            SocketAddr::V6(address) => {
                name.v6.sin6_family = libc::AF_INET6 as libc::sa_family_t;
                name.v6.sin6_port = address.port().to_be();
                name.v6.sin6_addr.s6_addr = address.ip().octets();
                name.v6.sin6_scope_id = address.scope_id();
                (name, size_of::<libc::sockaddr_in6>() as libc::socklen_t)
            }
        }
    }

    /// The address; `None` for what is neither IPv4 nor IPv6.
    pub(super) fn read(&self) -> Option<SocketAddr> {
        // SAFETY: all fields of both are numbers, for which any bits will do, and the family is at the same place in both.
        unsafe {
            match i32::from(self.v4.sin_family) {
                libc::AF_INET => {
                    let ip = IpAddr::from(self.v4.sin_addr.s_addr.to_ne_bytes());
                    Some(SocketAddr::new(ip, u16::from_be(self.v4.sin_port)))
                }
                libc::AF_INET6 => {
                    let (port, scope) = (u16::from_be(self.v6.sin6_port), self.v6.sin6_scope_id);
                    Some(std::net::SocketAddrV6::new(self.v6.sin6_addr.s6_addr.into(), port, 0, scope).into())
                }
                _ => None,
            }
        }
    }
}

/// Bytes of a control message's head, and of what it takes with `data` bytes behind it: as `cmsg(3)` has both.
const HEAD: usize = size_of::<libc::cmsghdr>();
const fn space(data: usize) -> usize {
    HEAD + data.next_multiple_of(align_of::<libc::cmsghdr>())
}

const _: () = assert!(HEAD == 16 && space(20) + space(4) <= BESIDE, "what is sent or received beside has room");

impl Beside {
    /// Adds a control message at `at`. Returns where the next one goes.
    fn push(&mut self, at: usize, level: i32, kind: i32, data: &[u8]) -> usize {
        let whole = &mut self.0[at..at + space(data.len())];
        whole[..8].copy_from_slice(&(HEAD + data.len()).to_ne_bytes());
        whole[8..12].copy_from_slice(&level.to_ne_bytes());
        whole[12..16].copy_from_slice(&kind.to_ne_bytes());
        whole[HEAD..HEAD + data.len()].copy_from_slice(data);
        at + space(data.len())
    }

    /// As in_pktinfo of ip(7) and in6_pktinfo of RFC 3542 §6.1 have it.
    fn push_local(&mut self, at: usize, local: Local) -> usize {
        let interface = local.interface.to_ne_bytes();
        match local.ip {
            IpAddr::V4(ip) => {
                let mut info = [0; 12];
                info[..4].copy_from_slice(&interface);
                info[4..8].copy_from_slice(&ip.octets());
                self.push(at, libc::IPPROTO_IP, libc::IP_PKTINFO, &info)
            }
            IpAddr::V6(ip) => {
                let mut info = [0; 20];
                info[..16].copy_from_slice(&ip.octets());
                info[16..].copy_from_slice(&interface);
                self.push(at, libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, &info)
            }
        }
    }

    /// What the kernel has said beside a message, of `length` bytes: the address that it was sent to, and the length of each
    /// datagram in it, 0 if it is one.
    pub(super) fn read(&self, length: usize) -> (Option<Local>, usize) {
        let (mut local, mut segment) = (None, 0);
        let mut rest = &self.0[..length.min(BESIDE)];
        while rest.len() >= HEAD {
            let number = |at: usize| i32::from_ne_bytes([rest[at], rest[at + 1], rest[at + 2], rest[at + 3]]);
            let (level, kind) = (number(8), number(12));
            // Lengths of ours fit into four bytes, of which the kernel writes eight.
            let whole = usize::try_from(number(0)).unwrap_or(0);
            let Some(data) = rest.get(HEAD..whole) else { break };
            match (level, kind, data) {
                // The address that an answer is to come from: not that of the header, which may be one of many.
                (libc::IPPROTO_IP, libc::IP_PKTINFO, [_, _, _, _, a, b, c, d, ..]) => {
                    local = Some(Local { ip: IpAddr::from([*a, *b, *c, *d]), interface: 0 });
                }
                (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, data) if data.len() >= 20 => {
                    let mut octets = [0; 16];
                    octets.copy_from_slice(&data[..16]);
                    let ip = std::net::Ipv6Addr::from(octets);
                    let of_link = (ip.segments()[0] & 0xffc0) == 0xfe80;
                    let interface = u32::from_ne_bytes([data[16], data[17], data[18], data[19]]);
                    local = Some(Local { ip: ip.into(), interface: if of_link { interface } else { 0 } });
                }
                (libc::SOL_UDP, libc::UDP_GRO, [a, b, c, d, ..]) => {
                    segment = usize::try_from(i32::from_ne_bytes([*a, *b, *c, *d])).unwrap_or(0);
                }
                _ => {}
            }
            rest = rest.get(space(whole - HEAD)..).unwrap_or_default();
        }
        (local, segment)
    }
}

/// Sets an option of a socket that is a number.
pub(super) fn option(fd: RawFd, level: i32, name: i32, value: libc::c_int) -> io::Result<()> {
    let length = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: the value lives until the call returns, and is as long as it says.
    let result = unsafe { libc::setsockopt(fd, level, name, (&raw const value).cast(), length) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// What the kernel has thrown away of what came to a socket (`SO_MEMINFO`, Linux 4.12).
pub(super) fn overflown(fd: RawFd) -> io::Result<u32> {
    /// The place of that number (linux/sock_diag.h: `SK_MEMINFO_DROPS`).
    const DROPS: usize = 8;
    let mut numbers = [0u32; DROPS + 1];
    let mut length = size_of_val(&numbers) as libc::socklen_t;
    let at = (&raw mut numbers).cast();
    // SAFETY: the kernel writes at most as many bytes as the length says, which is that of the numbers.
    let result = unsafe { libc::getsockopt(fd, libc::SOL_SOCKET, SO_MEMINFO, at, &raw mut length) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(numbers[DROPS]) }
}

/// As asm-generic/socket.h has it.
const SO_MEMINFO: libc::c_int = 55;
