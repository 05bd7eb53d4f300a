//! The `Connection` field (RFC 9110 §7.6.1): what a message says of the hop that it came over.

use super::framing::members;
use crate::http::head::{Field, Name};

/// How many fields a message may nominate. Each is looked for among all fields, so there must be a bound.
const MAX_NOMINATED: usize = 32;

/// The options of all `Connection` fields of a message.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Options {
    /// `close`
    pub close: bool,
    /// `keep-alive`
    pub keep_alive: bool,
    /// `upgrade`
    pub upgrade: bool,
    /// How many options are names of fields.
    nominated: usize,
}

impl Options {
    /// Adds the options of one field.
    pub fn add(&mut self, value: &[u8]) {
        match Known::of(value) {
            Known::No => members(value).for_each(|option| self.set(Known::of(option))),
            only => self.set(only),
        }
    }

    fn set(&mut self, option: Known) {
        match option {
            Known::Close => self.close = true,
            Known::KeepAlive => self.keep_alive = true,
            Known::Upgrade => self.upgrade = true,
            Known::Te => {}
            Known::No => self.nominated += 1,
        }
    }

    /// Marks the fields that the options name, so that they end here. An error if too many are named.
    pub fn strike(self, fields: &mut [Field], text: &[u8]) -> Result<(), TooManyOptions> {
        match self.nominated {
            0 => Ok(()),
            1..=MAX_NOMINATED => {
                strike(fields, text);
                Ok(())
            }
            _ => Err(TooManyOptions),
        }
    }
}

/// More than [`MAX_NOMINATED`] fields were named.
#[derive(Debug)]
pub(super) struct TooManyOptions;

#[cold]
fn strike(fields: &mut [Field], text: &[u8]) {
    for at in 0..fields.len() {
        if fields[at].kind != Name::Connection {
            continue;
        }
        for option in members(fields[at].value.of(text)).filter(|option| Known::of(option) == Known::No) {
            for field in fields.iter_mut() {
                if field.kind.can_be_nominated() && field.name.of(text).eq_ignore_ascii_case(option) {
                    field.kind = Name::Nominated;
                }
            }
        }
    }
}

/// Options that are not the name of a field, or the name of one with a rule of its own.
#[derive(PartialEq, Eq)]
enum Known {
    Close,
    KeepAlive,
    Upgrade,
    Te,
    No,
}

impl Known {
    fn of(option: &[u8]) -> Known {
        match option.len() {
            2 if option.eq_ignore_ascii_case(b"te") => Known::Te,
            5 if option.eq_ignore_ascii_case(b"close") => Known::Close,
            7 if option.eq_ignore_ascii_case(b"upgrade") => Known::Upgrade,
            10 if option.eq_ignore_ascii_case(b"keep-alive") => Known::KeepAlive,
            _ => Known::No,
        }
    }
}
