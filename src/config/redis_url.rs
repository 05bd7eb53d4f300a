//! Where a server of Redis is: `redis://user:password@host:6379/0`, `rediss://…` over TLS, `unix:/run/redis.sock?db=0`. Pure text.
//!
//! What always holds: whatever shows one shows it without its password.

use super::patterns;
use super::units::{Invalid, text_form};
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

text_form!(RedisUrl);

/// Where a server of Redis is, and who comes.
#[derive(Clone, PartialEq, Eq)]
pub struct RedisUrl {
    /// Where it is.
    pub place: RedisPlace,
    /// Who logs in; `None`: the user `default`.
    pub user: Option<String>,
    /// With which password; `None`: that of a file, or none.
    pub password: Option<String>,
    /// Which of its databases.
    pub database: u32,
}

/// Where a server of Redis is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RedisPlace {
    /// A host, by its name or address.
    Host {
        /// As it was written, an IPv6 address without its brackets.
        host: String,
        /// The port.
        port: u16,
        /// Whether TLS is spoken.
        secure: bool,
    },
    /// A socket of this host.
    Unix(PathBuf),
}

/// The port that Redis has by default.
const PORT: u16 = 6379;
/// Databases that a server may have.
const DATABASES: u32 = 1 << 20;

impl FromStr for RedisUrl {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(
                Invalid::new("it has a blank or a control character").help("percent-encode it: %20 for a blank")
            );
        }
        if let Some(rest) = text.strip_prefix("unix:") {
            let (path, database) = match rest.split_once("?db=") {
                Some((path, number)) => (path, database(number)?),
                None => (rest, 0),
            };
            patterns::file_path(path)?;
            return Ok(Self { place: RedisPlace::Unix(path.into()), user: None, password: None, database });
        }
        let (secure, rest) = match (text.strip_prefix("redis://"), text.strip_prefix("rediss://")) {
            (Some(rest), _) => (false, rest),
            (_, Some(rest)) => (true, rest),
            _ => return Err(Invalid::new("it begins with none of `redis://`, `rediss://` and `unix:`")),
        };
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let number = match path {
            "" => 0,
            number => database(number)?,
        };
        let (who, place) = match authority.rsplit_once('@') {
            Some((who, place)) => (Some(who), place),
            None => (None, authority),
        };
        let (user, password) = match who.map(|who| who.split_once(':').unwrap_or((who, ""))) {
            Some((user, password)) => (decoded(user)?, decoded(password)?),
            None => (None, None),
        };
        if let Some((_, query)) = place.split_once('?') {
            let number = query.strip_prefix("db=").and_then(|number| number.parse::<u32>().ok()).unwrap_or(0);
            return Err(Invalid::new("a query follows its host").help(format!(
                "write the number of the database behind the host: \"redis://127.0.0.1:6379/{number}\""
            )));
        }
        let (host, port) = match place.rsplit_once(':') {
            Some((host, port)) if !place.ends_with(']') => match port.parse::<u16>() {
                Ok(port) if port > 0 => (host, port),
                _ => return Err(Invalid::new("its port must be 1 to 65535")),
            },
            _ => (place, PORT),
        };
        let host = patterns::host_name(host)?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        Ok(Self { place: RedisPlace::Host { host, port, secure }, user, password, database: number })
    }
}

fn database(text: &str) -> Result<u32, Invalid> {
    match text.parse() {
        Ok(number) if number < DATABASES => Ok(number),
        _ => Err(Invalid::new("what follows the host must be the number of a database")
            .help("write \"redis://127.0.0.1:6379/0\"")),
    }
}

/// A part of who comes, without percent-encoding (RFC 3986 §2.1); `None`: it is empty.
fn decoded(text: &str) -> Result<Option<String>, Invalid> {
    let wrong = || Invalid::new("it is not percent-encoded well").help("write %25 for a percent sign, %40 for an `@`");
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digit = |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16));
        let (high, low) = (digit(rest.next()), digit(rest.next()));
        let value = high.zip(low).and_then(|(high, low)| u8::try_from(high * 16 + low).ok());
        bytes.push(value.ok_or_else(wrong)?);
    }
    let text = String::from_utf8(bytes).map_err(|_| wrong())?;
    Ok(Some(text).filter(|text| !text.is_empty()))
}

/// Without the password.
impl fmt::Display for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (host, port, secure) = match &self.place {
            RedisPlace::Unix(path) if self.database == 0 => return write!(f, "unix:{}", path.display()),
            RedisPlace::Unix(path) => return write!(f, "unix:{}?db={}", path.display(), self.database),
            RedisPlace::Host { host, port, secure } => (host, port, secure),
        };
        f.write_str(if *secure { "rediss://" } else { "redis://" })?;
        if let Some(user) = &self.user {
            write!(f, "{user}@")?;
        }
        match host.contains(':') {
            true => write!(f, "[{host}]:{port}")?,
            false => write!(f, "{host}:{port}")?,
        }
        match self.database {
            0 => Ok(()),
            number => write!(f, "/{number}"),
        }
    }
}

impl fmt::Debug for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Whether what was written for one can have no password in it, be it a URL or not.
pub(super) fn is_open(text: &str) -> bool {
    let place = ["redis://", "rediss://"].iter().find_map(|scheme| text.strip_prefix(scheme));
    let Some(place) = place else { return text.starts_with("unix:/") && !text.contains('@') };
    let (authority, rest) = place.split_at(place.find(['/', '?']).unwrap_or(place.len()));
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !authority.ends_with(']') => (host, port),
        _ => (authority, ""),
    };
    let is_number = |text: &str| text.len() <= 5 && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = ["/", "?db=", "/?db="].iter().find_map(|lead| rest.strip_prefix(lead).filter(|rest| is_number(rest)));
    let is_host = patterns::host_name(host).is_ok();
    is_host && is_number(port) && (rest.is_empty() || number.is_some())
}

/// The text of a URL, with a relative path made relative to `folder`. It has the password that was written.
pub(super) fn based_on(text: &str, folder: &Path) -> Result<String, Invalid> {
    match text.parse::<RedisUrl>()?.place {
        RedisPlace::Unix(_) => Ok(format!("unix:{}", folder.join(text.trim_start_matches("unix:")).display())),
        RedisPlace::Host { .. } => Ok(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_says_where_and_who_and_shows_no_password() {
        for (text, shown, user, password) in [
            ("redis://127.0.0.1", "redis://127.0.0.1:6379", None, None),
            ("rediss://:s%40c@Cache.example.com:1/3", "rediss://cache.example.com:1/3", None, Some("s@c")),
            ("redis://ring:p:q@[::1]:7/", "redis://ring@[::1]:7", Some("ring"), Some("p:q")),
            ("redis://ring@h", "redis://ring@h:6379", Some("ring"), None),
            ("unix:/run/redis.sock?db=2", "unix:/run/redis.sock?db=2", None, None),
        ] {
            let url: RedisUrl = text.parse().unwrap();
            assert_eq!((&*url.to_string(), url.user.as_deref(), url.password.as_deref()), (shown, user, password));
            assert_eq!(format!("{url:?}"), shown);
        }
    }

    #[test]
    fn what_is_no_place_of_a_server_is_refused() {
        for (text, what) in [
            ("127.0.0.1:6379", "it begins with none of `redis://`, `rediss://` and `unix:`"),
            ("redis://", "it is empty"),
            ("redis://h:0", "its port must be 1 to 65535"),
            ("redis://h:1?db=1", "a query follows its host"),
            ("redis://h/x", "what follows the host must be the number of a database"),
            ("redis://a%4@h", "it is not percent-encoded well"),
            ("redis://a b@h", "it has a blank or a control character"),
            ("unix:", "it is empty"),
        ] {
            assert_eq!(text.parse::<RedisUrl>().unwrap_err().what, what, "{text}");
        }
    }

    #[test]
    fn what_may_have_a_password_in_it_is_not_open() {
        for text in
            ["redis://h", "redis://127.0.0.1:6379?db=1", "rediss://[::1]:1/3", "redis://h:99999", "unix:/r.sock?db=x"]
        {
            assert!(is_open(text), "{text}");
        }
        for text in [
            "hunter2",
            "redis://:p@h",
            "redis://u:hunter2",
            "redis://u:123456",
            "redis://h/hunter2",
            "redis://h?p=x",
            "unix:p@h",
        ] {
            assert!(!is_open(text), "{text}");
        }
    }

    #[test]
    fn a_socket_is_found_beside_the_file_that_names_it() {
        assert_eq!(based_on("unix:r.sock?db=1", Path::new("/etc/x")).unwrap(), "unix:/etc/x/r.sock?db=1");
        assert_eq!(based_on("redis://:p@h", Path::new("/etc/x")).unwrap(), "redis://:p@h");
    }
}
