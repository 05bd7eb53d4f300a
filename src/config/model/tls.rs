//! `[listeners.NAME.tls]`: certificates, what is asked of clients, tickets. `[pools.NAME.tls]`: what is asked of targets.

use crate::config::formats::{AlpnProtocol, FilePath};
use crate::config::units::Span;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// `[listeners.NAME.tls]`
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Tls {
    /// Certificates, each for the names that it holds. The first is for clients that ask for no known name.
    pub certificates: Vec<CertificateSource>,
    /// Which versions of TLS are spoken.
    pub level: TlsLevel,
    /// Refuses clients that ask for a name no certificate holds, or for none.
    pub strict_sni: bool,
    /// Protocols to agree on, the most wanted first. Empty: "h2" and "http/1.1" on an http listener, anything on a tcp one.
    #[schemars(with = "Vec<AlpnProtocol>")]
    pub alpn: Vec<String>,
    /// Whether clients show a certificate.
    pub client_auth: ClientAuth,
    /// What lets clients come back without a whole handshake.
    pub tickets: Tickets,
    /// Tells browsers to come over TLS only (RFC 6797). Absent: they are told nothing.
    pub hsts: Option<Hsts>,
}

/// Where certificates are.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CertificateSource {
    /// A PEM file with a certificate and the chain above it.
    #[schemars(with = "Option<FilePath>")]
    pub cert: Option<PathBuf>,
    /// A PEM file with its private key, not encrypted. Absent: it stands in the same file.
    #[schemars(with = "Option<FilePath>")]
    pub key: Option<PathBuf>,
    /// A folder of such files instead: NAME.pem, .crt or .cer with NAME.key or the key inside, and folders with
    /// fullchain.pem and privkey.pem.
    #[schemars(with = "Option<FilePath>")]
    pub directory: Option<PathBuf>,
}

/// Which versions of TLS are spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TlsLevel {
    /// TLS 1.3 alone.
    Modern,
    /// TLS 1.3, and 1.2 with forward secrecy and authenticated ciphers.
    #[default]
    Intermediate,
}

/// Whether clients show a certificate.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ClientAuth {
    /// Whether one is asked for.
    pub mode: ClientAuthMode,
    /// A PEM file with the authorities whose certificates are taken.
    #[schemars(with = "Option<FilePath>")]
    pub ca: Option<PathBuf>,
    /// A PEM file with revocation lists: of every authority in the chain, and not out of date.
    #[schemars(with = "Option<FilePath>")]
    pub crl: Option<PathBuf>,
}

/// Whether a client's certificate is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ClientAuthMode {
    /// Not asked for.
    #[default]
    None,
    /// Asked for; a client may have none, but not a bad one.
    Optional,
    /// No handshake without one.
    Required,
}

/// What lets clients come back without a whole handshake.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Tickets {
    /// How long a ticket is good for; the keys are replaced as often. 0s gives none out.
    #[schemars(extend("x-minimum" = "0s", "x-maximum" = "7d"))]
    pub lifetime: Span,
    /// A file of keys that several hosts share, one per line in base64 and 32 bytes or more. The last but one seals, all
    /// open: a new key is added at the end. Absent: keys of the process's own.
    #[schemars(with = "Option<FilePath>")]
    pub keys_file: Option<PathBuf>,
}

impl Default for Tickets {
    fn default() -> Self {
        Self { lifetime: Span::secs(12 * 3600), keys_file: None }
    }
}

/// `[pools.NAME.tls]`
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PoolTls {
    /// Whose certificates are taken: "system" for the authorities that the system trusts, or a PEM file of authorities.
    pub ca: CaSource,
    /// Whether a target must prove its name. false lets whoever is on the way there read and change everything.
    pub verify: bool,
    /// The name that a target is asked for and must prove: "host" for the Host that it is sent, or one name for all.
    pub sni: SniPolicy,
    /// A PEM file with the certificate, and the chain above it, for targets that ask for one.
    #[schemars(with = "Option<FilePath>")]
    pub cert: Option<PathBuf>,
    /// A PEM file with its private key, not encrypted. Absent: it stands in the same file.
    #[schemars(with = "Option<FilePath>")]
    pub key: Option<PathBuf>,
    /// Which versions of TLS are spoken.
    pub level: TlsLevel,
}

impl Default for PoolTls {
    fn default() -> Self {
        Self {
            ca: CaSource::System,
            verify: true,
            sni: SniPolicy::Host,
            cert: None,
            key: None,
            level: TlsLevel::default(),
        }
    }
}

/// Whose certificates targets may show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CaSource {
    /// Those that the system trusts.
    System,
    /// Those in a file.
    File(PathBuf),
}

/// The name that targets must prove.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SniPolicy {
    /// The Host that they are sent.
    Host,
    /// This one.
    Fixed(String),
}

/// Tells browsers to come over TLS only.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Hsts {
    /// How long they remember. 0s makes them forget.
    #[schemars(extend("x-minimum" = "0s", "x-maximum" = "730d"))]
    pub max_age: Span,
    /// Whether it holds for all names below, too.
    pub include_subdomains: bool,
    /// Whether browsers may ship the name in their lists: hard to take back.
    pub preload: bool,
}

impl Default for Hsts {
    fn default() -> Self {
        Self { max_age: Span::secs(365 * 24 * 3600), include_subdomains: false, preload: false }
    }
}
