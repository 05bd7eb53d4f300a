//! What an answer that is put together is made of.

use super::onward::{self, Onward};
use crate::config::units::Span;
use crate::http::dry;
use crate::plan::Plan;
use serde::Serialize;

/// How an answer is put together.
#[derive(Clone, Debug, Serialize)]
pub struct Aggregate {
    /// How long all parts have.
    pub timeout: String,
    /// What it is made of, in this order.
    pub parts: Vec<Part>,
}

/// A part of an answer.
#[derive(Clone, Debug, Serialize)]
pub struct Part {
    /// What it is called.
    pub name: String,
    /// The pool that is asked.
    pub pool: String,
    /// The member that it becomes; null: its own members do.
    pub member: Option<String>,
    /// Whether there is no answer without it.
    pub required: bool,
    /// What stands for it where it fails and is not required, as JSON.
    pub default: String,
    /// How it is asked for; null where it is refused.
    pub forward: Option<Onward>,
    /// The status that stands for it where it is refused.
    pub status: Option<u16>,
}

/// Puts what was found into words.
pub(super) fn tell(plan: &Plan, sent: &[u8], parts: &dry::Parts) -> Aggregate {
    let part = |(asked, part): (&Result<Box<dry::Onward>, dry::Answer>, &crate::plan::Part)| Part {
        name: part.name.to_string(),
        pool: part.pool.to_string(),
        member: part.member_name(),
        required: part.required,
        default: String::from_utf8_lossy(&part.default).into_owned(),
        forward: asked.as_ref().ok().map(|asked| onward::tell(plan, sent, asked)),
        status: asked.as_ref().err().map(|answer| answer.status),
    };
    Aggregate {
        timeout: Span(parts.aggregate.timeout).to_string(),
        parts: parts.asked.iter().zip(&parts.aggregate.parts).map(part).collect(),
    }
}

impl Part {
    /// How it is asked for and what becomes of it, in words.
    pub(super) fn told(&self) -> (String, String) {
        let asks = match (&self.forward, self.status) {
            (Some(forward), _) => format!("{}  pool {}: {}", self.name, self.pool, forward.request_line),
            (None, status) => format!("{}  pool {} is not asked: {}", self.name, self.pool, status.unwrap_or_default()),
        };
        let becomes = match &self.member {
            Some(member) => format!("becomes `{member}`"),
            None => "its members become those of the whole".to_owned(),
        };
        let fails = match self.required {
            true => "without it there is no answer".to_owned(),
            false if self.member.is_none() && self.default == "{}" => {
                "where it fails, nothing stands for it".to_owned()
            }
            false => format!("where it fails, {} stands for it", self.default),
        };
        (asks, format!("{becomes}; {fails}"))
    }
}
