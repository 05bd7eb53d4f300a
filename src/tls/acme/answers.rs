//! The answers to challenges that are under way. Control publishes them, workers look them up without a lock.

use arc_swap::ArcSwap;
use rcgen::{CertificateParams, CustomExtension, KeyPair};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

/// The protocol in ALPN by which an authority asks for the certificate of a challenge (RFC 8737 §6.2).
pub(in crate::tls) const PROTOCOL: &[u8] = b"acme-tls/1";

/// Where an authority asks for the file of a challenge (RFC 8555 §8.3).
const PREFIX: &[u8] = b"/.well-known/acme-challenge/";

/// The answers to challenges that are under way, of all listeners.
#[derive(Default)]
pub struct Answers {
    /// By token.
    texts: ArcSwap<HashMap<Box<str>, Box<str>>>,
    /// By name.
    sessions: ArcSwap<HashMap<Box<str>, Arc<ServerConfig>>>,
}

impl PartialEq for Answers {
    /// Each is a place of its own.
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }
}

impl Eq for Answers {}

/// An answer that can be had until this is dropped.
#[derive(Debug)]
pub struct Published {
    answers: Arc<Answers>,
    key: Key,
}

#[derive(Debug)]
enum Key {
    Token(Box<str>),
    Name(Box<str>),
}

impl Answers {
    /// What is at `path`, if it is that of a challenge under way.
    pub fn text(&self, path: &[u8]) -> Option<Box<str>> {
        let token = str::from_utf8(path.strip_prefix(PREFIX)?).ok()?;
        self.texts.load().get(token).cloned()
    }

    /// What an authority gets that asks for the certificate of a challenge for `name`.
    pub(in crate::tls) fn session(&self, name: Option<&str>) -> Option<Arc<ServerConfig>> {
        self.sessions.load().get(&*name?.to_ascii_lowercase()).cloned()
    }

    /// Publishes `text` under a token.
    pub fn publish_text(self: &Arc<Self>, token: &str, text: &str) -> Published {
        self.texts.rcu(|texts| with(texts, token, text.into()));
        Published { answers: self.clone(), key: Key::Token(token.into()) }
    }

    /// Publishes a certificate for `name` that holds the SHA-256 digest of the challenge. Computes.
    pub fn publish_certificate(self: &Arc<Self>, name: &str, digest: &[u8; 32]) -> Result<Published, String> {
        let config = session(name, digest)
            .map_err(|error| format!("no certificate for the challenge of `{name}` can be made: {error}"))?;
        let config = Arc::new(config);
        self.sessions.rcu(|sessions| with(sessions, name, config.clone()));
        Ok(Published { answers: self.clone(), key: Key::Name(name.into()) })
    }
}

impl Drop for Published {
    fn drop(&mut self) {
        match &self.key {
            Key::Token(token) => drop(self.answers.texts.rcu(|texts| without(texts, token))),
            Key::Name(name) => drop(self.answers.sessions.rcu(|sessions| without(sessions, name))),
        }
    }
}

fn with<V: Clone>(map: &HashMap<Box<str>, V>, key: &str, value: V) -> HashMap<Box<str>, V> {
    let mut map = map.clone();
    map.insert(key.into(), value);
    map
}

fn without<V: Clone>(map: &HashMap<Box<str>, V>, key: &str) -> HashMap<Box<str>, V> {
    let mut map = map.clone();
    map.remove(key);
    map
}

/// The certificate of a challenge (RFC 8737 §3), and the one protocol that it is for.
fn session(name: &str, digest: &[u8; 32]) -> Result<ServerConfig, Box<dyn std::error::Error>> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(vec![name.to_owned()])?;
    params.custom_extensions = vec![CustomExtension::new_acme_identifier(digest)];
    let certificate = params.self_signed(&key)?;
    let provider = Arc::new(aws_lc_rs::default_provider());
    let signer = provider.key_provider.load_private_key(PrivatePkcs8KeyDer::from(key.serialize_der()).into())?;
    // Not by the way that checks certificates: it does not know the extension, which is critical.
    let certified = CertifiedKey::new(vec![certificate.der().clone()], signer);
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
    config.alpn_protocols = vec![PROTOCOL.to_vec()];
    Ok(config)
}

impl fmt::Debug for Answers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answers").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_there_for_as_long_as_it_is_held() {
        let answers = Arc::new(Answers::default());
        let other = answers.publish_text("other", "other.print");
        let one = answers.publish_text("token", "token.print");
        assert_eq!(answers.text(b"/.well-known/acme-challenge/token").as_deref(), Some("token.print"));
        for path in ["/token", "/.well-known/acme-challenge/", "/.well-known/acme-challenge/token/", "/"] {
            assert_eq!(answers.text(path.as_bytes()), None, "{path}");
        }
        drop(one);
        assert_eq!(answers.text(b"/.well-known/acme-challenge/token"), None);
        assert!(answers.text(b"/.well-known/acme-challenge/other").is_some());
        drop(other);

        let published = answers.publish_certificate("a.test", &[7; 32]).unwrap();
        assert!(answers.session(Some("A.test")).is_some_and(|config| config.alpn_protocols == [PROTOCOL]));
        assert!(answers.session(Some("b.test")).is_none() && answers.session(None).is_none());
        drop(published);
        assert!(answers.session(Some("a.test")).is_none());
    }
}
