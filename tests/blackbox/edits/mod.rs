//! What a route changes in what passes.

mod headers;
mod limits;
mod security;
