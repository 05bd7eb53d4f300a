//! Options of sockets: of those that listen, which what they accept inherits, and of those that connect.
//!
//! Every option that can be set anew while a socket is in use is: what is not asked for is as the kernel has it by default.

use super::connect::Prepared;
use super::socket::Address;
use libc::c_int;
use socket2::{Domain, Protocol, SockAddr, Socket, TcpKeepalive, Type};
use std::fmt;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

/// What TCP does beyond its defaults (tcp(7)).
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct TcpOptions {
    /// When a silent peer is asked whether it is there: after this time, so long from one question to the next, and so often.
    pub keepalive: Option<(Duration, Duration, u32)>,
    /// How long what was sent may stay unacknowledged.
    pub user_timeout: Option<Duration>,
    /// Bytes of a segment at the most.
    pub mss: Option<u32>,
    /// Whether the first bytes may go with the first segment.
    pub fast_open: bool,
}

/// How a socket listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listening {
    /// Of what is accepted.
    pub tcp: TcpOptions,
    /// Connections that may wait.
    pub backlog: i32,
    /// Whether they do until the client has sent something.
    pub deferred: bool,
}

/// How an address is bound: what cannot be changed on a socket that is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// Whether an address of IPv6 leaves IPv4 alone.
    pub v6only: bool,
    /// Whether addresses may be listened on that are other hosts' (IP_TRANSPARENT).
    pub transparent: bool,
    /// The interface that connections come in by (SO_BINDTODEVICE).
    pub interface: Option<String>,
}

/// How targets are connected to, where that is not left to the kernel.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Egress {
    /// From where.
    pub source: Origin,
    /// By which interface.
    pub interface: Option<String>,
    /// How connections are.
    pub tcp: TcpOptions,
}

/// From which address a connection comes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Origin {
    /// The one that the kernel chooses.
    #[default]
    Any,
    /// One of these, of the target's family.
    Own(Box<[IpAddr]>),
    /// The client's, if it is of the target's family (IP_TRANSPARENT).
    Client,
}

/// What cannot be had on this host.
#[derive(Debug)]
pub struct Unable {
    /// For which key: `source`, `interface`.
    pub key: &'static str,
    /// What is wrong.
    pub error: io::Error,
}

impl fmt::Display for Unable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`: {}", self.key, self.error)
    }
}

impl Default for Listening {
    fn default() -> Self {
        Self { tcp: TcpOptions::default(), backlog: 4096, deferred: false }
    }
}

impl Default for Binding {
    fn default() -> Self {
        Self { v6only: true, transparent: false, interface: None }
    }
}

impl TcpOptions {
    /// Sets all of them but `fast_open`, which is another option on either side.
    fn apply(&self, socket: &Socket) -> io::Result<()> {
        match self.keepalive {
            Some((idle, interval, count)) => socket
                .set_tcp_keepalive(&TcpKeepalive::new().with_time(idle).with_interval(interval).with_retries(count))?,
            None => socket.set_keepalive(false)?,
        }
        // Those of less than a millisecond would be none.
        let millis = self.user_timeout.map_or(0, |limit| c_int::try_from(limit.as_millis()).unwrap_or(c_int::MAX));
        set(socket, libc::IPPROTO_TCP, libc::TCP_USER_TIMEOUT, millis)?;
        set(socket, libc::IPPROTO_TCP, libc::TCP_MAXSEG, self.mss.map_or(0, |mss| mss.cast_signed()))
    }
}

impl Listening {
    /// Sets it up on a socket that is bound, whether or not it listens.
    pub(super) fn apply(&self, socket: &Socket) -> io::Result<()> {
        self.tcp.apply(socket)?;
        set(socket, libc::IPPROTO_TCP, libc::TCP_DEFER_ACCEPT, c_int::from(self.deferred))?;
        let waiting = if self.tcp.fast_open { self.backlog } else { 0 };
        match set(socket, libc::IPPROTO_TCP, libc::TCP_FASTOPEN, waiting) {
            // Where the kernel has none, there is none to be switched off.
            Err(_) if !self.tcp.fast_open => Ok(()),
            result => result,
        }
    }
}

impl Binding {
    /// Sets it up on a socket that is about to be bound.
    pub(super) fn apply(&self, socket: &Socket, is_ipv6: bool) -> io::Result<()> {
        if is_ipv6 {
            socket.set_only_v6(self.v6only)?;
        }
        if self.transparent {
            set_transparent(socket, is_ipv6)?;
        }
        bind_device(socket, self.interface.as_deref())
    }
}

impl Egress {
    /// A socket to connect to `address` for `client` with; `None` where it is none of IP.
    pub fn prepare(&self, address: &Address, client: Option<IpAddr>) -> io::Result<Option<Prepared>> {
        match address {
            Address::Ip(target) => self.prepare_ip(*target, client).map(Some),
            Address::Unix(_) => Ok(None),
        }
    }

    /// The same for an address of IP.
    pub fn prepare_ip(&self, target: SocketAddr, client: Option<IpAddr>) -> io::Result<Prepared> {
        let domain = if target.is_ipv4() { Domain::IPV4 } else { Domain::IPV6 };
        let socket = Socket::new(domain, Type::STREAM.nonblocking(), Some(Protocol::TCP))?;
        if self.tcp != TcpOptions::default() {
            self.tcp.apply(&socket)?;
            if self.tcp.fast_open {
                set(&socket, libc::IPPROTO_TCP, libc::TCP_FASTOPEN_CONNECT, 1)?;
            }
        }
        bind_device(&socket, self.interface.as_deref())?;
        if let Some(source) = self.source_for(target.ip(), client) {
            if self.source == Origin::Client {
                set_transparent(&socket, source.is_ipv6())?;
            }
            // The port is chosen when the target is known, so that one serves for each target.
            set(&socket, libc::IPPROTO_IP, libc::IP_BIND_ADDRESS_NO_PORT, 1)?;
            socket.bind(&SockAddr::from(SocketAddr::new(source, 0)))?;
        }
        Ok(Prepared(socket))
    }

    /// Sets a socket for datagrams up that is about to be connected with `target`, by no client's address. What is TCP's is not for it.
    pub(super) fn prepare_datagrams(&self, socket: &Socket, target: IpAddr) -> io::Result<()> {
        bind_device(socket, self.interface.as_deref())?;
        match self.source_for(target, None) {
            Some(source) => socket.bind(&SockAddr::from(SocketAddr::new(source, 0))),
            None => Ok(()),
        }
    }

    /// What of it cannot be had on this host, as of now.
    pub fn unable(&self) -> Option<Unable> {
        let (loopback, port) = ([IpAddr::from([127, 0, 0, 1])], 9);
        let (sources, is_client) = match &self.source {
            Origin::Any => (&[][..], false),
            Origin::Own(all) => (&all[..], false),
            Origin::Client => (&loopback[..], true),
        };
        for &ip in sources {
            let source = if is_client { Origin::Client } else { Origin::Own([ip].into()) };
            let alone = Self { source, ..Self::default() };
            if let Err(error) = alone.prepare_ip(SocketAddr::new(ip, port), Some(ip)) {
                let error = if is_client { error } else { io::Error::new(error.kind(), format!("{ip}: {error}")) };
                return Some(Unable { key: "source", error });
            }
        }
        let device = Self { interface: self.interface.clone(), ..Self::default() };
        let tried = device.prepare_ip(SocketAddr::new(loopback[0], port), None);
        tried.err().map(|error| Unable { key: "interface", error })
    }

    fn source_for(&self, target: IpAddr, client: Option<IpAddr>) -> Option<IpAddr> {
        match &self.source {
            Origin::Any => None,
            Origin::Own(all) => {
                let fitting = || all.iter().filter(|ip| ip.is_ipv4() == target.is_ipv4());
                fitting().nth(fastrand::usize(..fitting().count().max(1))).copied()
            }
            Origin::Client => client.map(|ip| ip.to_canonical()).filter(|ip| ip.is_ipv4() == target.is_ipv4()),
        }
    }
}

fn bind_device(socket: &Socket, interface: Option<&str>) -> io::Result<()> {
    match interface {
        Some(name) => socket.bind_device(Some(name.as_bytes())),
        None => Ok(()),
    }
}

fn set_transparent(socket: &Socket, is_ipv6: bool) -> io::Result<()> {
    match is_ipv6 {
        true => socket.set_ip_transparent_v6(true),
        false => socket.set_ip_transparent_v4(true),
    }
    .map_err(|error| match error.kind() {
        ErrorKind::PermissionDenied => {
            io::Error::new(error.kind(), "addresses of others need CAP_NET_ADMIN or CAP_NET_RAW")
        }
        _ => error,
    })
}

/// Sets an option that is a number.
pub(super) fn set(socket: &impl AsFd, level: c_int, name: c_int, value: c_int) -> io::Result<()> {
    let length = size_of::<c_int>() as libc::socklen_t;
    let fd = socket.as_fd().as_raw_fd();
    // SAFETY: the pointer is to a local of `length` bytes that outlives the call, and the descriptor is borrowed for as long.
    match unsafe { libc::setsockopt(fd, level, name, (&raw const value).cast(), length) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn local(socket: &Socket) -> SocketAddr {
        socket.local_addr().unwrap().as_socket().unwrap()
    }

    #[test]
    fn a_source_address_leaves_the_port_to_when_the_target_is_known() {
        let source: IpAddr = [127, 0, 0, 5].into();
        let egress = Egress { source: Origin::Own([source].into()), ..Egress::default() };
        let targets =
            [std::net::TcpListener::bind("127.0.0.1:0").unwrap(), std::net::TcpListener::bind("127.0.0.1:0").unwrap()];
        for target in &targets {
            let target = target.local_addr().unwrap();
            let Prepared(socket) = egress.prepare_ip(target, None).unwrap();
            // A port that was chosen here would be one less for all targets.
            assert_eq!(local(&socket), SocketAddr::new(source, 0));
            socket.set_nonblocking(false).unwrap();
            socket.connect(&SockAddr::from(target)).unwrap();
            assert!(local(&socket).ip() == source && local(&socket).port() != 0);
        }
        // No source is of the target's family.
        let Prepared(other) = egress.prepare_ip("[::1]:9".parse().unwrap(), None).unwrap();
        assert!(local(&other).ip().is_unspecified());
    }

    #[test]
    fn datagrams_go_out_by_the_source_and_not_by_that_of_a_client() {
        let open = || Socket::new(Domain::IPV4, Type::DGRAM.nonblocking(), Some(Protocol::UDP)).unwrap();
        let target = IpAddr::from([127, 0, 0, 1]);
        let by = |source: Origin| {
            let socket = open();
            Egress { source, ..Egress::default() }.prepare_datagrams(&socket, target).unwrap();
            local(&socket).ip()
        };
        assert_eq!(by(Origin::Own([IpAddr::from([127, 0, 0, 6])].into())), IpAddr::from([127, 0, 0, 6]));
        assert!(by(Origin::Any).is_unspecified() && by(Origin::Client).is_unspecified());
    }
}
