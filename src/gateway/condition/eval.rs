//! Asking a condition.
//!
//! What always holds: no request makes it take more than [`STEPS`], each of which is short; nothing panics, whatever numbers and texts
//! there are. As CEL has it, what is wrong on one side of `&&` or `||` does not count where the other side decides.

use super::facts::{Facts, Named};
use super::node::{Call, Each, Node, Presence, Range, TextCall};
use super::syntax::Binary;
use super::value::Value;
use super::{Error, Text};
use smallvec::SmallVec;
use std::borrow::Cow;
use std::cmp::Ordering;
use std::net::IpAddr;

/// What a condition may take: a step for each of its parts that is looked at, and for every 64 bytes that are made or searched.
pub(super) const STEPS: u32 = 20_000;

/// One asking.
pub(super) struct Asking<'v> {
    facts: &'v dyn Facts,
    items: SmallVec<[Value<'v>; 2]>,
    left: u32,
}

type Came<'v> = Result<Value<'v>, Error>;

impl<'v> Asking<'v> {
    pub(super) fn new(facts: &'v dyn Facts) -> Self {
        Self { facts, items: SmallVec::new(), left: STEPS }
    }

    fn spend(&mut self, bytes: usize) -> Result<(), Error> {
        let steps = u32::try_from(1 + bytes / 64).unwrap_or(u32::MAX);
        self.left = self.left.checked_sub(steps).ok_or(Error::TooLong)?;
        Ok(())
    }

    /// Whether a part holds.
    pub(super) fn holds(&mut self, node: &'v Node) -> Result<bool, Error> {
        match node {
            Node::And(parts) => self.decided(parts, false),
            Node::Or(parts) => self.decided(parts, true),
            Node::Not(of) => self.holds(of).map(|is| !is),
            _ => self.value(node)?.into_bool(),
        }
    }

    /// Whether any part is `wanted`, and if none is, the first error that stood in the way of knowing.
    fn decided(&mut self, parts: &'v [Node], wanted: bool) -> Result<bool, Error> {
        let mut wrong = None;
        for part in parts {
            match self.holds(part) {
                Ok(is) if is == wanted => return Ok(wanted),
                Ok(_) => {}
                Err(Error::TooLong) => return Err(Error::TooLong),
                Err(error) => wrong = wrong.or(Some(error)),
            }
        }
        wrong.map_or(Ok(!wanted), Err)
    }

    fn value(&mut self, node: &'v Node) -> Came<'v> {
        self.spend(0)?;
        Ok(match node {
            Node::Null => Value::Null,
            Node::Bool(is) => Value::Bool(*is),
            Node::Int(number) => Value::Int(*number),
            Node::Double(number) => Value::Double(*number),
            Node::Constant(text) => Value::Text(Cow::Borrowed(text)),
            Node::List(items) => Value::List(items.iter().map(|item| self.value(item)).collect::<Result<_, _>>()?),
            Node::Text(text) => Value::Text(self.facts.text(*text)),
            Node::Size => {
                let size = self.facts.size().ok_or(Error::NoSize)?;
                Value::Int(i64::try_from(size).unwrap_or(i64::MAX))
            }
            Node::Client => Value::Text(self.facts.client().to_canonical().to_string().into_bytes().into()),
            Node::Secure => Value::Bool(self.facts.is_secure()),
            Node::Certificate => Value::Bool(self.facts.has_certificate()),
            Node::Groups => Value::Groups(self.facts.groups()),
            Node::Claims => self.facts.claims().map_or(Value::Null, Value::Object),
            Node::Item(place) => self.items.get(*place).cloned().ok_or(Error::Kind("an item"))?,
            Node::Named(of, name) => Value::Text(self.facts.value(*of, name).unwrap_or_default()),
            Node::NamedBy(of, name) => {
                let name = self.name(*of, name)?;
                let found = self.facts.value(*of, &name).unwrap_or_default();
                self.spend(found.len())?;
                Value::Text(found)
            }
            Node::Has(what) => Value::Bool(self.has(what)?),
            Node::And(_) | Node::Or(_) | Node::Not(_) => Value::Bool(self.holds(node)?),
            Node::Minus(of) => match self.value(of)? {
                Value::Int(number) => Value::Int(number.checked_neg().ok_or(Error::Overflow)?),
                Value::Double(number) => Value::Double(-number),
                _ => return Err(Error::Kind("a number")),
            },
            Node::Choice(parts) => {
                let [condition, then, otherwise] = &**parts;
                return if self.holds(condition)? { self.value(then) } else { self.value(otherwise) };
            }
            Node::Binary(binary, sides) => {
                let [left, right] = &**sides;
                let (left, right) = (self.value(left)?, self.value(right)?);
                return self.binary(*binary, &left, &right);
            }
            Node::OneOf(of, known) => match self.value(of)? {
                Value::Text(text) => Value::Bool(known.iter().any(|known| **known == *text)),
                _ => Value::Bool(false),
            },
            Node::Index(parts) => {
                let [of, place] = &**parts;
                let (of, place) = (self.value(of)?, self.value(place)?);
                match (&of, place) {
                    (Value::Object(_) | Value::Null, Value::Text(name)) => {
                        let name = std::str::from_utf8(&name).unwrap_or_default();
                        return member(of, name);
                    }
                    (_, Value::Int(place)) => {
                        of.length()?;
                        let place = usize::try_from(place).map_err(|_| Error::NoItem)?;
                        of.item(place).ok_or(Error::NoItem)?
                    }
                    _ => return Err(Error::Kind("a number for an item, or a name for a member")),
                }
            }
            Node::Member(of, name) => return self.value(of).and_then(|of| member(of, name)),
            Node::Matches(of, regex) => {
                let text = self.value(of)?.into_text()?;
                self.spend(text.len())?;
                Value::Bool(regex.is_match(&text))
            }
            Node::ClientWithin(ranges) => Value::Bool(ranges.contains(self.facts.client())),
            Node::Within(of, ranges) => {
                let text = self.value(of)?.into_text()?;
                let ip = std::str::from_utf8(&text).ok().and_then(|text| text.trim().parse::<IpAddr>().ok());
                Value::Bool(ip.is_some_and(|ip| ranges.contains(ip)))
            }
            Node::TextCall(call, sides) => {
                let [left, right] = &**sides;
                let (text, other) = (self.value(left)?.into_text()?, self.value(right)?.into_text()?);
                self.spend(text.len())?;
                Value::Bool(match call {
                    TextCall::StartsWith => text.starts_with(&other),
                    TextCall::EndsWith => text.ends_with(&other),
                    TextCall::Contains => memchr::memmem::find(&text, &other).is_some(),
                })
            }
            Node::Call(call, of) => {
                let of = self.value(of)?;
                return self.call(*call, of);
            }
            Node::Each(each, range, body) => return self.each(*each, range, body),
        })
    }

    /// A name by which a value is looked up.
    fn name(&mut self, of: Named, node: &'v Node) -> Result<Cow<'v, [u8]>, Error> {
        let name = self.value(node)?.into_text()?;
        self.spend(name.len())?;
        Ok(match of {
            Named::Header => name.to_ascii_lowercase().into(),
            Named::Query | Named::Cookie => name,
        })
    }

    fn has(&mut self, what: &'v Presence) -> Result<bool, Error> {
        Ok(match what {
            Presence::Text(Text::Consumer) => !self.facts.text(Text::Consumer).is_empty(),
            Presence::Text(text) => !self.facts.text(*text).is_empty(),
            Presence::Size => self.facts.size().is_some(),
            Presence::Claims => self.facts.claims().is_some(),
            Presence::Named(of, name) => self.facts.value(*of, name).is_some(),
            Presence::NamedBy(of, name) => {
                let name = self.name(*of, name)?;
                self.facts.value(*of, &name).is_some()
            }
            Presence::Member(of, name) => match self.value(of)? {
                Value::Object(members) => members.contains_key(&**name),
                _ => false,
            },
        })
    }

    fn binary(&mut self, binary: Binary, left: &Value<'v>, right: &Value<'v>) -> Came<'v> {
        let ordered = |is: fn(Ordering) -> bool| match left.is_ordered_with(right) {
            true => Ok(Value::Bool(left.against(right).is_some_and(is))),
            false => Err(Error::Kind("two values that have an order")),
        };
        match binary {
            Binary::Equal => Ok(Value::Bool(left.equals(right))),
            Binary::Unequal => Ok(Value::Bool(!left.equals(right))),
            Binary::Less => ordered(Ordering::is_lt),
            Binary::LessOrEqual => ordered(Ordering::is_le),
            Binary::Greater => ordered(Ordering::is_gt),
            Binary::GreaterOrEqual => ordered(Ordering::is_ge),
            Binary::In => self.is_in(left, right).map(Value::Bool),
            _ => self.made(binary, left, right),
        }
    }

    fn is_in(&mut self, wanted: &Value<'v>, list: &Value<'v>) -> Result<bool, Error> {
        if let (Value::Object(members), Value::Text(name)) = (list, wanted) {
            return Ok(std::str::from_utf8(name).is_ok_and(|name| members.contains_key(name)));
        }
        for place in 0..list.length()? {
            self.spend(0)?;
            if list.item(place).is_some_and(|item| item.equals(wanted)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// What comes of arithmetic, or of two texts.
    fn made(&mut self, binary: Binary, left: &Value<'v>, right: &Value<'v>) -> Came<'v> {
        match (left, right) {
            (Value::Int(left), Value::Int(right)) => {
                if *right == 0 && matches!(binary, Binary::Divide | Binary::Remainder) {
                    return Err(Error::DivisionByZero);
                }
                let number = match binary {
                    Binary::Add => left.checked_add(*right),
                    Binary::Subtract => left.checked_sub(*right),
                    Binary::Multiply => left.checked_mul(*right),
                    Binary::Divide => left.checked_div(*right),
                    _ => left.checked_rem(*right),
                };
                number.map(Value::Int).ok_or(Error::Overflow)
            }
            (Value::Double(left), Value::Double(right)) => match binary {
                Binary::Add => Ok(Value::Double(left + right)),
                Binary::Subtract => Ok(Value::Double(left - right)),
                Binary::Multiply => Ok(Value::Double(left * right)),
                Binary::Divide => Ok(Value::Double(left / right)),
                _ => Err(Error::Kind("two whole numbers")),
            },
            (Value::Text(left), Value::Text(right)) if binary == Binary::Add => {
                self.spend(left.len() + right.len())?;
                Ok(Value::Text([&**left, &**right].concat().into()))
            }
            _ => Err(Error::Kind("two numbers of one kind")),
        }
    }

    fn call(&mut self, call: Call, of: Value<'v>) -> Came<'v> {
        if let Value::Text(text) = &of {
            self.spend(text.len())?;
        }
        let number = |text: &[u8]| std::str::from_utf8(text).ok().map(str::to_owned).ok_or(Error::Conversion);
        Ok(match (call, of) {
            (Call::Size, Value::Text(text)) => Value::Int(length(text.utf8_chunks().map(characters).sum())),
            (Call::Size, Value::Object(members)) => Value::Int(length(members.len())),
            (Call::Size, list) => Value::Int(length(list.length()?)),
            (Call::Lower, Value::Text(text)) => Value::Text(match text.iter().any(u8::is_ascii_uppercase) {
                true => text.to_ascii_lowercase().into(),
                false => text,
            }),
            (Call::Upper, Value::Text(text)) => Value::Text(text.to_ascii_uppercase().into()),
            (Call::Trim, Value::Text(text)) => Value::Text(match text {
                Cow::Borrowed(text) => Cow::Borrowed(text.trim_ascii()),
                Cow::Owned(text) => Cow::Owned(text.trim_ascii().to_vec()),
            }),
            (Call::Int, whole @ Value::Int(_)) | (Call::Double, whole @ Value::Double(_)) => whole,
            (Call::Int, Value::Double(number)) if number.abs() < 9.2e18 => Value::Int(number as i64),
            (Call::Int, Value::Double(_)) => return Err(Error::Overflow),
            (Call::Int, Value::Text(text)) => Value::Int(number(&text)?.parse().map_err(|_| Error::Conversion)?),
            (Call::Double, Value::Int(number)) => Value::Double(number as f64),
            (Call::Double, Value::Text(text)) => Value::Double(number(&text)?.parse().map_err(|_| Error::Conversion)?),
            (Call::String, text @ Value::Text(_)) => text,
            (Call::String, Value::Int(number)) => Value::Text(number.to_string().into_bytes().into()),
            (Call::String, Value::Double(number)) => Value::Text(number.to_string().into_bytes().into()),
            (Call::String, Value::Bool(is)) => Value::text(if is { "true" } else { "false" }),
            (Call::Bool, is @ Value::Bool(_)) => is,
            (Call::Bool, Value::Text(text)) => match &*text {
                b"1" | b"t" | b"true" | b"TRUE" | b"True" => Value::Bool(true),
                b"0" | b"f" | b"false" | b"FALSE" | b"False" => Value::Bool(false),
                _ => return Err(Error::Conversion),
            },
            (Call::Lower | Call::Upper | Call::Trim, _) => return Err(Error::Kind("a text")),
            (Call::Int | Call::Double | Call::String | Call::Bool, _) => return Err(Error::Conversion),
        })
    }

    fn each(&mut self, each: Each, range: &'v Range, body: &'v Node) -> Came<'v> {
        let range = match range {
            Range::List(of) => self.value(of)?,
            Range::Names(of) => {
                let mut names = Vec::new();
                self.facts.each_name(*of, &mut |name| names.push(Value::Text(name.to_vec().into())));
                Value::List(names.into())
            }
        };
        let length = range.length()?;
        let (mut found, mut wrong, mut items) = (0usize, None, Vec::new());
        for item in (0..length).filter_map(|place| range.item(place)) {
            self.spend(0)?;
            self.items.push(item);
            let said = self.value(body);
            let item = self.items.pop();
            let said = match said {
                Err(Error::TooLong) => return Err(Error::TooLong),
                Ok(value) if each == Each::Map => {
                    items.push(value);
                    continue;
                }
                said => said.and_then(Value::into_bool),
            };
            match said {
                Ok(false) if each == Each::All => return Ok(Value::Bool(false)),
                Ok(true) if each == Each::Exists => return Ok(Value::Bool(true)),
                Ok(true) => {
                    found += 1;
                    items.extend(item.filter(|_| each == Each::Filter));
                }
                Ok(false) => {}
                // As with `&&` and `||`: another item may decide.
                Err(error) if matches!(each, Each::All | Each::Exists) => wrong = wrong.or(Some(error)),
                Err(error) => return Err(error),
            }
        }
        match (each, wrong) {
            (_, Some(error)) => Err(error),
            (Each::All, None) => Ok(Value::Bool(true)),
            (Each::Exists, None) => Ok(Value::Bool(false)),
            (Each::ExistsOne, None) => Ok(Value::Bool(found == 1)),
            (Each::Filter | Each::Map, None) => Ok(Value::List(items.into())),
        }
    }
}

/// What an object of a token has under a name; nothing where there is no object.
fn member<'v>(of: Value<'v>, name: &str) -> Came<'v> {
    match of {
        Value::Object(members) => Ok(members.get(name).map_or(Value::Null, Value::json)),
        Value::Null => Ok(Value::Null),
        _ => Err(Error::Kind("a map")),
    }
}

/// Characters of a piece of text; what is no text counts as one.
fn characters(piece: std::str::Utf8Chunk<'_>) -> usize {
    piece.valid().chars().count() + usize::from(!piece.invalid().is_empty())
}

fn length(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
