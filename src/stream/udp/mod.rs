//! UDP: a client's datagrams to a target of its listener's pool, and what that sends back.
//!
//! A session is all that a client, known by its address and port, sends to one address of ours, for as long as either side is
//! heard of within `idle`. Each session has a socket of its own, by which its answers are told from those of others; where it is
//! known how many answers there will be, the socket goes on to another session once all have come. What is never answered
//! (`responses = 0`) needs no session: each datagram goes to a target of its own, by a socket that all clients share.
//!
//! What always holds:
//! - Nothing is queued: a datagram is passed on in the turn in which it came, or lost and counted. What is held is bounded by
//!   `max_sessions` and `max_sockets`.
//! - An answer goes to the client that was asked for and from the address that it had asked, or nowhere.
//! - Who receives from the clients' socket is one task; it, one task for each socket to a target, and one that keeps time share
//!   a [`Post`], and none of them waits while it has borrowed anything of it.

mod links;
mod one_way;
mod ports;
mod post;
mod refusal;
mod serve;
mod session;
mod shown;
mod table;
mod terms;

pub use serve::{Entrance, serve};

use post::Post;
