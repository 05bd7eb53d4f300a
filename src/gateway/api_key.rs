//! Consumers by the keys that they send in a header.

use super::{Asked, Consumers, Denial, Phase, Rule, Who};
use std::sync::Arc;

/// A rule of type api-key.
#[derive(Debug)]
pub struct ApiKey {
    header: Box<str>,
    challenge: Arc<str>,
    consumers: Arc<Consumers>,
}

impl ApiKey {
    /// One that looks into `header`; `realm` has no `"` and no `\`.
    pub fn new(header: &str, realm: &str, consumers: Arc<Consumers>) -> Self {
        let challenge = format!("Key realm=\"{realm}\", header=\"{header}\"").into();
        Self { header: header.into(), challenge, consumers }
    }
}

impl ApiKey {
    /// The header that has the key.
    pub fn header(&self) -> &str {
        &self.header
    }

    /// What the client is to prove itself with.
    pub fn challenge(&self) -> &Arc<str> {
        &self.challenge
    }
}

impl Rule for ApiKey {
    fn phase(&self) -> Phase {
        Phase::Identity
    }

    fn decide(&self, asked: &Asked<'_>, who: &mut Who) -> Result<(), Denial> {
        let (mut sent, mut found) = (0, None);
        asked.lines.each(&self.header, &mut |value| {
            sent += 1;
            found = self.consumers.of_key(value).filter(|_| sent == 1).cloned();
        });
        let word = match (sent, found) {
            (1, Some(consumer)) => {
                who.consumer = Some(consumer);
                return Ok(());
            }
            (0, _) => "no-key",
            (1, None) => "unknown-key",
            _ => "several-keys",
        };
        Err(Denial::unauthenticated(word, &self.challenge))
    }
}
