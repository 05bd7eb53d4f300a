//! What OCSP responders answer (RFC 6960), made for a test.

use super::tls::{Authority, Made};
use std::time::{Duration, SystemTime};
use x509_parser::prelude::{FromDer, X509Certificate};

/// What a responder says of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Says {
    Good,
    Revoked,
    Unknown,
}

impl Authority {
    /// The answer about a certificate of this authority that holds for an hour before now and until `left` after it;
    /// `None`: for ever.
    pub fn answers(&self, made: &Made, says: Says, left: Option<Duration>) -> Vec<u8> {
        let now = SystemTime::now();
        let hour = Duration::from_secs(3600);
        self.answers_from(made, says, now - hour, left.map(|left| now + left))
    }

    /// The same from one time to another.
    pub fn answers_from(&self, made: &Made, says: Says, from: SystemTime, until: Option<SystemTime>) -> Vec<u8> {
        let (_, leaf) = X509Certificate::from_der(&made.der).unwrap();
        let own = self.der();
        let (_, own) = X509Certificate::from_der(&own).unwrap();
        let sha1 = der(0x30, &[&der(6, &[&[0x2b, 14, 3, 2, 26]]), &der(5, &[])]);
        let hash = |bytes: &[u8]| {
            der(4, &[aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY, bytes).as_ref()])
        };
        let key = hash(&own.public_key().subject_public_key.data);
        let id = der(0x30, &[&sha1, &hash(leaf.issuer().as_raw()), &key, &der(2, &[leaf.raw_serial()])]);
        let status = match says {
            Says::Good => der(0x80, &[]),
            Says::Revoked => der(0xa1, &[&time(from)]),
            Says::Unknown => der(0x82, &[]),
        };
        let until = until.map(|until| der(0xa0, &[&time(until)])).unwrap_or_default();
        let single = der(0x30, &[&id, &status, &time(from), &until]);
        let data = der(0x30, &[&der(0xa2, &[&key]), &time(from), &der(0x30, &[&single])]);
        let ecdsa = der(0x30, &[&der(6, &[&[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2]])]);
        let signature = self.sign(&data);
        let basic = der(0x30, &[&data, &ecdsa, &der(3, &[&[0], &signature])]);
        let kind = der(6, &[&[0x2b, 6, 1, 5, 5, 7, 48, 1, 1]]);
        der(0x30, &[&der(10, &[&[0]]), &der(0xa0, &[&der(0x30, &[&kind, &der(4, &[&basic])])])])
    }
}

fn time(time: SystemTime) -> Vec<u8> {
    let time = jiff::Timestamp::try_from(time).unwrap().strftime("%Y%m%d%H%M%SZ").to_string();
    der(24, &[time.as_bytes()])
}

/// A value in DER.
fn der(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let mut out = vec![tag];
    match content.len() {
        length @ 0..128 => out.push(length as u8),
        length => out.extend([0x82, (length >> 8) as u8, length as u8]),
    }
    out.extend(content);
    out
}
