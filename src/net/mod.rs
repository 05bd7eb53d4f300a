//! The contract with the kernel: the only module that names a ring or a raw descriptor, spawns, sleeps, or opens a socket,
//! and the only one with `unsafe`. A worker's loop ([`enter`]) polls tasks until none is left to be polled, then hands
//! what they have queued to the kernel and waits, in one call.
//!
//! What always holds:
//! - Receiving waits for readiness, takes a [`Lease`] from the worker's pool and reads at once: an idle connection holds
//!   no buffer, and dropping any future of a [`Stream`] loses no received byte, descriptor or buffer.
//! - Sending hands the bytes to the ring, so that one enter carries what a turn of the loop produced.
//! - Deadlines are coarse: a stream carries its deadline as a field and [`sweep`] wakes what is overdue. Timers of their
//!   own ([`sleep`], [`timeout`]) are for rare things.
//! - A task that panics ends alone: [`spawn`] catches and counts it.
//!
//! May depend on nothing else in the crate.

mod call;
mod clock;
mod confine;
mod connect;
mod datagram;
mod desk;
mod driver;
mod event;
mod executor;
mod file;
mod lease;
mod ledger;
mod listener;
mod mailbox;
mod options;
pub mod parcel;
pub mod proxy_protocol;
mod quiet;
mod race;
mod runtime;
mod signal;
mod socket;
mod stream;
mod thread;
mod timer;
mod user;
mod watch;

pub use call::{Call, Callee, Caller, Callers, call};
pub use clock::{coarse_now, now};
pub use confine::confine;
pub use connect::{Prepared, connect};
pub use datagram::{Batch, Datagram, Local, Received, bind_datagrams, probe_datagrams};
pub use desk::{Desk, Put, desk};
pub use executor::{Slow, breathe, mark, take_slow};
pub use file::{File, Folder, Kind, Root, Status, TempFile, give_way};
pub use lease::{Lease, trim as trim_leases};
pub use ledger::abandon;
pub use listener::{Accepted, Listener};
pub use mailbox::{Mailbox, Post, mailbox};
pub use options::{Binding, Egress, Listening, Origin, TcpOptions, Unable};
pub use race::{Either, race, try_join};
pub use runtime::{Backend, Driver, enter, probe, sleep, spawn, take_panics, timeout};
pub use signal::Signal;
pub use socket::{Address, Peer, Slot, bind, bind_by, bind_private, file_limit, probe as probe_bind};
pub use stream::Stream;
pub use thread::{allowed_cores, name_thread, pin, refuse_huge_pages, thread_alive, thread_id, thread_time};
pub use user::{
    Account, NoAccount, give_up_more_than, kept, lent, may_change_user, may_write_in, reason, regain, whoami,
};
pub use watch::{Handle, sweep};
