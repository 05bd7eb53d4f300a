//! Media types that routes are chosen by: which of them a client names in `Accept`, and which one a body has.
//!
//! What always holds: a range such as `*/*` names no type, so that who takes anything gets the route without one; a type with weight 0 is
//! not accepted (RFC 9110 §12.4.2, §12.5.1). Names and parameters are compared without their case (§8.3.1). Nothing is allocated.

use crate::compress::weight;
use std::fmt;

/// A media type with its parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Media {
    essence: Box<[u8]>,
    /// In order, each once.
    parameters: Box<[Parameter]>,
    text: Box<str>,
}

/// A name and a value, in lower case.
type Parameter = (Box<[u8]>, Box<[u8]>);

/// Types of which one must be named, and those that other routes name for the same.
#[derive(Clone, Debug, Default)]
pub struct Accepts {
    /// Its own.
    pub types: Vec<Media>,
    /// Those of other routes: of all the client must want none more.
    pub rivals: Vec<Media>,
}

/// The parameter that says how text is written.
const CHARSET: &[u8] = b"charset";

/// The weight of what has none (RFC 9110 §12.4.2).
const WHOLE: u16 = 1000;

impl Media {
    /// Reads one as a configuration names it.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn compile(text: &str) -> Result<Self, String> {
        let mut parts = parts(text.as_bytes(), b';').map(<[u8]>::trim_ascii);
        let essence = parts.next().unwrap_or_default().to_ascii_lowercase();
        if essence.contains(&b'*') {
            return Err(format!("`{text}` is a range of types"));
        }
        let mut parameters: Vec<Parameter> = Vec::new();
        for part in parts {
            let (name, value) = parameter(part).ok_or_else(|| format!("`{text}` has a parameter without a value"))?;
            if name.eq_ignore_ascii_case(b"q") {
                return Err(format!("`{text}` has a weight, which is the client's to say"));
            }
            let value: Vec<u8> = unquoted(value).map(|byte| byte.to_ascii_lowercase()).collect();
            parameters.push((name.to_ascii_lowercase().into(), value.into()));
        }
        parameters.sort_unstable();
        parameters.dedup();
        Ok(Self { essence: essence.into(), parameters: parameters.into(), text: text.into() })
    }

    /// How much a client wants this type by what it has written of one, in thousandths; `None`: that is another type.
    fn weight(&self, written: &[u8]) -> Option<u16> {
        let mut written = parts(written, b';').map(<[u8]>::trim_ascii);
        if !written.next()?.eq_ignore_ascii_case(&self.essence) {
            return None;
        }
        let written = written.filter(|part| !part.is_empty());
        let mut weighs = WHOLE;
        for part in written.clone() {
            if let Some(said) = weight(part) {
                weighs = said;
                continue;
            }
            let (name, value) = parameter(part)?;
            match self.parameters.iter().find(|(wanted, _)| wanted.eq_ignore_ascii_case(name)) {
                Some((_, wanted)) => {
                    let is_same = unquoted(value).map(|byte| byte.to_ascii_lowercase()).eq(wanted.iter().copied());
                    if !is_same {
                        return None;
                    }
                }
                // It says how text is written and not which.
                None if name.eq_ignore_ascii_case(CHARSET) => {}
                None => return None,
            }
        }
        // What was said of one may have been said twice, and of another not at all.
        let is_named = |wanted: &[u8]| {
            written.clone().any(|part| parameter(part).is_some_and(|(name, _)| name.eq_ignore_ascii_case(wanted)))
        };
        self.parameters.iter().all(|(wanted, _)| is_named(wanted)).then_some(weighs)
    }

    /// Whether another is the same type.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.essence == other.essence && self.parameters == other.parameters
    }

    /// Whether something may be of both types: the charset says how text is written to who does not ask for it.
    pub(super) fn meets(&self, other: &Self) -> bool {
        let says_charset = |media: &Self| media.parameters.iter().any(|(name, _)| **name == *CHARSET);
        let both = says_charset(self) && says_charset(other);
        let wanted = |(name, _): &&Parameter| both || **name != *CHARSET;
        self.essence == other.essence
            && self.parameters.iter().filter(wanted).eq(other.parameters.iter().filter(wanted))
    }

    /// Whether a body of a type that is written so has it.
    pub fn is(&self, written: &[u8]) -> bool {
        self.weight(written).is_some()
    }
}

impl fmt::Display for Media {
    /// As a configuration has it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Accepts {
    /// Whether a client wants one of the types, and none of the others more. `lines` are the values of all fields `Accept`.
    pub fn hold<'a>(&self, lines: impl Iterator<Item = &'a [u8]>) -> bool {
        let (mut own, mut others) = (0, 0);
        for member in lines.flat_map(|line| parts(line, b',')) {
            own = best(&self.types, member).max(own);
            others = best(&self.rivals, member).max(others);
        }
        own > 0 && own >= others
    }
}

fn best(types: &[Media], member: &[u8]) -> u16 {
    types.iter().filter_map(|media| media.weight(member.trim_ascii())).max().unwrap_or(0)
}

fn parameter(part: &[u8]) -> Option<(&[u8], &[u8])> {
    let middle = memchr::memchr(b'=', part).filter(|&middle| middle > 0 && middle + 1 < part.len())?;
    Some((part.get(..middle)?, part.get(middle + 1..)?))
}

/// A value without the quotes that it may have (RFC 9110 §5.6.4).
fn unquoted(value: &[u8]) -> impl Iterator<Item = u8> {
    let inner = value.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\""));
    let mut escaped = false;
    inner.unwrap_or(value).iter().copied().filter(move |&byte| {
        let starts = inner.is_some() && byte == b'\\' && !escaped;
        escaped = starts;
        !starts
    })
}

/// What stands between signs that are in no quotes.
fn parts(text: &[u8], sign: u8) -> impl Iterator<Item = &[u8]> + Clone {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let (mut quoted, mut escaped) = (false, false);
        let end = text.iter().position(|&byte| {
            let ends = byte == sign && !quoted;
            match byte {
                _ if escaped => escaped = false,
                b'\\' if quoted => escaped = true,
                b'"' => quoted = !quoted,
                _ => {}
            }
            ends
        });
        rest = end.and_then(|end| text.get(end + 1..));
        Some(end.and_then(|end| text.get(..end)).unwrap_or(text))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn media(text: &str) -> Media {
        Media::compile(text).unwrap()
    }

    #[test]
    fn a_type_is_named_whatever_its_case_and_the_order_of_its_parameters() {
        let wanted = media("application/JSON; version=2;Profile=\"a b;c\"");
        for (written, weight) in [
            ("application/json;version=2;profile=\"a b;c\"", Some(1000)),
            ("Application/Json ; PROFILE=\"A B;\\c\" ; Version=\"2\";q=0.5", Some(500)),
            ("application/json;version=2;profile=\"a b;c\";charset=utf-8;q=0", Some(0)),
            ("application/json;version=2", None),
            ("application/json;version=3;profile=\"a b;c\"", None),
            ("application/json;version=2;profile=\"a b;c\";more=1", None),
            ("application/json", None),
            ("*/*", None),
            ("application/*", None),
            ("", None),
            ("application/json;version", None),
        ] {
            assert_eq!(wanted.weight(written.as_bytes()), weight, "{written}");
        }
        assert!(!media("application/json").is(b"application/json;version=2"), "another version is another type");
    }

    #[test]
    fn each_parameter_that_is_wanted_has_to_be_there_however_often_another_is() {
        let wanted = media("a/b;v=2;p=1");
        for (written, is) in
            [("a/b;v=2;v=2", false), ("a/b;p=1;v=2", true), ("a/b;v=2;p=1;v=2", true), ("a/b;v=2;v=3;p=1", false)]
        {
            assert_eq!(wanted.is(written.as_bytes()), is, "{written}");
        }
    }

    #[test]
    fn types_are_the_same_or_meet_in_whatever_order_they_are_looked_at() {
        for (one, two, same, meet) in [
            ("a/b;v=2;p=1", "A/B; p=1; V=\"2\"", true, true),
            ("a/b", "a/b;charset=utf-8", false, true),
            ("a/b;v=1", "a/b;charset=utf-8", false, false),
            ("a/b;charset=x", "a/b;charset=utf-8", false, false),
            ("a/b", "a/c", false, false),
            ("a/b", "a/b;v=1", false, false),
        ] {
            for (one, two) in [(media(one), media(two)), (media(two), media(one))] {
                assert_eq!((one.is_same(&two), one.meets(&two)), (same, meet), "{one} {two}");
            }
        }
    }

    #[test]
    fn of_several_types_that_routes_have_the_one_counts_that_the_client_wants_most() {
        let accepts = Accepts { types: vec![media("a/v2")], rivals: vec![media("a/v1"), media("a/v3")] };
        for (lines, holds) in [
            (&["a/v2"][..], true),
            (&["text/html, a/v2;q=0.2, */*;q=0.1"], true),
            (&["a/v1;q=0.5", "a/v2"], true),
            (&["a/v1, a/v2;q=0.9"], false),
            (&["a/v1, a/v2"], true),
            (&["a/v2;q=0"], false),
            (&["a/v2;q=zero"], false),
            (&["*/*"], false),
            (&["x/y;z=\"a/v2, a/v2\""], false),
            (&[], false),
        ] {
            assert_eq!(accepts.hold(lines.iter().map(|line| line.as_bytes())), holds, "{lines:?}");
        }
    }

    #[test]
    fn what_is_no_type_of_its_own_is_a_fault() {
        for (text, what) in [("*/*", "range"), ("text/*", "range"), ("a/b;q=1", "weight"), ("a/b;c", "without a value")]
        {
            assert!(Media::compile(text).unwrap_err().contains(what), "{text}");
        }
    }

    #[test]
    fn no_text_makes_it_panic() {
        let (mut random, wanted) = (fastrand::Rng::with_seed(5), media("a/b;c=\"d\\\"e\""));
        let alphabet = b"a/b;c=\"d\\e, *q0.1";
        for _ in 0..20_000 {
            let text: Vec<u8> = (0..random.usize(0..16)).map(|_| alphabet[random.usize(0..alphabet.len())]).collect();
            let _ = (wanted.weight(&text), Media::compile(&String::from_utf8_lossy(&text)));
        }
    }
}
