//! Clients that misbehave: they reset in mid-request, stall, and vanish. What they get is not verified, but that a
//! stalled one is not kept for ever is.

use anyhow::Result;
use std::cell::Cell;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The ways to be rude.
const WAYS: [Way; 7] = [
    Way::ResetInRequest,
    Way::ResetInAnswer,
    Way::StallInHead,
    Way::StallReading,
    Way::Vanish,
    Way::EndInRequest,
    Way::Nonsense,
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    ResetInRequest,
    ResetInAnswer,
    StallInHead,
    StallReading,
    Vanish,
    EndInRequest,
    Nonsense,
}

/// What they did.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sum {
    /// Acts of any kind.
    pub acts: u64,
    /// Half heads that the proxy still held open after [`PATIENCE`].
    pub kept: u64,
}

/// Longest that a proxy with `request_head = "2s"` may hold on to half a head.
pub const PATIENCE: Duration = Duration::from_secs(6);

/// Lets `count` clients be rude to `http` and `tcp` until `end`.
pub fn run(http: SocketAddr, tcp: SocketAddr, count: usize, end: Instant) -> Result<Sum> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let tasks = tokio::task::LocalSet::new();
    let sum = Rc::new(Cell::new(Sum::default()));
    for number in 0..count {
        let sum = sum.clone();
        tasks.spawn_local(async move {
            while Instant::now() < end {
                let way = WAYS[fastrand::usize(..WAYS.len())];
                let tunnel = number % 4 == 0;
                let kept = act(way, if tunnel { tcp } else { http }).await.unwrap_or(false) && !tunnel;
                let Sum { acts, kept: before } = sum.get();
                sum.set(Sum { acts: acts + 1, kept: before + u64::from(kept) });
                tokio::time::sleep(Duration::from_millis(fastrand::u64(1..40))).await;
            }
        });
    }
    runtime.block_on(tasks);
    Ok(sum.get())
}

/// Whether the proxy held on to it for too long. Errors are what such clients live with.
async fn act(way: Way, address: SocketAddr) -> std::io::Result<bool> {
    let mut stream = TcpStream::connect(address).await?;
    let pause = Duration::from_millis(fastrand::u64(0..20));
    match way {
        Way::ResetInRequest => {
            stream.write_all(b"POST /128 HTTP/1.1\r\nhost: rude\r\ncontent-length: 100000\r\n\r\nhalf of ").await?;
            tokio::time::sleep(pause).await;
            reset(stream);
        }
        Way::ResetInAnswer => {
            stream.write_all(b"GET /1m HTTP/1.1\r\nhost: rude\r\n\r\n").await?;
            stream.read_exact(&mut [0; 10_000]).await?;
            reset(stream);
        }
        Way::StallInHead => {
            stream.write_all(b"GET /128 HTTP/1.1\r\nhost: ru").await?;
            let mut rest = Vec::new();
            return Ok(tokio::time::timeout(PATIENCE, stream.read_to_end(&mut rest)).await.is_err());
        }
        Way::StallReading => {
            stream.write_all(b"GET /?size=16000000 HTTP/1.1\r\nhost: rude\r\n\r\n").await?;
            tokio::time::sleep(Duration::from_millis(fastrand::u64(500..6000))).await;
        }
        Way::Vanish => {
            let requests: [&[u8]; 3] = [
                b"GET /1m HTTP/1.1\r\nhost: rude\r\n\r\n",
                b"GET /128 HTTP/1.1\r\nhost: rude\r\n\r\n",
                b"POST /128 HTTP/1.1\r\nhost: rude\r\ncontent-length: 1000\r\n\r\n",
            ];
            stream.write_all(requests[fastrand::usize(..requests.len())]).await?;
            tokio::time::sleep(pause).await;
            vanish(stream);
        }
        Way::EndInRequest => {
            stream.write_all(b"PUT /128 HTTP/1.1\r\nhost: rude\r\ncontent-length: 10\r\n\r\n123").await?
        }
        Way::Nonsense => {
            stream.write_all(b"\x16\x03\x01\x02\x00 no HTTP at all\r\n\r\n").await?;
            let _ = tokio::time::timeout(Duration::from_secs(1), stream.read(&mut [0; 512])).await;
        }
    }
    Ok(false)
}

/// Closes with RST.
fn reset(stream: TcpStream) {
    let _ = socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO));
}

/// Closes without a packet, as a host does that loses its power: a socket in repair mode says no goodbye. Needs
/// CAP_NET_ADMIN; without it this is a plain close.
fn vanish(stream: TcpStream) {
    let on: libc::c_int = 1;
    // SAFETY: a plain socket option on a descriptor that `stream` keeps open; `on` outlives the call.
    unsafe {
        libc::setsockopt(
            stream.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_REPAIR,
            (&raw const on).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
}
