//! Consumers by the certificates that they show.
//!
//! What always holds: a certificate has been verified before anything here is asked of it; what an operator has written of one and what
//! it says itself are compared in the same form, so that no escape makes two of one name or one of two.

use super::{Certificate, Consumer};
use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::fmt::Write;
use std::sync::Arc;

/// All that are known by certificates.
#[derive(Default)]
pub struct Certificates {
    fingerprints: Names,
    subjects: Names,
    /// With their kinds, as [`Certificate::names`] has them.
    alternatives: Names,
    common_names: Names,
}

type Names = HashMap<Box<str>, Arc<Consumer>>;

/// How a consumer's certificate is told from others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    kind: Kind,
    text: Box<str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Fingerprint,
    Subject,
    Alternative,
    CommonName,
}

/// What a mark of a consumer begins with, and how the alternative name that it is begins in a certificate.
const ALTERNATIVES: [(&str, &str); 4] = [("dns:", "DNS:"), ("email:", "email:"), ("ip:", "IP:"), ("uri:", "URI:")];

impl Mark {
    /// That of what an operator has written.
    ///
    /// # Errors
    /// Why it is none.
    pub fn written(text: &str) -> Result<Self, &'static str> {
        let mark = |kind, text: &str| match text {
            "" => Err("nothing follows its kind"),
            _ => Ok(Self { kind, text: text.into() }),
        };
        if let Some(digits) = text.strip_prefix("sha256:") {
            let digits = digits.replace(':', "").to_ascii_lowercase();
            let is_hash = digits.len() == 64 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
            return if is_hash { mark(Kind::Fingerprint, &digits) } else { Err("a SHA-256 has 64 hexadecimal digits") };
        }
        if let Some(subject) = text.strip_prefix("subject:") {
            return mark(Kind::Subject, subject);
        }
        if let Some(name) = text.strip_prefix("cn:") {
            return mark(Kind::CommonName, name);
        }
        let found = ALTERNATIVES.iter().find_map(|(begin, kind)| Some((*kind, text.strip_prefix(begin)?)));
        match found {
            Some((_, "")) => Err("nothing follows its kind"),
            Some((kind, name)) => mark(Kind::Alternative, &folded(&format!("{kind}{}", as_told(kind, name)?))),
            None => Err("it begins with none of sha256:, subject:, cn:, dns:, email:, uri:, ip:"),
        }
    }
}

/// A name as certificates are told to have it.
fn as_told(kind: &str, name: &str) -> Result<String, &'static str> {
    if kind == "IP:" {
        return name.parse::<std::net::IpAddr>().map(|ip| ip.to_string()).map_err(|_| "it is no IP address");
    }
    let mut told = String::with_capacity(name.len());
    for byte in name.bytes() {
        match byte {
            b'!'..=b'~' if byte != b',' && byte != b'%' => told.push(char::from(byte)),
            // Writing to a string cannot fail.
            _ => drop(write!(told, "%{byte:02X}")),
        }
    }
    Ok(told)
}

/// Names of hosts are the same in any case.
fn folded(name: &str) -> Cow<'_, str> {
    match name.starts_with("DNS:") && name[4..].bytes().any(|byte| byte.is_ascii_uppercase()) {
        true => Cow::Owned(format!("DNS:{}", name[4..].to_ascii_lowercase())),
        false => Cow::Borrowed(name),
    }
}

impl Certificates {
    /// Adds a mark of a consumer.
    ///
    /// # Errors
    /// The name of another consumer that has it.
    pub fn add(&mut self, mark: Mark, consumer: &Arc<Consumer>) -> Result<(), Box<str>> {
        let names = match mark.kind {
            Kind::Fingerprint => &mut self.fingerprints,
            Kind::Subject => &mut self.subjects,
            Kind::Alternative => &mut self.alternatives,
            Kind::CommonName => &mut self.common_names,
        };
        match names.insert(mark.text, consumer.clone()) {
            Some(other) if !Arc::ptr_eq(&other, consumer) => Err(other.name.clone()),
            _ => Ok(()),
        }
    }

    /// Whose certificate this is: by what is most its own first, by its alternative names in their order.
    pub fn of(&self, shown: &Certificate<'_>) -> Option<&Arc<Consumer>> {
        let by_name = || shown.names.split(',').find_map(|name| self.alternatives.get(&*folded(name)));
        let known = self.fingerprints.get(shown.fingerprint).or_else(|| self.subjects.get(shown.subject));
        known.or_else(by_name).or_else(|| self.common_names.get(shown.common_name))
    }

    /// How many marks there are.
    pub fn count(&self) -> usize {
        self.fingerprints.len() + self.subjects.len() + self.alternatives.len() + self.common_names.len()
    }
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Certificates({})", self.count())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(text: &str) -> Mark {
        Mark::written(text).unwrap_or_else(|why| panic!("{text}: {why}"))
    }

    #[test]
    fn what_is_most_a_certificates_own_goes_first() {
        let hash = "ab".repeat(32);
        let mut known = Certificates::default();
        let marks = [
            ("hash", format!("sha256:{}", "AB:".repeat(32).trim_end_matches(':'))),
            ("subject", "subject:CN=ann,O=Example\\, Inc.".to_owned()),
            ("dns", "dns:ANN.test".to_owned()),
            ("uri", "uri:spiffe://x/a,b".to_owned()),
            ("ip", "ip:2001:DB8:0::1".to_owned()),
            ("email", "email:Ann@a.test".to_owned()),
            ("cn", "cn:ann".to_owned()),
        ];
        for (name, text) in &marks {
            known.add(mark(text), &Arc::new(Consumer::new(name))).unwrap();
        }
        let of = |fingerprint: &str, subject: &str, names: &str, common_name: &str| {
            known
                .of(&Certificate { common_name, subject, names, fingerprint })
                .map(|consumer| consumer.name.to_string())
        };
        let subject = "CN=ann,O=Example\\, Inc.";
        for (fingerprint, subject, names, common_name, expected) in [
            (&hash[..], subject, "DNS:ann.test", "ann", Some("hash")),
            ("00", subject, "DNS:ann.test", "ann", Some("subject")),
            ("00", "CN=ann", "DNS:other.test,DNS:Ann.Test,URI:spiffe://x/a%2Cb", "ann", Some("dns")),
            ("00", "CN=ann", "URI:spiffe://x/a%2Cb,DNS:ann.test", "ann", Some("uri")),
            ("00", "", "IP:2001:db8::1", "", Some("ip")),
            ("00", "", "email:Ann@a.test", "", Some("email")),
            ("00", "", "email:ann@a.test", "ann", Some("cn")),
            // A name of one kind is none of another, and no part of one is the whole.
            ("00", "", "URI:ann.test,email:ann.test,DNS:x.ann.test,URI:spiffe://x/a", "Ann", None),
            ("", "", "", "", None),
        ] {
            assert_eq!(of(fingerprint, subject, names, common_name).as_deref(), expected, "{names} {common_name}");
        }
    }

    #[test]
    fn a_mark_is_one_consumers_and_has_a_kind() {
        let mut known = Certificates::default();
        let (one, two) = (Arc::new(Consumer::new("one")), Arc::new(Consumer::new("two")));
        assert_eq!(known.add(mark("dns:a.test"), &one), Ok(()));
        assert_eq!(known.add(mark("dns:A.test"), &one), Ok(()));
        assert_eq!(known.add(mark("cn:a.test"), &two), Ok(()), "of another kind");
        assert_eq!(known.add(mark("dns:A.TEST"), &two), Err("one".into()));
        for wrong in ["", "ann", "CN=ann", "cn:", "dns:", "subject:", "sha256:", "sha256:12", "ip:a.test", "DNS:a.test"]
        {
            assert!(Mark::written(wrong).is_err(), "{wrong}");
        }
    }
}
