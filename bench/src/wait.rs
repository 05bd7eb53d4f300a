//! Waiting for sockets.

use anyhow::Result;
use mio::{Events, Poll};
use std::io::ErrorKind;
use std::time::Duration;

/// Waits until something happens to a socket, the time is over, or a signal comes, which is no failure.
pub fn wait(poll: &mut Poll, events: &mut Events, time: Option<Duration>) -> Result<()> {
    match poll.poll(events, time) {
        Err(error) if error.kind() == ErrorKind::Interrupted => events.clear(),
        waited => waited?,
    }
    Ok(())
}
