//! Text forms of the access log's choices: `stdout`, `{client.ip} {status}`, `400-599`, `udp://127.0.0.1:514`. The grammar of
//! templates is the log's own, [`Template::parse`].

use super::model::Address;
use super::units::{Invalid, text_form};
use super::walk::nearest;
use super::words::StatusRanges;
use crate::observe::access::{FIELDS, HEADERS, Template, Wrong};
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

text_form!(LogFormat, LogPath, LogStatus, SyslogTo);

/// Where the access log goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogPath {
    /// The process's standard output.
    Stdout,
    /// A file that is appended to.
    File(PathBuf),
}

/// The form of an access log's records.
#[derive(Clone, Debug, PartialEq)]
pub enum LogFormat {
    /// One JSON object per line.
    Json,
    /// Apache's combined format.
    Combined,
    /// HAProxy's HTTP or TCP format.
    Haproxy,
    /// Text with fields in braces, as it was written and compiled.
    Template(String, Template),
}

/// Statuses that are recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogStatus {
    /// Those within these ranges.
    Sent(StatusRanges),
    /// None was sent.
    None,
}

/// A syslog server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SyslogTo {
    /// A datagram for each message (RFC 5426).
    Udp(SocketAddr),
    /// A connection on which each message is preceded by its length (RFC 6587 §3.4.1).
    Tcp(SocketAddr),
    /// A socket of this host.
    Unix(PathBuf),
}

impl FromStr for LogPath {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        match text {
            "" => Err(Invalid::new("it is empty")),
            "stdout" => Ok(Self::Stdout),
            _ if text.contains('\0') => Err(Invalid::new("it has a zero byte")),
            _ if text.ends_with('/') => Err(Invalid::new("it is a directory")),
            _ => Ok(Self::File(text.into())),
        }
    }
}

impl fmt::Display for LogPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stdout => f.write_str("stdout"),
            Self::File(path) => path.display().fmt(f),
        }
    }
}

impl FromStr for LogFormat {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        match text {
            "json" => return Ok(Self::Json),
            "combined" => return Ok(Self::Combined),
            "haproxy" => return Ok(Self::Haproxy),
            _ if !text.contains('{') => return Err(Invalid::new("there is no such format, and no field in it")),
            _ => {}
        }
        let template = Template::parse(text).map_err(|wrong| match wrong {
            Wrong::Unpaired => {
                Invalid::new("it has a brace without its other half").help("write \"{{\" and \"}}\" for braces")
            }
            Wrong::Control => Invalid::new("it has a control character, which would break the line"),
            Wrong::HeaderName(name) => Invalid::new(format!("`{name}` is no header's name")),
            Wrong::Unknown(name) => {
                let help = meant(&name, FIELDS).unwrap_or_else(|| format!("the fields are {}", FIELDS.join(", ")));
                Invalid::new(format!("no field is named `{name}`")).help(help)
            }
        })?;
        Ok(Self::Template(text.to_owned(), template))
    }
}

/// What may have been meant by a field that is none of these, nor a header.
pub(super) fn meant(name: &str, fields: &[&'static str]) -> Option<String> {
    let known = [fields, &HEADERS].concat();
    let last = |name: &str| name.rsplit('.').next().unwrap_or_default().to_owned();
    // `uri` for `request.uri`
    let inner = || fields.iter().find(|field| last(field) == name).copied();
    nearest(name, &known).or_else(inner).map(|near| match near.ends_with('.') {
        true => format!("did you mean `{near}NAME`?"),
        false => format!("did you mean `{near}`?"),
    })
}

impl fmt::Display for LogFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Json => "json",
            Self::Combined => "combined",
            Self::Haproxy => "haproxy",
            Self::Template(text, _) => text,
        })
    }
}

impl LogStatus {
    /// The statuses as inclusive ranges; 0 is none.
    pub fn ranges(&self) -> Vec<(u16, u16)> {
        match self {
            Self::Sent(StatusRanges(ranges)) => ranges.clone(),
            Self::None => vec![(0, 0)],
        }
    }
}

impl FromStr for LogStatus {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        if text == "none" { Ok(Self::None) } else { text.parse().map(Self::Sent) }
    }
}

impl fmt::Display for LogStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sent(ranges) => ranges.fmt(f),
            Self::None => f.write_str("none"),
        }
    }
}

impl FromStr for SyslogTo {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let ip = |text: &str| match Address::parse_target(text)? {
            Address::Ip(address) => Ok(address),
            Address::Unix(_) => Err(Invalid::new("it has two schemes")),
        };
        if let Some(address) = text.strip_prefix("udp://") {
            return ip(address).map(Self::Udp);
        }
        if let Some(address) = text.strip_prefix("tcp://") {
            return ip(address).map(Self::Tcp);
        }
        match text.starts_with("unix:") {
            true => match text.parse()? {
                Address::Unix(path) => Ok(Self::Unix(path)),
                Address::Ip(_) => Err(Invalid::new("it is no path")),
            },
            false => Err(Invalid::new("it does not say how to send")),
        }
    }
}

impl fmt::Display for SyslogTo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Udp(address) => write!(f, "udp://{address}"),
            Self::Tcp(address) => write!(f, "tcp://{address}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl SyslogTo {
    /// The server with a relative path made relative to `folder`.
    pub(super) fn based_on(self, folder: &Path) -> Result<Self, Invalid> {
        match self {
            Self::Unix(path) => format!("unix:{}", folder.join(path).display()).parse(),
            other => Ok(other),
        }
    }
}
