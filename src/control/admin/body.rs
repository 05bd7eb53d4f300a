//! Bodies and queries of requests: bounded, in time, of the right type, and with no field that nobody knows.

use super::problem::Problem;
use axum::body::{Bytes, HttpBody};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;
use std::time::Duration;
use tokio::time::timeout;

/// Bytes of a body.
const LARGEST: usize = 64 * 1024;
/// How long a body may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// A body in JSON.
pub(super) struct Json<T>(pub(super) T);

/// A body in JSON, or none.
pub(super) struct Optional<T>(pub(super) Option<T>);

/// What stands behind the `?` of a path.
pub(super) struct Query<T>(pub(super) T);

/// Pieces of a path.
pub(super) struct Path<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Optional<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        match request.body().is_end_stream() {
            true => Ok(Self(None)),
            false => Json::from_request(request, state).await.map(|Json(value)| Self(Some(value))),
        }
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let kind = request.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        if !kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json") {
            let what = "the body must come with `Content-Type: application/json`";
            return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, what));
        }
        let bytes = read(request).await?;
        // Fields in the order of an array are not what anybody means.
        if matches!(bytes.trim_ascii_start().first(), Some(first) if *first != b'{') {
            return Err(Problem::invalid("the body must be an object: `{ … }`"));
        }
        let mut deserializer = serde_json::Deserializer::from_slice(&bytes);
        let told = |error: serde_json::Error| {
            let status = if error.is_data() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::BAD_REQUEST };
            Problem::new(status, format!("the body is not what it should be: {error}"))
        };
        let value = T::deserialize(&mut deserializer).map_err(told)?;
        deserializer.end().map_err(told)?;
        Ok(Self(value))
    }
}

async fn read(request: Request) -> Result<Bytes, Problem> {
    let too_large = || Problem::new(StatusCode::PAYLOAD_TOO_LARGE, format!("a body may have {LARGEST} bytes"));
    let said =
        request.headers().get(axum::http::header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    if said.is_some_and(|said: u64| said > LARGEST as u64) {
        return Err(too_large());
    }
    match timeout(PATIENCE, Limited::new(request.into_body(), LARGEST).collect()).await {
        Err(_) => Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "the body did not come in time")),
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(_)) => Err(Problem::new(StatusCode::BAD_REQUEST, "the body broke off")),
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let query = parts.uri.query().unwrap_or_default();
        let mut pairs = serde_json::Map::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (name, value) = (decoded(name)?, decoded(value)?);
            if pairs.insert(name.clone(), value.into()).is_some() {
                return Err(Problem::invalid(format!("`{name}` stands twice in the query")));
            }
        }
        let told = |error: serde_json::Error| Problem::invalid(format!("the query is not what it should be: {error}"));
        serde_json::from_value(pairs.into()).map(Self).map_err(told)
    }
}

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match axum::extract::Path::from_request_parts(parts, state).await {
            Ok(axum::extract::Path(path)) => Ok(Self(path)),
            Err(error) => Err(Problem::new(StatusCode::BAD_REQUEST, format!("the path cannot be read: {error}"))),
        }
    }
}

/// Percent-encoding undone, `+` for a blank too.
fn decoded(text: &str) -> Result<String, Problem> {
    let wrong = || Problem::invalid(format!("`{text}` is not encoded as a query is"));
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        match first {
            b'+' => bytes.push(b' '),
            b'%' => {
                let digits = rest.get(..2).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit));
                let digits = digits.and_then(|digits| std::str::from_utf8(digits).ok()).ok_or_else(wrong)?;
                bytes.push(u8::from_str_radix(digits, 16).map_err(|_| wrong())?);
                rest = &rest[2..];
            }
            byte => bytes.push(*byte),
        }
    }
    String::from_utf8(bytes).map_err(|_| wrong())
}
