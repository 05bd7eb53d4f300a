//! What several hosts share, through a server of Redis: the way there, and what is asked of it.
//!
//! What always holds:
//! - Workers know nothing of it, and no request waits for it but the first with an Idempotency-Key that is known over all hosts. Tasks of control ask; an answer has `store.redis.timeout`, and where the server is
//!   away whoever asks is told so at once and goes on with what it had.
//! - There is one connection, on which questions follow each other without waiting for answers. It is opened anew, at growing intervals, for as long
//!   as the configuration names the server. The log tells once of each change.
//! - What is asked is scripts, which the server runs one at a time: what belongs together is done together or not at all.
//!
//! [`Link`] is the whole of it for others: [`Link::ask`] for one question, [`Link::ask_all`] for several, [`Link::key`] for the names of keys.

pub(super) mod bans;
mod call;
mod dial;
pub(super) mod idempotency;
mod line;
mod link;
mod seal;
mod standing;
pub(super) mod tickets;

pub(super) use call::{Away, Call, Script};
pub(super) use link::Link;
pub(super) use standing::Host;
