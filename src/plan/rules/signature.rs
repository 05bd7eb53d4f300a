//! Rules of type signature.

use super::{Compile, Does, Here, listed};
use crate::config::model;
use crate::gateway::signature::{self, Component, Keys, Nonces, Policy};
use crate::gateway::{Consumer, Place};
use std::sync::Arc;

impl Compile for model::Signature {
    fn compile(&self, here: &mut Here<'_>) -> Does {
        let files = here.files;
        let lines = match listed(files, &["rules", here.name, "keys_file"]) {
            Ok(lines) => lines,
            Err(why) => {
                here.fault(&["keys_file"], why, None);
                return Does::default();
            }
        };
        let consumer = |name: &str| match here.people.names.get(name) {
            Some(consumer) => consumer.clone(),
            None => Arc::new(Consumer::new(name)),
        };
        let keys = match Keys::read(lines.into_iter(), consumer) {
            Ok(keys) => keys,
            Err(faults) => {
                let help = "write NAME hmac-sha256 KEY, the key being made by: openssl rand -base64 32";
                for (line, what) in faults {
                    here.fault(&["keys_file"], format!("line {line}: {what}"), Some(help.to_owned()));
                }
                return Does::default();
            }
        };
        let named = || self.components.iter().cloned().map(Component::Named).collect();
        let policy = Policy {
            components: if self.components.is_empty() { Policy::usual() } else { named() },
            max_age: self.max_age.0.as_secs(),
            skew: self.clock_skew.0.as_secs(),
            tag: self.tag.clone(),
            digest: self.digest,
        };
        let nonces =
            self.nonce.then(|| Nonces::new(self.nonces, here.before.and_then(|before| before.nonces(here.name))));
        if let Some(nonces) = &nonces {
            here.lasting.nonces.push((here.name.to_owned(), nonces.clone()));
        }
        let most = usize::try_from(self.digest_body.0).unwrap_or(usize::MAX);
        let rule = signature::Signature::new(&self.realm, keys, policy, nonces, most);
        let credentials = vec![Place::Header("signature".into()), Place::Header("signature-input".into())];
        Does { identifies: true, credentials, ..Does::asked(rule) }
    }
}
