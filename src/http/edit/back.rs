//! What a target's answer says of where things are, put back into what its client knows: `Location`, `Content-Location`, `Refresh`,
//! `Link`, and the path and domain of cookies. Without I/O.
//!
//! What always holds: what points anywhere else than at the target, or at where the client thinks the target is, stays as it is, and
//! so does what is relative to the client's own URL; a path that the client can ask for already stays, too.

use crate::http::cookies;
use crate::http::head::{Field, Name, Span};

/// Where things are for a client, and for its target.
pub(super) struct Place<'a> {
    /// What clients have before a path.
    pub(super) client_prefix: &'a [u8],
    /// What targets have before a path.
    pub(super) target_prefix: &'a [u8],
    /// Whether paths can be put back.
    pub(super) maps_paths: bool,
    /// `http` or `https`: how the client came.
    pub(super) scheme: &'a [u8],
    /// Whom the client asked for, with a port or without; may be empty.
    pub(super) authority: &'a [u8],
    /// How targets are spoken to.
    pub(super) target_scheme: &'a [u8],
    /// Whether targets are told so by Host.
    pub(super) knows_client: bool,
    /// The Host that they get instead, if it is one name.
    pub(super) host: Option<&'a [u8]>,
    /// Whether a host, a port, or both are those of a target.
    pub(super) is_target: &'a dyn Fn(Option<&[u8]>, u16) -> bool,
}

/// Whether a field may hold something to put back.
pub(super) fn concerns(field: &Field, text: &[u8]) -> bool {
    let name = || field.name.of(text);
    match field.kind {
        Name::SetCookie => true,
        Name::Other => match field.name.len() {
            4 => name().eq_ignore_ascii_case(b"link"),
            7 => name().eq_ignore_ascii_case(b"refresh"),
            8 => name().eq_ignore_ascii_case(b"location"),
            16 => name().eq_ignore_ascii_case(b"content-location"),
            _ => false,
        },
        _ => false,
    }
}

/// Puts back what the fields say. What is new comes behind the text.
pub(super) fn put_back(place: &Place<'_>, fields: &mut [Field], text: &mut Vec<u8>) {
    let mut value = Vec::new();
    for field in fields.iter_mut() {
        if !concerns(field, text) {
            continue;
        }
        let before = field.value.of(text);
        value.clear();
        let changed = match (field.kind, field.name.len()) {
            (Name::SetCookie, _) => place.cookie(before, &mut value),
            (_, 4) => place.links(before, &mut value),
            (_, 7) => place.refresh(before, &mut value),
            _ => place.uri(before, &mut value),
        };
        if changed {
            let start = text.len();
            text.extend_from_slice(&value);
            field.value = Span::new(start, text.len());
        }
    }
}

/// A URL in the parts that matter here.
struct Url<'a> {
    scheme: &'a [u8],
    host: &'a [u8],
    port: Option<u16>,
    /// From the path on; may be empty.
    rest: &'a [u8],
}

impl<'a> Url<'a> {
    /// One with a scheme of HTTP, or with none but an authority, which then has that of `default`.
    fn parse(text: &'a [u8], default: &'a [u8]) -> Option<Self> {
        let schemed = |scheme: &[u8]| {
            let (found, rest) = text.split_at_checked(scheme.len())?;
            found.eq_ignore_ascii_case(scheme).then(|| rest.strip_prefix(b"://")).flatten()
        };
        let (scheme, rest) = match (schemed(b"https"), schemed(b"http")) {
            (Some(rest), _) => (&b"https"[..], rest),
            (_, Some(rest)) => (&b"http"[..], rest),
            _ => (default, text.strip_prefix(b"//")?),
        };
        let end = rest.iter().position(|byte| matches!(byte, b'/' | b'?' | b'#' | b'\\')).unwrap_or(rest.len());
        let (authority, rest) = rest.split_at(end);
        let (host, port) = split(authority)?;
        (!host.is_empty() && !host.contains(&b'@') && !rest.starts_with(b"\\")).then_some(Self {
            scheme,
            host,
            port,
            rest,
        })
    }

    fn port(&self) -> u16 {
        self.port.unwrap_or(if self.scheme == b"https" { 443 } else { 80 })
    }

    /// Whether it names an authority, whose port is by default that of the URL's scheme.
    fn is_at(&self, authority: &[u8]) -> bool {
        let Some((host, port)) = split(authority) else { return false };
        host.eq_ignore_ascii_case(self.host)
            && port.is_none_or(|port| port == self.port())
            && (port.is_some() || self.is_default())
    }

    /// Whether its port is that of a scheme: who is behind a proxy may know of another scheme than its client.
    fn is_default(&self) -> bool {
        matches!(self.port(), 80 | 443)
    }
}

/// Host and port.
fn split(authority: &[u8]) -> Option<(&[u8], Option<u16>)> {
    let colon = memchr::memrchr(b':', authority).filter(|&colon| !authority[colon..].contains(&b']'));
    let Some(colon) = colon else { return Some((authority, None)) };
    let digits = &authority[colon + 1..];
    if digits.is_empty() {
        return Some((&authority[..colon], None));
    }
    let port = std::str::from_utf8(digits).ok()?.parse().ok()?;
    Some((&authority[..colon], Some(port)))
}

impl Place<'_> {
    /// Appends what a reference is for the client. False: it stays.
    fn uri(&self, value: &[u8], out: &mut Vec<u8>) -> bool {
        let start = out.len();
        if value.starts_with(b"/") && !value.starts_with(b"//") && !value.starts_with(b"/\\") {
            return self.path(value, out);
        }
        let Some(url) = Url::parse(value, self.scheme) else { return false };
        if !self.is_ours(&url) {
            return false;
        }
        if !self.authority.is_empty() {
            if !value.starts_with(b"//") {
                out.extend_from_slice(self.scheme);
                out.push(b':');
            }
            out.extend_from_slice(b"//");
            out.extend_from_slice(self.authority);
        }
        if !self.path(url.rest, out) {
            if self.authority.is_empty() && !url.rest.starts_with(b"/") {
                out.push(b'/');
            }
            out.extend_from_slice(url.rest);
        }
        let changed = out[start..] != *value;
        if !changed {
            out.truncate(start);
        }
        changed
    }

    /// Whether a URL leads to the target, as it or its client knows it.
    fn is_ours(&self, url: &Url<'_>) -> bool {
        // Who sends clients to TLS means it.
        let leads_to_tls = self.knows_client && url.scheme == b"https" && self.scheme == b"http";
        if leads_to_tls || url.scheme != self.scheme && url.scheme != self.target_scheme {
            return false;
        }
        let known = if self.knows_client { Some(self.authority) } else { self.host };
        let by_name = known.is_some_and(|known| {
            let same_host = || split(known).is_some_and(|(host, _)| host.eq_ignore_ascii_case(url.host));
            url.is_at(known) || same_host() && (self.is_target)(None, url.port())
        });
        by_name || (self.is_target)(Some(url.host), url.port())
    }

    /// Appends what a path, with what follows it, is for the client. False: it is the same, or the client cannot ask for it.
    fn path(&self, value: &[u8], out: &mut Vec<u8>) -> bool {
        let end = value.iter().position(|byte| matches!(byte, b'?' | b'#')).unwrap_or(value.len());
        let (path, behind) = value.split_at(end);
        let path = if path.is_empty() { b"/" } else { path };
        let Some(rest) = self.rest(path) else { return false };
        out.extend_from_slice(self.client_prefix);
        if rest.is_empty() && self.client_prefix.is_empty() {
            out.push(b'/');
        }
        out.extend_from_slice(rest);
        out.extend_from_slice(behind);
        true
    }

    /// What of a path of the target's stands behind the prefix. `None`: it stays.
    fn rest<'p>(&self, path: &'p [u8]) -> Option<&'p [u8]> {
        let below = |prefix: &[u8]| path.strip_prefix(prefix).filter(|rest| rest.is_empty() || rest.starts_with(b"/"));
        let moves = !self.client_prefix.is_empty() || !self.target_prefix.is_empty();
        if !self.maps_paths || !moves || self.target_prefix.is_empty() && below(self.client_prefix).is_some() {
            return None;
        }
        below(self.target_prefix)
    }

    /// `5; url=/next`, with quotes or without.
    fn refresh(&self, value: &[u8], out: &mut Vec<u8>) -> bool {
        let Some(at) = value.windows(4).position(|window| window.eq_ignore_ascii_case(b"url=")) else { return false };
        let (before, reference) = value.split_at(at + 4);
        out.extend_from_slice(before);
        let quote = reference.first().copied().filter(|first| matches!(first, b'"' | b'\''));
        match quote.and_then(|quote| memchr::memchr(quote, &reference[1..])) {
            Some(end) => {
                out.push(reference[0]);
                let changed = self.uri(&reference[1..=end], out);
                out.extend_from_slice(&reference[end + 1..]);
                changed
            }
            None => self.uri(reference, out),
        }
    }

    /// `</style.css>; rel=preload, …` (RFC 8288 §3).
    fn links(&self, value: &[u8], out: &mut Vec<u8>) -> bool {
        let (mut rest, mut changed) = (value, false);
        while let Some(begin) = memchr::memchr(b'<', rest) {
            let Some(length) = memchr::memchr(b'>', &rest[begin..]) else { break };
            let reference = &rest[begin + 1..begin + length];
            out.extend_from_slice(&rest[..=begin]);
            if self.uri(reference, out) {
                changed = true;
            } else {
                out.extend_from_slice(reference);
            }
            rest = &rest[begin + length..];
            // A parameter may have a `<` in quotes; what is no reference to the target stays in any case.
            let next = next_link(rest);
            out.extend_from_slice(&rest[..next]);
            rest = &rest[next..];
        }
        out.extend_from_slice(rest);
        changed
    }

    /// A cookie (RFC 6265 §4.1.1).
    fn cookie(&self, value: &[u8], out: &mut Vec<u8>) -> bool {
        let Some((name, ..)) = cookies::set(value) else { return false };
        let mut changed = false;
        for (place, part) in value.split(|&byte| byte == b';').enumerate() {
            let start = out.len();
            if place > 0 {
                out.push(b';');
            }
            let (key, said) = match memchr::memchr(b'=', part) {
                Some(equals) if place > 0 => (part[..equals].trim_ascii(), part[equals + 1..].trim_ascii()),
                _ => (&b""[..], &b""[..]),
            };
            // Browsers take such a cookie for `/` alone.
            if key.eq_ignore_ascii_case(b"path") && !name.starts_with(b"__Host-") {
                out.extend_from_slice(b" Path=");
                if self.cookie_path(said, out) {
                    changed = true;
                    continue;
                }
            } else if key.eq_ignore_ascii_case(b"domain")
                && let Some(domain) = self.cookie_domain(said)
            {
                changed = true;
                out.truncate(start);
                if !domain.is_empty() {
                    out.extend_from_slice(b"; Domain=");
                    out.extend_from_slice(domain);
                }
                continue;
            }
            out.truncate(start + usize::from(place > 0));
            out.extend_from_slice(part);
        }
        changed
    }

    /// As [`Place::path`], but that all of what the target has is all that the client has of it, the prefix itself included.
    fn cookie_path(&self, path: &[u8], out: &mut Vec<u8>) -> bool {
        let root = path == b"/" && !self.client_prefix.is_empty() && self.target_prefix.is_empty();
        if root && self.maps_paths {
            out.extend_from_slice(self.client_prefix);
            return true;
        }
        path.starts_with(b"/") && self.path(path, out)
    }

    /// The domain that a cookie of the target's has for the client; empty: that of the URL alone. `None`: it stays.
    fn cookie_domain(&self, domain: &[u8]) -> Option<&[u8]> {
        let domain = domain.strip_prefix(b".").unwrap_or(domain);
        let covers = |host: &[u8]| {
            host.len()
                .checked_sub(domain.len())
                .is_some_and(|lead| host[lead..].eq_ignore_ascii_case(domain) && (lead == 0 || host[lead - 1] == b'.'))
        };
        let (client, _) = split(self.authority)?;
        if domain.is_empty() || covers(client) {
            return None;
        }
        let known = if self.knows_client { None } else { self.host.and_then(split).map(|(host, _)| host) };
        if !known.is_some_and(covers) && !(self.is_target)(Some(domain), 0) {
            return None;
        }
        let is_name = client.iter().any(u8::is_ascii_alphabetic) && !client.starts_with(b"[");
        let is_whole = known.is_none_or(|host| host.len() == domain.len());
        Some(if is_name && is_whole { client } else { b"" })
    }
}

/// Where the next reference of a list of links may begin: behind a comma that stands in no quotes.
fn next_link(text: &[u8]) -> usize {
    let (mut quoted, mut escaped) = (false, false);
    for (at, &byte) in text.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b',' if !quoted => return at + 1,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests;
