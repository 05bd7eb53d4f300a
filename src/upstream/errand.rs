//! What a connection to a target is for.

use crate::net::proxy_protocol::Header;
use crate::tls::Purpose;
use std::net::IpAddr;

/// What a connection to a target is for: it is used again for the very same alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Errand {
    /// Whom it is with, over TLS.
    pub purpose: Option<Purpose>,
    /// What the target is told of the client.
    pub header: Option<Header>,
    /// From which address the target is connected to; `None`: from no client's.
    pub client: Option<IpAddr>,
}
