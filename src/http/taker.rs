//! Who takes an answer that goes to no client.

use super::aggregate::Gather;
use super::cached::Filler;
use super::exchange::Exchange;
use super::h1::Framing;
use super::idempotent::Keeper;
use super::mirror::Reflection;
use super::outcome::Outcome;
use super::reply::Reply;
use crate::net::Lease;

/// Who takes an answer in place of a client.
#[derive(Clone, Copy)]
pub(super) enum Taker<'a> {
    /// A cache.
    Cache(&'a Filler),
    /// Nobody: it is compared at most.
    Mirror(&'a Reflection),
    /// An answer that it is a part of.
    Part(&'a Gather<'a>),
    /// Who keeps it as its client would get it, which it is sent as to that.
    Keeper(&'a Keeper),
}

impl Taker<'_> {
    /// Whether it is sent to nobody.
    pub(super) fn takes_all(&self) -> bool {
        !matches!(self, Self::Keeper(_))
    }

    /// The head of the answer has come.
    pub(super) fn begin(self, exchange: &Exchange<'_>, text: &[u8], framing: Framing) {
        match self {
            Self::Cache(filler) => filler.begin(exchange, text, framing),
            Self::Mirror(reflection) => reflection.begin(&exchange.heads.response, text),
            Self::Part(gather) => gather.begin(&exchange.heads.response, text, framing),
            Self::Keeper(_) => {}
        }
    }

    /// Content has come. False: no more is of use.
    pub(super) async fn take(self, content: Lease) -> bool {
        match self {
            Self::Cache(filler) => filler.take(content).await,
            Self::Mirror(reflection) => reflection.take(&content),
            Self::Part(gather) => gather.take(&content),
            Self::Keeper(_) => true,
        }
    }

    /// The answer is complete. `trailers` are whole lines.
    pub(super) fn end(self, trailers: &[u8]) {
        match self {
            Self::Cache(filler) => filler.end(trailers),
            Self::Mirror(reflection) => reflection.end(),
            Self::Part(gather) => gather.end(),
            Self::Keeper(_) => {}
        }
    }

    /// There is no answer but one of ours. Returns whether that is sent.
    pub(super) fn refused(self, reply: &Reply, outcome: &Outcome) -> bool {
        match self {
            Self::Cache(filler) => filler.refused(reply, outcome),
            Self::Mirror(_) => {}
            Self::Part(gather) => gather.refused(reply),
            Self::Keeper(keeper) => {
                keeper.gets_ours();
                return true;
            }
        }
        false
    }
}
