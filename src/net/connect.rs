//! Opening connections to targets.

use super::clock::coarse_now;
use super::runtime::sleep;
use super::socket::Address;
use super::stream::Stream;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::io::{self, ErrorKind};
use std::time::Duration;

/// How long to wait for room in a Unix socket's queue.
const QUEUE_PAUSE: Duration = Duration::from_millis(5);

/// A socket to connect with, set up as an [`Egress`](super::Egress) has it.
pub struct Prepared(pub(super) Socket);

impl Prepared {
    /// The same for control's own connections: not connected yet, and not blocking.
    pub fn into_std(self) -> std::net::TcpStream {
        self.0.into()
    }
}

/// Connects to `address` within `limit`, by a socket that was prepared for it if there is one. Fails with `TimedOut` after that;
/// dropping the future closes the socket.
pub async fn connect(address: &Address, limit: Duration, prepared: Option<Prepared>) -> io::Result<Stream> {
    let (domain, protocol, target) = match address {
        Address::Ip(address) => {
            let domain = if address.is_ipv4() { Domain::IPV4 } else { Domain::IPV6 };
            (domain, Some(Protocol::TCP), SockAddr::from(*address))
        }
        Address::Unix(path) => (Domain::UNIX, None, SockAddr::unix(path)?),
    };
    let socket = match prepared {
        Some(Prepared(socket)) => socket,
        None => Socket::new(domain, Type::STREAM.nonblocking(), protocol)?,
    };
    if protocol.is_some() {
        socket.set_tcp_nodelay(true)?;
    }
    let due = coarse_now().saturating_add(limit);
    let waiting = loop {
        match socket.connect(&target) {
            Ok(()) => break false,
            Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => break true,
            // The queue of a Unix socket is full, and nothing tells when it is no more.
            Err(error) if error.kind() == ErrorKind::WouldBlock && coarse_now() < due => {
                // A timer is large, and this wait rare.
                Box::pin(sleep(QUEUE_PAUSE)).await;
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Err(ErrorKind::TimedOut.into()),
            Err(error) => return Err(error),
        }
    };
    let stream = Stream::new(socket.into());
    if waiting {
        super::runtime::timeout(limit, stream.connected()).await.unwrap_or_else(|| Err(ErrorKind::TimedOut.into()))?;
    }
    Ok(stream)
}
