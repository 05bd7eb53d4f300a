//! Consumers by the certificates that they show.

use super::{Asked, Certificates, Challenges, Denial, Halt, Phase, Rule, Who};
use std::sync::Arc;

/// A rule of type mtls.
#[derive(Debug)]
pub struct Mtls {
    challenge: Arc<str>,
    certificates: Arc<Certificates>,
}

impl Mtls {
    /// One that knows these; `realm` has no `"` and no `\`.
    pub fn new(realm: &str, certificates: Arc<Certificates>) -> Self {
        Self { challenge: format!("Certificate realm=\"{realm}\"").into(), certificates }
    }
}

impl Rule for Mtls {
    fn phase(&self) -> Phase {
        Phase::Identity
    }

    fn decide(&self, asked: &Asked<'_>, who: &mut Who) -> Result<(), Halt> {
        let denial = match asked.request.secure().and_then(|secure| secure.certificate) {
            None => Denial::unauthenticated("no-certificate").absent(),
            Some(shown) => match self.certificates.of(&shown) {
                Some(consumer) => {
                    who.consumer = Some(consumer.clone());
                    return Ok(());
                }
                None => Denial::unauthenticated("unknown-certificate"),
            },
        };
        Err(denial.with(&self.challenge).into())
    }

    fn challenges(&self) -> Challenges {
        Challenges::from_iter([self.challenge.clone()])
    }
}
