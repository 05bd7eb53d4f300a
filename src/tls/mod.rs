//! TLS at the edge: certificates and which of them a client gets, those that an authority issues ([`acme`]), tickets, clients'
//! certificates, and what of it is different for some names; TLS with targets: whose certificates are taken, and for which name; and the session over a
//! [`net::Stream`](crate::net::Stream), alike for both.
//!
//! What always holds:
//! - Files are read by `load` and `refresh` of [`Edge`] and [`Outbound`], on control; a worker only takes what they made.
//! - What was good stays in service: a file that cannot be used replaces nothing.
//! - A session is driven by its own connection's task. Received bytes outlive any future that is dropped; a send that was
//!   given up makes every later one fail, as half a record went out.
//! - Plaintext and keys appear in no log, `Debug` or metric.
//!
//! May depend on `net` and `observe`.

mod accept;
pub mod acme;
mod certificate;
mod channel;
mod converted;
mod dial;
mod edge;
mod engine;
mod files;
pub mod hello;
mod identity;
mod names;
mod outbound;
mod policy;
mod roots;
mod session;
mod shown;
mod slowed;
mod staple;
mod store;
mod tickets;
mod troubles;
mod trust;

pub use accept::{Refusal, accept};
pub use channel::{Channel, Clear, Multiplexed, Waiting};
pub use converted::{Convert, Converted};
pub use dial::{Trouble, dial};
pub use edge::{Edge, Refreshed, Spec, Versions};
pub use files::{Fault, Place};
pub use identity::Identity;
pub use outbound::{Cargo, Outbound, OutboundSpec, Purpose, Speech};
pub use policy::{Named, Policy};
pub use roots::Authorities;
pub use session::{Facts, Session};
pub use shown::Shown;
pub use slowed::{Brake, Slowed, Way};
pub use store::{Expiry, Source};
pub use tickets::{KeptRing, Ring, Rings, TicketSpec};
pub use trust::{Demand, TrustSpec};
