//! A connection on which something is said and something is heard, within one deadline and with a bound on what is heard.

use super::super::CheckSpec;
use super::super::finding::Finding;
use super::dial::{self, Wire};
use crate::observe::reason::Outcome;
use std::io::{self, ErrorKind};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout, timeout_at};

/// What may be held of an answer, in bytes.
pub(super) const HELD: usize = 64 * 1024;
/// What may be heard in all.
const HEARD: usize = 4 * HELD;
/// How long the other side gets to take in a farewell.
const PARTING: Duration = Duration::from_millis(250);

/// A connection, and what has come on it and was not taken yet.
pub(super) struct Conversation {
    wire: Box<dyn Wire>,
    deadline: Instant,
    /// What has come.
    pub(super) heard: Vec<u8>,
    /// Whether the other side has said all that it will.
    pub(super) ended: bool,
    total: usize,
}

impl Conversation {
    /// Nothing was said yet.
    pub(super) fn new(wire: Box<dyn Wire>, deadline: Instant) -> Self {
        Self { wire, deadline, heard: Vec::new(), ended: false, total: 0 }
    }

    /// Goes on over TLS, which the other side has agreed to. What has come before that is from nobody knows whom.
    pub(super) async fn secure(self, spec: &CheckSpec, host: &str) -> Result<Self, Finding> {
        if !self.heard.is_empty() {
            return Err(Finding::new(Outcome::NoHandshake, "more has come in clear than the word for TLS"));
        }
        let dialled = dial::secure(self.wire, spec, host, self.deadline).await?;
        Ok(Self::new(dialled.wire, self.deadline))
    }

    /// Says something.
    pub(super) async fn say(&mut self, bytes: &[u8]) -> Result<(), Finding> {
        let sent = timeout_at(self.deadline, async {
            self.wire.write_all(bytes).await?;
            self.wire.flush().await
        });
        sent.await.map_err(|_| late())?.map_err(|error| Finding::bad(format!("the connection broke: {error}")))
    }

    /// Waits until more has come, or the other side has ended.
    pub(super) async fn listen(&mut self) -> Result<(), Finding> {
        if self.ended {
            return Ok(());
        }
        if self.heard.len() >= HELD || self.total >= HEARD {
            return Err(Finding::bad("the answer is too long"));
        }
        let before = self.heard.len();
        let mut bounded = (&mut self.wire).take((HELD - before) as u64);
        let read = timeout_at(self.deadline, bounded.read_buf(&mut self.heard)).await.map_err(|_| late())?;
        let read = read.map_err(|error| match error.kind() {
            ErrorKind::ConnectionReset => Finding::bad("reset without a whole answer"),
            _ => Finding::bad(format!("the connection broke: {error}")),
        })?;
        self.ended = read == 0;
        self.total += read;
        Ok(())
    }

    /// The next `length` bytes, which are taken.
    pub(super) async fn bytes(&mut self, length: usize) -> Result<Vec<u8>, Finding> {
        if length > HELD {
            return Err(Finding::bad("the answer is too long"));
        }
        while self.heard.len() < length {
            self.go_on().await?;
        }
        let rest = self.heard.split_off(length);
        Ok(std::mem::replace(&mut self.heard, rest))
    }

    /// The next line without its end, which is taken.
    pub(super) async fn line(&mut self) -> Result<Vec<u8>, Finding> {
        loop {
            if let Some(end) = memchr::memchr(b'\n', &self.heard) {
                let mut line = self.bytes(end + 1).await?;
                line.truncate(end);
                if line.last() == Some(&b'\r') {
                    line.pop();
                }
                return Ok(line);
            }
            self.go_on().await?;
        }
    }

    /// Waits for more where the answer cannot be over yet.
    pub(super) async fn go_on(&mut self) -> Result<(), Finding> {
        self.listen().await?;
        match self.ended {
            true if self.total == 0 => Err(Finding::bad("closed without an answer")),
            true => Err(Finding::bad("closed in the middle of its answer")),
            false => Ok(()),
        }
    }

    /// Ends it so that the other side sees an end and no reset: our end goes first, and what it still says is heard.
    pub(super) async fn part(mut self) {
        let parting = async {
            self.wire.shutdown().await?;
            let mut rest = [0; 1024];
            let mut left = HEARD;
            loop {
                match self.wire.read(&mut rest).await? {
                    0 => return io::Result::Ok(()),
                    more if more >= left => return Ok(()),
                    more => left -= more,
                }
            }
        };
        // Whatever comes of it, the answer is known.
        let _ = timeout(PARTING, parting).await;
    }
}

/// There was no whole answer in time.
pub(super) fn late() -> Finding {
    Finding::new(Outcome::AnswerTimeout, "response timeout")
}
