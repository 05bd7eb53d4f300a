//! The keys that a file names, each with its algorithm and whose it is.

use super::{Denial, Signed};
use crate::gateway::Consumer;
use aws_lc_rs::hmac;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256,
    RSA_PSS_2048_8192_SHA512, VerificationAlgorithm,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

/// Keys by their names.
#[derive(Default)]
pub struct Keys(HashMap<Box<str>, Key>);

/// A key.
pub(super) struct Key {
    kind: Kind,
    /// Its algorithm's name (RFC 9421 §6.2.2).
    algorithm: &'static str,
    pub(super) consumer: Arc<Consumer>,
}

enum Kind {
    Secret(Box<hmac::Key>),
    Public(ParsedPublicKey),
}

/// The shortest secret, in bytes.
const SHORTEST: usize = 16;
/// The longest name of a key, in bytes.
const LONGEST: usize = 255;
/// Algorithms with public keys.
const PUBLIC: [(&str, &dyn VerificationAlgorithm); 5] = [
    ("ed25519", &ED25519),
    ("ecdsa-p256-sha256", &ECDSA_P256_SHA256_FIXED),
    ("ecdsa-p384-sha384", &ECDSA_P384_SHA384_FIXED),
    ("rsa-pss-sha512", &RSA_PSS_2048_8192_SHA512),
    ("rsa-v1_5-sha256", &RSA_PKCS1_2048_8192_SHA256),
];
const HMAC: &str = "hmac-sha256";

impl Keys {
    /// Those of these lines, with their numbers: the name of a key, its algorithm, the key in base64, and whose it is, or its own name.
    /// `consumer` says who has a name.
    ///
    /// # Errors
    /// What is wrong with lines, by their numbers; nothing of what stands in them is shown but names.
    pub fn read<'l>(
        lines: impl Iterator<Item = (usize, &'l str)>,
        consumer: impl Fn(&str) -> Arc<Consumer>,
    ) -> Result<Self, Vec<(usize, String)>> {
        let (mut keys, mut faults) = (HashMap::new(), Vec::new());
        for (number, line) in lines {
            match key(line, &consumer) {
                Ok((name, key)) => {
                    if keys.insert(Box::from(name), key).is_some() {
                        faults.push((number, format!("key `{name}` stands twice")));
                    }
                }
                Err(why) => faults.push((number, why)),
            }
        }
        if faults.is_empty() { Ok(Self(keys)) } else { Err(faults) }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// The algorithm, if all keys have the same.
    pub fn algorithm(&self) -> Option<&'static str> {
        let mut all = self.0.values().map(|key| key.algorithm);
        let first = all.next()?;
        all.all(|other| other == first).then_some(first)
    }

    pub(super) fn find(&self, signed: &Signed) -> Option<&Key> {
        self.0.get(signed.key.as_str())
    }
}

impl Key {
    /// Whether a signature is that of `base`.
    pub(super) fn verify(&self, signed: &Signed, base: &[u8]) -> Result<(), Denial> {
        if signed.algorithm.as_deref().is_some_and(|named| named != self.algorithm) {
            return Err(Denial::Algorithm);
        }
        let verified = match &self.kind {
            Kind::Secret(secret) => hmac::verify(secret, base, &signed.signature).is_ok(),
            Kind::Public(key) => key.verify_sig(base, &signed.signature).is_ok(),
        };
        if verified { Ok(()) } else { Err(Denial::Wrong) }
    }
}

fn key(line: &str, consumer: impl Fn(&str) -> Arc<Consumer>) -> Result<(&str, Key), String> {
    let mut words = line.split_ascii_whitespace();
    let (Some(name), Some(algorithm), Some(key)) = (words.next(), words.next(), words.next()) else {
        return Err("it is no name, algorithm and key in base64".to_owned());
    };
    let whose = words.next().unwrap_or(name);
    if words.next().is_some() {
        return Err(format!("key `{name}`: something follows whose it is"));
    }
    if name.len() > LONGEST || whose.len() > LONGEST {
        return Err(format!("a name has at most {LONGEST} bytes"));
    }
    let bytes = STANDARD.decode(key).map_err(|_| format!("key `{name}`: it is not in base64"))?;
    let (kind, algorithm) = match PUBLIC.iter().find(|(known, _)| *known == algorithm) {
        Some((known, algorithm)) => {
            let parsed = ParsedPublicKey::new(*algorithm, &bytes);
            let parsed = parsed.map_err(|_| format!("key `{name}`: it is no public key of {known}"))?;
            (Kind::Public(parsed), *known)
        }
        None if algorithm == HMAC && bytes.len() >= SHORTEST => {
            (Kind::Secret(Box::new(hmac::Key::new(hmac::HMAC_SHA256, &bytes))), HMAC)
        }
        None if algorithm == HMAC => {
            return Err(format!("key `{name}`: it is shorter than {SHORTEST} bytes, and so can be guessed"));
        }
        None => {
            let known: Vec<&str> = [HMAC].into_iter().chain(PUBLIC.map(|(known, _)| known)).collect();
            return Err(format!("key `{name}`: its algorithm is none of {}", known.join(", ")));
        }
    };
    Ok((name, Key { kind, algorithm, consumer: consumer(whose) }))
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keys({})", self.count())
    }
}
