//! What precedes the protocol on a listener.

use super::host::HostPattern;
use super::passage::Passages;
use crate::config::model::{self, Config};
use crate::config::{Fault, KeyPath};
use crate::net::Peer;
use crate::net::proxy_protocol::Form;
use ipnet::IpNet;
use std::net::IpAddr;
use std::time::Duration;

/// What precedes the protocol on a listener.
#[derive(Debug)]
pub struct Front {
    /// Who may say by a PROXY header whose connection it is; `None`: nobody.
    pub header: Option<Headers>,
    /// The routes that pass TLS on unopened; `None`: there are none.
    pub passages: Option<Passages>,
    /// How long all of it may take.
    pub limit: Duration,
}

impl Front {
    /// How many routes pass TLS on.
    pub fn routes(&self) -> usize {
        self.passages.as_ref().map_or(0, Passages::len)
    }
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
        peer.local || self.names(peer.ip)
    }

    /// Whether an address is one of theirs.
    pub fn names(&self, ip: IpAddr) -> bool {
        self.from.iter().any(|net| net.contains(&ip))
    }
}

/// What precedes the protocol on listener `name`, if anything does.
pub(super) fn compile(
    name: &str,
    listener: &model::Listener,
    config: &Config,
) -> Result<Option<Box<Front>>, Vec<Fault>> {
    let header = listener
        .proxy_protocol
        .as_ref()
        .map(|headers| Headers { from: headers.from.clone(), required: headers.require });
    let passages = passages(name, config)?;
    let front = Front { header, passages, limit: listener.timeouts.handshake.0 };
    Ok((front.header.is_some() || front.passages.is_some()).then(|| Box::new(front)))
}

/// The routes that pass TLS of listener `name` on. Fails with those that tie.
fn passages(name: &str, config: &Config) -> Result<Option<Passages>, Vec<Fault>> {
    let mut passages = Passages::default();
    let mut faults = Vec::new();
    let names: Vec<&String> = config.routes.keys().collect();
    for (index, (route, written)) in config.routes.iter().enumerate() {
        if !config.passes_on(written, name) {
            continue;
        }
        let patterns = written.sni.iter().map(|pattern| pattern.parse::<HostPattern>());
        let patterns = match patterns.collect::<Result<Vec<_>, _>>() {
            Ok(patterns) => patterns,
            Err(fault) => {
                faults.push(Fault::new(["routes", route, "sni"], fault.message).help(fault.help.unwrap_or_default()));
                continue;
            }
        };
        if let Some(place) = patterns.iter().position(HostPattern::is_address) {
            let at = KeyPath::from(["routes", route, "sni"]).child(place);
            let what = format!("`{}` is an address: no client asks for one by name", patterns[place]);
            faults.push(Fault::new(at, what).help("write a host name"));
            continue;
        }
        if let Err(tie) = passages.add(index, &patterns, &written.alpn) {
            let [first, second] = tie.routes.map(|route| names[route]);
            faults.push(
                Fault::new(
                    ["routes", second],
                    format!("routes \"{first}\" and \"{second}\" tie: both would pass on TLS for {}", tie.shared),
                )
                .also(["routes", first], "the other one is here")
                .help("leave the name, or the protocol, to one of them"),
            );
        }
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    Ok((!passages.is_empty()).then_some(passages))
}

/// By which headers the targets of a pool are told of clients.
pub(super) fn form(send: model::SendProxy) -> Form {
    match send {
        model::SendProxy::V1 => Form::Line,
        model::SendProxy::V2 => Form::Binary,
        model::SendProxy::V2Crc32c => Form::Sealed,
    }
}
