//! A client's connection, with one request at a time on it.

use super::answer::Reader;
use super::request::Request;
use super::tally::{Fault, Trace};
use socket2::SockRef;
use std::io::{self, ErrorKind};
use std::mem::MaybeUninit;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A connection.
pub struct Link {
    stream: TcpStream,
    reader: Reader,
    /// When it was opened.
    pub opened: Instant,
    /// The target that its last answer named.
    target: Option<String>,
    /// The cookie that it was given last.
    cookie: Option<String>,
}

/// How a connection is between two requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Ready for a request.
    Open,
    /// Ended in order.
    Closed,
    /// Ended by a reset.
    Reset,
    /// Bytes came that nobody asked for.
    Extra,
}

impl Link {
    /// A new one to `host`.
    pub async fn open(host: &str) -> Result<Self, Fault> {
        let opened = Instant::now();
        let stream = TcpStream::connect(host).await.map_err(|error| match error.kind() {
            ErrorKind::ConnectionReset => Fault::Reset,
            _ => Fault::Connect,
        })?;
        // It fails if the connection has been reset already, which the request will find out.
        let _ = stream.set_nodelay(true);
        Ok(Self { stream, reader: Reader::default(), opened, target: None, cookie: None })
    }

    /// The cookie that it was given last, as it is to be given back.
    pub fn cookie(&self) -> Option<&str> {
        self.cookie.as_deref()
    }

    /// How the proxy left it.
    pub fn state(&self) -> State {
        match peek(&self.stream) {
            Ok(0) => State::Closed,
            Ok(_) => State::Extra,
            Err(error) if error.kind() == ErrorKind::WouldBlock => State::Open,
            Err(_) => State::Reset,
        }
    }

    /// One request and its answer. Returns whether the connection can be used again.
    pub async fn exchange(&mut self, request: &Request, wire: &[u8], trace: &mut Trace) -> Result<bool, Fault> {
        trace.opened = self.opened;
        trace.previous = self.target.clone();
        let Self { stream, reader, .. } = self;
        let (mut from, mut to) = stream.split();
        let mut sent = false;
        let open = {
            let answer = reader.read(&mut from, request);
            tokio::pin!(answer);
            // An answer may come before the request is sent, and says more than a failed write.
            tokio::select! {
                biased;
                written = to.write_all(wire) => { sent = written.is_ok(); answer.await }
                early = &mut answer => early,
            }
        };
        trace.target = reader.target.take();
        if let Some(cookie) = reader.cookie.take() {
            self.cookie = Some(cookie);
        }
        let open = open?;
        self.target.clone_from(&trace.target);
        if self.reader.extra() > 0 {
            return Err(Fault::Extra);
        }
        if request.close {
            return ends(&mut self.stream).await.map(|()| false);
        }
        Ok(open && sent)
    }
}

/// How many bytes wait to be read, one at most; 0 at the end. It asks the kernel: what the runtime knows of a socket is as old
/// as the last time that it looked.
pub fn peek(stream: &TcpStream) -> io::Result<usize> {
    SockRef::from(stream).peek(&mut [MaybeUninit::uninit()])
}

/// After `Connection: close` the proxy must end the connection, without another byte.
async fn ends(stream: &mut TcpStream) -> Result<(), Fault> {
    match tokio::time::timeout(Duration::from_secs(2), stream.read(&mut [0; 1])).await {
        Ok(Ok(0)) => Ok(()),
        Ok(Ok(_)) => Err(Fault::Extra),
        Ok(Err(_)) => Err(Fault::Reset),
        Err(_) => Err(Fault::NotClosed),
    }
}
