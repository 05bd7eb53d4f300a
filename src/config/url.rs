//! The URL of a request, as a command line, a HAR file or a test gives it. Pure text.
//!
//! Nothing is tidied: what stands in it is what a client would send, so that a path's odd spelling can be asked about.

use super::units::Invalid;

/// A URL, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    /// Whether the scheme is `https` or `wss`.
    pub secure: bool,
    /// The host as it was written, an IPv6 address with its brackets.
    pub host: String,
    /// The port that was written.
    pub port: Option<u16>,
    /// Path and query, as the request line has them.
    pub target: String,
}

/// The schemes, and whether each is over TLS.
const SCHEMES: [(&str, bool); 4] = [("http", false), ("https", true), ("ws", false), ("wss", true)];

impl Url {
    /// Takes a URL apart.
    ///
    /// # Errors
    /// What is wrong, and what to write instead.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        if let Some(wrong) = text.chars().find(|c| c.is_control() || c.is_whitespace()) {
            let code = if wrong == ' ' { "a blank".to_owned() } else { format!("the character {wrong:?}") };
            return Err(Invalid::new(format!("{code} cannot be in it")).help("percent-encode it: %20 for a blank"));
        }
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err(Invalid::new("it has no scheme").help(format!("write \"https://{}\"", text.trim_matches('/'))));
        };
        let known = SCHEMES.iter().find(|(known, _)| known.eq_ignore_ascii_case(scheme));
        let Some((_, secure)) = known else {
            return Err(
                Invalid::new(format!("`{scheme}` is no scheme of HTTP")).help("write \"http://\" or \"https://\"")
            );
        };
        // A client keeps what follows `#` for itself.
        let rest = rest.split('#').next().unwrap_or_default();
        let (authority, target) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        if authority.contains('@') {
            return Err(Invalid::new("it has a user name, which no client sends in a URL")
                .help("clients send it in the header `authorization`"));
        }
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !authority.ends_with(']') => (host, Some(port)),
            _ => (authority, None),
        };
        if host.is_empty() {
            return Err(Invalid::new("it has no host"));
        }
        let port = match port.map(|port| port.parse::<u16>()) {
            None => None,
            Some(Ok(port)) if port > 0 => Some(port),
            Some(_) => return Err(Invalid::new("its port must be 1 to 65535")),
        };
        let slash = if target.starts_with('/') { "" } else { "/" };
        Ok(Self { secure: *secure, host: host.to_owned(), port, target: format!("{slash}{target}") })
    }

    /// The port that is dialled.
    pub fn dialled(&self) -> u16 {
        self.port.unwrap_or(self.own_port())
    }

    /// The host as a client sends it: without the port that the scheme has by default.
    pub fn authority(&self) -> String {
        match self.port.filter(|&port| port != self.own_port()) {
            Some(port) => format!("{}:{port}", self.host),
            None => self.host.clone(),
        }
    }

    fn own_port(&self) -> u16 {
        if self.secure { 443 } else { 80 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_taken_as_it_stands() {
        for (text, secure, authority, dialled, target) in [
            ("http://a.test", false, "a.test", 80, "/"),
            ("HTTPS://A.test:443/x//y/../%7e?q=1#part", true, "A.test", 443, "/x//y/../%7e?q=1"),
            ("https://a.test:8443?q", true, "a.test:8443", 8443, "/?q"),
            ("ws://[::1]:81/", false, "[::1]:81", 81, "/"),
            ("wss://[::1]/", true, "[::1]", 443, "/"),
        ] {
            let url = Url::parse(text).unwrap();
            let read = (url.secure, &*url.authority(), url.dialled(), &*url.target);
            assert_eq!(read, (secure, authority, dialled, target), "{text}");
        }
    }

    #[test]
    fn what_is_no_url_of_a_request_is_refused() {
        for (text, what) in [
            ("a.test/x", "it has no scheme"),
            ("data:text/plain,x", "it has no scheme"),
            ("ftp://a.test/", "`ftp` is no scheme of HTTP"),
            ("http://", "it has no host"),
            ("http://:80/", "it has no host"),
            ("http://u:p@a.test/", "it has a user name, which no client sends in a URL"),
            ("http://a.test:0/", "its port must be 1 to 65535"),
            ("http://a.test:x/", "its port must be 1 to 65535"),
            ("http://a.test/a b", "a blank cannot be in it"),
            ("http://a.test/a\r\nX: y", "the character '\\r' cannot be in it"),
        ] {
            assert_eq!(Url::parse(text).unwrap_err().what, what, "{text}");
        }
    }
}
