//! Texts with fields in braces that are filled in for each request: `"{client.ip}"`, `"https://{request.host}/"`. The fields are
//! called as in the lines of the access log.

use super::logs::meant;
use super::patterns;
use super::units::{Invalid, text_form};
use crate::observe::access::{HEADERS, fields};
use std::fmt;
use std::str::FromStr;

text_form!(Captured, Template, Text);

/// A template, as it was written and compiled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    text: String,
    pieces: Vec<Piece>,
}

/// A template in which names of its own stand for what a regex has captured: `"/users/{id}/{1}"`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Captured(pub Template);

/// A template for a text that may hold anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text(pub Template);

/// A part of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Text that stays.
    Text(Vec<u8>),
    /// What a field says; nothing where it does not apply.
    Field(Field),
    /// A header that the client sent, all lines of it with commas between; the name is in lower case.
    RequestHeader(String),
    /// The same of the target's answer.
    ResponseHeader(String),
    /// What a regex has captured, by its number or its name.
    Captured(String),
}

fields! {
    /// What can be filled in beside headers.
    #[expect(missing_docs, reason = "a variant is called after its name")]
    pub enum {
    ClientIp = "client.ip",
    ClientPort = "client.port",
    ConsumerName = "consumer.name",
    ConsumerGroups = "consumer.groups",
    Listener = "listener",
    Route = "route",
    Pool = "pool",
    Target = "target",
    RequestId = "request.id",
    Method = "request.method",
    Uri = "request.uri",
    Path = "request.path",
    Query = "request.query",
    Protocol = "request.protocol",
    Scheme = "request.scheme",
    Host = "request.host",
    Status = "status",
    TlsVersion = "tls.version",
    TlsCipher = "tls.cipher",
    Sni = "tls.sni",
    }
}

const REQUEST_HEADER: &str = HEADERS[0];
const RESPONSE_HEADER: &str = HEADERS[1];

impl Template {
    /// Text alone.
    pub fn plain(text: &str) -> Self {
        Self { text: text.to_owned(), pieces: vec![Piece::Text(text.as_bytes().to_vec())] }
    }

    /// Its parts, in their order.
    pub fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    /// What it takes of a regex.
    pub fn captured(&self) -> impl Iterator<Item = &str> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Captured(name) => Some(name.as_str()),
            _ => None,
        })
    }

    /// Whether it is filled in from an answer.
    pub fn needs_answer(&self) -> bool {
        self.pieces.iter().any(|piece| matches!(piece, Piece::ResponseHeader(_) | Piece::Field(Field::Status)))
    }
}

impl FromStr for Template {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        patterns::header_value(text)?;
        Self::read(text, Piece::named)
    }
}

impl FromStr for Captured {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let is_own = |name: &str| {
            !name.is_empty() && field(name).is_none() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        };
        let named = |name: &str| match is_own(name) {
            true => Ok(Piece::Captured(name.to_owned())),
            false => Piece::named(name),
        };
        patterns::header_value(text)?;
        Template::read(text, named).map(Self)
    }
}

impl FromStr for Text {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        Template::read(text, Piece::named).map(Self)
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Captured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Template {
    fn read(text: &str, named: impl Fn(&str) -> Result<Piece, Invalid>) -> Result<Self, Invalid> {
        let unpaired =
            || Invalid::new("it has a brace without its other half").help("write \"{{\" and \"}}\" for braces");
        let (mut pieces, mut literal) = (Vec::new(), Vec::new());
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            let (before, brace) = rest.split_at(at);
            literal.extend_from_slice(before.as_bytes());
            if let Some(after) = brace.strip_prefix("{{").or_else(|| brace.strip_prefix("}}")) {
                literal.push(brace.as_bytes()[0]);
                rest = after;
                continue;
            }
            let (name, after) = brace.strip_prefix('{').and_then(|inner| inner.split_once('}')).ok_or_else(unpaired)?;
            if !literal.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut literal)));
            }
            pieces.push(named(name)?);
            rest = after;
        }
        literal.extend_from_slice(rest.as_bytes());
        if !literal.is_empty() {
            pieces.push(Piece::Text(literal));
        }
        Ok(Self { text: text.to_owned(), pieces })
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Piece {
    fn named(name: &str) -> Result<Self, Invalid> {
        let header =
            |name: &str| patterns::header_name(name).map_err(|_| Invalid::new(format!("`{name}` is no header's name")));
        if let Some(name) = name.strip_prefix(REQUEST_HEADER) {
            return header(name).map(Self::RequestHeader);
        }
        if let Some(name) = name.strip_prefix(RESPONSE_HEADER) {
            return header(name).map(Self::ResponseHeader);
        }
        field(name).map(Self::Field).ok_or_else(|| unknown(name))
    }
}

fn unknown(name: &str) -> Invalid {
    let help = match meant(name, FIELDS) {
        _ if name.starts_with([' ', '"', '\n']) || name.is_empty() => "write \"{{\" and \"}}\" for braces".to_owned(),
        Some(meant) => meant,
        None => format!("the fields are {}; braces that stay are doubled", FIELDS.join(", ")),
    };
    Invalid::new(format!("no field is named `{name}`")).help(help)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_stand_beside_text_and_doubled_braces() {
        let template: Template = "a {client.ip}{{x}} {request.headers.X-Id}".parse().unwrap();
        let text = |text: &str| Piece::Text(text.as_bytes().to_vec());
        let id = Piece::RequestHeader("x-id".into());
        assert_eq!(template.pieces(), [text("a "), Piece::Field(Field::ClientIp), text("{x} "), id]);
        assert!(!template.needs_answer());
        assert!("{status}".parse::<Template>().unwrap().needs_answer());
        assert_eq!("".parse::<Template>().unwrap().pieces(), []);
    }

    #[test]
    fn what_is_wrong_with_a_template_is_told() {
        for (text, what, help) in [
            ("{clent.ip}", "no field is named `clent.ip`", "did you mean `client.ip`?"),
            ("{uri}", "no field is named `uri`", "did you mean `request.uri`?"),
            ("{request.header.x}", "no field is named `request.header.x`", "did you mean `request.headers.NAME`?"),
            ("{\"a\":1}", "no field is named `\"a\":1`", "write \"{{\" and \"}}\" for braces"),
            ("{client.ip", "it has a brace without its other half", "write \"{{\" and \"}}\" for braces"),
            ("x}", "it has a brace without its other half", "write \"{{\" and \"}}\" for braces"),
        ] {
            let wrong = text.parse::<Template>().unwrap_err();
            assert_eq!((wrong.what.as_str(), wrong.help.as_deref()), (what, Some(help)), "{text}");
        }
        for text in ["a\r\nb: c", " a", "{request.headers.a b}"] {
            assert!(text.parse::<Template>().is_err(), "{text:?}");
        }
    }
}
