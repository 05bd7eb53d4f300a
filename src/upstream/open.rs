//! Opening a connection to a target: connecting, and the handshake where its pool has TLS.

use super::errand::Errand;
use super::local::Attempt;
use crate::net::{self, Lease, Stream};
use crate::observe::reason::Failure;
use crate::tls::{self, Cargo, Session, Trouble};
use std::fmt::Display;
use std::io::{self, ErrorKind};

impl Attempt {
    /// Opens a connection to the target within the pool's connect timeout; with a header before anything else,
    /// and over TLS, as the errand has it.
    pub async fn open(&self, errand: &Errand, cargo: Cargo<'_>) -> Result<(Stream, Option<Box<Session>>), Failure> {
        let pool = self.pool();
        let limit = pool.timeouts.connect;
        let due = net::coarse_now().saturating_add(limit);
        let address = &self.target().address;
        let failed = |error: io::Error| {
            tracing::debug!(pool = pool.name, target = self.target().name, %error, "cannot connect");
            if error.kind() == ErrorKind::TimedOut { Failure::ConnectTimeout } else { Failure::Connect }
        };
        let prepared = match &pool.egress {
            Some(egress) => egress.prepare(address, errand.client).map_err(failed)?,
            None => None,
        };
        let stream = net::connect(address, limit, prepared).await.map_err(failed)?;
        if let Some(header) = &errand.header {
            let mut bytes = Lease::new();
            bytes.buffer().extend_from_slice(header.bytes());
            // Larger than a connect, and not for those who have no use for it.
            let sent = Box::pin(stream.send(bytes, limit)).await;
            sent.map_err(|error| {
                tracing::debug!(pool = pool.name, target = self.target().name, %error, "cannot send the PROXY header");
                Failure::Connect
            })?;
        }
        let Some((outbound, purpose)) = pool.tls.as_deref().zip(errand.purpose.as_ref()) else {
            return Ok((stream, None));
        };
        let left = due.saturating_sub(net::coarse_now());
        // Larger than a connect, and not for those who have no use for it.
        let dialled = Box::pin(tls::dial(outbound, &stream, self.index(), purpose, cargo, left)).await;
        match dialled {
            Ok(session) => Ok((stream, Some(session))),
            Err(trouble) => {
                self.tell_trouble(&trouble);
                Err(match trouble {
                    Trouble::Timeout => Failure::ConnectTimeout,
                    Trouble::Certificate(_) | Trouble::Name => Failure::Certificate,
                    Trouble::Left | Trouble::Speech | Trouble::Failed(_) => Failure::Handshake,
                })
            }
        }
    }

    /// Tells why TLS with the target does not come about: as a warning now and then, so that it is seen and floods nothing.
    pub fn tell_trouble(&self, trouble: &dyn Display) {
        let (pool, target) = (&self.pool().name, &self.target().name);
        let words = "no TLS with the target";
        match self.pool().tls.as_ref().is_some_and(|tls| tls.is_worth_a_warning(self.index())) {
            true => tracing::warn!(pool, target, reason = %trouble, "{words}"),
            false => tracing::debug!(pool, target, reason = %trouble, "{words}"),
        }
    }
}
