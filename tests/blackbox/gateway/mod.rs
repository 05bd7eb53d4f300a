//! What rules decide of requests, and who is told what.

mod address;
mod ban;
mod bandwidth;
mod basic;
mod bypass;
mod concurrency;
mod cors;
mod csrf;
mod doors;
pub mod idempotency;
mod identity;
mod introspection;
mod jwt;
mod jwt_keys;
mod mtls;
mod oidc;
mod openapi;
mod people;
mod places;
mod plans;
mod quota;
mod rate_limit;
mod request_size;
mod servers;
mod signature;
mod tarpit;
mod transform;
mod user_agent;
mod when;

use crate::support::Target;
use crate::support::proxy::{Directory, Proxy, Setup, ringway};
use crate::support::toml::http;

/// A proxy of one worker: its log has requests in the order in which they were asked.
fn in_order(config: String) -> Proxy {
    Setup::new(config).workers(1).start()
}

/// What `ringway check` says of a configuration in which `from` is `to`; it must not be good.
#[track_caller]
fn faults(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "{from}");
    let folder = Directory::new();
    let file = folder.write("ringway.toml", &text.replacen(from, to, 1));
    let (code, out, err) = ringway(&["check", "-c", &file]);
    assert_ne!(code, Some(0), "{to}: {out}{err}");
    out + &err
}

/// A route `/v1/` of these rules in front of a target, a second consumer beside `acme`, and a listener pool for all other paths.
fn config(target: &Target, rules: &str, more: &str) -> String {
    let consumers = "[consumers.acme]\ngroups = [\"gold\", \"eu\"]\nkeys = [\"key-of-acme\"]\n\
                     [consumers.other]\nkeys = [\"key-of-other\"]\n";
    http(&[target])
        + &format!("\n[routes.api]\npaths = [\"/v1/\"]\npool = \"site\"\nrules = {rules}\n{more}\n{consumers}")
        + "[rules.key]\ntype = \"api-key\"\nheader = \"X-Key\"\n[rules.gold]\ntype = \"groups\"\nallow = [\"gold\"]\n"
        + "[access_log]\n"
}
