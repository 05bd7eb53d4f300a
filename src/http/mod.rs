//! Protocol-neutral heads, bodies and the exchange; the codecs at the edge.
//!
//! The way of one request: [`serve`] waits for bytes → `exchange` reads a head → `decide` finds what the plan says → `forward`
//! chooses targets → `transfer` sends the request while `answer` passes the answer on → `outcome` counts and logs.
//!
//! May depend on `stream` (tunnels), `lane` and what is below it.

mod aftermath;
mod aggregate;
mod answer;
mod apart;
mod body;
mod buffer;
mod cached;
mod coded;
mod connection;
pub mod cookies;
mod decide;
pub mod dry;
mod edit;
mod exchange;
mod files;
mod forward;
mod grpc;
pub mod h1;
mod h2;
pub mod head;
mod hedge;
mod idempotent;
mod intake;
mod json;
mod kept;
mod link;
mod mirror;
mod onward;
mod outcome;
mod pages;
mod queue;
mod reply;
mod request;
mod rules;
mod seen;
mod slow;
mod sticky;
mod switched;
mod taker;
mod trace;
mod transfer;
mod translated;
mod tries;

pub use connection::{serve, trim};
