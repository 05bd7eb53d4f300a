//! One key, and what it verifies: its algorithms are its own, whatever a token says.

use super::Algorithm;
use aws_lc_rs::digest::{Context, SHA256};
use aws_lc_rs::hmac;
use aws_lc_rs::rsa::PublicKeyComponents;
use aws_lc_rs::signature::{self, EcdsaVerificationAlgorithm, ParsedPublicKey, RsaParameters};
use std::fmt;

/// The shortest RSA key, in bits (RFC 7518 §3.3).
const RSA_SHORTEST: usize = 2048;
/// The longest, whose use still costs little.
const RSA_LONGEST: usize = 8192;

/// A key.
pub(super) struct Key {
    /// Its name; one without is tried for any.
    id: Option<Box<str>>,
    ways: Box<[(Algorithm, Way)]>,
    print: Print,
}

/// What tells one key from another: a hash of all there is to it. It is of secrets, too, and is never shown.
pub type Print = [u8; 32];

enum Way {
    Public(ParsedPublicKey),
    Secret(Box<hmac::Key>),
}

/// A curve of ECDSA.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Curve {
    P256,
    P384,
    P521,
}

impl Key {
    /// An RSA key: modulus and exponent, most significant byte first.
    pub(super) fn rsa(id: Option<&str>, n: &[u8], e: &[u8], pinned: Option<Algorithm>) -> Result<Self, String> {
        let (n, e) = (stripped(n), stripped(e));
        let bits = n.first().map_or(0, |first| n.len() * 8 - first.leading_zeros() as usize);
        if !(RSA_SHORTEST..=RSA_LONGEST).contains(&bits) {
            return Err(format!("an RSA key has {RSA_SHORTEST} to {RSA_LONGEST} bits, this one {bits}"));
        }
        let odd = |number: &[u8]| number.last().is_some_and(|last| last % 2 == 1);
        if !odd(n) || !odd(e) || e == [1] || e.len() > 4 {
            return Err("its numbers are no RSA key's".to_owned());
        }
        let public = PublicKeyComponents { n, e };
        let ways = algorithms(&Algorithm::RSA, pinned, "an RSA key")?.into_iter().map(|algorithm| {
            let parameters = parameters(algorithm).ok_or("no algorithm of RSA keys")?;
            let key = public.to_parsed_public_key(parameters).map_err(|_| "its numbers are no RSA key's")?;
            Ok((algorithm, Way::Public(key)))
        });
        Self::new(id, ways.collect::<Result<_, &str>>()?, &[b"RSA", n, e])
    }

    /// A key of ECDSA: a point as SEC 1 §2.3.3 writes it, on the curve.
    pub(super) fn ec(id: Option<&str>, curve: Curve, point: &[u8], pinned: Option<Algorithm>) -> Result<Self, String> {
        let (own, verification) = curve.algorithm();
        let algorithms = algorithms(&[own], pinned, "a key of this curve")?;
        let key = ParsedPublicKey::new(verification, point).map_err(|_| "it is no point of its curve")?;
        let ways = algorithms.into_iter().map(|algorithm| (algorithm, Way::Public(key.clone())));
        Self::new(id, ways.collect(), &[b"EC", own.name().as_bytes(), point])
    }

    /// A key of Ed25519, 32 bytes.
    pub(super) fn ed25519(id: Option<&str>, public: &[u8], pinned: Option<Algorithm>) -> Result<Self, String> {
        let algorithms = algorithms(&[Algorithm::EdDsa], pinned, "a key of Ed25519")?;
        let key =
            <&[u8; 32]>::try_from(public).ok().and_then(|raw| ParsedPublicKey::new(&signature::ED25519, raw).ok());
        let key = key.ok_or("it is no key of Ed25519")?;
        let ways = algorithms.into_iter().map(|algorithm| (algorithm, Way::Public(key.clone())));
        Self::new(id, ways.collect(), &[b"OKP", public])
    }

    /// A shared secret: as long at least as the hash of its algorithm (RFC 7518 §3.2).
    pub(super) fn secret(id: Option<&str>, secret: &[u8], pinned: Option<Algorithm>) -> Result<Self, String> {
        let all = [
            (Algorithm::Hs256, hmac::HMAC_SHA256),
            (Algorithm::Hs384, hmac::HMAC_SHA384),
            (Algorithm::Hs512, hmac::HMAC_SHA512),
        ];
        let algorithms = algorithms(&all.map(|(algorithm, _)| algorithm), pinned, "a shared secret")?;
        let wanted = all.iter().filter(|(algorithm, _)| algorithms.contains(algorithm));
        let shortest = wanted.clone().map(|(_, hash)| hash.tag_len()).min().unwrap_or(usize::MAX);
        let ways: Vec<_> = wanted
            .filter(|(_, hash)| secret.len() >= hash.tag_len())
            .map(|(algorithm, hash)| (*algorithm, Way::Secret(Box::new(hmac::Key::new(*hash, secret)))))
            .collect();
        if ways.is_empty() {
            let name = algorithms.first().map_or("HS256", |algorithm| algorithm.name());
            return Err(format!(
                "a secret for {name} has at least {shortest} bytes, this one {}; `openssl rand -base64 {shortest}` makes a good one",
                secret.len()
            ));
        }
        Self::new(id, ways, &[b"oct", secret])
    }

    fn new(id: Option<&str>, ways: Vec<(Algorithm, Way)>, material: &[&[u8]]) -> Result<Self, String> {
        let mut print = Context::new(&SHA256);
        let mut add = |part: &[u8]| {
            print.update(&(part.len() as u64).to_le_bytes());
            print.update(part);
        };
        add(&[u8::from(id.is_some())]);
        add(id.unwrap_or_default().as_bytes());
        add(&ways.iter().map(|(algorithm, _)| *algorithm as u8).collect::<Vec<_>>());
        material.iter().for_each(|part| add(part));
        let print = print.finish().as_ref().try_into().map_err(|_| "SHA-256 has 32 bytes")?;
        Ok(Self { id: id.map(Into::into), ways: ways.into(), print })
    }

    /// Whether a token that names `id` may mean it.
    pub(super) fn answers_to(&self, id: Option<&str>) -> bool {
        match (&self.id, id) {
            (Some(own), Some(id)) => **own == *id,
            _ => true,
        }
    }

    /// Whether it is for that algorithm.
    pub(super) fn is_for(&self, algorithm: Algorithm) -> bool {
        self.ways.iter().any(|(own, _)| *own == algorithm)
    }

    /// Whether it has signed that.
    pub(super) fn verifies(&self, algorithm: Algorithm, signed: &[u8], signature: &[u8]) -> bool {
        self.ways.iter().any(|(own, way)| {
            *own == algorithm
                && match way {
                    Way::Public(key) => key.verify_sig(signed, signature).is_ok(),
                    Way::Secret(key) => hmac::verify(key, signed, signature).is_ok(),
                }
        })
    }

    /// What tells it from others.
    pub(super) fn print(&self) -> &Print {
        &self.print
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.ways.iter().map(|(algorithm, _)| algorithm.name());
        out.debug_struct("Key").field("id", &self.id).field("algorithms", &names.collect::<Vec<_>>()).finish()
    }
}

impl Curve {
    /// The length of a coordinate, in bytes.
    pub(super) fn coordinate(self) -> usize {
        match self {
            Self::P256 => 32,
            Self::P384 => 48,
            Self::P521 => 66,
        }
    }

    fn algorithm(self) -> (Algorithm, &'static EcdsaVerificationAlgorithm) {
        match self {
            Self::P256 => (Algorithm::Es256, &signature::ECDSA_P256_SHA256_FIXED),
            Self::P384 => (Algorithm::Es384, &signature::ECDSA_P384_SHA384_FIXED),
            Self::P521 => (Algorithm::Es512, &signature::ECDSA_P521_SHA512_FIXED),
        }
    }
}

/// Those of `own` that a key verifies which says `pinned`.
fn algorithms(own: &[Algorithm], pinned: Option<Algorithm>, of: &str) -> Result<Vec<Algorithm>, String> {
    match pinned {
        None => Ok(own.to_vec()),
        Some(algorithm) if own.contains(&algorithm) => Ok(vec![algorithm]),
        Some(algorithm) => Err(format!("{} is no algorithm of {of}", algorithm.name())),
    }
}

fn parameters(algorithm: Algorithm) -> Option<&'static RsaParameters> {
    Some(match algorithm {
        Algorithm::Rs256 => &signature::RSA_PKCS1_2048_8192_SHA256,
        Algorithm::Rs384 => &signature::RSA_PKCS1_2048_8192_SHA384,
        Algorithm::Rs512 => &signature::RSA_PKCS1_2048_8192_SHA512,
        Algorithm::Ps256 => &signature::RSA_PSS_2048_8192_SHA256,
        Algorithm::Ps384 => &signature::RSA_PSS_2048_8192_SHA384,
        Algorithm::Ps512 => &signature::RSA_PSS_2048_8192_SHA512,
        _ => return None,
    })
}

/// A number without the zeros that some write before it.
fn stripped(mut number: &[u8]) -> &[u8] {
    while let [0, rest @ ..] = number {
        number = rest;
    }
    number
}
