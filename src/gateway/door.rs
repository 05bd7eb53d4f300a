//! What is decided of connections before a byte of them is read: by the addresses of their clients alone.

use super::Denial;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// Something that is decided of connections, or of datagrams.
pub trait Doorkeeper: fmt::Debug + Send + Sync {
    /// Lets a client in at `now`, or not.
    ///
    /// # Errors
    /// Why it does not come in.
    fn admit(&self, client: IpAddr, now: Duration) -> Result<(), Denial>;
}

/// A rule of a listener.
#[derive(Debug)]
pub struct Door {
    /// Its place among all rules.
    pub index: usize,
    /// Whether it lets in whom it would refuse.
    pub shadow: bool,
    /// The rule.
    pub keeper: Arc<dyn Doorkeeper>,
}
