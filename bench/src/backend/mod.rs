//! The target behind the proxies: one thread, one epoll, answers that cost next to nothing, so that it is not what is measured.

pub mod answer;
pub mod connection;
pub mod h2c;
pub mod journal;
pub mod request;

use crate::wait::wait;
use anyhow::{Context, Result};
use connection::{Connection, Shared, Speech};
use mio::net::{TcpListener, UdpSocket};
use mio::{Events, Interest, Poll, Token};
use socket2::{Domain, Socket, Type};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

/// Arguments of `bench backend`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Where to speak HTTP, and to give back every datagram.
    #[arg(long)]
    pub http: SocketAddr,
    /// Where to speak HTTP/2 in clear, and answer all with 128 bytes.
    #[arg(long)]
    pub h2c: Option<SocketAddr>,
    /// Where to give back every byte.
    #[arg(long)]
    pub echo: Option<SocketAddr>,
    /// Speak HTTP on that port of every loopback address, and of no other.
    #[arg(long)]
    pub every_loopback: bool,
    /// What strict answers call this target.
    #[arg(long, default_value = "backend")]
    pub name: String,
    /// File to which the ids of non-idempotent strict requests are appended.
    #[arg(long)]
    pub journal: Option<PathBuf>,
}

const HTTP: Token = Token(usize::MAX);
const ECHO: Token = Token(usize::MAX - 1);
const H2C: Token = Token(usize::MAX - 2);
const DATAGRAMS: Token = Token(usize::MAX - 3);
/// Datagrams that are given back before others have their turn.
const BATCH: usize = 64;

/// Serves until the process is told to end.
pub fn run(args: Args) -> Result<()> {
    let mut poll = Poll::new()?;
    let mut listeners = Vec::new();
    for (address, token) in [(Some(args.http), HTTP), (args.h2c, H2C), (args.echo, ECHO)] {
        let Some(address) = address else { continue };
        let listener = if args.every_loopback && token == HTTP { on_loopback(address.port()) } else { bind(address) };
        let mut listener = listener.with_context(|| format!("bind {address}"))?;
        poll.registry().register(&mut listener, token, Interest::READABLE)?;
        listeners.push((token, listener));
    }
    let mut datagrams = UdpSocket::bind(args.http).with_context(|| format!("bind {} of UDP", args.http))?;
    poll.registry().register(&mut datagrams, DATAGRAMS, Interest::READABLE)?;
    let mut more = false;
    let mut shared = Shared {
        answers: answer::Answers::new(args.name),
        journal: args.journal.as_deref().map(journal::Journal::open).transpose()?,
        buffer: vec![0; 64 << 10],
        reset: false,
    };
    let mut connections: Vec<Option<Connection>> = Vec::new();
    let mut free: Vec<usize> = Vec::new();
    let mut events = Events::with_capacity(1024);
    loop {
        wait(&mut poll, &mut events, more.then_some(std::time::Duration::ZERO))?;
        if std::mem::take(&mut more) || events.iter().any(|event| event.token() == DATAGRAMS) {
            more = give_back(&datagrams, &mut shared);
        }
        for event in events.iter().filter(|event| event.token() != DATAGRAMS) {
            if let Some((token, listener)) = listeners.iter().find(|(token, _)| *token == event.token()) {
                while let Ok((mut socket, _)) = listener.accept() {
                    let slot = free.pop().unwrap_or_else(|| {
                        connections.push(None);
                        connections.len() - 1
                    });
                    let both = Interest::READABLE | Interest::WRITABLE;
                    socket.set_nodelay(true)?;
                    poll.registry().register(&mut socket, Token(slot), both)?;
                    let speech = match *token {
                        ECHO => Speech::Echo,
                        H2C => Speech::Http2(h2c::Http2::new()),
                        _ => Speech::Http,
                    };
                    connections[slot] = Some(Connection::new(socket, speech));
                }
                continue;
            }
            let slot = event.token().0;
            let over = connections[slot]
                .as_mut()
                .is_some_and(|connection| !connection.advance(event.is_read_closed(), &mut shared));
            if over {
                connections[slot] = None;
                free.push(slot);
            }
        }
        if std::mem::take(&mut shared.reset) {
            for (slot, connection) in connections.iter_mut().enumerate() {
                if let Some(connection) = connection.take() {
                    connection.reset();
                    free.push(slot);
                }
            }
        }
    }
}

/// Gives datagrams back. Returns whether there may be more.
fn give_back(socket: &UdpSocket, shared: &mut Shared) -> bool {
    for _ in 0..BATCH {
        let Ok((length, from)) = socket.recv_from(&mut shared.buffer) else { return false };
        // What the kernel has no room for is lost, as UDP has it.
        if socket.send_to(&shared.buffer[..length], from).is_ok() {
            shared.answers.given += 1;
        }
    }
    true
}

fn bind(address: SocketAddr) -> Result<TcpListener> {
    Ok(TcpListener::bind(address)?)
}

/// A listener for all of 127.0.0.0/8: on every address, but on the loopback device alone.
fn on_loopback(port: u16) -> Result<TcpListener> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.bind_device(Some(b"lo"))?;
    socket.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)).into())?;
    socket.listen(4096)?;
    socket.set_nonblocking(true)?;
    Ok(TcpListener::from_std(socket.into()))
}
