//! Which method a request is for: the bindings of `google.api.http`, found by path and verb.
//!
//! What always holds: the most specific path goes first, segment by segment: what is written out, then `*`, then `**`; a verb behind a
//! colon before none.

use super::template::{Part, Template};
use prost_reflect::{FieldDescriptor, MessageDescriptor};
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

/// A method of a service.
#[derive(Debug)]
pub struct Method {
    /// Its service and its name: `/shop.v1.Shop/GetItem`, which is its path, too.
    pub path: String,
    /// What it takes.
    pub input: MessageDescriptor,
    /// What it gives.
    pub output: MessageDescriptor,
    /// Whether it takes several.
    pub takes_stream: bool,
    /// Whether it gives several.
    pub gives_stream: bool,
    pub(super) input_holds_any: bool,
    pub(super) output_holds_any: bool,
}

/// What a body says.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Body {
    /// Nothing: there is none.
    None,
    /// All that the path does not.
    Whole,
    /// This field.
    Field(FieldDescriptor),
}

/// A way to ask for a method by REST.
#[derive(Debug)]
pub struct Binding {
    /// The method.
    pub method: Arc<Method>,
    /// By which method of HTTP.
    pub verb: Box<str>,
    /// By which path.
    pub template: Template,
    /// The fields that stand in it, in the order of its variables: each from the outermost to the one that is meant.
    pub(super) variables: Vec<Vec<FieldDescriptor>>,
    pub(super) body: Body,
    /// The field of an answer that is all of it; `None`: all fields are.
    pub(super) response: Option<FieldDescriptor>,
}

/// What a path leads to.
#[derive(Debug)]
pub enum Found<'a> {
    /// This binding, with the segments of the path.
    Binding(&'a Arc<Binding>, Segments<'a>),
    /// Nothing by this method of HTTP, but something by these.
    OtherVerbs(Vec<&'a str>),
    /// Nothing.
    Nothing,
}

/// Segments of a path.
pub type Segments<'a> = Vec<&'a [u8]>;

/// Where paths lead.
#[derive(Debug, Default)]
pub(super) struct Tree {
    nodes: Vec<Node>,
}

#[derive(Debug, Default)]
struct Node {
    literal: HashMap<Box<str>, usize>,
    one: Option<usize>,
    many: Option<usize>,
    ends: Vec<Arc<Binding>>,
}

/// Segments of a path that are looked at.
const MOST: usize = 256;

impl Tree {
    /// Adds a binding. Returns the one that has its place already.
    pub(super) fn add(&mut self, binding: &Arc<Binding>) -> Option<Arc<Binding>> {
        if self.nodes.is_empty() {
            self.nodes.push(Node::default());
        }
        let mut at = 0;
        for part in &binding.template.parts {
            let next = self.nodes.len();
            let place = match part {
                Part::Literal(literal) => self.nodes[at].literal.entry(literal.clone()).or_insert(next),
                Part::One => self.nodes[at].one.get_or_insert(next),
                Part::Many => self.nodes[at].many.get_or_insert(next),
            };
            at = *place;
            if at == next {
                self.nodes.push(Node::default());
            }
        }
        let ends = &mut self.nodes[at].ends;
        let is_same =
            |other: &&Arc<Binding>| other.verb == binding.verb && other.template.verb == binding.template.verb;
        if let Some(same) = ends.iter().find(is_same) {
            return Some(same.clone());
        }
        ends.push(binding.clone());
        None
    }

    /// What a path in normal form leads to.
    pub(super) fn find<'a>(&'a self, verb: &[u8], path: &'a [u8]) -> Found<'a> {
        let path = path.strip_prefix(b"/").unwrap_or(path);
        let mut segments: Segments<'a> =
            if path.is_empty() { Vec::new() } else { path.split(|&byte| byte == b'/').collect() };
        if segments.len() > MOST || self.nodes.is_empty() {
            return Found::Nothing;
        }
        let mut search = Search { tree: self, verb, custom: None, others: Vec::new() };
        let last = segments.last().copied().unwrap_or_default();
        if let Some(colon) = last.iter().rposition(|&byte| byte == b':')
            && let Some(end) = segments.last_mut()
        {
            *end = &last[..colon];
            search.custom = Some(&last[colon + 1..]);
            if let Some(found) = search.from(0, &segments) {
                return Found::Binding(found, segments);
            }
            search.custom = None;
            if let Some(end) = segments.last_mut() {
                *end = last;
            }
        }
        match search.from(0, &segments) {
            Some(found) => Found::Binding(found, segments),
            None if search.others.is_empty() => Found::Nothing,
            None => {
                search.others.sort_unstable();
                search.others.dedup();
                Found::OtherVerbs(search.others)
            }
        }
    }
}

struct Search<'a, 'v> {
    tree: &'a Tree,
    verb: &'v [u8],
    custom: Option<&'a [u8]>,
    others: Vec<&'a str>,
}

impl<'a> Search<'a, '_> {
    fn from(&mut self, at: usize, rest: &[&'a [u8]]) -> Option<&'a Arc<Binding>> {
        let node = &self.tree.nodes[at];
        let Some((first, behind)) = rest.split_first() else {
            return self.end(node).or_else(|| node.many.and_then(|many| self.from(many, rest)));
        };
        let literal = std::str::from_utf8(first).ok().and_then(|first| node.literal.get(first));
        if let Some(found) = literal.and_then(|&next| self.from(next, behind)) {
            return Some(found);
        }
        if let Some(one) = node.one.filter(|_| !first.is_empty())
            && let Some(found) = self.from(one, behind)
        {
            return Some(found);
        }
        let many = node.many?;
        let after = &self.tree.nodes[many];
        if after.literal.is_empty() && after.one.is_none() {
            return self.end(after);
        }
        // A template has it once, so that this is not gone through within itself.
        (0..=rest.len()).rev().find_map(|taken| self.from(many, &rest[taken..]))
    }

    fn end(&mut self, node: &'a Node) -> Option<&'a Arc<Binding>> {
        let custom = self.custom;
        let fits = |binding: &&Arc<Binding>| binding.template.verb.as_deref().map(str::as_bytes) == custom;
        let here = || node.ends.iter().filter(fits);
        let found = here().find(|binding| binding.verb.as_bytes() == self.verb);
        if found.is_none() {
            self.others.extend(here().map(|binding| &*binding.verb));
        }
        found
    }
}

impl Binding {
    /// What stands in a path for each of its fields, in their order.
    pub(super) fn captured(&self, segments: usize) -> impl Iterator<Item = (&[FieldDescriptor], bool, Range<usize>)> {
        let places = self.template.places(segments);
        places
            .zip(&self.variables)
            .map(|((variable, range), fields)| (&fields[..], variable.is_long(&self.template), range))
    }
}
