//! One host: the canonical form of the authority that a client names, and the patterns that routes have for it.
//!
//! Routing, rules, cache keys and certificates all see the same form, so that no spelling of a guarded host reaches
//! around its guard: lower case, no final dot, the port split off and dropped where it is the scheme's own, IPv6
//! literals in the form of RFC 5952 (RFC 9110 §4.2.3, RFC 3986 §3.2.2). What is neither a DNS name (underscores
//! allowed) nor an address is refused; so are user information and percent-encoded names.
//!
//! May use nothing but bytes.

use smallvec::SmallVec;
use std::fmt;
use std::io::Write;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// Room for a canonical name that differs from what the client sent.
pub type Buffer = SmallVec<[u8; 64]>;

/// The longest name, RFC 1035 §2.3.4 in text, with room for an IPv6 literal's brackets.
const LONGEST: usize = 253;

/// A host in canonical form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Host<'a> {
    /// A lower-case name, an IPv4 address, or an IPv6 address in brackets. Empty where the client sent an empty Host.
    pub name: &'a [u8],
    /// The port that was named, unless it is the scheme's own.
    pub port: Option<u16>,
}

/// Why a Host field or an authority was refused; the client gets 400.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// `user@host`
    UserInfo,
    /// `ex%61mple.com`
    Encoded,
    /// A byte that no name holds, or an empty label.
    Name,
    /// What stands in brackets is no IPv6 address.
    Address,
    /// Not a number up to 65535.
    Port,
    /// Over 253 bytes.
    Length,
}

impl Refusal {
    /// One word for the log.
    pub fn reason(self) -> &'static str {
        match self {
            Refusal::UserInfo => "host-userinfo",
            Refusal::Encoded => "host-encoded",
            Refusal::Name => "host-name",
            Refusal::Address => "host-address",
            Refusal::Port => "host-port",
            Refusal::Length => "host-length",
        }
    }
}

/// Brings `raw`, a Host field's value without blanks around it or the authority of an absolute target, into canonical
/// form. `own_port` is the port that the scheme has by default. The name is part of `raw` where nothing had to change
/// but its end, else it stands in `out`.
///
/// # Errors
/// What is wrong with it. An empty host is not wrong (RFC 9110 §7.2).
pub fn canonical<'a>(raw: &'a [u8], own_port: u16, out: &'a mut Buffer) -> Result<Host<'a>, Refusal> {
    if raw.first() == Some(&b'[') {
        return canonical_literal(raw, own_port, out);
    }
    let mut folded = false;
    let mut end = raw.len();
    let mut label = 0;
    for (at, &byte) in raw.iter().enumerate() {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' => label += 1,
            b'A'..=b'Z' => {
                label += 1;
                folded = true;
            }
            b'.' if label > 0 => label = 0,
            b':' => {
                end = at;
                break;
            }
            _ => return Err(fault_of(raw, byte)),
        }
    }
    let port =
        port(&raw[end..], own_port).map_err(|fault| if raw.contains(&b'@') { Refusal::UserInfo } else { fault })?;
    let name = raw[..end].strip_suffix(b".").unwrap_or(&raw[..end]);
    if name.is_empty() && !raw.is_empty() {
        return Err(Refusal::Name);
    }
    if name.len() > LONGEST {
        return Err(Refusal::Length);
    }
    if !folded {
        return Ok(Host { name, port });
    }
    out.clear();
    out.extend(name.iter().map(u8::to_ascii_lowercase));
    Ok(Host { name: out, port })
}

/// The host that was last brought into canonical form: the next request mostly names the same one.
#[derive(Debug, Default)]
pub struct Memo {
    raw: Vec<u8>,
    own_port: u16,
    name: Vec<u8>,
    port: Option<u16>,
}

impl Memo {
    /// What [`canonical`] says, looked up where it was asked last time too.
    ///
    /// # Errors
    /// As [`canonical`] has them.
    pub fn canonical(&mut self, raw: &[u8], own_port: u16) -> Result<Host<'_>, Refusal> {
        if self.raw != raw || self.own_port != own_port {
            let mut buffer = Buffer::new();
            let host = canonical(raw, own_port, &mut buffer)?;
            (self.port, self.own_port) = (host.port, own_port);
            for (to, from) in [(&mut self.raw, raw), (&mut self.name, host.name)] {
                to.clear();
                to.extend_from_slice(from);
            }
        }
        Ok(Host { name: &self.name, port: self.port })
    }
}

fn fault_of(raw: &[u8], byte: u8) -> Refusal {
    match byte {
        _ if raw.contains(&b'@') => Refusal::UserInfo,
        b'%' => Refusal::Encoded,
        _ => Refusal::Name,
    }
}

fn canonical_literal<'a>(raw: &'a [u8], own_port: u16, out: &'a mut Buffer) -> Result<Host<'a>, Refusal> {
    if raw.contains(&b'@') {
        return Err(Refusal::UserInfo);
    }
    let end = memchr::memchr(b']', raw).ok_or(Refusal::Address)?;
    let text = std::str::from_utf8(&raw[1..end]).map_err(|_| Refusal::Address)?;
    let address = Ipv6Addr::from_str(text).map_err(|_| Refusal::Address)?;
    let port = port(&raw[end + 1..], own_port)?;
    // 39 characters are the most that an address takes.
    let mut text = [0; 41];
    let mut room = &mut text[..];
    let written = write!(room, "[{address}]");
    debug_assert!(written.is_ok());
    let left = room.len();
    let length = text.len() - left;
    out.clear();
    out.extend_from_slice(&text[..length]);
    Ok(Host { name: out, port })
}

/// The port in `text`, which is empty or begins with a colon.
fn port(text: &[u8], own_port: u16) -> Result<Option<u16>, Refusal> {
    let digits = match text {
        [] | [b':'] => return Ok(None),
        [b':', digits @ ..] => digits,
        _ => return Err(Refusal::Port),
    };
    let mut port: u16 = 0;
    for digit in digits {
        let value = (*digit as char).to_digit(10).ok_or(Refusal::Port)? as u16;
        port = port.checked_mul(10).and_then(|port| port.checked_add(value)).ok_or(Refusal::Port)?;
    }
    Ok(Some(port).filter(|&port| port != own_port))
}

/// What a route says of hosts, in canonical form.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum HostPattern {
    /// This host alone.
    Exact(Box<[u8]>),
    /// `*.example.com`, kept as `.example.com`: one or more labels before it, as in the Kubernetes Gateway API; not
    /// `example.com` itself.
    Wildcard(Box<[u8]>),
}

/// Why a text is no host pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PatternError {
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub help: Option<String>,
}

impl fmt::Display for PatternError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl FromStr for HostPattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<HostPattern, PatternError> {
        let refuse = |message: String, help: Option<&str>| Err(PatternError { message, help: help.map(str::to_owned) });
        if !text.is_ascii() {
            return refuse(
                format!("the host {text:?} has letters beyond ASCII, which no request ever has"),
                Some("write the name in its punycode form, such as \"xn--bcher-kva.example\""),
            );
        }
        if text == "*" {
            return refuse("\"*\" is no host pattern".into(), Some("leave `hosts` out to take every host"));
        }
        let (wildcard, rest) = text.strip_prefix("*.").map_or((false, text), |rest| (true, rest));
        if rest.contains("//") {
            return refuse(format!("{text:?} is a URL"), Some("write the host alone, such as \"example.com\""));
        }
        if rest.contains('*') {
            return refuse(
                format!("the host {text:?} has a `*` that is not its whole first label"),
                Some("a wildcard is written \"*.example.com\""),
            );
        }
        let mut buffer = Buffer::new();
        let host = match canonical(rest.as_bytes(), 0, &mut buffer) {
            Ok(Host { name: [], .. }) => return refuse("a host pattern must not be empty".into(), None),
            Err(Refusal::Port) | Ok(Host { port: Some(_), .. }) => {
                return refuse(
                    format!("the host {text:?} has a port"),
                    Some("write the host alone; it is matched whatever the port"),
                );
            }
            Err(fault) => return refuse(format!("{text:?} is no host: {}", explain(fault)), None),
            Ok(host) => host.name,
        };
        if !wildcard {
            return Ok(HostPattern::Exact(host.into()));
        }
        if host[0] == b'[' {
            return refuse(format!("{text:?}: an address has no wildcard"), None);
        }
        Ok(HostPattern::Wildcard([b".", host].concat().into()))
    }
}

fn explain(fault: Refusal) -> &'static str {
    match fault {
        Refusal::UserInfo => "it has a user name",
        Refusal::Encoded => "names are not percent-encoded",
        Refusal::Name => "names are letters, digits, `-` and `_` between dots",
        Refusal::Address => "what stands in brackets is no IPv6 address",
        Refusal::Port => "its port is no number up to 65535",
        Refusal::Length => "it is longer than 253 bytes",
    }
}

impl HostPattern {
    /// Whether it is an IP address.
    pub fn is_address(&self) -> bool {
        let HostPattern::Exact(name) = self else { return false };
        name.first() == Some(&b'[') || std::str::from_utf8(name).is_ok_and(|name| name.parse::<Ipv4Addr>().is_ok())
    }

    /// Whether the pattern takes a host in canonical form.
    pub fn matches(&self, host: &[u8]) -> bool {
        match self {
            HostPattern::Exact(name) => **name == *host,
            HostPattern::Wildcard(suffix) => host.len() > suffix.len() && host.ends_with(suffix),
        }
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HostPattern::Exact(name) => write!(f, "{}", name.escape_ascii()),
            HostPattern::Wildcard(suffix) => write!(f, "*{}", suffix.escape_ascii()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(raw: &str, own_port: u16) -> Result<(String, Option<u16>), Refusal> {
        let mut buffer = Buffer::new();
        canonical(raw.as_bytes(), own_port, &mut buffer)
            .map(|host| (String::from_utf8(host.name.to_vec()).unwrap(), host.port))
    }

    #[test]
    fn every_spelling_of_a_host_has_one_form() {
        for (raw, name, port) in [
            ("example.com", "example.com", None),
            ("EXAMPLE.Com", "example.com", None),
            ("example.com.", "example.com", None),
            ("Example.com.:80", "example.com", None),
            ("example.com:80", "example.com", None),
            ("example.com:", "example.com", None),
            ("example.com:443", "example.com", Some(443)),
            ("example.com:00080", "example.com", None),
            ("my_host-1.local", "my_host-1.local", None),
            ("xn--bcher-kva.example", "xn--bcher-kva.example", None),
            ("10.0.0.1:8080", "10.0.0.1", Some(8080)),
            ("[::1]", "[::1]", None),
            ("[0:0::0:1]:80", "[::1]", None),
            ("[2001:DB8::A]:81", "[2001:db8::a]", Some(81)),
            ("", "", None),
        ] {
            assert_eq!(form(raw, 80), Ok((name.to_owned(), port)), "{raw}");
        }
        assert_eq!(form("a.test:443", 443), Ok(("a.test".into(), None)));
        assert_eq!(form("a.test:80", 443), Ok(("a.test".into(), Some(80))));
    }

    #[test]
    fn what_is_no_host_is_refused() {
        use Refusal::*;
        for (raw, fault) in [
            ("user@example.com", UserInfo),
            ("user:pw@example.com", UserInfo),
            ("user:80@example.com", UserInfo),
            ("u%40@example.com", UserInfo),
            ("ex%61mple.com", Encoded),
            ("a.test,b.test", Name),
            ("a.test/x", Name),
            ("a.test#b", Name),
            ("a.test?b", Name),
            ("a.test\0.evil", Name),
            ("a test", Name),
            (" a.test", Name),
            ("a.test\\b", Name),
            ("bücher.example", Name),
            ("*.example.com", Name),
            ("a..test", Name),
            (".test", Name),
            (".", Name),
            ("a.test..", Name),
            (":80", Name),
            ("a.test:x", Port),
            ("a.test:+80", Port),
            ("a.test:99999", Port),
            ("a.test:65536", Port),
            ("a.test:80:80", Port),
            ("[::1", Address),
            ("[::1%25eth0]", Address),
            ("[v1.x]", Address),
            ("[]", Address),
            ("[::1]x", Port),
            ("[::1]@a.test", UserInfo),
        ] {
            assert_eq!(form(raw, 80), Err(fault), "{raw:?}");
        }
        assert_eq!(form(&"a".repeat(254), 80), Err(Length));
        assert!(form(&"a".repeat(253), 80).is_ok());
    }

    #[test]
    fn a_host_in_canonical_form_is_not_copied() {
        let mut buffer = Buffer::new();
        let raw = b"example.com.:8080";
        let host = canonical(raw, 80, &mut buffer).unwrap();
        assert_eq!(host.name.as_ptr(), raw.as_ptr());
    }

    #[test]
    fn a_memo_says_what_it_would_say_anew() {
        let mut memo = Memo::default();
        for _ in 0..2 {
            assert_eq!(memo.canonical(b"", 80), Ok(Host { name: b"", port: None }));
            for (raw, own_port, port) in
                [("A.test:443", 80, Some(443)), ("A.test:443", 443, None), ("a.test", 80, None)]
            {
                for _ in 0..2 {
                    assert_eq!(memo.canonical(raw.as_bytes(), own_port), Ok(Host { name: b"a.test", port }));
                    assert_eq!(memo.canonical(b"u@a.test", 80), Err(Refusal::UserInfo));
                }
            }
        }
    }

    #[test]
    fn patterns_take_what_they_say() {
        let pattern = |text: &str| text.parse::<HostPattern>().unwrap();
        assert!(pattern("API.example.com.").matches(b"api.example.com"));
        assert!(!pattern("api.example.com").matches(b"x.api.example.com"));
        assert!(pattern("[::0:1]").matches(b"[::1]"));
        let wildcard = pattern("*.Example.com");
        assert!(wildcard.matches(b"a.example.com"));
        assert!(wildcard.matches(b"a.b.example.com"));
        assert!(!wildcard.matches(b"example.com"));
        assert!(!wildcard.matches(b".example.com"));
        assert!(!wildcard.matches(b"aexample.com"));
        assert_eq!(wildcard.to_string(), "*.example.com");
    }

    #[test]
    fn wrong_patterns_say_what_to_write() {
        let fault = |text: &str| text.parse::<HostPattern>().unwrap_err();
        assert!(fault("bücher.example").help.unwrap().contains("punycode"));
        assert!(fault("example.com:8080").message.contains("port"));
        assert!(fault("example.com:x").message.contains("port"));
        assert!(fault("*").help.unwrap().contains("leave"));
        assert!(fault("a.*.example.com").help.unwrap().contains("*.example.com"));
        assert!(fault("*a.example.com").message.contains('*'));
        assert!(fault("https://example.com").message.contains("URL"));
        assert!(fault("a/b").message.contains("letters"));
        assert!(fault("").message.contains("empty"));
        assert!(fault("*.").message.contains("empty"));
        assert!(fault("*.[::1]").message.contains("address"));
    }
}
