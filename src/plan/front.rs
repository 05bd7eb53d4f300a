//! What precedes the protocol on a listener.

use crate::config::model;
use crate::net::Peer;
use crate::net::proxy_protocol::Form;
use ipnet::IpNet;
use std::time::Duration;

/// What precedes the protocol on a listener.
#[derive(Debug)]
pub struct Front {
    /// Who may say by a PROXY header whose connection it is; `None`: nobody.
    pub header: Option<Headers>,
    /// How long all of it may take.
    pub limit: Duration,
}

/// Who may send a PROXY header.
#[derive(Debug)]
pub struct Headers {
    from: Vec<IpNet>,
    /// Whether nobody comes in without one.
    pub required: bool,
}

impl Headers {
    /// Whether a header from `peer` counts. Who may connect to a Unix socket is for its owner to say.
    pub fn count_from(&self, peer: Peer) -> bool {
        peer.local || self.from.iter().any(|net| net.contains(&peer.ip))
    }
}

/// What precedes the protocol on a listener, if anything does.
pub(super) fn compile(listener: &model::Listener) -> Option<Box<Front>> {
    let header = listener
        .proxy_protocol
        .as_ref()
        .map(|headers| Headers { from: headers.from.clone(), required: headers.require });
    header.is_some().then(|| Box::new(Front { header, limit: listener.timeouts.handshake.0 }))
}

/// By which headers the targets of a pool are told of clients.
pub(super) fn form(send: model::SendProxy) -> Form {
    match send {
        model::SendProxy::V1 => Form::Line,
        model::SendProxy::V2 => Form::Binary,
        model::SendProxy::V2Crc32c => Form::Sealed,
    }
}
