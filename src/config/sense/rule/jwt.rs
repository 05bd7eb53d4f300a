//! What makes no sense of rules of type jwt.

use super::Sense;
use super::realm::realm;
use crate::config::model::Jwt;
use crate::config::sense::tracing::is_near;
use crate::config::sources::{Fault, KeyPath};
use std::collections::BTreeMap;

/// Where keys can be.
const SOURCES: [&str; 5] = ["jwks_url", "discovery", "jwks_file", "key_file", "secret_file"];

pub(super) fn jwt(sense: &mut Sense<'_>, name: &str, of: &Jwt, at: &KeyPath) {
    realm(sense, &of.realm, at);
    let named = SOURCES.into_iter().filter(|key| sense.has(at, key) && (*key != "discovery" || of.discovery));
    match &named.collect::<Vec<_>>()[..] {
        [] if sense.is_complete(at.clone()) => {
            sense.fault(Fault::new(at.clone(), format!("rule `{name}` has no keys")).help(
                "write jwks_url = \"https://id.example.com/keys\", or discovery = true beside `issuer`, or a file",
            ))
        }
        [] | [_] => {}
        [first, second, ..] => sense.fault(
            Fault::new(at.child(second), format!("the keys are in `{first}` and in `{second}`"))
                .also(at.child(first), "the other one")
                .help("name one of them"),
        ),
    }
    let url = match (&of.issuer, of.discovery) {
        (Some(issuer), true) => is_url(issuer).then_some((issuer, "issuer")),
        _ => of.jwks_url.as_ref().map(|url| (url, "jwks_url")),
    };
    if of.discovery && url.is_none() && sense.is_complete(at.clone()) {
        let place = if of.issuer.is_some() { at.child("issuer") } else { at.child("discovery") };
        sense.fault(
            Fault::new(place, "where an issuer says itself where its keys are, its name is a URL")
                .help("write issuer = \"https://id.example.com\""),
        );
    }
    if let Some((url, key)) = url
        && url.strip_prefix("http://").is_some_and(|rest| !is_near(rest))
    {
        let told = Fault::new(at.child(key), "whoever is on the way to the keys can put their own in their place");
        sense.findings.warnings.push(told.help("write an https URL"));
    }
    if of.audiences.is_empty() && !sense.has(at, "audiences") {
        sense.findings.warnings.push(
            Fault::new(at.clone(), format!("rule `{name}` takes tokens that were made for others"))
                .help("write audiences = [\"…\"] as the issuer has it in `aud`, or [] if that is meant"),
        );
    }
    told_once(sense, &of.forward_claims, at);
}

/// Looks whether each claim of `forward_claims` has a header of its own.
pub(super) fn told_once(sense: &mut Sense<'_>, forward: &BTreeMap<String, String>, at: &KeyPath) {
    let mut headers: BTreeMap<String, &str> = BTreeMap::new();
    for (claim, header) in forward {
        if let Some(first) = headers.insert(header.to_ascii_lowercase(), claim) {
            sense.fault(
                Fault::new(at.child("forward_claims").child(claim), format!("`{header}` tells two claims"))
                    .also(at.child("forward_claims").child(first), "the other one")
                    .help("give each a header of its own"),
            );
        }
    }
}

pub(super) fn is_url(text: &str) -> bool {
    text.starts_with("https://") || text.starts_with("http://")
}
