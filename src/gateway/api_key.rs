//! Consumers by the keys that they send.

use super::{Asked, Challenges, Consumers, Denial, Halt, Phase, Place, Rule, Who};
use std::sync::Arc;

/// A rule of type api-key.
#[derive(Debug)]
pub struct ApiKey {
    places: Box<[Place]>,
    challenge: Arc<str>,
    consumers: Arc<Consumers>,
}

impl ApiKey {
    /// One that looks into all of `places`; `realm` has no `"` and no `\`.
    pub fn new(places: &[Place], realm: &str, consumers: Arc<Consumers>) -> Self {
        let named = places.iter().map(|place| format!(", {place}")).collect::<String>();
        let challenge = format!("Key realm=\"{realm}\"{named}").into();
        Self { places: places.into(), challenge, consumers }
    }
}

impl Rule for ApiKey {
    fn phase(&self) -> Phase {
        Phase::Identity
    }

    fn decide(&self, asked: &Asked<'_>, who: &mut Who) -> Result<(), Halt> {
        let (mut sent, mut key) = (0, None);
        for place in &self.places {
            let (count, found) = place.find(asked.request);
            sent += count;
            key = key.or(found);
        }
        let denial = match (sent, key) {
            (1, Some(key)) => match self.consumers.of_key(&key) {
                Some(consumer) => {
                    who.consumer = Some(consumer.clone());
                    return Ok(());
                }
                None => Denial::unauthenticated("unknown-key"),
            },
            (0, _) => Denial::unauthenticated("no-key").absent(),
            _ => Denial::unauthenticated("several-keys"),
        };
        Err(denial.with(&self.challenge).into())
    }

    fn challenges(&self) -> Challenges {
        Challenges::from_iter([self.challenge.clone()])
    }
}
