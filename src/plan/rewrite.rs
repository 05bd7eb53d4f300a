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
    /// Where path and query are changed at all.
    pub pattern: Option<Regex>,
    /// The path in place of the client's.
    pub path: Option<Template>,
    /// What is put before the path; without a slash at its end.
    pub add_prefix: Box<str>,
    /// What becomes of the query; `None`: it passes.
    pub query: Option<Query>,
    /// Parameters by which clients prove themselves, which never pass.
    pub secret: Vec<String>,
    /// Forms of a path that the route lets pass.
    pub allowed: Forms,
}

/// What becomes of a query.
#[derive(Debug)]
pub struct Query {
    /// Parameters that pass; `None`: all.
    pub keep: Option<Vec<String>>,
    /// Parameters that do not.
    pub remove: Vec<String>,
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

impl Rewrite {
    /// That of a route, whose clients prove themselves by `secret` parameters; `None`: nothing is changed but by `strip_prefix` and `host`.
    pub fn compile(route: &model::Route, secret: Vec<String>) -> Option<Arc<Self>> {
        let model::Rewrite { pattern, path, add_prefix, query, .. } = &route.rewrite;
        let changes_query = *query != QueryEdits::default();
        if path.is_none() && add_prefix.is_none() && !changes_query && secret.is_empty() {
            return None;
        }
        let values = |map: &BTreeMap<String, Captured>| {
            map.iter().map(|(name, value)| (name.clone(), value.0.clone())).collect()
        };
        Some(Arc::new(Self {
            // It was checked when it was read.
            pattern: pattern.as_ref().and_then(|pattern| Regex::new(pattern).ok()),
            path: path.as_ref().map(|path| path.0.clone()),
            add_prefix: prefix(add_prefix.as_deref()),
            query: changes_query.then(|| Query {
                keep: query.keep.clone(),
                remove: query.remove.clone(),
                set: values(&query.set),
                add: values(&query.add),
                append: values(&query.append),
            }),
            secret,
            allowed: route
                .allow_in_path
                .iter()
                .filter_map(|name| Forms::from_name(name))
                .fold(Forms::NONE, |a, b| a | b),
        }))
    }
}

impl Back {
    /// That of a route; `None`: nothing is put back.
    pub(super) fn compile(route: &model::Route) -> Option<Self> {
        let model::Rewrite { path, add_prefix, back, .. } = &route.rewrite;
        let moves = route.strip_prefix.is_some() || path.is_some() || add_prefix.is_some();
        let wanted = back.unwrap_or(moves || route.host != model::HostPolicy::Client);
        (wanted && route.pool.is_some()).then(|| Self {
            client_prefix: prefix(route.strip_prefix.as_deref()),
            target_prefix: prefix(add_prefix.as_deref()),
            maps_paths: path.is_none(),
        })
    }
}

fn prefix(text: Option<&str>) -> Box<str> {
    text.unwrap_or_default().trim_end_matches('/').into()
}
