//! Keys from PEM: `PUBLIC KEY`, which is SubjectPublicKeyInfo (RFC 7468 §13).

use super::Algorithm;
use super::key::{Curve, Key};
use rustls::pki_types::SubjectPublicKeyInfoDer;
use rustls::pki_types::pem::PemObject;
use x509_parser::asn1_rs::{Oid, oid};
use x509_parser::prelude::FromDer;
use x509_parser::public_key::PublicKey;
use x509_parser::x509::SubjectPublicKeyInfo;

const P256: Oid<'static> = oid!(1.2.840.10045.3.1.7);
const P384: Oid<'static> = oid!(1.3.132.0.34);
const P521: Oid<'static> = oid!(1.3.132.0.35);
const ED25519: Oid<'static> = oid!(1.3.101.112);

/// The keys of a text, at least one, all of that name and for that algorithm.
pub(super) fn read(text: &[u8], id: Option<&str>, pinned: Option<Algorithm>) -> Result<Vec<Key>, String> {
    let mut keys = Vec::new();
    for found in SubjectPublicKeyInfoDer::pem_slice_iter(text) {
        let found = found.map_err(|error| format!("it is no PEM: {error}"))?;
        keys.push(key(&found, id, pinned)?);
    }
    if keys.is_empty() {
        return Err(missing(text));
    }
    Ok(keys)
}

fn key(der: &[u8], id: Option<&str>, pinned: Option<Algorithm>) -> Result<Key, String> {
    let (rest, info) = SubjectPublicKeyInfo::from_der(der).map_err(|_| "its public key is damaged")?;
    let public = info.parsed().map_err(|_| "its public key is damaged")?;
    if !rest.is_empty() {
        return Err("something follows its public key".to_owned());
    }
    match public {
        PublicKey::RSA(rsa) => Key::rsa(id, rsa.modulus, rsa.exponent, pinned),
        PublicKey::EC(point) => {
            let named = info.algorithm.parameters.as_ref().and_then(|curve| curve.as_oid().ok());
            let curve = match named {
                Some(curve) if curve == P256 => Curve::P256,
                Some(curve) if curve == P384 => Curve::P384,
                Some(curve) if curve == P521 => Curve::P521,
                _ => return Err("its curve is not understood: take P-256, P-384 or P-521".to_owned()),
            };
            Key::ec(id, curve, point.data(), pinned)
        }
        PublicKey::Unknown(raw) if info.algorithm.algorithm == ED25519 => Key::ed25519(id, raw, pinned),
        _ => Err("its public key is of no kind that is understood: take RSA, EC or Ed25519".to_owned()),
    }
}

/// What to do about a text without a public key.
fn missing(text: &[u8]) -> String {
    let holds = |what: &str| text.windows(what.len()).any(|window| window == what.as_bytes());
    let help = if holds("PRIVATE KEY-----") {
        "it holds a private key, which is not for here: `openssl pkey -in FILE -pubout` gives its public half"
    } else if holds("-----BEGIN CERTIFICATE-----") {
        "it holds a certificate: `openssl x509 -in FILE -pubkey -noout` gives its public key"
    } else if holds("-----BEGIN RSA PUBLIC KEY-----") {
        "it holds a key in PKCS #1: `openssl rsa -RSAPublicKey_in -in FILE -pubout` gives it as it is to be"
    } else {
        "it must be PEM: -----BEGIN PUBLIC KEY-----"
    };
    format!("there is no public key in it; {help}")
}
