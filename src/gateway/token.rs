//! Who asks, by the JSON Web Tokens that they send.
//!
//! What always holds: without keys nobody is let in. A token that names a key that is not known has the issuer asked for its keys once,
//! while the request waits, and no more often than [`COOLDOWN`](super::issuer::COOLDOWN) has it.

use super::bearer::Bearer;
use super::issuer::Issuer;
use super::jwt::{self, Claims, Keys, Pointer, Policy};
use super::{Asked, Challenges, Consumer, Denial, Halt, Phase, Place, Question, Rule, What, Who};
use crate::observe::reason::Reason;
use std::collections::HashMap;
use std::sync::Arc;

/// A rule of type jwt.
#[derive(Debug)]
pub struct Token {
    /// Its place among all rules.
    index: usize,
    bearer: Bearer,
    source: Source,
    policy: Policy,
    /// What clients are told, by why their token is not taken.
    told: Box<[Arc<str>]>,
    named: Option<Named>,
}

/// Where the keys are.
#[derive(Debug)]
pub enum Source {
    /// Here.
    Here(Box<Keys>),
    /// With the issuer.
    Issuer(Arc<Issuer>),
}

/// Which claim says what consumer it is.
#[derive(Debug)]
pub struct Named {
    /// The claim.
    pub at: Pointer,
    /// All consumers, by their names.
    pub consumers: Arc<HashMap<Box<str>, Arc<Consumer>>>,
}

/// What a client has proven to be, by a token.
#[derive(Clone, Debug)]
pub struct Proven {
    /// The place of the rule that found it good among all.
    pub rule: usize,
    /// What it says.
    pub claims: Arc<Claims>,
}

/// How soon whoever came while there were no keys may try again, in seconds.
const AGAIN: u32 = 5;

impl Token {
    /// The rule at a place among all, which looks into all of `places`; `realm` has no `"` and no `\`.
    pub fn new(index: usize, (places, realm): (&[Place], &str), source: Source, policy: Policy) -> Self {
        let bearer = Bearer::new(places, realm);
        let told = bearer.told(&policy);
        Self { index, bearer, source, policy, told, named: None }
    }

    /// The same, where a claim says what consumer it is.
    pub fn naming(self, named: Named) -> Self {
        Self { named: Some(named), ..self }
    }

    fn verify(&self, token: &str, asked: &Asked<'_>) -> Result<Arc<Claims>, Halt> {
        let mut tokens = asked.tokens.borrow_mut();
        let verified = match &self.source {
            Source::Here(keys) => tokens.verify(token, keys, &self.policy, asked.clock),
            Source::Issuer(issuer) => loop {
                let known = issuer.known();
                let Some(known) = &*known else {
                    let away = Denial::new(503, Reason::Unanswered, "keys-away");
                    return Err(Denial { retry_after: AGAIN, ..away }.into());
                };
                let verified = tokens.verify(token, &known.keys, &self.policy, asked.clock);
                if verified.as_ref().err() != Some(&jwt::Denial::KeyUnknown) {
                    break verified;
                }
                if !asked.dry && asked.said_to(self.index).next().is_none() && issuer.may_be_asked(asked.clock) {
                    let what = What::Keys(issuer.clone());
                    return Err(Halt::Ask(Box::new(Question { rule: self.index, what })));
                }
                // It may have answered just now.
                if issuer.known().as_ref().is_some_and(|now| Arc::ptr_eq(now, known)) {
                    break verified;
                }
            },
        };
        verified.map_err(|denial| self.denied(denial).into())
    }

    fn denied(&self, denial: jwt::Denial) -> Denial {
        self.bearer.denied(denial, &self.told)
    }
}

impl Named {
    /// The consumer that claims name.
    pub(super) fn find(&self, claims: &Claims) -> Result<Arc<Consumer>, Denial> {
        let name = claims.get(&self.at).and_then(|name| name.as_str());
        let found = name.and_then(|name| self.consumers.get(name));
        found.cloned().ok_or_else(|| Denial::forbidden("unknown-consumer"))
    }
}

impl Rule for Token {
    fn phase(&self) -> Phase {
        Phase::Identity
    }

    fn decide(&self, asked: &Asked<'_>, who: &mut Who) -> Result<(), Halt> {
        let token = self.bearer.find(asked)?;
        let token = std::str::from_utf8(&token).map_err(|_| self.denied(jwt::Denial::Malformed))?;
        let claims = self.verify(token, asked)?;
        if let Some(named) = &self.named {
            who.consumer = Some(named.find(&claims)?);
        }
        who.tokens.push(Proven { rule: self.index, claims });
        Ok(())
    }

    fn challenges(&self) -> Challenges {
        self.bearer.challenges()
    }
}
