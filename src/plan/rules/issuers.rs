//! Issuers of tokens that rules are for: one that is asked in the same way is one, in a plan and from plan to plan.

use crate::gateway::issuer::{Issuer, Wanted};
use std::sync::Arc;

/// Those of a plan that is being made.
pub(in crate::plan) struct Issuers {
    /// Those of the plans that it goes on from.
    before: Vec<Arc<Issuer>>,
    own: Vec<Arc<Issuer>>,
}

impl Issuers {
    /// None yet, but what was known before is known on.
    pub(in crate::plan) fn new(before: Vec<Arc<Issuer>>) -> Self {
        Self { before, own: Vec::new() }
    }

    /// The one that is asked so.
    pub(super) fn of(&mut self, wanted: Wanted) -> Arc<Issuer> {
        let known = || self.own.iter().chain(&self.before);
        let same = known().find(|issuer| *issuer.wanted() == wanted).cloned();
        let issuer = same.unwrap_or_else(|| {
            let is_it = |issuer: &&Arc<Issuer>| {
                issuer.wanted().place == wanted.place && issuer.wanted().ca == wanted.ca && issuer.known().is_some()
            };
            match known().find(is_it) {
                Some(issuer) => Arc::new(issuer.asked_by(wanted)),
                None => Arc::new(Issuer::new(wanted)),
            }
        });
        self.own.push(issuer.clone());
        issuer
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::issuer::{Endpoints, Known, Place};
    use crate::gateway::jwt::Keys;
    use std::time::Duration;

    #[test]
    fn an_issuer_goes_on_with_what_is_known_of_it_from_plan_to_plan() {
        let wanted = |url: &str, seconds| Wanted {
            place: Place::Keys(url.into()),
            ca: None,
            timeout: Duration::from_secs(seconds),
            refresh: Duration::from_secs(60),
            stale: Duration::from_secs(60),
        };
        let mut first = Issuers::new(Vec::new());
        let one = first.of(wanted("https://a.test", 1));
        assert!(Arc::ptr_eq(&one, &first.of(wanted("https://a.test", 1))));
        assert!(!Arc::ptr_eq(&one, &first.of(wanted("https://b.test", 1))));
        let keys = Keys::from_secret(&[1; 32], None, None).unwrap();
        one.learn(Known { keys, endpoints: Endpoints::default(), document: "".into() }, 1);
        let mut next = Issuers::new(vec![one.clone()]);
        assert!(Arc::ptr_eq(&one, &next.of(wanted("https://a.test", 1))));
        let other = next.of(wanted("https://a.test", 2));
        assert!(!Arc::ptr_eq(&one, &other) && other.known().is_some());
        assert!(next.of(wanted("https://c.test", 1)).known().is_none());
    }
}
