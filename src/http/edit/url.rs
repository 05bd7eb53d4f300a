//! The path and the query that a target gets, where its route rewrites them. Without I/O, so that `ringway explain` shows them.
//!
//! What always holds: nothing is decoded further than the normal form; what comes out is read by all targets alike, or the request
//! is refused as it would be had the client sent it; what is put before a path cannot be climbed out of; what is filled into a
//! query adds no parameter of its own.

use super::Facts;
use crate::config::template::{Field, Piece, Template};
use crate::http::forward::Path;
use crate::http::onward::{onward_path, stripped};
use crate::plan::path::{self, Forms, Refusal, Verdict};
use crate::plan::{Forward, Query, Rewrite};
use regex::bytes::Captures;
use std::borrow::Cow;

/// What a target gets in place of what the client sent.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::http) struct Rewritten {
    pub(in crate::http) path: Vec<u8>,
    /// Without its `?`; empty: there is none. `None`: the client's.
    pub(in crate::http) query: Option<Vec<u8>>,
}

/// What becomes of the URL of the request in `facts`; `raw` and `normal` are its path.
///
/// # Errors
/// The path that would come out could be read as another one.
#[cold]
pub(in crate::http) fn rewritten(
    rewrite: &Rewrite,
    rule: &Forward,
    path: Path,
    (raw, normal): (&[u8], &[u8]),
    facts: &Facts<'_>,
) -> Result<Rewritten, Refusal> {
    let mut seen = Cow::Borrowed(stripped(rule, if path.plain { raw } else { normal }));
    let mut sent = onward_path(rule, path, raw, normal).unwrap_or(raw).to_vec();
    let mut asked = facts.head.query.map(|query| Cow::Borrowed(query.of(facts.text)));
    if !rewrite.secret.is_empty() {
        asked = asked.map(|query| Cow::Owned(without(&query, &rewrite.secret)));
    }
    for step in &rewrite.steps {
        let captures = step.pattern.as_ref().map(|pattern| pattern.captures(&seen));
        if matches!(captures, Some(None)) {
            continue;
        }
        let captures = captures.flatten();
        if let Some(edits) = &step.query {
            asked = Some(Cow::Owned(query(edits, asked.as_deref(), facts, captures.as_ref())));
        }
        if let Some(template) = &step.path {
            sent = sound(&filled(template, facts, captures.as_ref(), push_in_path), rewrite.allowed)?;
            seen = Cow::Owned(normal_of(&sent));
            if rewrite.first_path {
                break;
            }
        }
    }
    if !rewrite.add_prefix.is_empty() {
        sent.splice(0..0, rewrite.add_prefix.bytes());
        stays_within(&sent, rewrite.add_prefix.as_bytes())?;
    }
    let query = match asked {
        Some(Cow::Owned(query)) => Some(query),
        _ => None,
    };
    Ok(Rewritten { path: sent, query })
}

/// The normal form of a path.
fn normal_of(sent: &[u8]) -> Vec<u8> {
    let mut normal = Vec::new();
    match path::normalise(sent, &mut normal) {
        Verdict::Plain => sent.to_vec(),
        Verdict::Normalised | Verdict::Ambiguous(_) => normal,
    }
}

/// A path as it may be sent, by the rules for what clients send.
fn sound(made: &[u8], allowed: Forms) -> Result<Vec<u8>, Refusal> {
    let mut normal = Vec::new();
    match path::normalise(made, &mut normal) {
        Verdict::Plain => Ok(made.to_vec()),
        Verdict::Normalised => Ok(normal),
        Verdict::Ambiguous(forms) => Ok(match path::forward(forms, allowed)? {
            path::Forward::Raw => made.to_vec(),
            path::Forward::Normal => normal,
        }),
    }
}

/// Whether no target can read a path as one that is not below `prefix`.
fn stays_within(sent: &[u8], prefix: &[u8]) -> Result<(), Refusal> {
    let mut normal = Vec::new();
    let Verdict::Ambiguous(forms) = path::normalise(sent, &mut normal) else { return Ok(()) };
    let (mut scratch, mut wrong) = (Vec::new(), Forms::NONE);
    path::readings(&normal, forms, &mut scratch, |reading, rests_on| {
        let within = reading.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"));
        wrong |= if within { Forms::NONE } else { rests_on };
        within
    });
    if wrong.is_empty() { Ok(()) } else { Err(Refusal::new(wrong)) }
}

/// A template filled in; each piece is written by `push`, which is told whether it is part of a path already.
fn filled(
    template: &Template,
    facts: &Facts<'_>,
    captures: Option<&Captures<'_>>,
    push: fn(&[u8], bool, &mut Vec<u8>),
) -> Vec<u8> {
    let (mut out, mut value) = (Vec::new(), Vec::new());
    for piece in template.pieces() {
        value.clear();
        let of_path = match piece {
            Piece::Text(text) => {
                value.extend_from_slice(text);
                true
            }
            Piece::Captured(name) => {
                let found = captures.and_then(|captures| match name.parse::<usize>() {
                    Ok(number) => captures.get(number),
                    Err(_) => captures.name(name),
                });
                value.extend_from_slice(found.map_or(b"", |found| found.as_bytes()));
                true
            }
            Piece::Field(field) => {
                facts.push(*field, &mut value);
                *field == Field::Path
            }
            Piece::RequestHeader(name) => {
                value.extend_from_slice(facts.head.values(facts.text, name.as_bytes()).next().unwrap_or_default());
                false
            }
            Piece::ResponseHeader(_) => false,
        };
        push(&value, of_path, &mut out);
    }
    out
}

/// What is part of a path already stays as it is; anything else is one segment at most.
fn push_in_path(value: &[u8], of_path: bool, out: &mut Vec<u8>) {
    if of_path {
        return out.extend_from_slice(value);
    }
    value.iter().for_each(|&byte| push_encoded(byte, out));
}

/// What is part of a path keeps its escapes, and nothing else that means something in a query.
fn push_in_query(value: &[u8], of_path: bool, out: &mut Vec<u8>) {
    for &byte in value {
        match byte {
            b'%' if of_path => out.push(byte),
            b'/' | b':' | b'@' | b',' => out.push(byte),
            _ => push_encoded(byte, out),
        }
    }
}

fn push_encoded(byte: u8, out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    match byte {
        b'-' | b'.' | b'_' | b'~' => out.push(byte),
        _ if byte.is_ascii_alphanumeric() => out.push(byte),
        _ => out.extend_from_slice(&[b'%', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]),
    }
}

/// A query less these parameters.
fn without(query: &[u8], names: &[String]) -> Vec<u8> {
    let passes = |pair: &&[u8]| !names.iter().any(|name| is_named(pair, name));
    query.split(|&byte| byte == b'&').filter(passes).collect::<Vec<_>>().join(&b'&')
}

/// Parameters under other names, in place of those that have them.
fn renamed<'q>(names: &[(String, String)], mut pairs: Vec<&'q [u8]>) -> Vec<Cow<'q, [u8]>> {
    let new_name = |pair: &[u8]| names.iter().find(|(from, _)| is_named(pair, from)).map(|(_, to)| to);
    let taken: Vec<&String> = pairs.iter().filter_map(|pair| new_name(pair)).collect();
    pairs.retain(|pair| new_name(pair).is_some() || !taken.iter().any(|name| is_named(pair, name)));
    let each = pairs.into_iter().map(|pair| match new_name(pair) {
        None => Cow::Borrowed(pair),
        Some(name) => {
            let mut out = Vec::with_capacity(name.len() + pair.len());
            name.bytes().for_each(|byte| push_encoded(byte, &mut out));
            let value = pair.iter().position(|&byte| byte == b'=').unwrap_or(pair.len());
            out.extend_from_slice(&pair[value..]);
            Cow::Owned(out)
        }
    });
    each.collect()
}

/// What becomes of a query. What passes stays as the client wrote it.
fn query(edits: &Query, before: Option<&[u8]>, facts: &Facts<'_>, captures: Option<&Captures<'_>>) -> Vec<u8> {
    let is_one_of = |names: &[String], pair: &[u8]| names.iter().any(|name| is_named(pair, name));
    let passes = |pair: &&[u8]| {
        let kept = edits.keep.as_ref().is_none_or(|keep| is_one_of(keep, pair));
        kept && !is_one_of(&edits.remove, pair)
    };
    let pairs: Vec<&[u8]> = before.unwrap_or_default().split(|&byte| byte == b'&').filter(passes).collect();
    let pairs = renamed(&edits.rename, pairs);
    let is_set = |pair: &[u8]| edits.set.iter().any(|(name, _)| is_named(pair, name));
    let pairs: Vec<&[u8]> = pairs.iter().map(|pair| &**pair).filter(|pair| !is_set(pair)).collect();
    let mut out = pairs.join(&b'&');
    let is_there = |name: &str| pairs.iter().any(|pair| is_named(pair, name));
    let added = edits.add.iter().filter(|(name, _)| !is_there(name));
    for (name, template) in edits.set.iter().chain(added).chain(&edits.append) {
        let value = filled(template, facts, captures, push_in_query);
        if !value.is_empty() {
            if !out.is_empty() {
                out.push(b'&');
            }
            name.bytes().for_each(|byte| push_encoded(byte, &mut out));
            out.push(b'=');
            out.extend_from_slice(&value);
        }
    }
    out
}

/// Whether a parameter has that name to a target, which decodes it.
fn is_named(pair: &[u8], name: &str) -> bool {
    let mut written = pair.split(|&byte| byte == b'=').next().unwrap_or_default();
    let mut name = name.as_bytes();
    while let Some((&first, rest)) = written.split_first() {
        let (byte, left) = match (first, path::escape(written)) {
            (b'%', Some(meant)) => (meant, &written[3..]),
            (b'+', _) => (b' ', rest),
            _ => (first, rest),
        };
        match name.split_first() {
            Some((&expected, more)) if expected == byte => (name, written) = (more, left),
            _ => return false,
        }
    }
    name.is_empty()
}

#[cfg(test)]
mod tests;
