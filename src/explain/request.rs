//! A request to ask about, and the head that a client would send.

use crate::config::url::Url;
use std::net::SocketAddr;

/// A request to ask about.
#[derive(Clone, Debug)]
pub struct Request {
    /// The method, as it is sent.
    pub method: String,
    /// Where it goes.
    pub url: String,
    /// Names and values in the order in which they are sent. `host` takes the place of the URL's.
    pub headers: Vec<(String, String)>,
    /// Whether no Host is sent, not even that of the URL.
    pub without_host: bool,
    /// Who connects.
    pub client: SocketAddr,
    /// The listener that it comes to; `None`: the one that the URL leads to.
    pub listener: Option<String>,
    /// Whether it comes by HTTP/2.
    pub http2: bool,
    /// The name that the handshake asks for; `None`: that of the URL.
    pub sni: Option<String>,
    /// The protocols that the handshake offers; empty: that of the request.
    pub alpn: Vec<String>,
}

/// Why a request cannot be asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unclear {
    /// What is wrong.
    pub what: String,
    /// What to do.
    pub help: Option<String>,
}

impl Unclear {
    /// With what to do.
    pub fn new(what: impl Into<String>, help: impl Into<Option<String>>) -> Self {
        Self { what: what.into(), help: help.into() }
    }
}

/// The fields of a connection, which HTTP/2 does not have (RFC 9113 §8.2.2).
pub(super) const OF_A_CONNECTION: [&str; 5] =
    ["connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"];

impl Request {
    /// GET, from this host.
    pub fn get(url: impl Into<String>) -> Self {
        Self {
            method: "GET".to_owned(),
            url: url.into(),
            headers: Vec::new(),
            without_host: false,
            client: SocketAddr::from(([127, 0, 0, 1], 0)),
            listener: None,
            http2: false,
            sni: None,
            alpn: Vec::new(),
        }
    }

    /// The same with headers in curl's forms: `Name: value`, `Name;` for one without a value, `Host:` for none.
    ///
    /// # Errors
    /// One that is none.
    pub fn with_headers(mut self, headers: &[String]) -> Result<Self, Unclear> {
        for header in headers {
            let (name, value) = match header.split_once(':') {
                Some((name, value)) => (name, value.trim()),
                None => match header.strip_suffix(';') {
                    Some(name) => {
                        self.headers.push((name.to_owned(), String::new()));
                        continue;
                    }
                    None => {
                        let help = "write -H 'Name: value', or -H 'Name;' for one without a value".to_owned();
                        return Err(Unclear::new(format!("`{header}` is no header"), help));
                    }
                },
            };
            match value {
                "" if name.eq_ignore_ascii_case("host") => self.without_host = true,
                "" => {}
                value => self.headers.push((name.to_owned(), value.to_owned())),
            }
        }
        Ok(self)
    }

    /// The URL, taken apart.
    pub(super) fn parts(&self) -> Result<Url, Unclear> {
        Url::parse(&self.url).map_err(|invalid| {
            Unclear::new(format!("`{}` is not a URL: {}", shown(&self.url), invalid.what), invalid.help)
        })
    }

    /// The head as a client of HTTP/1.1 sends it. A line that would end before its end is no header: what only bytes could
    /// say, no URL and no header is asked about.
    pub(super) fn head(&self, url: &Url) -> Result<Vec<u8>, Unclear> {
        let breaks = |text: &str| text.bytes().any(|byte| matches!(byte, b'\r' | b'\n' | 0));
        if self.method.is_empty() || breaks(&self.method) || self.method.contains(' ') {
            return Err(Unclear::new(format!("`{}` is no method", shown(&self.method)), None));
        }
        for (name, value) in &self.headers {
            if name.is_empty() || breaks(name) || breaks(value) {
                return Err(Unclear::new(format!("`{}: {}` is no header", shown(name), shown(value)), None));
            }
            if self.http2 && OF_A_CONNECTION.contains(&&*name.to_ascii_lowercase()) {
                let what = format!("HTTP/2 has no header `{}`: the stream would be reset", shown(name));
                return Err(Unclear::new(what, "leave it out, or ask without --http2".to_owned()));
            }
        }
        let mut text = format!("{} {} HTTP/1.1\r\n", self.method, url.target);
        let named = self.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host"));
        if !named && !self.without_host {
            text += &format!("Host: {}\r\n", url.authority());
        }
        for (name, value) in &self.headers {
            text += &format!("{name}: {value}\r\n");
        }
        Ok((text + "\r\n").into_bytes())
    }
}

/// Text of others for a terminal: what could steer it, or turn the order of letters, is written out.
pub(super) fn shown(text: &str) -> String {
    let steers = |c: char| {
        c.is_control() || matches!(c, '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().fold(String::new(), |mut shown, c| {
        match steers(c) {
            true => shown.extend(c.escape_unicode()),
            false => shown.push(c),
        }
        shown
    })
}
