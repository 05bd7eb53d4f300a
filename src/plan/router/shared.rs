//! What the choice among the routes of a listener rests on: the headers of requests that decide whether a route is taken, by which its
//! answers vary (RFC 9110 §12.5.5), and the media types that routes for the same share out among them.
//!
//! What always holds: a route that some header could have kept a request from, its own or that of a route that goes before it, has that
//! header among its own; one whose requests no other route could take has none but those that it names itself.

use super::conditions::{Conditions, PathPattern};
use super::media::Media;
use super::table::disjoint_prefixes;
use super::why::{Kind, host_kind, path_kind};
use crate::plan::host::HostPattern;
use std::collections::BTreeSet;

/// How specific a host and a path are: more goes first.
type Place = ((Kind, usize), (Kind, usize));

/// Looks at the routes at these positions of `all`, which are those of one listener: has each know which media types the others have for
/// the same, and adds to `vary`, which has as many, the headers that decide whether it is taken.
pub fn settle(all: &mut [Conditions], on: &[usize], vary: &mut [BTreeSet<String>]) {
    let names: Vec<(usize, Vec<String>)> =
        on.iter().map(|&route| (route, all[route].header_names())).filter(|(_, names)| !names.is_empty()).collect();
    for (route, own) in &names {
        vary[*route].extend(own.iter().cloned());
    }
    for &route in on {
        for (other, names) in names.iter().filter(|(other, _)| *other != route) {
            let (this, before) = (&all[route], &all[*other]);
            if !names.iter().all(|name| vary[route].contains(name)) && before.goes_before_some_of(this) {
                vary[route].extend(names.iter().cloned());
            }
        }
    }
    let sharing: Vec<usize> = on.iter().copied().filter(|&route| all[route].accept.is_some()).collect();
    for route in sharing {
        let mut rivals: Vec<Media> = Vec::new();
        for (other, _) in names.iter().filter(|(other, _)| *other != route) {
            let Some(accepts) = all[*other].accept.as_ref().filter(|_| all[*other].is_beside(&all[route])) else {
                continue;
            };
            let own = all[route].accept.as_ref().map_or(&[][..], |own| &own.types);
            let is_new = |media: &&Media| !own.iter().chain(&rivals).any(|known| known.is_same(media));
            let new: Vec<Media> = accepts.types.iter().filter(is_new).cloned().collect();
            rivals.extend(new);
        }
        if let Some(accept) = &mut all[route].accept {
            // A route may be on several listeners.
            rivals.retain(|media| !accept.rivals.iter().any(|known| known.is_same(media)));
            accept.rivals.extend(rivals);
        }
    }
}

impl Conditions {
    /// Whether there may be a request that both could take, host and path alone looked at, for which this goes before the other.
    fn goes_before_some_of(&self, other: &Self) -> bool {
        self.priority >= other.priority
            && self.meetings(other).any(|(own, its)| {
                self.priority > other.priority || own > its || own == its && self.rank() >= other.rank()
            })
    }

    /// Whether there may be one for which only what is beyond host and path decides.
    fn is_beside(&self, other: &Self) -> bool {
        self.priority == other.priority && self.meetings(other).any(|(own, its)| own == its)
    }

    /// How specific both are where they meet.
    fn meetings<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = (Place, Place)> + 'a {
        let hosts = pairs(&self.hosts, &other.hosts).filter(|(one, two)| hosts_meet(*one, *two));
        hosts.flat_map(move |(host, its_host)| {
            let paths = pairs(&self.paths, &other.paths).filter(|(one, two)| paths_meet(*one, *two));
            let place = |host: Option<&HostPattern>, path: Option<&PathPattern>| {
                (host.map_or((Kind::Every, 0), host_kind), path.map_or((Kind::Every, 0), path_kind))
            };
            paths.map(move |(path, its_path)| (place(host, path), place(its_host, its_path)))
        })
    }
}

/// Each of one list with each of the other; nothing stands for everything.
fn pairs<'a, T>(one: &'a [T], two: &'a [T]) -> impl Iterator<Item = (Option<&'a T>, Option<&'a T>)> {
    let each = |list: &'a [T]| list.iter().map(Some).chain(list.is_empty().then_some(None));
    each(one).flat_map(move |first| each(two).map(move |second| (first, second)))
}

fn hosts_meet(one: Option<&HostPattern>, two: Option<&HostPattern>) -> bool {
    use HostPattern::{Exact, Wildcard};
    match (one, two) {
        (None, _) | (_, None) => true,
        (Some(Wildcard(one)), Some(Wildcard(two))) => one.ends_with(two) || two.ends_with(one),
        (Some(pattern), Some(Exact(host))) | (Some(Exact(host)), Some(pattern)) => pattern.matches(host),
    }
}

/// In doubt they do.
fn paths_meet(one: Option<&PathPattern>, two: Option<&PathPattern>) -> bool {
    use PathPattern::{Exact, Prefix, Regex, Template};
    let below = |one: &[u8], two: &[u8]| two.strip_prefix(one).is_some_and(|rest| rest.is_empty() || rest[0] == b'/');
    let fixed = |text: &str| text.split('{').next().unwrap_or_default().as_bytes().to_vec();
    match (one, two) {
        (None, _) | (_, None) => true,
        (Some(Exact(path)), Some(pattern)) | (Some(pattern), Some(Exact(path))) => pattern.matches(path),
        (Some(Prefix(one)), Some(Prefix(two))) => below(one, two) || below(two, one),
        (Some(Template(template)), Some(Prefix(prefix))) | (Some(Prefix(prefix)), Some(Template(template))) => {
            let fixed = fixed(&template.text);
            fixed.starts_with(prefix) || prefix.starts_with(&fixed)
        }
        (Some(Template(one)), Some(Template(two))) => {
            let (one, two) = (fixed(&one.text), fixed(&two.text));
            one.starts_with(&two) || two.starts_with(&one)
        }
        (Some(Regex(one)), Some(Regex(two))) => !disjoint_prefixes(one.as_str(), two.as_str()),
        (Some(Regex(_)), Some(_)) | (Some(_), Some(Regex(_))) => true,
    }
}
