//! Listening sockets, and those for datagrams: slots that control binds and owns, and the addresses they have.

use super::options::{Binding, Listening};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::fmt;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

/// Where to listen or connect.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Address {
    /// An IP address and port.
    Ip(SocketAddr),
    /// A Unix stream socket.
    Unix(PathBuf),
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// The other end of an accepted connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The client's address; the loopback address for a Unix socket.
    pub ip: IpAddr,
    /// The client's port; 0 for a Unix socket.
    pub port: u16,
    /// Whether it came by a Unix socket, and nobody has said who it is: it has no address.
    pub local: bool,
}

impl From<SocketAddr> for Peer {
    fn from(address: SocketAddr) -> Self {
        Self { ip: address.ip(), port: address.port(), local: false }
    }
}

impl Peer {
    /// Its address, if it has one.
    pub fn address(&self) -> Option<SocketAddr> {
        (!self.local).then(|| SocketAddr::new(self.ip, self.port))
    }

    pub(super) fn from_storage(storage: &libc::sockaddr_storage) -> Self {
        let pointer: *const libc::sockaddr_storage = storage;
        match i32::from(storage.ss_family) {
            libc::AF_INET => {
                // SAFETY: the family says that the storage holds this type, which is smaller and no more aligned.
                let inet = unsafe { &*pointer.cast::<libc::sockaddr_in>() };
                let ip = Ipv4Addr::from(inet.sin_addr.s_addr.to_ne_bytes());
                Self { ip: ip.into(), port: u16::from_be(inet.sin_port), local: false }
            }
            libc::AF_INET6 => {
                // SAFETY: as above.
                let inet = unsafe { &*pointer.cast::<libc::sockaddr_in6>() };
                let ip = Ipv6Addr::from(inet.sin6_addr.s6_addr);
                Self { ip: ip.to_canonical(), port: u16::from_be(inet.sin6_port), local: false }
            }
            _ => Self { ip: Ipv4Addr::LOCALHOST.into(), port: 0, local: true },
        }
    }
}

/// A bound, listening socket, or one that datagrams are sent to.
pub struct Slot {
    socket: Socket,
    address: Address,
    lent: bool,
    datagrams: bool,
}

impl Slot {
    /// What it is bound to: the real port where the configuration said 0.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Whether it is the supervisor's, who goes on listening when this process does not.
    pub fn is_lent(&self) -> bool {
        self.lent
    }

    /// Whether it is one for datagrams (UDP).
    pub fn is_datagrams(&self) -> bool {
        self.datagrams
    }

    pub(super) fn of_datagrams(socket: Socket, address: SocketAddr) -> Self {
        Self { socket, address: Address::Ip(address), lent: false, datagrams: true }
    }

    /// Listens as it is said from now on: for what it accepts from then on. Who waits in the queue stays. Nothing where it does not listen for
    /// TCP.
    pub fn tune(&self, listening: &Listening) -> io::Result<()> {
        if self.datagrams || matches!(self.address, Address::Unix(_)) {
            return Ok(());
        }
        listening.apply(&self.socket)?;
        // How many wait at the supervisor's is for the supervisor to say.
        if self.lent { Ok(()) } else { self.socket.listen(listening.backlog) }
    }

    /// Listens again, where a process has ended that for all who have the socket.
    pub fn revive(&self) -> io::Result<()> {
        if self.lent || self.datagrams || matches!(self.address, Address::Unix(_)) {
            return Ok(());
        }
        // It fails where there is no filter.
        let _ = self.socket.detach_filter();
        self.socket.listen(BACKLOG)
    }

    /// A listening socket that another process made, or a bound one of UDP; `lent` if it is the supervisor's. Fails if it is
    /// neither.
    pub fn adopt(descriptor: OwnedFd, lent: bool) -> io::Result<Self> {
        let socket = Socket::from(descriptor);
        let datagrams = socket.r#type()? == Type::DGRAM;
        let local = socket.local_addr()?;
        if !datagrams && (!socket.is_listener()? || socket.r#type()? != Type::STREAM) {
            return Err(io::Error::new(ErrorKind::InvalidInput, "this is no listening stream socket"));
        }
        if datagrams && local.as_socket().is_none_or(|address| address.port() == 0) {
            return Err(io::Error::new(ErrorKind::InvalidInput, "this is no bound socket of UDP"));
        }
        socket.set_nonblocking(true)?;
        let address = match (local.as_socket(), local.as_pathname()) {
            (Some(ip), _) => Address::Ip(ip),
            (None, Some(path)) => Address::Unix(path.to_owned()),
            (None, None) => return Err(io::Error::new(ErrorKind::InvalidInput, "this socket has no address")),
        };
        if matches!(address, Address::Ip(_)) && !datagrams {
            socket.set_tcp_nodelay(true)?;
        }
        Ok(Self { socket, address, lent, datagrams })
    }

    /// One that the supervisor of this process left open for it, by its number (sd_listen_fds(3)). To be called once for each.
    pub fn adopt_numbered(number: RawFd) -> io::Result<Self> {
        // SAFETY: the supervisor opened it for this process before it began, and nobody else in the process knows of it; what is
        // no open descriptor is refused by the first call on it.
        Self::adopt(unsafe { OwnedFd::from_raw_fd(number) }, true)
    }

    /// Whether others may bind the same address (`SO_REUSEPORT`).
    pub fn is_shared(&self) -> bool {
        self.socket.reuse_port().unwrap_or(false)
    }

    /// The descriptor, to be handed to another process.
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Another slot on the same queue.
    pub fn share(&self) -> io::Result<Self> {
        Ok(Self { socket: self.socket.try_clone()?, address: self.address.clone(), ..*self })
    }

    /// The socket as the standard library's listener, for control's own servers.
    pub fn into_std(self) -> std::net::TcpListener {
        self.socket.into()
    }

    /// The same as a descriptor, for control's own servers on Unix sockets.
    pub fn into_unix(self) -> std::os::unix::net::UnixListener {
        OwnedFd::from(self.socket).into()
    }

    pub(super) fn duplicate(&self) -> io::Result<OwnedFd> {
        Ok(self.socket.try_clone()?.into())
    }
}

const BACKLOG: i32 = 4096;

/// Binds and listens. With `shared`, others of this process may bind the same address (`SO_REUSEPORT`).
///
/// A Unix socket's file that nobody listens on is replaced. Fails with the kernel's reason.
pub fn bind(address: &Address, shared: bool) -> io::Result<Slot> {
    bind_by(address, shared, &Binding::default(), &Listening::default())
}

/// The same, set up as it is said.
pub fn bind_by(address: &Address, shared: bool, binding: &Binding, listening: &Listening) -> io::Result<Slot> {
    match address {
        Address::Ip(ip) => bind_ip(*ip, shared, binding, listening),
        Address::Unix(path) => bind_unix(path, false),
    }
}

/// Binds a Unix socket that this process's user alone may connect to, and listens, as [`bind`] does.
pub fn bind_private(path: &Path) -> io::Result<Slot> {
    bind_unix(path, true)
}

/// Fails with `AddrInUse` if another process listens on `address`: binding with `SO_REUSEPORT` would not tell.
pub fn probe(address: &Address, binding: &Binding) -> io::Result<()> {
    match address {
        Address::Ip(ip) if ip.port() != 0 => open_ip(*ip, false, binding).map(drop),
        _ => Ok(()),
    }
}

/// How many descriptors this process may have, after raising the soft limit to the hard one.
pub fn file_limit() -> usize {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the pointer is to a local that outlives the call.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } != 0 {
        return 1024;
    }
    if limit.rlim_cur < limit.rlim_max {
        let raised = libc::rlimit { rlim_cur: limit.rlim_max, rlim_max: limit.rlim_max };
        // SAFETY: as above; where it is refused the old limit stands.
        if unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const raised) } == 0 {
            limit = raised;
        }
    }
    usize::try_from(limit.rlim_cur).unwrap_or(usize::MAX)
}

fn bind_ip(ip: SocketAddr, shared: bool, binding: &Binding, listening: &Listening) -> io::Result<Slot> {
    let socket = open_ip(ip, shared, binding)?;
    listening.apply(&socket)?;
    socket.listen(listening.backlog)?;
    let address = socket.local_addr()?.as_socket().unwrap_or(ip);
    Ok(Slot { socket, address: Address::Ip(address), lent: false, datagrams: false })
}

fn open_ip(ip: SocketAddr, shared: bool, binding: &Binding) -> io::Result<Socket> {
    let domain = if ip.is_ipv4() { Domain::IPV4 } else { Domain::IPV6 };
    let socket = Socket::new(domain, Type::STREAM.nonblocking(), Some(Protocol::TCP))?;
    binding.apply(&socket, ip.is_ipv6())?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(shared)?;
    // Accepted sockets inherit it, which saves a call for each.
    socket.set_tcp_nodelay(true)?;
    socket.bind(&SockAddr::from(ip))?;
    Ok(socket)
}

fn bind_unix(path: &Path, private: bool) -> io::Result<Slot> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM.nonblocking(), None)?;
    if private {
        // The file gets the rights of the socket, so that there is no moment at which it has others.
        rustix::fs::fchmod(&socket, rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR)?;
    }
    let address = SockAddr::unix(path)?;
    match socket.bind(&address) {
        Err(error) if error.kind() == ErrorKind::AddrInUse && is_dead_socket(path, &address) => {
            std::fs::remove_file(path)?;
            socket.bind(&address)?;
        }
        result => result?,
    }
    socket.listen(BACKLOG)?;
    Ok(Slot { socket, address: Address::Unix(path.to_owned()), lent: false, datagrams: false })
}

fn is_dead_socket(path: &Path, address: &SockAddr) -> bool {
    let is_socket = std::fs::symlink_metadata(path).is_ok_and(|meta| meta.file_type().is_socket());
    let refused = Socket::new(Domain::UNIX, Type::STREAM.nonblocking(), None)
        .and_then(|socket| socket.connect(address))
        .is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused);
    is_socket && refused
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_found_by_the_probe_and_not_by_a_shared_bind() {
        let any = Address::Ip("127.0.0.1:0".parse().unwrap());
        let first = bind(&any, true).unwrap();
        assert_eq!(probe(first.address(), &Binding::default()).unwrap_err().kind(), ErrorKind::AddrInUse);
        assert!(bind(first.address(), true).is_ok());
    }

    #[test]
    fn a_private_socket_is_for_its_user_alone() {
        use std::os::unix::fs::PermissionsExt;
        let path = std::env::temp_dir().join(format!("ringway-private-{}.sock", std::process::id()));
        let _slot = bind_private(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn ipv6_leaves_the_port_to_ipv4() {
        let Ok(six) = bind(&Address::Ip("[::1]:0".parse().unwrap()), true) else { return };
        let Address::Ip(address) = six.address() else { panic!("an IP address") };
        let wildcard = Address::Ip(SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), 0));
        let all = bind(&wildcard, true).unwrap();
        let Address::Ip(all) = all.address() else { panic!("an IP address") };
        assert!(bind(&Address::Ip(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), all.port())), false).is_ok());
        assert_ne!(address.port(), 0);
    }

    #[test]
    fn a_dead_unix_socket_is_replaced_and_a_live_one_is_not() {
        let path = std::env::temp_dir().join(format!("ringway-bind-{}.sock", std::process::id()));
        let address = Address::Unix(path.clone());
        let first = bind(&address, false).unwrap();
        assert_eq!(bind(&address, false).err().unwrap().kind(), ErrorKind::AddrInUse);
        drop(first);
        assert!(bind(&address, false).is_ok());
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, "no socket").unwrap();
        assert!(bind(&address, false).is_err());
        std::fs::remove_file(&path).unwrap();
    }
}
