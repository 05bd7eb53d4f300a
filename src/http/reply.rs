//! Answers of Ringway's own: refusals, failures of targets, fixed answers and redirects.

use super::h1::{self, Asker, Incoming, Reject};
use super::head::RequestHead;
use crate::cache::store::flight::Refusal;
use crate::gateway::Denial;
use crate::observe::reason::{Failure, Reason};
use crate::plan::host::Host;
use crate::plan::{Redirect, Refused, Respond};
use crate::translate::status::escaped;
use std::sync::Arc;
use std::time::Duration;

/// An answer of Ringway's own.
#[derive(Debug)]
pub(super) struct Reply {
    /// The status.
    pub(super) status: u16,
    /// Why the request was refused, if it was.
    pub(super) refusal: Option<(Reason, &'static str)>,
    /// How the pool failed, if that is why.
    failure: Option<Failure>,
    content: Content,
    /// What a call of gRPC is told in place of what stands for the status.
    call: Option<Box<(u8, String)>>,
}

/// No `Retry-After`.
const UNSAID: u32 = 0;

#[derive(Debug)]
enum Content {
    /// The status in words and the request's id, and after how many seconds to try again; [`UNSAID`]: it is not said.
    Error(u32),
    /// The same, or no more than where to go, with these whole lines.
    Denied(Box<str>),
    /// These whole lines, and a document that says what is wrong.
    Problem(Box<(Box<str>, Box<str>)>),
    /// The length of what has no such range.
    Unsatisfiable(u64),
    /// What a route says.
    Fixed(Arc<Respond>),
    /// Elsewhere.
    Location(Vec<u8>),
    /// Nothing but these whole lines.
    Lines(Vec<u8>),
}

impl Reply {
    /// A request that we do not serve.
    pub(super) fn refusal(status: u16, reason: Reason) -> Self {
        Self {
            status,
            refusal: Some((reason, reason.word())),
            failure: None,
            content: Content::Error(UNSAID),
            call: None,
        }
    }

    /// A request that a rule refuses.
    pub(super) fn denied(denial: Denial) -> Self {
        let Denial { status, reason, word, challenges, retry_after, lines, problem, .. } = denial;
        let mut told: String =
            challenges.iter().map(|challenge| format!("WWW-Authenticate: {challenge}\r\n")).collect();
        told.push_str(&lines);
        if retry_after > 0 {
            told.push_str(&format!("Retry-After: {retry_after}\r\n"));
        }
        let content = match problem {
            Some(problem) => Content::Problem(Box::new((told.into(), problem))),
            None => Content::Denied(told.into()),
        };
        Self { status, refusal: Some((reason, word)), failure: None, content, call: None }
    }

    /// The answer to a browser that asks beforehand, of these whole lines.
    pub(super) fn preflight(lines: Vec<u8>) -> Self {
        Self { content: Content::Lines(lines), ..Self::bare(204) }
    }

    /// A path that could be read in two ways.
    pub(super) fn ambiguous_path(word: &'static str) -> Self {
        Self {
            status: 400,
            refusal: Some((Reason::AmbiguousPath, word)),
            failure: None,
            content: Content::Error(UNSAID),
            call: None,
        }
    }

    /// A body whose framing is wrong.
    pub(super) fn bad_body(word: &'static str) -> Self {
        Self {
            status: 400,
            refusal: Some((Reason::BadFraming, word)),
            failure: None,
            content: Content::Error(UNSAID),
            call: None,
        }
    }

    /// A head that the codec does not take.
    pub(super) fn reject(reject: Reject) -> Self {
        let reason = match (reject.status, reject.reason) {
            (414, _) | (_, "head-too-large") => Reason::HeadTooLarge,
            (431, _) => Reason::TooManyHeaders,
            (413, _) => Reason::BodyTooLarge,
            (505, _) => Reason::Version,
            (417, _) => Reason::Expectation,
            (426, _) => Reason::Upgrade,
            (501, "connect" | "trace" | "unknown-method") => Reason::Method,
            (_, word) if word.contains("websocket") => Reason::Upgrade,
            (_, word) if word.contains("host") => Reason::BadHost,
            (_, word) if ["length", "coding"].iter().any(|part| word.contains(part)) => Reason::BadFraming,
            _ => Reason::BadRequest,
        };
        Self {
            status: reject.status,
            refusal: Some((reason, reject.reason)),
            failure: None,
            content: Content::Error(UNSAID),
            call: None,
        }
    }

    /// A target that failed: 502, 503 or 504 (RFC 9110 §15.6).
    pub(super) fn failure(failure: Failure) -> Self {
        let status = match failure {
            Failure::NoTarget
            | Failure::StickyTarget
            | Failure::Down
            | Failure::QueueFull
            | Failure::QueueTimeout
            | Failure::Unprocessed => 503,
            Failure::ConnectTimeout | Failure::ResponseTimeout => 504,
            Failure::Internal => 500,
            _ => 502,
        };
        Self { failure: Some(failure), ..Self::bare(status) }
    }

    /// An answer of which a part is missing, with a document that says which; `refusal`: why that was not asked for.
    pub(super) fn incomplete(status: u16, refusal: Option<(Reason, &'static str)>, problem: Box<str>) -> Self {
        Self { refusal, content: Content::Problem(Box::new((Box::default(), problem))), ..Self::bare(status) }
    }

    /// How the pool failed, if that is why.
    pub(super) fn cause(&self) -> Option<Failure> {
        self.failure
    }

    /// The same, of which a call of gRPC is told by this status and in these words.
    pub(super) fn told_to_call(mut self, code: u32, what: &str) -> Self {
        let code = u8::try_from(code).unwrap_or(2);
        self.call = Some(Box::new((code, escaped(what))));
        self
    }

    /// By which status and in which words a call of gRPC is told of it, where it says so.
    pub(super) fn call(&self) -> Option<(u8, &str)> {
        self.call.as_deref().map(|(code, what)| (*code, what.as_str()))
    }

    /// A status that says it all.
    pub(super) fn bare(status: u16) -> Self {
        Self { status, refusal: None, failure: None, content: Content::Error(UNSAID), call: None }
    }

    /// A route in maintenance; 0 seconds: it is not said when to come again.
    pub(super) fn maintenance(status: u16, retry_after: u32) -> Self {
        Self { content: Content::Error(retry_after), ..Self::refusal(status, Reason::Maintenance) }
    }

    /// A route that has come to its end, or is as if it had.
    pub(super) fn ending(refused: &Refused<'_>) -> Self {
        let Refused { status, reason, retry_after, problem } = *refused;
        let told = if retry_after > 0 { format!("Retry-After: {retry_after}\r\n") } else { String::new() };
        Self { content: Content::Problem(Box::new((told.into(), problem.into()))), ..Self::refusal(status, reason) }
    }

    /// A range that lies beyond a content of this length (RFC 9110 §15.5.17).
    pub(super) fn unsatisfiable(length: u64) -> Self {
        Self { content: Content::Unsatisfiable(length), ..Self::bare(416) }
    }

    /// What was said to somebody who asked in several clients' place.
    pub(super) fn passed_on(refusal: Refusal) -> Self {
        Self { failure: refusal.failure, content: Content::Error(refusal.retry_after), ..Self::bare(refusal.status) }
    }

    /// What is to be said to those in whose place somebody asked.
    pub(super) fn as_refusal(&self) -> Refusal {
        let retry_after = match self.content {
            Content::Error(after) => after,
            _ => UNSAID,
        };
        Refusal { status: self.status, failure: self.failure, retry_after }
    }

    /// No target had room. Who comes again when those who wait now have been served or have given up may fare better.
    pub(super) fn busy(failure: Failure, wait: Duration) -> Self {
        let seconds = u32::try_from(wait.as_millis().div_ceil(1000)).unwrap_or(u32::MAX);
        Self { content: Content::Error(seconds.max(1)), ..Self::failure(failure) }
    }

    /// What a route says.
    pub(super) fn fixed(respond: &Arc<Respond>) -> Self {
        Self {
            status: respond.status,
            refusal: None,
            failure: None,
            content: Content::Fixed(respond.clone()),
            call: None,
        }
    }

    /// The same, unless a pool that it depends on is down: then what a monitor takes for a failure.
    pub(super) fn monitored(respond: &Arc<Respond>, is_leaving: bool) -> Self {
        let down = respond.fail_if_down.iter().find(|pool| !pool.any_up());
        let why = match down {
            Some(pool) => format!("pool {} is down\n", pool.name),
            None if is_leaving && !respond.fail_if_down.is_empty() => "leaving\n".to_owned(),
            None => return Self::fixed(respond),
        };
        Self::fixed(&Arc::new(Respond::new(503, why, "text/plain; charset=utf-8")))
    }

    /// What an authority looks for (RFC 8555 §8.3).
    pub(super) fn challenge(text: Box<str>) -> Self {
        Self::fixed(&Arc::new(Respond::new(200, text.into(), "application/octet-stream")))
    }

    /// To where a route points. What it does not say stays as the client asked for it, `scheme` too; a client that named no host cannot
    /// be sent back to it.
    pub(super) fn redirect(to: &Redirect, head: &RequestHead, text: &[u8], host: Host<'_>, scheme: &str) -> Self {
        if to.host.is_none() && host.name.is_empty() {
            return Self::refusal(400, Reason::BadHost);
        }
        let own_port = host.port.filter(|_| to.host.is_none() && to.scheme.is_none());
        let mut location = Vec::with_capacity(text.len());
        location.extend_from_slice(to.scheme.as_deref().unwrap_or(scheme).as_bytes());
        location.extend_from_slice(b"://");
        location.extend_from_slice(to.host.as_deref().map_or(host.name, str::as_bytes));
        if let Some(port) = to.port.or(own_port) {
            location.push(b':');
            location.extend_from_slice(itoa::Buffer::new().format(port).as_bytes());
        }
        match &to.path {
            Some(path) => location.extend_from_slice(path.as_bytes()),
            None => {
                let path = head.path.of(text);
                // RFC 9112 §3.2.2: an absolute form may leave the path out.
                location.extend_from_slice(if path.starts_with(b"/") { path } else { b"/" });
                if let Some(query) = head.query {
                    location.push(b'?');
                    location.extend_from_slice(query.of(text));
                }
            }
        }
        Self { status: to.status, refusal: None, failure: None, content: Content::Location(location), call: None }
    }

    /// To the folder that a path in normal form stands for, which ends in a slash. Such a path begins with one slash alone, so that it
    /// names no host.
    pub(super) fn to_folder(path: &[u8], head: &RequestHead, text: &[u8]) -> Self {
        let mut location = [path, b"/"].concat();
        if let Some(query) = head.query {
            location.push(b'?');
            location.extend_from_slice(query.of(text));
        }
        Self { content: Content::Location(location), ..Self::bare(301) }
    }

    /// To the same place over TLS.
    pub(super) fn to_https(head: &RequestHead, text: &[u8], host: Host<'_>) -> Self {
        let to = Redirect { scheme: Some("https".to_owned()), host: None, port: None, path: None, status: 308 };
        Self::redirect(&to, head, text, host, "http")
    }

    /// Whether it is the answer to a browser that asks beforehand, which says all that there is to say.
    pub(super) fn is_preflight(&self) -> bool {
        matches!(self.content, Content::Lines(_))
    }

    /// Whether it tells of an error, ours or the client's.
    pub(super) fn is_error(&self) -> bool {
        matches!(self.content, Content::Error(_) | Content::Denied(_) | Content::Problem(_)) && self.status >= 400
    }

    /// What the client is told beside the error, as a line: when to come again, or how to prove itself; nothing: it is not told.
    pub(super) fn told_line(&self) -> String {
        match &self.content {
            Content::Error(after) if *after != UNSAID => format!("Retry-After: {after}\r\n"),
            Content::Denied(lines) => lines.to_string(),
            Content::Problem(told) => told.0.to_string(),
            _ if self.status == 405 => "Allow: GET, HEAD\r\n".to_owned(),
            _ => String::new(),
        }
    }

    /// Where the client is sent, if it is.
    pub(super) fn location(&self) -> Option<&[u8]> {
        match &self.content {
            Content::Location(location) => Some(location),
            _ => None,
        }
    }

    /// What a route says, if it does.
    pub(super) fn respond(&self) -> Option<&Arc<Respond>> {
        match &self.content {
            Content::Fixed(respond) => Some(respond),
            _ => None,
        }
    }

    /// Appends the reply to `out`.
    pub(super) fn encode(&self, out: &mut Vec<u8>, asker: Asker<'_>, request_id: &str) {
        let plain = |extra, body| h1::Reply { status: self.status, extra, content_type: b"text/plain", body, asker };
        match &self.content {
            Content::Error(_) if self.status == 426 => {
                let body = b"426 Upgrade Required\n";
                h1::encode_reply(out, &plain(b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n", body));
            }
            Content::Denied(lines) if self.status < 400 => h1::encode_reply(out, &plain(lines.as_bytes(), b"")),
            Content::Error(_) | Content::Denied(_) => {
                h1::encode_error(out, self.status, &self.told_line(), request_id, asker);
            }
            Content::Problem(told) => {
                let (lines, problem) = &**told;
                let content_type = b"application/problem+json";
                h1::encode_reply(out, &h1::Reply { content_type, ..plain(lines.as_bytes(), problem.as_bytes()) });
            }
            Content::Unsatisfiable(length) => {
                let extra =
                    [b"Content-Range: bytes */", itoa::Buffer::new().format(*length).as_bytes(), b"\r\n"].concat();
                h1::encode_reply(out, &plain(&extra, b"416 Range Not Satisfiable\n"));
            }
            Content::Fixed(respond) => {
                let (content_type, body) = (respond.content_type.as_bytes(), respond.body.as_bytes());
                h1::encode_reply(out, &h1::Reply { content_type, ..plain(b"", body) });
            }
            Content::Lines(lines) => h1::encode_reply(out, &plain(lines, b"")),
            Content::Location(location) => {
                let extra = [b"Location: ", &location[..], b"\r\n"].concat();
                h1::encode_reply(out, &plain(&extra, b""));
            }
        }
    }
}

/// Whether a body may still come that has not been read.
pub(super) fn owes_body(incoming: &Incoming) -> bool {
    !matches!(incoming.framing, h1::Framing::None | h1::Framing::Length(0))
}
