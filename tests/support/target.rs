//! Targets: servers that behave well or badly in a named way and remember what they saw.
//!
//! Each has a loopback address of its own, so that the port of a killed one is not given to somebody else.

use super::eventually;
use super::wire::{Head, Wire};
use socket2::{Domain, Socket, Type};
use std::net::{Ipv4Addr, Shutdown, SocketAddr};
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// What a target does with one connection; returning closes it.
pub type Act = dyn Fn(&mut Peer) + Send + Sync;

/// A running server; dropping it kills it.
pub struct Target {
    pub address: SocketAddr,
    inner: Arc<Inner>,
}

struct Inner {
    name: String,
    act: Box<Act>,
    seen: Mutex<Vec<Seen>>,
    connections: AtomicUsize,
    /// The listening socket, while it lives.
    listener: Mutex<Option<Socket>>,
    live: Mutex<Vec<(usize, Socket)>>,
}

/// One request as a target saw it.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Which connection it came on, counted from 0.
    pub connection: usize,
    pub method: String,
    pub path: String,
    pub head: Head,
    pub body: Vec<u8>,
    pub trailers: Vec<(String, String)>,
    /// The body came to its end.
    pub whole: bool,
    place: usize,
}

impl Seen {
    pub fn field(&self, name: &str) -> Option<String> {
        self.head.field(name)
    }
}

/// One accepted connection.
pub struct Peer {
    pub number: usize,
    wire: Wire,
    inner: Arc<Inner>,
}

/// How a target leaves an upload that it has refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leave {
    Close,
    Reset,
    /// Reads and drops the rest, then goes on.
    Drain,
}

impl Target {
    /// A target that does `act` with each connection.
    pub fn with(name: &str, act: impl Fn(&mut Peer) + Send + Sync + 'static) -> Target {
        Target::on(0, name, act)
    }

    /// An echo on the same port as this one, at an address of its own.
    pub fn beside(&self, name: &str) -> Target {
        Target::on(self.address.port(), name, |peer| {
            while let Some(seen) = peer.request() {
                if peer.echo(&seen).is_none() {
                    return;
                }
            }
        })
    }

    fn on(port: u16, name: &str, act: impl Fn(&mut Peer) + Send + Sync + 'static) -> Target {
        let inner = Arc::new(Inner {
            name: name.to_owned(),
            act: Box::new(act),
            seen: Mutex::default(),
            connections: AtomicUsize::new(0),
            listener: Mutex::default(),
            live: Mutex::default(),
        });
        let mut target = Target { address: SocketAddr::new(own_address().into(), port), inner };
        target.revive();
        target
    }

    /// Answers 200 with the request's body, or its own name where there is none.
    pub fn echo(name: &str) -> Target {
        Target::slow(name, Duration::ZERO)
    }

    /// An echo that thinks for `delay` first.
    pub fn slow(name: &str, delay: Duration) -> Target {
        Target::with(name, move |peer| {
            while let Some(seen) = peer.request() {
                if !delay.is_zero() {
                    thread::sleep(delay);
                }
                if peer.echo(&seen).is_none() {
                    return;
                }
            }
        })
    }

    /// Answers each request with exactly `bytes` and keeps the connection.
    pub fn says(name: &str, bytes: impl AsRef<[u8]> + Send + Sync + 'static) -> Target {
        Target::with(name, move |peer| while peer.request().is_some() && peer.try_send(bytes.as_ref()).is_ok() {})
    }

    /// Answers one request with exactly `bytes` and closes.
    pub fn says_and_closes(name: &str, bytes: impl AsRef<[u8]> + Send + Sync + 'static) -> Target {
        Target::with(name, move |peer| {
            if peer.request().is_some() {
                let _ = peer.try_send(bytes.as_ref());
            }
        })
    }

    /// Reads requests and never answers.
    pub fn mute(name: &str) -> Target {
        Target::with(name, |peer| {
            while peer.request().is_some() {
                peer.ending();
            }
        })
    }

    /// Sends a head, a part of the promised body, and then nothing.
    pub fn stalls_after_head(name: &str) -> Target {
        Target::with(name, |peer| {
            if peer.request().is_some() {
                let _ = peer.try_send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart");
                peer.ending();
            }
        })
    }

    /// Promises `length` bytes of body and closes after `sent`.
    pub fn closes_after(name: &str, sent: usize, length: usize) -> Target {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
        Target::says_and_closes(name, [head.into_bytes(), vec![b'x'; sent]].concat())
    }

    /// Closes after each response without having said so.
    pub fn closes_silently(name: &str) -> Target {
        Target::with(name, |peer| {
            if let Some(seen) = peer.request() {
                peer.echo(&seen);
            }
        })
    }

    /// Answers one request on a connection; reads the second one and ends the connection: the keep-alive race, made certain.
    pub fn drops_the_second(name: &str, leave: Leave) -> Target {
        Target::with(name, move |peer| {
            if let Some(seen) = peer.request() {
                peer.echo(&seen);
                peer.request();
                peer.leave(leave);
            }
        })
    }

    /// Answers `status` on sight of the head of any request that has a body, then leaves; others are echoed.
    pub fn refuses_early(name: &str, status: u16, leave: Leave) -> Target {
        Target::with(name, move |peer| {
            while let Some(mut seen) = peer.head() {
                if seen.head.length().is_none() && !seen.head.chunked() {
                    peer.echo(&seen);
                    continue;
                }
                peer.reply(status, if leave == Leave::Drain { &[] } else { &["Connection: close"] }, b"no");
                match leave {
                    Leave::Drain if peer.rest(&mut seen) => {}
                    _ => return peer.leave(leave),
                }
            }
        })
    }

    /// An event stream of `count` ticks, one each `pause`.
    pub fn ticks(name: &str, count: usize, pause: Duration) -> Target {
        Target::with(name, move |peer| {
            while peer.request().is_some() {
                let _ = peer.try_send(
                    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n",
                );
                for n in 0..count {
                    let event = format!("data: {n}\n\n");
                    if peer.try_send(format!("{:x}\r\n{event}\r\n", event.len())).is_err() {
                        return;
                    }
                    thread::sleep(pause);
                }
                let _ = peer.try_send("0\r\n\r\n");
            }
        })
    }

    /// Sends back whatever comes, and half-closes when the other side does.
    pub fn mirror(name: &str) -> Target {
        Target::with(name, |peer| {
            while peer.fill(Duration::from_secs(600)).is_ok_and(|n| n > 0) {
                let bytes = std::mem::take(&mut peer.buffer);
                if peer.try_send(bytes).is_err() {
                    return;
                }
            }
        })
    }

    /// Sends its name and reads to the end: which target a TCP connection came to.
    pub fn greets(name: &str) -> Target {
        Target::with(name, |peer| {
            let name = peer.inner.name.clone();
            let _ = peer.try_send(name);
            peer.ending();
        })
    }

    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// Every request so far, in order of arrival.
    pub fn seen(&self) -> Vec<Seen> {
        self.inner.seen.lock().unwrap().clone()
    }

    /// How many requests came.
    pub fn requests(&self) -> usize {
        self.inner.seen.lock().unwrap().len()
    }

    /// The requests for one path.
    pub fn requests_for(&self, path: &str) -> Vec<Seen> {
        self.inner.seen.lock().unwrap().iter().filter(|s| s.path == path).cloned().collect()
    }

    /// The one request that came last.
    #[track_caller]
    pub fn last(&self) -> Seen {
        self.seen().pop().expect("a request came")
    }

    /// Waits for the `n`th request, counted from 1.
    #[track_caller]
    pub fn wait_for(&self, n: usize) -> Seen {
        eventually(&format!("{} sees request {n}", self.name()), || self.requests() >= n);
        self.seen().swap_remove(n - 1)
    }

    /// How many connections were accepted.
    pub fn connections(&self) -> usize {
        self.inner.connections.load(Ordering::SeqCst)
    }

    /// How many connections are open.
    pub fn open(&self) -> usize {
        self.inner.live.lock().unwrap().len()
    }

    /// Stops listening and resets every connection, as a killed process does.
    pub fn kill(&self) {
        if let Some(listener) = self.inner.listener.lock().unwrap().take() {
            let _ = listener.shutdown(Shutdown::Both);
        }
        for (_, socket) in self.inner.live.lock().unwrap().iter() {
            let _ = socket.set_linger(Some(Duration::ZERO));
            let _ = socket.shutdown(Shutdown::Both);
        }
    }

    /// Ends every open connection with FIN but goes on listening.
    pub fn hang_up(&self) {
        for (_, socket) in self.inner.live.lock().unwrap().iter() {
            let _ = socket.shutdown(Shutdown::Both);
        }
    }

    /// Listens (again) on its address.
    pub fn revive(&mut self) {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.set_reuse_address(true).unwrap();
        eventually("the target's address is free", || socket.bind(&self.address.into()).is_ok());
        socket.listen(1024).unwrap();
        self.address = socket.local_addr().unwrap().as_socket().unwrap();
        let listener = socket.try_clone().unwrap();
        *self.inner.listener.lock().unwrap() = Some(socket);
        let inner = self.inner.clone();
        thread::spawn(move || {
            while let Ok((socket, _)) = listener.accept() {
                inner.clone().take(socket);
            }
        });
    }
}

/// The address, as a configuration names it.
impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.address.fmt(f)
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Inner {
    fn take(self: Arc<Inner>, socket: Socket) {
        let number = self.connections.fetch_add(1, Ordering::SeqCst);
        self.live.lock().unwrap().push((number, socket.try_clone().unwrap()));
        thread::spawn(move || {
            let mut peer = Peer { number, wire: Wire::new(socket), inner: self.clone() };
            (self.act)(&mut peer);
            self.live.lock().unwrap().retain(|(n, _)| *n != number);
        });
    }
}

impl Peer {
    /// The next request with its body; `None` when the connection ends instead.
    pub fn request(&mut self) -> Option<Seen> {
        let mut seen = self.head()?;
        if seen.head.names("expect", "100-continue") {
            self.try_send("HTTP/1.1 100 Continue\r\n\r\n").ok()?;
        }
        self.rest(&mut seen).then_some(seen)
    }

    /// The next request's head.
    pub fn head(&mut self) -> Option<Seen> {
        let head = self.wire.head(Duration::from_secs(600)).ok()?;
        let mut words = head.start.split(' ').map(str::to_owned);
        let (method, path) = (words.next()?, words.next()?);
        let mut all = self.inner.seen.lock().unwrap();
        let (body, trailers, place) = (Vec::new(), Vec::new(), all.len());
        let seen = Seen { connection: self.number, method, path, head, body, trailers, whole: false, place };
        all.push(seen.clone());
        Some(seen)
    }

    /// The body of a request whose head was read; whether it came to its end.
    pub fn rest(&mut self, seen: &mut Seen) -> bool {
        let read = if seen.head.chunked() {
            self.wire.chunked().map(|whole| (seen.body, seen.trailers) = (whole.body, whole.trailers))
        } else {
            self.wire.exact(seen.head.length().unwrap_or(0)).map(|body| seen.body = body)
        };
        seen.whole = read.is_ok();
        self.inner.seen.lock().unwrap()[seen.place] = seen.clone();
        seen.whole
    }

    /// Sends a response with Content-Length; `None` when the connection has gone.
    pub fn reply(&mut self, status: u16, fields: &[&str], body: &[u8]) -> Option<()> {
        let mut head = format!("HTTP/1.1 {status} Status\r\nX-Target: {}\r\n", self.inner.name);
        for field in fields {
            head.push_str(field);
            head.push_str("\r\n");
        }
        head.push_str(&format!("X-Connection: {}\r\nContent-Length: {}\r\n\r\n", self.number, body.len()));
        self.try_send([head.as_bytes(), body].concat()).ok()
    }

    /// Answers 200 with the request's body, or this target's name.
    pub fn echo(&mut self, seen: &Seen) -> Option<()> {
        let name = self.inner.name.clone();
        match (seen.method.as_str(), seen.body.is_empty()) {
            ("HEAD", _) => {
                let head = format!("HTTP/1.1 200 OK\r\nX-Target: {name}\r\nContent-Length: {}\r\n\r\n", name.len());
                self.try_send(head).ok()
            }
            (_, true) => self.reply(200, &[], name.as_bytes()),
            (_, false) => self.reply(200, &[], &seen.body),
        }
    }

    /// Ends the connection in the given way.
    pub fn leave(&mut self, leave: Leave) {
        match leave {
            Leave::Close => self.finish_sending(),
            // The copy in `live` keeps the socket open; linger makes its last close a reset.
            Leave::Reset => self.wire.socket.set_linger(Some(Duration::ZERO)).unwrap(),
            Leave::Drain => {
                self.ending();
            }
        }
    }
}

impl Deref for Peer {
    type Target = Wire;
    fn deref(&self) -> &Wire {
        &self.wire
    }
}

impl DerefMut for Peer {
    fn deref_mut(&mut self) -> &mut Wire {
        &mut self.wire
    }
}

/// An address on which nobody listens.
pub fn refused() -> SocketAddr {
    SocketAddr::new(own_address().into(), 9)
}

/// A listener whose queue is full: connecting to it hangs, as to a host that drops packets.
pub struct Deaf {
    pub address: SocketAddr,
    _sockets: Vec<Socket>,
}

impl Deaf {
    pub fn start() -> Deaf {
        let stream = || Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        let listener = stream();
        listener.bind(&SocketAddr::new(own_address().into(), 0).into()).unwrap();
        listener.listen(0).unwrap();
        let address = listener.local_addr().unwrap();
        let mut sockets = vec![listener];
        loop {
            let filler = stream();
            let full = filler.connect_timeout(&address, Duration::from_millis(200)).is_err();
            sockets.push(filler);
            assert!(sockets.len() < 20, "a queue of length 0 fills up");
            if full {
                return Deaf { address: address.as_socket().unwrap(), _sockets: sockets };
            }
        }
    }
}

/// A loopback address that no other test of this machine uses.
pub fn own_address() -> Ipv4Addr {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let n = NEXT.fetch_add(1, Ordering::SeqCst);
    let [_, _, high, low] = std::process::id().to_be_bytes();
    Ipv4Addr::new(127, 1 + high % 250, low, 1 + (n % 254) as u8)
}
