//! Rules of type oidc.

use super::bearer::{claims, named};
use super::{Compile, Does, Here};
use crate::config::model::Oidc;
use crate::gateway::issuer::{self, Wanted};
use crate::gateway::jwt::{Algorithm, Policy};
use crate::gateway::{self, Paths, Place, Provider};
use crate::plan::compile::key_path;
use crate::plan::sharing;
use aws_lc_rs::rand;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// The shortest secret, in bytes.
const SHORTEST: usize = 32;

impl Compile for Oidc {
    fn compile(&self, here: &mut Here<'_>) -> Does {
        let at = key_path(&["rules", here.name, "secret_file"]);
        let is_there = self.own_secret().is_none() || here.files.content(&at).is_ok();
        // Control makes and keeps it before anything runs: who but looks at a configuration has no use for it.
        let derived = self.own_secret().and_then(|_| sharing::derived(here.config, here.files, "oidc"));
        let secret = match derived {
            // Hosts that share a secret know each other's browsers.
            Some(derived) => Some(derived),
            None if is_there => here.secret("secret_file"),
            None => passing(),
        };
        let client_secret = self.client_secret_file.as_ref().map(|_| here.secret("client_secret_file"));
        let tls = here.client(&self.issuer, self.ca.as_deref());
        let (Some(secret), Some(tls)) = (secret, tls) else { return Does::default() };
        let Some(client_secret) = client_secret.map_or(Some(None), |secret| secret.map(Some)) else {
            return Does::default();
        };
        if secret.len() < SHORTEST {
            let what = format!("the secret has {} bytes, and needs {SHORTEST}", secret.len());
            here.fault(&["secret_file"], what, Some("make one by: openssl rand -hex 32".to_owned()));
            return Does::default();
        }
        let place = issuer::Place::Discovery(self.issuer.as_str().into());
        let (ca, timeout) = (self.ca.clone(), self.timeout.0);
        let issuer = here.issuer(Wanted { place, ca, timeout, refresh: self.refresh.0, stale: self.stale.0 });
        let client = (self.client_id.as_str(), client_secret.as_deref());
        let provider = Provider::new(issuer.clone(), client, &self.scopes.join(" "), policy(self), tls);
        let paths = Paths {
            callback: self.callback.as_str().into(),
            logout: self.logout.as_str().into(),
            after_logout: self.after_logout.as_str().into(),
            origin: self.public_url.as_deref().map(Into::into),
        };
        let named = named(self.consumer_claim.as_deref(), here);
        let cookie = (self.cookie.as_str(), secret.as_bytes(), self.realm.as_str());
        let rule = gateway::Oidc::new(here.index, provider, cookie, (paths, self.lifetime.0.as_secs()), named);
        let rule = match rule {
            Ok(rule) => rule,
            Err(why) => {
                here.fault(&["secret_file"], why, None);
                return Does::default();
            }
        };
        let credentials = rule.cookies().map(|name| Place::Cookie(name.into())).collect();
        let edits = claims(&self.forward_claims, here);
        Does { identifies: true, credentials, edits, issuer: Some(issuer), ..Does::asked(rule) }
    }
}

/// A secret that nothing is sealed with.
fn passing() -> Option<String> {
    let mut bytes = [0; SHORTEST];
    rand::fill(&mut bytes).ok()?;
    Some(URL_SAFE_NO_PAD.encode(bytes))
}

fn policy(of: &Oidc) -> Policy {
    let secret = [Algorithm::Hs256, Algorithm::Hs384, Algorithm::Hs512];
    let named: Vec<Algorithm> =
        of.algorithms.iter().filter_map(|algorithm| Algorithm::named(algorithm.name())).collect();
    let usual = || Algorithm::ALL.into_iter().filter(|algorithm| !secret.contains(algorithm)).collect();
    Policy {
        algorithms: if named.is_empty() { usual() } else { named.into() },
        issuer: Some(of.issuer.as_str().into()),
        audiences: [of.client_id.as_str().into()].into(),
        ..Policy::default()
    }
}
