//! Who takes an answer that goes to no client.

use super::aggregate::Gather;
use super::cached::Filler;
use super::exchange::Exchange;
use super::h1::Framing;
use super::mirror::Reflection;
use super::outcome::Outcome;
use super::reply::Reply;
use crate::net::Lease;

/// Who takes an answer that goes to no client.
#[derive(Clone, Copy)]
pub(super) enum Taker<'a> {
    /// A cache.
    Cache(&'a Filler),
    /// Nobody: it is compared at most.
    Mirror(&'a Reflection),
    /// An answer that it is a part of.
    Part(&'a Gather<'a>),
}

impl Taker<'_> {
    /// The head of the answer has come.
    pub(super) fn begin(self, exchange: &Exchange<'_>, text: &[u8], framing: Framing) {
        match self {
            Self::Cache(filler) => filler.begin(exchange, text, framing),
            Self::Mirror(reflection) => reflection.begin(&exchange.heads.response, text),
            Self::Part(gather) => gather.begin(&exchange.heads.response, text, framing),
        }
    }

    /// Content has come. False: no more is of use.
    pub(super) async fn take(self, content: Lease) -> bool {
        match self {
            Self::Cache(filler) => filler.take(content).await,
            Self::Mirror(reflection) => reflection.take(&content),
            Self::Part(gather) => gather.take(&content),
        }
    }

    /// The answer is complete. `trailers` are whole lines.
    pub(super) fn end(self, trailers: &[u8]) {
        match self {
            Self::Cache(filler) => filler.end(trailers),
            Self::Mirror(reflection) => reflection.end(),
            Self::Part(gather) => gather.end(),
        }
    }

    /// There is no answer.
    pub(super) fn refused(self, reply: &Reply, outcome: &Outcome) {
        match self {
            Self::Cache(filler) => filler.refused(reply, outcome),
            Self::Mirror(_) => {}
            Self::Part(gather) => gather.refused(reply),
        }
    }
}
