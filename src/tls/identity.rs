//! Who a client's certificate says it is, as targets are told.
//!
//! Invariant: the text is printable ASCII without line ends, whatever the certificate holds, so that it can stand in a
//! header.

use crate::observe::wall;
use aws_lc_rs::digest::{SHA256, digest};
use rustls::pki_types::CertificateDer;
use std::fmt::Write;
use std::net::{Ipv4Addr, Ipv6Addr};
use x509_parser::extensions::GeneralName;
use x509_parser::objects::{oid_registry, oid2abbrev};
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::x509::X509Name;

/// Who a client's certificate says it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The lines that tell a target: `X-Client-Cert-Subject`, `-San` and `-Fingerprint`.
    pub lines: Box<[u8]>,
    /// Its common name, the last one if it has several.
    pub common_name: Option<Box<str>>,
    /// When the certificate ends, in seconds of Unix time.
    pub until: u64,
}

/// Why a certificate that was good for the handshake is not good enough.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unfit {
    /// It cannot be understood.
    Malformed,
    /// It has ended since; a ticket does not outlive it.
    Expired,
}

/// The longest that any one of the values may be.
const LONGEST: usize = 2048;

impl Identity {
    /// What the line of this name tells; empty where there is none.
    pub fn told(&self, name: &str) -> &str {
        let lines = std::str::from_utf8(&self.lines).unwrap_or_default();
        let found = lines.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        found.unwrap_or_default()
    }

    /// Reads a checked certificate.
    pub(super) fn read(certificate: &CertificateDer<'_>) -> Result<Box<Self>, Unfit> {
        let (_, parsed) = X509Certificate::from_der(certificate).map_err(|_| Unfit::Malformed)?;
        let now = wall::now();
        // One that ended before 1970 has ended.
        let until = u64::try_from(parsed.validity().not_after.timestamp()).unwrap_or(0);
        if now > until {
            return Err(Unfit::Expired);
        }
        let mut lines = String::new();
        line(&mut lines, "X-Client-Cert-Subject", &distinguished(parsed.subject()));
        if let Ok(Some(alternatives)) = parsed.subject_alternative_name() {
            let names: Vec<String> = alternatives.value.general_names.iter().filter_map(alternative).collect();
            line(&mut lines, "X-Client-Cert-San", &names.join(","));
        }
        let fingerprint = digest(&SHA256, certificate).as_ref().iter().fold(String::new(), |mut text, byte| {
            // Writing to a string cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        });
        line(&mut lines, "X-Client-Cert-Fingerprint", &fingerprint);
        let common_name = parsed.subject().iter_common_name().last().and_then(|name| name.as_str().ok());
        let common_name = common_name.filter(|name| name.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
        Ok(Box::new(Self {
            lines: lines.into_bytes().into_boxed_slice(),
            common_name: common_name.map(Into::into),
            until,
        }))
    }
}

/// Leaves a line out that would be empty, or longer than a target should have to take.
fn line(lines: &mut String, name: &str, value: &str) {
    if !value.is_empty() && value.len() <= LONGEST {
        let _ = write!(lines, "{name}: {value}\r\n");
    }
}

/// A name as RFC 4514 writes it: the most particular part first.
fn distinguished(name: &X509Name<'_>) -> String {
    let mut parts = Vec::new();
    for set in name.iter() {
        let mut texts = Vec::new();
        for attribute in set.iter() {
            let kind = oid2abbrev(attribute.attr_type(), oid_registry())
                .map_or_else(|_| attribute.attr_type().to_id_string(), str::to_owned);
            let value = attribute.as_str().map(str::as_bytes).unwrap_or_else(|_| attribute.as_slice());
            texts.push(format!("{kind}={}", escaped(value)));
        }
        parts.push(texts.join("+"));
    }
    parts.reverse();
    parts.join(",")
}

/// Escapes as RFC 4514 §2.4, and as hex whatever is not printable ASCII.
fn escaped(value: &[u8]) -> String {
    let mut out = String::with_capacity(value.len());
    let last = value.len().saturating_sub(1);
    for (place, &byte) in value.iter().enumerate() {
        match byte {
            b'"' | b'+' | b',' | b';' | b'<' | b'>' | b'\\' => {
                out.push('\\');
                out.push(char::from(byte));
            }
            b' ' if place == 0 || place == last => out.push_str("\\ "),
            b'#' if place == 0 => out.push_str("\\#"),
            0x20..=0x7e => out.push(char::from(byte)),
            _ => drop(write!(out, "\\{byte:02X}")),
        }
    }
    out
}

/// One alternative name: its kind, a colon, and its text with commas and what is not printable as `%XX`.
fn alternative(name: &GeneralName<'_>) -> Option<String> {
    let (kind, text) = match name {
        GeneralName::DNSName(name) => ("DNS", (*name).to_owned()),
        GeneralName::RFC822Name(name) => ("email", (*name).to_owned()),
        GeneralName::URI(uri) => ("URI", (*uri).to_owned()),
        GeneralName::IPAddress(octets) => {
            let ip = match <[u8; 4]>::try_from(*octets) {
                Ok(octets) => Ipv4Addr::from(octets).to_string(),
                Err(_) => Ipv6Addr::from(<[u8; 16]>::try_from(*octets).ok()?).to_string(),
            };
            ("IP", ip)
        }
        _ => return None,
    };
    let mut out = format!("{kind}:");
    for byte in text.bytes() {
        match byte {
            b',' | b'%' => drop(write!(out, "%{byte:02X}")),
            0x21..=0x7e => out.push(char::from(byte)),
            _ => drop(write!(out, "%{byte:02X}")),
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, DnType, KeyPair, SanType};

    fn lines(change: impl FnOnce(&mut CertificateParams)) -> Result<String, Unfit> {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        change(&mut params);
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        Identity::read(certificate.der()).map(|identity| String::from_utf8(identity.lines.into()).unwrap())
    }

    #[test]
    fn names_cannot_break_out_of_their_line() {
        let text = lines(|params| {
            params.distinguished_name.push(DnType::OrganizationName, "a, b\r\nX-Admin: 1 ");
            params.distinguished_name.push(DnType::CommonName, "#ü");
            params.subject_alt_names = vec![
                SanType::DnsName("a.example".try_into().unwrap()),
                SanType::URI("spiffe://x/a,b%0d".try_into().unwrap()),
                SanType::IpAddress("::1".parse().unwrap()),
            ];
        })
        .unwrap();
        let lines: Vec<&str> = text.split("\r\n").collect();
        assert_eq!(lines[0], r"X-Client-Cert-Subject: CN=\#\C3\BC,O=a\, b\0D\0AX-Admin: 1\ ");
        assert_eq!(lines[1], "X-Client-Cert-San: DNS:a.example,URI:spiffe://x/a%2Cb%250d,IP:::1");
        assert!(lines[2].starts_with("X-Client-Cert-Fingerprint: ") && lines[2].len() == 27 + 64, "{text}");
        assert_eq!(lines[3..], [""]);
    }

    #[test]
    fn one_that_has_ended_is_unfit() {
        let ended = lines(|params| params.not_after = rcgen::date_time_ymd(2000, 1, 1));
        assert_eq!(ended, Err(Unfit::Expired));
    }
}
