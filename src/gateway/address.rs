//! Who may come in, by their addresses.

use super::{Asked, Denial, Doorkeeper, Halt, Phase, Ranges, Rule, Who};
use crate::observe::reason::Reason;
use ipnet::IpNet;
use std::net::IpAddr;
use std::time::Duration;

/// A rule of type ip.
#[derive(Debug)]
pub struct Address {
    /// Goes before all else.
    deny: Ranges,
    /// `None`: everybody.
    allow: Option<Ranges>,
}

impl Address {
    /// One that keeps out `deny`, and lets in `allow` alone, be it nobody; `None`: all others.
    pub fn new(allow: Option<&[IpNet]>, deny: &[IpNet]) -> Self {
        Self { deny: Ranges::new(deny), allow: allow.map(Ranges::new) }
    }
}

impl Rule for Address {
    fn phase(&self) -> Phase {
        Phase::Early
    }

    fn decide(&self, asked: &Asked<'_>, _: &mut Who) -> Result<(), Halt> {
        Ok(self.admit(asked.client, asked.now)?)
    }
}

impl Doorkeeper for Address {
    fn admit(&self, client: IpAddr, _: Duration) -> Result<(), Denial> {
        let word = match &self.allow {
            _ if self.deny.contains(client) => "address-denied",
            Some(allow) if !allow.contains(client) => "address-not-allowed",
            _ => return Ok(()),
        };
        Err(Denial::new(403, Reason::Denied, word))
    }
}
