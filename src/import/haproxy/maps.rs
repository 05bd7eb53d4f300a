//! Maps: which backend a host or a path leads to, as a file says, and backends whose name a request makes.
//!
//! May depend on the reader of samples.

use super::acl::Method;
use super::sample::{self, Piece, Sample};
use crate::import::Around;
use crate::import::condition::{Cond, Fact, How, Match, Subject, escaped};

/// What leads where: conditions with the names of backends, in the order in which they are asked.
pub(super) type Leads = Vec<(Cond, String)>;

/// Entries that are taken from one file.
const MOST: usize = 2000;

/// What `use_backend %[…]` stands for: a map on a host or a path, or a name that is put together of one.
///
/// # Errors
/// Why it cannot be carried over.
pub(super) fn leads(text: &str, around: &dyn Around, backends: &[String]) -> Result<Leads, String> {
    let Some((before, rest)) = text.split_once("%[") else { return Err("it names no backend".to_owned()) };
    let Some((inner, after)) = rest.rsplit_once(']') else { return Err("a bracket is not closed".to_owned()) };
    let pieces = sample::pieces(inner);
    if !pieces.iter().any(is_map) {
        return composed(&subject(&pieces)?.0, before, after, backends);
    }
    let (entries, default) = entries(&pieces, around)?;
    let mut leads: Leads = entries.into_iter().map(|(cond, value)| (cond, format!("{before}{value}{after}"))).collect();
    if let Some(default) = default {
        leads.push((Cond::Const(true), format!("{before}{default}{after}")));
    }
    Ok(join(leads))
}

/// What holds where a map says anything, or one of these values.
///
/// # Errors
/// Why it cannot be carried over.
pub(super) fn says(pieces: &[Piece], around: &dyn Around, values: &[String]) -> Result<Cond, String> {
    let (entries, _) = entries(pieces, around)?;
    let mut any = Vec::new();
    // What an entry before says goes first.
    let mut before = Cond::Const(false);
    for (cond, value) in entries {
        if values.is_empty() {
            any.push(cond);
        } else {
            if values.contains(&value) {
                any.push(Cond::all([cond.clone(), before.clone().negate()]));
            }
            before = Cond::any([before, cond]);
        }
    }
    Ok(Cond::any(any))
}

/// Whether a piece looks something up in a file.
pub(super) fn is_map(piece: &Piece) -> bool {
    piece.name == "map" || piece.name.starts_with("map_")
}

fn subject(pieces: &[Piece]) -> Result<(Subject, bool), String> {
    let read = sample::read(pieces, true)?;
    match read.sample {
        Sample::Text(subject @ (Subject::Host | Subject::Path | Subject::Header(_) | Subject::Sni | Subject::Base)) => {
            Ok((subject, read.any_case))
        }
        _ => Err("hosts, paths and headers are looked up".to_owned()),
    }
}

/// The entries of a map, each with what it says, and what it says where none fits.
type Entries = (Vec<(Cond, String)>, Option<String>);

fn entries(pieces: &[Piece], around: &dyn Around) -> Result<Entries, String> {
    let place = pieces.iter().position(is_map).unwrap_or(0);
    let (pieces, tail) = pieces.split_at(place);
    let [map] = tail else { return Err("nothing is done with what a map says".to_owned()) };
    let (subject, any_case) = subject(pieces)?;
    let (path, default) = match map.argument.split_once(',') {
        Some((path, default)) => (path.trim(), Some(default.trim().to_owned())),
        None => (map.argument.trim(), None),
    };
    let method =
        map.name.strip_prefix("map_").and_then(|rest| Method::called(rest.split('_').next().unwrap_or_default()));
    let method = if map.name == "map" { Some(Method::Exact) } else { method };
    let Some(file) = around.read(path) else {
        return Err(format!("`{path}` cannot be read here: import where it is"));
    };
    let mut entries = Vec::new();
    for line in file.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let Some((key, value)) = line.split_once(char::is_whitespace) else { continue };
        let (how, key) = match method {
            Some(Method::Exact) => (How::Exact, key.to_owned()),
            Some(Method::Prefix) => (How::Prefix, key.to_owned()),
            Some(Method::Suffix) => (How::Suffix, key.to_owned()),
            Some(Method::Contains) => (How::Contains, key.to_owned()),
            Some(Method::Regex) => (How::Regex, key.to_owned()),
            Some(Method::Domain) => (How::Regex, format!(r"(^|[./]){}([./:]|$)", escaped(key.trim_matches('.')))),
            Some(Method::Segment) => (How::Regex, format!("(^|/){}(/|$)", escaped(key.trim_matches('/')))),
            _ => return Err(format!("`{}` is not known", map.name)),
        };
        let compared = Match { how, values: vec![key], any_case };
        entries.push((Cond::Fact(Fact::Text(subject.clone(), compared)), value.trim().to_owned()));
        if entries.len() > MOST {
            return Err(format!("`{path}` has more than {MOST} entries"));
        }
    }
    // The longest beginning that fits counts, in whatever order they stand.
    if method == Some(Method::Prefix) {
        entries.sort_by_key(|(cond, _)| std::cmp::Reverse(length(cond)));
    }
    Ok((entries, default))
}

/// Entries that lead to the same backend, one behind the other, as one.
fn join(leads: Leads) -> Leads {
    let mut joined: Leads = Vec::new();
    for (cond, backend) in leads {
        match joined.last_mut() {
            Some((Cond::Fact(Fact::Text(_, all)), last)) if *last == backend => match &cond {
                Cond::Fact(Fact::Text(_, one)) if one.how == all.how => all.values.extend(one.values.iter().cloned()),
                _ => joined.push((cond, backend)),
            },
            _ => joined.push((cond, backend)),
        }
    }
    joined
}

fn length(cond: &Cond) -> usize {
    match cond {
        Cond::Fact(Fact::Text(_, compared)) => compared.values.first().map_or(0, String::len),
        _ => 0,
    }
}

/// Backends whose names are made of a host: each that there is.
fn composed(subject: &Subject, before: &str, after: &str, backends: &[String]) -> Result<Leads, String> {
    if !matches!(subject, Subject::Host | Subject::Header(_)) {
        return Err("which backends there would be is not known: use a map".to_owned());
    }
    let name = |backend: &String| {
        Some(backend.strip_prefix(before)?.strip_suffix(after)?.to_owned()).filter(|name| !name.is_empty())
    };
    let leads: Leads = backends
        .iter()
        .filter_map(|backend| {
            let compared = Match::new(How::Exact, vec![name(backend)?]);
            Some((Cond::Fact(Fact::Text(subject.clone(), compared)), backend.clone()))
        })
        .collect();
    if leads.is_empty() { Err("no backend has such a name".to_owned()) } else { Ok(leads) }
}
