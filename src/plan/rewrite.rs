//! What of a request's URL targets see otherwise, and what of their answers is put back: compiled once.

use super::path::Forms;
use crate::config::model::{self, QueryEdits};
use crate::config::template::{Captured, Template};
use regex::bytes::Regex;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What of a request's URL its targets see otherwise.
#[derive(Debug)]
pub struct Rewrite {
    /// What its rules change, in their order, and then the route itself.
    pub steps: Vec<Arc<Step>>,
    /// What is put before the path then; without a slash at its end.
    pub add_prefix: Box<str>,
    /// Parameters by which clients prove themselves, which never pass.
    pub secret: Vec<String>,
    /// Forms of a path that the route lets pass.
    pub allowed: Forms,
    /// Whether of the steps that make a path only the first that applies is taken.
    pub first_path: bool,
}

/// A change of path and query.
#[derive(Clone, Debug)]
pub struct Step {
    /// Where anything is changed at all.
    pub pattern: Option<Regex>,
    /// The path in place of what there is.
    pub path: Option<Template>,
    /// What becomes of the query; `None`: it passes.
    pub query: Option<Query>,
}

/// What becomes of a query.
#[derive(Clone, Debug)]
pub struct Query {
    /// Parameters that pass; `None`: all.
    pub keep: Option<Vec<String>>,
    /// Parameters that do not.
    pub remove: Vec<String>,
    /// Those that pass under another name, in place of those that have it.
    pub rename: Vec<(String, String)>,
    /// Those with a value in place of all of their name.
    pub set: Vec<(String, Template)>,
    /// Those with a value where there is none of their name.
    pub add: Vec<(String, Template)>,
    /// Those with one more value.
    pub append: Vec<(String, Template)>,
}

/// What of answers is put back into what the client knows.
#[derive(Clone, Debug)]
pub struct Back {
    /// What clients have before a path, and targets have not; without a slash at its end.
    pub client_prefix: Box<str>,
    /// What targets have before a path, and clients have not.
    pub target_prefix: Box<str>,
    /// Whether a path of a target's can be told from a client's: not once a regex made it.
    pub maps_paths: bool,
}

impl Step {
    /// That of these keys; `None`: they change nothing.
    pub(super) fn compile(pattern: Option<&str>, path: Option<&Captured>, query: &QueryEdits) -> Option<Arc<Self>> {
        let changes_query = *query != QueryEdits::default();
        (path.is_some() || changes_query).then(|| {
            Arc::new(Self {
                // It was checked when it was read.
                pattern: pattern.and_then(|pattern| Regex::new(pattern).ok()),
                path: path.map(|path| path.0.clone()),
                query: Query::compile(query),
            })
        })
    }
}

impl Query {
    /// That of these keys; `None`: they change nothing.
    pub(super) fn compile(query: &QueryEdits) -> Option<Self> {
        let values = |map: &BTreeMap<String, Captured>| {
            map.iter().map(|(name, value)| (name.clone(), value.0.clone())).collect()
        };
        (*query != QueryEdits::default()).then(|| Self {
            keep: query.keep.clone(),
            remove: query.remove.clone(),
            rename: query.rename.clone().into_iter().collect(),
            set: values(&query.set),
            add: values(&query.add),
            append: values(&query.append),
        })
    }
}

impl Rewrite {
    /// That of a route, whose rules take these steps, and whose clients prove themselves by `secret` parameters; `None`: nothing is
    /// changed but by `strip_prefix` and `host`.
    pub fn compile(route: &model::Route, mut steps: Vec<Arc<Step>>, secret: Vec<String>) -> Option<Arc<Self>> {
        let model::Rewrite { pattern, path, add_prefix, query, .. } = &route.rewrite;
        steps.extend(Step::compile(pattern.as_deref(), path.as_ref(), query));
        if steps.is_empty() && add_prefix.is_none() && secret.is_empty() {
            return None;
        }
        Some(Arc::new(Self {
            steps,
            add_prefix: prefix(add_prefix.as_deref()),
            secret,
            allowed: Forms::of_names(&route.allow_in_path),
            first_path: false,
        }))
    }
}

impl Rewrite {
    /// That of a part of a route's answers, which takes these steps behind what rules do with the query; `before` has what those do.
    pub(super) fn of_part(
        before: Option<&Self>,
        steps: Vec<Arc<Step>>,
        secret: Vec<String>,
        route: &model::Route,
    ) -> Option<Arc<Self>> {
        // Which path is asked for, the part says alone.
        let of_query =
            |step: &Arc<Step>| step.query.is_some().then(|| Arc::new(Step { path: None, ..Step::clone(step) }));
        let before = before.into_iter().flat_map(|before| before.steps.iter().filter_map(of_query));
        let steps: Vec<Arc<Step>> = before.chain(steps).collect();
        let add_prefix = prefix(None);
        let allowed = Forms::of_names(&route.allow_in_path);
        let is_idle = steps.is_empty() && secret.is_empty();
        (!is_idle).then(|| Arc::new(Self { steps, add_prefix, secret, allowed, first_path: true }))
    }
}

impl Back {
    /// That of a route; `None`: nothing is put back. `moved`: its rules change paths.
    pub(super) fn compile(route: &model::Route, moved: bool) -> Option<Self> {
        let model::Rewrite { path, add_prefix, back, .. } = &route.rewrite;
        let moved = moved || path.is_some();
        let moves = route.strip_prefix.is_some() || moved || add_prefix.is_some();
        let wanted = back.unwrap_or(moves || route.host != model::HostPolicy::Client);
        (wanted && route.pool.is_some()).then(|| Self {
            client_prefix: prefix(route.strip_prefix.as_deref()),
            target_prefix: prefix(add_prefix.as_deref()),
            maps_paths: !moved,
        })
    }
}

fn prefix(text: Option<&str>) -> Box<str> {
    text.unwrap_or_default().trim_end_matches('/').into()
}
