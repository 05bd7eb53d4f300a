//! Addresses as text: `1.2.3.4:80`, `[::1]:80`, `:80`, `localhost:80`, `unix:/path`. Names are not resolved here.

use super::model::Address;
use super::units::{Invalid, text_form};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::str::FromStr;

text_form!(Address);

/// The longest path that fits into `sockaddr_un` with its final zero.
const UNIX_PATH_MAX: usize = 107;

impl FromStr for Address {
    type Err = Invalid;

    /// Reads what a listener may bind: port 0 and the wildcard (`:80` is `0.0.0.0:80`) are allowed.
    fn from_str(text: &str) -> Result<Self, Invalid> {
        if let Some(path) = text.strip_prefix("unix:") {
            return match path {
                "" => Err(Invalid::new("the path is missing").help("write \"unix:/run/app.sock\"")),
                _ if path.contains('\0') => Err(Invalid::new("the path has a zero byte")),
                _ if path.len() > UNIX_PATH_MAX => {
                    Err(Invalid::new(format!("the path is longer than the {UNIX_PATH_MAX} bytes a socket's may have")))
                }
                _ => Ok(Self::Unix(path.into())),
            };
        }
        if text.starts_with('/') {
            return Err(Invalid::new("it is a path").help("write \"unix:\" before the path of a socket"));
        }
        if text.contains("://") {
            return Err(Invalid::new("it is a URL").help("write host and port alone: \"10.0.0.1:8080\""));
        }
        if text.parse::<IpAddr>().is_ok() {
            let bracketed = if text.contains(':') { format!("[{text}]") } else { text.to_owned() };
            return Err(Invalid::new("the port is missing").help(format!("write \"{bracketed}:80\"")));
        }
        let Some((host, port)) = text.rsplit_once(':') else {
            return Err(Invalid::new("the port is missing").help("write an address and a port: \"10.0.0.1:8080\""));
        };
        let port = port_number(port)?;
        let ip = match host {
            "" => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            "localhost" => IpAddr::V4(Ipv4Addr::LOCALHOST),
            _ => match host.strip_prefix('[').and_then(|h| h.strip_suffix(']')) {
                Some(inner) if inner.contains('%') => {
                    return Err(Invalid::new("it has a zone").help("write the address without what follows `%`"));
                }
                Some(inner) => IpAddr::V6(inner.parse().map_err(|_| Invalid::new("no IPv6 address in the brackets"))?),
                None => IpAddr::V4(host.parse().map_err(|_| not_ipv4(host))?),
            },
        };
        Ok(Self::Ip(SocketAddr::new(ip, port)))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl Address {
    /// Reads where a connection may go: a port and an address that can be reached.
    pub fn parse_target(text: &str) -> Result<Self, Invalid> {
        let address: Self = text.parse()?;
        if let Self::Ip(socket) = &address {
            if socket.port() == 0 {
                return Err(Invalid::new("nothing can be reached on port 0"));
            }
            if socket.ip().is_unspecified() {
                return Err(Invalid::new("the wildcard is no address to connect to")
                    .help(format!("write \"127.0.0.1:{}\"", socket.port())));
            }
            if socket.ip().is_multicast() || socket.ip() == IpAddr::V4(Ipv4Addr::BROADCAST) {
                return Err(Invalid::new("a connection cannot go to many hosts"));
            }
        }
        Ok(address)
    }

    /// Reads an address of TCP.
    pub fn parse_tcp(text: &str) -> Result<Self, Invalid> {
        match text.parse()? {
            ip @ Self::Ip(_) => Ok(ip),
            Self::Unix(_) => Err(Invalid::new("it is a socket's path").help("write it as `socket`, without \"unix:\"")),
        }
    }

    /// The address with a relative socket path made relative to `folder`, unless that makes it too long.
    pub fn based_on(self, folder: &Path) -> Result<Self, Invalid> {
        match self {
            Self::Unix(path) => format!("unix:{}", folder.join(path).display()).parse(),
            ip @ Self::Ip(_) => Ok(ip),
        }
    }
}

fn port_number(text: &str) -> Result<u16, Invalid> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Invalid::new("no port number follows the colon"));
    }
    text.parse().map_err(|_| Invalid::new("its port is above 65535"))
}

fn not_ipv4(host: &str) -> Invalid {
    if host.contains(':') {
        Invalid::new("an IPv6 address stands in brackets").help("write \"[::1]:80\"")
    } else if host.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
        Invalid::new("it does not begin with an IPv4 address")
    } else {
        Invalid::new("names are not resolved").help("write the IP address in place of the name")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_reads_and_shows_itself() {
        for (text, shown) in [
            ("1.2.3.4:80", "1.2.3.4:80"),
            ("[::1]:80", "[::1]:80"),
            (":8080", "0.0.0.0:8080"),
            (":0", "0.0.0.0:0"),
            ("localhost:8080", "127.0.0.1:8080"),
            ("unix:/run/x.sock", "unix:/run/x.sock"),
        ] {
            let address: Address = text.parse().unwrap();
            assert_eq!(address.to_string(), shown);
            assert_eq!(shown.parse(), Ok(address));
        }
    }

    #[test]
    fn a_wrong_address_says_what_is_wrong() {
        for (text, expected) in [
            ("app.local:80", "names are not resolved"),
            ("1.2.3:80", "it does not begin with an IPv4 address"),
            ("10.0.0.1", "the port is missing"),
            ("::1", "the port is missing"),
            ("::1:80", "the port is missing"),
            ("fe80::1::2:80", "an IPv6 address stands in brackets"),
            ("[fe80::1%eth0]:80", "it has a zone"),
            ("10.0.0.1:65536", "its port is above 65535"),
            ("10.0.0.1:+80", "no port number follows the colon"),
            ("10.0.0.1:", "no port number follows the colon"),
            ("http://10.0.0.1:80", "it is a URL"),
            ("/run/x.sock", "it is a path"),
            ("unix:", "the path is missing"),
        ] {
            assert_eq!(text.parse::<Address>().unwrap_err().what, expected, "{text}");
        }
    }

    #[test]
    fn a_target_can_be_reached_and_an_admin_listener_is_no_path() {
        for text in ["10.0.0.1:0", ":80", "[::]:80", "224.0.0.1:80"] {
            assert!(text.parse::<Address>().is_ok(), "{text}");
            assert!(Address::parse_target(text).is_err(), "{text}");
        }
        assert!(Address::parse_tcp("10.0.0.1:9901").is_ok());
        assert!(Address::parse_tcp("[::1]:0").is_ok());
        assert!(Address::parse_tcp("unix:/run/x").is_err());
    }
}
