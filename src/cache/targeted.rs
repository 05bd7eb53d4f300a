//! CDN-Cache-Control (RFC 9213): directives for caches in front of an origin, as a structured field (RFC 9651). A field that is
//! not well-formed, that is empty, or that gives seconds as anything but an integer is as if it were not there.

use super::control::{ALWAYS, ResponseDirectives};
use sfv::visitor::{DictionaryVisitor, EntryVisitor, Ignored, InnerListVisitor, ItemVisitor};
use sfv::{BareItemFromInput, KeyRef, Parser};
use std::convert::Infallible;

/// What the lines of one CDN-Cache-Control say together, joined by commas. `None`: the field is to be ignored.
pub(super) fn parse(field: &[u8]) -> Option<ResponseDirectives> {
    Parser::new(field).parse_dictionary_with_visitor(Reading::default()).ok().flatten()
}

/// The directives that count, in the order of [`Reading::values`].
const KNOWN: [&str; 13] = [
    "max-age",
    "s-maxage",
    "stale-while-revalidate",
    "stale-if-error",
    "no-store",
    "no-cache",
    "private",
    "public",
    "must-revalidate",
    "proxy-revalidate",
    "must-understand",
    "no-transform",
    "immutable",
];

/// The last value of each directive: of a key that comes more than once the last counts (RFC 9651 §3.2).
#[derive(Default)]
struct Reading {
    any: bool,
    values: [Option<Value>; KNOWN.len()],
    /// Where the values of other directives go.
    other: Option<Value>,
}

#[derive(Clone, Copy)]
enum Value {
    Seconds(i64),
    Flag(bool),
    Other,
}

impl<'de> DictionaryVisitor<'de> for Reading {
    type Out = Option<ResponseDirectives>;
    type Error = Infallible;

    fn entry(&mut self, key: &'de KeyRef) -> Result<impl EntryVisitor<'de>, Infallible> {
        self.any = true;
        Ok(Slot(match KNOWN.iter().position(|known| *known == key.as_str()) {
            Some(at) => &mut self.values[at],
            None => &mut self.other,
        }))
    }

    fn finish(self) -> Result<Self::Out, Infallible> {
        Ok(self.said())
    }
}

impl Reading {
    fn said(&self) -> Option<ResponseDirectives> {
        let seconds = |at: usize| match self.values[at] {
            None => Some(None),
            Some(Value::Seconds(seconds)) => Some(Some(u32::try_from(seconds.max(0)).unwrap_or(ALWAYS).min(ALWAYS))),
            Some(_) => None,
        };
        // A list of field names restricts all of the answer: we could not tell who else reads it so.
        let flag = |at: usize| self.values[at].is_some_and(|value| !matches!(value, Value::Flag(false)));
        let said = ResponseDirectives {
            max_age: seconds(0)?,
            s_maxage: seconds(1)?,
            stale_while_revalidate: seconds(2)?,
            stale_if_error: seconds(3)?,
            no_store: flag(4),
            no_cache: flag(5),
            private: flag(6),
            public: flag(7),
            must_revalidate: flag(8),
            proxy_revalidate: flag(9),
            must_understand: flag(10),
            no_transform: flag(11),
            immutable: flag(12),
            ..ResponseDirectives::default()
        };
        self.any.then_some(said)
    }
}

struct Slot<'r>(&'r mut Option<Value>);

impl<'de> EntryVisitor<'de> for Slot<'_> {
    type Error = Infallible;

    fn item(self) -> Result<impl ItemVisitor<'de>, Infallible> {
        Ok(move |item: BareItemFromInput<'de>| {
            *self.0 = Some(match item {
                BareItemFromInput::Integer(seconds) => Value::Seconds(i64::from(seconds)),
                BareItemFromInput::Boolean(flag) => Value::Flag(flag),
                _ => Value::Other,
            });
            Ok::<_, Infallible>(Ignored)
        })
    }

    fn inner_list(self) -> Result<impl InnerListVisitor<'de>, Infallible> {
        *self.0 = Some(Value::Other);
        Ok(Ignored)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn max_age(field: &str) -> Option<Option<u32>> {
        parse(field.as_bytes()).map(|said| said.max_age)
    }

    #[test]
    fn directives_are_read() {
        let said =
            parse(b"max-age=3600, foobar, stale-while-revalidate=5, no-cache, public;x=1, immutable=?1, private=?0");
        let wanted = ResponseDirectives {
            max_age: Some(3600),
            stale_while_revalidate: Some(5),
            no_cache: true,
            public: true,
            immutable: true,
            ..ResponseDirectives::default()
        };
        assert_eq!(said, Some(wanted));
    }

    #[test]
    fn seconds_are_held_within_bounds() {
        assert_eq!(max_age("max-age=2147483648"), Some(Some(ALWAYS)));
        assert_eq!(max_age("max-age=99999999999"), Some(Some(ALWAYS)));
        assert_eq!(max_age("max-age=-1"), Some(Some(0)));
        assert_eq!(max_age("max-age=1, max-age=9"), Some(Some(9)), "the last counts");
    }

    #[test]
    fn a_field_that_is_not_right_is_none() {
        for field in [
            "",
            "max-age=10000, &&&&&",
            "max-age=\"10000\"",
            "max-age=1.5",
            "max-age",
            "max-age=?1",
            "max-age =100",
            "max-age= 100",
            "MaX-aGe=3600",
            "max-age=9999999999999999",
            "max-age=1,",
            "s-maxage=(1 2)",
            "no-store, stale-if-error=x",
        ] {
            assert_eq!(parse(field.as_bytes()), None, "{field}");
        }
    }

    #[test]
    fn a_list_of_fields_restricts_all_of_the_answer() {
        assert!(parse(b"private=\"a\"").is_some_and(|said| said.private));
        assert!(parse(b"no-cache=(\"a\")").is_some_and(|said| said.no_cache));
    }
}
