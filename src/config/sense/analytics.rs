//! What makes no sense within `[analytics]`.

use super::Sense;
use super::tracing::is_near;
use crate::config::model::{Analytics, Hook};
use crate::config::sources::{Fault, KeyPath};

/// Looks at how long sums are kept.
pub(super) fn check(sense: &mut Sense<'_>, analytics: &Analytics) {
    analytics.hooks.iter().for_each(|(name, of)| hook(sense, name, of));
    let at = KeyPath::from(["analytics", "retention"]);
    let of = &analytics.retention;
    for (key, span, finer, shorter) in
        [("hours", of.hours, "minutes", of.minutes), ("days", of.days, "hours", of.hours)]
    {
        if span < shorter && sense.is_sound(&at, key) && sense.is_sound(&at, finer) {
            sense.fault(
                Fault::new(at.child(key), format!("`{key}` ends before `{finer}` does, so that there would be none"))
                    .help(format!("write {key} = \"{shorter}\" or longer")),
            );
        }
    }
}

fn hook(sense: &mut Sense<'_>, name: &str, hook: &Hook) {
    let at = KeyPath::from(["analytics", "hooks", name]);
    let set: Vec<&str> = ["url", "path", "syslog"].into_iter().filter(|key| sense.has(&at, key)).collect();
    if set.len() != 1 && sense.is_complete(at.clone()) {
        let where_to = set.get(1).map_or(at.clone(), |second| at.child(second));
        sense.fault(
            Fault::new(where_to, "a hook has one of `url`, `path` and `syslog`")
                .help("write url = \"https://events.example.com/requests\""),
        );
    }
    if !sense.has(&at, "headers") {
        return;
    }
    match &hook.url {
        None if set.first() != Some(&"url") => {
            sense.fault(Fault::new(at.child("headers"), "`headers` means nothing without `url`").help("remove it"));
        }
        Some(url) if url.strip_prefix("http://").is_some_and(|rest| !is_near(rest)) => {
            // Marked there, as the lines of secrets are not to be shown.
            sense.findings.warnings.push(
                Fault::new(at.child("url"), "`headers` goes to another host in clear")
                    .help("write an https URL for `url`"),
            );
        }
        _ => {}
    }
}
