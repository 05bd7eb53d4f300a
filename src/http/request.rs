//! What the plan looks at in a request: the router's view, the client's address, the key of the `hash` policy.

use super::exchange::Heads;
use super::head::{Name, RequestHead};
use super::rules::Sent;
use crate::gateway::{About, Who, condition};
use crate::net::Peer;
use crate::plan::{Http, Key, Listener, router};
use crate::tls::Facts;
use std::cell::Cell;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use xxhash_rust::xxh3::xxh3_64;

/// A request as the router sees it.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    pub(super) head: &'a RequestHead,
    pub(super) text: &'a [u8],
    pub(super) host: &'a [u8],
    pub(super) path: &'a [u8],
    pub(super) client: IpAddr,
    /// The method that it goes by in place of its own: what a browser asks beforehand for.
    pub(super) instead: Option<&'a [u8]>,
    /// The listener that it came to.
    pub(super) listener: &'a Listener,
    /// What the handshake agreed on; `None` in clear.
    pub(super) session: Option<&'a Facts>,
    /// Where it is noted that a route's condition could not say anything.
    pub(super) unclear: &'a Cell<Option<Unclear>>,
}

/// The last route, by its position in the plan, whose condition could not say whether a request meets it, and why.
pub(super) type Unclear = (usize, condition::Error);

impl router::Request for View<'_> {
    fn method(&self) -> &[u8] {
        self.instead.unwrap_or(self.head.method_text.of(self.text))
    }

    fn host(&self) -> &[u8] {
        self.host
    }

    fn path(&self) -> &[u8] {
        self.path
    }

    fn query(&self) -> Option<&[u8]> {
        self.head.query.map(|query| query.of(self.text))
    }

    fn header<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.head.values(self.text, name.as_bytes())
    }

    fn client_ip(&self) -> IpAddr {
        self.client
    }

    fn meets(&self, when: &router::When, path: &[u8]) -> Result<bool, condition::Error> {
        let Self { head, text, instead, listener, session, .. } = *self;
        // Conditions of routes do not ask for it.
        let is_call = false;
        let sent = Sent { head, text, normal: path, instead, listener, session, is_call };
        let about = About { client: self.client, route: "", request: &sent, who: &Who::default(), path: None };
        when.condition.holds(&about).inspect_err(|error| self.unclear.set(Some((when.route, *error))))
    }
}

/// Who asks: the peer, or whom trusted proxies name. Of their lists the last address counts that is no trusted proxy
/// itself; what stands before it anyone could have written.
pub(super) fn client_address(http: &Http, peer: Peer, head: &RequestHead, text: &[u8]) -> SocketAddr {
    let mut client = SocketAddr::new(peer.ip, peer.port);
    if http.trusted_proxies.is_empty() || !http.trusts(peer.ip) {
        return client;
    }
    let only_forwarded = http.forwarded && !http.x_forwarded;
    let has_xff = head.find(Name::XForwardedFor).is_some();
    let kind = if has_xff && !only_forwarded { Name::XForwardedFor } else { Name::Forwarded };
    let lines = head.fields.iter().rev().filter(|field| field.kind == kind);
    for element in lines.flat_map(|field| field.value.of(text).rsplit(|&byte| byte == b',')) {
        let Some(named) = node(element, kind) else { return client };
        client = named;
        if !http.trusts(named.ip()) {
            return client;
        }
    }
    client
}

/// The address in one element of a list, if it names one (RFC 7239 §6; `unknown` and obfuscated names do not).
fn node(element: &[u8], kind: Name) -> Option<SocketAddr> {
    let text = std::str::from_utf8(element).ok()?.trim();
    let text = if kind == Name::Forwarded {
        let pair = text.split(';').find_map(|pair| {
            let (name, value) = pair.split_once('=')?;
            name.trim().eq_ignore_ascii_case("for").then_some(value.trim())
        })?;
        pair.trim_matches('"')
    } else {
        text
    };
    if let Ok(ip) = IpAddr::from_str(text) {
        return Some(SocketAddr::new(ip, 0));
    }
    if let Ok(address) = SocketAddr::from_str(text) {
        return Some(address);
    }
    let bracketed = text.strip_prefix('[')?.strip_suffix(']')?;
    Some(SocketAddr::new(IpAddr::from_str(bracketed).ok()?, 0))
}

/// The hash of what `key` names in the request; of the client's address where the request has no such thing.
pub(super) fn hash_key(key: &Key, heads: &Heads, text: &[u8], client: IpAddr, path: &[u8]) -> u64 {
    let head = &heads.request;
    let value = match key {
        Key::ClientIp => None,
        Key::Path => Some(path),
        Key::Header(name) => head.values(text, name.as_bytes()).next(),
        Key::Cookie(name) => head
            .fields
            .iter()
            .filter(|field| field.kind == Name::Cookie)
            .find_map(|field| named(field.value.of(text), b';', name.as_bytes())),
        Key::Query(name) => head.query.and_then(|query| named(query.of(text), b'&', name.as_bytes())),
    };
    value.map_or_else(|| Key::hash_ip(client), xxh3_64)
}

/// The value of `name` in a list of `name=value`.
pub(super) fn named<'a>(list: &'a [u8], between: u8, name: &[u8]) -> Option<&'a [u8]> {
    list.split(|&byte| byte == between).find_map(|pair| pair.trim_ascii().strip_prefix(name)?.strip_prefix(b"="))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_are_read_as_proxies_write_them() {
        for (element, kind, address) in [
            (" 10.0.0.1", Name::XForwardedFor, Some("10.0.0.1:0")),
            ("10.0.0.1:80", Name::XForwardedFor, Some("10.0.0.1:80")),
            ("2001:db8::1", Name::XForwardedFor, Some("[2001:db8::1]:0")),
            ("[2001:db8::1]", Name::XForwardedFor, Some("[2001:db8::1]:0")),
            ("[2001:db8::1]:80", Name::XForwardedFor, Some("[2001:db8::1]:80")),
            ("unknown", Name::XForwardedFor, None),
            ("", Name::XForwardedFor, None),
            ("by=10.0.0.9; For=\"[2001:db8::1]:80\";proto=http", Name::Forwarded, Some("[2001:db8::1]:80")),
            ("for=10.0.0.1", Name::Forwarded, Some("10.0.0.1:0")),
            ("for=_hidden", Name::Forwarded, None),
            ("proto=http", Name::Forwarded, None),
        ] {
            assert_eq!(node(element.as_bytes(), kind), address.map(|text| text.parse().unwrap()), "{element}");
        }
    }

    #[test]
    fn lists_are_searched_by_whole_names() {
        assert_eq!(named(b"a=1; user=x; xuser=y", b';', b"user"), Some(&b"x"[..]));
        assert_eq!(named(b"userx=1&user=", b'&', b"user"), Some(&b""[..]));
        assert_eq!(named(b"user", b'&', b"user"), None);
    }
}
