//! How large a request's body may be, by what its head says of it. What comes without a length is watched as it comes.

use super::{Asked, Denial, Halt, Phase, Rule, Who};
use crate::observe::reason::Reason;

/// A rule of type request-size.
#[derive(Debug)]
pub struct RequestSize {
    most: u64,
}

impl RequestSize {
    /// One that lets through bodies of at most so many bytes.
    pub fn new(most: u64) -> Self {
        Self { most }
    }
}

impl Rule for RequestSize {
    fn phase(&self) -> Phase {
        Phase::Early
    }

    /// RFC 9110 §15.5.14.
    fn decide(&self, asked: &Asked<'_>, _: &mut Who) -> Result<(), Halt> {
        let mut is_more = false;
        asked.request.each("content-length", &mut |length| {
            let length = std::str::from_utf8(length).ok().and_then(|length| length.trim().parse::<u64>().ok());
            // Whatever is no number has been refused before.
            is_more |= length.is_some_and(|length| length > self.most);
        });
        if is_more { Err(Denial::new(413, Reason::BodyTooLarge, "request-size").into()) } else { Ok(()) }
    }
}
