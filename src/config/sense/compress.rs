//! What makes no sense of compression.

use super::Sense;
use crate::config::model::{Compression, Route};
use crate::config::sources::{Fault, KeyPath};

/// Looks at the route that stands at `at`.
pub(super) fn check(sense: &mut Sense<'_>, route: &Route, at: &KeyPath) {
    let Compression::On(compress) = &route.compress else { return };
    let at = at.child("compress");
    let list = at.child("codings");
    if !sense.has(&at, "codings") || !sense.is_sound(&at, "codings") {
        return;
    }
    if compress.codings.is_empty() {
        sense.fault(
            Fault::new(list, "there is no coding to compress with")
                .help("write codings = [\"zstd\", \"br\", \"gzip\"], or compress = false"),
        );
        return;
    }
    for (index, coding) in compress.codings.iter().enumerate() {
        if let Some(first) = compress.codings[..index].iter().position(|other| other == coding) {
            sense.fault(
                Fault::new(list.child(index), format!("`{}` is named twice", coding.word()))
                    .also(list.child(first), "first named here"),
            );
        }
    }
}
