//! What the importer makes of texts, without the binary: whatever is wrong with them, and of each idiom what it means.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a test may block, and fails by panicking"
)]

mod meaning;
mod spoilt;

use ringway::import::Around;
use std::net::IpAddr;

/// Nothing but the file itself, and one list beside it.
struct Alone;

impl Around for Alone {
    fn read(&self, path: &str) -> Option<String> {
        (path == "bad.lst").then(|| "192.0.2.0/24\n198.51.100.7\n".to_owned())
    }

    fn is_folder(&self, _: &str) -> bool {
        false
    }

    fn matching(&self, _: &str) -> Vec<String> {
        Vec::new()
    }

    fn resolve(&self, _: &str) -> Option<IpAddr> {
        None
    }
}
