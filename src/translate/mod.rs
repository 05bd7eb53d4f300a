//! REST, gRPC, gRPC-Web and forms, one as the other: what a request becomes, and what its answer becomes on its way back.
//!
//! What always holds: nothing is sent, read or waited for here; what is made of a message has a bound, whatever is in it; a descriptor
//! set is compiled once, and what is wrong with it is said with the name of what is wrong. What a path says of a message goes before
//! what a body or a query says, which cannot say it again.
//!
//! Depends on no other module. Sources: google.api.http, google.rpc.Code, the JSON mapping of protobuf, "gRPC over HTTP2", "gRPC Web".

mod any;
mod back;
mod binding;
mod descriptors;
pub mod form;
mod frames;
mod json;
mod query;
mod rest;
pub mod status;
mod template;
#[cfg(test)]
mod tests;
pub mod web;

pub use back::Asked;
pub use binding::{Binding, Found, Method};
pub use descriptors::{Describes, Options, Services};
pub use frames::{Fault, Frames, push_frame};
pub use json::Shown;

use std::fmt;

/// What a client sent cannot be made into what its target takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// What it was, as one word for the log.
    pub word: &'static str,
    /// The same for the client.
    pub what: String,
}

/// Bytes of what is told of it.
const LONGEST: usize = 300;

impl Wrong {
    fn new(word: &'static str, what: impl fmt::Display) -> Self {
        let mut what = what.to_string();
        if what.len() > LONGEST {
            let end = (0..=LONGEST).rev().find(|&end| what.is_char_boundary(end)).unwrap_or(0);
            what.truncate(end);
            what.push('…');
        }
        Self { word, what }
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}
