//! Who may come in, by a condition.

use super::condition::{Condition, Error};
use super::{Asked, Denial, Halt, Phase, Rule, Who, reading};

/// A rule of type cel.
#[derive(Debug)]
pub struct Cel(Condition);

impl Cel {
    /// One that lets in whom `allow` holds for.
    pub fn new(allow: Condition) -> Self {
        Self(allow)
    }
}

impl Rule for Cel {
    fn phase(&self) -> Phase {
        Phase::Authorize
    }

    fn names_path(&self) -> bool {
        self.0.names_path()
    }

    fn decide(&self, asked: &Asked<'_>, who: &mut Who) -> Result<(), Halt> {
        match reading::holds(&self.0, asked, who)? {
            Ok(true) => Ok(()),
            Ok(false) if self.0.names_consumer() && !who.is_known() => Err(Denial::unauthenticated("nobody").into()),
            Ok(false) => Err(Denial::forbidden("cel").into()),
            Err(error) => Err(Denial::forbidden(word(error)).into()),
        }
    }
}

/// How it is logged that nothing could be said.
fn word(error: Error) -> &'static str {
    match error {
        Error::Kind(_) => "cel-kind",
        Error::DivisionByZero => "cel-division-by-zero",
        Error::Overflow => "cel-overflow",
        Error::Conversion => "cel-conversion",
        Error::NoItem => "cel-no-item",
        Error::NoSize => "cel-no-size",
        Error::TooLong => "cel-too-long",
    }
}
