//! A rule of type idempotency: it sees by the head whether a request names a key, and notes what that is known by.

use super::key::{self, Said};
use super::problem::{Refused, refused};
use super::{Keyed, Scope, Terms};
use crate::gateway::{Asked, CountKey, Halt, Phase, Rule, Who};
use aws_lc_rs::digest::{Context, SHA256};
use std::sync::Arc;

/// A rule of type idempotency.
#[derive(Debug)]
pub struct Idempotency {
    /// Its place among all.
    pub index: usize,
    /// Whether it lets through what it would refuse.
    pub shadow: bool,
    /// The methods that it is for.
    pub methods: Box<[Box<[u8]>]>,
    /// Where keys stand.
    pub header: Box<str>,
    /// Whether there has to be one.
    pub required: bool,
    /// Whose keys are told from others'.
    pub whose: Whose,
    /// How it deals with keys.
    pub terms: Arc<Terms>,
}

/// By what it is told whose a key is.
#[derive(Debug)]
pub enum Whose {
    /// Who asks; where nobody is known, by what the request shows to its target: `Authorization`, `Cookie`, `X-Api-Key`, what rules have the target
    /// told, and the client's certificate.
    Asker,
    /// This.
    By(CountKey),
}

impl Rule for Idempotency {
    fn phase(&self) -> Phase {
        Phase::Validate
    }

    fn decide(&self, asked: &Asked<'_>, who: &mut Who) -> Result<(), Halt> {
        let request = asked.request;
        if !self.methods.iter().any(|method| **method == *request.method()) || request.is_call() {
            return Ok(());
        }
        let key = match key::read(request, &self.header) {
            Said::Key(key) => key,
            Said::Nothing if self.required => return Err(refused(Refused::Missing).into()),
            Said::Nothing => return Ok(()),
            Said::Bad => return Err(refused(Refused::Bad).into()),
        };
        // The first of several rules counts.
        if !asked.dry && who.keyed.is_none() {
            let (scope, terms) = (self.scope(asked, who, &key), self.terms.clone());
            who.keyed = Some(Box::new(Keyed { rule: self.index, shadow: self.shadow, terms, scope }));
        }
        Ok(())
    }
}

impl Idempotency {
    /// What a key is known by.
    fn scope(&self, asked: &Asked<'_>, who: &Who, key: &[u8]) -> Scope {
        let request = asked.request;
        let mut parts = Parts(Context::new(&SHA256));
        parts.add(b'i', key);
        parts.add(b'r', asked.route.as_bytes());
        parts.add(b'h', &request.host());
        parts.add(b'm', request.method());
        parts.add(b'p', request.path());
        match &self.whose {
            Whose::By(key) => parts.add(b'b', &key.text(asked, who)),
            Whose::Asker => {
                let subject = who.tokens.iter().find_map(|proven| Some((proven, proven.claims.subject()?)));
                match (&who.consumer, subject) {
                    (Some(consumer), _) => parts.add(b'c', consumer.name.as_bytes()),
                    (None, Some((proven, subject))) => {
                        parts.add(b's', subject.as_bytes());
                        parts.add(b'o', proven.claims.issuer().unwrap_or_default().as_bytes());
                    }
                    (None, None) => {
                        request.each("authorization", &mut |value| parts.add(b'a', value));
                        request.each("cookie", &mut |value| parts.add(b'k', value));
                        request.each("x-api-key", &mut |value| parts.add(b'x', value));
                        for (name, value) in &who.told {
                            parts.add(b't', name.as_bytes());
                            parts.add(b'v', value);
                        }
                        if let Some(certificate) = request.secure().and_then(|secure| secure.certificate) {
                            parts.add(b'f', certificate.fingerprint.as_bytes());
                        }
                        // A token that is about nobody may be anybody's.
                        if !who.tokens.is_empty() {
                            parts.add(b'n', asked.client.to_canonical().to_string().as_bytes());
                        }
                    }
                }
            }
        }
        let mut scope = Scope::default();
        scope.copy_from_slice(parts.0.finish().as_ref());
        scope
    }
}

/// Parts that are hashed so that no two lists of them are one.
struct Parts(Context);

impl Parts {
    fn add(&mut self, kind: u8, part: &[u8]) {
        self.0.update(&[kind]);
        self.0.update(&(part.len() as u64).to_be_bytes());
        self.0.update(part);
    }
}
