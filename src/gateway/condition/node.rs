//! A condition as it is asked: names are resolved, patterns and address ranges compiled, kinds known where they can be.

use super::facts::{Named, Text};
use super::syntax::Binary;
use crate::gateway::Ranges;
use regex::bytes::Regex;

#[derive(Debug)]
pub(super) enum Node {
    Null,
    Bool(bool),
    Int(i64),
    Double(f64),
    Constant(Box<[u8]>),
    List(Box<[Node]>),
    Text(Text),
    Size,
    Client,
    Secure,
    Certificate,
    Groups,
    Claims,
    /// The item that a macro has come to, by how many macros it is in.
    Item(usize),
    /// A value by a name that is written down, or by one that is made.
    Named(Named, Box<[u8]>),
    NamedBy(Named, Box<Node>),
    Has(Presence),
    And(Box<[Node]>),
    Or(Box<[Node]>),
    Not(Box<Node>),
    Minus(Box<Node>),
    Choice(Box<[Node; 3]>),
    Binary(Binary, Box<[Node; 2]>),
    /// Whether a text is one of these.
    OneOf(Box<Node>, Box<[Box<[u8]>]>),
    Index(Box<[Node; 2]>),
    /// A member of an object of a token.
    Member(Box<Node>, Box<str>),
    Matches(Box<Node>, Regex),
    /// Whether the client is within ranges, or the address that a text is.
    ClientWithin(Ranges),
    Within(Box<Node>, Ranges),
    TextCall(TextCall, Box<[Node; 2]>),
    Call(Call, Box<Node>),
    /// A macro over the items of a list, or the names of a map.
    Each(Each, Range, Box<Node>),
}

/// Whether something is there.
#[derive(Debug)]
pub(super) enum Presence {
    Text(Text),
    Size,
    Claims,
    Named(Named, Box<[u8]>),
    NamedBy(Named, Box<Node>),
    Member(Box<Node>, Box<str>),
}

/// What a macro goes through.
#[derive(Debug)]
pub(super) enum Range {
    List(Box<Node>),
    Names(Named),
}

/// Functions of two texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TextCall {
    StartsWith,
    EndsWith,
    Contains,
}

/// Functions of one value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    Size,
    Lower,
    Upper,
    Trim,
    Int,
    Double,
    String,
    Bool,
}

/// Macros.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Each {
    All,
    Exists,
    ExistsOne,
    Filter,
    Map,
}
