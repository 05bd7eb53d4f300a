//! What makes no sense of rules of type introspection.

use super::Sense;
use super::jwt::told_once;
use super::realm::realm;
use crate::config::model::Introspection;
use crate::config::sense::tracing::is_near;
use crate::config::sources::{Fault, KeyPath};

pub(super) fn introspection(sense: &mut Sense<'_>, of: &Introspection, at: &KeyPath) {
    realm(sense, &of.realm, at);
    told_once(sense, &of.forward_claims, at);
    if of.endpoint.strip_prefix("http://").is_some_and(|rest| !is_near(rest)) {
        let told = Fault::new(at.child("endpoint"), "tokens and the secret go to another host in clear");
        sense.findings.warnings.push(told.help("write an https URL"));
    }
}
