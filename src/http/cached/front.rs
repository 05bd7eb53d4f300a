//! What a trusted proxy in front says of how its client asked: it is sent on, so that the answer may depend on it.
//!
//! What always holds: two requests of which the origin is told another scheme, host, port or prefix have two keys.

use crate::cache::key;
use crate::http::head::{Name, RequestHead};
use crate::plan::Listener;

/// How the client came, to us or to the proxy that is trusted.
pub(super) fn scheme(head: &RequestHead, text: &[u8], listener: &Listener, trusted: bool) -> &'static [u8] {
    let told = if trusted { head.find(Name::XForwardedProto) } else { None };
    match told.map(|field| field.value.of(text)) {
        Some(told) if told.eq_ignore_ascii_case(b"https") => b"https",
        Some(told) if told.eq_ignore_ascii_case(b"http") => b"http",
        _ => listener.scheme().as_bytes(),
    }
}

/// Adds to a key what else a trusted proxy says, as far as it is not what the URI says already.
pub(super) fn write(head: &RequestHead, text: &[u8], scheme: &[u8], host: &[u8], key: &mut Vec<u8>) {
    for field in &head.fields {
        let value = field.value.of(text);
        let is_known = match field.kind {
            Name::XForwardedProto => value.eq_ignore_ascii_case(scheme),
            Name::XForwardedHost => value.eq_ignore_ascii_case(host),
            Name::XForwardedPort => value == port(scheme, host),
            Name::XForwardedOther | Name::Forwarded => false,
            _ => continue,
        };
        if is_known {
            continue;
        }
        key::part(key, b'f', |key| {
            key.extend(field.name.of(text).iter().map(u8::to_ascii_lowercase));
            key.push(b':');
            match field.kind {
                Name::Forwarded => write_forwarded(value, key),
                _ => key.extend_from_slice(value),
            }
        });
    }
}

/// The port that a host stands for.
fn port<'a>(scheme: &[u8], host: &'a [u8]) -> &'a [u8] {
    match memchr::memrchr(b':', host) {
        Some(colon) if !host[colon..].contains(&b']') => &host[colon + 1..],
        _ if scheme == b"https" => b"443",
        _ => b"80",
    }
}

/// What Forwarded says but for whom it was forwarded, which no two clients have in common (RFC 7239 §5.1, §5.2).
fn write_forwarded(value: &[u8], key: &mut Vec<u8>) {
    let is = |pair: &[u8], name: &[u8]| pair.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name));
    let pairs = value.split(|byte| matches!(byte, b',' | b';')).map(<[u8]>::trim_ascii);
    for pair in pairs.filter(|pair| !is(pair, b"for=") && !is(pair, b"by=")) {
        key.extend_from_slice(pair);
        key.push(b';');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_forwarded_counts_and_for_whom_does_not() {
        let of = |value: &str| {
            let mut key = Vec::new();
            write_forwarded(value.as_bytes(), &mut key);
            key
        };
        assert_eq!(of("for=1.2.3.4;host=a.test;proto=https"), of("For=\"[::1]\"; host=a.test;proto=https; by=x"));
        assert_ne!(of("for=1.2.3.4;host=a.test"), of("for=1.2.3.4;host=b.test"));
        assert_eq!(of("for=1.2.3.4, for=5.6.7.8"), b"");
    }

    #[test]
    fn a_host_without_a_port_stands_for_that_of_its_scheme() {
        for (scheme, host, want) in [
            ("http", "a.test", "80"),
            ("https", "a.test", "443"),
            ("http", "a.test:8080", "8080"),
            ("http", "[::1]", "80"),
            ("http", "[::1]:81", "81"),
        ] {
            assert_eq!(port(scheme.as_bytes(), host.as_bytes()), want.as_bytes(), "{host}");
        }
    }
}
