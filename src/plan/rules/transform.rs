//! Rules of type transform.

use super::{Compile, Does, Here};
use crate::config::model::{self, BodyEdits, Filled, HeaderEdits};
use crate::config::pointer;
use crate::config::words::StatusRanges;
use crate::gateway::transform::{Edits, Spec};
use crate::plan::Bodies;
use crate::plan::edits::{self, Edit};
use crate::plan::rewrite::Step;
use std::sync::Arc;
use xxhash_rust::xxh3::xxh3_64;

/// What a rule changes on the way.
#[derive(Debug, Default)]
pub(in crate::plan) struct Transformed {
    /// Of the heads of requests.
    pub(in crate::plan) request: Vec<Edit>,
    /// Of the heads of answers.
    pub(in crate::plan) response: Vec<Edit>,
    /// Of path and query.
    pub(in crate::plan) step: Option<Arc<Step>>,
    /// The method that targets are asked by.
    pub(in crate::plan) method: Option<Box<str>>,
    /// Of the bodies of requests.
    pub(in crate::plan) request_body: Option<Arc<BodyEdit>>,
    /// Of the bodies of answers.
    pub(in crate::plan) response_body: Option<Arc<BodyEdit>>,
    /// Stands for all that is changed of requests.
    pub(in crate::plan) asks: u64,
}

/// What a rule changes in JSON bodies.
#[derive(Debug)]
pub struct BodyEdit {
    /// The place of the rule among all.
    pub rule: usize,
    /// What is changed.
    pub edits: Arc<Edits>,
    /// The values that the edits name by their places.
    pub values: Vec<Filled>,
    /// Of answers with which status; `None`: of all.
    pub statuses: Option<StatusRanges>,
    /// What is changed, in words.
    pub told: Vec<String>,
    /// The most bytes of a request's body, before and after.
    pub most: usize,
    /// Whether nothing but JSON passes.
    pub only_json: bool,
}

impl Compile for model::Transform {
    fn compile(&self, here: &mut Here<'_>) -> Does {
        let model::TransformedRequest { headers, method, pattern, path, query, body, max_body, only_json } =
            &self.request;
        let response = &self.response;
        let statuses = response.if_status.clone();
        let most = usize::try_from(max_body.0).unwrap_or(usize::MAX);
        let asked = body_edit(body, "request", here);
        let answered = body_edit(&response.body, "response", here);
        Does {
            transform: Some(Arc::new(Transformed {
                request: edits::compile(headers),
                response: answer(&response.headers, response.status, statuses.clone()),
                step: Step::compile(pattern.as_deref(), path.as_ref(), query),
                method: method.as_deref().map(Into::into),
                request_body: asked.map(|of| Arc::new(BodyEdit { most, only_json: *only_json, ..of })),
                response_body: answered.map(|of| Arc::new(BodyEdit { statuses, ..of })),
                // It is made of texts and numbers alone.
                asks: xxh3_64(&serde_json::to_vec(&self.request).unwrap_or_default()),
            })),
            ..Does::default()
        }
    }
}

fn answer(headers: &HeaderEdits, status: Option<u16>, statuses: Option<StatusRanges>) -> Vec<Edit> {
    let all: Vec<Edit> = edits::compile(headers).into_iter().chain(status.map(Edit::Status)).collect();
    match statuses {
        Some(statuses) if !all.is_empty() => vec![Edit::Within(statuses, all)],
        _ => all,
    }
}

fn body_edit(body: &BodyEdits, side: &str, here: &mut Here<'_>) -> Option<BodyEdit> {
    if body.is_empty() {
        return None;
    }
    // They were checked when they were read.
    let path = |text: &String| pointer::steps(text).unwrap_or_default();
    let mut values = Vec::new();
    let mut spec = Spec {
        remove: body.remove.iter().map(path).collect(),
        rename: body.rename.iter().map(|(from, to)| (path(from), to.clone())).collect(),
        ..Spec::default()
    };
    for (edit, at, value) in body.values() {
        let list = match edit {
            "set" => &mut spec.set,
            "add" => &mut spec.add,
            _ => &mut spec.append,
        };
        list.push((path(at), values.len()));
        values.push(value.clone());
    }
    match Edits::new(&spec) {
        Ok(edits) => {
            let (rule, edits) = (here.index, Arc::new(edits));
            let told = told(body);
            Some(BodyEdit { rule, edits, values, statuses: None, told, most: 0, only_json: false })
        }
        Err(why) => {
            here.fault(&[side, "body"], why.to_string(), Some("make a second rule of some of them".to_owned()));
            None
        }
    }
}

/// What these rules change in bodies; `None`: nothing.
pub(in crate::plan) fn bodies(rules: &[Arc<Transformed>]) -> Option<Arc<Bodies>> {
    let request: Vec<_> = rules.iter().filter_map(|rule| rule.request_body.clone()).collect();
    let response: Vec<_> = rules.iter().filter_map(|rule| rule.response_body.clone()).collect();
    (!request.is_empty() || !response.is_empty()).then(|| Arc::new(Bodies { request, response }))
}

fn told(body: &BodyEdits) -> Vec<String> {
    let removed = body.remove.iter().map(|path| format!("remove {path}"));
    let renamed = body.rename.iter().map(|(path, to)| format!("rename {path} to {to}"));
    let written = body.values().map(|(edit, path, value)| format!("{edit} {path}: {value}"));
    removed.chain(renamed).chain(written).collect()
}
