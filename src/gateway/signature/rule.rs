//! Consumers by the signatures of their requests.

use super::{Denial, Keys, Nonces, Policy, Promised, verify};
use crate::gateway::{self, Asked, Challenges, Halt, Phase, Rule, Who};
use std::sync::Arc;

/// A rule of type signature.
#[derive(Debug)]
pub struct Signature {
    keys: Keys,
    policy: Policy,
    /// Those that were used, where each may be but once.
    nonces: Option<Nonces>,
    /// How much content is taken to look at its digest, in bytes.
    most: usize,
    challenge: Arc<str>,
    /// What is to be signed, as a whole line.
    accepted: String,
}

impl Signature {
    /// One that goes by this; `realm` has no `"` and no `\`. No more content than `most` bytes is taken to look at its digest.
    pub fn new(realm: &str, keys: Keys, policy: Policy, nonces: Option<Nonces>, most: usize) -> Self {
        let challenge = format!("Signature realm=\"{realm}\"").into();
        let accepted = format!("Accept-Signature: {}\r\n", policy.accepted(keys.algorithm(), nonces.is_some()));
        Self { keys, policy, nonces, most, challenge, accepted }
    }
}

impl Rule for Signature {
    fn phase(&self) -> Phase {
        Phase::Identity
    }

    fn decide(&self, asked: &Asked<'_>, who: &mut Who) -> Result<(), Halt> {
        let nonces = self.nonces.as_ref().filter(|_| !asked.dry);
        match verify(asked.request, &self.keys, &self.policy, nonces, asked.clock) {
            Ok((consumer, content)) => {
                who.consumer = Some(consumer);
                who.promised = content.map(|digest| Promised { digest, most: self.most });
                Ok(())
            }
            Err(why) => {
                let denial = gateway::Denial::unauthenticated(why.word()).with(&self.challenge);
                let denial = if why == Denial::Absent { denial.absent() } else { denial };
                Err(gateway::Denial { lines: self.accepted.clone(), ..denial }.into())
            }
        }
    }

    fn challenges(&self) -> Challenges {
        Challenges::from_iter([self.challenge.clone()])
    }
}
