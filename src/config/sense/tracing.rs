//! What makes no sense within `[tracing]`. What is in the files is seen when the plan is made.

use super::Sense;
use crate::config::model::Tracing;
use crate::config::sources::{Fault, KeyPath};
use std::net::IpAddr;

/// Looks at how traces are sent.
pub(super) fn check(sense: &mut Sense<'_>, tracing: &Tracing) {
    let at = KeyPath::from(["tracing"]);
    let Some(rest) = tracing.otlp.strip_prefix("http://").filter(|_| sense.is_sound(&at, "otlp")) else { return };
    if sense.has(&at, "ca") {
        sense.fault(
            Fault::new(at.child("ca"), "`ca` means nothing where the collector is asked in clear")
                .also(at.child("otlp"), "not https://")
                .help("remove it, or write an https URL"),
        );
    }
    for key in ["headers", "headers_file"] {
        if sense.has(&at, key) && !is_near(rest) {
            // Marked there, as the lines of secrets are not to be shown.
            sense.findings.warnings.push(
                Fault::new(at.child("otlp"), format!("`{key}` goes to another host in clear"))
                    .help("write an https URL for `otlp`"),
            );
        }
    }
}

/// Whether what stands behind a URL's scheme names this host.
pub(super) fn is_near(rest: &str) -> bool {
    let authority = rest.split('/').next().unwrap_or_default();
    let host = authority.rsplit_once(':').filter(|_| !authority.ends_with(']')).map_or(authority, |(host, _)| host);
    let ip = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host.eq_ignore_ascii_case("localhost") || ip.is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::is_near;

    #[test]
    fn this_host_is_told_from_others() {
        for near in ["127.0.0.1:4318/v1/traces", "localhost/", "LOCALHOST:1", "[::1]:4318", "[::1]"] {
            assert!(is_near(near), "{near}");
        }
        for far in ["10.0.0.1:4318", "collector:4318/x", "localhost.example.com", "[fd00::1]:4318/a:b"] {
            assert!(!is_near(far), "{far}");
        }
    }
}
