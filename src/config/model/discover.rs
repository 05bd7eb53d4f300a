//! `[dns]` and `[pools.NAME.discover]`: where targets are found that nobody writes down.

use crate::config::formats::{DnsName, DnsServer, FilePath, ServiceName, SourceUrl};
use crate::config::units::Span;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::path::PathBuf;

/// `[dns]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Dns {
    /// Who is asked, in this order: "127.0.0.1", or "127.0.0.1:8600" with a port. Empty: /etc/hosts and the servers of
    /// /etc/resolv.conf, which is read again when it changes.
    #[schemars(with = "Vec<DnsServer>")]
    pub servers: Vec<SocketAddr>,
    /// How long one question may take; then it is asked again.
    #[schemars(extend("x-minimum" = "10ms", "x-maximum" = "30s"))]
    pub timeout: Span,
    /// How often a question is asked before the lookup has failed.
    #[schemars(range(min = 1, max = 10))]
    pub attempts: u32,
}

impl Default for Dns {
    fn default() -> Self {
        Self { servers: Vec::new(), timeout: Span::secs(2), attempts: 3 }
    }
}

/// `[pools.NAME.discover]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Discover {
    /// A name whose addresses are the targets, on `port`.
    #[schemars(with = "Option<DnsName>")]
    pub dns: Option<String>,
    /// A service whose SRV records are the targets: "_http._tcp.api.example.com". Records of a higher priority value than the
    /// lowest are backups.
    #[schemars(with = "Option<ServiceName>")]
    pub srv: Option<String>,
    /// A file with the targets: an address a line, `targets` in TOML as a pool has them, or the JSON of Prometheus' file_sd. It is
    /// read again when it changes.
    #[schemars(with = "Option<FilePath>")]
    pub file: Option<PathBuf>,
    /// A URL that is asked for the targets, in the same forms.
    #[schemars(with = "Option<SourceUrl>")]
    pub http: Option<String>,
    /// The port of the targets that `dns` finds. Absent: 80, or 443 in a pool with `tls`; a pool of a tcp or udp listener needs it.
    #[schemars(range(min = 1, max = 65535))]
    pub port: Option<u16>,
    /// Which addresses of a name are targets.
    pub family: Family,
    /// Who is asked for this pool alone. Empty: as `[dns]` says.
    #[schemars(with = "Vec<DnsServer>")]
    pub servers: Vec<SocketAddr>,
    /// A name is not asked for more often than this, however short its TTL is.
    #[schemars(extend("x-minimum" = "100ms", "x-maximum" = "1h"))]
    pub min_ttl: Span,
    /// Nor less often than this, however long it is.
    #[schemars(extend("x-minimum" = "100ms", "x-maximum" = "24h"))]
    pub max_ttl: Span,
    /// How often `http` is asked.
    #[schemars(extend("x-minimum" = "100ms", "x-maximum" = "24h"))]
    pub interval: Span,
    /// How long an answer of `http` may take.
    #[schemars(extend("x-minimum" = "10ms", "x-maximum" = "1m"))]
    pub timeout: Span,
    /// A file with the token that `http` is asked with: `Authorization: Bearer …`. Read anew for each question.
    #[schemars(with = "Option<FilePath>")]
    pub token_file: Option<PathBuf>,
    /// A PEM file with what the certificate of `http` is checked by. Absent: what the system trusts.
    #[schemars(with = "Option<FilePath>")]
    pub ca: Option<PathBuf>,
    /// For how long it must be said that there is no target (no such name, an empty answer) until the last ones are let go. A
    /// source that does not answer at all changes nothing.
    #[schemars(extend("x-maximum" = "24h"))]
    pub hold: Span,
    /// The weight of targets whose source says none.
    #[schemars(range(min = 0, max = 256))]
    pub weight: u32,
    /// Whether targets are backups, where their source does not say.
    pub backup: bool,
    /// Requests, or connections of tcp listeners, that a target may have in hand, where its source does not say. Absent: any.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max_in_flight: Option<u32>,
    /// Targets that are taken from one answer; what is beyond is left out and told of.
    #[schemars(range(min = 1, max = 10000))]
    pub max_targets: usize,
}

impl Default for Discover {
    fn default() -> Self {
        Self {
            dns: None,
            srv: None,
            file: None,
            http: None,
            port: None,
            family: Family::PreferIpv4,
            servers: Vec::new(),
            min_ttl: Span::secs(1),
            max_ttl: Span::secs(60),
            interval: Span::secs(30),
            timeout: Span::secs(5),
            token_file: None,
            ca: None,
            hold: Span::secs(30),
            weight: 1,
            backup: false,
            max_in_flight: None,
            max_targets: 1000,
        }
    }
}

/// Which addresses of a name are targets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Family {
    /// Those of IPv4, or if there is none, those of IPv6.
    PreferIpv4,
    /// Those of IPv6, or if there is none, those of IPv4.
    PreferIpv6,
    /// Those of IPv4 alone.
    Ipv4,
    /// Those of IPv6 alone.
    Ipv6,
    /// All of them.
    Both,
}

/// Where targets are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source<'a> {
    /// The addresses of a name, with this port.
    Dns(&'a str, u16),
    /// The SRV records of a service.
    Srv(&'a str),
    /// A file.
    File(&'a std::path::Path),
    /// A URL.
    Http(&'a str),
}

impl Discover {
    /// Gives it the port that it does not say, in a pool with TLS or in clear.
    pub fn settle(&mut self, tls: bool) {
        if self.dns.is_some() && self.port.is_none() {
            self.port = Some(if tls { 443 } else { 80 });
        }
    }

    /// Where targets are found; `None`: that is not said, or not in one way.
    pub fn source(&self) -> Option<Source<'_>> {
        match (&self.dns, &self.srv, &self.file, &self.http) {
            (Some(name), None, None, None) => Some(Source::Dns(name, self.port?)),
            (None, Some(service), None, None) => Some(Source::Srv(service)),
            (None, None, Some(file), None) => Some(Source::File(file)),
            (None, None, None, Some(url)) => Some(Source::Http(url)),
            _ => None,
        }
    }

    /// The source as operators see it: what may be secret in a URL is left out.
    pub fn shown(&self) -> String {
        match self.source() {
            Some(Source::Dns(name, port)) => format!("dns {name}:{port}"),
            Some(Source::Srv(service)) => format!("srv {service}"),
            Some(Source::File(file)) => format!("file {}", file.display()),
            Some(Source::Http(url)) => format!("http {}", url.split('?').next().unwrap_or_default()),
            None => "nowhere".to_owned(),
        }
    }

    /// What makes an answer to one the answer to another: where it is looked for, however often or long.
    pub fn identity(&self) -> String {
        let family = match self.source() {
            Some(Source::Dns(..) | Source::Srv(_)) => format!(" {:?}", self.family),
            _ => String::new(),
        };
        match self.source() {
            Some(Source::Http(url)) => format!("http {url}"),
            _ => format!("{}{family}", self.shown()),
        }
    }
}
