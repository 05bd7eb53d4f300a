//! Analytics: who asks for what, how often and with what success, summed up by the minute.
//!
//! A worker sums exchanges up in a [`Book`] of its own and hands the sums over about twice a second; whoever keeps them adds
//! them to what there is.
//!
//! What always holds: nothing waits, and no request is lost on the way: what finds no room in the queue stays in the book. How
//! many series a book holds has a bound; beyond it the names that clients can choose, those of consumers, become [`OTHER`].
//!
//! May depend on `access`' neighbours in `observe` alone.

mod book;
mod sums;

pub use book::{Book, Queue, Sheets, queue};
pub use sums::{BUCKETS, Key, OTHER, Seen, Series, Sums};
