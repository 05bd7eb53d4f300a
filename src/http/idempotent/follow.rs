//! The answer to a request with a key, for the client that was the first to send it: as it comes.

use super::BROKEN;
use super::keeper::{Keeper, Step};
use crate::http::connection::Connection;
use crate::http::exchange::Exchange;
use crate::http::h1::{self, Backward, Framing, Limits, Parsed, Question, Scan};
use crate::http::reply::Reply;
use crate::http::transfer::{push_content, push_end};
use crate::net::{Either, Lease, race};
use crate::observe::reason::Failure;
use std::rc::Rc;

/// Bytes that go out at a time.
const FULL: usize = 64 << 10;

/// Whoever reads what a keeper has.
struct Reader(Rc<Keeper>);

impl Drop for Reader {
    fn drop(&mut self) {
        self.0.leave();
    }
}

/// Gives the client what comes. If it leaves, the rest is for those who ask again.
pub(super) async fn follow(exchange: &mut Exchange<'_>, keeper: Rc<Keeper>) {
    let reader = Reader(keeper);
    if pass(exchange, &reader.0).await.is_none() {
        return;
    }
    // The exchange with the target ends with its answer.
    if let Some(fate) = reader.0.fate().await {
        exchange.outcome.comes_to(fate.came_to);
        (exchange.heads.trace, exchange.heads.sticky) = (fate.trace, fate.sticky);
    }
}

/// `None`: the client has left.
async fn pass(exchange: &mut Exchange<'_>, keeper: &Keeper) -> Option<()> {
    let Connection { client, .. } = exchange.connection;
    exchange.outcome.waits();
    let (mut out, mut framing, mut watched) = (Lease::empty(), None, true);
    loop {
        match keeper.take() {
            Some(Step::Interim(text)) => exchange.interim(&text).await?,
            Some(Step::Head(text, came)) => framing = Some(write_head(exchange, &text, came, &mut out)?),
            Some(Step::Content(content)) => {
                exchange.outcome.body_out += content.len() as u64;
                push_content(framing.unwrap_or(Framing::None), &content, out.buffer());
                if out.len() >= FULL {
                    send(exchange, &mut out).await?;
                }
            }
            Some(Step::End(trailers)) => {
                push_end(framing.unwrap_or(Framing::None), &trailers, out.buffer());
                return send(exchange, &mut out).await;
            }
            Some(Step::Broken) => {
                send(exchange, &mut out).await?;
                match framing {
                    Some(framing) => cut(exchange, framing),
                    None => exchange.answer(Reply::failure(Failure::Internal), true).await,
                }
                return Some(());
            }
            None => {
                send(exchange, &mut out).await?;
                client.set_deadline(None);
                match watched {
                    false => keeper.wait().await,
                    true => match race(keeper.wait(), client.closed()).await {
                        Either::Left(()) => {}
                        Either::Right(true) => {
                            exchange.keep_alive = false;
                            exchange.outcome.client_left();
                            return None;
                        }
                        // The client has sent more: it is still there, and can be watched no further.
                        Either::Right(false) => watched = false,
                    },
                }
            }
        }
    }
}

async fn send(exchange: &mut Exchange<'_>, out: &mut Lease) -> Option<()> {
    let Connection { client, listener, .. } = exchange.connection;
    if out.is_empty() {
        return Some(());
    }
    let out = std::mem::take(out);
    let length = out.len() as u64;
    client.send(out, listener.timeouts.write_stall).await.map_err(|error| exchange.gone(&error)).ok()?;
    exchange.outcome.bytes_out += length;
    Some(())
}

/// The client must not take what it got for complete.
fn cut(exchange: &mut Exchange<'_>, framing: Framing) {
    exchange.keep_alive = false;
    if framing == Framing::UntilClose || exchange.connection.client.is_multiplexed() {
        exchange.connection.client.reset_on_close();
    }
    exchange.outcome.refused(BROKEN, BROKEN.word());
}

/// Writes the head of an answer, which is `text`, for the client. Returns how the content behind it is framed. `None`: it cannot be read, and
/// nothing more goes out.
pub(super) fn write_head(exchange: &mut Exchange<'_>, text: &[u8], came: Framing, out: &mut Lease) -> Option<Framing> {
    let (version, method) = (exchange.heads.request.version, exchange.heads.request.method);
    let question = Question { method, websocket: false };
    let limits = Limits { head: usize::MAX, fields: h1::MAX_FIELDS };
    let parsed = h1::parse_response(text, &question, &limits, &mut Scan::default(), &mut exchange.heads.response);
    if !matches!(parsed, Ok(Parsed::Complete(_))) {
        exchange.unreadable();
        return None;
    }
    let framing = came.towards(version);
    exchange.keep_alive &= framing != Framing::UntilClose && !exchange.connection.is_leaving();
    let keep_alive = exchange.keep_alive;
    exchange.connection.lane.with_date(|date| {
        // What the client is told of TLS stands in the head already.
        let date = date.as_bytes();
        let backward = Backward { version, method, framing, keep_alive, tunnel: false, date, hsts: b"", marking: None };
        h1::encode_response(out.buffer(), &exchange.heads.response, text, &backward);
    });
    exchange.outcome.answers_with(exchange.connection.era, out);
    exchange.outcome.status = exchange.heads.response.told();
    Some(framing)
}
