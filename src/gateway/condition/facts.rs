//! What conditions are about: the names that they may use, and where what these stand for comes from.

use serde_json::{Map, Value};
use std::borrow::Cow;
use std::net::IpAddr;

/// What a condition is asked about. Nothing of it is made before a condition that names it is asked.
pub trait Facts {
    /// A text, empty where there is none.
    fn text(&self, of: Text) -> Cow<'_, [u8]>;

    /// A value by its name; names of headers are in lower case. Of lines of one header all, with `, ` between (RFC 9110 §5.3); of
    /// parameters and cookies the first.
    fn value(&self, of: Named, name: &[u8]) -> Option<Cow<'_, [u8]>>;

    /// Shows the names of all values; those of headers in lower case.
    fn each_name(&self, of: Named, see: &mut dyn FnMut(&[u8]));

    /// Bytes of the body; `None` where the head does not tell.
    fn size(&self) -> Option<u64>;

    /// The client, whom a trusted proxy may have named.
    fn client(&self) -> IpAddr;

    /// Whether it came over TLS that ends here.
    fn is_secure(&self) -> bool;

    /// Whether the client showed a certificate in that.
    fn has_certificate(&self) -> bool;

    /// The groups of the consumer; none where nobody is known.
    fn groups(&self) -> &[Box<str>] {
        &[]
    }

    /// What a token says of the consumer; `None` where there was none.
    fn claims(&self) -> Option<&Map<String, Value>> {
        None
    }
}

/// Texts of which there is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Text {
    /// The method, as sent.
    Method,
    /// The path that routes see.
    Path,
    /// The host that routes see.
    Host,
    /// `http` or `https`: how it came.
    Scheme,
    /// The name that the client asked for in the TLS handshake.
    Sni,
    /// `1.2` or `1.3`.
    TlsVersion,
    /// The common name of the client's certificate.
    CommonName,
    /// Its subject, as RFC 4514 writes it.
    Subject,
    /// Its alternative names, with commas between.
    AlternativeNames,
    /// The SHA-256 of it, in hex.
    Fingerprint,
    /// The listener.
    Listener,
    /// The route.
    Route,
    /// The consumer.
    Consumer,
}

/// Values that have names of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Named {
    /// Header lines.
    Header,
    /// Parameters of the query, decoded as forms are.
    Query,
    /// Cookies.
    Cookie,
}

/// Where a condition stands: what is known there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// On a route: the route is not chosen yet.
    Routing,
    /// On a rule that is asked before it is known who asks.
    Early,
    /// On a rule that is asked after that.
    Known,
}

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fact {
    Text(Text),
    Named(Named),
    Size,
    Client,
    Secure,
    Certificate,
    Groups,
    Claims,
}

/// All names, what they stand for, and from where on it is known.
pub(super) const NAMES: [(&str, Fact, Stage); 22] = [
    ("request.method", Fact::Text(Text::Method), Stage::Routing),
    ("request.path", Fact::Text(Text::Path), Stage::Routing),
    ("request.query", Fact::Named(Named::Query), Stage::Routing),
    ("request.host", Fact::Text(Text::Host), Stage::Routing),
    ("request.scheme", Fact::Text(Text::Scheme), Stage::Routing),
    ("request.headers", Fact::Named(Named::Header), Stage::Routing),
    ("request.cookies", Fact::Named(Named::Cookie), Stage::Routing),
    ("request.size", Fact::Size, Stage::Routing),
    ("client.ip", Fact::Client, Stage::Routing),
    ("tls.enabled", Fact::Secure, Stage::Routing),
    ("tls.sni", Fact::Text(Text::Sni), Stage::Routing),
    ("tls.version", Fact::Text(Text::TlsVersion), Stage::Routing),
    ("tls.client_certificate.present", Fact::Certificate, Stage::Routing),
    ("tls.client_certificate.common_name", Fact::Text(Text::CommonName), Stage::Routing),
    ("tls.client_certificate.subject", Fact::Text(Text::Subject), Stage::Routing),
    ("tls.client_certificate.san", Fact::Text(Text::AlternativeNames), Stage::Routing),
    ("tls.client_certificate.fingerprint", Fact::Text(Text::Fingerprint), Stage::Routing),
    ("listener.name", Fact::Text(Text::Listener), Stage::Routing),
    ("route.name", Fact::Text(Text::Route), Stage::Early),
    ("consumer.name", Fact::Text(Text::Consumer), Stage::Known),
    ("consumer.groups", Fact::Groups, Stage::Known),
    ("consumer.claims", Fact::Claims, Stage::Known),
];

impl Fact {
    /// Whether it is about who asks.
    pub(super) fn is_of_consumer(self) -> bool {
        matches!(self, Self::Groups | Self::Claims | Self::Text(Text::Consumer))
    }
}
