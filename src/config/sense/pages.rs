//! What makes no sense of pages in place of errors, and of maintenance.

use super::Sense;
use crate::config::model::{ErrorPage, Maintenance};
use crate::config::sources::{Fault, KeyPath};
use std::collections::BTreeMap;

/// Looks at what clients of a route or a listener see, which stands at `at`.
pub(super) fn check(
    sense: &mut Sense<'_>,
    pages: &BTreeMap<String, ErrorPage>,
    maintenance: Option<&Maintenance>,
    at: &KeyPath,
) {
    for (status, page) in pages {
        let here = at.child("error_pages").child(status);
        let says = |key: &str| sense.has(&here, key);
        if page.file.is_none()
            && page.json.is_none()
            && !says("file")
            && !says("json")
            && sense.is_complete(here.clone())
        {
            sense.fault(
                Fault::new(here, format!("nothing is said in place of {status}"))
                    .help("write the path of a file, or { json = \"errors/404.json\" }"),
            );
        }
    }
    let Some(maintenance) = maintenance else { return };
    let here = at.child("maintenance");
    let known =
        sense.is_sound(&here, "enabled") && sense.is_sound(&here, "flag_file") && sense.is_complete(here.clone());
    if known && !maintenance.enabled && maintenance.flag_file.is_none() && !sense.has(&here, "enabled") {
        sense.findings.warnings.push(
            Fault::new(here, "nothing switches this maintenance on")
                .help("add flag_file = \"/run/ringway/maintenance\", or enabled = true when it begins"),
        );
    }
}
