//! The content of an answer, read while what was read before is sent.

use super::answer::Piece;
use crate::http::connection::Connection;
use crate::net::{File, Lease, give_way, try_join};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::time::Duration;

/// What is read at a time for a client that keeps up.
const BULK: usize = 256 << 10;
/// For one that does not, for one of many on a connection, and of a content's beginning.
const LITTLE: usize = 64 << 10;
/// After so many bytes others of the worker have their turn, whatever the client takes.
const TURN: u64 = 2 << 20;

/// What is still to be read of a content.
pub(super) struct Body<'f> {
    file: &'f File,
    pieces: VecDeque<Piece>,
    limit: Duration,
}

/// Why not all of a content was sent.
pub(super) enum Cut {
    /// The client took no more.
    Client(io::Error),
    /// The file could not be read, or is shorter than it was.
    File(io::Error),
}

impl<'f> Body<'f> {
    pub(super) fn new(file: &'f File, pieces: Vec<Piece>, limit: Duration) -> Self {
        Self { file, pieces: pieces.into(), limit }
    }

    pub(super) fn is_ended(&self) -> bool {
        self.pieces.is_empty()
    }

    /// The next bytes, of which there are some, and `most` at most; nothing at the end.
    pub(super) async fn next(&mut self, most: usize) -> io::Result<Lease> {
        let Some(piece) = self.pieces.front_mut() else { return Ok(Lease::empty()) };
        match piece {
            Piece::Text(text) => {
                let mut lease = Lease::with_room(text.len());
                lease.buffer().extend_from_slice(text);
                self.pieces.pop_front();
                Ok(lease)
            }
            Piece::Of(span) => {
                let count = usize::try_from(span.len()).unwrap_or(usize::MAX).min(most);
                let read = self.file.read_at(span.start, count, self.limit).await?;
                if read.len() < count {
                    // What was announced is not there any more.
                    return Err(ErrorKind::UnexpectedEof.into());
                }
                span.start += count as u64;
                if span.is_empty() {
                    self.pieces.pop_front();
                }
                Ok(read)
            }
        }
    }

    /// Sends `first`, which was read already, and all that follows it. Counts into `sent` what the client has taken.
    pub(super) async fn send(
        &mut self,
        connection: &Connection<'_>,
        mut first: Lease,
        sent: &Cell<u64>,
    ) -> Result<(), Cut> {
        let Connection { client, listener, .. } = *connection;
        let stall = listener.timeouts.write_stall;
        let mut turn = 0;
        loop {
            let length = first.len() as u64;
            let most = if client.is_multiplexed() || client.lags() { LITTLE } else { BULK };
            let (read, sending) = (RefCell::new(Lease::empty()), first);
            let both = try_join(async { client.send(sending, stall).await.map_err(Cut::Client) }, async {
                let next = self.next(most).await.map_err(Cut::File)?;
                read.replace(next);
                Ok(())
            });
            both.await?;
            sent.set(sent.get() + length);
            first = read.into_inner();
            if first.is_empty() {
                return Ok(());
            }
            turn += length;
            if turn >= TURN {
                turn = 0;
                give_way().await;
            }
        }
    }
}

/// What is read of a content before its head goes out.
pub(super) fn first_part() -> usize {
    LITTLE
}
