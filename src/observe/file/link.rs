//! Ways to a syslog server: datagrams (RFC 5426), or a stream of messages of which each is preceded by its length over TCP
//! (RFC 6587 §3.4.1) and followed by a line feed through a Unix socket, as its readers expect.
//!
//! A message goes out whole. A stream that breaks within one is never used again.

use super::Server;
use socket2::{SockRef, TcpKeepalive};
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket, UnixDatagram, UnixStream};

/// How long a server may take to connect to.
const CONNECT: Duration = Duration::from_secs(5);
/// How long a server may take no byte.
const STALL: Duration = Duration::from_secs(30);
/// How long to wait for room in the kernel, which does not say when there is some.
const ROOM_PAUSE: Duration = Duration::from_millis(20);
/// Bytes of a datagram: what common servers take by default. What is longer is cut.
const LONGEST_DATAGRAM: usize = 8192;
/// Bytes that go into a stream at a time.
const CHUNK: usize = 64 * 1024;
/// How often a server that is there is asked for a sign of life.
const ALIVE: Duration = Duration::from_secs(60);

/// A way to a server.
pub struct Link {
    socket: Socket,
    /// Whether the last datagram may yet be refused: the kernel tells it with the next one.
    unsettled: bool,
}

enum Socket {
    Udp(UdpSocket),
    UnixDatagram(UnixDatagram),
    Tcp(TcpStream),
    UnixStream(UnixStream),
}

/// How far a batch went.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Bytes of the batch that are settled, whole lines.
    pub bytes: usize,
    /// Lines that the server or the kernel has.
    pub written: u64,
    /// Lines that are lost.
    pub lost: u64,
}

impl Link {
    /// Opens a way to `server`.
    pub async fn open(server: &Server) -> io::Result<Self> {
        let socket =
            tokio::time::timeout(CONNECT, Socket::open(server)).await.unwrap_or(Err(ErrorKind::TimedOut.into()))?;
        Ok(Self { socket, unsettled: false })
    }

    /// Sends the lines in `batch`, and says how far it came. After an error it is of no more use.
    pub async fn send(&mut self, batch: &[u8]) -> (Progress, io::Result<()>) {
        let mut progress = Progress::default();
        let result = match &mut self.socket {
            Socket::Tcp(stream) if has_ended(stream.try_read(&mut [0; 256])) => Err(ErrorKind::ConnectionReset.into()),
            Socket::UnixStream(stream) if has_ended(stream.try_read(&mut [0; 256])) => {
                Err(ErrorKind::ConnectionReset.into())
            }
            Socket::Tcp(stream) => stream_lines(stream, batch, true, &mut progress).await,
            Socket::UnixStream(stream) => stream_lines(stream, batch, false, &mut progress).await,
            _ => self.datagrams(batch, &mut progress).await,
        };
        (progress, result)
    }

    /// What became of the last datagram, where that can be told: lines written and lost.
    pub fn settle(&mut self) -> Progress {
        let mut progress = Progress::default();
        if std::mem::take(&mut self.unsettled) {
            match &self.socket {
                Socket::Udp(socket) if !matches!(socket.take_error(), Ok(None)) => progress.lost = 1,
                _ => progress.written = 1,
            }
        }
        progress
    }

    async fn datagrams(&mut self, batch: &[u8], progress: &mut Progress) -> io::Result<()> {
        for line in lines(batch) {
            match self.datagram(cut(line)).await {
                Ok(()) => {
                    progress.written += u64::from(std::mem::replace(&mut self.unsettled, true));
                }
                Err(error) if error.raw_os_error() == Some(libc::EMSGSIZE) => progress.lost += 1,
                Err(error) => {
                    // It is the one before that was refused; this one has not gone out.
                    let before = u64::from(std::mem::take(&mut self.unsettled));
                    match self.socket {
                        Socket::Udp(_) if error.kind() == ErrorKind::ConnectionRefused => progress.lost += before,
                        _ => progress.written += before,
                    }
                    return Err(error);
                }
            }
            progress.bytes += line.len() + 1;
        }
        Ok(())
    }

    async fn datagram(&self, message: &[u8]) -> io::Result<()> {
        let send = async {
            loop {
                let sent = match &self.socket {
                    Socket::Udp(socket) => socket.send(message).await,
                    Socket::UnixDatagram(socket) => socket.send(message).await,
                    Socket::Tcp(_) | Socket::UnixStream(_) => Err(ErrorKind::Unsupported.into()),
                };
                match sent {
                    Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => tokio::time::sleep(ROOM_PAUSE).await,
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    sent => return sent.map(drop),
                }
            }
        };
        tokio::time::timeout(STALL, send).await.unwrap_or(Err(ErrorKind::TimedOut.into()))
    }
}

impl Socket {
    async fn open(server: &Server) -> io::Result<Self> {
        match server {
            Server::Udp(address) => {
                let any: SocketAddr = match address {
                    SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
                    SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
                };
                let socket = UdpSocket::bind(any).await?;
                socket.connect(address).await?;
                Ok(Self::Udp(socket))
            }
            Server::Tcp(address) => {
                let stream = TcpStream::connect(address).await?;
                stream.set_nodelay(true)?;
                SockRef::from(&stream).set_tcp_keepalive(&TcpKeepalive::new().with_time(ALIVE).with_interval(ALIVE))?;
                Ok(Self::Tcp(stream))
            }
            Server::Unix(path) => {
                let socket = UnixDatagram::unbound()?;
                match socket.connect(path) {
                    Ok(()) => Ok(Self::UnixDatagram(socket)),
                    // The socket at that path takes streams.
                    Err(error) if error.raw_os_error() == Some(libc::EPROTOTYPE) => {
                        UnixStream::connect(path).await.map(Self::UnixStream)
                    }
                    Err(error) => Err(error),
                }
            }
        }
    }
}

/// Whether the server has ended a stream; what it says on it means nothing.
fn has_ended(read: io::Result<usize>) -> bool {
    match read {
        Ok(count) => count == 0,
        Err(error) => !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted),
    }
}

fn lines(batch: &[u8]) -> impl Iterator<Item = &[u8]> {
    batch.split_inclusive(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\n").unwrap_or(line))
}

/// A message that fits into a datagram, without half a character at its end.
fn cut(line: &[u8]) -> &[u8] {
    if line.len() <= LONGEST_DATAGRAM {
        return line;
    }
    let mut end = LONGEST_DATAGRAM;
    while end > LONGEST_DATAGRAM - 4 && line[end] & 0xc0 == 0x80 {
        end -= 1;
    }
    &line[..end]
}

/// Writes all lines, each with its frame, in large pieces. On an error it knows how many of them went out whole.
async fn stream_lines(
    stream: &mut (impl AsyncWrite + Unpin),
    batch: &[u8],
    counted: bool,
    progress: &mut Progress,
) -> io::Result<()> {
    let mut framed = Vec::new();
    // Where each line ends with its frame.
    let mut ends = Vec::new();
    while progress.bytes < batch.len() {
        framed.clear();
        ends.clear();
        let mut taken = progress.bytes;
        for line in lines(&batch[taken..]) {
            if counted {
                framed.extend_from_slice(itoa::Buffer::new().format(line.len()).as_bytes());
                framed.push(b' ');
            }
            framed.extend_from_slice(line);
            if !counted {
                framed.push(b'\n');
            }
            taken += line.len() + 1;
            ends.push((framed.len(), taken));
            if framed.len() >= CHUNK {
                break;
            }
        }
        let mut sent = 0;
        let mut result = Ok(());
        while sent < framed.len() && result.is_ok() {
            match tokio::time::timeout(STALL, stream.write(&framed[sent..])).await {
                Ok(Ok(0)) => result = Err(ErrorKind::WriteZero.into()),
                Ok(Ok(count)) => sent += count,
                Ok(Err(error)) => result = Err(error),
                Err(_) => result = Err(ErrorKind::TimedOut.into()),
            }
        }
        let whole = ends.partition_point(|(end, _)| *end <= sent);
        if let Some((_, taken)) = whole.checked_sub(1).map(|last| ends[last]) {
            progress.bytes = taken;
        }
        progress.written += whole as u64;
        result?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_datagram_is_cut_between_characters() {
        assert_eq!(cut(b"short"), b"short");
        let long = [vec![b'x'; LONGEST_DATAGRAM - 1], "éé".into()].concat();
        assert_eq!(cut(&long), vec![b'x'; LONGEST_DATAGRAM - 1]);
        assert_eq!(cut(&vec![b'y'; 10_000]).len(), LONGEST_DATAGRAM);
    }

    /// Takes a number of bytes, then breaks.
    struct Breaks(usize);

    impl AsyncWrite for Breaks {
        fn poll_write(
            mut self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
            bytes: &[u8],
        ) -> std::task::Poll<io::Result<usize>> {
            let count = bytes.len().min(self.0);
            self.0 -= count;
            std::task::Poll::Ready(if count == 0 { Err(ErrorKind::BrokenPipe.into()) } else { Ok(count) })
        }

        fn poll_flush(
            self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<io::Result<()>> {
            std::task::Poll::Ready(Ok(()))
        }

        fn poll_shutdown(
            self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<io::Result<()>> {
            std::task::Poll::Ready(Ok(()))
        }
    }

    #[tokio::test]
    async fn a_stream_that_breaks_tells_which_lines_went_out_whole() {
        // "3 one" "3 two" "5 three"
        for (room, bytes, written) in [(0, 0, 0), (4, 0, 0), (5, 4, 1), (9, 4, 1), (10, 8, 2), (16, 8, 2), (17, 14, 3)]
        {
            let mut progress = Progress::default();
            let result = stream_lines(&mut Breaks(room), b"one\ntwo\nthree\n", true, &mut progress).await;
            assert_eq!(progress, Progress { bytes, written, lost: 0 }, "{room}");
            assert_eq!(result.is_ok(), room == 17);
        }
    }
}
