//! Requests to a collector, by OTLP over HTTP: bounded in time and size, and what its answers mean.

use crate::control::chain;
use crate::observe::trace::{Value, fields};
use crate::plan::Collector;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER, USER_AGENT};
use hyper::{Request, Response, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{Client as Pool, Error};
use hyper_util::rt::TokioExecutor;
use std::time::{Duration, SystemTime};
use tokio::time::timeout;

/// How long a collector may take for an answer.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How long it may take for what stands in it.
const DETAILS: Duration = Duration::from_secs(2);
/// The largest answer that is read, in bytes.
const LARGEST: usize = 64 << 10;
/// Characters of what it says about itself that are logged.
const QUOTE: usize = 200;

/// The way to a collector.
#[derive(Clone)]
pub(super) struct Client {
    pool: Way,
    uri: Uri,
    headers: HeaderMap,
}

#[derive(Clone)]
enum Way {
    Clear(Pool<HttpConnector, Full<Bytes>>),
    Secure(Pool<HttpsConnector<HttpConnector>, Full<Bytes>>),
}

/// What a collector answers.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// It has the spans, but for `rejected` of them.
    Taken {
        /// How many it does not want.
        rejected: u64,
        /// Why.
        why: String,
    },
    /// It will never want them.
    Refused(String),
    /// It may want them later, `after` that time if it says so.
    Later {
        /// Why.
        why: String,
        /// How long it asks to be left alone.
        after: Option<Duration>,
    },
}

impl Client {
    /// Fails, with a message for the user, if a URL or a header cannot be sent.
    pub(super) fn new(collector: &Collector) -> Result<Self, String> {
        let mut headers = HeaderMap::new();
        for (name, value) in &collector.headers {
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| "tracing.headers: a name cannot be sent")?;
            let value = HeaderValue::from_str(&value.0);
            let mut value = value.map_err(|_| format!("tracing.headers: the value of `{name}` cannot be sent"))?;
            value.set_sensitive(true);
            headers.append(name, value);
        }
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
        let own_name = HeaderValue::from_static(concat!("ringway/", env!("CARGO_PKG_VERSION")));
        headers.entry(USER_AGENT).or_insert(own_name);
        let uri = collector.url.parse().map_err(|error| format!("tracing.otlp: {error}"))?;
        let pool = match &collector.tls {
            None => Way::Clear(Pool::builder(TokioExecutor::new()).build(HttpConnector::new())),
            Some(tls) => {
                let builder = HttpsConnectorBuilder::new().with_tls_config((**tls).clone());
                let connector = builder.https_only().enable_http1().build();
                Way::Secure(Pool::builder(TokioExecutor::new()).build(connector))
            }
        };
        Ok(Self { pool, uri, headers })
    }

    /// Posts a request.
    pub(super) async fn post(self, body: Bytes) -> Answer {
        let mut request = Request::post(self.uri).body(Full::new(body)).unwrap_or_default();
        *request.headers_mut() = self.headers;
        let answer = async {
            match self.pool {
                Way::Clear(pool) => pool.request(request).await,
                Way::Secure(pool) => pool.request(request).await,
            }
        };
        match timeout(TIMEOUT, answer).await {
            Ok(answer) => read(answer).await,
            Err(_) => Answer::Later { why: format!("no answer within {TIMEOUT:?}"), after: None },
        }
    }
}

/// What an answer means (OTLP §OTLP/HTTP Response).
async fn read(answer: Result<Response<Incoming>, Error>) -> Answer {
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) => return Answer::Later { why: chain(&error), after: None },
    };
    let status = answer.status();
    let why = || format!("status {}", status.as_u16());
    match status.as_u16() {
        200..300 => {
            let details = timeout(DETAILS, Limited::new(answer.into_body(), LARGEST).collect()).await;
            let details = details.ok().and_then(Result::ok).map(|body| body.to_bytes());
            partial_success(&details.unwrap_or_default())
        }
        429 | 502 | 503 | 504 => Answer::Later { why: why(), after: retry_after(answer.headers(), SystemTime::now()) },
        _ => Answer::Refused(why()),
    }
}

/// What an `ExportTraceServiceResponse` says. What cannot be read says nothing: the status was that of success.
fn partial_success(message: &[u8]) -> Answer {
    let (mut rejected, mut why) = (0, String::new());
    let parts = fields(message).filter_map(|field| if let (1, Value::Bytes(part)) = field { Some(part) } else { None });
    for field in parts.flat_map(fields) {
        match field {
            (1, Value::Number(count)) => rejected = count,
            (2, Value::Bytes(text)) => why = String::from_utf8_lossy(text).chars().take(QUOTE).collect(),
            _ => {}
        }
    }
    Answer::Taken { rejected, why }
}

/// Seconds or a date (RFC 9110 §10.2.3).
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    match value.parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => httpdate::parse_http_date(value).ok()?.duration_since(now).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry_proto::tonic::collector::trace::v1::{ExportTracePartialSuccess, ExportTraceServiceResponse};
    use prost::Message;

    #[test]
    fn a_partial_success_is_read_and_garbage_is_a_whole_one() {
        let partial = ExportTracePartialSuccess { rejected_spans: 300, error_message: "too many\n".repeat(100) };
        let message = ExportTraceServiceResponse { partial_success: Some(partial) }.encode_to_vec();
        let Answer::Taken { rejected: 300, why } = partial_success(&message) else { panic!("it is partial") };
        assert_eq!(why.len(), QUOTE);
        for garbage in [&b""[..], b"\x0a\xff\xff\xff\xff\x0f", b"{\"partialSuccess\":{}}", &[0xff; 50]] {
            assert_eq!(partial_success(garbage), Answer::Taken { rejected: 0, why: String::new() });
        }
    }

    #[test]
    fn a_collector_says_how_long_it_wants_to_be_left_alone() {
        let after = |value: &'static str| {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static(value))]);
            retry_after(&headers, httpdate::parse_http_date("Fri, 27 Nov 2026 16:00:00 GMT").unwrap())
        };
        assert_eq!(after("7"), Some(Duration::from_secs(7)));
        assert_eq!(after("Fri, 27 Nov 2026 16:01:00 GMT"), Some(Duration::from_secs(60)));
        assert_eq!(after("Fri, 27 Nov 2026 15:00:00 GMT"), None);
        assert_eq!(after("soon"), None);
    }
}
