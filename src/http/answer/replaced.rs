//! A page in place of a target's answer.

use super::super::body::Body;
use super::super::edit;
use super::super::exchange::Exchange;
use super::super::h1::{self, Asker};
use super::super::head::RequestHead;
use super::super::pages::{self, Chosen};
use super::super::transfer::Transfer;
use super::{Answer, Broken, PATIENCE, Passed, Stage, body_of};
use crate::net::{Lease, coarse_now};
use std::time::Duration;

/// Bytes of an answer that are read so that its connection can be used again.
const READ: usize = 64 << 10;

impl Answer<'_> {
    /// Sends a page in place of the answer. The target's connection can be used again if the rest of the answer
    /// is short and comes soon.
    pub(super) async fn replace(
        &self,
        exchange: &mut Exchange<'_>,
        page: Chosen<'_>,
        answer: &h1::Answer,
        mut held: Lease,
    ) -> Result<Passed, Broken> {
        let Transfer { connection, attempt, .. } = *self.transfer;
        exchange.keep_alive &= self.whole.get() && !connection.is_leaving();
        let mut out = Lease::new();
        let lines = pages::kept_lines(&exchange.heads.response, &held);
        let RequestHead { version, method, .. } = exchange.heads.request;
        connection.lane.with_date(|date| {
            let (keep_alive, hsts) = (exchange.keep_alive, &connection.http.hsts);
            let asker = Asker { version, method, keep_alive, date: date.as_bytes(), hsts };
            page.encode(out.buffer(), &lines, asker, exchange.outcome.request_id().as_str());
        });
        if let Some(edits) = exchange.edits_of_answers() {
            edit::written_answer(edits, &edit::Facts { status: page.status, ..exchange.facts() }, out.buffer());
        }
        exchange.outcome.answers_with(connection.era, &out);
        let counters = connection.era.counters.pool(self.transfer.rule.pool).target(attempt.index());
        counters.received.add(held.len() as u64);
        held.advance(answer.head_len);
        let body = body_of(exchange, answer, held).ok();
        exchange.outcome.status = page.status;
        exchange.heads.trace.answered(exchange.heads.response.status);
        attempt.begins_to_answer(exchange.heads.response.status, coarse_now());
        self.stage.set(Stage::Final);
        let head = memchr::memmem::find(&out, b"\r\n\r\n").map_or(out.len(), |end| end + 4);
        exchange.outcome.body_out += (out.len() - head) as u64;
        self.send(exchange, out).await?;
        let reusable = match body.filter(|_| answer.keep_alive) {
            Some(body) => self.is_used_up(body).await,
            None => false,
        };
        Ok(Passed {
            reusable,
            keep_alive: answer.keep_alive_timeout.map(|seconds| Duration::from_secs(seconds.into())),
            switched: None,
            first_byte: self.first_byte.get().unwrap_or_default(),
        })
    }

    /// Reads what is left of an answer, if that is little and comes soon. Returns whether that was all of it.
    async fn is_used_up(&self, mut body: Body) -> bool {
        let Transfer { connection, target, attempt, .. } = *self.transfer;
        let counters = connection.era.counters.pool(self.transfer.rule.pool).target(attempt.index());
        let mut read = body.take_first().len();
        let due = coarse_now() + PATIENCE;
        while read <= READ && !body.is_ended() {
            let left = due.saturating_sub(coarse_now());
            match body.next(target, left).await {
                // However little comes at a time, the client's next request waits no longer.
                Ok(_) if left.is_zero() => return false,
                Ok(Some(content)) => {
                    read += content.len();
                    counters.received.add(content.len() as u64);
                }
                Ok(None) => break,
                Err(_) => return false,
            }
        }
        body.is_ended() && !body.has_beyond()
    }
}
