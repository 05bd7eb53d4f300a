//! An issuer of JSON Web Tokens, and a server that publishes its keys.

use super::target::Target;
use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{self, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RsaEncoding, RsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use std::time::SystemTime;
use x509_parser::prelude::FromDer;
use x509_parser::public_key::RSAPublicKey;

/// One of each family of algorithms.
pub const FAMILIES: [&str; 5] = ["RS256", "PS384", "ES256", "ES512", "EdDSA"];

/// An issuer: it signs tokens, and each key is named as its algorithm with the issuer's own name before it.
pub struct Issuer {
    name: String,
    rsa: RsaKeyPair,
    p256: EcdsaKeyPair,
    p521: EcdsaKeyPair,
    ed25519: Ed25519KeyPair,
    pub secret: String,
}

/// What a server of keys says: a status, and a body by path.
#[derive(Clone, Default)]
pub struct Said(Arc<Mutex<Answers>>);

/// A status, and bodies by the ends of paths.
type Answers = (u16, Vec<(String, String)>);

impl Issuer {
    pub fn new(name: &str) -> Issuer {
        Issuer {
            name: name.to_owned(),
            rsa: RsaKeyPair::generate(KeySize::Rsa2048).unwrap(),
            p256: EcdsaKeyPair::generate(&signature::ECDSA_P256_SHA256_FIXED_SIGNING).unwrap(),
            p521: EcdsaKeyPair::generate(&signature::ECDSA_P521_SHA512_FIXED_SIGNING).unwrap(),
            ed25519: Ed25519KeyPair::generate().unwrap(),
            secret: (0..48).map(|_| fastrand::alphanumeric()).collect(),
        }
    }

    /// The name of the key for an algorithm.
    pub fn kid(&self, algorithm: &str) -> String {
        format!("{}-{algorithm}", self.name)
    }

    fn sign(&self, algorithm: &str, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        let ec = |pair: &EcdsaKeyPair| pair.sign(&random, message).unwrap().as_ref().to_vec();
        let rsa = |encoding: &'static dyn RsaEncoding| {
            let mut signature = vec![0; self.rsa.public_modulus_len()];
            self.rsa.sign(encoding, &random, message, &mut signature).unwrap();
            signature
        };
        match algorithm {
            "HS256" => mac(self.secret.as_bytes(), message),
            "RS256" => rsa(&signature::RSA_PKCS1_SHA256),
            "PS384" => rsa(&signature::RSA_PSS_SHA384),
            "ES256" => ec(&self.p256),
            "ES512" => ec(&self.p521),
            "EdDSA" => self.ed25519.sign(message).as_ref().to_vec(),
            other => panic!("no key for {other}"),
        }
    }

    /// A token with a header and claims, whatever they say, signed by an algorithm.
    pub fn seal(&self, algorithm: &str, header: &str, claims: &str) -> String {
        sealed(header, claims, |message| self.sign(algorithm, message))
    }

    /// A token signed by an algorithm, which says so.
    pub fn token(&self, algorithm: &str, claims: &Value) -> String {
        let header = json!({"alg": algorithm, "typ": "JWT", "kid": self.kid(algorithm)});
        self.seal(algorithm, &header.to_string(), &claims.to_string())
    }

    fn jwk(&self, algorithm: &str) -> Value {
        let ec = |pair: &EcdsaKeyPair, curve: &str| {
            let point = &pair.public_key().as_ref()[1..];
            let (x, y) = point.split_at(point.len() / 2);
            json!({"kty": "EC", "crv": curve, "x": base64(x), "y": base64(y)})
        };
        let mut key = match algorithm {
            "ES256" => ec(&self.p256, "P-256"),
            "ES512" => ec(&self.p521, "P-521"),
            "EdDSA" => json!({"kty": "OKP", "crv": "Ed25519", "x": base64(self.ed25519.public_key().as_ref())}),
            _ => {
                let (_, key) = RSAPublicKey::from_der(self.rsa.public_key().as_ref()).unwrap();
                let n = key.modulus.strip_prefix(&[0]).unwrap_or(key.modulus);
                json!({"kty": "RSA", "n": base64(n), "e": base64(key.exponent)})
            }
        };
        key["kid"] = self.kid(algorithm).into();
        key["alg"] = algorithm.into();
        key
    }

    /// A set of the public keys of all families.
    pub fn jwks(&self) -> String {
        json!({"keys": FAMILIES.map(|algorithm| self.jwk(algorithm))}).to_string()
    }

    /// The RSA key in PEM.
    pub fn pem(&self) -> String {
        let der = AsDer::<PublicKeyX509Der<'_>>::as_der(self.rsa.public_key()).unwrap();
        let text = STANDARD.encode(der.as_ref());
        let lines: Vec<&str> = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
        format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", lines.join("\n"))
    }
}

impl Said {
    /// It answers everything with these keys.
    pub fn keys(keys: &str) -> Said {
        let said = Said::default();
        said.say(200, &[("", keys)]);
        said
    }

    /// It says this from now on, by the end of the path.
    pub fn say(&self, status: u16, bodies: &[(&str, &str)]) {
        let bodies = bodies.iter().map(|(path, body)| ((*path).to_owned(), (*body).to_owned())).collect();
        *self.0.lock().unwrap() = (status, bodies);
    }

    /// A server that says it.
    pub fn server(&self, name: &str) -> Target {
        let said = self.clone();
        Target::with(name, move |peer| {
            while let Some(seen) = peer.request() {
                let (status, bodies) = said.0.lock().unwrap().clone();
                let body = bodies.iter().find(|(path, _)| seen.path.ends_with(path)).map(|(_, body)| body.clone());
                let status = if body.is_some() { status } else { 404 };
                if peer.reply(status, &["Cache-Control: max-age=3600"], body.unwrap_or_default().as_bytes()).is_none() {
                    return;
                }
            }
        })
    }
}

/// Claims of a token that is good for ten minutes.
pub fn claims(more: &Value) -> Value {
    let mut claims = json!({"sub": "alice", "iss": "https://id.test", "aud": "api", "exp": now() + 600});
    for (name, value) in more.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims
}

/// Seconds since 1970.
pub fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs()
}

/// What stands for bytes in tokens.
pub fn base64(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The HMAC of a message, with SHA-256.
pub fn mac(secret: &[u8], message: &[u8]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), message).as_ref().to_vec()
}

/// A token that is signed in some way.
pub fn sealed(header: &str, claims: &str, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> String {
    let signed = format!("{}.{}", base64(header.as_bytes()), base64(claims.as_bytes()));
    let signature = sign(signed.as_bytes());
    format!("{signed}.{}", base64(&signature))
}
