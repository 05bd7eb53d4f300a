//! Certificates made for a test, and clients that speak TLS.

use super::client::Client;
use super::wire::{Tls, Wire};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DnType, IsCa, KeyIdMethod,
    KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256, RevokedCertParams, SerialNumber, SigningKey,
    date_time_ymd,
};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ClientSessionMemoryCache, Resumption, WebPkiServerVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, HandshakeKind, RootCertStore, SignatureScheme,
    SupportedProtocolVersion,
};
use std::path::Path;
use std::sync::{Arc, Mutex};

/// Who signs a test's certificates.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// A certificate and its key, as PEM.
#[derive(Clone)]
pub struct Made {
    pub cert: String,
    pub key: String,
    pub der: CertificateDer<'static>,
}

/// The kind of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Rsa,
    Ecdsa,
}

impl Authority {
    pub fn new(name: &str) -> Authority {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        Authority { issuer: CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap() }
    }

    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    pub fn der(&self) -> CertificateDer<'static> {
        self.issuer.der().clone()
    }

    pub fn sign(&self, bytes: &[u8]) -> Vec<u8> {
        self.issuer.key().sign(bytes).unwrap()
    }

    /// A server's certificate.
    pub fn server(&self, names: &[&str], kind: Kind) -> Made {
        self.make(kind, |params| {
            *params = CertificateParams::new(names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>()).unwrap();
        })
    }

    /// A client's certificate with a serial number to revoke it by.
    pub fn client(&self, name: &str, serial: u64) -> Made {
        self.make(Kind::Ecdsa, |params| {
            params.distinguished_name = rcgen::DistinguishedName::new();
            params.distinguished_name.push(DnType::OrganizationName, "Example, Inc.");
            params.distinguished_name.push(DnType::CommonName, name);
            params.subject_alt_names =
                vec![rcgen::SanType::Rfc822Name(format!("{name}@site.test").try_into().unwrap())];
            params.serial_number = Some(SerialNumber::from(serial));
        })
    }

    /// A server's certificate for a key that is there already.
    pub fn server_with(&self, key: &KeyPair, names: &[&str]) -> Made {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let cert = CertificateParams::new(names).unwrap().signed_by(key, &self.issuer).unwrap();
        Made { cert: cert.pem(), key: key.serialize_pem(), der: cert.der().clone() }
    }

    pub fn make(&self, kind: Kind, change: impl FnOnce(&mut CertificateParams)) -> Made {
        let mut params = CertificateParams::default();
        change(&mut params);
        let key = match kind {
            Kind::Rsa => KeyPair::generate_for(&PKCS_RSA_SHA256).unwrap(),
            Kind::Ecdsa => KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap(),
        };
        let cert = params.signed_by(&key, &self.issuer).unwrap();
        Made { cert: cert.pem(), key: key.serialize_pem(), der: cert.der().clone() }
    }

    /// A list that revokes these serial numbers.
    pub fn revokes(&self, serials: &[u64]) -> String {
        let revoked = |serial: &u64| RevokedCertParams {
            serial_number: SerialNumber::from(*serial),
            revocation_time: date_time_ymd(2024, 1, 1),
            reason_code: None,
            invalidity_date: None,
        };
        let params = CertificateRevocationListParams {
            this_update: date_time_ymd(2024, 1, 1),
            next_update: date_time_ymd(4000, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: serials.iter().map(revoked).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&self.issuer).unwrap().pem().unwrap()
    }

    /// A client that trusts it.
    pub fn dial(&self) -> Dial {
        Dial::trusting(self.pem().as_bytes())
    }
}

impl Made {
    /// Writes NAME.pem and NAME.key.
    pub fn write(&self, folder: &Path, name: &str) {
        std::fs::create_dir_all(folder).unwrap();
        std::fs::write(folder.join(format!("{name}.key")), &self.key).unwrap();
        std::fs::write(folder.join(format!("{name}.pem")), &self.cert).unwrap();
    }
}

/// How a client speaks TLS.
#[derive(Clone)]
pub struct Dial {
    roots: RootCertStore,
    provider: CryptoProvider,
    versions: Vec<&'static SupportedProtocolVersion>,
    identity: Option<Made>,
    alpn: Vec<Vec<u8>>,
}

fn provider() -> CryptoProvider {
    rustls::crypto::aws_lc_rs::default_provider()
}

impl Dial {
    /// A client that trusts the authority whose certificate this is, in PEM.
    pub fn trusting(pem: &[u8]) -> Dial {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(pem).unwrap()).unwrap();
        Dial { roots, provider: provider(), versions: rustls::ALL_VERSIONS.to_vec(), identity: None, alpn: Vec::new() }
    }

    pub fn version(mut self, version: &'static SupportedProtocolVersion) -> Dial {
        self.versions = vec![version];
        self
    }

    /// Checks signatures of this kind of key alone.
    pub fn only(mut self, kind: Kind) -> Dial {
        let fits = |scheme: &SignatureScheme| {
            let ecdsa = format!("{scheme:?}").starts_with("ECDSA");
            ecdsa == (kind == Kind::Ecdsa)
        };
        let all = self.provider.signature_verification_algorithms;
        let mapping: Vec<_> = all.mapping.iter().filter(|(scheme, _)| fits(scheme)).copied().collect();
        self.provider.signature_verification_algorithms.mapping = mapping.leak();
        self
    }

    pub fn showing(mut self, identity: &Made) -> Dial {
        self.identity = Some(identity.clone());
        self
    }

    pub fn alpn(mut self, protocols: &[&str]) -> Dial {
        self.alpn = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        self
    }

    /// A configuration whose sessions go on from one connection to the next.
    pub fn config(&self) -> Arc<ClientConfig> {
        let builder = ClientConfig::builder_with_provider(Arc::new(self.provider.clone()))
            .with_protocol_versions(&self.versions)
            .unwrap()
            .with_root_certificates(self.roots.clone());
        let mut config = match &self.identity {
            Some(identity) => {
                let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).unwrap();
                builder.with_client_auth_cert(vec![identity.der.clone()], key).unwrap()
            }
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols.clone_from(&self.alpn);
        config.resumption = Resumption::store(Arc::new(ClientSessionMemoryCache::new(32)));
        Arc::new(config)
    }

    /// A connection for `name`; fails with what the handshake failed with.
    pub fn try_to(&self, address: &str, name: &str) -> Result<Client, String> {
        connect(&self.config(), address, name)
    }

    /// The OCSP response that is stapled to a whole handshake; empty if there is none.
    pub fn stapled(&self, address: &str, name: &str) -> Vec<u8> {
        let verifier = WebPkiServerVerifier::builder(Arc::new(self.roots.clone())).build().unwrap();
        let hears = Arc::new(Hears { verifier, heard: Mutex::default() });
        let mut config = (*self.config()).clone();
        config.dangerous().set_certificate_verifier(hears.clone());
        connect(&Arc::new(config), address, name).unwrap();
        std::mem::take(&mut hears.heard.lock().unwrap())
    }

    #[track_caller]
    pub fn to(&self, address: &str, name: &str) -> Client {
        self.try_to(address, name).unwrap_or_else(|error| panic!("no session with {address} for {name}: {error}"))
    }
}

/// Verifies as usual and keeps what was stapled.
#[derive(Debug)]
struct Hears {
    verifier: Arc<WebPkiServerVerifier>,
    heard: Mutex<Vec<u8>>,
}

impl ServerCertVerifier for Hears {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        stapled: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        *self.heard.lock().unwrap() = stapled.to_vec();
        self.verifier.verify_server_cert(leaf, chain, name, stapled, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier.verify_tls12_signature(message, cert, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier.verify_tls13_signature(message, cert, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}

/// A connection whose handshake is done, and accepted: with TLS 1.3 a server may refuse a client after the client is done.
pub fn connect(config: &Arc<ClientConfig>, address: &str, name: &str) -> Result<Client, String> {
    over(Wire::connect(address, None).map_err(|error| error.to_string())?, config, name)
}

/// The same on a connection that stands.
pub fn over(mut wire: Wire, config: &Arc<ClientConfig>, name: &str) -> Result<Client, String> {
    wire.socket.set_read_timeout(Some(super::PATIENCE)).unwrap();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let mut tls = ClientConnection::new(config.clone(), name).map_err(|error| error.to_string())?;
    while tls.is_handshaking() {
        tls.complete_io(&mut wire.socket).map_err(|error| error.to_string())?;
    }
    wire.tls = Some(Tls::Client(Box::new(tls)));
    Ok(Client::over(wire))
}

/// The certificate that the server showed.
pub fn shown(client: &Client) -> CertificateDer<'static> {
    let tls = client.tls.as_ref().unwrap();
    tls.peer_certificates().unwrap()[0].clone().into_owned()
}

/// Whether the session goes on from an earlier one.
pub fn resumed(client: &Client) -> bool {
    client.tls.as_ref().unwrap().handshake_kind() == Some(HandshakeKind::Resumed)
}

/// The keys of a listener that shows `NAME.pem` of the folder of the configuration for each of `names`; more follows.
pub fn listener(names: &[&str], more: &str) -> String {
    let sources: Vec<String> = names.iter().map(|n| format!("{{ cert = \"{n}.pem\", key = \"{n}.key\" }}")).collect();
    format!("[listeners.web.tls]\ncertificates = [{}]\n{more}\n", sources.join(", "))
}
