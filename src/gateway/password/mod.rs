//! Passwords of users (RFC 7617): what a client sends, what a file says of users, and whether the two fit.
//!
//! What always holds:
//! - Without I/O and without a clock; no panic, whatever comes. Only [`fits`] computes long; nothing else here calls it.
//! - A hash is one that costs: bcrypt or Argon2. What it may cost is bounded when it is read, so that no file stops whoever computes.
//! - A user who is not known costs as much as one who is, and is told the same.
//! - What was found of a password is kept as a keyed hash alone, for a bounded time and in bounded memory; under another stored hash
//!   nothing of it counts.
//! - Passwords and hashes are in no message and in no `Debug`.
//!
//! Depends on nothing else of Ringway but who consumers are.

mod hash;
mod known;
mod sent;
mod users;

pub use hash::{check, fits};
pub use known::{Known, Tag};
pub use sent::{Sent, Unread};
pub use users::{Looked, Users};

#[cfg(test)]
mod tests;
