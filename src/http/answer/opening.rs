//! The head of the final answer, as it goes out to the client.

use super::{Answer, Passed, Stage};
use crate::http::edit;
use crate::http::exchange::Exchange;
use crate::http::h1::{self, Backward, Framing};
use crate::http::head::{Name, RequestHead};
use crate::http::sticky;
use crate::http::transfer::Transfer;
use crate::net::{Lease, coarse_now};
use crate::observe::counters::TargetSet;
use std::time::Duration;

impl Answer<'_> {
    /// Whether the client's connection may carry another exchange. What comes behind an early answer is the rest of the request's
    /// body.
    pub(in crate::http) fn may_go_on(&self) -> bool {
        self.whole.get() && !self.transfer.connection.is_leaving()
    }

    /// How long the target may be silent in the body.
    pub(in crate::http) fn silence(&self, exchange: &Exchange<'_>, text: &[u8]) -> Duration {
        let timeouts = &self.transfer.timeouts;
        if self.streams(exchange, text) { timeouts.tunnel } else { timeouts.response_idle }
    }

    /// Whether it is a stream of events or calls, which says something when there is something to say.
    pub(in crate::http) fn streams(&self, exchange: &Exchange<'_>, text: &[u8]) -> bool {
        let translated = exchange.heads.translated.as_ref();
        exchange.grpc || translated.is_some_and(|translated| translated.streams()) || is_event_stream(exchange, text)
    }

    /// Where is counted what the target does.
    pub(in crate::http) fn counters(&self) -> &TargetSet {
        let pool = self.transfer.connection.era.counters.pool(self.transfer.rule.pool);
        pool.target(self.transfer.attempt.index())
    }

    /// Writes the head of the final answer, which stands in `text`.
    #[inline]
    pub(in crate::http) fn write_head(
        &self,
        exchange: &mut Exchange<'_>,
        framing: Framing,
        text: &[u8],
        out: &mut Lease,
    ) {
        let Transfer { connection, attempt, .. } = *self.transfer;
        sticky::tell(exchange, attempt.pool().sticky.as_ref(), attempt.index(), text, |exchange, marking| {
            connection.lane.with_date(|date| {
                let hsts = &connection.http.hsts;
                let backward = Backward { hsts, marking, ..backward(exchange, framing, date) };
                h1::encode_response(out.buffer(), &exchange.heads.response, text, &backward);
            });
        });
        exchange.outcome.answers_with(connection.era, out);
    }

    /// The final answer begins to go out.
    #[inline]
    pub(in crate::http) fn begins(&self, exchange: &mut Exchange<'_>, answer: &h1::Answer) -> Passed {
        exchange.outcome.status = exchange.heads.response.told();
        exchange.heads.trace.answered(exchange.heads.response.status);
        self.transfer.attempt.begins_to_answer(exchange.heads.response.status, coarse_now());
        self.stage.set(Stage::Final);
        Passed {
            reusable: false,
            keep_alive: answer.keep_alive_timeout.map(|seconds| Duration::from_secs(seconds.into())),
            switched: None,
            first_byte: self.first_byte.get().unwrap_or_default(),
        }
    }

    /// The text of the head once the route's edits are done in its fields; `None`: it has none.
    #[inline]
    pub(super) fn edited(&self, exchange: &mut Exchange<'_>, head: &[u8]) -> Option<Vec<u8>> {
        let edits = self.transfer.rule.edits.as_ref()?;
        if edits.response.is_empty() && edits.back.is_none() {
            return None;
        }
        edit::answer(exchange, head)
    }

    /// Writes the head of a `101 Switching Protocols`, which stands in `text`.
    pub(super) fn encode_switch(&self, exchange: &mut Exchange<'_>, text: &[u8], out: &mut Vec<u8>) {
        let attempt = self.transfer.attempt;
        sticky::tell(exchange, attempt.pool().sticky.as_ref(), attempt.index(), text, |exchange, marking| {
            let backward = Backward { tunnel: true, marking, ..backward(exchange, Framing::None, "") };
            h1::encode_response(out, &exchange.heads.response, text, &backward);
        });
    }
}

fn backward<'a>(exchange: &Exchange<'_>, framing: Framing, date: &'a str) -> Backward<'a> {
    let RequestHead { version, method, .. } = exchange.heads.request;
    let keep_alive = exchange.keep_alive;
    Backward { version, method, framing, keep_alive, tunnel: false, date: date.as_bytes(), hsts: b"", marking: None }
}

/// Event streams are silent for as long as they like; only a tunnel's timeout bounds them.
fn is_event_stream(exchange: &Exchange<'_>, text: &[u8]) -> bool {
    let kind = exchange.heads.response.find(Name::ContentType).map(|field| field.value.of(text));
    const EVENTS: &[u8] = b"text/event-stream";
    kind.and_then(|kind| kind.get(..EVENTS.len())).is_some_and(|kind| kind.eq_ignore_ascii_case(EVENTS))
}

/// Whether the target has proven that it speaks WebSocket (RFC 6455 §4.1).
pub(super) fn is_accepted(exchange: &Exchange<'_>, text: &[u8]) -> bool {
    let key = exchange.heads.request.find(Name::SecWebSocketKey).map(|field| field.value.of(&exchange.text));
    let accept = exchange.heads.response.find(Name::SecWebSocketAccept).map(|field| field.value.of(text));
    key.is_some_and(|key| accept == Some(h1::accept_value(key).as_bytes()))
}
