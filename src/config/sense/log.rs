//! What makes no sense in `[access_log]`.

use super::Sense;
use crate::config::logs::LogFormat;
use crate::config::model::{AccessLog, Keep, SECRET_HEADERS};
use crate::config::sources::{Fault, KeyPath};

/// Looks at the access log.
pub fn check(sense: &mut Sense<'_>, log: &AccessLog) {
    let at = KeyPath::from(["access_log"]);
    if sense.has(&at, "path") && sense.has(&at, "syslog") {
        sense.fault(
            Fault::new(at.child("syslog"), "the access log goes to one place, and there are two")
                .also(at.child("path"), "the other one")
                .help("remove `path` or `syslog`"),
        );
    }
    if sense.has(&at, "routes") && sense.has(&at, "except_routes") {
        sense.fault(
            Fault::new(at.child("except_routes"), "`except_routes` means nothing beside `routes`")
                .also(at.child("routes"), "only these are recorded")
                .help("remove one of them"),
        );
    }
    names(sense, &at, "listeners", ("listener", "listeners"), &log.listeners);
    names(sense, &at, "routes", ("route", "routes"), &log.routes);
    names(sense, &at, "except_routes", ("route", "routes"), &log.except_routes);
    if sense.has(&at, "slow") && sense.is_sound(&at, "keep") && !log.keep.contains(&Keep::Slow) {
        sense.fault(
            Fault::new(at.child("slow"), "`slow` means nothing unless what is slow is kept")
                .help("set keep = [\"slow\"], or remove it"),
        );
    }
    if matches!(log.format, LogFormat::Template(..)) {
        for (key, side) in [("headers", "request"), ("response_headers", "response")] {
            if sense.has(&at, key) {
                sense.fault(
                    Fault::new(at.child(key), format!("`{key}` means nothing beside a template"))
                        .also(at.child("format"), "this one says what a record shows")
                        .help(format!("write {{{side}.headers.NAME}} in the template")),
                );
            }
        }
    }
    redaction(sense, log, &at.child("redact"));
}

fn redaction(sense: &mut Sense<'_>, log: &AccessLog, at: &KeyPath) {
    if let Some(place) = log.redact.headers.iter().position(|name| name == "host")
        && sense.is_sound(at, "headers")
    {
        sense.fault(
            Fault::new(
                at.child("headers").child(place),
                "`host` cannot be redacted: it is how requests are told apart",
            )
            .help("remove it"),
        );
    }
    if !sense.is_sound(at, "except_headers") || !sense.is_sound(at, "headers") {
        return;
    }
    for (place, name) in log.redact.except_headers.iter().enumerate() {
        if !SECRET_HEADERS.contains(&name.as_str()) || log.redact.headers.contains(name) {
            let known = SECRET_HEADERS.map(|name| format!("`{name}`")).join(", ");
            let what = match log.redact.headers.contains(name) {
                true => format!("`{name}` is redacted and excepted"),
                false => format!("`{name}` is shown without being excepted"),
            };
            let here = at.child("except_headers").child(place);
            sense.fault(Fault::new(here, what).help(format!("those that are not shown are {known}")));
        }
    }
}

fn names(sense: &mut Sense<'_>, at: &KeyPath, key: &str, (kind, plural): (&str, &str), names: &[String]) {
    if !sense.is_sound(at, key) {
        return;
    }
    for (place, name) in names.iter().enumerate() {
        sense.dangling(&at.child(key).child(place), kind, plural, name);
    }
}
