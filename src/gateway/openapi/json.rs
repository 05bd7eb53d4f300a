//! JSON that all who read it read alike, within bounds.
//!
//! What always holds: an object has each name once, a number is one that a double holds, a text is UTF-8; what goes deeper, or has more
//! members, than the bounds say is given up where it does.

use super::tree::{Amiss, Tree, What};
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Number;
use std::borrow::Cow;
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
pub(super) fn read(text: &[u8], bounds: Bounds) -> Result<Tree<'_>, (Fault, Option<(usize, usize)>)> {
    let text = std::str::from_utf8(text).map_err(|_| (Fault::Utf8, None))?;
    let mut reading = Reading { tree: Tree::with_room_for(text.len()), members: bounds.members, fault: None };
    let mut reader = serde_json::Deserializer::from_str(text);
    let read = Seed { reading: &mut reading, depth: bounds.depth }.deserialize(&mut reader);
    match read.and_then(|()| reader.end()) {
        Ok(()) => Ok(reading.tree),
        Err(error) => {
            let fault = reading.fault.unwrap_or_else(|| match error.to_string() {
                text if text.starts_with("number out of range") => Fault::Number,
                text if text.starts_with("recursion limit") => Fault::Depth,
                _ => Fault::Syntax,
            });
            Err((fault, Some((error.line(), error.column()))))
        }
    }
}

/// Whether one JSON text is an object, if it is read at all.
///
/// # Errors
/// Why it is not read.
pub fn is_object(text: &[u8], bounds: Bounds) -> Result<bool, Fault> {
    let tree = read(text, bounds).map_err(|(fault, _)| fault)?;
    Ok(tree.is_object())
}

/// What has been read so far.
struct Reading<'t> {
    tree: Tree<'t>,
    /// Members that may still come.
    members: usize,
    fault: Option<Fault>,
}

impl<'t> Reading<'t> {
    fn fail<E: serde::de::Error>(&mut self, fault: Fault) -> E {
        self.fault = Some(fault);
        E::custom(fault.word())
    }

    fn one_more<E: serde::de::Error>(&mut self) -> Result<(), E> {
        self.members = self.members.checked_sub(1).ok_or_else(|| self.fail(Fault::Members))?;
        Ok(())
    }

    fn add<E: serde::de::Error>(&mut self, what: What<'t>) -> Result<u32, E> {
        self.tree.add(what).map_err(|_| self.fail(Fault::Members))
    }

    fn end<E: serde::de::Error>(&mut self, at: u32, count: u32) -> Result<(), E> {
        self.tree.end(at, count).map_err(|amiss| match amiss {
            Amiss::Twice => self.fail(Fault::Duplicate),
            Amiss::TooMany => self.fail(Fault::Members),
        })
    }
}

struct Seed<'r, 't> {
    reading: &'r mut Reading<'t>,
    depth: usize,
}

impl<'t> Seed<'_, 't> {
    /// What is read next, at the same depth.
    fn again(&mut self) -> Seed<'_, 't> {
        Seed { reading: &mut *self.reading, depth: self.depth }
    }

    fn deeper<E: serde::de::Error>(&mut self) -> Result<(), E> {
        self.depth = self.depth.checked_sub(1).ok_or_else(|| self.reading.fail(Fault::Depth))?;
        Ok(())
    }

    fn one<E: serde::de::Error>(self, what: What<'t>) -> Result<(), E> {
        self.reading.add(what).map(|_| ())
    }
}

impl<'t> DeserializeSeed<'t> for Seed<'_, 't> {
    type Value = ();

    fn deserialize<D: Deserializer<'t>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'t> Visitor<'t> for Seed<'_, 't> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<(), E> {
        self.one(What::Bool(value))
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<(), E> {
        self.one(What::Number(value.into()))
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<(), E> {
        self.one(What::Number(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<(), E> {
        let number = Number::from_f64(value).ok_or_else(|| self.reading.fail(Fault::Number))?;
        self.one(What::Number(number))
    }

    fn visit_borrowed_str<E: serde::de::Error>(self, value: &'t str) -> Result<(), E> {
        self.one(What::Text(Cow::Borrowed(value)))
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<(), E> {
        self.one(What::Text(Cow::Owned(value.to_owned())))
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<(), E> {
        self.one(What::Null)
    }

    fn visit_seq<A: SeqAccess<'t>>(mut self, mut items: A) -> Result<(), A::Error> {
        self.deeper()?;
        let at = self.reading.add(What::Array(0))?;
        let mut count = 0;
        while items.next_element_seed(self.again())?.is_some() {
            self.reading.one_more()?;
            count += 1;
        }
        self.reading.end(at, count)
    }

    fn visit_map<A: MapAccess<'t>>(mut self, mut members: A) -> Result<(), A::Error> {
        self.deeper()?;
        let at = self.reading.add(What::Object(0, None))?;
        let mut count = 0;
        while members.next_key_seed(self.again())?.is_some() {
            self.reading.one_more()?;
            members.next_value_seed(self.again())?;
            count += 1;
        }
        self.reading.end(at, count)
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
