//! One end of a connection that reads and writes HTTP/1 by the letter. It is strict: what RFC 9112 forbids to send is
//! a failure of the test that receives it.

use rustls::{ClientConnection, CommonState, ServerConnection};
use socket2::{Domain, SockAddr, Socket, Type};
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::ops::{Deref, DerefMut};
use std::time::{Duration, Instant};

/// A socket with a read buffer, and the TLS session over it if there is one.
pub struct Wire {
    pub socket: Socket,
    pub tls: Option<Tls>,
    pub buffer: Vec<u8>,
}

/// A TLS session, whichever side is ours.
pub enum Tls {
    Client(Box<ClientConnection>),
    Server(Box<ServerConnection>),
}

impl Tls {
    fn write_all(&mut self, socket: &mut Socket, bytes: &[u8]) -> io::Result<()> {
        match self {
            Tls::Client(tls) => {
                let mut stream = rustls::Stream::new(&mut **tls, socket);
                stream.write_all(bytes).and_then(|()| stream.flush())
            }
            Tls::Server(tls) => {
                let mut stream = rustls::Stream::new(&mut **tls, socket);
                stream.write_all(bytes).and_then(|()| stream.flush())
            }
        }
    }

    fn read(&mut self, socket: &mut Socket, bytes: &mut [u8]) -> io::Result<usize> {
        match self {
            Tls::Client(tls) => rustls::Stream::new(&mut **tls, socket).read(bytes),
            Tls::Server(tls) => rustls::Stream::new(&mut **tls, socket).read(bytes),
        }
    }
}

impl Deref for Tls {
    type Target = CommonState;
    fn deref(&self) -> &CommonState {
        match self {
            Tls::Client(tls) => tls,
            Tls::Server(tls) => tls,
        }
    }
}

impl DerefMut for Tls {
    fn deref_mut(&mut self) -> &mut CommonState {
        match self {
            Tls::Client(tls) => tls,
            Tls::Server(tls) => tls,
        }
    }
}

/// How a connection ended instead of what was waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Broken {
    /// The peer ended it before the first byte.
    Closed,
    /// The peer ended it in the middle.
    Truncated,
    Reset,
    TimedOut,
    /// What came is not HTTP/1.1.
    Malformed(String),
}

/// A start line and fields, names in lower case.
#[derive(Clone, Debug, Default)]
pub struct Head {
    pub start: String,
    pub fields: Vec<(String, String)>,
    pub raw: Vec<u8>,
}

/// A decoded chunked body.
#[derive(Clone, Debug, Default)]
pub struct Chunked {
    pub body: Vec<u8>,
    pub trailers: Vec<(String, String)>,
}

impl Head {
    /// The values of all lines of a field joined by ", "; `None` if there is no line.
    pub fn field(&self, name: &str) -> Option<String> {
        let lines: Vec<&str> = self.lines(name);
        (!lines.is_empty()).then(|| lines.join(", "))
    }

    /// The values of each line of a field.
    pub fn lines(&self, name: &str) -> Vec<&str> {
        self.fields.iter().filter(|(n, _)| n == name).map(|(_, v)| v.as_str()).collect()
    }

    /// Whether a comma-separated field names `token`.
    pub fn names(&self, field: &str, token: &str) -> bool {
        self.field(field).is_some_and(|v| v.split(',').any(|t| t.trim().eq_ignore_ascii_case(token)))
    }

    /// Content-Length, where it is one number.
    pub fn length(&self) -> Option<usize> {
        self.field("content-length").and_then(|v| v.parse().ok())
    }

    pub fn chunked(&self) -> bool {
        self.names("transfer-encoding", "chunked")
    }

    fn parse(raw: &[u8]) -> Result<Head, Broken> {
        let text = String::from_utf8_lossy(raw);
        let malformed = |line: &str| Broken::Malformed(format!("{line:?} in head {text:?}"));
        let mut lines = text.strip_suffix("\r\n\r\n").ok_or_else(|| malformed("no end"))?.split("\r\n");
        let start = lines.next().unwrap_or_default().to_owned();
        let mut fields = Vec::new();
        for line in lines {
            let (name, value) = line.split_once(':').ok_or_else(|| malformed(line))?;
            let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
            if name.is_empty() || !name.chars().all(token) || value.contains(['\r', '\n', '\0']) {
                return Err(malformed(line));
            }
            fields.push((name.to_ascii_lowercase(), value.trim_matches([' ', '\t']).to_owned()));
        }
        let head = Head { start, fields, raw: raw.to_vec() };
        if head.lines("content-length").len() > 1 || head.length().is_some() && head.chunked() {
            return Err(malformed("two framings"));
        }
        Ok(head)
    }
}

impl Wire {
    pub fn new(socket: Socket) -> Wire {
        socket.set_nonblocking(false).unwrap();
        socket.set_write_timeout(Some(super::PATIENCE)).unwrap();
        let _ = socket.set_tcp_nodelay(true);
        Wire { socket, tls: None, buffer: Vec::new() }
    }

    /// Connects to "1.2.3.4:5", "[::1]:5" or "unix:/path".
    pub fn connect(address: &str, from: Option<SocketAddr>) -> io::Result<Wire> {
        let (domain, to) = match address.strip_prefix("unix:") {
            Some(path) => (Domain::UNIX, SockAddr::unix(path)?),
            None => {
                let to: SocketAddr = address.parse().map_err(io::Error::other)?;
                (Domain::for_address(to), to.into())
            }
        };
        let socket = Socket::new(domain, Type::STREAM, None)?;
        if let Some(from) = from {
            socket.bind(&from.into())?;
        }
        match domain {
            Domain::UNIX => socket.connect(&to)?,
            _ => socket.connect_timeout(&to, super::PATIENCE)?,
        }
        Ok(Wire::new(socket))
    }

    /// Sends all of it; a peer that has gone is the test's failure.
    #[track_caller]
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_send(bytes).expect("the peer takes what is sent");
    }

    pub fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        match &mut self.tls {
            Some(tls) => tls.write_all(&mut self.socket, bytes.as_ref()),
            None => self.socket.write_all(bytes.as_ref()),
        }
    }

    /// Sends `each` bytes at a time with a pause between.
    pub fn dribble(&mut self, bytes: impl AsRef<[u8]>, each: usize, pause: Duration) -> io::Result<()> {
        for part in bytes.as_ref().chunks(each) {
            self.try_send(part)?;
            std::thread::sleep(pause);
        }
        Ok(())
    }

    /// Half-close: nothing more will be sent, reading goes on.
    pub fn finish_sending(&self) {
        let _ = self.socket.shutdown(std::net::Shutdown::Write);
    }

    /// Ends the connection by RST.
    pub fn reset(self) {
        self.socket.set_linger(Some(Duration::ZERO)).unwrap();
    }

    fn receive(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        match &mut self.tls {
            Some(tls) => tls.read(&mut self.socket, bytes),
            None => self.socket.read(bytes),
        }
    }

    /// Reads what has come, at least one byte, into the buffer; `Ok(0)` is the end.
    pub fn fill(&mut self, patience: Duration) -> Result<usize, Broken> {
        self.socket.set_read_timeout(Some(patience.max(Duration::from_millis(1)))).unwrap();
        let mut bytes = [0; 65536];
        loop {
            match self.receive(&mut bytes) {
                Ok(n) => {
                    self.buffer.extend_from_slice(&bytes[..n]);
                    return Ok(n);
                }
                Err(e) => match e.kind() {
                    io::ErrorKind::Interrupted => continue,
                    // Over TLS: an end that the peer did not tell of.
                    io::ErrorKind::UnexpectedEof => return Err(Broken::Truncated),
                    io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => return Err(Broken::TimedOut),
                    _ => return Err(Broken::Reset),
                },
            }
        }
    }

    fn more(&mut self, end: Instant, begun: bool) -> Result<(), Broken> {
        match self.fill(end.saturating_duration_since(Instant::now()))? {
            0 if begun || !self.buffer.is_empty() => Err(Broken::Truncated),
            0 => Err(Broken::Closed),
            _ => Ok(()),
        }
    }

    fn take(&mut self, n: usize) -> Vec<u8> {
        let rest = self.buffer.split_off(n);
        std::mem::replace(&mut self.buffer, rest)
    }

    /// The next head, waiting up to `patience`.
    pub fn head(&mut self, patience: Duration) -> Result<Head, Broken> {
        let end = Instant::now() + patience;
        loop {
            if let Some(at) = self.buffer.windows(4).position(|w| w == b"\r\n\r\n") {
                return Head::parse(&self.take(at + 4));
            }
            if self.buffer.len() > 1 << 20 {
                return Err(Broken::Malformed("a head above 1 MiB".into()));
            }
            self.more(end, false)?;
        }
    }

    /// The next `n` bytes.
    pub fn exact(&mut self, n: usize) -> Result<Vec<u8>, Broken> {
        let end = Instant::now() + super::PATIENCE;
        while self.buffer.len() < n {
            self.more(end, true)?;
        }
        Ok(self.take(n))
    }

    /// All up to the peer's end.
    pub fn until_end(&mut self) -> Result<Vec<u8>, Broken> {
        let end = Instant::now() + super::PATIENCE;
        while self.fill(end.saturating_duration_since(Instant::now()))? > 0 {}
        Ok(std::mem::take(&mut self.buffer))
    }

    fn line(&mut self, end: Instant) -> Result<String, Broken> {
        loop {
            if let Some(at) = self.buffer.iter().position(|b| *b == b'\n') {
                let line = String::from_utf8_lossy(&self.take(at + 1)).into_owned();
                return line
                    .strip_suffix("\r\n")
                    .map(str::to_owned)
                    .ok_or_else(|| Broken::Malformed(format!("bare LF after {line:?}")));
            }
            self.more(end, true)?;
        }
    }

    /// The size of the next chunk.
    fn chunk_size(&mut self, end: Instant) -> Result<usize, Broken> {
        let line = self.line(end)?;
        usize::from_str_radix(line.split(';').next().unwrap_or_default().trim(), 16)
            .map_err(|_| Broken::Malformed(format!("chunk size {line:?}")))
    }

    /// The next chunk; `None` is the last one, whose trailers are still to be read.
    pub fn chunk(&mut self) -> Result<Option<Vec<u8>>, Broken> {
        let end = Instant::now() + super::PATIENCE;
        match self.chunk_size(end)? {
            0 => Ok(None),
            size => {
                let data = self.exact(size)?;
                match self.exact(2)?.as_slice() {
                    b"\r\n" => Ok(Some(data)),
                    other => Err(Broken::Malformed(format!("{other:?} after a chunk"))),
                }
            }
        }
    }

    /// A whole chunked body with its trailers.
    pub fn chunked(&mut self) -> Result<Chunked, Broken> {
        let mut all = Chunked::default();
        while let Some(data) = self.chunk()? {
            all.body.extend(data);
        }
        let end = Instant::now() + super::PATIENCE;
        loop {
            let line = self.line(end)?;
            match line.split_once(':') {
                _ if line.is_empty() => return Ok(all),
                Some((name, value)) => all.trailers.push((name.to_ascii_lowercase(), value.trim().to_owned())),
                None => return Err(Broken::Malformed(format!("trailer {line:?}"))),
            }
        }
    }

    /// How the connection ended; bytes that come before the end are kept in the buffer.
    pub fn ending(&mut self) -> Broken {
        let end = Instant::now() + super::PATIENCE;
        loop {
            match self.fill(end.saturating_duration_since(Instant::now())) {
                Ok(0) => return Broken::Closed,
                Ok(_) => {}
                Err(broken) => return broken,
            }
        }
    }

    /// Whether nothing comes, neither a byte nor an end, for `time`.
    pub fn quiet(&mut self, time: Duration) -> bool {
        self.buffer.is_empty() && self.fill(time) == Err(Broken::TimedOut)
    }
}

/// For libraries that want a stream.
impl Read for Wire {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        if self.buffer.is_empty() {
            return self.receive(bytes);
        }
        let count = bytes.len().min(self.buffer.len());
        bytes[..count].copy_from_slice(&self.take(count));
        Ok(count)
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.try_send(bytes).map(|()| bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
