//! Headers in conditions: those that hold lists of values, and those that rules before have written.
//!
//! May depend on conditions alone.

use super::acl::{Asks, Method};
use super::sample::Piece;
use crate::import::condition::{Cond, How, Subject, escaped};
use std::collections::BTreeMap;

/// Which of the values of a header are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Of {
    Any,
    First,
    Last,
    /// One that cannot be told apart.
    Other,
}

/// Headers that have one value, so that it is compared as a whole.
const SINGLE: [&str; 18] = [
    "authorization",
    "content-encoding",
    "content-length",
    "content-type",
    "date",
    "from",
    "if-modified-since",
    "if-unmodified-since",
    "origin",
    "range",
    "referer",
    "sec-fetch-dest",
    "sec-fetch-mode",
    "sec-fetch-site",
    "user-agent",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-proto",
];

/// Which values of a header a sample is; nothing where it is one text.
pub(super) fn list(pieces: &[Piece], subject: &Subject) -> Option<Of> {
    let Subject::Header(name) = subject else { return None };
    let fetch = pieces.first()?;
    let called = fetch.name.strip_prefix("req.").unwrap_or(&fetch.name);
    if !called.starts_with("hdr") || SINGLE.contains(&name.as_str()) {
        return None;
    }
    Some(match fetch.argument.split_once(',').map(|(_, place)| place.trim()) {
        None => Of::Any,
        Some("1") => Of::First,
        Some("-1") => Of::Last,
        Some(_) => Of::Other,
    })
}

/// Has values compared with those of a list, by a regex on the whole of it.
///
/// # Errors
/// Why that cannot be said.
pub(super) fn values(of: Of, how: How, values: &mut [String]) -> Result<How, String> {
    let (begin, end) = match of {
        Of::Any => (r"(^|,)\s*", r"\s*(,|$)"),
        Of::First => (r"^\s*", r"\s*(,|$)"),
        Of::Last => (r"(^|,)\s*", r"\s*$"),
        Of::Other => return Err("of several values the first, the last or any is compared".to_owned()),
    };
    match how {
        How::Present => return Ok(how),
        How::Contains | How::Regex if of != Of::Any => {
            return Err("of one value among several the whole, the beginning and the end are compared".to_owned());
        }
        How::Contains => return Ok(how),
        How::Regex => {
            for value in values.iter_mut().filter(|value| !value.contains('|')) {
                if let Some(rest) = value.strip_prefix('^') {
                    *value = format!("{begin}{rest}");
                }
                if value.ends_with('$') && !value.ends_with(r"\$") {
                    value.pop();
                    value.push_str(end);
                }
            }
        }
        How::Exact => values.iter_mut().for_each(|value| *value = format!("{begin}{}{end}", escaped(value))),
        How::Prefix => match of {
            Of::Last => return Err("of the last of several values the whole and the end are compared".to_owned()),
            _ => values.iter_mut().for_each(|value| *value = format!("{begin}{}", escaped(value))),
        },
        How::Suffix => match of {
            Of::First => {
                return Err("of the first of several values the whole and the beginning are compared".to_owned());
            }
            _ => values.iter_mut().for_each(|value| *value = format!("{}{end}", escaped(value))),
        },
    }
    Ok(How::Regex)
}

/// What rules have made of headers, in their order.
#[derive(Clone, Debug, Default)]
pub(super) struct Written(BTreeMap<String, Vec<(Cond, Made)>>);

/// What a rule makes of a header.
#[derive(Clone, Debug)]
pub(super) enum Made {
    Set(String),
    Added(String),
    Gone,
    /// A value that a request makes.
    Other,
}

impl Written {
    /// Notes a rule.
    pub fn note(&mut self, name: &str, cond: &Cond, made: Made) {
        self.0.entry(name.to_ascii_lowercase()).or_default().push((cond.clone(), made));
    }

    /// What rules have made of it.
    pub fn of(&self, subject: &Subject) -> Option<&[(Cond, Made)]> {
        match subject {
            Subject::Header(name) => self.0.get(name),
            Subject::Host => self.0.get("host"),
            _ => None,
        }
        .map(Vec::as_slice)
    }
}

/// The comparison of a header behind the rules that have written it.
///
/// # Errors
/// Why it cannot be said.
pub(super) fn behind(cases: &[(Cond, Made)], subject: Subject, asks: Asks) -> Result<Cond, String> {
    let mut any = Vec::new();
    // What is written later goes before what was written earlier.
    let mut later = Cond::Const(false);
    for (cond, made) in cases.iter().rev() {
        let meets = match made {
            Made::Gone => Some(false),
            Made::Set(value) | Made::Added(value) => asks.met_by(value),
            Made::Other => (asks.method() == Method::Found).then_some(true),
        };
        match meets {
            Some(true) => any.push(Cond::all([cond.clone(), later.clone().negate()])),
            Some(false) => {}
            None => return Err("it looks at a header that a rule before it writes".to_owned()),
        }
        if !matches!(made, Made::Added(_)) {
            later = Cond::any([later, cond.clone()]);
        }
    }
    if later != Cond::Const(true) {
        any.push(Cond::all([later.negate(), asks.text(subject)?]));
    }
    Ok(Cond::any(any))
}
