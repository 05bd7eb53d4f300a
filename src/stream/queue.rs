//! A connection waits for a target with room.

use crate::net::{self, Either, race};
use crate::observe::reason::Failure;
use crate::tls::Channel;
use crate::upstream::Attempt;
use crate::upstream::queue::Waiting;
use std::pin::pin;
use std::time::Duration;

/// Waits for its turn for at most `limit`, and while the client is there.
pub(super) async fn wait(waiting: &mut Waiting, limit: Duration, client: Channel<'_>) -> Result<Attempt, Failure> {
    let mut waiting = pin!(waiting);
    client.set_deadline(None);
    let turn = async {
        match race(waiting.as_mut(), client.closed()).await {
            Either::Left(turn) => turn,
            Either::Right(true) => Err(Failure::ClientAbort),
            // It has something to say: it is still there, and can be watched no further.
            Either::Right(false) => waiting.as_mut().await,
        }
    };
    net::timeout(limit, turn).await.unwrap_or(Err(Failure::QueueTimeout))
}
