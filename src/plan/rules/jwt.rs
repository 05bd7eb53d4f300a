//! Rules of type jwt.

use super::bearer::{claims, named, places};
use super::{Compile, Does, Here};
use crate::config::model::{Jwt, TokenType};
use crate::gateway::issuer::{self, Wanted};
use crate::gateway::jwt::{self, Algorithm, Keys, Policy, Types};
use crate::gateway::{Place, Source, Token};
use serde_json::Value;
use std::path::Path;

impl Compile for Jwt {
    fn compile(&self, here: &mut Here<'_>) -> Does {
        let Some(source) = source(self, here) else { return Does::default() };
        let places = places(self.header(), self.query.as_deref(), self.cookie.as_deref());
        let policy = policy(self, matches!(source, Source::Issuer(_)), here);
        let issuer = match &source {
            Source::Issuer(issuer) => Some(issuer.clone()),
            Source::Here(_) => None,
        };
        let rule = Token::new(here.index, (&places, &self.realm), source, policy);
        let rule = match named(self.consumer_claim.as_deref(), here) {
            Some(named) => rule.naming(named),
            None => rule,
        };
        let goes_no_further = |place: &Place| self.hide || matches!(place, Place::Query(_));
        let credentials = places.iter().filter(|place| goes_no_further(place)).cloned().collect();
        let edits = claims(&self.forward_claims, here);
        Does { identifies: true, credentials, edits, issuer, ..Does::asked(rule) }
    }
}

fn source(of: &Jwt, here: &mut Here<'_>) -> Option<Source> {
    let place = match (&of.jwks_url, &of.issuer) {
        (Some(url), _) => Some(issuer::Place::Keys(url.as_str().into())),
        (None, Some(issuer)) if of.discovery => Some(issuer::Place::Discovery(issuer.as_str().into())),
        _ => None,
    };
    if let Some(place) = place {
        let (ca, timeout) = (of.ca.clone(), of.timeout.0);
        return Some(Source::Issuer(here.issuer(Wanted {
            place,
            ca,
            timeout,
            refresh: of.refresh.0,
            stale: of.stale.0,
        })));
    }
    let pinned = match &of.algorithms[..] {
        [one] => Algorithm::named(one.name()),
        _ => None,
    };
    let mut read = |key: &str, path: &Option<_>, keys: &dyn Fn(&[u8]) -> Result<Keys, String>| {
        let path: &Path = path.as_deref()?;
        let content = here.files.content(&super::key_path(&["rules", here.name, key])).map_err(str::to_owned);
        match content.and_then(|content| keys(content).map_err(|why| format!("`{}`: {why}", path.display()))) {
            Ok(keys) => Some(Source::Here(Box::new(keys))),
            Err(why) => {
                here.fault(&[key], why, None);
                None
            }
        }
    };
    let secret = |text: &[u8]| {
        let text = text.strip_suffix(b"\n").unwrap_or(text);
        Keys::from_secret(text.strip_suffix(b"\r").unwrap_or(text), None, pinned)
    };
    read("jwks_file", &of.jwks_file, &Keys::from_jwks)
        .or_else(|| read("key_file", &of.key_file, &|text| Keys::from_pem(text, None, pinned)))
        .or_else(|| read("secret_file", &of.secret_file, &secret))
}

fn policy(of: &Jwt, is_fetched: bool, here: &mut Here<'_>) -> Policy {
    let boxed = |texts: &[String]| texts.iter().map(|text| text.as_str().into()).collect();
    let mut algorithms: Vec<Algorithm> =
        of.algorithms.iter().filter_map(|algorithm| Algorithm::named(algorithm.name())).collect();
    if algorithms.is_empty() && is_fetched {
        // A secret that is published is none.
        let secret = [Algorithm::Hs256, Algorithm::Hs384, Algorithm::Hs512];
        algorithms = Algorithm::ALL.into_iter().filter(|algorithm| !secret.contains(algorithm)).collect();
    }
    let wanted = of.required_claims.iter().filter_map(|(claim, texts)| {
        let at = here.pointer(&["required_claims", claim], claim)?;
        Some(jwt::Wanted { at, any: texts.iter().flat_map(|text| values(text)).collect() })
    });
    Policy {
        claims: wanted.collect(),
        longest: usize::try_from(of.max_size.0).unwrap_or(jwt::LONGEST),
        types: match of.token_type {
            TokenType::Jwt => Types::Jwt,
            TokenType::AccessToken => Types::AccessToken,
        },
        leeway: of.leeway.0.as_secs(),
        expiry: of.must_expire,
        oldest: of.max_age.map(|age| age.0.as_secs()),
        algorithms: algorithms.into(),
        issuer: of.issuer.as_deref().map(Into::into),
        audiences: boxed(&of.audiences),
        all_scopes: boxed(&of.scopes),
        any_scope: boxed(&of.any_scope),
    }
}

/// The values that a text stands for.
fn values(text: &str) -> impl Iterator<Item = Value> {
    let other = serde_json::from_str::<Value>(text).ok().filter(|value| value.is_boolean() || value.is_number());
    [Value::from(text)].into_iter().chain(other)
}
