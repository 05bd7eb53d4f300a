//! What makes no sense of rules of type transform.

use super::super::{edit, rewrite};
use super::Sense;
use crate::config::model::{BodyEdits, RuleMode, Transform};
use crate::config::pointer;
use crate::config::sources::{Fault, KeyPath};

pub(super) fn transform(sense: &mut Sense<'_>, name: &str, of: &Transform, mode: RuleMode, at: &KeyPath) {
    let (request, response) = (at.child("request"), at.child("response"));
    if of.is_empty() && sense.is_complete(at.clone()) && !sense.has(at, "request") && !sense.has(at, "response") {
        sense.fault(
            Fault::new(at.clone(), format!("rule `{name}` changes nothing"))
                .help("write request.headers.set = { \"x-tenant\" = \"{consumer.name}\" }"),
        );
    }
    if mode == RuleMode::Shadow {
        sense.fault(
            Fault::new(at.child("mode"), "a rule of type transform changes something or does nothing")
                .help("write mode = \"off\", or remove it"),
        );
    }
    edit::headers(sense, &of.request.headers, &of.response.headers, at);
    rewrite::url(sense, (&of.request.pattern, &of.request.path, &of.request.query), &request);
    if let Some(method @ ("HEAD" | "CONNECT" | "TRACE" | "OPTIONS")) = of.request.method.as_deref() {
        sense.fault(
            Fault::new(
                request.child("method"),
                format!("{method} asks for another kind of answer than clients wait for"),
            )
            .help("write method = \"POST\""),
        );
    }
    if let Some(status @ (204..=206 | 304)) = of.response.status {
        sense.fault(
            Fault::new(response.child("status"), format!("an answer of {status} has another body than it came with"))
                .help("write a status whose answers have bodies of any kind, such as 200"),
        );
    }
    body(sense, &of.request.body, &request.child("body"));
    body(sense, &of.response.body, &response.child("body"));
    for (edit, path, value) in of.request.body.values() {
        let mut needs = None;
        value.each_text(&mut |text| {
            if text.0.needs_answer() {
                needs = needs.or(Some(text));
            }
        });
        if let Some(text) = needs {
            sense.fault(
                Fault::new(
                    request.child("body").child(edit).child(path),
                    format!("`{text}` is filled in from an answer, and a request goes before it"),
                )
                .help("write it in `response`, or take something of the request"),
            );
        }
    }
}

/// Looks at the edits of a body.
fn body(sense: &mut Sense<'_>, of: &BodyEdits, at: &KeyPath) {
    let removed = of.remove.iter().enumerate().map(|(place, path)| (at.child("remove").child(place), path));
    let renamed = of.rename.keys().map(|path| (at.child("rename").child(path), path));
    let added = of.add.keys().map(|path| (at.child("add").child(path), path));
    let wholes: Vec<KeyPath> =
        removed.chain(renamed).chain(added).filter(|(_, path)| path.is_empty()).map(|(here, _)| here).collect();
    for here in wholes {
        sense.fault(
            Fault::new(here, "the whole body has no name, and is always there")
                .help("name something in it: \"/user\"; `set` and `append` take \"\" for all of it"),
        );
    }
    let written: Vec<_> = of
        .values()
        .filter_map(|(edit, path, _)| Some((edit, path, pointer::steps(path).ok()?, at.child(edit).child(path))))
        .collect();
    for (place, (edit, path, steps, here)) in written.iter().enumerate() {
        for (other_edit, other, other_steps, there) in &written[..place] {
            if !steps.iter().zip(other_steps).all(|(one, other)| pointer::meet(one, other)) {
                continue;
            }
            // What is appended to may be edited as well.
            let (outer, is_same) = match steps.len().cmp(&other_steps.len()) {
                std::cmp::Ordering::Less => (*edit, false),
                std::cmp::Ordering::Equal => (*edit, true),
                std::cmp::Ordering::Greater => (*other_edit, false),
            };
            if is_same || outer != "append" {
                sense.fault(
                    Fault::new(here.clone(), format!("`{path}` and `{other}` are the same, or one lies in the other"))
                        .also(there.clone(), "the other one")
                        .help("write one value for both, or a rule for each"),
                );
            }
        }
    }
}
