//! Who is logged in: what the browser keeps of it, sealed, and what the provider gives for it.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Who is logged in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Session {
    /// The identity token, which was verified when it came.
    #[serde(rename = "i")]
    pub(super) identity: String,
    /// What a new access token is had for.
    #[serde(rename = "r", skip_serializing_if = "Option::is_none", default)]
    pub(super) refresh: Option<String>,
    /// When the access token ends, in seconds since 1970.
    #[serde(rename = "e")]
    pub(super) ends: u64,
    /// When somebody logged in, likewise.
    #[serde(rename = "s")]
    pub(super) since: u64,
}

/// What the provider gives for a code or a refresh token (RFC 6749 §5.1).
pub(super) struct Granted {
    pub(super) identity: Option<String>,
    pub(super) refresh: Option<String>,
    /// For how long it is good, in seconds, if it says so.
    pub(super) seconds: Option<u64>,
}

/// An access token of which nothing is said is good for so long, in seconds.
const USUAL: u64 = 300;

impl Granted {
    /// Reads it; `None`: it is no such thing.
    pub(super) fn read(body: &[u8]) -> Option<Self> {
        let members: Map<String, Value> = serde_json::from_slice(body).ok()?;
        let text = |name: &str| members.get(name).and_then(Value::as_str).map(str::to_owned);
        // There is one, whatever we do with it.
        text("access_token")?;
        let seconds = members.get("expires_in").and_then(|value| match value {
            Value::Number(number) => number.as_u64(),
            Value::String(text) => text.parse().ok(),
            _ => None,
        });
        Some(Self { identity: text("id_token"), refresh: text("refresh_token"), seconds })
    }

    fn ends(&self, now: u64) -> u64 {
        now.saturating_add(self.seconds.unwrap_or(USUAL))
    }

    /// The session that begins with it; `identity` is verified.
    pub(super) fn begin(self, identity: String, now: u64) -> Session {
        Session { identity, ends: self.ends(now), refresh: self.refresh, since: now }
    }

    /// The session that goes on with it; a new identity token was verified.
    pub(super) fn go_on(self, session: &Session, now: u64) -> Session {
        let ends = self.ends(now);
        let refresh = self.refresh.or_else(|| session.refresh.clone());
        let identity = self.identity.unwrap_or_else(|| session.identity.clone());
        Session { identity, refresh, ends, since: session.since }
    }
}

impl Session {
    /// As it is sealed.
    pub(super) fn text(&self) -> Option<String> {
        serde_json::to_string(self).ok()
    }

    /// Reads it.
    pub(super) fn read(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_granted_begins_a_session_and_lets_it_go_on() {
        let read = |text: &str| Granted::read(text.as_bytes());
        let first = read(r#"{"access_token":"a","id_token":"i","refresh_token":"r","expires_in":60}"#).unwrap();
        let session = first.begin("i".to_owned(), 1000);
        assert_eq!(Session::read(&session.text().unwrap()), Some(session.clone()));
        assert_eq!((session.ends, session.since, session.refresh.as_deref()), (1060, 1000, Some("r")));
        let next = read(r#"{"access_token":"b","expires_in":"30"}"#).unwrap().go_on(&session, 2000);
        assert_eq!(
            (next.ends, next.since, next.refresh.as_deref(), next.identity.as_str()),
            (2030, 1000, Some("r"), "i")
        );
        let rotated = read(r#"{"access_token":"b","refresh_token":"q","id_token":"j"}"#).unwrap().go_on(&session, 2000);
        assert_eq!((rotated.ends, rotated.refresh.as_deref(), rotated.identity.as_str()), (2300, Some("q"), "j"));
        for wrong in ["", "[]", "{}", r#"{"access_token":1}"#, r#"{"error":"invalid_grant"}"#] {
            assert!(read(wrong).is_none(), "{wrong}");
        }
    }
}
