//! Who comes in by a listener, as its plan has it.

use super::Seat;
use crate::net::{self, Accepted};
use crate::observe::reason::Reason;
use crate::plan::guard::Held;

impl Seat {
    /// Looks whether who connects may come in, before anything is read of it; who may not is refused and counted. What is returned
    /// counts the connection among those of its client, where they are.
    #[inline]
    pub fn admit(&self, accepted: &Accepted) -> Result<Option<Held>, Reason> {
        match &self.listener().guard {
            Some(guard) if guard.judges(accepted.peer) => self.look_at(accepted).inspect_err(|&reason| {
                self.counters().refusals.refused(reason);
                let (listener, client) = (&self.listener().name, accepted.peer.ip);
                tracing::debug!(listener, %client, %reason, "connection refused");
            }),
            _ => Ok(None),
        }
    }

    /// The same for the client that it is of, whoever connects, and without counting it as refused. On a connection that may not come
    /// in nothing is sent any more.
    pub fn look_at(&self, accepted: &Accepted) -> Result<Option<Held>, Reason> {
        let Some(guard) = &self.listener().guard else { return Ok(None) };
        guard.admit(accepted.peer.ip, net::coarse_now()).inspect_err(|_| match guard.silent {
            true => accepted.stream.vanish_on_close(),
            false => accepted.stream.reset_on_close(),
        })
    }
}
