//! Rewrites that take what nothing has captured, or make what is no path.

use super::Sense;
use crate::config::model::{QueryEdits, Rewrite, Route};
use crate::config::sources::{Fault, KeyPath};
use crate::config::template::{Captured, Piece, Template};
use regex::Regex;

pub(super) fn check(sense: &mut Sense<'_>, route: &Route, at: &KeyPath) {
    let Rewrite { pattern, path, query, .. } = &route.rewrite;
    url(sense, (pattern, path, query), &at.child("rewrite"));
}

/// Looks at what becomes of path and query by the table at `at`.
pub(super) fn url(
    sense: &mut Sense<'_>,
    (pattern, path, query): (&Option<String>, &Option<Captured>, &QueryEdits),
    at: &KeyPath,
) {
    let changes = path.is_some() || sense.has(at, "query");
    if pattern.is_some() && !changes && sense.is_complete(at.clone()) {
        sense.fault(
            Fault::new(at.child("match"), "`match` means nothing without `path` or `query`")
                .help("add path = \"/users/{1}\", or remove it"),
        );
    }
    let regex = pattern.as_ref().and_then(|pattern| Regex::new(pattern).ok()).filter(|_| sense.is_sound(at, "match"));
    if sense.is_sound(at, "match") {
        for (here, template) in filled(path.as_ref(), query, at) {
            captures(sense, template, regex.as_ref(), (&here, &at.child("match")));
        }
    }
    made(sense, path.as_ref(), query, at);
}

/// What is filled in of the table at `at`.
fn filled<'r>(path: Option<&'r Captured>, query: &'r QueryEdits, at: &KeyPath) -> Vec<(KeyPath, &'r Template)> {
    let of_path = path.map(|path| (at.child("path"), &path.0));
    let of_query = query.values().map(|(edit, name, value)| (at.child("query").child(edit).child(name), &value.0));
    of_path.into_iter().chain(of_query).collect()
}

/// Whether a path and a query can be made as the table at `at` says, whatever is captured.
pub(super) fn made(sense: &mut Sense<'_>, path: Option<&Captured>, query: &QueryEdits, at: &KeyPath) {
    for (here, template) in filled(path, query, at) {
        if template.needs_answer() {
            sense.fault(
                Fault::new(here, format!("`{template}` is filled in from an answer, and a request goes before it"))
                    .help("take something of the request"),
            );
        }
    }
    if let Some(path) = path {
        shape(sense, &path.0, &at.child("path"));
    }
}

/// Whether a regex captures what a template takes of it.
fn captures(sense: &mut Sense<'_>, template: &Template, regex: Option<&Regex>, (at, pattern): (&KeyPath, &KeyPath)) {
    for name in template.captured() {
        let Some(regex) = regex else {
            let what = format!("nothing captures `{{{name}}}`: there is no `match`");
            sense.fault(Fault::new(at.clone(), what).help("add match = \"^/…(…)\", or double braces that stay"));
            continue;
        };
        let found = match name.parse::<usize>() {
            Ok(number) => number < regex.captures_len(),
            Err(_) => regex.capture_names().flatten().any(|known| known == name),
        };
        if !found {
            let named: Vec<&str> = regex.capture_names().flatten().collect();
            let help = match (regex.captures_len() - 1, &named[..]) {
                (0, _) => "put what is to be taken into parentheses".to_owned(),
                (count, []) => format!("it captures {{1}} to {{{count}}}"),
                (_, named) => format!("its names are {}", named.join(", ")),
            };
            sense.fault(
                Fault::new(at.clone(), format!("`match` captures no `{{{name}}}`"))
                    .also(pattern.clone(), "here")
                    .help(help),
            );
        }
    }
}

/// Whether a template makes a path, whatever is filled in.
fn shape(sense: &mut Sense<'_>, path: &Template, at: &KeyPath) {
    let written: Vec<u8> = path
        .pieces()
        .iter()
        .flat_map(|piece| match piece {
            Piece::Text(text) => text.clone(),
            _ => b"x".to_vec(),
        })
        .collect();
    let is_dots = |segment: &[u8]| matches!(segment, b"." | b"..");
    let wrong = match () {
        () if !written.starts_with(b"/")
            || path.pieces().first().is_some_and(|piece| !matches!(piece, Piece::Text(_))) =>
        {
            ("a path begins with `/`", format!("write \"/{path}\""))
        }
        () if written.contains(&b'?') => ("`?` ends a path", "write the query as `query.set`".to_owned()),
        () if written.iter().any(|&byte| byte <= b' ' || byte >= 0x7f || matches!(byte, b'#' | b'\\')) => {
            ("it holds what must be percent-encoded in a path", "write a blank as %20".to_owned())
        }
        () if written.windows(2).any(|two| two == b"//") => ("it has an empty segment", "write `/` once".to_owned()),
        () if written.split(|&byte| byte == b'/').any(is_dots) => ("it has a dot segment", "leave it out".to_owned()),
        () => return,
    };
    sense.fault(Fault::new(at.clone(), wrong.0).help(wrong.1));
}
