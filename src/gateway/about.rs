//! What conditions are told of a request, and of who asks.

use super::condition::{Facts, Named, Text};
use super::place::{decoded, pair};
use super::{Asked, Request, Who};
use serde_json::{Map, Value};
use smallvec::SmallVec;
use std::borrow::Cow;
use std::net::IpAddr;

/// A request and who asks, as conditions see them.
#[derive(Clone, Copy)]
pub struct About<'a> {
    /// The client, whom a trusted proxy may have named.
    pub client: IpAddr,
    /// The name of the route; empty before there is one.
    pub route: &'a str,
    /// What it has sent.
    pub request: &'a dyn Request,
    /// Who asks, as far as it is known.
    pub who: &'a Who,
    /// Its path as a target may read it; `None`: in its normal form.
    pub path: Option<&'a [u8]>,
}

impl<'a> About<'a> {
    /// What a rule is asked about.
    pub fn new(asked: &Asked<'a>, who: &'a Who) -> Self {
        Self { client: asked.client, route: asked.route, request: asked.request, who, path: None }
    }
}

impl About<'_> {
    fn parameters(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let query = self.request.query().unwrap_or_default();
        query.split(|&byte| byte == b'&').filter(|part| !part.is_empty()).map(pair)
    }

    fn each_cookie(&self, mut see: impl FnMut(&[u8], &[u8])) {
        self.request.each("cookie", &mut |line| {
            let pairs = line.split(|&byte| byte == b';').map(|one| pair(one.trim_ascii()));
            pairs.filter(|(name, _)| !name.is_empty()).for_each(|(name, value)| see(name, value));
        });
    }
}

impl Facts for About<'_> {
    fn text(&self, of: Text) -> Cow<'_, [u8]> {
        let secure = || self.request.secure();
        let certificate = || self.request.secure().and_then(|secure| secure.certificate);
        let text = match of {
            Text::Method => return self.request.method().into(),
            Text::Path => return self.path.unwrap_or_else(|| self.request.path()).into(),
            Text::Host => return self.request.host(),
            Text::Scheme => self.request.scheme(),
            Text::Sni => secure().map_or("", |secure| secure.name),
            Text::TlsVersion => secure().map_or("", |secure| secure.version),
            Text::CommonName => certificate().map_or("", |certificate| certificate.common_name),
            Text::Subject => certificate().map_or("", |certificate| certificate.subject),
            Text::AlternativeNames => certificate().map_or("", |certificate| certificate.names),
            Text::Fingerprint => certificate().map_or("", |certificate| certificate.fingerprint),
            Text::Listener => self.request.listener(),
            Text::Route => self.route,
            Text::Consumer => self.who.consumer.as_ref().map_or("", |consumer| &consumer.name),
        };
        text.as_bytes().into()
    }

    fn value(&self, of: Named, name: &[u8]) -> Option<Cow<'_, [u8]>> {
        match of {
            Named::Header => self.request.header(std::str::from_utf8(name).ok()?),
            Named::Query => {
                let is_it = |found: &[u8]| found == name || decoded(found)[..] == *name;
                let (_, value) = self.parameters().find(|(found, _)| is_it(found))?;
                Some(match value.iter().any(|byte| matches!(byte, b'%' | b'+')) {
                    true => decoded(value).into_vec().into(),
                    false => value.into(),
                })
            }
            Named::Cookie => {
                let mut first: Option<Vec<u8>> = None;
                self.each_cookie(|found, value| {
                    if first.is_none() && found == name {
                        first = Some(value.to_vec());
                    }
                });
                first.map(Cow::Owned)
            }
        }
    }

    fn each_name(&self, of: Named, see: &mut dyn FnMut(&[u8])) {
        match of {
            Named::Header => self.request.each_name(&mut |name| {
                let mut lower = SmallVec::<[u8; 64]>::from_slice(name);
                lower.make_ascii_lowercase();
                see(&lower);
            }),
            Named::Query => self.parameters().for_each(|(name, _)| see(&decoded(name))),
            Named::Cookie => self.each_cookie(|name, _| see(name)),
        }
    }

    fn size(&self) -> Option<u64> {
        match self.request.header("content-length") {
            Some(length) => std::str::from_utf8(&length).ok()?.parse().ok(),
            None => self.request.header("transfer-encoding").is_none().then_some(0),
        }
    }

    fn client(&self) -> IpAddr {
        self.client
    }

    fn is_secure(&self) -> bool {
        self.request.secure().is_some()
    }

    fn has_certificate(&self) -> bool {
        self.request.secure().is_some_and(|secure| secure.certificate.is_some())
    }

    fn groups(&self) -> &[Box<str>] {
        self.who.consumer.as_ref().map_or(&[], |consumer| &consumer.groups)
    }

    fn claims(&self) -> Option<&Map<String, Value>> {
        self.who.tokens.first().map(|proven| proven.claims.all())
    }
}
