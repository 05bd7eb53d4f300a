//! The head that a target gets of a request that has become another one.

use crate::http::json::is_digest;
use std::time::Duration;

/// What stands in a head otherwise.
#[derive(Debug)]
pub(in crate::http) struct Change {
    /// Method, path and query in place of the client's.
    line: Option<Vec<u8>>,
    /// Whole lines that are added.
    adds: Vec<u8>,
    /// Whether what concerns calls of gRPC goes.
    drops_call: bool,
    /// Whether what says which answers are wanted goes.
    drops_accept: bool,
}

impl Change {
    /// To a call of the method at `path`, which may take so long.
    pub(in crate::http) fn to_call(path: &str, limit: Option<Duration>) -> Self {
        let mut adds = b"Content-Type: application/grpc+proto\r\n".to_vec();
        if let Some(limit) = limit {
            adds.extend_from_slice(timeout(limit).as_bytes());
        }
        let line = Some(format!("POST {path}").into_bytes());
        Self { line, adds, drops_call: true, drops_accept: true }
    }

    /// From a call of gRPC-Web, with messages in this format.
    pub(in crate::http) fn to_web_call(format: &[u8]) -> Self {
        let adds = [b"Content-Type: application/grpc", format, b"\r\n"].concat();
        Self { line: None, adds, drops_call: false, drops_accept: true }
    }

    /// To a request of REST.
    pub(in crate::http) fn to_rest(verb: &str, path: Vec<u8>, query: Vec<u8>, has_body: bool) -> Self {
        let mut line = [verb.as_bytes(), b" ", &path].concat();
        if !query.is_empty() {
            line.push(b'?');
            line.extend_from_slice(&query);
        }
        let mut adds = b"Accept: application/json\r\n".to_vec();
        if has_body {
            adds.extend_from_slice(b"Content-Type: application/json\r\n");
        }
        Self { line: Some(line), adds, drops_call: true, drops_accept: true }
    }

    /// To another body.
    pub(in crate::http) fn to_body(content_type: &str) -> Self {
        let adds = format!("Content-Type: {content_type}\r\n").into_bytes();
        Self { line: None, adds, drops_call: false, drops_accept: false }
    }

    /// Puts it into a head that we have written, which is all of `out`.
    pub(in crate::http) fn apply(&self, out: &mut Vec<u8>) {
        let text = std::mem::take(out);
        out.reserve(text.len() + self.adds.len() + 64);
        for (place, line) in text.split_inclusive(|&byte| byte == b'\n').enumerate() {
            match (place, &self.line) {
                (0, Some(own)) => {
                    out.extend_from_slice(own);
                    out.extend_from_slice(b" HTTP/1.1\r\n");
                }
                (0, None) => out.extend_from_slice(line),
                _ if line == b"\r\n" => {
                    out.extend_from_slice(&self.adds);
                    out.extend_from_slice(line);
                }
                _ if self.drops(line) => {}
                _ => out.extend_from_slice(line),
            }
        }
    }

    fn drops(&self, line: &[u8]) -> bool {
        let name = line.split(|&byte| byte == b':').next().unwrap_or_default();
        let is = |other: &str| name.eq_ignore_ascii_case(other.as_bytes());
        let begins =
            |start: &str| name.get(..start.len()).is_some_and(|own| own.eq_ignore_ascii_case(start.as_bytes()));
        // It tells of bytes that are others now, or says what is of no use to whoever reads the answer.
        is("content-type")
            || is("content-encoding")
            || is_digest(name)
            || is("accept-encoding")
            || self.drops_accept && is("accept")
            || self.drops_call && (begins("grpc-") || is("x-grpc-web"))
    }
}

/// The line that says how long a call may take: eight digits at most.
fn timeout(limit: Duration) -> String {
    match limit.as_millis() {
        millis @ 0..=99_999_999 => format!("grpc-timeout: {millis}m\r\n"),
        _ => format!("grpc-timeout: {}S\r\n", limit.as_secs().min(99_999_999)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_becomes_that_of_a_call() {
        let sent = b"GET /v1/a?b HTTP/1.1\r\nHost: a.test\r\nAccept: */*\r\nGrpc-Encoding: gzip\r\nX-A: b\r\nTE: trailers\r\n\r\n";
        let mut out = sent.to_vec();
        Change::to_call("/a.B/C", Some(Duration::from_secs(60))).apply(&mut out);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "POST /a.B/C HTTP/1.1\r\nHost: a.test\r\nX-A: b\r\nTE: trailers\r\n\
             Content-Type: application/grpc+proto\r\ngrpc-timeout: 60000m\r\n\r\n"
        );
        assert_eq!(timeout(Duration::from_secs(100_000_000)), "grpc-timeout: 99999999S\r\n");
    }
}
