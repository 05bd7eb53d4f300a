//! What parts of a condition come to, and how that is compared.

use super::Error;
use serde_json::Value as Json;
use std::borrow::Cow;
use std::cmp::Ordering;
use std::rc::Rc;

/// What a part of a condition comes to. Texts are bytes, as clients send them.
#[derive(Clone, Debug)]
pub(super) enum Value<'v> {
    Null,
    Bool(bool),
    Int(i64),
    Double(f64),
    Text(Cow<'v, [u8]>),
    List(Rc<[Value<'v>]>),
    Groups(&'v [Box<str>]),
    /// An array of a token's claims.
    Array(&'v [Json]),
    /// An object of them.
    Object(&'v serde_json::Map<String, Json>),
}

impl<'v> Value<'v> {
    pub(super) fn text(text: &'v str) -> Self {
        Self::Text(Cow::Borrowed(text.as_bytes()))
    }

    /// What stands in a token.
    pub(super) fn json(json: &'v Json) -> Self {
        match json {
            Json::Null => Self::Null,
            Json::Bool(is) => Self::Bool(*is),
            Json::Number(number) => match (number.as_i64(), number.as_f64()) {
                (Some(whole), _) => Self::Int(whole),
                (None, Some(number)) => Self::Double(number),
                _ => Self::Null,
            },
            Json::String(text) => Self::text(text),
            Json::Array(items) => Self::Array(items),
            Json::Object(members) => Self::Object(members),
        }
    }

    pub(super) fn into_bool(self) -> Result<bool, Error> {
        match self {
            Self::Bool(is) => Ok(is),
            _ => Err(Error::Kind("a bool")),
        }
    }

    pub(super) fn into_text(self) -> Result<Cow<'v, [u8]>, Error> {
        match self {
            Self::Text(text) => Ok(text),
            _ => Err(Error::Kind("a text")),
        }
    }

    /// How many items a list has.
    pub(super) fn length(&self) -> Result<usize, Error> {
        match self {
            Self::List(items) => Ok(items.len()),
            Self::Groups(items) => Ok(items.len()),
            Self::Array(items) => Ok(items.len()),
            _ => Err(Error::Kind("a list")),
        }
    }

    /// An item of a list.
    pub(super) fn item(&self, place: usize) -> Option<Self> {
        match self {
            Self::List(items) => items.get(place).cloned(),
            Self::Groups(items) => items.get(place).map(|group| Self::text(group)),
            Self::Array(items) => items.get(place).map(Self::json),
            _ => None,
        }
    }

    /// As CEL's `==` has it: numbers by what they are worth, and what is of two kinds differs.
    pub(super) fn equals(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Bool(one), Self::Bool(two)) => one == two,
            (Self::Text(one), Self::Text(two)) => one == two,
            (Self::Object(one), Self::Object(two)) => one == two,
            _ => match (self.length(), other.length()) {
                (Ok(one), Ok(two)) => {
                    one == two
                        && (0..one).all(|place| match (self.item(place), other.item(place)) {
                            (Some(one), Some(two)) => one.equals(&two),
                            _ => false,
                        })
                }
                _ => self.against(other) == Some(Ordering::Equal),
            },
        }
    }

    /// How it stands to another one; `None`: the two have no order, or one is no number.
    pub(super) fn against(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Bool(one), Self::Bool(two)) => Some(one.cmp(two)),
            (Self::Text(one), Self::Text(two)) => Some(one.cmp(two)),
            (Self::Int(one), Self::Int(two)) => Some(one.cmp(two)),
            (Self::Double(one), Self::Double(two)) => one.partial_cmp(two),
            (Self::Int(one), Self::Double(two)) => whole_against(*one, *two),
            (Self::Double(one), Self::Int(two)) => whole_against(*two, *one).map(Ordering::reverse),
            _ => None,
        }
    }

    /// Whether `<` and the like may be asked.
    pub(super) fn is_ordered_with(&self, other: &Self) -> bool {
        let rank = |value: &Self| match value {
            Self::Bool(_) => 1,
            Self::Int(_) | Self::Double(_) => 2,
            Self::Text(_) => 3,
            _ => 0,
        };
        rank(self) != 0 && rank(self) == rank(other)
    }
}

/// How a whole number stands to another, without the digits that a double loses.
fn whole_against(one: i64, two: f64) -> Option<Ordering> {
    const BEYOND: f64 = 9_223_372_036_854_775_808.0;
    match two {
        _ if two.is_nan() => None,
        _ if two >= BEYOND => Some(Ordering::Less),
        _ if two < -BEYOND => Some(Ordering::Greater),
        _ => {
            let whole = one.cmp(&(two.trunc() as i64));
            Some(whole.then(if two.fract() > 0.0 {
                Ordering::Less
            } else if two.fract() < 0.0 {
                Ordering::Greater
            } else {
                Ordering::Equal
            }))
        }
    }
}
