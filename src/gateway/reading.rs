//! Paths that targets may read otherwise than they are read here.
//!
//! What always holds: where a condition says one thing of one reading of a path and another thing of another, the request goes no further: no way of
//! writing a path comes past a rule that is there for that path, or reaches one that opens another.

use super::condition::{Condition, Error};
use super::{About, Asked, Denial, Who};
use crate::observe::reason::Reason;

/// How a target may read a path, where that is not its normal form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// What it reads, in normal form.
    pub path: Box<[u8]>,
    /// What of the path it is for, in a word for the log.
    pub word: &'static str,
}

/// What a condition says of a request, whichever way its target reads its path. The inner error: nothing.
///
/// # Errors
/// It is not the same of all readings.
pub(super) fn holds(condition: &Condition, asked: &Asked<'_>, who: &Who) -> Result<Result<bool, Error>, Denial> {
    let about = About::new(asked, who);
    let said = condition.holds(&about);
    if condition.names_path() {
        let otherwise = |reading: &&Reading| condition.holds(&About { path: Some(&reading.path), ..about }) != said;
        if let Some(reading) = asked.readings.iter().find(otherwise) {
            return Err(Denial::new(400, Reason::AmbiguousPath, reading.word));
        }
    }
    Ok(said)
}
