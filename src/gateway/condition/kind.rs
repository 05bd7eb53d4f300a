//! The kinds of values, as far as they are known before a request comes.

use std::fmt;

/// A kind of value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Null,
    Bool,
    Int,
    Double,
    Text,
    List(Box<Kind>),
    /// Known when a request comes.
    Any,
}

impl Kind {
    pub(super) fn is_number(&self) -> bool {
        matches!(self, Self::Int | Self::Double | Self::Any)
    }

    pub(super) fn may_be(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Any, _) | (_, Self::Any) => true,
            (Self::List(one), Self::List(two)) => one.may_be(two),
            _ => self == other,
        }
    }

    /// Whether the two may be equal.
    pub(super) fn compares_with(&self, other: &Self) -> bool {
        self.may_be(other) || self.is_number() && other.is_number()
    }

    /// Whether `<` may stand between the two.
    pub(super) fn is_ordered_with(&self, other: &Self) -> bool {
        self.compares_with(other) && ![self, other].iter().any(|kind| matches!(kind, Self::Null | Self::List(_)))
    }

    /// The kind that both are of.
    pub(super) fn joined(self, other: Self) -> Self {
        match (self, other) {
            (one, two) if one == two => one,
            (Self::List(one), Self::List(two)) => Self::List(Box::new(one.joined(*two))),
            _ => Self::Any,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Null => "null",
            Self::Bool => "a bool",
            Self::Int => "an int",
            Self::Double => "a double",
            Self::Text => "a text",
            Self::List(_) => "a list",
            Self::Any => "any value",
        })
    }
}
