//! Opens a connection to the server: over TCP, TLS or a socket of this host. Who calls bounds the time.

use super::line::Line;
use crate::config::redis_url::RedisPlace;
use crate::control::chain;
use crate::plan::Sharing;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, ProtocolVersion, RedisConnectionInfo};
use rustls::pki_types::ServerName;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;

/// Opens one and logs in. Fails with what is wrong, in the words of whoever says so.
pub(super) async fn open(sharing: &Arc<Sharing>) -> Result<Line, String> {
    let (host, port) = match &sharing.url.place {
        RedisPlace::Unix(path) => {
            let stream = UnixStream::connect(path).await.map_err(|error| error.to_string())?;
            return log_in(sharing, stream).await;
        }
        RedisPlace::Host { host, port, .. } => (host, *port),
    };
    let stream = TcpStream::connect((host.as_str(), port)).await.map_err(|error| error.to_string())?;
    stream.set_nodelay(true).map_err(|error| error.to_string())?;
    let Some(tls) = &sharing.tls else { return log_in(sharing, stream).await };
    let name = ServerName::try_from(host.clone()).map_err(|_| format!("`{host}` is no name that a certificate has"))?;
    let stream = TlsConnector::from(tls.clone()).connect(name, stream).await.map_err(|error| chain(&error))?;
    log_in(sharing, stream).await
}

async fn log_in<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    sharing: &Arc<Sharing>,
    stream: S,
) -> Result<Line, String> {
    let mut who = RedisConnectionInfo::default()
        .set_protocol(ProtocolVersion::RESP2)
        .set_db(i64::from(sharing.url.database))
        .set_lib_name("ringway", env!("CARGO_PKG_VERSION"));
    if let Some(user) = &sharing.user {
        who = who.set_username(user);
    }
    if let Some(password) = &sharing.password {
        who = who.set_password(&password.0);
    }
    // The time of each question is bounded where it is asked.
    let config = AsyncConnectionConfig::new().set_response_timeout(None).set_connection_timeout(None);
    let opened = MultiplexedConnection::new_with_config(&who, stream, config).await;
    let (connection, driver) = opened.map_err(|error| error.to_string())?;
    Ok(Line::new(sharing.clone(), connection, tokio::spawn(driver)))
}
