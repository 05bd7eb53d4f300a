//! A client with exact control over what it sends and when, that accepts only what RFC 9112 allows a server to send.

use super::PATIENCE;
use super::wire::{Broken, Head, Wire};
use std::io;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

/// One connection to the proxy.
pub struct Client(Wire);

/// One final response, and the interim ones before it.
#[derive(Clone, Debug)]
pub struct Response {
    pub status: u16,
    pub head: Head,
    pub body: Vec<u8>,
    pub trailers: Vec<(String, String)>,
    pub interim: Vec<u16>,
    /// The body ended with the connection, not by its own framing.
    pub until_close: bool,
}

impl Response {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn field(&self, name: &str) -> Option<String> {
        self.head.field(name)
    }

    /// The name of the [`super::Target`] that answered.
    pub fn target(&self) -> String {
        self.field("x-target").unwrap_or_default()
    }
}

/// A request head for host "site.test", with `fields` as whole lines without their CRLF.
pub fn request(method: &str, target: &str, fields: &[&str]) -> String {
    let mut text = format!("{method} {target} HTTP/1.1\r\nHost: site.test\r\n");
    for field in fields {
        text.push_str(field);
        text.push_str("\r\n");
    }
    text + "\r\n"
}

/// One request on a connection of its own.
#[track_caller]
pub fn fetch(address: &str, method: &str, target: &str, fields: &[&str]) -> Response {
    Client::to(address).ask(method, target, fields)
}

/// GET on a connection of its own.
#[track_caller]
pub fn get(address: &str, target: &str) -> Response {
    fetch(address, "GET", target, &["Connection: close"])
}

impl Client {
    /// Over a connection that stands.
    pub fn over(wire: Wire) -> Client {
        Client(wire)
    }

    /// The connection itself, for what speaks over it otherwise.
    pub fn into_wire(self) -> Wire {
        self.0
    }

    /// Connects to "1.2.3.4:5", "[::1]:5" or "unix:/path".
    #[track_caller]
    pub fn to(address: &str) -> Client {
        Client::try_to(address).unwrap_or_else(|e| panic!("cannot connect to {address}: {e}"))
    }

    pub fn try_to(address: &str) -> io::Result<Client> {
        Wire::connect(address, None).map(Client)
    }

    /// Whether a connection ends before a byte has come, which may be before we have even heard that it stands.
    pub fn is_refused(address: &str) -> bool {
        match Client::try_to(address) {
            Ok(mut client) => client.exact(1).is_err(),
            Err(error) => error.kind() == io::ErrorKind::ConnectionReset,
        }
    }

    /// Connects from one of this machine's own addresses, such as "127.0.0.2".
    #[track_caller]
    pub fn from(source: &str, address: &str) -> Client {
        let source = format!("{source}:0").parse().unwrap();
        Client(Wire::connect(address, Some(source)).unwrap_or_else(|e| panic!("cannot connect to {address}: {e}")))
    }

    /// Sends a request without body and reads the response.
    #[track_caller]
    pub fn ask(&mut self, method: &str, target: &str, fields: &[&str]) -> Response {
        self.send(request(method, target, fields));
        self.response_to(method).unwrap_or_else(|e| panic!("no response to {method} {target}: {e:?}"))
    }

    #[track_caller]
    pub fn get(&mut self, target: &str) -> Response {
        self.ask("GET", target, &[])
    }

    /// Sends a body with Content-Length and reads the response.
    #[track_caller]
    pub fn post(&mut self, target: &str, body: &[u8]) -> Response {
        self.send(request("POST", target, &[&format!("Content-Length: {}", body.len())]));
        self.send(body);
        self.response()
    }

    /// The response to anything but HEAD and CONNECT.
    #[track_caller]
    pub fn response(&mut self) -> Response {
        self.response_to("GET").unwrap_or_else(|e| panic!("no response: {e:?}"))
    }

    /// The final response to `method`; 101 is final.
    pub fn response_to(&mut self, method: &str) -> Result<Response, Broken> {
        let mut interim = Vec::new();
        loop {
            let head = self.head(PATIENCE)?;
            let status = status(&head)?;
            if status < 200 && status != 101 {
                interim.push(status);
                continue;
            }
            let mut response =
                Response { status, head, body: Vec::new(), trailers: Vec::new(), interim, until_close: false };
            if method != "HEAD" && status != 101 && status != 204 && status != 304 {
                self.body(&mut response)?;
            }
            return Ok(response);
        }
    }

    fn body(&mut self, response: &mut Response) -> Result<(), Broken> {
        if response.head.chunked() {
            let whole = self.chunked()?;
            (response.body, response.trailers) = (whole.body, whole.trailers);
        } else if let Some(length) = response.head.length() {
            response.body = self.exact(length)?;
        } else {
            response.body = self.until_end()?;
            response.until_close = true;
        }
        Ok(())
    }

    /// Whether the connection still answers.
    pub fn alive(&mut self) -> bool {
        self.try_send(request("GET", "/alive", &[])).is_ok() && self.response_to("GET").is_ok()
    }

    /// Sends `bytes` slowly; stops when the peer has gone.
    pub fn dribbled(mut self, bytes: impl AsRef<[u8]>, each: usize, pause: Duration) -> Client {
        let _ = self.dribble(bytes, each, pause);
        self
    }

    pub fn reset(self) {
        self.0.reset();
    }
}

/// The status of a response head.
pub fn status(head: &Head) -> Result<u16, Broken> {
    let mut words = head.start.splitn(3, ' ');
    match (words.next(), words.next().map(str::parse)) {
        (Some("HTTP/1.1"), Some(Ok(status))) => Ok(status),
        _ => Err(Broken::Malformed(format!("status line {:?}", head.start))),
    }
}

impl Deref for Client {
    type Target = Wire;
    fn deref(&self) -> &Wire {
        &self.0
    }
}

impl DerefMut for Client {
    fn deref_mut(&mut self) -> &mut Wire {
        &mut self.0
    }
}
