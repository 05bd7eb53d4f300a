//! The heads of answers, on their way to a client.

use super::outgoing::{Opened, Opener};
use super::{broken, head};
use ::h2::Reason;
use ::h2::server::SendResponse;
use bytes::Bytes;
use head::Content;
use std::io;
use std::task::{Context, Poll};

/// Answers one request.
pub(super) struct Respond {
    pub(super) respond: SendResponse<Bytes>,
    /// Whether the request's method is HEAD.
    pub(super) to_head: bool,
}

impl Opener for Respond {
    fn open(&mut self, text: &[u8]) -> io::Result<Opened> {
        let Some((response, content, length)) = head::read_response(text, self.to_head) else {
            return Err(io::Error::other("an answer without a head"));
        };
        if response.status().is_informational() {
            self.respond.send_informational(response).map_err(|error| broken(&error))?;
            return Ok(Opened::Interim(length));
        }
        let end = content == Content::None;
        let stream = self.respond.send_response(response, end).map_err(|error| broken(&error))?;
        Ok(Opened::Open(length, stream, content))
    }

    fn reset(&mut self, reason: Reason) {
        self.respond.send_reset(reason);
    }

    fn poll_reset(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.respond.poll_reset(cx).map(|_| ())
    }
}
