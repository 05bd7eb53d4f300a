//! What else a response names, as seen from the URI that was asked for: Location and Content-Location (RFC 9111 §4.4).

/// The URI that was asked for, in the one form that everything sees: scheme and host in lower case, no default port, the path
/// normalised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Uri<'a> {
    /// `http` or `https`.
    pub scheme: &'a [u8],
    /// The host, with its port unless that is the default one.
    pub host: &'a [u8],
    /// The path, from its first slash on.
    pub path: &'a [u8],
    /// What comes after the `?`, if there is one.
    pub query: Option<&'a [u8]>,
}

impl Uri<'_> {
    /// Writes the path, and the query with its `?`, of what `reference` names (RFC 3986 §5.2), without its fragment. The path is
    /// not normalised: dot segments are still in it. Returns whether it is of the same origin; nothing is written if it is not.
    pub fn resolve(&self, reference: &[u8], into: &mut Vec<u8>) -> bool {
        let reference = reference.trim_ascii();
        let end = memchr::memchr(b'#', reference).unwrap_or(reference.len());
        let reference = &reference[..end];
        if reference.iter().any(|&byte| byte <= b' ' || byte == 0x7f || byte == b'\\') {
            return false;
        }
        let rest = match scheme(reference) {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case(self.scheme) && rest.starts_with(b"//") => rest,
            Some(_) => return false,
            None => reference,
        };
        if let Some(rest) = rest.strip_prefix(b"//") {
            let slash = rest.iter().position(|&byte| byte == b'/' || byte == b'?').unwrap_or(rest.len());
            if !self.is_host(&rest[..slash]) {
                return false;
            }
            if !rest[slash..].starts_with(b"/") {
                into.push(b'/');
            }
            into.extend_from_slice(&rest[slash..]);
            return true;
        }
        match rest.first() {
            Some(b'/') => {}
            Some(b'?') => into.extend_from_slice(self.path),
            Some(_) => {
                let folder = self.path.iter().rposition(|&byte| byte == b'/').map_or(0, |at| at + 1);
                into.extend_from_slice(&self.path[..folder]);
            }
            None => {
                into.extend_from_slice(self.path);
                if let Some(query) = self.query {
                    into.push(b'?');
                    into.extend_from_slice(query);
                }
            }
        }
        into.extend_from_slice(rest);
        true
    }

    /// Whether an authority is this host.
    fn is_host(&self, authority: &[u8]) -> bool {
        let default: &[u8] = if self.scheme == b"https" { b":443" } else { b":80" };
        let host = authority.strip_suffix(default).or_else(|| authority.strip_suffix(b":")).unwrap_or(authority);
        host.eq_ignore_ascii_case(self.host)
    }
}

/// The scheme of a reference and what comes after its colon.
fn scheme(reference: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = reference.iter().position(|byte| !(byte.is_ascii_alphanumeric() || b"+-.".contains(byte)))?;
    let scheme = reference.first().is_some_and(u8::is_ascii_alphabetic) && reference[colon] == b':';
    scheme.then(|| (&reference[..colon], &reference[colon + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: Uri<'_> = Uri { scheme: b"https", host: b"a.test", path: b"/x/y", query: Some(b"q=1") };

    fn resolved(base: &Uri<'_>, reference: &str) -> Option<String> {
        let mut written = Vec::new();
        let same = base.resolve(reference.as_bytes(), &mut written);
        assert!(same || written.is_empty());
        same.then(|| String::from_utf8_lossy(&written).into_owned())
    }

    #[test]
    fn references_are_resolved_where_they_are_of_the_same_origin() {
        for (reference, target) in [
            ("/z", "/z"),
            ("/z?a=b#c", "/z?a=b"),
            ("z", "/x/z"),
            ("./z", "/x/./z"),
            ("?a", "/x/y?a"),
            ("", "/x/y?q=1"),
            ("#f", "/x/y?q=1"),
            ("https://a.test/z", "/z"),
            ("HTTPS://A.Test:443/z", "/z"),
            ("https://a.test", "/"),
            ("https://a.test?x", "/?x"),
            ("//a.test/z", "/z"),
            ("z:1", ""),
        ] {
            let target = (!target.is_empty()).then_some(target);
            assert_eq!(resolved(&BASE, reference).as_deref(), target, "{reference}");
        }
        let root = Uri { path: b"/", query: None, ..BASE };
        assert_eq!(resolved(&root, "z").as_deref(), Some("/z"));
        assert_eq!(resolved(&root, "").as_deref(), Some("/"));
    }

    #[test]
    fn others_are_nobodys_to_touch() {
        for reference in [
            "http://a.test/z",
            "https://b.test/z",
            "https://a.test:8443/z",
            "https://a.test.evil/z",
            "https://user@a.test/z",
            "//b.test/z",
            "https:/z",
            "https:z",
            "javascript:alert(1)",
            "/a b",
            "/a\\b",
            "/a\u{7f}",
        ] {
            assert_eq!(resolved(&BASE, reference), None, "{reference}");
        }
        let port = Uri { host: b"a.test:8080", ..BASE };
        assert_eq!(resolved(&port, "https://a.test:8080/z").as_deref(), Some("/z"));
        assert_eq!(resolved(&port, "https://a.test/z"), None);
        let plain = Uri { scheme: b"http", ..BASE };
        assert_eq!(resolved(&plain, "http://a.test:80/z").as_deref(), Some("/z"));
        assert_eq!(resolved(&plain, "http://a.test:443/z"), None);
    }
}
