//! From `[store.redis]` to how the server is reached through which hosts share what they know.

use super::Plan;
use super::compile::key_path;
use super::files::Files;
use crate::config::Fault;
use crate::config::model::{Config, RedisStore, Secret};
use crate::config::redis_url::{RedisPlace, RedisUrl};
use crate::tls;
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
        prefix: store.prefix.clone(),
        hosts: store.hosts,
        timeout: store.timeout.0,
        interval: store.interval.0,
    })
}
