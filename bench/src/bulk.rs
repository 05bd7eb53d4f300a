//! A load whose core is not full before the proxy's: one thread that takes large bodies without copying (MSG_TRUNC), and makes two
//! system calls for a small one. It counts bytes; what is in them is the strict client's business. Over TLS nothing is decrypted either.

use crate::records::{Answers, Sealer};
use crate::wait::wait;
use crate::{plain, tls};
use anyhow::{Context, Result, ensure};
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use socket2::Socket;
use std::io::{ErrorKind, Read, Write};
use std::mem::MaybeUninit;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

/// Arguments of `bench bulk`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Proxy.
    #[arg(long)]
    pub address: SocketAddr,
    /// Over TLS.
    #[arg(long)]
    pub tls: bool,
    /// What to ask for; `{key}` in it is a number below `--keys`, at random.
    #[arg(long, default_value = "/1m")]
    pub path: String,
    /// How many numbers there are; 0: none.
    #[arg(long, default_value_t = 0)]
    pub keys: usize,
    /// A header line, as NAME: VALUE; `{key}` in it is the number of the path.
    #[arg(long)]
    pub field: Vec<String>,
    /// Connections, each with one request at a time.
    #[arg(long, default_value_t = 16)]
    pub connections: usize,
    /// Seconds.
    #[arg(long, default_value_t = 5.0)]
    pub duration: f64,
}

struct Download {
    socket: Socket,
    left: u64,
    session: Option<Session>,
}

/// A connection's TLS after its handshake.
struct Session {
    sealer: Sealer,
    answers: Answers,
}

/// Runs it and prints how many answers came whole; fails if a connection broke.
pub fn run(args: Args) -> Result<()> {
    let mut requests = Requests::new(&args);
    let mut poll = Poll::new()?;
    let mut downloads = Vec::new();
    for slot in 0..args.connections {
        let mut stream = TcpStream::connect(args.address)?;
        stream.set_nodelay(true)?;
        let session = if args.tls { Some(Session::begin(&mut stream, requests.next())?) } else { None };
        stream.set_nonblocking(true)?;
        poll.registry().register(&mut SourceFd(&stream.as_raw_fd()), Token(slot), Interest::READABLE)?;
        let mut download = Download { socket: stream.into(), left: 0, session };
        download.ask(requests.next())?;
        downloads.push(download);
    }
    let (mut events, mut waste) = (Events::with_capacity(args.connections), vec![MaybeUninit::uninit(); 1 << 20]);
    let end = Instant::now() + Duration::from_secs_f64(args.duration);
    let mut answers = 0u64;
    while Instant::now() < end {
        wait(&mut poll, &mut events, Some(Duration::from_millis(100)))?;
        for event in &events {
            let download = &mut downloads[event.token().0];
            while download.advance(&mut waste)? {
                if download.is_whole() {
                    answers += 1;
                    download.ask(requests.next())?;
                    // What comes next is told of again: nothing comes before the request.
                    break;
                }
            }
        }
    }
    println!("{answers} answers");
    Ok(())
}

/// What is asked for, ready to be sent.
struct Requests {
    all: Vec<String>,
    random: fastrand::Rng,
}

impl Requests {
    fn new(args: &Args) -> Self {
        let request = |key: usize| {
            let (path, fields) =
                (&args.path, args.field.iter().map(|field| format!("{field}\r\n")).collect::<String>());
            let request = format!("GET {path} HTTP/1.1\r\nhost: {}\r\n{fields}\r\n", args.address);
            request.replace("{key}", &key.to_string())
        };
        Self { all: (0..args.keys.max(1)).map(request).collect(), random: fastrand::Rng::with_seed(7) }
    }

    fn next(&mut self) -> &str {
        let at = if self.all.len() > 1 { self.random.usize(..self.all.len()) } else { 0 };
        &self.all[at]
    }
}

impl Session {
    /// Shakes hands, and lets the first answer say how long all of them are.
    fn begin(stream: &mut TcpStream, request: &str) -> Result<Self> {
        let mut tls = tls::client()?;
        let mut whole = rustls::Stream::new(&mut tls, stream);
        whole.write_all(request.as_bytes())?;
        let length = plain::take(&mut whole)?;
        let secrets = tls.dangerous_extract_secrets()?;
        Ok(Self { sealer: Sealer::new(secrets.tx)?, answers: Answers::of(length) })
    }
}

impl Download {
    fn ask(&mut self, request: &str) -> Result<()> {
        match &mut self.session {
            None => (&self.socket).write_all(request.as_bytes())?,
            Some(session) => {
                (&self.socket).write_all(session.sealer.seal(request.as_bytes())?)?;
            }
        }
        Ok(())
    }

    /// Whether nothing more belongs to the answer.
    fn is_whole(&self) -> bool {
        self.session.as_ref().map_or(self.left == 0, |session| session.answers.is_whole())
    }

    /// Takes what is there; `false` if nothing was.
    fn advance(&mut self, waste: &mut [MaybeUninit<u8>]) -> Result<bool> {
        if let Some(session) = &mut self.session {
            return session.answers.take(&self.socket, waste);
        }
        if self.left == 0 {
            return self.begin();
        }
        let room = (self.left as usize).min(waste.len());
        match self.socket.recv_with_flags(&mut waste[..room], libc::MSG_TRUNC) {
            Ok(count) => {
                ensure!(count > 0, "closed in mid-answer");
                self.left -= count as u64;
                Ok(true)
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error).context("in mid-answer"),
        }
    }

    fn begin(&mut self) -> Result<bool> {
        let mut buffer = [0; 4096];
        let count = match (&self.socket).read(&mut buffer) {
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error).context("before an answer"),
        };
        let mut headers = [httparse::EMPTY_HEADER; 64];
        let mut parsed = httparse::Response::new(&mut headers);
        let head = match parsed.parse(&buffer[..count])? {
            httparse::Status::Complete(head) => head,
            httparse::Status::Partial => anyhow::bail!("head in pieces"),
        };
        ensure!(parsed.code == Some(200), "status {}", parsed.code.unwrap_or(0));
        let length = parsed.headers.iter().find(|header| header.name.eq_ignore_ascii_case("content-length"));
        let length: u64 = std::str::from_utf8(length.context("no content-length")?.value)?.parse()?;
        self.left = length.checked_sub((count - head) as u64).context("bytes beyond the answer")?;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend;

    #[test]
    fn answers_of_any_size_are_taken_whole() {
        let address = plain::free_address().unwrap();
        let args = backend::Args {
            http: address,
            h2c: None,
            echo: None,
            every_loopback: false,
            name: "b".into(),
            journal: None,
        };
        std::thread::spawn(move || backend::run(args));
        plain::wait_for(address, false, "/health", Duration::from_secs(5)).unwrap();
        let args = |path: &str, keys| Args {
            address,
            tls: false,
            path: path.into(),
            keys,
            field: Vec::new(),
            connections: 4,
            duration: 0.2,
        };
        run(args("/cached?size={key}", 9000)).unwrap();
        run(args("/1m", 0)).unwrap();
        assert!(run(args("/nowhere", 0)).is_err());
    }

    #[test]
    fn every_key_is_asked_for() {
        let args = Args {
            address: ([127, 0, 0, 1], 80).into(),
            tls: false,
            path: "/{key}".into(),
            field: vec!["x-key: k{key}".into()],
            keys: 3,
            connections: 1,
            duration: 0.0,
        };
        let mut requests = Requests::new(&args);
        let asked: std::collections::BTreeSet<String> = (0..100).map(|_| requests.next().to_owned()).collect();
        let lines: Vec<&str> = asked.iter().filter_map(|request| request.lines().next()).collect();
        assert_eq!(lines, ["GET /0 HTTP/1.1", "GET /1 HTTP/1.1", "GET /2 HTTP/1.1"]);
        assert!(asked.iter().all(|request| request.ends_with("\r\n\r\n")));
        assert!(asked.contains("GET /2 HTTP/1.1\r\nhost: 127.0.0.1:80\r\nx-key: k2\r\n\r\n"), "{asked:?}");
    }
}
