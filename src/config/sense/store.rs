//! What makes no sense within `[store]`. What is in the files is seen when the plan is made.

use super::Sense;
use super::tracing::is_near;
use crate::config::model::{RedisStore, RuleKind};
use crate::config::redis_url::RedisPlace;
use crate::config::sources::{Fault, KeyPath};

/// Looks at how hosts share what they know.
pub(super) fn check(sense: &mut Sense<'_>, store: &RedisStore) {
    let at = KeyPath::from(["store", "redis"]);
    let secure = matches!(store.url.place, RedisPlace::Host { secure: true, .. });
    if sense.has(&at, "ca") && !secure {
        sense.fault(
            Fault::new(at.child("ca"), "`ca` means nothing where the server is asked in clear")
                .help("remove it, or write a `rediss://` URL"),
        );
    }
    if sense.has(&at, "password_file") && store.url.password.is_some() {
        sense.fault(
            Fault::new(at.child("password_file"), "the password is given twice: here, and in `url`")
                .help("remove it from `url`"),
        );
    }
    let config = sense.config;
    let has_tickets = config.listeners.values().filter_map(|listener| listener.tls.as_ref());
    let has_tickets =
        has_tickets.map(|tls| &tls.tickets).any(|tickets| tickets.keys_file.is_none() && !tickets.lifetime.0.is_zero());
    let has_logins = config.rules.values().any(|rule| matches!(&rule.kind, RuleKind::Oidc(of) if of.own_secret));
    if !sense.has(&at, "secret_file") && (has_tickets || has_logins) {
        let what = match (has_tickets, has_logins) {
            (true, false) => "TLS tickets",
            (false, _) => "logins by OIDC",
            _ => "TLS tickets and of logins by OIDC",
        };
        sense.findings.warnings.push(
            Fault::new(at.clone(), format!("hosts do not share the keys of {what}, as they have no secret for it"))
                .help("add secret_file = \"ringway.secret\", made by: openssl rand -hex 32"),
        );
    }
    let has_password = store.url.password.is_some() || store.password_file.is_some();
    if let RedisPlace::Host { host, secure: false, .. } = &store.url.place
        && has_password
        && !is_near(&if host.contains(':') { format!("[{host}]") } else { host.clone() })
    {
        // Marked at its name, as the line has a secret in it.
        sense.findings.warnings.push(
            Fault::new(at.child("hosts"), "the password of `[store.redis]` goes to another host in clear")
                .help("write a `rediss://` URL for `url`"),
        );
    }
}
