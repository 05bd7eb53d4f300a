//! Rules of type idempotency.

use super::limit_key::count_key;
use super::{Compile, Does, Here};
use crate::config::model::{self, LimitScope, WhenAway, WhenFull};
use crate::config::units::Size;
use crate::gateway::idempotency::{Bounds, Idempotency, Store, Terms, Whose};
use crate::net::Caller;
use std::sync::Arc;

/// What is known of keys; who waits for an answer is called.
pub type Keys = Store<Caller>;

/// The keys of a rule.
#[derive(Clone, Debug)]
pub struct KeptKeys {
    /// The name of its rule.
    pub rule: String,
    /// The place of that among all.
    pub index: usize,
    /// The keys.
    pub keys: Arc<Keys>,
    /// How the rule deals with them.
    pub terms: Arc<Terms>,
}

/// Bits of addresses that make a client, of IPv4 and of IPv6, where keys are told by that.
const PREFIXES: [u8; 2] = [32, 64];

impl Compile for model::Idempotency {
    fn compile(&self, here: &mut Here<'_>) -> Does {
        let whose = match &self.by {
            None => Whose::Asker,
            Some(by) => match count_key(by, PREFIXES) {
                Ok(key) => Whose::By(key),
                Err(why) => {
                    here.fault(&["by"], why, None);
                    return Does::default();
                }
            },
        };
        let bytes = |size: Size| usize::try_from(size.0).unwrap_or(usize::MAX);
        let forgets = self.when_full == WhenFull::Forget;
        let keys = here.before.and_then(|before| before.keys_named(here.name)).cloned().unwrap_or_default();
        let terms = Arc::new(Terms {
            ttl: self.ttl.0,
            wait: self.wait.0,
            max_body: bytes(self.max_body),
            max_request_body: bytes(self.max_request_body),
            retry: self.retry,
            bounds: Bounds { max_keys: self.max_keys, memory: bytes(self.memory), forgets },
            is_alone: self.when_away == WhenAway::LetIn,
            shared: (self.scope == LimitScope::Cluster).then(|| here.name.into()),
        });
        let kept = KeptKeys { rule: here.name.to_owned(), index: here.index, keys, terms: terms.clone() };
        here.lasting.keys.push(kept);
        Does::asked(Idempotency {
            index: here.index,
            shadow: here.shadow,
            methods: self.methods.iter().map(|method| method.as_bytes().into()).collect(),
            header: self.header.as_str().into(),
            required: self.required,
            whose,
            terms,
        })
    }
}
