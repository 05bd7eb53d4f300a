//! What is decided of a request before it goes on: rules, one file each, and who asks.
//!
//! What always holds: a rule knows nothing of protocols and does no I/O; it gets what was asked, and the time where it needs it. Those of
//! a route go phase by phase, as DESIGN's table has it, and within a phase in the order in which the route names them; the first that
//! refuses ends it. One in shadow mode decides, and lets through.
//!
//! May depend on `observe` alone.

mod address;
mod api_key;
mod chain;
mod consumers;
pub mod cors;
mod groups;
pub mod jwt;
pub mod limits;
mod ranges;

pub use address::Address;
pub use api_key::ApiKey;
pub use chain::{Chain, Link, Refused};
pub use consumers::{Consumer, Consumers, Key, SameKey};
pub use cors::Cors;
pub use groups::Groups;
pub use ranges::Ranges;

use crate::observe::reason::Reason;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

/// What a request asks for.
#[derive(Clone, Copy)]
pub struct Asked<'a> {
    /// The client, whom a trusted proxy may have named.
    pub client: IpAddr,
    /// Its header lines.
    pub lines: &'a dyn Lines,
}

/// The header lines of a request.
pub trait Lines {
    /// Shows the value of each line of this name, in any case.
    fn each(&self, name: &str, see: &mut dyn FnMut(&[u8]));
}

/// Who asks, as far as it is known.
#[derive(Clone, Debug, Default)]
pub struct Who {
    /// The consumer.
    pub consumer: Option<Arc<Consumer>>,
}

/// When a rule is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// It needs not know who asks.
    Early,
    /// It finds out who asks.
    Identity,
    /// It decides by that.
    Authorize,
}

/// Why a request goes no further.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// The status.
    pub status: u16,
    /// The kind of refusal.
    pub reason: Reason,
    /// What it was, in a word of the rule's own.
    pub word: &'static str,
    /// What the client is to prove itself with (RFC 9110 §11.6.1).
    pub challenge: Option<Arc<str>>,
}

/// Something that is decided of requests.
pub trait Rule: fmt::Debug + Send + Sync {
    /// When it is asked.
    fn phase(&self) -> Phase;

    /// Lets a request go on, or not; notes of who asks what it has found out.
    ///
    /// # Errors
    /// Why it goes no further.
    fn decide(&self, asked: &Asked<'_>, who: &mut Who) -> Result<(), Denial>;
}

impl Denial {
    /// Nobody whom the rule knows (RFC 9110 §15.5.2).
    pub fn unauthenticated(word: &'static str, challenge: &Arc<str>) -> Self {
        Self { status: 401, reason: Reason::Unauthenticated, word, challenge: Some(challenge.clone()) }
    }

    /// Somebody who may not (RFC 9110 §15.5.4).
    pub fn forbidden(word: &'static str) -> Self {
        Self { status: 403, reason: Reason::Forbidden, word, challenge: None }
    }
}

#[cfg(test)]
mod tests;
