//! Targets that speak TLS, and what was said in their handshakes.

use super::target::{Peer, Target};
use super::tls::Made;
use super::wire::Tls;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use rustls::server::WebPkiClientVerifier;
use rustls::{HandshakeKind, RootCertStore, ServerConfig, ServerConnection, SupportedProtocolVersion};
use std::sync::{Arc, Mutex};

/// A target that speaks TLS.
pub struct Secure {
    pub target: Target,
    config: Arc<Mutex<Arc<ServerConfig>>>,
    hellos: Arc<Mutex<Vec<Hello>>>,
}

/// What a handshake came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    pub name: Option<String>,
    pub resumed: bool,
    pub alpn: Option<String>,
    /// Whether the client has shown a certificate.
    pub shown: bool,
}

/// How a target speaks TLS.
pub struct Speaks<'a> {
    pub made: &'a Made,
    /// The PEM of the authority whose clients alone are let in.
    pub clients: Option<String>,
    pub alpn: &'a [&'a str],
    pub versions: &'a [&'static SupportedProtocolVersion],
}

impl<'a> Speaks<'a> {
    pub fn with(made: &'a Made) -> Speaks<'a> {
        Speaks { made, clients: None, alpn: &[], versions: rustls::ALL_VERSIONS }
    }

    fn config(&self) -> Arc<ServerConfig> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder =
            ServerConfig::builder_with_provider(provider.clone()).with_protocol_versions(self.versions).unwrap();
        let builder = match &self.clients {
            Some(pem) => {
                let mut roots = RootCertStore::empty();
                roots.add(rustls::pki_types::CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()).unwrap();
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
                builder.with_client_cert_verifier(verifier.unwrap())
            }
            None => builder.with_no_client_auth(),
        };
        let key = PrivateKeyDer::from_pem_slice(self.made.key.as_bytes()).unwrap();
        let mut config = builder.with_single_cert(vec![self.made.der.clone()], key).unwrap();
        config.alpn_protocols = self.alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        Arc::new(config)
    }
}

impl Secure {
    /// Answers as [`Target::echo`] does.
    pub fn echo(name: &str, speaks: &Speaks<'_>) -> Secure {
        Secure::with(name, speaks, |peer| {
            while let Some(seen) = peer.request() {
                if peer.echo(&seen).is_none() {
                    return;
                }
            }
        })
    }

    /// Sends back whatever comes.
    pub fn mirror(name: &str, speaks: &Speaks<'_>) -> Secure {
        Secure::with(name, speaks, |peer| {
            while peer.fill(super::PATIENCE).is_ok_and(|count| count > 0) {
                let bytes = std::mem::take(&mut peer.buffer);
                if peer.try_send(bytes).is_err() {
                    return;
                }
            }
        })
    }

    /// Does `act` with each connection whose handshake is done.
    pub fn with(name: &str, speaks: &Speaks<'_>, act: impl Fn(&mut Peer) + Send + Sync + 'static) -> Secure {
        let config = Arc::new(Mutex::new(speaks.config()));
        let hellos = Arc::<Mutex<Vec<Hello>>>::default();
        let (current, heard) = (config.clone(), hellos.clone());
        let target = Target::with(name, move |peer| {
            let config = current.lock().unwrap().clone();
            let mut tls = Box::new(ServerConnection::new(config).unwrap());
            while tls.is_handshaking() {
                if tls.complete_io(&mut peer.socket).is_err() {
                    return;
                }
            }
            heard.lock().unwrap().push(Hello {
                name: tls.server_name().map(str::to_owned),
                resumed: tls.handshake_kind() == Some(HandshakeKind::Resumed),
                alpn: tls.alpn_protocol().map(|name| String::from_utf8_lossy(name).into_owned()),
                shown: tls.peer_certificates().is_some(),
            });
            peer.tls = Some(Tls::Server(tls));
            act(peer);
        });
        Secure { target, config, hellos }
    }

    /// Speaks another way from the next connection on.
    pub fn now(&self, speaks: &Speaks<'_>) {
        *self.config.lock().unwrap() = speaks.config();
    }

    /// What its handshakes came to, in their order.
    pub fn hellos(&self) -> Vec<Hello> {
        self.hellos.lock().unwrap().clone()
    }
}

/// The address, as a configuration names it.
impl std::fmt::Display for Secure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.target.fmt(f)
    }
}
