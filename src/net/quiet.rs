//! Leaving a peer without telling it.

use super::options::set;
use socket2::SockRef;
use std::os::fd::AsFd;
use std::time::Duration;

/// Makes the close of a TCP connection one that its peer hears nothing of: by TCP_REPAIR (tcp(7)), which needs CAP_NET_ADMIN. Without it
/// the reset that the close sends gets as far as the first router. What the peer sends later is answered by the kernel in either case, as
/// nobody is there.
pub(super) fn hush(socket: &impl AsFd) {
    if set(socket, libc::IPPROTO_TCP, libc::TCP_REPAIR, 1).is_ok() {
        return;
    }
    // Each of them fails on sockets of another kind, or for a peer that has gone already.
    let socket = SockRef::from(socket);
    let _ = socket.set_ttl_v4(1);
    let _ = socket.set_unicast_hops_v6(1);
    let _ = socket.set_linger(Some(Duration::ZERO));
}
