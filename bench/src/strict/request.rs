//! What request number N is: every choice follows from its id, so a failure can be looked at again.

use crate::pattern::{self, Side};
use std::io::Write;

/// How requests are to vary.
#[derive(clap::Args, Clone, Debug)]
pub struct Mix {
    /// Methods: "get" alone, or "mix" for GET, HEAD, DELETE, OPTIONS and, with bodies, POST and PUT.
    #[arg(long, value_enum, default_value = "mix")]
    pub methods: Methods,
    /// Share of requests that carry a body, 0 to 1.
    #[arg(long, default_value_t = 0.3)]
    pub bodies: f64,
    /// Share of bodies, of either direction, that are chunked, 0 to 1.
    #[arg(long, default_value_t = 0.3)]
    pub chunked: f64,
    /// Share of requests that end their connection, 0 to 1.
    #[arg(long, default_value_t = 0.02)]
    pub close: f64,
    /// Body sizes in bytes; each is as likely as it is often in the list.
    #[arg(long, value_delimiter = ',', default_value = "0,1,128,128,128,128,4096,4096,65536")]
    pub sizes: Vec<usize>,
}

/// See [`Mix::methods`].
#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Methods {
    /// GET without bodies.
    Get,
    /// All of them.
    Mix,
}

/// A request.
#[derive(Clone, Debug)]
pub struct Request {
    /// Unique over all runs that share a backend.
    pub id: u64,
    /// The method.
    pub method: &'static str,
    /// The body's size in bytes, if there is one.
    pub body: Option<usize>,
    chunked: bool,
    /// The answer's size in bytes.
    pub answer: usize,
    /// Whether the backend is asked to chunk its answer.
    answer_chunked: bool,
    /// Whether it says `Connection: close`.
    pub close: bool,
}

impl Request {
    /// The request with this id.
    pub fn new(id: u64, mix: &Mix) -> Self {
        let mut random = fastrand::Rng::with_seed(id);
        let mut share = |share: f64| random.f64() < share;
        let (body, chunked, answer_chunked, close) =
            (share(mix.bodies), share(mix.chunked), share(mix.chunked), share(mix.close));
        let methods: &[&str] = match (mix.methods, body) {
            (Methods::Get, _) => &["GET"],
            (Methods::Mix, true) => &["POST", "PUT"],
            (Methods::Mix, false) => &["GET", "GET", "GET", "GET", "GET", "HEAD", "DELETE", "OPTIONS"],
        };
        let method = random.choice(methods).copied().unwrap_or("GET");
        let mut size = || random.choice(&mix.sizes).copied().unwrap_or(0);
        let body = (body && mix.methods == Methods::Mix).then(&mut size);
        Self { id, method, body, chunked, answer: size(), answer_chunked, close }
    }

    /// Whether a proxy may send it twice (RFC 9110 section 9.2.2).
    pub fn is_idempotent(&self) -> bool {
        self.method != "POST"
    }

    /// What it asks for, below `prefix`.
    pub fn path(&self, prefix: &str) -> String {
        let chunked = if self.answer_chunked { "&chunked=1" } else { "" };
        format!("{prefix}/strict/{:x}?size={}{chunked}", self.id, self.answer)
    }

    /// The whole message, with a cookie if there is one.
    pub fn render(&self, host: &str, prefix: &str, cookie: Option<&str>, out: &mut Vec<u8>) {
        let Self { id, method, .. } = self;
        let path = self.path(prefix);
        out.clear();
        // Writing to a Vec cannot fail.
        let _ = write!(out, "{method} {path} HTTP/1.1\r\nhost: {host}\r\n");
        let _ = write!(out, "x-strict-id: {id:x}\r\n{}", if self.close { "connection: close\r\n" } else { "" });
        if let Some(cookie) = cookie {
            let _ = write!(out, "cookie: {cookie}\r\n");
        }
        match self.body {
            None => out.extend_from_slice(b"\r\n"),
            Some(size) if !self.chunked => {
                let _ = write!(out, "content-length: {size}\r\n\r\n");
                self.append(0, size, out);
            }
            Some(size) => {
                out.extend_from_slice(b"transfer-encoding: chunked\r\n\r\n");
                let mut at = 0;
                while at < size {
                    let count = (size - at).min(1 + (id % 5000) as usize);
                    let _ = write!(out, "{count:x}\r\n");
                    self.append(at, count, out);
                    out.extend_from_slice(b"\r\n");
                    at += count;
                }
                out.extend_from_slice(b"0\r\n\r\n");
            }
        }
    }

    /// Appends `count` bytes of its body from `at` on.
    pub fn append(&self, at: usize, count: usize, out: &mut Vec<u8>) {
        let start = out.len();
        out.resize(start + count, 0);
        pattern::fill(self.id, Side::Request, at as u64, &mut out[start..]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::request::{Wanted, parse};

    #[test]
    fn what_is_rendered_is_what_the_backend_reads() {
        let sizes = vec![0, 1, 5000, 20_000];
        let mix = Mix { methods: Methods::Mix, bodies: 0.5, chunked: 0.5, close: 0.1, sizes };
        let mut wire = Vec::new();
        for id in 1..500 {
            let request = Request::new(id, &mix);
            request.render("h", "", Some("a=b"), &mut wire);
            let mut read = parse(&wire).unwrap().unwrap();
            let wanted = Wanted::Strict { id, size: request.answer, chunked: request.answer_chunked };
            assert_eq!((read.wanted, read.close, read.idempotent), (wanted, request.close, request.is_idempotent()));
            let mut check = crate::pattern::Check::new(id, Side::Request);
            let taken = read.body.feed(&wire[read.head..], |piece| check.feed(piece)).unwrap();
            assert!(read.body.is_complete() && read.head + taken == wire.len());
            assert_eq!((check.seen(), check.wrong_at()), (request.body.unwrap_or(0) as u64, None));
        }
    }
}
