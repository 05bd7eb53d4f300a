//! Rules of type introspection.

use super::bearer::{claims, named, places};
use super::{Compile, Does, Here};
use crate::config::model::Introspection;
use crate::gateway::jwt::{self, Policy};
use crate::gateway::{self, Authority, Place};

impl Compile for Introspection {
    fn compile(&self, here: &mut Here<'_>) -> Does {
        let Some(secret) = here.secret("secret_file") else { return Does::default() };
        let Some(tls) = here.client(&self.endpoint, self.ca.as_deref()) else { return Does::default() };
        let places = places(self.header(), self.query.as_deref(), self.cookie.as_deref());
        let authority = Authority::new(&self.endpoint, (&self.client_id, &secret), self.timeout.0, tls)
            .believed(self.cache.0.as_secs(), self.negative_cache.0.as_secs());
        let boxed = |texts: &[String]| texts.iter().map(|text| text.as_str().into()).collect();
        let policy = Policy {
            longest: usize::try_from(self.max_size.0).unwrap_or(jwt::LONGEST),
            expiry: false,
            leeway: 0,
            issuer: self.issuer.as_deref().map(Into::into),
            audiences: boxed(&self.audiences),
            all_scopes: boxed(&self.scopes),
            any_scope: boxed(&self.any_scope),
            ..Policy::default()
        };
        let named = named(self.consumer_claim.as_deref(), here);
        let rule = gateway::Introspection::new(here.index, (&places, &self.realm), authority, policy, named);
        let goes_no_further = |place: &Place| self.hide || matches!(place, Place::Query(_));
        let credentials = places.iter().filter(|place| goes_no_further(place)).cloned().collect();
        let edits = claims(&self.forward_claims, here);
        Does { identifies: true, credentials, edits, ..Does::asked(rule) }
    }
}
