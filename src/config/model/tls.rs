//! `[listeners.NAME.tls]`: certificates, which authority issues them, what is asked of clients, tickets. `[pools.NAME.tls]`: what
//! is asked of targets.

use crate::config::formats::{AlpnProtocol, DirectoryUrl, FilePath, HostPattern, MailAddress};
use crate::config::units::Span;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// `[listeners.NAME.tls]`
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Tls {
    /// Certificates, each for the names that it holds. The first is for clients that ask for no known name.
    pub certificates: Vec<CertificateSource>,
    /// A certificate that an authority issues, and that is renewed in time (ACME, RFC 8555).
    pub acme: Option<Acme>,
    /// Which versions of TLS are spoken.
    pub level: TlsLevel,
    /// Refuses clients that ask for a name no certificate holds, or for none.
    pub strict_sni: bool,
    /// Protocols to agree on, the most wanted first. Empty: "h2" and "http/1.1" on an http listener, anything on a tcp one.
    #[schemars(with = "Vec<AlpnProtocol>")]
    pub alpn: Vec<String>,
    /// Whether clients show a certificate.
    pub client_auth: ClientAuth,
    /// What is different for some of the names that clients ask for.
    pub by_name: Vec<TlsByName>,
    /// What lets clients come back without a whole handshake.
    pub tickets: Tickets,
    /// Tells browsers to come over TLS only (RFC 6797). Absent: they are told nothing.
    pub hsts: Option<Hsts>,
}

/// Where certificates are.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CertificateSource {
    /// A PEM file with a certificate and the chain above it. The OCSP response in FILE.ocsp beside it is stapled.
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

/// A certificate that an authority issues.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Acme {
    /// The names that it is for, all in one certificate. Those with a star need challenge = "dns-01".
    #[schemars(with = "Vec<HostPattern>")]
    pub names: Vec<String>,
    /// A mail address that the authority may write to.
    #[schemars(with = "Option<MailAddress>")]
    pub contact: Option<String>,
    /// The URL of the authority's directory. Who sets this table agrees to the authority's terms.
    #[schemars(with = "DirectoryUrl")]
    pub directory: String,
    /// A PEM file with what the authority's own certificate is checked by. Absent: what the system trusts.
    #[schemars(with = "Option<FilePath>")]
    pub ca: Option<PathBuf>,
    /// How the authority sees that the names are ours.
    pub challenge: AcmeChallenge,
    /// The program that puts records into DNS for challenge = "dns-01": it is run as PROGRAM present|cleanup RECORD VALUE.
    #[schemars(with = "Option<FilePath>")]
    pub dns_hook: Option<PathBuf>,
    /// How long one call of that program may take.
    #[schemars(extend("x-minimum" = "1s", "x-maximum" = "1h"))]
    pub dns_timeout: Span,
    /// The kind of key; each certificate gets a new one.
    pub key: AcmeKey,
    /// How long before its end a certificate is renewed. Absent: a third of its lifetime.
    #[schemars(extend("x-minimum" = "1m", "x-maximum" = "365d"))]
    pub renew_before: Option<Span>,
}

impl Default for Acme {
    fn default() -> Self {
        Self {
            names: Vec::new(),
            contact: None,
            directory: "https://acme-v02.api.letsencrypt.org/directory".to_owned(),
            ca: None,
            challenge: AcmeChallenge::Http01,
            dns_hook: None,
            dns_timeout: Span::secs(120),
            key: AcmeKey::EcdsaP256,
            renew_before: None,
        }
    }
}

/// How an authority sees that names are ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum AcmeChallenge {
    /// It asks for a file on port 80 of the name: every http listener in clear has it.
    #[serde(rename = "http-01")]
    Http01,
    /// It does a handshake on port 443 of the name: every listener with TLS takes part in it.
    #[serde(rename = "tls-alpn-01")]
    TlsAlpn01,
    /// It asks for a record in DNS.
    #[serde(rename = "dns-01")]
    Dns01,
}

/// The kind of a certificate's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum AcmeKey {
    /// ECDSA on P-256.
    #[serde(rename = "ecdsa-p256")]
    EcdsaP256,
    /// ECDSA on P-384.
    #[serde(rename = "ecdsa-p384")]
    EcdsaP384,
    /// RSA of 2048 bits.
    #[serde(rename = "rsa-2048")]
    Rsa2048,
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

/// What is different for some of the names that clients ask for. What is absent is as the listener has it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TlsByName {
    /// The names, each in one entry alone. An exact name goes before one with a star, which stands for one label.
    #[schemars(with = "Vec<HostPattern>")]
    pub names: Vec<String>,
    /// Which versions of TLS are spoken.
    pub level: Option<TlsLevel>,
    /// Protocols to agree on, the most wanted first.
    #[schemars(with = "Option<Vec<AlpnProtocol>>")]
    pub alpn: Option<Vec<String>>,
    /// Whether clients show a certificate: the table as a whole.
    pub client_auth: Option<ClientAuth>,
}

/// Whether clients show a certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
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
    /// Protocols to offer for tcp listeners, the most wanted first; one that the client has agreed on with its listener is
    /// offered alone. Empty: none.
    #[schemars(with = "Vec<AlpnProtocol>")]
    pub alpn: Vec<String>,
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
            alpn: Vec::new(),
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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
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
