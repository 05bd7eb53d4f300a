//! What makes no sense of bodies that are buffered.

use super::Sense;
use crate::config::model::Route;
use crate::config::sources::{Fault, KeyPath};

pub(super) fn check(sense: &mut Sense<'_>, route: &Route, at: &KeyPath) {
    let at = at.child("buffer");
    let (buffer, of_all) = (&route.buffer, sense.config.limits.buffers_disk);
    let Some(disk) = buffer.disk else { return };
    if !["request", "response"].iter().any(|key| sense.has(&at, key)) && sense.is_complete(at.clone()) {
        sense.fault(
            Fault::new(at.child("disk"), "nothing is buffered: `disk` takes what memory has no more room for")
                .help("say what memory holds: request = \"1MiB\" for uploads, response = \"1MiB\" for downloads"),
        );
    } else if disk > of_all {
        let what = format!("one body may take {disk} of the disk, and all together no more than {of_all}");
        let limit = KeyPath::from(["limits", "buffers_disk"]);
        let warning = Fault::new(at.child("disk"), what).help("raise limits.buffers_disk, or lower it");
        let is_said = sense.has(&KeyPath::from(["limits"]), "buffers_disk");
        sense.findings.warnings.push(if is_said { warning.also(limit, "of all bodies") } else { warning });
    }
}
