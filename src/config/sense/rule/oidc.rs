//! What makes no sense of rules of type oidc.

use super::Sense;
use super::jwt::told_once;
use super::realm::realm;
use crate::config::model::Oidc;
use crate::config::sense::tracing::is_near;
use crate::config::sources::{Fault, KeyPath};

pub(super) fn oidc(sense: &mut Sense<'_>, of: &Oidc, at: &KeyPath) {
    realm(sense, &of.realm, at);
    told_once(sense, &of.forward_claims, at);
    if of.issuer.strip_prefix("http://").is_some_and(|rest| !is_near(rest)) {
        let told = Fault::new(at.child("issuer"), "whoever is on the way to the provider can let anybody in");
        sense.findings.warnings.push(told.help("write an https URL"));
    }
    if of.callback == of.logout {
        sense.fault(
            Fault::new(at.child("logout"), "`callback` is the same path")
                .help("give each a path of its own: callback = \"/oidc/callback\", logout = \"/oidc/logout\""),
        );
    }
    if !of.scopes.iter().any(|scope| scope == "openid") {
        sense.fault(
            Fault::new(at.child("scopes"), "without \"openid\" a provider does not say who somebody is")
                .help("write scopes = [\"openid\", \"email\"]"),
        );
    }
    let is_address = |text: &str| text.starts_with("https://") || text.starts_with("http://");
    let leads_away = of.after_logout.starts_with("//") || of.after_logout.contains(|c: char| !('!'..='~').contains(&c));
    if leads_away || !(of.after_logout.starts_with('/') || is_address(&of.after_logout)) {
        sense.fault(
            Fault::new(at.child("after_logout"), "it is no path and no URL")
                .help("write after_logout = \"/bye\", or a whole URL that the provider knows"),
        );
    }
    if let Some(url) = &of.public_url
        && url.split_once("://").is_some_and(|(_, rest)| rest.contains(['/', '?', '#']))
    {
        sense.fault(
            Fault::new(at.child("public_url"), "it has more than scheme, host and port")
                .help("write public_url = \"https://app.example.com\""),
        );
    }
}
