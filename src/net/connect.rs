//! Opening connections to targets.

use super::socket::Address;
use super::stream::Stream;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::io::{self, ErrorKind};
use std::time::Duration;

/// Connects to `address` within `limit`. Fails with `TimedOut` after that; dropping the future closes the socket.
pub async fn connect(address: &Address, limit: Duration) -> io::Result<Stream> {
    let (domain, protocol, target) = match address {
        Address::Ip(address) => {
            let domain = if address.is_ipv4() { Domain::IPV4 } else { Domain::IPV6 };
            (domain, Some(Protocol::TCP), SockAddr::from(*address))
        }
        Address::Unix(path) => (Domain::UNIX, None, SockAddr::unix(path)?),
    };
    let socket = Socket::new(domain, Type::STREAM.nonblocking(), protocol)?;
    if protocol.is_some() {
        socket.set_tcp_nodelay(true)?;
    }
    let waiting = match socket.connect(&target) {
        Ok(()) => false,
        Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => true,
        Err(error) => return Err(error),
    };
    let stream = Stream::new(socket.into())?;
    if waiting {
        super::runtime::timeout(limit, stream.connected()).await.unwrap_or_else(|| Err(ErrorKind::TimedOut.into()))?;
    }
    Ok(stream)
}
