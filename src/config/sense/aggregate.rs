//! What makes no sense of answers that are put together of several.

use super::{Sense, rewrite};
use crate::config::model::{Aggregate, AggregatePart, Route};
use crate::config::sources::{Fault, KeyPath};
use std::collections::BTreeMap;

/// Parts that an answer may have.
const MOST: usize = 16;
/// The keys of a route that mean nothing for such an answer.
const ELSEWHERE: [(&str, &str); 7] = [
    ("strip_prefix", "each part says which path it asks for"),
    ("rewrite", "each part has a `path` and a `query` of its own"),
    ("cache", "let clients keep it by `cache_control`"),
    ("mirror", "mirror the routes by which the pools are asked alone"),
    ("buffer", "the parts are held whole, and no body is passed on"),
    ("translate", "its parts are asked in JSON"),
    ("limits", "no body is passed on"),
];

/// Looks at the route at `at`.
pub(super) fn check(sense: &mut Sense<'_>, route: &Route, at: &KeyPath) {
    let Some(aggregate) = &route.aggregate else { return };
    let here = at.child("aggregate");
    for (key, why) in ELSEWHERE {
        if sense.sources.has_own(&at.child(key)) {
            let what = format!("`{key}` means nothing beside `aggregate`");
            sense.fault(
                Fault::new(at.child(key), what)
                    .also(here.clone(), "the answer is put together here")
                    .help(format!("remove it: {why}")),
            );
        }
    }
    if sense.is_sound(at, "methods") {
        for (index, method) in route.methods.iter().enumerate().filter(|(_, method)| !is_read(method)) {
            sense.fault(
                Fault::new(at.child("methods").child(index), format!("{method} gets 405 here: parts are asked by GET"))
                    .also(here.clone(), "the answer is put together here")
                    .help("write methods = [\"GET\", \"HEAD\"], and give the others a route with a pool"),
            );
        }
    }
    let list = here.child("parts");
    if !sense.is_sound(&here, "parts") {
        return;
    }
    match aggregate.parts.len() {
        0 => sense.fault(
            Fault::new(list.clone(), "there is nothing to put together")
                .help("write parts = [{ name = \"user\", pool = \"users\", path = \"/users/{id}\" }, …]"),
        ),
        more if more > MOST => sense.fault(
            Fault::new(list.clone(), format!("{more} parts are more than there may be"))
                .help(format!("one request asks {MOST} pools at most")),
        ),
        _ => {}
    }
    let (mut names, mut members) = (BTreeMap::new(), BTreeMap::new());
    for (index, part) in aggregate.parts.iter().enumerate() {
        let place = list.child(index);
        if let Some(first) = names.insert(&part.name, index) {
            sense.fault(
                Fault::new(place.child("name"), format!("part `{}` is there twice", part.name))
                    .also(list.child(first).child("name"), "the first one")
                    .help("give it a name of its own; `into` may say which member it becomes"),
            );
        } else if let Some(member) = part.member()
            && let Some(first) = members.insert(member, index)
        {
            let key = if part.into.is_some() { "into" } else { "name" };
            sense.fault(
                Fault::new(place.child(key), format!("two parts become the member `{member}`"))
                    .also(list.child(first), "the first one")
                    .help("an object has each name once: write another `into`"),
            );
        }
        self::part(sense, aggregate, part, &place);
    }
}

fn is_read(method: &str) -> bool {
    matches!(method, "GET" | "HEAD")
}

fn part(sense: &mut Sense<'_>, aggregate: &Aggregate, part: &AggregatePart, at: &KeyPath) {
    sense.dangling(&at.child("pool"), "pool", "pools", &part.pool);
    rewrite::made(sense, part.path.as_ref(), &part.query, at);
    if part.merge && part.into.is_some() {
        sense.fault(
            Fault::new(at.child("into"), "its members become members of the whole, and so does it itself")
                .also(at.child("merge"), "merged here")
                .help("remove one of the two"),
        );
    }
    if let Some(default) = &part.default {
        let what = match serde_json::from_str::<serde_json::Value>(default) {
            Err(wrong) => Some(format!("it is no JSON: {wrong}")),
            Ok(value) if part.merge && !value.is_object() => Some("what is merged is an object".to_owned()),
            Ok(_) => None,
        };
        if let Some(what) = what {
            let help = if part.merge { "write default = '{}'" } else { "write default = 'null', '[]' or '{\"a\":1}'" };
            sense.fault(Fault::new(at.child("default"), what).help(help));
        }
    }
    if part.pass_status.is_some() && !aggregate.requires(part) {
        sense.fault(
            Fault::new(at.child("pass_status"), "it means nothing of a part that may be missing")
                .help("add required = true, or remove it"),
        );
    }
}
