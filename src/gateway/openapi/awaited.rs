//! A body that has to be held against its schema once it has come.

use super::json::{self, Bounds};
use super::problem::{self, Errors};
use super::schema::Check;
use super::tree::{Read, Tree};
use crate::gateway::Denial;
use std::sync::Arc;

/// What a rule says of a body that it has not seen.
#[derive(Clone, Debug)]
pub struct Awaited {
    /// The place of the rule among all.
    pub rule: usize,
    /// Whether it lets through what it would refuse.
    pub shadow: bool,
    /// Bytes that the body may have.
    pub most: usize,
    pub(super) bounds: Bounds,
    /// Whether there has to be one.
    pub(super) required: bool,
    pub(super) expected: Expected,
}

/// What a body has to be.
#[derive(Clone, Debug)]
pub(super) enum Expected {
    /// JSON, of a schema where there is one.
    Json(Option<Arc<Check<Read>>>),
    /// Nothing, as no type says what it is; with the line that says which types are taken.
    Nothing(Arc<str>),
}

impl Awaited {
    /// Whether a whole body is as it has to be.
    ///
    /// # Errors
    /// It is not.
    pub fn check(&self, content: &[u8]) -> Result<(), Denial> {
        if content.len() > self.most {
            return Err(self.too_large());
        }
        if content.is_empty() {
            return if self.required { Err(missing()) } else { Ok(()) };
        }
        let check = match &self.expected {
            Expected::Json(check) => check,
            Expected::Nothing(accept) => return Err(no_type(accept)),
        };
        let tree = json::read(content, self.bounds).map_err(|(fault, place)| {
            let mut errors = Errors::default();
            let detail = match place {
                Some((line, column)) => format!("{}, at line {line}, column {column}", fault.detail()),
                None => fault.detail().to_owned(),
            };
            errors.tell("body", ("pointer", ""), &detail);
            problem::denial(400, fault.word(), "The body cannot be read.", errors)
        })?;
        check.as_ref().map_or(Ok(()), |check| holds(check, &tree))
    }

    /// It has more bytes than are taken.
    pub fn too_large(&self) -> Denial {
        problem::denial(413, "body-too-large", "The body is larger than is taken here.", Errors::default())
    }
}

fn holds(check: &Check<Read>, tree: &Tree<'_>) -> Result<(), Denial> {
    let mut errors = Errors::default();
    if check.holds(tree.root(), |pointer, what| errors.tell("body", ("pointer", pointer), what)) {
        return Ok(());
    }
    Err(problem::denial(400, "body", "The body is not as this API describes it.", errors))
}

fn missing() -> Denial {
    let mut errors = Errors::default();
    errors.tell("body", ("pointer", ""), &"a body is required");
    problem::denial(400, "no-body", "The body is missing.", errors)
}

/// A body whose type is none that is described (RFC 9110 §15.5.16).
pub(super) fn no_type(accept: &str) -> Denial {
    let detail = "The media type of the body is none that this API describes.";
    let denial = problem::denial(415, "media-type", detail, Errors::default());
    Denial { lines: format!("Accept: {accept}\r\n"), ..denial }
}
