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
    let password = password(store, files)?;
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
    // Where it cannot be read there is no plan.
    let password = password(store, files).ok().flatten().unwrap_or_default();
    let mut text = b"ringway keys 1\0".to_vec();
    for part in [store.prefix.as_bytes(), password.as_bytes()] {
        text.extend_from_slice(part);
        text.push(0);
    }
    let hash = digest(&SHA256, &text);
    hash.as_ref().first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes))
}

/// The password, wherever it is written; `None`: nobody is asked for one.
fn password(store: &RedisStore, files: &Files) -> Result<Option<String>, Fault> {
    if store.password_file.is_none() {
        return Ok(store.url.password.clone());
    }
    let at = key_path(&["store", "redis", "password_file"]);
    let help = "write the password into it, and nothing else";
    let text = files.content(&at).map_err(|why| Fault::new(at.clone(), why).help(help))?;
    let text = std::str::from_utf8(text).map_err(|_| Fault::new(at.clone(), "the file is no text").help(help))?;
    match text.trim_end_matches(['\n', '\r']) {
        "" => Err(Fault::new(at, "the file is empty").help(help)),
        text => Ok(Some(text.to_owned())),
    }
}

/// The secret that keys are sealed with and derived from.
fn secret(store: &RedisStore, files: &Files) -> Result<Option<String>, Fault> {
    if store.secret_file.is_none() {
        return Ok(None);
    }
    let at = key_path(&["store", "redis", "secret_file"]);
    let help = "make it by: openssl rand -hex 32, and give all hosts the same";
    let text = files.content(&at).map_err(|why| Fault::new(at.clone(), why).help(help))?;
    let text = std::str::from_utf8(text).map_err(|_| Fault::new(at.clone(), "the file is no text").help(help))?;
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
    Some(URL_SAFE_NO_PAD.encode(key_of(&secret, purpose)?))
}

/// A key for one purpose, of a secret that hosts share. That fails for no secret.
fn key_of(secret: &str, purpose: &str) -> Option<[u8; 32]> {
    let mut key = [0; 32];
    let extracted = Salt::new(HKDF_SHA256, b"ringway store 1").extract(secret.as_bytes());
    extracted.expand(&[purpose.as_bytes()], HKDF_SHA256).ok()?.fill(&mut key).ok()?;
    Some(key)
}

impl Sharing {
    /// A key for one purpose that all hosts have alike; `None`: they share no secret.
    pub fn key(&self, purpose: &str) -> Option<[u8; 32]> {
        key_of(&self.secret.as_ref()?.0, purpose)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{compile, succeed};

    /// With a limit and a quota that hosts share.
    fn config(store: &str) -> Config {
        let text = format!(
            "[store.redis]\n{store}\n[listeners.web]\nlisten = ['127.0.0.1:80']\n[pools.site]\ntargets = ['127.0.0.1:2']\n\
             [routes.api]\npaths = ['/']\npool = 'site'\nrules = ['often', 'daily']\n\
             [rules.often]\ntype = 'rate-limit'\nrate = '5/s'\nscope = 'cluster'\n\
             [rules.daily]\ntype = 'quota'\nlimit = 5\nperiod = 'day'\nscope = 'cluster'\n"
        );
        toml::from_str(&text).unwrap()
    }

    /// What hashes of keys are made with: those of the limit, and those of the quota.
    fn seeds(plan: &Plan) -> [u64; 2] {
        [plan.counted[0].limiter.table().seed(), plan.lasting.shared_quotas()[0].quota.table().seed()]
    }

    #[test]
    fn hosts_know_keys_by_the_same_numbers_wherever_the_password_is_written() {
        let path = std::env::temp_dir().join(format!("ringway-sharing-{}", std::process::id()));
        std::fs::write(&path, "secret\r\n").unwrap();
        let file = config(&format!("url = 'redis://h'\npassword_file = '{}'", path.display()));
        let file = seeds(&compile(&file, 1).unwrap());
        std::fs::remove_file(&path).unwrap();
        let of = |store: &str| seeds(&compile(&config(store), 1).unwrap());
        assert_eq!(of("url = 'redis://:secret@h'"), file);
        for other in ["url = 'redis://:other@h'", "url = 'redis://h'", "url = 'redis://:secret@h'\nprefix = 'b'"] {
            let other = of(other);
            assert!(other[0] != file[0] && other[1] != file[1], "{other:?} {file:?}");
        }
    }

    #[test]
    fn what_was_counted_goes_on_only_where_keys_have_the_same_numbers() {
        let first = compile(&config("url = 'redis://:secret@h'"), 1).unwrap();
        let tables = |plan: &Plan| {
            let limiter = &plan.counted[0].limiter;
            let quota = plan.lasting.shared_quotas()[0].quota.table().clone();
            (limiter.table().clone(), limiter.shares().unwrap().clone(), quota)
        };
        let (limit, shares, quota) = tables(&first);
        let same = succeed(&config("url = 'redis://:secret@other'"), &first).unwrap();
        let (same_limit, same_shares, same_quota) = tables(&same);
        assert!(Arc::ptr_eq(&limit, &same_limit) && Arc::ptr_eq(&shares, &same_shares));
        assert!(Arc::ptr_eq(&quota, &same_quota));
        let before = seeds(&first);
        let next = succeed(&config("url = 'redis://:other@h'"), &first).unwrap();
        let (next_limit, next_shares, next_quota) = tables(&next);
        assert!(!Arc::ptr_eq(&limit, &next_limit) && !Arc::ptr_eq(&shares, &next_shares));
        assert!(!Arc::ptr_eq(&quota, &next_quota));
        assert_eq!(seeds(&first), before, "who goes by the plan before counts on as it did");
    }
}
