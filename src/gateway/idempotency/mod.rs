//! Requests with an Idempotency-Key are carried out once: the answer is kept and given again (draft-ietf-httpapi-idempotency-key-header-07).
//!
//! What always holds: of all requests with one key at most one is under way; who comes meanwhile waits for its answer or is refused, and once it
//! is over so that its answer counts, none is carried out again until its time has passed, whatever became of the memory that the answer took.
//! A key is known within its rule, its route, who asks, host, method and path alone. No I/O; time is passed in.

mod flight;
mod handed;
mod key;
mod problem;
mod rule;
mod run;
mod shard;
mod store;
#[cfg(test)]
mod tests;
mod tidings;

pub use flight::{Ended, Flight};
pub use problem::{Refused, refused};
pub use rule::{Idempotency, Whose};
pub use run::Run;
pub use store::{Bounds, Claim, Figures, Seen, Store};
pub use tidings::{News, Tiding};

use crate::net::Call;
use std::sync::Arc;
use std::time::Duration;

/// What a key is known by: of the scope that it is for and itself.
pub type Scope = [u8; 32];
/// What a request is told from another by that has the same key.
pub type Print = [u8; 32];

/// How a rule deals with keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// For how long an answer is given again.
    pub ttl: Duration,
    /// How long who comes meanwhile waits for the answer of the first.
    pub wait: Duration,
    /// Bytes of an answer's content that are kept.
    pub max_body: usize,
    /// Bytes of a request's body that are taken to tell it from others.
    pub max_request_body: usize,
    /// Whether the target knows keys itself, so that a request may be sent to it twice.
    pub retry: bool,
    /// How much is known at most.
    pub bounds: Bounds,
    /// The name of the rule, where its keys are those of all hosts.
    pub shared: Option<Arc<str>>,
    /// Whether a request is carried out though no other host can be asked.
    pub is_alone: bool,
}

/// What is asked of other hosts before a request is carried out that is the first with its key here.
#[derive(Debug)]
pub struct Claiming<W: Call> {
    /// How its rule deals with keys.
    pub terms: Arc<Terms>,
    /// The request.
    pub run: Run<W>,
}

/// What is known of that.
#[derive(Debug)]
pub enum Claimed<W: Call> {
    /// It is the first of all, and carried out.
    Here(Run<W>),
    /// It is carried out, and nobody could be asked.
    Alone(Run<W>),
    /// It was carried out, as whoever waits for it has been told.
    Known,
    /// Another host carries it out, and whoever waits for it is told what comes of that.
    Joined,
    /// Its key is that of another request.
    Mismatch,
    /// There is no room for its key.
    Full,
    /// Nobody can be asked, and that is wanted.
    Away,
}

/// A request that names a key.
#[derive(Clone, Debug)]
pub struct Keyed {
    /// The place of the rule among all.
    pub rule: usize,
    /// Whether it lets through what it would refuse.
    pub shadow: bool,
    /// How it deals with keys.
    pub terms: Arc<Terms>,
    /// What the key is known by.
    pub scope: Scope,
}

/// An answer that is given again.
#[derive(Debug, PartialEq, Eq)]
pub struct Kept {
    /// Its head, with the empty line at its end.
    pub head: Box<[u8]>,
    /// Whether there is content behind it, be it of no bytes.
    pub has_content: bool,
    /// Its content.
    pub body: Box<[u8]>,
}

/// Why an answer is not there although the request was carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unkept {
    /// It was larger than what is kept of one.
    TooLarge,
    /// There was no room for it, or it gave way to others.
    Memory,
    /// It was under way in the process before, or at another host that is gone.
    Elsewhere,
    /// It had begun, and broke off.
    Broken,
}

impl Kept {
    /// Bytes that it takes.
    pub fn weight(&self) -> usize {
        self.head.len() + self.body.len()
    }
}
