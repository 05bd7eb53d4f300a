//! JSON that all who read it read alike, within bounds.
//!
//! What always holds: an object has each name once, a number is one that a double holds, a text is UTF-8; what goes deeper, or has more
//! members, than the bounds say is given up where it does.

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use std::cell::Cell;
use std::fmt;

/// How large what is read may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Levels of objects and arrays; at most 100.
    pub depth: usize,
    /// Members of all objects and items of all arrays together.
    pub members: usize,
}

/// Why something is not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is no JSON text.
    Syntax,
    /// It is no UTF-8.
    Utf8,
    /// It goes too deep.
    Depth,
    /// It has too many members.
    Members,
    /// A name stands twice in an object.
    Duplicate,
    /// A number is larger than any that is read.
    Number,
}

impl Fault {
    /// It in a word, for logs.
    pub fn word(self) -> &'static str {
        match self {
            Self::Syntax => "bad-json",
            Self::Utf8 => "json-utf8",
            Self::Depth => "json-depth",
            Self::Members => "json-members",
            Self::Duplicate => "json-duplicate",
            Self::Number => "json-number",
        }
    }

    /// It for the client.
    pub fn detail(self) -> &'static str {
        match self {
            Self::Syntax => "it is not valid JSON",
            Self::Utf8 => "it is not valid UTF-8",
            Self::Depth => "it is nested too deep",
            Self::Members => "it has too many members",
            Self::Duplicate => "a name stands twice in one object",
            Self::Number => "a number in it is out of range",
        }
    }
}

/// Reads one JSON text.
///
/// # Errors
/// Why it is not read, and where: line and column, or nothing where that is not known.
pub(super) fn read(text: &[u8], bounds: Bounds) -> Result<Value, (Fault, Option<(usize, usize)>)> {
    let text = std::str::from_utf8(text).map_err(|_| (Fault::Utf8, None))?;
    let left = Left { members: Cell::new(bounds.members), fault: Cell::new(None) };
    let mut reader = serde_json::Deserializer::from_str(text);
    let read = Seed { left: &left, depth: bounds.depth }.deserialize(&mut reader);
    read.and_then(|value| reader.end().map(|()| value)).map_err(|error| {
        let fault = left.fault.get().unwrap_or_else(|| match error.to_string() {
            text if text.starts_with("number out of range") => Fault::Number,
            text if text.starts_with("recursion limit") => Fault::Depth,
            _ => Fault::Syntax,
        });
        (fault, Some((error.line(), error.column())))
    })
}

struct Left {
    members: Cell<usize>,
    fault: Cell<Option<Fault>>,
}

impl Left {
    fn fail<E: serde::de::Error>(&self, fault: Fault) -> E {
        self.fault.set(Some(fault));
        E::custom(fault.word())
    }

    fn one_more<E: serde::de::Error>(&self) -> Result<(), E> {
        match self.members.get().checked_sub(1) {
            Some(left) => {
                self.members.set(left);
                Ok(())
            }
            None => Err(self.fail(Fault::Members)),
        }
    }
}

#[derive(Clone, Copy)]
struct Seed<'l> {
    left: &'l Left,
    depth: usize,
}

impl Seed<'_> {
    fn deeper<E: serde::de::Error>(self) -> Result<Self, E> {
        let depth = self.depth.checked_sub(1).ok_or_else(|| self.left.fail(Fault::Depth))?;
        Ok(Self { depth, ..self })
    }
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Value, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| self.left.fail(Fault::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(inner)? {
            self.left.one_more()?;
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut map = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            self.left.one_more()?;
            let value = members.next_value_seed(inner)?;
            if map.insert(name, value).is_some() {
                return Err(self.left.fail(Fault::Duplicate));
            }
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds { depth: 4, members: 6 };

    fn fault(text: &[u8]) -> Option<Fault> {
        read(text, BOUNDS).err().map(|(fault, _)| fault)
    }

    #[test]
    fn what_readers_could_disagree_on_is_not_read() {
        for (text, expected) in [
            (&b"{\"a\":1,\"b\":[true,null,\"x\"]}"[..], None),
            (b" 1 ", None),
            (b"", Some(Fault::Syntax)),
            (b"{\"a\":1} x", Some(Fault::Syntax)),
            (b"{\"a\":1,}", Some(Fault::Syntax)),
            (b"\xef\xbb\xbf1", Some(Fault::Syntax)),
            (b"NaN", Some(Fault::Syntax)),
            (b"\"\xff\"", Some(Fault::Utf8)),
            (b"\"\xc0\xaf\"", Some(Fault::Utf8)),
            (b"\"\\ud800\"", Some(Fault::Syntax)),
            (b"{\"a\":1,\"a\":1}", Some(Fault::Duplicate)),
            (b"{\"a\":1,\"\\u0061\":1}", Some(Fault::Duplicate)),
            (b"1e400", Some(Fault::Number)),
            (b"-1e400", Some(Fault::Number)),
            (b"[[[[1]]]]", None),
            (b"[[[[[1]]]]]", Some(Fault::Depth)),
            (b"[1,2,3,4,5,6]", None),
            (b"[1,2,3,4,5,6,7]", Some(Fault::Members)),
        ] {
            assert_eq!(fault(text), expected, "{}", text.escape_ascii());
        }
    }

    #[test]
    fn a_long_number_takes_no_longer_than_it_is_long() {
        let digits = "9".repeat(1 << 20);
        assert_eq!(fault(digits.as_bytes()), Some(Fault::Number));
        assert_eq!(fault(format!("0.{digits}").as_bytes()), None);
    }

    #[test]
    fn what_goes_deeper_than_any_stack_ends_at_the_bound() {
        let deep = Bounds { depth: 100, members: 1 << 20 };
        let text = "[".repeat(1 << 20);
        assert_eq!(read(text.as_bytes(), deep).err().map(|(fault, _)| fault), Some(Fault::Depth));
    }
}
