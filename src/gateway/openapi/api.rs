//! A description, compiled: which operation a request is for, and what that takes.

use super::awaited::Expected;
use super::document::{Document, step};
use super::media::{Media, is_json};
use super::parameter::{Parameter, Place};
use super::paths::{Paths, Values};
use super::schema::{Check, Schemas};
use super::tree::Read;
use super::{METHODS, Wrong};
use serde_json::Value;
use std::sync::Arc;

/// A description of an API.
#[derive(Debug)]
pub struct Api {
    /// What stands before all of its paths.
    base: Box<str>,
    paths: Paths,
    items: Vec<Item>,
    /// It as it was written.
    document: Value,
    left_out: Vec<Wrong>,
}

/// A path with its operations.
#[derive(Debug)]
pub(super) struct Item {
    template: Box<str>,
    operations: Vec<Operation>,
    /// The methods that it has, as `Allow` says them.
    pub(super) allow: Box<str>,
}

/// What is done by a method at a path.
#[derive(Debug)]
pub struct Operation {
    /// The method, as requests have it.
    pub method: &'static str,
    /// What the description calls it.
    pub id: Option<Box<str>>,
    /// Whether it says that nobody should use it any more.
    pub is_deprecated: bool,
    /// Each with its place among the parameters of the path, where it is one of them.
    pub(super) parameters: Vec<(Parameter, Option<usize>)>,
    pub(super) body: Option<Body>,
}

/// The body that an operation takes.
#[derive(Debug)]
pub(super) struct Body {
    pub(super) required: bool,
    contents: Vec<(Media, Option<Arc<Check<Read>>>)>,
    /// The types that it may have, as `Accept` says them.
    pub(super) accept: Arc<str>,
}

/// What a request asks for.
pub(super) struct Found<'a, 'p> {
    pub(super) place: usize,
    pub(super) item: &'a Item,
    pub(super) values: Values<'p>,
}

impl Api {
    /// Compiles a description; `base` is what stands before its paths in place of what it says of its servers.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub fn new(description: Value, base: Option<&str>) -> Result<Self, Wrong> {
        let mut document = Document::new(description)?;
        let mut left_out = std::mem::take(&mut document.left_out);
        let mut schemas = Schemas::new(&document)?;
        let base = base.map_or_else(|| served_at(&document.root), str::to_owned);
        let (mut paths, mut items) = (Paths::new(), Vec::new());
        let written = document.root.get("paths").and_then(Value::as_object);
        let Some(written) = written else { return Err(Wrong::new("", "it has no `paths`")) };
        for (template, item) in written.iter().filter(|(name, _)| !name.starts_with("x-")) {
            let at = step("/paths", template);
            if template.contains(['#', '?']) {
                left_out.push(Wrong::new(at, "no request has such a path: what follows `#` or `?` is not part of it"));
                continue;
            }
            let names = paths.add(template, items.len(), &at)?;
            items.push(item_of(template, item, (&at, &names), &document, &mut schemas, &mut left_out)?);
        }
        let document = document.plain().clone();
        Ok(Self { base: base.trim_end_matches('/').into(), paths, items, document, left_out })
    }

    /// What stands before all of its paths; nothing, or a path without a slash at its end.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// It as it was written.
    pub fn document(&self) -> &Value {
        &self.document
    }

    /// What of it is not understood: nothing is held against that.
    pub fn left_out(&self) -> &[Wrong] {
        &self.left_out
    }

    /// Its paths as templates, each with its operations.
    pub fn paths(&self) -> impl Iterator<Item = (&str, &[Operation])> {
        self.items.iter().map(|item| (&*item.template, &item.operations[..]))
    }

    /// What stands at a path in normal form.
    pub(super) fn find<'p>(&self, path: &'p [u8]) -> Option<Found<'_, 'p>> {
        let within = path.strip_prefix(self.base.as_bytes())?;
        let (place, values) = self.paths.find(if within.is_empty() { b"/" } else { within })?;
        Some(Found { place, item: self.items.get(place)?, values })
    }
}

impl Item {
    /// What is done there by a method. Who may GET may ask for the head of that (RFC 9110 §9.3.2).
    pub(super) fn operation(&self, method: &[u8]) -> Option<&Operation> {
        let find = |method: &[u8]| self.operations.iter().find(|operation| operation.method.as_bytes() == method);
        find(method).or_else(|| if method == b"HEAD" { find(b"GET") } else { None })
    }
}

impl Body {
    /// What a body of this type has to be. `None`: no such body is taken; the inner `None`: it may be anything.
    pub(super) fn of(&self, essence: &[u8]) -> Option<Option<Expected>> {
        let ranked = self.contents.iter().filter_map(|content| Some((content.0.holds(essence)?, &content.1)));
        let (_, check) = ranked.max_by_key(|(rank, _)| *rank)?;
        Some(is_json(essence).then(|| Expected::Json(check.clone())))
    }
}

fn item_of(
    template: &str,
    item: &Value,
    (at, names): (&str, &[String]),
    document: &Document,
    schemas: &mut Schemas<'_>,
    left_out: &mut Vec<Wrong>,
) -> Result<Item, Wrong> {
    let (item, at) = document.resolve(item, at)?;
    let mut operations = Vec::new();
    for (key, method) in METHODS {
        let Some(operation) = item.get(key) else { continue };
        let here = step(&at, key);
        let mut parameters: Vec<(Parameter, Option<usize>)> = Vec::new();
        for (owner, at) in [(operation, &here), (item, &at)] {
            let list = owner.get("parameters").and_then(Value::as_array);
            for (index, written) in list.into_iter().flatten().enumerate() {
                let at = format!("{at}/parameters/{index}");
                let Some(parameter) = Parameter::new(written, &at, document, schemas)? else { continue };
                let is_same =
                    |(other, _): &(Parameter, _)| other.place == parameter.place && other.name == parameter.name;
                if parameters.iter().any(is_same) {
                    continue;
                }
                let place = match parameter.place {
                    Place::Path => Some(names.iter().position(|name| **name == *parameter.name).ok_or_else(|| {
                        Wrong::new(at, format!("the path `{template}` has no parameter `{}`", parameter.name))
                    })?),
                    _ => None,
                };
                parameters.push((parameter, place));
            }
        }
        let body =
            operation.get("requestBody").map(|body| body_of(body, &here, document, schemas, left_out)).transpose()?;
        let id = operation.get("operationId").and_then(Value::as_str).map(Into::into);
        let is_deprecated = operation.get("deprecated").and_then(Value::as_bool).unwrap_or(false);
        operations.push(Operation { method, id, is_deprecated, parameters, body });
    }
    let mut allow: Vec<&str> = operations.iter().map(|operation| operation.method).collect();
    if allow.contains(&"GET") && !allow.contains(&"HEAD") {
        allow.push("HEAD");
    }
    Ok(Item { template: template.into(), allow: allow.join(", ").into(), operations })
}

fn body_of(
    body: &Value,
    at: &str,
    document: &Document,
    schemas: &mut Schemas<'_>,
    left_out: &mut Vec<Wrong>,
) -> Result<Body, Wrong> {
    let (body, at) = document.resolve(body, &step(at, "requestBody"))?;
    let (at, mut contents, mut accept) = (step(&at, "content"), Vec::new(), Vec::new());
    for (name, content) in body.get("content").and_then(Value::as_object).into_iter().flatten() {
        let here = step(&at, name);
        let media = match Media::new(name, &here) {
            Ok(media) => media,
            Err(wrong) => {
                left_out.push(wrong);
                continue;
            }
        };
        let is_json = is_json(super::media::essence(name.as_bytes())) || name.contains('*');
        let check = match content.get("schema").filter(|_| is_json) {
            Some(schema) => Some(schemas.compile_whole(schema, &step(&here, "schema"))?),
            None => None,
        };
        accept.push(name.split(';').next().unwrap_or_default().trim());
        contents.push((media, check));
    }
    let required = body.get("required").and_then(Value::as_bool).unwrap_or(false);
    Ok(Body { required, contents, accept: accept.join(", ").into() })
}

/// The path of the first server that a description names.
fn served_at(root: &Value) -> String {
    let Some(server) = root.pointer("/servers/0") else { return String::new() };
    let mut url = server.get("url").and_then(Value::as_str).unwrap_or_default().to_owned();
    for (name, variable) in server.get("variables").and_then(Value::as_object).into_iter().flatten() {
        let default = variable.get("default").and_then(Value::as_str).unwrap_or_default();
        url = url.replace(&format!("{{{name}}}"), default);
    }
    let path = match url.split_once("://") {
        Some((_, rest)) => rest.find('/').and_then(|start| rest.get(start..)).unwrap_or_default(),
        None => &url,
    };
    let path = path.split(['?', '#']).next().unwrap_or_default().trim_end_matches('/');
    if path.is_empty() || path.starts_with('/') { path.to_owned() } else { format!("/{path}") }
}
