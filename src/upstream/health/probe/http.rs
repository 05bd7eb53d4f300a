//! HTTP: one request, of which the status and, where it is asked for, the body counts.

use super::super::finding::{Finding, said};
use super::super::pattern::Pattern;
use super::conversation::{HELD, late};
use super::dial::{Dialled, Wire};
use super::multiplexed::{self, Answer};
use crate::observe::reason::Outcome;
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{CONNECTION, HOST, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use tokio::time::{Instant, timeout_at};

/// A response head that is larger fails the check, bytes.
const MAX_HEAD: usize = 16 * 1024;

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Http {
    /// The method.
    pub method: String,
    /// The request target, in origin form.
    pub path: String,
    /// The Host header; `None`: the target's address.
    pub host: Option<String>,
    /// Further headers.
    pub headers: Vec<(String, String)>,
    /// The request's body.
    pub body: Vec<u8>,
    /// Whether HTTP/2 is spoken without being agreed on.
    pub h2: bool,
    /// Inclusive ranges of statuses that pass.
    pub expect: Vec<(u16, u16)>,
    /// What headers of the response must be, by their names.
    pub expect_headers: Vec<(String, Field)>,
    /// What the body of the response must hold.
    pub expect_body: Option<Pattern>,
    /// What it must not hold.
    pub expect_not_body: Option<Pattern>,
}

/// How a header must look. Where it occurs several times, one that fits is enough.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Field {
    /// It occurs.
    Present,
    /// It does not occur.
    Absent,
    /// It is this, byte by byte.
    Is(Vec<u8>),
    /// This is found in it.
    Holds(Pattern),
}

impl Field {
    fn is_in(&self, head: &HeaderMap, name: &str) -> bool {
        let mut values = head.get_all(name).iter().map(HeaderValue::as_bytes);
        match self {
            Self::Present => values.next().is_some(),
            Self::Absent => values.next().is_none(),
            Self::Is(wanted) => values.any(|value| value == wanted),
            Self::Holds(pattern) => values.any(|value| pattern.is_in(value)),
        }
    }
}

impl Default for Http {
    /// `GET /`, answered with a status of 200 to 399.
    fn default() -> Self {
        Self {
            method: "GET".into(),
            path: "/".into(),
            host: None,
            headers: Vec::new(),
            body: Vec::new(),
            h2: false,
            expect: vec![(200, 399)],
            expect_headers: Vec::new(),
            expect_body: None,
            expect_not_body: None,
        }
    }
}

impl Http {
    /// Asks `host`.
    pub(super) async fn ask(&self, dialled: Dialled, host: &str, deadline: Instant) -> Result<Finding, Finding> {
        let asked = async {
            if dialled.h2 || self.h2 {
                let scheme = if dialled.secure { "https" } else { "http" };
                let request = self.request(&format!("{scheme}://{host}{}", self.path), None, ())?;
                let enough = |body: &[u8]| self.is_decided(body);
                let body = Bytes::copy_from_slice(&self.body);
                return multiplexed::ask(dialled.wire, request, body, enough).await;
            }
            let request = self.request(&self.path, Some(host), Full::new(Bytes::copy_from_slice(&self.body)))?;
            self.ask_alone(dialled.wire, request).await
        };
        let answer = timeout_at(deadline, asked).await.map_err(|_| late())??;
        self.judge(&answer)
    }

    fn request<B>(&self, uri: &str, host: Option<&str>, body: B) -> Result<Request<B>, Finding> {
        let unfit = |what: String| Finding::new(Outcome::NotMade, format!("the check cannot be sent: {what}"));
        let method = Method::from_bytes(self.method.as_bytes()).map_err(|error| unfit(error.to_string()))?;
        let mut request = Request::builder().method(method).uri(uri);
        if let Some(host) = host {
            request = request.header(HOST, host).header(CONNECTION, HeaderValue::from_static("close"));
        }
        if !self.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("user-agent")) {
            request = request.header(USER_AGENT, HeaderValue::from_static("ringway-health"));
        }
        for (name, value) in &self.headers {
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|error| unfit(error.to_string()))?;
            request = request.header(name, value);
        }
        request.body(body).map_err(|error| unfit(error.to_string()))
    }

    /// The final response, and as much of its body as matters. The rest is never read.
    async fn ask_alone(&self, wire: Box<dyn Wire>, request: Request<Full<Bytes>>) -> Result<Answer, Finding> {
        let mut client = http1::Builder::new();
        client.max_buf_size(MAX_HEAD);
        let (mut sender, connection) = client.handshake(TokioIo::new(wire)).await.map_err(classify)?;
        let ask = async {
            let mut response = sender.send_request(request).await?;
            let mut held = Vec::new();
            while !self.is_decided(&held) && held.len() < HELD {
                let Some(frame) = response.body_mut().frame().await else { break };
                if let Some(data) = frame?.data_ref() {
                    held.extend_from_slice(&data[..data.len().min(HELD - held.len())]);
                }
            }
            let (status, head) = (response.status().as_u16(), std::mem::take(response.headers_mut()));
            Ok(Answer { status, head, body: held, trailers: HeaderMap::new() })
        };
        let mut ask = std::pin::pin!(ask);
        let answer = tokio::select! {
            biased;
            answer = &mut ask => answer,
            // What ended the connection is known better here; if nothing went wrong the response is there.
            ended = connection => match ended {
                Ok(()) => ask.await,
                Err(error) => Err(error),
            },
        };
        answer.map_err(classify)
    }

    /// Whether what has come of the body is enough to judge by. That something is not in it shows at its end.
    fn is_decided(&self, body: &[u8]) -> bool {
        let forbidden = self.expect_not_body.as_ref();
        if forbidden.is_some_and(|pattern| pattern.is_in(body)) {
            return true;
        }
        forbidden.is_none() && self.expect_body.as_ref().is_none_or(|pattern| pattern.is_in(body))
    }

    fn judge(&self, answer: &Answer) -> Result<Finding, Finding> {
        let Answer { status, head, body, .. } = answer;
        let code = u32::from(*status);
        if !self.expect.iter().any(|(from, to)| (*from..=*to).contains(status)) {
            return Err(Finding::coded(Outcome::BadStatus, code, ""));
        }
        if let Some((name, _)) = self.expect_headers.iter().find(|(name, wanted)| !wanted.is_in(head, name)) {
            let words = match head.get(name) {
                None => format!("the header `{name}` is not there"),
                Some(value) => format!("the header `{name}` is `{}`", said(value.as_bytes())),
            };
            return Err(Finding::coded(Outcome::BadAnswer, code, words));
        }
        let whole = if body.len() < HELD { "" } else { " in its first 64 KiB" };
        let wrong = match (&self.expect_body, &self.expect_not_body) {
            (Some(pattern), _) if !pattern.is_in(body) => format!("the body does not hold `{pattern}`{whole}"),
            (_, Some(pattern)) if pattern.is_in(body) => format!("the body holds `{pattern}`"),
            _ => return Ok(Finding::coded(Outcome::Answered, code, "")),
        };
        Err(Finding::coded(Outcome::BadAnswer, code, wrong))
    }
}

fn classify(error: hyper::Error) -> Finding {
    Finding::bad(if error.is_parse_too_large() {
        "the response head is too large"
    } else if error.is_parse() {
        "the answer is not HTTP/1"
    } else {
        "closed without an answer"
    })
}
