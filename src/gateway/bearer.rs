//! Tokens that clients bear (RFC 6750): where they are looked for, and what clients are told whose token is not taken.

use super::jwt::{self, Policy};
use super::{Asked, Challenges, Denial, Place};
use crate::observe::reason::Reason;
use smallvec::SmallVec;
use std::fmt::Write;
use std::sync::Arc;

/// What finds them.
#[derive(Debug)]
pub(super) struct Bearer {
    places: Box<[Place]>,
    realm: Box<str>,
    /// What whoever has sent none is told.
    challenge: Arc<str>,
}

/// A token, as it was sent.
pub(super) type Token = SmallVec<[u8; 64]>;

impl Bearer {
    /// One that looks into all of `places`; `realm` has no `"` and no `\`.
    pub(super) fn new(places: &[Place], realm: &str) -> Self {
        let challenge = format!("Bearer realm=\"{realm}\"").into();
        Self { places: places.into(), realm: realm.into(), challenge }
    }

    /// The one token of a request.
    ///
    /// # Errors
    /// There is none, or there are several.
    pub(super) fn find(&self, asked: &Asked<'_>) -> Result<Token, Denial> {
        let (mut sent, mut token) = (0, None);
        for place in &self.places {
            let (count, found) = place.find(asked.request);
            let Some(mut found) = found else { continue };
            match (place, count) {
                (Place::Header(name), 1) => match scheme(&found) {
                    Some(length) => {
                        sent += 1;
                        found.drain(..length);
                        token = token.or(Some(found));
                    }
                    // Another scheme has a rule of its own; in a header for tokens it stands bare.
                    None if name.eq_ignore_ascii_case("authorization") => {}
                    None => {
                        sent += 1;
                        token = token.or(Some(found));
                    }
                },
                _ => {
                    sent += count;
                    token = token.or(Some(found));
                }
            }
        }
        match (sent, token) {
            (1, Some(token)) => Ok(token),
            (0, _) => Err(Denial::unauthenticated("no-token").absent().with(&self.challenge)),
            _ => {
                let told = self.says("invalid_request", "There are several tokens", None);
                Err(Denial::unauthenticated("several-tokens").with(&told))
            }
        }
    }

    /// What a client is told whose token is not taken (RFC 6750 §3).
    pub(super) fn says(&self, error: &str, description: &str, scope: Option<&str>) -> Arc<str> {
        let mut told =
            format!("Bearer realm=\"{}\", error=\"{error}\", error_description=\"{description}\"", self.realm);
        if let Some(scope) = scope {
            // A string takes everything.
            let _ = write!(told, ", scope=\"{scope}\"");
        }
        told.into()
    }

    /// What clients are told, by why their token is not taken.
    pub(super) fn told(&self, policy: &Policy) -> Box<[Arc<str>]> {
        let scopes: Vec<&str> = policy.all_scopes.iter().chain(&policy.any_scope).map(|scope| &**scope).collect();
        let scopes = scopes.join(" ");
        let told = jwt::Denial::ALL.map(|denial| {
            let scope = (denial == jwt::Denial::Scope).then_some(scopes.as_str());
            self.says(denial.error(), denial.description(), scope)
        });
        told.into()
    }

    /// A token is not taken, which a client is told by one of these.
    pub(super) fn denied(&self, denial: jwt::Denial, told: &[Arc<str>]) -> Denial {
        let reason = if denial.status() == 403 { Reason::Forbidden } else { Reason::Unauthenticated };
        let denied = Denial::new(denial.status(), reason, denial.word());
        match told.get(denial as usize) {
            Some(challenge) => denied.with(challenge),
            None => denied,
        }
    }

    /// What whoever has sent none may prove themselves with.
    pub(super) fn challenges(&self) -> Challenges {
        Challenges::from_iter([self.challenge.clone()])
    }
}

/// How many bytes the scheme takes, with the blanks behind it; `None`: it is another one.
fn scheme(value: &[u8]) -> Option<usize> {
    let (scheme, token) = value.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| value.len() - token.trim_ascii_start().len())
}
