//! Answers that are put together of what several pools say, compiled.

use super::compile::fault;
use super::rewrite::{Query, Rewrite, Step};
use super::{Action, Bodies, Compress, Edits, Forward, Plan, Route};
use crate::config::template::Template;
use crate::config::units::Size;
use crate::config::words::StatusRanges;
use crate::config::{Fault, model};
use crate::gateway::openapi::Bounds;
use crate::observe::reason::Gathered;
use regex::bytes::Regex;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How a route's answers are put together.
#[derive(Debug)]
pub struct Aggregate {
    /// What they are made of, in this order.
    pub parts: Box<[Part]>,
    /// How long all parts have.
    pub timeout: Duration,
    /// Bytes of one part.
    pub max_body: usize,
    /// Bytes of all of them.
    pub max_total: usize,
    /// How deep and how large a part may be as JSON.
    pub bounds: Bounds,
    /// The Cache-Control of an answer of which nothing is missing.
    pub cache_control: Box<str>,
    /// What rules change in the body of the whole; `None`: nothing.
    pub bodies: Option<Arc<Bodies>>,
    /// How the whole is compressed; `None`: it is not.
    pub compress: Option<Arc<Compress>>,
}

/// A part of an answer.
#[derive(Debug)]
pub struct Part {
    /// What it is called.
    pub name: Box<str>,
    /// The pool's name.
    pub pool: Box<str>,
    /// The member that it becomes, as JSON has it, with the colon; `None`: its own members do.
    pub member: Option<Box<[u8]>>,
    /// Whether there is no answer without it.
    pub required: bool,
    /// What stands for it where it fails and is not required, as JSON.
    pub default: Box<[u8]>,
    /// The statuses by which it has not failed.
    pub expect: StatusRanges,
    /// Statuses that the client gets for the whole; `None`: none are.
    pub pass_status: Option<StatusRanges>,
    /// How it is asked for.
    pub forward: Arc<Forward>,
    /// What became of it so far; it lives over reloads.
    pub counts: Arc<Counts>,
}

/// How often a part has come to what.
#[derive(Debug, Default)]
pub struct Counts([AtomicU64; Gathered::COUNT]);

impl Part {
    /// The name of the member that it becomes; `None`: its own members do.
    pub fn member_name(&self) -> Option<String> {
        serde_json::from_slice(self.member.as_deref()?.strip_suffix(b":")?).ok()
    }
}

impl Counts {
    /// Counts it once more.
    pub fn count(&self, what: Gathered) {
        self.0[what.index()].fetch_add(1, Ordering::Relaxed);
    }

    /// How often it has come to this.
    pub fn of(&self, what: Gathered) -> u64 {
        self.0[what.index()].load(Ordering::Relaxed)
    }
}

/// What a route says of all its parts.
pub(super) struct Common<'a> {
    /// The route as it is written.
    pub(super) route: &'a model::Route,
    /// How it would be forwarded to a pool.
    pub(super) base: Forward,
    /// Finds pools.
    pub(super) pool_of: &'a dyn Fn(&str) -> Option<usize>,
    /// Parameters by which clients prove themselves.
    pub(super) secret: Vec<String>,
    /// What it was before.
    pub(super) before: Option<&'a Aggregate>,
}

impl Aggregate {
    /// That of a route that is called so.
    pub(super) fn compile(name: &str, written: &model::Aggregate, common: &Common<'_>) -> Result<Self, Vec<Fault>> {
        let (mut parts, mut faults) = (Vec::new(), Vec::new());
        for (index, part) in written.parts.iter().enumerate() {
            match compile_part((name, index), written, part, common) {
                Ok(part) => parts.push(part),
                Err(found) => faults.push(found),
            }
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        let size = |size: Size| usize::try_from(size.0).unwrap_or(usize::MAX);
        Ok(Self {
            parts: parts.into(),
            timeout: written.timeout.0,
            max_body: size(written.max_body),
            max_total: size(written.max_total),
            bounds: Bounds { depth: written.max_depth, members: written.max_members },
            cache_control: written.cache_control.as_str().into(),
            bodies: common.base.bodies.clone().filter(|bodies| !bodies.response.is_empty()),
            compress: common.base.compress.clone(),
        })
    }
}

fn compile_part(
    (name, index): (&str, usize),
    whole: &model::Aggregate,
    part: &model::AggregatePart,
    common: &Common<'_>,
) -> Result<Part, Fault> {
    let place = index.to_string();
    let at = |key| ["routes", name, "aggregate", "parts", &place, key];
    let Some(pool) = (common.pool_of)(&part.pool) else {
        return Err(fault(&at("pool"), format!("no pool is named `{}`", part.pool), None));
    };
    let steps = steps(&common.route.paths, part).map_err(|(key, lacking)| {
        let (what, help) = match lacking {
            Lacking::Everywhere(name) => (
                format!("no path of the route has `{{{name}}}`"),
                format!("write paths = [\"=/v1/{{{name}}}\"], or double braces that stay"),
            ),
            Lacking::In(name, path) => (
                format!("the path `{path}` of the route has no `{{{name}}}`"),
                "give that path a route of its own, or name what all of them have".to_owned(),
            ),
        };
        fault(&at(key), what, Some(help))
    })?;
    let base = &common.base;
    let rewrite = Rewrite::of_part(base.rewrite.as_deref(), steps, common.secret.clone(), common.route);
    let before = common.before.and_then(|before| before.parts.iter().find(|before| *before.name == *part.name));
    let default = part.default.as_deref().unwrap_or(if part.merge { "{}" } else { "null" });
    Ok(Part {
        name: part.name.as_str().into(),
        pool: part.pool.as_str().into(),
        member: part.member().map(|member| format!("{}:", serde_json::Value::from(member)).into_bytes().into()),
        required: whole.requires(part),
        default: default.trim().as_bytes().into(),
        expect: part.expect.clone(),
        pass_status: part.pass_status.clone(),
        counts: before.map(|before| before.counts.clone()).unwrap_or_default(),
        forward: Arc::new(Forward {
            host: base.host.clone(),
            retry: base.retry.clone(),
            hedge: base.hedge,
            priority_class: base.priority_class,
            edits: base
                .edits
                .as_ref()
                .map(|edits| Arc::new(Edits { request: edits.request.clone(), response: Vec::new(), back: None })),
            rewrite,
            ..Forward::to(pool)
        }),
    })
}

/// What a part takes of paths that they do not have.
enum Lacking {
    Everywhere(String),
    In(String, String),
}

/// What becomes of the paths of a route and of the query for a part. Fails with the key that takes what there is not.
fn steps(paths: &[String], part: &model::AggregatePart) -> Result<Vec<Arc<Step>>, (&'static str, Lacking)> {
    let path = part.path.as_ref().map(|path| &path.0);
    let query = || Query::compile(&part.query);
    let of_query = part.query.values().flat_map(|(.., value)| value.0.captured()).map(|name| ("query", name));
    let taken: Vec<(&str, &str)> =
        path.into_iter().flat_map(Template::captured).map(|name| ("path", name)).chain(of_query).collect();
    let step = |pattern| Arc::new(Step { pattern, path: path.cloned(), query: query() });
    if taken.is_empty() {
        return Ok(if path.is_some() || query().is_some() { vec![step(None)] } else { Vec::new() });
    }
    let patterns: Vec<(&String, Option<Regex>)> = paths.iter().map(|path| (path, pattern(path))).collect();
    for (key, name) in &taken {
        let has = |pattern: &Option<Regex>| pattern.as_ref().is_some_and(|regex| captures(regex, name));
        if !patterns.iter().any(|(_, pattern)| has(pattern)) {
            return Err((key, Lacking::Everywhere((*name).to_owned())));
        }
        if let Some((path, _)) = patterns.iter().find(|(_, pattern)| !has(pattern)) {
            return Err((key, Lacking::In((*name).to_owned(), (*path).clone())));
        }
    }
    Ok(patterns.into_iter().map(|(_, pattern)| step(pattern)).collect())
}

fn captures(regex: &Regex, name: &str) -> bool {
    match name.parse::<usize>() {
        Ok(number) => number < regex.captures_len(),
        Err(_) => regex.capture_names().flatten().any(|known| known == name),
    }
}

/// What takes from a path of a route what stands for its parameters; `None`: it has none.
fn pattern(path: &str) -> Option<Regex> {
    if let Some(regex) = path.strip_prefix('~') {
        return Regex::new(regex).ok();
    }
    let template = path.strip_prefix('=').filter(|path| path.contains('{'))?;
    let (mut regex, mut rest, mut known) = ("^".to_owned(), template, BTreeSet::new());
    while let Some((text, (name, after))) =
        rest.split_once('{').and_then(|(text, inner)| Some((text, inner.split_once('}')?)))
    {
        regex.push_str(&regex::escape(text));
        let is_name = !name.starts_with(|first: char| first.is_ascii_digit())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        match is_name && known.insert(name) {
            true => regex.push_str(&format!("(?P<{name}>[^/]+?)")),
            false => regex.push_str("([^/]+?)"),
        }
        rest = after;
    }
    regex.push_str(&regex::escape(rest));
    regex.push('$');
    Regex::new(&regex).ok()
}

impl Plan {
    /// How answers of the route of this name are put together; `None`: they are not.
    pub fn aggregate(&self, name: &str) -> Option<&Aggregate> {
        let place = self.routes.binary_search_by(|route| route.name.as_str().cmp(name)).ok()?;
        self.routes[place].aggregate()
    }

    /// Routes whose answers are put together, with how that is done.
    pub fn aggregates(&self) -> impl Iterator<Item = (&str, &Aggregate)> {
        self.routes.iter().filter_map(|route| Some((route.name.as_str(), route.aggregate()?)))
    }
}

impl Route {
    /// How its answers are put together; `None`: they are not.
    pub fn aggregate(&self) -> Option<&Aggregate> {
        match &self.action {
            Action::Aggregate(aggregate) => Some(aggregate),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_for_parameters_is_taken_as_routes_find_it() {
        for (path, sent, expected) in [
            ("=/u/{id}", "/u/7", Some(vec!["7"])),
            ("=/u/{id}", "/u/7/x", None),
            ("=/a/{x}-{y}", "/a/1-2-3", Some(vec!["1", "2-3"])),
            ("=/a.b/{user-id}/{_x}", "/a.b/k/l", Some(vec!["k", "l"])),
            ("=/{id}/{id}", "/1/2", Some(vec!["1", "2"])),
            ("~^/r/(?<id>[0-9]+)", "/r/12/z", Some(vec!["12"])),
        ] {
            let regex = pattern(path).unwrap();
            let found = regex.captures(sent.as_bytes());
            let found = found.map(|found| {
                let each = found.iter().skip(1).flatten();
                each.map(|one| String::from_utf8_lossy(one.as_bytes()).into_owned()).collect::<Vec<_>>()
            });
            assert_eq!(found, expected.map(|all| all.into_iter().map(str::to_owned).collect()), "{path} {sent}");
        }
        assert!(pattern("/u/").is_none() && pattern("=/u").is_none());
    }
}
