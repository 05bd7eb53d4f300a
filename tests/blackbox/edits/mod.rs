//! What a route changes in what passes.

mod buffers;
mod buffers_disk;
mod explained;
mod headers;
mod limits;
mod rewrites;
mod security;
