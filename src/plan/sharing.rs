//! From `[store.redis]` to how the server is reached through which hosts share what they know.

use super::Plan;
use super::compile::key_path;
use super::files::Files;
use crate::config::Fault;
use crate::config::model::{Config, RedisStore, Secret};
use crate::config::redis_url::{RedisPlace, RedisUrl};
use crate::tls;
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustls::ClientConfig;
use std::sync::Arc;
use std::time::Duration;

/// How hosts share what they know.
#[derive(Clone, Debug)]
pub struct Sharing {
    /// Where the server is.
    pub url: RedisUrl,
    /// Who logs in.
    pub user: Option<String>,
    /// The password; `None`: nobody is asked for one.
    pub password: Option<Secret>,
    /// What TLS is spoken with; `None`: it is spoken to in clear.
    pub tls: Option<Arc<ClientConfig>>,
    /// What keys are sealed with that hosts share; `None`: they share none.
    pub secret: Option<Secret>,
    /// What names of keys begin with.
    pub prefix: String,
    /// How many hosts share.
    pub hosts: u32,
    /// How long an answer may take.
    pub timeout: Duration,
    /// How often hosts tell each other what they have counted.
    pub interval: Duration,
}

/// That of a configuration: the very one before where nothing of it has changed. Fails if a file cannot be used.
pub(super) fn follow(config: &Config, previous: Option<&Plan>, files: &Files) -> Result<Option<Arc<Sharing>>, Fault> {
    let at = key_path(&["store"]);
    let is_same = |plan: &&Plan| plan.config.store == config.store && plan.files.are_the_same(files, &at);
    match previous.filter(is_same) {
        Some(same) => Ok(same.sharing.clone()),
        None => config.store.redis.as_ref().map(|store| compile(store, files).map(Arc::new)).transpose(),
    }
}

fn compile(store: &RedisStore, files: &Files) -> Result<Sharing, Fault> {
    let at = key_path(&["store", "redis"]);
    let password = match &store.password_file {
        None => store.url.password.clone(),
        Some(_) => {
            let at = at.child("password_file");
            let text = files.content(&at).map_err(|why| Fault::new(at.clone(), why))?;
            let text = std::str::from_utf8(text).map_err(|_| Fault::new(at.clone(), "the file is no text"))?;
            let text = text.trim_end_matches(['\n', '\r']);
            if text.is_empty() {
                return Err(Fault::new(at, "the file is empty").help("write the password into it, and nothing else"));
            }
            Some(text.to_owned())
        }
    };
    let secret = secret(store, files)?;
    let secure = matches!(store.url.place, RedisPlace::Host { secure: true, .. });
    let tls = secure.then(|| tls::acme::client(store.ca.as_deref())).transpose().map_err(|what| {
        let key = if store.ca.is_some() { "ca" } else { "url" };
        Fault::new(at.child(key), what).help("name a PEM file of authorities: ca = \"ca.pem\"")
    })?;
    Ok(Sharing {
        user: store.url.user.clone(),
        password: password.map(Secret),
        url: RedisUrl { password: None, ..store.url.clone() },
        tls: tls.map(Arc::new),
        secret: secret.map(Secret),
        prefix: store.prefix.clone(),
        hosts: store.hosts,
        timeout: store.timeout.0,
        interval: store.interval.0,
    })
}

/// What hashes of keys are made with that hosts tell each other of: the same on all of them, and hard to guess where there is a password.
pub(super) fn seed(config: &Config, files: &Files) -> u64 {
    let Some(store) = &config.store.redis else { return 0 };
    let file = files.content(&key_path(&["store", "redis", "password_file"])).unwrap_or_default();
    let password = store.url.password.as_deref().unwrap_or_default();
    let mut text = b"ringway keys 1\0".to_vec();
    for part in [store.prefix.as_bytes(), password.as_bytes(), file] {
        text.extend_from_slice(part);
        text.push(0);
    }
    let hash = digest(&SHA256, &text);
    hash.as_ref().first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes))
}

/// The secret that keys are sealed with and derived from.
fn secret(store: &RedisStore, files: &Files) -> Result<Option<String>, Fault> {
    if store.secret_file.is_none() {
        return Ok(None);
    }
    let at = key_path(&["store", "redis", "secret_file"]);
    let text = files.content(&at).map_err(|why| Fault::new(at.clone(), why))?;
    let text = std::str::from_utf8(text).map_err(|_| Fault::new(at.clone(), "the file is no text"))?;
    let text = text.trim_end_matches(['\n', '\r']);
    match text.len() {
        SHORTEST.. => Ok(Some(text.to_owned())),
        length => Err(Fault::new(at, format!("the secret has {length} bytes, and needs {SHORTEST}"))
            .help("make one by: openssl rand -hex 32")),
    }
}

/// The fewest bytes of a secret.
const SHORTEST: usize = 32;

/// The secret of something that all hosts have alike, derived from the one that they share; `None`: they share none.
pub(super) fn derived(config: &Config, files: &Files, purpose: &str) -> Option<String> {
    let secret = secret(config.store.redis.as_ref()?, files).ok()??;
    let salt = Salt::new(HKDF_SHA256, b"ringway store 1");
    let info = [purpose.as_bytes()];
    let extracted = salt.extract(secret.as_bytes());
    let mut key = [0; 32];
    extracted.expand(&info, HKDF_SHA256).ok()?.fill(&mut key).ok()?;
    Some(URL_SAFE_NO_PAD.encode(key))
}
