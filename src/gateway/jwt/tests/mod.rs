//! An issuer of tokens of every algorithm, and what is asked of what it makes.

mod abuse;
mod caching;
mod judging;
mod keys;
mod mutated;
mod vectors;

use super::*;
use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{self, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RsaEncoding, RsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use std::sync::LazyLock;
use x509_parser::prelude::FromDer;
use x509_parser::public_key::RSAPublicKey;

/// When the tests take place.
const NOW: u64 = 1_800_000_000;

/// One that everybody trusts.
static ISSUER: LazyLock<Issuer> = LazyLock::new(Issuer::new);
/// One that nobody does.
static MALLORY: LazyLock<Issuer> = LazyLock::new(Issuer::new);

struct Issuer {
    rsa: RsaKeyPair,
    p256: EcdsaKeyPair,
    p384: EcdsaKeyPair,
    p521: EcdsaKeyPair,
    ed25519: Ed25519KeyPair,
    secret: Vec<u8>,
}

impl Issuer {
    fn new() -> Self {
        Self {
            rsa: RsaKeyPair::generate(KeySize::Rsa2048).unwrap(),
            p256: EcdsaKeyPair::generate(&signature::ECDSA_P256_SHA256_FIXED_SIGNING).unwrap(),
            p384: EcdsaKeyPair::generate(&signature::ECDSA_P384_SHA384_FIXED_SIGNING).unwrap(),
            p521: EcdsaKeyPair::generate(&signature::ECDSA_P521_SHA512_FIXED_SIGNING).unwrap(),
            ed25519: Ed25519KeyPair::generate().unwrap(),
            secret: (0..64).map(|_| fastrand::u8(..)).collect(),
        }
    }

    fn sign(&self, algorithm: Algorithm, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        let hmac = |hash| hmac::sign(&hmac::Key::new(hash, &self.secret), message).as_ref().to_vec();
        let ec = |pair: &EcdsaKeyPair| pair.sign(&random, message).unwrap().as_ref().to_vec();
        let rsa = |encoding: &'static dyn RsaEncoding| {
            let mut signature = vec![0; self.rsa.public_modulus_len()];
            self.rsa.sign(encoding, &random, message, &mut signature).unwrap();
            signature
        };
        match algorithm {
            Algorithm::Hs256 => hmac(hmac::HMAC_SHA256),
            Algorithm::Hs384 => hmac(hmac::HMAC_SHA384),
            Algorithm::Hs512 => hmac(hmac::HMAC_SHA512),
            Algorithm::Rs256 => rsa(&signature::RSA_PKCS1_SHA256),
            Algorithm::Rs384 => rsa(&signature::RSA_PKCS1_SHA384),
            Algorithm::Rs512 => rsa(&signature::RSA_PKCS1_SHA512),
            Algorithm::Ps256 => rsa(&signature::RSA_PSS_SHA256),
            Algorithm::Ps384 => rsa(&signature::RSA_PSS_SHA384),
            Algorithm::Ps512 => rsa(&signature::RSA_PSS_SHA512),
            Algorithm::Es256 => ec(&self.p256),
            Algorithm::Es384 => ec(&self.p384),
            Algorithm::Es512 => ec(&self.p521),
            Algorithm::EdDsa => self.ed25519.sign(message).as_ref().to_vec(),
        }
    }

    /// A token with that header, whatever it says, signed by that algorithm.
    fn seal(&self, algorithm: Algorithm, header: &str, payload: &str) -> String {
        sealed(header, payload, |message| self.sign(algorithm, message))
    }

    fn token(&self, algorithm: Algorithm, claims: &Value) -> String {
        let header = json!({"alg": algorithm.name(), "typ": "JWT", "kid": algorithm.name()});
        self.seal(algorithm, &header.to_string(), &claims.to_string())
    }

    /// The key for an algorithm, which it names.
    fn jwk(&self, algorithm: Algorithm) -> Value {
        let ec = |pair: &EcdsaKeyPair, curve: &str| {
            let (x, y) = pair.public_key().as_ref()[1..].split_at((pair.public_key().as_ref().len() - 1) / 2);
            json!({"kty": "EC", "crv": curve, "x": base64(x), "y": base64(y)})
        };
        let mut key = match algorithm {
            Algorithm::Hs256 | Algorithm::Hs384 | Algorithm::Hs512 => json!({"kty": "oct", "k": base64(&self.secret)}),
            Algorithm::Es256 => ec(&self.p256, "P-256"),
            Algorithm::Es384 => ec(&self.p384, "P-384"),
            Algorithm::Es512 => ec(&self.p521, "P-521"),
            Algorithm::EdDsa => {
                json!({"kty": "OKP", "crv": "Ed25519", "x": base64(self.ed25519.public_key().as_ref())})
            }
            _ => {
                let (_, key) = RSAPublicKey::from_der(self.rsa.public_key().as_ref()).unwrap();
                let n = key.modulus.strip_prefix(&[0]).unwrap_or(key.modulus);
                json!({"kty": "RSA", "n": base64(n), "e": base64(key.exponent)})
            }
        };
        key["kid"] = algorithm.name().into();
        key["alg"] = algorithm.name().into();
        key
    }

    /// The public key for an algorithm, as SubjectPublicKeyInfo.
    fn der(&self, algorithm: Algorithm) -> Vec<u8> {
        match algorithm {
            Algorithm::Es256 => self.p256.public_key().as_der().unwrap().as_ref().to_vec(),
            Algorithm::Es384 => self.p384.public_key().as_der().unwrap().as_ref().to_vec(),
            Algorithm::Es512 => self.p521.public_key().as_der().unwrap().as_ref().to_vec(),
            Algorithm::EdDsa => self.ed25519.public_key().as_der().unwrap().as_ref().to_vec(),
            _ => AsDer::<aws_lc_rs::encoding::PublicKeyX509Der<'_>>::as_der(self.rsa.public_key())
                .unwrap()
                .as_ref()
                .to_vec(),
        }
    }

    fn pem(&self, algorithm: Algorithm) -> String {
        let lines: Vec<String> = STANDARD
            .encode(self.der(algorithm))
            .as_bytes()
            .chunks(64)
            .map(|line| String::from_utf8_lossy(line).into_owned())
            .collect();
        format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", lines.join("\n"))
    }

    /// All keys, each for its algorithm.
    fn keys(&self) -> Keys {
        jwks(&Algorithm::ALL.map(|algorithm| self.jwk(algorithm)))
    }
}

fn jwks(keys: &[Value]) -> Keys {
    Keys::from_jwks(json!({"keys": keys}).to_string().as_bytes()).unwrap()
}

fn base64(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn sealed(header: &str, payload: &str, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> String {
    let signed = format!("{}.{}", base64(header.as_bytes()), base64(payload.as_bytes()));
    let signature = sign(signed.as_bytes());
    format!("{signed}.{}", base64(&signature))
}

fn claims() -> Value {
    json!({"sub": "alice", "exp": NOW + 600})
}

fn taken(token: &str, keys: &Keys) -> Result<Claims, Denial> {
    verify(token, keys, &Policy::default(), NOW)
}

fn denied(token: &str, keys: &Keys) -> Option<Denial> {
    taken(token, keys).err()
}
