//! What makes no sense of rules of type bandwidth.

use super::Sense;
use crate::config::model::Bandwidth;
use crate::config::sources::{Fault, KeyPath};

pub(super) fn bandwidth(sense: &mut Sense<'_>, name: &str, of: &Bandwidth, at: KeyPath) {
    if of.download.is_none() && of.upload.is_none() {
        sense.fault(
            Fault::new(at, format!("rule `{name}` slows nothing down"))
                .help("say how fast answers or requests may flow, as in download = \"1MB/s\""),
        );
    }
}
