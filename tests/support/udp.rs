//! Peers that speak UDP: targets that answer by a function of theirs, and clients that count what they get.

use super::PATIENCE;
use super::target::own_address;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// A datagram, and who sent it.
pub type Seen = (SocketAddr, Vec<u8>);

/// A target of datagrams. It ends when it is dropped.
pub struct UdpTarget {
    pub address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    ended: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
}

/// An address that no other test uses, with any port.
fn own() -> String {
    format!("{}:0", own_address())
}

impl std::fmt::Display for UdpTarget {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.address.fmt(f)
    }
}

impl UdpTarget {
    /// Answers each datagram with its name, a space and what it got, at an address of its own: when it has ended, nobody else's is there.
    pub fn echo(name: &'static str) -> Self {
        Self::at(&own(), move |socket, from, bytes| {
            let _ = socket.send_to(&[name.as_bytes(), b" ", bytes].concat(), from);
        })
    }

    /// Sends each datagram back as it is.
    pub fn mirror(ip: &str) -> Self {
        Self::at(&format!("{ip}:0"), |socket, from, bytes| {
            let _ = socket.send_to(bytes, from);
        })
    }

    /// Answers nothing, at an address of its own.
    pub fn silent() -> Self {
        Self::at(&own(), |_, _, _| {})
    }

    /// Does `answer` with each datagram.
    pub fn with(answer: impl FnMut(&UdpSocket, SocketAddr, &[u8]) + Send + 'static) -> Self {
        Self::at("127.0.0.1:0", answer)
    }

    /// The same at a certain address.
    pub fn at(address: &str, mut answer: impl FnMut(&UdpSocket, SocketAddr, &[u8]) + Send + 'static) -> Self {
        let socket = UdpSocket::bind(address).unwrap();
        let address = socket.local_addr().unwrap();
        let (seen, ended) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let (noted, over) = (seen.clone(), ended.clone());
        socket.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        let thread = thread::spawn(move || {
            let mut room = vec![0; 1 << 16];
            while !over.load(Ordering::Relaxed) {
                if let Ok((length, from)) = socket.recv_from(&mut room) {
                    noted.lock().unwrap().push((from, room[..length].to_vec()));
                    answer(&socket, from, &room[..length]);
                }
            }
        });
        Self { address, seen, ended, thread: Some(thread) }
    }

    /// What it got, and from whom.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// How many datagrams it got.
    pub fn count(&self) -> usize {
        self.seen.lock().unwrap().len()
    }

    /// The ports that it was sent to from.
    pub fn ports(&self) -> Vec<u16> {
        self.seen.lock().unwrap().iter().map(|(from, _)| from.port()).collect()
    }

    /// Nobody receives there any more.
    pub fn end(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

impl Drop for UdpTarget {
    fn drop(&mut self) {
        self.end();
    }
}

/// A client of a port of its own.
pub struct UdpClient {
    pub socket: UdpSocket,
}

impl UdpClient {
    /// One that is connected with `to`: it gets answers that come from there and no others.
    pub fn to(to: &str) -> Self {
        let to: SocketAddr = to.parse().unwrap();
        let any = if to.is_ipv4() { "127.0.0.1:0" } else { "[::1]:0" };
        let socket = UdpSocket::bind(any).unwrap();
        socket.connect(to).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { socket }
    }

    pub fn send(&self, bytes: impl AsRef<[u8]>) {
        // What became of a datagram before is no matter here.
        let _ = self.socket.send(bytes.as_ref()).or_else(|_| self.socket.send(bytes.as_ref()));
    }

    /// The next answer.
    #[track_caller]
    pub fn next(&self) -> Vec<u8> {
        self.within(PATIENCE).expect("an answer")
    }

    /// The next answer within `time`.
    pub fn within(&self, time: Duration) -> Option<Vec<u8>> {
        self.socket.set_read_timeout(Some(time)).unwrap();
        let mut room = vec![0; 1 << 16];
        let length = self.socket.recv(&mut room).ok()?;
        room.truncate(length);
        Some(room)
    }

    /// Sends and waits for the answer, as text.
    #[track_caller]
    pub fn ask(&self, text: &str) -> String {
        self.send(text);
        String::from_utf8(self.next()).unwrap()
    }

    /// The same, asking again as clients of UDP do where nothing comes for a while.
    #[track_caller]
    pub fn ask_patiently(&self, text: &str) -> String {
        for _ in 0..100 {
            self.send(text);
            if let Some(answer) = self.within(Duration::from_millis(300)) {
                return String::from_utf8(answer).unwrap();
            }
        }
        panic!("no answer to {text}");
    }
}

/// `address` with another IP address.
pub fn by(ip: &str, address: &str) -> String {
    let port = address.parse::<SocketAddr>().unwrap().port();
    SocketAddr::new(ip.parse::<IpAddr>().unwrap(), port).to_string()
}
