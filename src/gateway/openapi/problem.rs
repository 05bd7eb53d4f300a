//! What clients are told of requests that are not as described: problem details (RFC 9457).
//!
//! What always holds: it has a bound, whatever was sent, and says names and places of what is wrong and not its values.

use crate::gateway::Denial;
use crate::observe::reason::Reason;
use crate::observe::status::reason_phrase;
use serde_json::{Map, Value};
use std::fmt;

/// What is wrong in a request, as much as is told.
#[derive(Debug, Default)]
pub(super) struct Errors(Vec<Value>);

/// Errors that are told of.
const MOST: usize = 8;
/// Bytes of what is told of one.
const LONGEST: usize = 200;

impl Errors {
    /// Something is wrong: where (`in`), its name or a pointer to it, and what. Returns whether more of it would be told.
    pub(super) fn tell(&mut self, part: &str, name: (&str, &str), detail: &dyn fmt::Display) -> bool {
        if self.0.len() < MOST {
            let mut error = Map::new();
            error.insert("in".to_owned(), part.into());
            error.insert(name.0.to_owned(), shortened(name.1.to_owned()).into());
            error.insert("detail".to_owned(), shortened(detail.to_string()).into());
            self.0.push(Value::Object(error));
        }
        self.0.len() < MOST
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A refusal with a document that says what is wrong.
#[cold]
pub(super) fn denial(status: u16, word: &'static str, detail: &str, errors: Errors) -> Denial {
    let reason = match status {
        413 => Reason::BodyTooLarge,
        415 => Reason::MediaType,
        _ => Reason::OpenApi,
    };
    let mut problem = Map::new();
    problem.insert("title".to_owned(), reason_phrase(status).into());
    problem.insert("status".to_owned(), status.into());
    problem.insert("detail".to_owned(), detail.into());
    if !errors.is_empty() {
        problem.insert("errors".to_owned(), Value::Array(errors.0));
    }
    let problem = Some(Value::Object(problem).to_string().into());
    Denial { problem, ..Denial::new(status, reason, word) }
}

fn shortened(mut text: String) -> String {
    if text.len() > LONGEST {
        let end = (0..=LONGEST).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_is_called_as_its_status_is() {
        for (status, title) in [(404, "Not Found"), (405, "Method Not Allowed"), (415, "Unsupported Media Type")] {
            let problem = denial(status, "x", "x", Errors::default()).problem.unwrap();
            let problem: Value = serde_json::from_str(&problem).unwrap();
            assert_eq!((&problem["title"], &problem["status"]), (&title.into(), &status.into()));
        }
    }

    #[test]
    fn what_is_told_has_a_bound() {
        let mut errors = Errors::default();
        let name = "ü".repeat(100_000);
        for _ in 0..1_000 {
            errors.tell("body", ("pointer", &name), &name);
        }
        let denial = denial(400, "invalid", "x", errors);
        assert!(denial.problem.is_some_and(|problem| problem.len() < 8_000 && problem.contains("…")));
    }
}
