//! Datagrams (UDP): sockets that many clients send to, and sockets that are connected to one target.
//!
//! What always holds:
//! - Nothing is queued here: a datagram is sent at once, or the kernel has no room for it and it is lost, as UDP has it.
//! - What is received says to which address of this host it was sent, so that its answer can come from there.
//! - Datagrams of one flow may come as one piece (`UDP_GRO`, Linux 5.0) and may be sent so (`UDP_SEGMENT`, Linux 4.18): a
//!   piece is all of its segments, each of them a datagram.

mod batch;
mod message;

pub use batch::{Batch, Received};

use super::options::Egress;
use super::socket::{Address, Slot};
use super::watch::Watch;
use super::{executor, ledger};
use message::{Message, option};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::cell::Cell;
use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::AsRawFd;
use std::task::Poll;

/// The address of this host that a datagram was sent to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Local {
    /// The address.
    pub ip: IpAddr,
    /// The interface, where the address is one of its own alone; else 0.
    pub interface: u32,
}

/// A socket for datagrams. Belongs to the worker that made it.
pub struct Datagram {
    watch: Watch,
    kind: Kind,
    /// Receives that did not have to wait, since the last one that had to.
    streak: Cell<u8>,
}

/// Whom a socket talks to.
#[derive(Clone, Copy, Debug)]
enum Kind {
    /// Everybody, by the only address that it has.
    Bound(Local),
    /// Everybody, by any address of this host.
    Wildcard,
    /// One peer.
    Connected,
}

/// Receives in a row without a wait after which others get their turn.
const STREAK: u8 = 16;
/// What the kernel may hold for us, where it lets us have that much: bursts wait there, as nothing queues here.
const BUFFER: usize = 4 << 20;

/// Binds a socket for datagrams. With `shared`, others of this process may bind the same address (`SO_REUSEPORT`): the kernel
/// then keeps each client to one of them. Fails with the kernel's reason.
pub fn bind_datagrams(ip: SocketAddr, shared: bool) -> io::Result<Slot> {
    let socket = open(ip.is_ipv4())?;
    if ip.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_port(shared)?;
    enlarge(&socket);
    socket.bind(&SockAddr::from(ip))?;
    let address = socket.local_addr()?.as_socket().unwrap_or(ip);
    Ok(Slot::of_datagrams(socket, address))
}

/// Fails with `AddrInUse` if another process has bound `ip`.
pub fn probe_datagrams(ip: SocketAddr) -> io::Result<()> {
    if ip.port() == 0 {
        return Ok(());
    }
    bind_datagrams(ip, false).map(drop)
}

impl Datagram {
    /// Watches a duplicate of a slot, which control owns.
    pub fn new(slot: &Slot) -> io::Result<Self> {
        let ip = match slot.address() {
            Address::Ip(address) if slot.is_datagrams() => address.ip(),
            _ => return Err(io::Error::new(ErrorKind::InvalidInput, "this is no socket for datagrams")),
        };
        let socket = slot.duplicate()?;
        let kind = if ip.is_unspecified() {
            let (level, name) = match ip {
                IpAddr::V4(_) => (libc::IPPROTO_IP, libc::IP_PKTINFO),
                IpAddr::V6(_) => (libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO),
            };
            option(socket.as_raw_fd(), level, name, 1)?;
            Kind::Wildcard
        } else {
            Kind::Bound(Local { ip, interface: 0 })
        };
        take_whole_pieces(socket.as_raw_fd());
        Ok(Self { watch: Watch::new(socket), kind, streak: Cell::new(0) })
    }

    /// A socket of its own port that talks to `target` alone, set up as `egress` has it. Fails if there is no port, no descriptor or
    /// no way there.
    pub fn connect(target: SocketAddr, egress: Option<&Egress>) -> io::Result<Self> {
        let socket = open(target.is_ipv4())?;
        if let Some(egress) = egress {
            egress.prepare_datagrams(&socket, target.ip())?;
        }
        socket.connect(&SockAddr::from(target))?;
        take_whole_pieces(socket.as_raw_fd());
        let watch = Watch::new(socket.into());
        ledger::record(watch.fd());
        Ok(Self { watch, kind: Kind::Connected, streak: Cell::new(0) })
    }

    /// The port that it has; 0 if the kernel does not tell.
    pub fn port(&self) -> u16 {
        let address = socket2::SockRef::from(&self.watch).local_addr();
        address.ok().and_then(|address| address.as_socket()).map_or(0, |address| address.port())
    }

    /// Waits until there may be something to receive. Fails if the driver cannot watch it.
    pub async fn ready(&self) -> io::Result<()> {
        poll_fn(|cx| {
            if self.streak.get() >= STREAK {
                self.streak.set(0);
                executor::defer(cx.waker());
                return Poll::Pending;
            }
            let state = self.watch.poll_readable(cx);
            self.streak.set(if state.is_ready() { self.streak.get() + 1 } else { 0 });
            state
        })
        .await
    }

    /// Receives what has come, at most `most` datagrams or as many as fit into the batch. 0: nothing is there. A connected
    /// socket fails with `ConnectionRefused` where nobody receives what it has sent (ICMP port unreachable).
    pub fn receive(&self, batch: &mut Batch, most: usize) -> io::Result<usize> {
        let asked = most.clamp(1, Batch::SIZE);
        let local = match self.kind {
            Kind::Bound(local) => local,
            Kind::Wildcard | Kind::Connected => Local { ip: Ipv4Addr::UNSPECIFIED.into(), interface: 0 },
        };
        match batch.receive(self.watch.fd(), asked, local) {
            Ok(count) => {
                // Fewer than there was room for: that was all. What comes later is told anew.
                if count < asked {
                    self.watch.drained();
                }
                Ok(count)
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                self.watch.drained();
                Ok(0)
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => Ok(0),
            Err(error) => Err(error),
        }
    }

    /// Sends a piece of datagrams of `segment` bytes each (0: it is one datagram) to whom this is connected with. Fails with
    /// `WouldBlock` if the kernel has no room, and with what became of the datagrams before.
    pub fn send(&self, piece: &[u8], segment: usize) -> io::Result<()> {
        each_segment(piece, segment, |piece, segment| {
            Message { to: None, from: None, segment }.send(self.watch.fd(), piece)
        })
    }

    /// Sends the same to `to`, from the address `from` of this host. Fails as [`Datagram::send`] does.
    pub fn send_to(&self, piece: &[u8], segment: usize, to: SocketAddr, from: Local) -> io::Result<()> {
        let from = matches!(self.kind, Kind::Wildcard).then_some(from);
        each_segment(piece, segment, |piece, segment| {
            Message { to: Some(to), from, segment }.send(self.watch.fd(), piece)
        })
    }

    /// What comes is no business of ours any more, and does not wake the worker. Sending goes on.
    pub fn ignore(&self) {
        self.watch.ignore();
    }

    /// Has whoever waits in [`Datagram::ready`] look again. The socket receives and sends no more.
    pub fn wake(&self) {
        self.watch.handle().cut();
    }

    /// Datagrams that the kernel has thrown away since the socket was made, as nobody had received those before them.
    pub fn overflown(&self) -> u32 {
        message::overflown(self.watch.fd()).unwrap_or(0)
    }
}

/// Sends a piece whole, or segment by segment where the kernel or the way does not take it whole.
fn each_segment(piece: &[u8], segment: usize, send: impl Fn(&[u8], usize) -> io::Result<()>) -> io::Result<()> {
    if segment == 0 || piece.len() <= segment {
        return send(piece, 0);
    }
    match send(piece, segment) {
        Err(error) if !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::ConnectionRefused) => {
            piece.chunks(segment).try_for_each(|segment| send(segment, 0))
        }
        result => result,
    }
}

fn open(ipv4: bool) -> io::Result<Socket> {
    let domain = if ipv4 { Domain::IPV4 } else { Domain::IPV6 };
    Socket::new(domain, Type::DGRAM.nonblocking(), Some(Protocol::UDP))
}

/// Gives bursts room. It may be less than we ask for: `net.core.rmem_max` bounds it for whoever is not privileged.
fn enlarge(socket: &Socket) {
    if option(socket.as_raw_fd(), libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, BUFFER as libc::c_int).is_err() {
        let _ = socket.set_recv_buffer_size(BUFFER);
    }
    if option(socket.as_raw_fd(), libc::SOL_SOCKET, libc::SO_SNDBUFFORCE, BUFFER as libc::c_int).is_err() {
        let _ = socket.set_send_buffer_size(BUFFER);
    }
}

/// Lets datagrams of one flow that arrive together come as one piece. Where the kernel does not know it they come one by one.
fn take_whole_pieces(fd: std::os::fd::RawFd) {
    let _ = option(fd, libc::SOL_UDP, libc::UDP_GRO, 1);
}

#[cfg(test)]
mod tests;
