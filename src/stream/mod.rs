//! L4: a client's bytes to a target and back, or its datagrams.
//!
//! What always holds: each side's end of stream reaches the other side as such, a broken side breaks the other, and what
//! is held of either direction is one buffer while it moves.
//!
//! May depend on `lane` and what is below it.

mod announce;
mod frames;
mod front;
mod hello;
mod pump;
mod queue;
mod secure;
mod serve;
mod sticky;
pub mod udp;

pub use announce::announce;
pub use front::{Lead, Passage, pass_front};
pub use pump::{Done, End, Tunnel, tunnel};
pub use secure::secure;
pub use serve::serve;
