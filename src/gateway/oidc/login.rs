//! A login under way: what is asked of the provider, and what of it comes back.

use crate::gateway::{Request, form};
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

/// For how long somebody may take to log in, in seconds.
pub(super) const PATIENCE: u64 = 600;
/// A longer return address is that of the whole site.
const LONGEST: usize = 2048;

/// A login under way, which the browser keeps, sealed.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Login {
    /// What comes back with the code (RFC 6749 §10.12).
    pub(super) state: String,
    /// What the identity token has to say.
    pub(super) nonce: String,
    /// What the code is changed with (RFC 7636 §4.1).
    pub(super) verifier: String,
    /// Where to go then: a path with its query.
    pub(super) back: String,
    /// When it began, in seconds since 1970.
    pub(super) at: u64,
}

impl Login {
    /// One that begins now and goes back to what a request asks for. `None`: there is no randomness.
    pub(super) fn new(request: &dyn Request, now: u64) -> Option<Self> {
        Some(Self { state: random()?, nonce: random()?, verifier: random()?, back: address(request), at: now })
    }

    /// What the verifier is told by before (RFC 7636 §4.2).
    pub(super) fn challenge(&self) -> String {
        URL_SAFE_NO_PAD.encode(digest(&SHA256, self.verifier.as_bytes()))
    }

    /// Whether it can still come to its end.
    pub(super) fn is_live(&self, now: u64) -> bool {
        now.saturating_sub(self.at) <= PATIENCE && self.at <= now.saturating_add(60)
    }

    /// Where the browser is sent.
    pub(super) fn url(&self, endpoint: &str, (client, redirect, scope): (&str, &str, &str)) -> String {
        let mut query = String::new();
        for (name, value) in [
            ("response_type", "code"),
            ("client_id", client),
            ("redirect_uri", redirect),
            ("scope", scope),
            ("state", &self.state),
            ("nonce", &self.nonce),
            ("code_challenge", &self.challenge()),
            ("code_challenge_method", "S256"),
        ] {
            form::push(&mut query, name, value);
        }
        with_query(endpoint, &query)
    }
}

/// A URL with more of a query.
pub(super) fn with_query(url: &str, query: &str) -> String {
    let sign = if url.contains('?') { '&' } else { '?' };
    format!("{url}{sign}{query}")
}

/// 256 bits that nobody can guess.
fn random() -> Option<String> {
    let mut bytes = [0; 32];
    rand::fill(&mut bytes).ok()?;
    Some(URL_SAFE_NO_PAD.encode(bytes))
}

/// What a request asks for, as an address on the same site and nowhere else.
pub(super) fn address(request: &dyn Request) -> String {
    let mut address = Vec::from(request.path());
    if let Some(query) = request.query() {
        address.push(b'?');
        address.extend_from_slice(query);
    }
    // `//host` and, to browsers, `/\host` are other sites.
    let leads_away = address.first() != Some(&b'/') || matches!(address.get(1), Some(b'/' | b'\\'));
    let is_plain = address.iter().all(|byte| (b'!'..=b'~').contains(byte) && *byte != b'\\');
    match String::from_utf8(address) {
        Ok(address) if is_plain && !leads_away && address.len() <= LONGEST => address,
        _ => "/".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::sent::Sent;
    use super::*;

    #[test]
    fn nobody_is_sent_back_to_another_site() {
        for (path, query, back) in [
            (&b"/a/b"[..], None, "/a/b"),
            (b"/a", Some(&b"x=//evil.test&y=1"[..]), "/a?x=//evil.test&y=1"),
            (b"//evil.test/", None, "/"),
            (b"/\\evil.test/", None, "/"),
            (b"/a\\b", None, "/"),
            (b"https://evil.test/", None, "/"),
            (b"*", None, "/"),
            (b"", None, "/"),
            (b"/a\r\nSet-Cookie: x", None, "/"),
            (b"/\t/evil.test", None, "/"),
            (b"/\xc3\xa9", None, "/"),
            (&[b'/'; 1], Some(&[b'a'; 4096]), "/"),
        ] {
            assert_eq!(address(&Sent { path, query, ..Sent::with(&[]) }), back, "{:?}", String::from_utf8_lossy(path));
        }
    }

    #[test]
    fn a_login_is_asked_for_with_what_proves_it_later() {
        let login = Login::new(&Sent::with(&[]), 1000).unwrap();
        let other = Login::new(&Sent::with(&[]), 1000).unwrap();
        assert!(login.state != other.state && login.state != login.nonce && login.verifier.len() == 43);
        let url = login.url("https://id.test/auth?x=1", ("us", "https://a.test/cb", "openid email"));
        assert!(url.starts_with("https://id.test/auth?x=1&response_type=code&client_id=us&redirect_uri=https%3A%2F%2Fa.test%2Fcb&scope=openid%20email&state="));
        assert!(!url.contains(&login.verifier) && url.ends_with("&code_challenge_method=S256"));
        assert!(login.is_live(1000 + PATIENCE) && !login.is_live(1001 + PATIENCE) && !login.is_live(100));
        // RFC 7636, appendix B.
        let known = Login { verifier: "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk".to_owned(), ..login };
        assert_eq!(known.challenge(), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }
}
