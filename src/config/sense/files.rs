//! What makes no sense of files that a route sends.

use super::Sense;
use crate::config::model::{Files, Route};
use crate::config::sources::{Fault, KeyPath};

/// Looks at the files of a route that stands at `at`.
pub(super) fn check(sense: &mut Sense<'_>, route: &Route, files: &Files, at: &KeyPath) {
    let here = at.child("files");
    for (place, name) in files.index.iter().enumerate() {
        let is_name = !matches!(name.as_str(), "" | "." | "..") && !name.contains(['/', '\0']);
        if !is_name && sense.is_sound(&here, "index") {
            sense.fault(
                Fault::new(here.child("index").child(place), format!("`{name}` is not the name of a file"))
                    .help("write index = [\"index.html\"]"),
            );
        }
    }
    if files.fallback.is_some() && route.pool.is_some() && sense.has(at, "pool") {
        sense.fault(
            Fault::new(here.child("fallback"), "what is not found goes either to `fallback` or to `pool`")
                .also(at.child("pool"), "the other one")
                .help("remove one of them"),
        );
    }
    for end in files.types.keys().filter(|end| end.is_empty() || end.contains(['.', '/'])) {
        sense.fault(
            Fault::new(here.child("types").child(end), format!("`{end}` is not the end of a name"))
                .help("write it without a dot: types = { wasm = \"application/wasm\" }"),
        );
    }
}
