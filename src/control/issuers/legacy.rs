//! What is known of issuers, for the process that follows: it lets in whoever this one would, also while an issuer is away.

use crate::control::handover::IssuerText;
use crate::gateway::issuer::{Issuer, Known, Place};
use crate::gateway::jwt::Keys;
use crate::observe::wall::now;
use crate::plan::Plan;
use std::sync::Arc;

/// What is known of the issuers of a plan.
pub(in crate::control) fn hand_over(plan: &Plan) -> Vec<IssuerText> {
    let mut texts: Vec<IssuerText> = Vec::new();
    for (_, issuer) in &plan.issuers {
        let (wanted, known) = (issuer.wanted(), issuer.known());
        let (Some(known), Some(answered)) = (&*known, issuer.answered()) else { continue };
        if texts.iter().any(|text| is_of(text, issuer)) {
            continue;
        }
        texts.push(IssuerText {
            url: wanted.place.url().to_owned(),
            says_itself: matches!(wanted.place, Place::Discovery(_)),
            ca: wanted.ca.clone(),
            answered,
            endpoints: known.endpoints.clone(),
            keys: known.document.to_string(),
        });
    }
    texts
}

/// Takes on what another process knows of the issuers of a plan, unless that is too old.
pub(in crate::control) fn inherit(plan: &Plan, texts: &[IssuerText]) {
    for (_, issuer) in &plan.issuers {
        let is_young =
            |text: &&IssuerText| now().saturating_sub(text.answered) < issuer.wanted().stale.as_secs().max(1);
        let Some(text) = texts.iter().filter(|text| is_of(text, issuer)).find(is_young) else { continue };
        match Keys::from_jwks(text.keys.as_bytes()) {
            Ok(keys) => {
                let (endpoints, document) = (text.endpoints.clone(), text.keys.as_str().into());
                issuer.take_on(Known { keys, endpoints, document }, text.answered);
            }
            Err(why) => {
                tracing::warn!(issuer = text.url, why, "the keys that the process before knew are fetched anew");
            }
        }
    }
}

/// Whether it was fetched at the same place, and its sender proven in the same way.
fn is_of(text: &IssuerText, issuer: &Arc<Issuer>) -> bool {
    let wanted = issuer.wanted();
    let says_itself = matches!(wanted.place, Place::Discovery(_));
    text.url == wanted.place.url() && text.says_itself == says_itself && text.ca == wanted.ca
}
