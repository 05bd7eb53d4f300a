//! Requests held against a description of an API (OpenAPI 3.0 and 3.1).
//!
//! What always holds: all of a description is compiled before the first request comes, so that what is asked of a request is a walk over
//! its path and a look at what is described; nothing is fetched, a reference stays within its document. What is read of a body has bounds
//! on its size, its depth and its members, and no pattern takes longer than the text it is held against is long. No I/O and no time.

mod api;
mod awaited;
mod document;
mod json;
mod media;
mod parameter;
mod paths;
pub mod portal;
mod problem;
mod rule;
mod schema;
mod sent;
#[cfg(test)]
mod tests;
mod tree;

pub use api::{Api, Operation};
pub use awaited::Awaited;
pub use json::{Bounds, Fault, is_object};
pub use paths::{Paths, Values};
pub use rule::OpenApi;

/// What is wrong with a description, and where in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// The place, as a JSON pointer (RFC 6901).
    pub at: String,
    /// What it is.
    pub what: String,
}

impl Wrong {
    fn new(at: impl Into<String>, what: impl Into<String>) -> Self {
        Self { at: at.into(), what: what.into() }
    }
}

/// The methods that a description may have operations for, as it calls them and as requests do.
pub const METHODS: [(&str, &str); 8] = [
    ("get", "GET"),
    ("head", "HEAD"),
    ("post", "POST"),
    ("put", "PUT"),
    ("patch", "PATCH"),
    ("delete", "DELETE"),
    ("options", "OPTIONS"),
    ("trace", "TRACE"),
];
