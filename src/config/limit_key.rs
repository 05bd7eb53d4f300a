//! What requests are counted by, as the configuration writes it: `"client-ip"`, `"header:x-tenant"`, `"{client.ip} {request.path}"`.

use super::patterns;
use super::template::{Field, Piece, Template};
use super::units::{Invalid, text_form};
use super::walk::nearest;
use std::fmt;
use std::str::FromStr;

/// What requests are counted by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LimitKey {
    /// The client's address.
    ClientIp,
    /// The consumer; the client's address where nobody is known.
    Consumer,
    /// The route.
    Route,
    /// A header's value; the name is in lower case.
    Header(String),
    /// A cookie's value.
    Cookie(String),
    /// A query parameter's value.
    Query(String),
    /// A claim of the client's token, by its name or a JSON pointer.
    Claim(String),
    /// What a template says.
    Template(Template),
}

text_form!(LimitKey);

/// The keys that have no name of their own behind a colon.
pub const WORDS: [&str; 3] = ["client-ip", "consumer", "route"];

impl LimitKey {
    /// Whether it is known only once it is known who asks.
    pub fn needs_identity(&self) -> bool {
        match self {
            Self::Consumer | Self::Claim(_) => true,
            Self::Template(template) => template
                .pieces()
                .iter()
                .any(|piece| matches!(piece, Piece::Field(Field::ConsumerName | Field::ConsumerGroups))),
            _ => false,
        }
    }
}

impl FromStr for LimitKey {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        if text.contains(['{', '}']) {
            return template(text).map(Self::Template);
        }
        match text.split_once(':') {
            None => match text {
                "client-ip" => Ok(Self::ClientIp),
                "consumer" => Ok(Self::Consumer),
                "route" => Ok(Self::Route),
                _ => Err(Invalid::new("there is no such key")),
            },
            Some((_, "")) => Err(Invalid::new("no name follows the colon")),
            Some(("header", name)) => patterns::header_name(name).map(Self::Header),
            Some(("cookie", name)) => patterns::header_name(name).map(|_| Self::Cookie(name.into())),
            Some(("query", name)) => Ok(Self::Query(name.into())),
            Some(("claim", name)) => Ok(Self::Claim(name.into())),
            Some((kind, name)) => Err(unknown(kind, name, &NAMED)),
        }
    }
}

/// The keys that have a name behind a colon.
const NAMED: [&str; 4] = ["header", "cookie", "query", "claim"];

/// What is wrong with a key of no kind that there is.
pub(super) fn unknown(kind: &str, name: &str, kinds: &[&str]) -> Invalid {
    let invalid = Invalid::new("there is no such key");
    match nearest(kind, kinds) {
        Some(near) => invalid.help(format!("did you mean \"{near}:{name}\"?")),
        None => invalid,
    }
}

/// What requests stay with a pool of a split by. That they are of one route they all have in common.
pub(super) fn split_key(text: &str) -> Result<String, Invalid> {
    match text.parse()? {
        LimitKey::Route => Err(Invalid::new("all requests of a route have that in common")),
        key => Ok(key.to_string()),
    }
}

/// A template of what is known before a request goes on.
fn template(text: &str) -> Result<Template, Invalid> {
    let template: Template = text.parse()?;
    let unknown = template.pieces().iter().find(|piece| {
        !matches!(
            piece,
            Piece::Text(_)
                | Piece::RequestHeader(_)
                | Piece::Field(
                    Field::ClientIp
                        | Field::ConsumerName
                        | Field::ConsumerGroups
                        | Field::Route
                        | Field::Method
                        | Field::Path
                        | Field::Query
                        | Field::Scheme
                        | Field::Host
                )
        )
    });
    match unknown {
        None => Ok(template),
        Some(_) => Err(Invalid::new("it names what is not known when requests are counted").help(
            "the fields here are client.ip, consumer.name, consumer.groups, route, request.method, request.path, request.query, \
             request.scheme, request.host and request.headers.NAME",
        )),
    }
}

impl fmt::Display for LimitKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ClientIp => f.write_str("client-ip"),
            Self::Consumer => f.write_str("consumer"),
            Self::Route => f.write_str("route"),
            Self::Header(name) => write!(f, "header:{name}"),
            Self::Cookie(name) => write!(f, "cookie:{name}"),
            Self::Query(name) => write!(f, "query:{name}"),
            Self::Claim(name) => write!(f, "claim:{name}"),
            Self::Template(template) => template.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_read_as_they_are_written() {
        for text in [
            "client-ip",
            "consumer",
            "route",
            "header:x-tenant",
            "cookie:sid",
            "query:key",
            "claim:sub",
            "claim:/org/id",
            "{client.ip} {request.path}",
        ] {
            assert_eq!(text.parse::<LimitKey>().unwrap().to_string(), text);
        }
        for (text, identity) in [("consumer", true), ("claim:sub", true), ("{consumer.name}", true), ("{route}", false)]
        {
            assert_eq!(text.parse::<LimitKey>().unwrap().needs_identity(), identity, "{text}");
        }
    }

    #[test]
    fn a_misspelt_kind_of_key_is_told_which_is_meant() {
        let help = |text: &str| text.parse::<LimitKey>().unwrap_err().help;
        assert_eq!(help("cookies:user").as_deref(), Some("did you mean \"cookie:user\"?"));
        assert_eq!(help("body:x"), None);
        assert!(split_key("route").is_err() && split_key("{route} {client.ip}").is_ok());
    }

    #[test]
    fn a_wrong_key_says_what_is_wrong() {
        for (text, what) in [
            ("", "there is no such key"),
            ("ip", "there is no such key"),
            ("header:", "no name follows the colon"),
            ("body:x", "there is no such key"),
            ("{status}", "it names what is not known when requests are counted"),
            ("{client.ip", "it has a brace without its other half"),
        ] {
            assert_eq!(text.parse::<LimitKey>().unwrap_err().what, what, "{text}");
        }
    }
}
