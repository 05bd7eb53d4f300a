//! Text forms of the model's small choices: `header:x-user`, `"~regex"`, `200-399`.

use super::limit_key::unknown;
use super::model::{Address, AfterSunset, CaSource, HashKey, HostPolicy, RetryOn, SniPolicy, Track, ValueMatch};
use super::patterns;
use super::units::{Invalid, text_form};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;
use std::path::Path;
use std::str::FromStr;

/// The status codes that a health check takes for good, as inclusive ranges: `"200-399"`, `"200, 204"`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusRanges(pub Vec<(u16, u16)>);

text_form!(AfterSunset, CaSource, HashKey, HostPolicy, RetryOn, SniPolicy, StatusRanges, Track);

impl FromStr for AfterSunset {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        match text.parse() {
            _ if text == "serve" => Ok(Self::Serve),
            Ok(status @ 400..=599) => Ok(Self::Status(status)),
            Ok(_) => Err(Invalid::new("no answer from 400 to 599 has it")),
            Err(_) => Err(Invalid::new("it is no status")),
        }
    }
}

impl fmt::Display for AfterSunset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Serve => f.write_str("serve"),
            Self::Status(status) => write!(f, "{status}"),
        }
    }
}

/// The failures that can be tried again, beside statuses.
pub const RETRY_ON: [&str; 4] = ["connect", "reset", "timeout", "bad-response"];

impl FromStr for RetryOn {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let range = match text {
            "connect" => return Ok(Self::Connect),
            "reset" => return Ok(Self::Reset),
            "timeout" => return Ok(Self::Timeout),
            "bad-response" => return Ok(Self::BadResponse),
            "4xx" => StatusRanges(vec![(400, 499)]),
            "5xx" => StatusRanges(vec![(500, 599)]),
            _ if !text.starts_with(|c: char| c.is_ascii_digit()) => {
                return Err(Invalid::new("there is no such reason"));
            }
            _ => text.parse()?,
        };
        match range.0[..] {
            [(low, high)] if low >= 400 => Ok(Self::Status(low, high)),
            [_] => Err(Invalid::new("only answers from 400 on are errors")),
            _ => Err(Invalid::new("it is more than one")),
        }
    }
}

impl fmt::Display for RetryOn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Connect => f.write_str("connect"),
            Self::Reset => f.write_str("reset"),
            Self::Timeout => f.write_str("timeout"),
            Self::BadResponse => f.write_str("bad-response"),
            Self::Status(400, 499) => f.write_str("4xx"),
            Self::Status(500, 599) => f.write_str("5xx"),
            Self::Status(low, high) if low == high => write!(f, "{low}"),
            Self::Status(low, high) => write!(f, "{low}-{high}"),
        }
    }
}

impl StatusRanges {
    /// Whether it has this status.
    pub fn has(&self, status: u16) -> bool {
        self.0.iter().any(|(low, high)| (*low..=*high).contains(&status))
    }
}

impl FromStr for StatusRanges {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let code = |text: &str| match text.trim().parse::<u16>() {
            Ok(code @ 100..=599) => Ok(code),
            _ => Err(Invalid::new("a status is a number from 100 to 599")),
        };
        let range = |part: &str| {
            let (low, high) = part.split_once('-').unwrap_or((part, part));
            let (low, high) = (code(low)?, code(high)?);
            if low > high {
                return Err(Invalid::new("the range ends before it begins").help(format!("write \"{high}-{low}\"")));
            }
            Ok((low, high))
        };
        text.split(',').map(range).collect::<Result<_, _>>().map(Self)
    }
}

impl fmt::Display for StatusRanges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (low, high)) in self.0.iter().enumerate() {
            let comma = if at > 0 { "," } else { "" };
            match low == high {
                true => write!(f, "{comma}{low}")?,
                false => write!(f, "{comma}{low}-{high}")?,
            }
        }
        Ok(())
    }
}

impl FromStr for HashKey {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        match text.split_once(':') {
            None if text == "client-ip" => Ok(Self::ClientIp),
            None if text == "path" => Ok(Self::Path),
            None => Err(Invalid::new("there is no such key")),
            Some((_, "")) => Err(Invalid::new("no name follows the colon")),
            Some(("header", name)) => patterns::header_name(name).map(Self::Header),
            Some(("cookie", name)) => patterns::header_name(name).map(|_| Self::Cookie(name.into())),
            Some(("query", name)) => Ok(Self::Query(name.into())),
            Some((kind, name)) => Err(unknown(kind, name, &["header", "cookie", "query"])),
        }
    }
}

impl fmt::Display for HashKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ClientIp => f.write_str("client-ip"),
            Self::Path => f.write_str("path"),
            Self::Header(name) => write!(f, "header:{name}"),
            Self::Cookie(name) => write!(f, "cookie:{name}"),
            Self::Query(name) => write!(f, "query:{name}"),
        }
    }
}

impl FromStr for HostPolicy {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        if text == "client" || text == "target" {
            return Ok(if text == "client" { Self::Client } else { Self::Target });
        }
        let (name, port) = match text.rsplit_once(':') {
            Some((name, port)) if !text.ends_with(']') => (name, Some(port)),
            _ => (text, None),
        };
        let name = patterns::host_name(name)?;
        match port.map(|p| p.parse::<u16>().ok().filter(|&n| n > 0)) {
            None => Ok(Self::Fixed(name)),
            Some(Some(port)) => Ok(Self::Fixed(format!("{name}:{port}"))),
            Some(None) => Err(Invalid::new("its port must be 1 to 65535")),
        }
    }
}

impl fmt::Display for HostPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Client => "client",
            Self::Target => "target",
            Self::Fixed(name) => name,
        })
    }
}

impl FromStr for Track {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let (pool, target) = match text.split_once('/') {
            Some((pool, target)) => (pool, Some(Address::parse_target(target)?)),
            None => (text, None),
        };
        Ok(Self { pool: patterns::name(pool)?, target })
    }
}

impl Track {
    /// The target's relative path of a socket made relative to `folder`.
    pub fn based_on(self, folder: &Path) -> Result<Self, Invalid> {
        let target = self.target.map(|target| target.based_on(folder)).transpose()?;
        Ok(Self { target, ..self })
    }
}

impl fmt::Display for Track {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.pool)?;
        self.target.as_ref().map_or(Ok(()), |target| write!(f, "/{target}"))
    }
}

impl FromStr for CaSource {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        match text {
            "system" => Ok(Self::System),
            _ => patterns::file_path(text).map(|path| Self::File(path.into())),
        }
    }
}

impl fmt::Display for CaSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::System => f.write_str("system"),
            Self::File(path) => path.display().fmt(f),
        }
    }
}

impl FromStr for SniPolicy {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        match text {
            "host" => Ok(Self::Host),
            _ => patterns::host_name(text).map(Self::Fixed),
        }
    }
}

impl fmt::Display for SniPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Host => "host",
            Self::Fixed(name) => name,
        })
    }
}

impl Serialize for ValueMatch {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Present => serializer.serialize_bool(true),
            Self::Absent => serializer.serialize_bool(false),
            Self::Exact(text) => serializer.serialize_str(text),
            Self::Regex(pattern) => serializer.collect_str(&format_args!("~{pattern}")),
        }
    }
}

impl<'de> Deserialize<'de> for ValueMatch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = ValueMatch;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string, true or false")
            }

            fn visit_bool<E: de::Error>(self, present: bool) -> Result<ValueMatch, E> {
                Ok(if present { ValueMatch::Present } else { ValueMatch::Absent })
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<ValueMatch, E> {
                Ok(match text.strip_prefix('~') {
                    Some(pattern) => ValueMatch::Regex(pattern.into()),
                    None => ValueMatch::Exact(text.into()),
                })
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// A count whose absence is written "auto".
pub mod auto {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    /// Writes the count or "auto".
    pub fn serialize<S: Serializer>(count: &Option<usize>, serializer: S) -> Result<S::Ok, S::Error> {
        match count {
            Some(count) => serializer.serialize_u64(*count as u64),
            None => serializer.serialize_str("auto"),
        }
    }

    /// Reads a count as text, or "auto".
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<usize>, D::Error> {
        match &*String::deserialize(deserializer)? {
            "auto" => Ok(None),
            count => count.parse().map(Some).map_err(D::Error::custom),
        }
    }
}

/// A size whose absence is written "unlimited".
pub mod unlimited {
    use crate::config::units::Size;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    /// Writes the size or "unlimited".
    pub fn serialize<S: Serializer>(size: &Option<Size>, serializer: S) -> Result<S::Ok, S::Error> {
        match size {
            Some(size) => serializer.collect_str(size),
            None => serializer.serialize_str("unlimited"),
        }
    }

    /// Reads a size, or "unlimited".
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Size>, D::Error> {
        match &*String::deserialize(deserializer)? {
            "unlimited" => Ok(None),
            size => size.parse().map(Some).map_err(D::Error::custom),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_ranges_are_inclusive_and_ordered() {
        assert_eq!("200-399".parse(), Ok(StatusRanges(vec![(200, 399)])));
        assert_eq!("200, 204".parse(), Ok(StatusRanges(vec![(200, 200), (204, 204)])));
        for text in ["", "2xx", "399-200", "99", "600", "200-"] {
            assert!(text.parse::<StatusRanges>().is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_tried_again_is_a_word_or_a_status() {
        for text in ["connect", "reset", "timeout", "bad-response", "503", "4xx", "5xx", "502-504"] {
            assert_eq!(text.parse::<RetryOn>().unwrap().to_string(), text);
        }
        for text in ["", "Reset", "200", "3xx", "302-500", "502,503", "600", "504-502", "-502"] {
            assert!(text.parse::<RetryOn>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_hash_key_names_its_field() {
        for text in ["client-ip", "path", "header:x-user", "cookie:sid", "query:user id"] {
            assert_eq!(text.parse::<HashKey>().unwrap().to_string(), text);
        }
        for text in ["ip", "header:", "header:a b", "cookie:a;b", "body:x"] {
            assert!(text.parse::<HashKey>().is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_tracked_is_a_pool_or_a_target_of_one() {
        for text in ["web", "web/10.0.0.1:80", "web/[fd00::1]:80", "web/unix:/run/app.sock"] {
            assert_eq!(text.parse::<Track>().unwrap().to_string(), text);
        }
        for text in ["", "a b", "/10.0.0.1:80", "web/", "web/10.0.0.1"] {
            assert!(text.parse::<Track>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_host_policy_is_a_word_or_a_name() {
        assert_eq!("client".parse(), Ok(HostPolicy::Client));
        assert_eq!("App.Internal:8080".parse(), Ok(HostPolicy::Fixed("app.internal:8080".into())));
        assert_eq!("[::1]".parse(), Ok(HostPolicy::Fixed("[::1]".into())));
        assert!("a:0".parse::<HostPolicy>().is_err());
        assert!("a b".parse::<HostPolicy>().is_err());
    }
}
