//! Whether a browser was made to ask by a page of another site: the check of where it says that the page is from, as OWASP and
//! Fetch Metadata have it.
//!
//! What always holds: what may change something, and what opens a WebSocket, goes on only if the browser says that the page is of
//! the same origin or of one that is trusted, or says nothing, as what is no browser does.

use super::origins::Origins;
use super::{Asked, Denial, Halt, Phase, Request, Rule, Who};
use crate::observe::reason::Reason;
use smallvec::SmallVec;

/// A rule of type csrf.
#[derive(Debug)]
pub struct Csrf {
    trusted: Origins,
    /// Whether who says nothing is refused, too.
    require: bool,
}

impl Csrf {
    /// One that trusts pages of these origins beside those of the site itself. `require`: who does not say where it comes from is refused.
    pub fn new(origins: &[String], require: bool) -> Self {
        Self { trusted: Origins::new(origins), require }
    }
}

impl Rule for Csrf {
    fn phase(&self) -> Phase {
        Phase::Early
    }

    fn decide(&self, asked: &Asked<'_>, _: &mut Who) -> Result<(), Halt> {
        let request = asked.request;
        if is_safe(request) {
            return Ok(());
        }
        let refuse = |word| Err(Denial::new(403, Reason::Origin, word).into());
        let (mut origins, mut count) = (SmallVec::<[u8; 64]>::new(), 0);
        request.each("origin", &mut |origin| {
            (origins, count) = (SmallVec::from_slice(origin), count + 1);
        });
        let origin = match count {
            0 => None,
            1 => Some(&*origins),
            _ => return refuse("cross-origin"),
        };
        if origin.is_some_and(|origin| self.trusted.has(origin)) {
            return Ok(());
        }
        let (mut own, mut other) = (false, false);
        request.each("sec-fetch-site", &mut |site| match site {
            b"same-origin" | b"none" => own = true,
            _ => other = true,
        });
        match (other, own, origin) {
            (true, ..) => refuse("cross-site"),
            (false, true, _) => Ok(()),
            (false, false, Some(origin)) if is_own(origin, request) => Ok(()),
            (false, false, Some(_)) => refuse("cross-origin"),
            (false, false, None) if self.require => refuse("no-origin"),
            (false, false, None) => Ok(()),
        }
    }
}

/// Whether a request changes nothing (RFC 9110 §9.2.1). A handshake of WebSocket is a GET, and no script of another site may have
/// what it opens.
fn is_safe(request: &dyn Request) -> bool {
    let mut upgrades = false;
    request.each("upgrade", &mut |_| upgrades = true);
    matches!(request.method(), b"GET" | b"HEAD" | b"OPTIONS" | b"TRACE") && !upgrades
}

/// Whether an origin is that of what is asked for. A page that came over TLS is of the same site where TLS ends before us, one that came in
/// clear is not that of a site over TLS.
fn is_own(origin: &[u8], request: &dyn Request) -> bool {
    let Some(at) = memchr::memmem::find(origin, b"://") else { return false };
    let (scheme, host) = (&origin[..at], &origin[at + 3..]);
    let port: &[u8] = match scheme {
        b"https" => b":443",
        b"http" if request.scheme() == "http" => b":80",
        _ => return false,
    };
    let bare = |host: &[u8]| host.strip_suffix(port).unwrap_or(host).to_ascii_lowercase();
    !host.is_empty() && bare(host) == bare(request.authority())
}

#[cfg(test)]
mod tests {
    use super::super::jwt;
    use super::super::sent::Sent;
    use super::*;
    use std::cell::RefCell;
    use std::time::Duration;

    fn word(rule: &Csrf, method: &str, scheme: &str, fields: &[(&str, &str)]) -> Option<&'static str> {
        let (sent, tokens) = (Sent { method, scheme, ..Sent::with(fields) }, RefCell::new(jwt::Cache::new(0)));
        let asked = Asked {
            client: [192, 0, 2, 1].into(),
            route: "r",
            request: &sent,
            now: Duration::ZERO,
            clock: 0,
            tokens: &tokens,
            readings: &[],
            answers: &[],
            dry: false,
        };
        match rule.decide(&asked, &mut Who::default()) {
            Ok(()) => None,
            Err(Halt::Denied(denial)) => Some(denial.word),
            Err(Halt::Ask(_)) => panic!("it asks"),
        }
    }

    #[test]
    fn pages_of_other_sites_change_nothing() {
        let rule = Csrf::new(&["https://app.test".to_owned(), "https://*.apps.test".to_owned()], false);
        let (site, from) = (|site| ("sec-fetch-site", site), |origin| ("origin", origin));
        for (scheme, fields, expected) in [
            ("https", &[][..], None),
            ("https", &[site("same-origin")], None),
            ("https", &[site("none")], None),
            ("https", &[site("same-site")], Some("cross-site")),
            ("https", &[site("cross-site")], Some("cross-site")),
            ("https", &[site("nonsense")], Some("cross-site")),
            ("https", &[site("same-origin"), site("cross-site")], Some("cross-site")),
            ("https", &[site("cross-site"), from("https://a.test")], Some("cross-site")),
            ("https", &[site("cross-site"), from("https://app.test")], None),
            ("https", &[site("cross-site"), from("https://one.apps.test")], None),
            ("https", &[site("cross-site"), from("https://app.test"), from("https://app.test")], Some("cross-origin")),
            ("https", &[from("https://a.test")], None),
            ("https", &[from("https://a.test:443")], None),
            ("https", &[from("https://a.test:8443")], Some("cross-origin")),
            ("https", &[from("http://a.test")], Some("cross-origin")),
            ("http", &[from("http://a.test")], None),
            ("http", &[from("http://a.test:80")], None),
            ("http", &[from("https://a.test")], None),
            ("http", &[from("https://a.test:80")], Some("cross-origin")),
            ("http", &[from("http://b.a.test")], Some("cross-origin")),
            ("http", &[from("http://a.test.evil.test")], Some("cross-origin")),
            ("http", &[from("null")], Some("cross-origin")),
            ("http", &[from("")], Some("cross-origin")),
            ("http", &[from("http://")], Some("cross-origin")),
        ] {
            assert_eq!(word(&rule, "POST", scheme, fields), expected, "{scheme} {fields:?}");
        }
    }

    #[test]
    fn what_changes_nothing_is_not_looked_at_but_for_websockets() {
        let evil = [("origin", "https://evil.test"), ("sec-fetch-site", "cross-site")];
        let socket = [evil[0], evil[1], ("upgrade", "websocket")];
        let rule = Csrf::new(&[], true);
        for method in ["GET", "HEAD", "OPTIONS"] {
            assert_eq!(word(&rule, method, "https", &evil), None, "{method}");
            assert_eq!(word(&rule, method, "https", &[]), None, "{method}");
        }
        for method in ["PUT", "DELETE", "PATCH", "get", "CONNECT", "X"] {
            assert_eq!(word(&rule, method, "https", &evil), Some("cross-site"), "{method}");
            assert_eq!(word(&rule, method, "https", &[]), Some("no-origin"), "{method}");
        }
        assert_eq!(word(&rule, "GET", "https", &socket), Some("cross-site"));
    }
}
