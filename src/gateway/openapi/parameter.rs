//! Parameters of path, query, headers and cookies: how they are written, and what they have to be (OpenAPI 3.1 §4.8.12).

use super::Wrong;
use super::document::{Document, step};
use super::json::{self, Bounds};
use super::problem::Errors;
use super::schema::{Check, Kinds, Schemas, Shape};
use super::sent::{decoded, pairs};
use crate::gateway::Request;
use serde_json::{Map, Value};
use smallvec::SmallVec;
use std::borrow::Cow;
use std::sync::Arc;

/// A parameter.
#[derive(Debug)]
pub(super) struct Parameter {
    pub(super) place: Place,
    pub(super) name: Box<str>,
    required: bool,
    may_be_empty: bool,
    style: Style,
    shape: Shape,
    check: Arc<Check>,
}

/// Where a parameter stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Path,
    Query,
    Header,
    Cookie,
}

/// How values are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Style {
    /// Each value of a list is a parameter of its own.
    Each,
    /// Values with this byte between them; of a map, whether names stand before a `=`.
    Between(u8, bool),
    /// `name[key]=value`
    Deep,
    /// One JSON text.
    Json,
}

/// What was sent: values as they were written, mostly one.
type Values<'r> = SmallVec<[Cow<'r, [u8]>; 1]>;
/// A value could not be taken for anything.
type Unreadable = &'static str;

/// A JSON text in a parameter is short.
const BOUNDS: Bounds = Bounds { depth: 16, members: 1000 };
/// Header parameters of these names are described elsewhere.
const ELSEWHERE: [&str; 3] = ["accept", "content-type", "authorization"];

impl Parameter {
    /// Reads one. `None`: it says nothing.
    pub(super) fn new(
        written: &Value,
        at: &str,
        document: &Document,
        schemas: &mut Schemas<'_>,
    ) -> Result<Option<Self>, Wrong> {
        let (of, at) = document.resolve(written, at)?;
        let text = |key: &str| of.get(key).and_then(Value::as_str);
        let flag = |key: &str| of.get(key).and_then(Value::as_bool);
        let Some(name) = text("name") else { return Err(Wrong::new(at, "a parameter has a `name`")) };
        let place = match text("in") {
            Some("path") => Place::Path,
            Some("query") => Place::Query,
            Some("header") if ELSEWHERE.iter().any(|other| name.eq_ignore_ascii_case(other)) => return Ok(None),
            Some("header") => Place::Header,
            Some("cookie") => Place::Cookie,
            _ => {
                return Err(Wrong::new(
                    step(&at, "in"),
                    "a parameter is in \"path\", \"query\", \"header\" or \"cookie\"",
                ));
            }
        };
        let content = of.get("content").and_then(Value::as_object).and_then(|content| content.iter().next());
        let (schema, schema_at, style) = match content {
            Some((media, inner)) => {
                if !super::media::is_json(super::media::essence(media.as_bytes())) {
                    return Err(Wrong::new(step(&at, "content"), "a parameter of this media type is not understood"));
                }
                (inner.get("schema"), step(&step(&step(&at, "content"), media), "schema"), Style::Json)
            }
            None => (of.get("schema"), step(&at, "schema"), style(place, text("style"), flag("explode"), &at)?),
        };
        let schema = schema.unwrap_or(&Value::Bool(true));
        Ok(Some(Self {
            place,
            name: name.into(),
            required: place == Place::Path || flag("required") == Some(true),
            may_be_empty: flag("allowEmptyValue") == Some(true),
            style,
            shape: schemas.shape(schema),
            check: schemas.compile(schema, &schema_at)?,
        }))
    }

    /// Holds what a request has of it against its schema; `in_path` is what stands in its path there.
    pub(super) fn check(&self, request: &dyn Request, in_path: Option<&[u8]>, errors: &mut Errors) {
        let part = match self.place {
            Place::Path => "path",
            Place::Query => "query",
            Place::Header => "header",
            Place::Cookie => "cookie",
        };
        let mut tell = |detail: &dyn std::fmt::Display| errors.tell(part, ("name", &self.name), detail);
        match self.value(request, in_path) {
            Ok(None) if self.required => {
                tell(&"it is required");
            }
            Ok(None) => {}
            Ok(Some(value)) => {
                self.check.holds(&value, |_, what| tell(what));
            }
            Err(why) => {
                tell(&why);
            }
        }
    }

    /// What a request has of it.
    fn value(&self, request: &dyn Request, in_path: Option<&[u8]>) -> Result<Option<Value>, Unreadable> {
        if let (Shape::Map(known), Style::Each | Style::Deep) = (&self.shape, self.style) {
            return self.spread(request.query().unwrap_or_default(), known);
        }
        let sent = match self.place {
            Place::Path => in_path.map(Cow::Borrowed).into_iter().collect(),
            Place::Header => request.header(&self.name).into_iter().collect(),
            Place::Query => {
                let query = request.query().unwrap_or_default();
                let own = pairs(query).filter(|(name, _)| decoded(name, true)[..] == *self.name.as_bytes());
                own.map(|(_, value)| Cow::Borrowed(value)).collect()
            }
            Place::Cookie => self.cookies(request),
        };
        self.made_of(sent)
    }

    fn cookies<'r>(&self, request: &'r dyn Request) -> Values<'r> {
        let mut all = Values::new();
        request.each("cookie", &mut |line| {
            let pairs = line.split(|&byte| byte == b';').map(|one| crate::gateway::place::pair(one.trim_ascii()));
            let own = pairs.filter(|(name, _)| *name == self.name.as_bytes());
            own.for_each(|(_, value)| all.push(Cow::Owned(value.to_vec())));
        });
        all
    }

    fn made_of(&self, sent: Values<'_>) -> Result<Option<Value>, Unreadable> {
        if let (Shape::List(kinds), Style::Each) = (&self.shape, self.style) {
            if sent.is_empty() {
                return Ok(None);
            }
            return sent.iter().map(|value| self.one(value, *kinds)).collect::<Result<_, _>>().map(Some);
        }
        let [text] = &sent[..] else {
            return if sent.is_empty() { Ok(None) } else { Err("it is given more than once") };
        };
        if text.is_empty() && self.may_be_empty {
            return Ok(None);
        }
        let Style::Between(byte, named) = self.style else {
            return match self.style {
                Style::Json => {
                    let decoded = self.decoded(text);
                    let read = json::read(&decoded, BOUNDS).map(|tree| tree.to_value());
                    read.map(Some).map_err(|(fault, _)| fault.detail())
                }
                _ => self.one(text, self.kinds()).map(Some),
            };
        };
        match &self.shape {
            Shape::One(kinds) => self.one(text, *kinds).map(Some),
            Shape::List(kinds) => {
                split(text, byte).map(|part| self.one(part, *kinds)).collect::<Result<_, _>>().map(Some)
            }
            Shape::Map(known) => {
                let mut map = Map::new();
                let mut parts = split(text, byte);
                while let Some(part) = parts.next() {
                    let (name, value) = match named {
                        true => crate::gateway::place::pair(part),
                        false => (part, parts.next().ok_or("a name in it has no value")?),
                    };
                    self.add(&mut map, name, value, known)?;
                }
                Ok(Some(Value::Object(map)))
            }
        }
    }

    /// A map whose values are parameters of their own.
    fn spread(&self, query: &[u8], known: &[(Box<str>, Kinds)]) -> Result<Option<Value>, Unreadable> {
        let mut map = Map::new();
        for (name, value) in pairs(query) {
            let name = decoded(name, true);
            let inner = match self.style {
                Style::Deep => {
                    let inner = name.strip_prefix(self.name.as_bytes()).and_then(|rest| rest.strip_prefix(b"["));
                    inner.and_then(|rest| rest.strip_suffix(b"]"))
                }
                _ => known.iter().any(|(other, _)| *other.as_bytes() == name[..]).then_some(&name[..]),
            };
            if let Some(inner) = inner {
                let inner = std::str::from_utf8(inner).map_err(|_| "it is not valid UTF-8")?;
                let value = self.one(value, kinds_of(known, inner))?;
                if map.insert(inner.to_owned(), value).is_some() {
                    return Err("a part of it is given more than once");
                }
            }
        }
        Ok((!map.is_empty()).then_some(Value::Object(map)))
    }

    fn add(
        &self,
        map: &mut Map<String, Value>,
        name: &[u8],
        value: &[u8],
        known: &[(Box<str>, Kinds)],
    ) -> Result<(), Unreadable> {
        let name = self.text(name)?;
        let value = self.one(value, kinds_of(known, &name))?;
        match map.insert(name, value) {
            None => Ok(()),
            Some(_) => Err("a part of it is given more than once"),
        }
    }

    fn kinds(&self) -> Kinds {
        match &self.shape {
            Shape::One(kinds) | Shape::List(kinds) => *kinds,
            Shape::Map(_) => Kinds::TEXT,
        }
    }

    fn one(&self, text: &[u8], kinds: Kinds) -> Result<Value, Unreadable> {
        let text = self.decoded(text);
        std::str::from_utf8(&text).map(|text| kinds.value(text)).map_err(|_| "it is not valid UTF-8")
    }

    fn text(&self, text: &[u8]) -> Result<String, Unreadable> {
        String::from_utf8(self.decoded(text).into_owned()).map_err(|_| "it is not valid UTF-8")
    }

    fn decoded<'t>(&self, text: &'t [u8]) -> Cow<'t, [u8]> {
        match self.place {
            Place::Path => decoded(text, false),
            Place::Query => decoded(text, true),
            Place::Header => text.trim_ascii().into(),
            Place::Cookie => decoded(text, false),
        }
    }
}

fn kinds_of(known: &[(Box<str>, Kinds)], name: &str) -> Kinds {
    known.iter().find(|(other, _)| **other == *name).map_or(Kinds::TEXT, |(_, kinds)| *kinds)
}

/// The parts of a text with this byte between them, which may be escaped in a query where it is a blank or a bar.
fn split(text: &[u8], byte: u8) -> impl Iterator<Item = &[u8]> {
    let escaped: &[u8] = match byte {
        b' ' => b"%20",
        b'|' => b"%7C",
        _ => b"",
    };
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let left = rest?;
        let is_end = |at: usize| match left.get(at..) {
            Some([first, ..]) if *first == byte || byte == b' ' && *first == b'+' => Some(1),
            Some(here) if !escaped.is_empty() => {
                here.get(..3).filter(|here| here.eq_ignore_ascii_case(escaped)).map(|_| 3)
            }
            _ => None,
        };
        let (end, length) = (0..left.len()).find_map(|at| Some((at, is_end(at)?))).unzip();
        rest = end.and_then(|end| left.get(end + length.unwrap_or(1)..));
        Some(end.and_then(|end| left.get(..end)).unwrap_or(left))
    })
}

fn style(place: Place, style: Option<&str>, explode: Option<bool>, at: &str) -> Result<Style, Wrong> {
    let by_default = if matches!(place, Place::Query | Place::Cookie) { "form" } else { "simple" };
    let style = style.unwrap_or(by_default);
    Ok(match (place, style) {
        (Place::Path | Place::Header, "simple") => Style::Between(b',', explode.unwrap_or(false)),
        (Place::Query, "form") if explode.unwrap_or(true) => Style::Each,
        (Place::Query | Place::Cookie, "form") => Style::Between(b',', false),
        (Place::Query, "spaceDelimited") => Style::Between(b' ', false),
        (Place::Query, "pipeDelimited") => Style::Between(b'|', false),
        (Place::Query, "deepObject") => Style::Deep,
        _ => return Err(Wrong::new(step(at, "style"), format!("`{style}` is not understood here"))),
    })
}
