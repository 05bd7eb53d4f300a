//! What OCSP responders say of certificates, stapled to handshakes (RFC 6960, RFC 6066 §8).
//!
//! An answer lies in a file beside its certificate, put there by whoever runs the host: nothing is asked for here, least of all
//! while a client waits. Its signature is for clients to check, who know whom they trust; an answer that no client could use is
//! not sent to any. One that was good stays in service until it ends, unless it is taken away or another one revokes it.

use super::files::{self, Fault, Place, Stamp};
use crate::observe::wall;
use aws_lc_rs::digest::{Algorithm, SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use std::path::Path;
use x509_parser::asn1_rs::{Any, Class, GeneralizedTime, Oid, Tag, oid};
use x509_parser::prelude::{FromDer, X509Certificate};

/// What is stapled to a certificate.
#[derive(Clone, Debug, Default)]
pub(super) struct Staple {
    /// The state of the file when the answer was read from it.
    stamp: Option<Stamp>,
    answer: Option<Answer>,
}

/// A responder's answer that the certificate is good.
#[derive(Clone, Debug)]
struct Answer {
    der: Vec<u8>,
    /// Seconds since 1970 after which it no longer holds.
    until: i64,
}

/// Why an answer is of no use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unfit {
    /// It cannot be understood.
    Malformed,
    /// The responder did not want to say.
    Refused,
    /// It is about other certificates.
    Stranger,
    Revoked,
    /// The responder does not know the certificate.
    Unknown,
    /// It says not until when it holds, so that one could be stapled for ever.
    Endless,
    /// It will hold some day.
    Early,
    /// It held until then, in seconds since 1970.
    Ended(i64),
}

/// By how much clocks may differ, in seconds.
const SKEW: i64 = 300;

const BASIC: Oid<'static> = oid!(1.3.6.1.5.5.7.48.1.1);
/// What names are hashed with.
const HASHES: [(Oid<'static>, &Algorithm); 2] =
    [(oid!(1.3.14.3.2.26), &SHA1_FOR_LEGACY_USE_ONLY), (oid!(2.16.840.1.101.3.4.2.1), &SHA256)];

impl Staple {
    /// The answer as clients get it.
    pub(super) fn response(&self) -> Option<Vec<u8>> {
        self.answer.as_ref().map(|answer| answer.der.clone())
    }

    /// Looks at the file beside the certificate `leaf`: what is to be stapled from now on, `None` if that is the same, and
    /// what is wrong with the file, which is told at each look.
    pub(super) fn look(&self, at: Place, file: &Path, leaf: &[u8]) -> (Option<Self>, Option<Fault>) {
        let (stamp, now) = (Stamp::of(file), now());
        let holds = self.answer.as_ref().is_none_or(|answer| now <= answer.until);
        if stamp == self.stamp && holds {
            return (None, None);
        }
        if stamp.is_none() {
            return (Some(Self::default()), None);
        }
        let der = match files::read(at, file) {
            Ok(der) => der,
            Err(fault) => return ((!holds).then(Self::default), Some(fault)),
        };
        match read(&der, leaf, now) {
            Ok(until) => (Some(Self { stamp, answer: Some(Answer { der, until }) }), None),
            Err(unfit) => {
                let gone = self.answer.is_some() && (!holds || unfit == Unfit::Revoked);
                (gone.then(Self::default), Some(unfit.fault(at, file)))
            }
        }
    }
}

impl Unfit {
    fn fault(self, at: Place, file: &Path) -> Fault {
        let why = match self {
            Self::Malformed => "is no OCSP response in DER",
            Self::Refused => "holds no answer: the responder has refused one",
            Self::Stranger => "is not about the certificate beside it",
            Self::Revoked => "says that the certificate is revoked",
            Self::Unknown => "says that the responder does not know the certificate",
            Self::Endless => "does not say until when it holds (nextUpdate)",
            Self::Early => "does not hold yet (thisUpdate)",
            Self::Ended(_) => "holds no longer (nextUpdate)",
        };
        let until = match self {
            Self::Ended(until) => jiff::Timestamp::from_second(until).ok(),
            _ => None,
        };
        let until = until.map(|until| format!(": {until}")).unwrap_or_default();
        let help = match self {
            Self::Revoked => "replace the certificate",
            _ => "ask the responder again: openssl ocsp -issuer ISSUER -cert CERT -url URL -respout FILE",
        };
        Fault::new(at, format!("`{}` {why}{until}", file.display()), help)
    }
}

/// Until when `response` says that the certificate `leaf` is good.
fn read(response: &[u8], leaf: &[u8], now: i64) -> Result<i64, Unfit> {
    let (_, leaf) = X509Certificate::from_der(leaf).map_err(|_| Unfit::Malformed)?;
    let mut response = Parts(response).within(Tag::Sequence)?;
    if response.next()?.data != [0] {
        return Err(Unfit::Refused);
    }
    let mut bytes = response.within(Tag(0))?.within(Tag::Sequence)?;
    if bytes.next()?.oid().ok() != Some(BASIC) {
        return Err(Unfit::Malformed);
    }
    let mut data = Parts(bytes.of(Tag::OctetString)?).within(Tag::Sequence)?.within(Tag::Sequence)?;
    let version = data.next()?;
    if version.class() == Class::ContextSpecific && version.tag() == Tag(0) {
        // Who answers.
        data.next()?;
    }
    // When that was.
    data.next()?;
    let mut answers = data.within(Tag::Sequence)?;
    while !answers.0.is_empty() {
        let mut answer = answers.within(Tag::Sequence)?;
        if is_about(answer.within(Tag::Sequence)?, &leaf)? {
            return holds(answer, now);
        }
    }
    Err(Unfit::Stranger)
}

/// Whether a CertID is that of a certificate.
fn is_about(mut id: Parts<'_>, leaf: &X509Certificate<'_>) -> Result<bool, Unfit> {
    let hash = id.within(Tag::Sequence)?.next()?.oid().map_err(|_| Unfit::Malformed)?;
    let name = id.of(Tag::OctetString)?;
    // The issuer's key.
    id.next()?;
    let serial = id.of(Tag::Integer)?;
    let hash = HASHES.into_iter().find(|(oid, _)| *oid == hash);
    Ok(serial == leaf.raw_serial()
        && hash.is_some_and(|(_, algorithm)| digest(algorithm, leaf.issuer().as_raw()).as_ref() == name))
}

/// Until when an answer holds, of which the status comes next.
fn holds(mut answer: Parts<'_>, now: i64) -> Result<i64, Unfit> {
    match answer.next()?.tag().0 {
        0 => {}
        1 => return Err(Unfit::Revoked),
        _ => return Err(Unfit::Unknown),
    }
    let from = time(&answer.next()?)?;
    let until = answer.within(Tag(0)).map_err(|_| Unfit::Endless)?.next()?;
    let until = time(&until)?;
    match now {
        _ if now > until => Err(Unfit::Ended(until)),
        _ if now + SKEW < from => Err(Unfit::Early),
        _ => Ok(until),
    }
}

fn time(value: &Any<'_>) -> Result<i64, Unfit> {
    let time = GeneralizedTime::try_from(value).and_then(|time| time.utc_datetime());
    time.map(|time| time.unix_timestamp()).map_err(|_| Unfit::Malformed)
}

/// DER values one after another.
struct Parts<'a>(&'a [u8]);

impl<'a> Parts<'a> {
    fn next(&mut self) -> Result<Any<'a>, Unfit> {
        let (rest, value) = Any::from_der(self.0).map_err(|_| Unfit::Malformed)?;
        self.0 = rest;
        Ok(value)
    }

    /// The content of the next value, which has this tag.
    fn of(&mut self, tag: Tag) -> Result<&'a [u8], Unfit> {
        let value = self.next()?;
        if value.tag() == tag { Ok(value.data) } else { Err(Unfit::Malformed) }
    }

    fn within(&mut self, tag: Tag) -> Result<Parts<'a>, Unfit> {
        self.of(tag).map(Parts)
    }
}

fn now() -> i64 {
    let now = wall::now();
    i64::try_from(now).unwrap_or(i64::MAX)
}
