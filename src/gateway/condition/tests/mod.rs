//! Conditions as people write them, as they should not, and as nobody in their right mind would.

mod agreed;
mod asked;
mod faults;
mod hostile;

use super::{Condition, Error, Facts, Named, Stage, Text};
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::cell::RefCell;
use std::net::IpAddr;

/// A request that is said beforehand. It notes what it is asked for.
struct Said {
    headers: Vec<(&'static str, &'static str)>,
    size: Option<u64>,
    client: IpAddr,
    groups: Vec<Box<str>>,
    claims: Option<Map<String, Value>>,
    asked: RefCell<Vec<String>>,
}

impl Said {
    fn new() -> Self {
        let claims = serde_json::json!({
            "role": "admin", "level": 7, "score": 1.5, "tags": ["a", "b"], "org": { "id": "o1" }, "ok": true, "nothing": null,
        });
        Self {
            headers: vec![("x-beta", "1"), ("accept", "text/html"), ("x-number", "42"), ("x-ip", "10.1.2.3")],
            size: Some(1000),
            client: IpAddr::from([10, 0, 0, 9]),
            groups: vec!["gold".into(), "eu".into()],
            claims: claims.as_object().cloned(),
            asked: RefCell::default(),
        }
    }

    fn note(&self, what: impl std::fmt::Debug) {
        self.asked.borrow_mut().push(format!("{what:?}"));
    }
}

impl Facts for Said {
    fn text(&self, of: Text) -> Cow<'_, [u8]> {
        self.note(of);
        Cow::Borrowed(match of {
            Text::Method => b"POST",
            Text::Path => b"/v1/orders",
            Text::Host => b"api.example.com",
            Text::Scheme => b"https",
            Text::Sni => b"example.com",
            Text::TlsVersion => b"1.3",
            Text::CommonName => b"alice",
            Text::Subject => b"CN=alice,O=acme",
            Text::AlternativeNames => b"DNS:alice.test",
            Text::Fingerprint => b"00ff",
            Text::Listener => b"web",
            Text::Route => b"api",
            Text::Consumer => b"acme",
        })
    }

    fn value(&self, of: Named, name: &[u8]) -> Option<Cow<'_, [u8]>> {
        self.note((of, String::from_utf8_lossy(name)));
        let all: &[(&str, &str)] = match of {
            Named::Header => &self.headers,
            Named::Query => &[("page", "2"), ("q", "a b")],
            Named::Cookie => &[("session", "abc"), ("empty", "")],
        };
        let found = all.iter().find(|(known, _)| known.as_bytes() == name)?;
        Some(Cow::Borrowed(found.1.as_bytes()))
    }

    fn each_name(&self, of: Named, see: &mut dyn FnMut(&[u8])) {
        if of == Named::Header {
            self.headers.iter().for_each(|(name, _)| see(name.as_bytes()));
        }
    }

    fn size(&self) -> Option<u64> {
        self.size
    }

    fn client(&self) -> IpAddr {
        self.client
    }

    fn is_secure(&self) -> bool {
        true
    }

    fn has_certificate(&self) -> bool {
        true
    }

    fn groups(&self) -> &[Box<str>] {
        &self.groups
    }

    fn claims(&self) -> Option<&Map<String, Value>> {
        self.claims.as_ref()
    }
}

fn compiled(text: &str) -> Condition {
    Condition::compile(text, Stage::Known).unwrap_or_else(|fault| panic!("{text}: {fault}"))
}

fn asked(text: &str) -> Result<bool, Error> {
    compiled(text).holds(&Said::new())
}
