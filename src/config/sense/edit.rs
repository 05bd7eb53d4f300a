//! Edits of headers that contradict each other or ask for what is not there yet.

use super::Sense;
use crate::config::model::{HeaderEdits, Route};
use crate::config::sources::{Fault, KeyPath};
use std::collections::BTreeMap;

pub(super) fn check(sense: &mut Sense<'_>, route: &Route, at: &KeyPath) {
    headers(sense, &route.request.headers, &route.response.headers, at);
}

/// Looks at the edits of requests and of answers of what stands at `at`.
pub(super) fn headers(sense: &mut Sense<'_>, requests: &HeaderEdits, answers: &HeaderEdits, at: &KeyPath) {
    let request = at.child("request").child("headers");
    for (edit, name, template) in requests.templates().filter(|(.., template)| template.needs_answer()) {
        let here = request.child(edit).child(name);
        sense.fault(
            Fault::new(here, format!("`{template}` is filled in from an answer, and a request goes before it"))
                .help("write it in `response`, or take something of the request"),
        );
    }
    for (edits, at) in [(requests, request), (answers, at.child("response").child("headers"))] {
        contradictions(sense, edits, &at);
    }
}

/// The same header twice in one kind of edit, in two spellings, or edited although it is removed.
fn contradictions(sense: &mut Sense<'_>, edits: &HeaderEdits, at: &KeyPath) {
    let mut seen: BTreeMap<(&str, String), KeyPath> = BTreeMap::new();
    let renamed = edits.rename.keys().map(|name| ("rename", name));
    let written = edits.templates().map(|(edit, name, _)| (edit, name));
    for (edit, name) in renamed.chain(written) {
        let here = at.child(edit).child(name);
        let what = format!("`{name}` is given twice: names of headers are the same in any case");
        if let Some(first) = seen.insert((edit, name.to_ascii_lowercase()), here.clone()) {
            sense.fault(Fault::new(here, what).also(first, "first given here").help("remove one of them"));
        }
    }
    for (place, name) in edits.remove.iter().enumerate() {
        let kept = ["rename", "set"].into_iter().find_map(|edit| seen.get(&(edit, name.to_ascii_lowercase())));
        if let Some(other) = kept.filter(|_| sense.is_sound(at, "remove")) {
            sense.fault(
                Fault::new(at.child("remove").child(place), format!("`{name}` is removed, and edited as well"))
                    .also(other.clone(), "edited here")
                    .help("remove one of them: `set` puts its own in place of all there are"),
            );
        }
    }
}
