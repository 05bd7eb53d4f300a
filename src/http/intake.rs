//! The body of a request as it comes in: taken from its head on, or refused.

use super::body::{Body, BodyError};
use super::exchange::Exchange;
use super::h1::Incoming;
use super::reply::Reply;
use crate::net::Lease;
use crate::observe::reason::Reason;
use crate::plan;

/// The body of a request, of which `received` has come.
///
/// # Errors
/// It cannot be taken: see [`refuse`].
#[inline]
pub(super) fn begin(
    exchange: &mut Exchange<'_>,
    rule: &plan::Forward,
    incoming: &Incoming,
    received: Lease,
) -> Result<Body, BodyError> {
    let body = Body::new(incoming.framing, received, rule.body_limit(&exchange.connection.era.plan.limits))?;
    exchange.outcome.bytes_in += body.first().len() as u64;
    Ok(body)
}

/// Refuses a request whose body cannot be taken. Nothing goes on.
#[cold]
pub(super) async fn refuse(exchange: &mut Exchange<'_>, error: &BodyError) -> Option<Lease> {
    exchange.answer(refusal_of(error), true).await;
    exchange.linger().await;
    None
}

/// The answer to a body that could not be read.
pub(super) fn refusal_of(error: &BodyError) -> Reply {
    match error {
        BodyError::Malformed(word) => Reply::bad_body(word),
        BodyError::Truncated => Reply::refusal(400, Reason::BadFraming),
        BodyError::TooLarge => Reply::refusal(413, Reason::BodyTooLarge),
        BodyError::Io(_) => Reply::refusal(408, Reason::BodyTimeout),
        BodyError::Unreadable => Reply::refusal(500, Reason::Buffer),
    }
}
