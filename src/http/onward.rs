//! The head that a target gets: what of the client's path goes on, and the lines that are written anew.
//!
//! Pure, so that `ringway explain` shows the very bytes that the data plane would send.

use super::coded;
use super::connection::PeerText;
use super::edit::Rewritten;
use super::forward::Path;
use super::h1::{self, Forwarding, Framing, HostLine, Incoming, Onward, Style};
use super::head::{Method, RequestHead};
use crate::net::Peer;
use crate::plan::{self, Host, Http, Listener, path};
use crate::upstream::{Sticky, Target};

/// A request on its way to a target, and what is said of where it came from.
pub(super) struct Leaving<'a> {
    pub(super) listener: &'a Listener,
    pub(super) http: &'a Http,
    pub(super) rule: &'a plan::Forward,
    pub(super) target: &'a Target,
    pub(super) path: Path,
    /// Path and query where the route rewrites them.
    pub(super) rewritten: Option<&'a Rewritten>,
    pub(super) incoming: &'a Incoming,
    pub(super) peer: Peer,
    pub(super) peer_text: &'a PeerText,
    /// The port of ours that the client dialled.
    pub(super) port: u16,
    /// Whole lines that tell of the client's certificate.
    pub(super) certificate: &'a [u8],
    /// Its part in a trace.
    pub(super) trace: Option<h1::Trace>,
    /// What keeps clients of the pool with their targets.
    pub(super) sticky: Option<&'a Sticky>,
}

impl Leaving<'_> {
    /// Writes the head that the target gets. `normal` is the room that holds the normal path where the raw one is not.
    pub(super) fn encode(&self, head: &RequestHead, text: &[u8], normal: &[u8], out: &mut Vec<u8>) {
        match &self.rule.compress {
            None if !self.rule.edits_answers() => self.write(head, text, normal, out),
            compress => self.encode_recoded(compress.as_deref(), head, text, normal, out),
        }
    }

    /// The same where answers are recoded or edited. Kept out of the way of all others.
    #[inline(never)]
    fn encode_recoded(
        &self,
        by: Option<&plan::Compress>,
        head: &RequestHead,
        text: &[u8],
        normal: &[u8],
        out: &mut Vec<u8>,
    ) {
        let mut changed = by.and_then(|by| coded::onward(by, head, text));
        if self.rule.edits_answers() {
            // What is edited has to be read.
            let (head, text) = changed.get_or_insert_with(|| (head.clone(), text.to_vec()));
            head.fields.retain(|field| !field.name.of(text).eq_ignore_ascii_case(b"accept-encoding"));
        }
        match changed {
            None => self.write(head, text, normal, out),
            Some((head, text)) => self.write(&head, &text, normal, out),
        }
    }

    fn write(&self, head: &RequestHead, text: &[u8], normal: &[u8], out: &mut Vec<u8>) {
        let Self { http, rule, incoming, .. } = *self;
        let host = match &rule.host {
            Host::Client => HostLine::Client { fallback: self.target.authority() },
            Host::Target => HostLine::Fixed(self.target.authority()),
            Host::Fixed(host) => HostLine::Fixed(host.as_bytes()),
        };
        let mut port = itoa::Buffer::new();
        let forwarding = Forwarding {
            style: match (http.x_forwarded, http.forwarded) {
                (true, true) => Style::Both,
                (true, false) => Style::Xff,
                (false, true) => Style::Rfc7239,
                (false, false) => Style::None,
            },
            trusted: !http.trusted_proxies.is_empty() && http.trusts(self.peer.ip),
            peer: self.peer_text.bytes(),
            scheme: rule.scheme.unwrap_or(self.listener.scheme()).as_bytes(),
            port: match rule.scheme.filter(|scheme| *scheme != self.listener.scheme()) {
                None => port.format(self.port).as_bytes(),
                Some("https") => b"443",
                Some(_) => b"80",
            },
            certificate: self.certificate,
        };
        let method = rule.method.as_deref().filter(|_| head.method != Method::Head && !incoming.websocket);
        let onward = Onward {
            method: method.map(str::as_bytes),
            path: match self.rewritten {
                Some(rewritten) => Some(&rewritten.path),
                None => onward_path(rule, self.path, head.path.of(text), normal),
            },
            query: self.rewritten.and_then(|rewritten| rewritten.query.as_deref()),
            host,
            framing: match (incoming.framing, method) {
                // RFC 9110 §8.6: whoever is asked by such a method expects a body.
                (Framing::None, Some("POST" | "PUT" | "PATCH")) => Framing::Length(0),
                (framing, _) => framing,
            },
            expects_continue: incoming.expects_continue,
            websocket: incoming.websocket && http.websocket,
            accepts_trailers: incoming.accepts_trailers,
            forwarding,
            trace: self.trace,
            cookie: self.sticky.and_then(Sticky::cookie),
        };
        h1::encode_request(out, head, text, &onward);
    }
}

/// The path to send if it is not just the client's.
pub(super) fn onward_path<'p>(rule: &plan::Forward, path: Path, raw: &'p [u8], normal: &'p [u8]) -> Option<&'p [u8]> {
    let normal = if path.plain { raw } else { normal };
    let cut = cut(rule, normal);
    let sent = match (path.send, cut) {
        (path::Forward::Raw, None) => return None,
        (path::Forward::Raw, Some(cut)) => &raw[path::raw_offset(raw, cut.len())..],
        (path::Forward::Normal, cut) => &normal[cut.map_or(0, <[u8]>::len)..],
    };
    Some(if sent.is_empty() { b"/" } else { sent })
}

/// A normal path as the target sees it.
pub(super) fn stripped<'p>(rule: &plan::Forward, normal: &'p [u8]) -> &'p [u8] {
    let rest = &normal[cut(rule, normal).map_or(0, <[u8]>::len)..];
    if rest.is_empty() { b"/" } else { rest }
}

/// What is cut from the front of a normal path.
fn cut<'r>(rule: &'r plan::Forward, normal: &[u8]) -> Option<&'r [u8]> {
    let prefix = rule.strip_prefix.as_deref()?.trim_end_matches('/').as_bytes();
    normal.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/")).then_some(prefix)
}
