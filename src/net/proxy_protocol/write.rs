//! Writing a header of either version.

use super::checksum::crc32c;
use super::{SIGNATURE, WORD, kind};
use std::net::{IpAddr, SocketAddr};

/// Which headers are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Lines of version 1: addresses alone.
    Line,
    /// Version 2.
    Binary,
    /// Version 2 with a checksum.
    Sealed,
}

/// A header as it is sent. Two that are equal tell the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header(Box<[u8]>);

/// What there is to tell of a client's connection.
#[derive(Clone, Copy, Debug, Default)]
pub struct Announcement<'a> {
    /// The client and what it has dialled; `None` where these are no IP addresses.
    pub addresses: Option<(SocketAddr, SocketAddr)>,
    /// The name that it asks for by SNI (RFC 6066 §3).
    pub name: Option<&'a [u8]>,
    /// The protocol that it has agreed on (RFC 7301).
    pub alpn: Option<&'a [u8]>,
    /// What it has agreed on for TLS, where that ends here.
    pub tls: Option<Tls<'a>>,
}

/// A TLS session, and who has shown a certificate that was verified.
#[derive(Clone, Copy, Debug)]
pub struct Tls<'a> {
    /// `1.2` or `1.3`.
    pub version: &'a str,
    /// The cipher suite.
    pub cipher: &'a str,
    /// Whether the client has shown a certificate.
    pub certificate: bool,
    /// Whether it has done so for an earlier session, which this one goes on from.
    pub resumed: bool,
    /// The certificate's common name.
    pub common_name: Option<&'a str>,
}

/// The longest value of what follows the addresses; what is longer is left out.
const LONGEST: usize = 255;

/// The connection speaks TLS; a certificate was shown in it; one was shown in its session.
const FLAGS: [u8; 3] = [0x01, 0x02, 0x04];

impl Header {
    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// That of a connection of our own, such as a check.
    pub fn ours(form: Form) -> Self {
        match form {
            Form::Line => Announcement::default().header(form),
            Form::Binary | Form::Sealed => Self(finish(0x20, 0x00, &[], Form::Binary)),
        }
    }
}

impl Announcement<'_> {
    /// The header that says so.
    pub fn header(&self, form: Form) -> Header {
        Header(match form {
            Form::Line => self.line().into_bytes().into(),
            Form::Binary | Form::Sealed => self.binary(form),
        })
    }

    fn line(&self) -> String {
        let word = String::from_utf8_lossy(&WORD);
        let Some((source, destination)) = self.addresses else { return format!("{word}UNKNOWN\r\n") };
        let (from, to, v4) = one_family(source.ip(), destination.ip());
        let family = if v4 { "TCP4" } else { "TCP6" };
        format!("{word}{family} {from} {to} {} {}\r\n", source.port(), destination.port())
    }

    fn binary(&self, form: Form) -> Box<[u8]> {
        let mut rest = Vec::with_capacity(128);
        let family = match self.addresses {
            None => 0x00,
            Some((source, destination)) => {
                let (from, to, v4) = one_family(source.ip(), destination.ip());
                push_ip(&mut rest, from);
                push_ip(&mut rest, to);
                rest.extend_from_slice(&source.port().to_be_bytes());
                rest.extend_from_slice(&destination.port().to_be_bytes());
                if v4 { 0x11 } else { 0x21 }
            }
        };
        push(&mut rest, kind::ALPN, self.alpn);
        push(&mut rest, kind::AUTHORITY, self.name);
        if let Some(tls) = &self.tls {
            push(&mut rest, kind::SSL, Some(&tls.value()));
        }
        finish(0x21, family, &rest, form)
    }
}

impl Tls<'_> {
    fn value(&self) -> Vec<u8> {
        let [tls, shown, in_session] = FLAGS;
        let flags = match (self.certificate, self.resumed) {
            (false, _) => tls,
            (true, false) => tls | shown | in_session,
            (true, true) => tls | in_session,
        };
        // 0: one was verified.
        let verified = u32::from(!self.certificate);
        let mut value = [&[flags][..], &verified.to_be_bytes()].concat();
        push(&mut value, kind::SSL_VERSION, Some(format!("TLSv{}", self.version).as_bytes()));
        push(&mut value, kind::SSL_CN, self.common_name.map(str::as_bytes));
        push(&mut value, kind::SSL_CIPHER, Some(self.cipher.as_bytes()));
        value
    }
}

/// Both addresses as those of one family, and whether that is IPv4.
fn one_family(source: IpAddr, destination: IpAddr) -> (IpAddr, IpAddr, bool) {
    let mapped = |ip: IpAddr| match ip {
        IpAddr::V4(v4) => IpAddr::V6(v4.to_ipv6_mapped()),
        v6 => v6,
    };
    match (source.to_canonical(), destination.to_canonical()) {
        (from @ IpAddr::V4(_), to @ IpAddr::V4(_)) => (from, to, true),
        (from, to) => (mapped(from), mapped(to), false),
    }
}

fn push_ip(out: &mut Vec<u8>, ip: IpAddr) {
    match ip {
        IpAddr::V4(v4) => out.extend_from_slice(&v4.octets()),
        IpAddr::V6(v6) => out.extend_from_slice(&v6.octets()),
    }
}

/// Appends a value with its type and length, if there is one.
fn push(out: &mut Vec<u8>, kind: u8, value: Option<&[u8]>) {
    let Some(value) = value.filter(|value| !value.is_empty() && (value.len() <= LONGEST || kind == kind::SSL)) else {
        return;
    };
    let Ok(length) = u16::try_from(value.len()) else { return };
    out.push(kind);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(value);
}

fn finish(command: u8, family: u8, rest: &[u8], form: Form) -> Box<[u8]> {
    let sum = if form == Form::Sealed { &[kind::CRC32C, 0, 4, 0, 0, 0, 0][..] } else { &[] };
    // A few values of at most 255 bytes each.
    let length = u16::try_from(rest.len() + sum.len()).unwrap_or_default().to_be_bytes();
    let mut header = [&SIGNATURE[..], &[command, family], &length, rest, sum].concat();
    if form == Form::Sealed {
        let sum = crc32c(&[&header]).to_be_bytes();
        let place = header.len() - sum.len();
        header[place..].copy_from_slice(&sum);
    }
    header.into()
}
