//! From an address to a connection that can be spoken on: connecting, and the handshake where there is one.

use super::super::CheckSpec;
use super::super::finding::Finding;
use super::Address;
use crate::net::proxy_protocol::Header;
use crate::observe::reason::Outcome;
use std::io;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream, UnixStream};
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;

/// A connection, whatever it is made of.
pub(super) trait Wire: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Wire for T {}

/// A connection to a target.
pub(super) struct Dialled {
    /// What is spoken on.
    pub(super) wire: Box<dyn Wire>,
    /// Whether TLS has agreed on HTTP/2.
    pub(super) h2: bool,
    /// Whether it is over TLS.
    pub(super) secure: bool,
}

/// Connects to the target, sends a PROXY header if it expects one, and shakes hands for `host` if TLS comes first.
pub(super) async fn dial(spec: &CheckSpec, host: &str, deadline: Instant) -> Result<Dialled, Finding> {
    let mut wire: Box<dyn Wire> = match &spec.address {
        Address::Ip(ip) => {
            let connecting = async {
                match &spec.egress {
                    None => TcpStream::connect(ip).await,
                    Some(egress) => {
                        TcpSocket::from_std_stream(egress.prepare_ip(*ip, None)?.into_std()).connect(*ip).await
                    }
                }
            };
            Box::new(connect(connecting, deadline).await?)
        }
        Address::Unix(path) => Box::new(connect(UnixStream::connect(path), deadline).await?),
    };
    if let Some(form) = spec.send_proxy {
        connect(wire.write_all(Header::ours(form).bytes()), deadline).await?;
    }
    if spec.probe.asks_for_tls() {
        return Ok(Dialled { wire, h2: false, secure: false });
    }
    secure(wire, spec, host, deadline).await
}

/// Shakes hands for `host` where there is TLS.
pub(super) async fn secure(
    wire: Box<dyn Wire>,
    spec: &CheckSpec,
    host: &str,
    deadline: Instant,
) -> Result<Dialled, Finding> {
    let cargo = spec.probe.cargo();
    let Some(tls) = spec.tls.as_deref() else { return Ok(Dialled { wire, h2: false, secure: false }) };
    let failed = |words: String| Finding::new(Outcome::NoHandshake, words);
    let (config, name) = tls
        .check(host.as_bytes(), cargo)
        .ok_or_else(|| failed("TLS: no certificate could be for the host that is asked".to_owned()))?;
    let shaken = timeout_at(deadline, TlsConnector::from(config).connect(name, wire)).await;
    let wire = shaken
        .map_err(|_| Finding::new(Outcome::HandshakeTimeout, "TLS handshake timeout"))?
        .map_err(|error| failed(format!("TLS: {error}")))?;
    let h2 = wire.get_ref().1.alpn_protocol() == Some(b"h2");
    Ok(Dialled { wire: Box::new(wire), h2, secure: true })
}

async fn connect<T>(connecting: impl Future<Output = io::Result<T>>, deadline: Instant) -> Result<T, Finding> {
    let connected = timeout_at(deadline, connecting).await;
    let connected = connected.map_err(|_| Finding::new(Outcome::ConnectTimeout, "connect timeout"))?;
    connected.map_err(|error| match error.kind() {
        io::ErrorKind::ConnectionRefused => refused("connection refused"),
        io::ErrorKind::ConnectionReset => refused("connection reset"),
        io::ErrorKind::HostUnreachable => refused("host unreachable"),
        io::ErrorKind::NetworkUnreachable => refused("network unreachable"),
        io::ErrorKind::NotFound => refused("no such socket"),
        // A descriptor or a port of ours: the target is not to blame.
        _ if is_ours(&error) => Finding::new(Outcome::NotMade, format!("cannot connect: {error}")),
        _ => refused(&format!("cannot connect: {error}")),
    })
}

fn refused(words: &str) -> Finding {
    Finding::new(Outcome::NoConnection, words)
}

fn is_ours(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM | libc::ENOBUFS))
        || error.kind() == io::ErrorKind::AddrNotAvailable
}
