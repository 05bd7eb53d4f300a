//! What is asked of a token whose signature is good.

use super::{Algorithm, Claims, Denial, Pointer};
use serde_json::Value;

/// The longest token that any policy takes, in bytes.
pub const LONGEST: usize = 64 << 10;
/// The most that clocks may be apart, in seconds.
pub const MOST_LEEWAY: u64 = 300;

/// What is asked of a token.
#[derive(Clone, Debug)]
pub struct Policy {
    /// The longest token, in bytes; at most [`LONGEST`].
    pub longest: usize,
    /// What it may say that it is.
    pub types: Types,
    /// How far the issuer's clock may be from ours, in seconds; at most [`MOST_LEEWAY`].
    pub leeway: u64,
    /// Whether it has to expire.
    pub expiry: bool,
    /// How long ago it may have been issued, in seconds; `None`: it does not matter.
    pub oldest: Option<u64>,
    /// How it may be signed, of what its key is for; empty: in any of these ways.
    pub algorithms: Box<[Algorithm]>,
    /// Who has to have made it; `None`: whoever has the key.
    pub issuer: Option<Box<str>>,
    /// For one of whom it has to have been made; empty: for anybody.
    pub audiences: Box<[Box<str>]>,
    /// What it has to say besides.
    pub claims: Box<[Wanted]>,
    /// What it has to allow, all of it.
    pub all_scopes: Box<[Box<str>]>,
    /// Of what it has to allow something; empty: nothing.
    pub any_scope: Box<[Box<str>]>,
}

/// What a token may say that it is (RFC 8725 §3.11).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Types {
    /// Nothing, `JWT`, or an access token. Not what is made for something else, such as `logout+jwt` or `dpop+jwt`.
    Jwt,
    /// An access token as RFC 9068 §2.1 has it: `at+jwt`.
    AccessToken,
}

/// A claim that has to be there.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Which one.
    pub at: Pointer,
    /// What it has to be, exactly one of these; where it is an array, it has to hold one of them. Empty: anything but null.
    pub any: Box<[Value]>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            longest: 8 << 10,
            types: Types::Jwt,
            leeway: 30,
            expiry: true,
            oldest: None,
            algorithms: Box::default(),
            issuer: None,
            audiences: Box::default(),
            claims: Box::default(),
            all_scopes: Box::default(),
            any_scope: Box::default(),
        }
    }
}

impl Policy {
    /// Whether the token is not too long to be looked at.
    pub(super) fn admits(&self, token: &str) -> Result<(), Denial> {
        if token.len() > self.longest.min(LONGEST) { Err(Denial::TooLong) } else { Ok(()) }
    }

    /// Whether claims are good enough, at a time in seconds since 1970.
    ///
    /// # Errors
    /// Why not.
    pub fn judge(&self, claims: &Claims, now: u64) -> Result<(), Denial> {
        let leeway = self.leeway.min(MOST_LEEWAY);
        let ensure = |holds: bool, denial| if holds { Ok(()) } else { Err(denial) };
        let is_signed =
            self.algorithms.is_empty() || claims.algorithm().is_some_and(|own| self.algorithms.contains(&own));
        ensure(is_signed, Denial::AlgorithmMismatch)?;
        ensure(self.types.have(claims.typ()), Denial::Type)?;
        ensure(!self.expiry || claims.expires().is_some(), Denial::NoExpiry)?;
        ensure(claims.expires().is_none_or(|end| now < end.saturating_add(leeway)), Denial::Expired)?;
        let later = now.saturating_add(leeway);
        ensure(claims.begins().is_none_or(|begin| begin <= later), Denial::NotYet)?;
        ensure(claims.issued().is_none_or(|issued| issued <= later), Denial::IssuedLater)?;
        if let Some(oldest) = self.oldest {
            let issued = claims.issued().ok_or(Denial::Claim)?;
            ensure(now < issued.saturating_add(oldest).saturating_add(leeway), Denial::Expired)?;
        }
        ensure(self.issuer.is_none() || claims.issuer() == self.issuer.as_deref(), Denial::Issuer)?;
        let ours = |audience: &str| self.audiences.iter().any(|own| **own == *audience);
        ensure(self.audiences.is_empty() || claims.audiences().any(ours), Denial::Audience)?;
        ensure(self.claims.iter().all(|wanted| wanted.is_met(claims)), Denial::Claim)?;
        let has = |scope: &str| claims.scopes().any(|own| own == scope);
        ensure(self.all_scopes.iter().all(|scope| has(scope)), Denial::Scope)?;
        ensure(self.any_scope.is_empty() || self.any_scope.iter().any(|scope| has(scope)), Denial::Scope)
    }
}

impl Types {
    fn have(self, typ: Option<&str>) -> bool {
        match self {
            Self::Jwt => matches!(typ, None | Some("jwt" | "at+jwt")),
            Self::AccessToken => typ == Some("at+jwt"),
        }
    }
}

impl Wanted {
    fn is_met(&self, claims: &Claims) -> bool {
        match claims.get(&self.at) {
            None => false,
            Some(value) if self.any.is_empty() => !value.is_null(),
            Some(Value::Array(all)) if !self.any.iter().any(Value::is_array) => {
                all.iter().any(|value| self.any.contains(value))
            }
            Some(value) => self.any.contains(value),
        }
    }
}
