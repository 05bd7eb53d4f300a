//! Answers that a route gives by itself.

use crate::upstream;
use std::sync::Arc;

/// An answer by the route itself.
#[derive(Clone, Debug)]
pub struct Respond {
    /// The status.
    pub status: u16,
    /// The body.
    pub body: String,
    /// Its media type.
    pub content_type: String,
    /// Pools that must have a target that is up, or the answer is 503.
    pub fail_if_down: Vec<Arc<upstream::Pool>>,
}

impl Respond {
    /// To `OPTIONS` that ends here (RFC 9110 §7.6.2).
    pub fn options() -> Self {
        Self::new(200, String::new(), "text/plain")
    }

    /// An answer that depends on no pool.
    pub fn new(status: u16, body: String, content_type: &str) -> Self {
        Self { status, body, content_type: content_type.to_owned(), fail_if_down: Vec::new() }
    }
}

/// Where a redirect points; what is `None` stays as the client sent it.
#[derive(Clone, Debug)]
pub struct Redirect {
    /// The scheme.
    pub scheme: Option<String>,
    /// The host.
    pub host: Option<String>,
    /// The port; without it the scheme's own.
    pub port: Option<u16>,
    /// The path; with it the query goes too.
    pub path: Option<String>,
    /// The status: 301, 302, 303, 307 or 308.
    pub status: u16,
}
