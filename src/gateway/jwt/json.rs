//! JSON that all readers read alike: no object has two members of one name (RFC 8725 §2.4, RFC 7515 §10.12), nothing follows the
//! value. Its depth is bounded by serde_json (128), what it takes by the length of the text.

use super::Denial;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use std::cell::Cell;
use std::fmt;

/// The one object that `text` is.
pub(super) fn object(text: &[u8]) -> Result<Map<String, Value>, Denial> {
    let twice = Cell::new(false);
    let mut reader = serde_json::Deserializer::from_slice(text);
    let value = Strict { twice: &twice }.deserialize(&mut reader).and_then(|value| reader.end().map(|()| value));
    match value {
        Ok(Value::Object(members)) => Ok(members),
        Err(_) if twice.get() => Err(Denial::DuplicateMember),
        _ => Err(Denial::Malformed),
    }
}

#[derive(Clone, Copy)]
struct Strict<'a> {
    /// Set where a name stands twice.
    twice: &'a Cell<bool>,
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Value, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("no number"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut all = Vec::new();
        while let Some(value) = access.next_element_seed(self)? {
            all.push(value);
        }
        Ok(Value::Array(all))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut members = Map::new();
        while let Some(name) = access.next_key::<String>()? {
            if members.contains_key(&name) {
                self.twice.set(true);
                return Err(A::Error::custom("a member twice"));
            }
            let value = access.next_value_seed(self)?;
            members.insert(name, value);
        }
        Ok(Value::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_read_as_serde_json_reads_it() {
        for text in [
            "{}",
            r#"{"a":1,"b":-2,"c":1.5,"d":1e3,"e":"x\n\u00e9","f":[true,false,null,[],{}],"g":{"a":{"a":18446744073709551615}}}"#,
            " {\"a\" :\r\n\t1 } ",
        ] {
            let read = object(text.as_bytes()).unwrap();
            assert_eq!(Value::Object(read), serde_json::from_str::<Value>(text).unwrap(), "{text}");
        }
    }

    #[test]
    fn a_name_stands_once_at_any_depth_and_in_any_spelling() {
        for text in [r#"{"a":1,"a":1}"#, r#"{"a":1,"b":2,"\u0061":1}"#, r#"{"x":[{"y":{"a":1,"a":2}}]}"#] {
            assert_eq!(object(text.as_bytes()), Err(Denial::DuplicateMember), "{text}");
        }
        assert!(object(br#"{"a":{"a":1},"A":[{"a":1},{"a":1}]}"#).is_ok());
    }

    #[test]
    fn what_is_no_object_and_nothing_else_is_malformed() {
        let deep = "[".repeat(100_000);
        let nested = format!("{{\"a\":{}{}}}", "[".repeat(200), "]".repeat(200));
        for text in [
            "",
            " ",
            "{",
            "[]",
            "1",
            "null",
            "\"{}\"",
            "{}{}",
            "{} x",
            "{}\0",
            "\u{feff}{}",
            "{a:1}",
            "{\"a\":1e999}",
            "{\"a\":01}",
        ]
        .into_iter()
        .chain([&*deep, &*nested])
        {
            assert_eq!(object(text.as_bytes()), Err(Denial::Malformed), "{text:.40}");
        }
        assert_eq!(object(b"{\"a\":\"\xff\"}"), Err(Denial::Malformed));
        assert_eq!(object(b"{\"a\":\"\n\"}"), Err(Denial::Malformed));
    }
}
