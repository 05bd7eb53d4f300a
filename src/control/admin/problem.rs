//! Errors as operators get them: problem details in JSON (RFC 9457).

use crate::control::command::Refused;
use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::io::ErrorKind;

/// What went wrong, as RFC 9457 has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Problem {
    /// The status in words.
    pub title: String,
    /// The status.
    pub status: u16,
    /// What is wrong, and what to do.
    pub detail: String,
}

impl Problem {
    pub(super) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        let title = status.canonical_reason().unwrap_or("Error").to_owned();
        Self { title, status: status.as_u16(), detail: detail.into() }
    }

    pub(super) fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail)
    }

    pub(super) fn invalid(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, detail)
    }
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Absent(what) => Self::not_found(what),
            Refused::Conflict(what) => Self::new(StatusCode::CONFLICT, what),
            Refused::Invalid(what) => Self::invalid(what),
            Refused::Full(what) => Self::new(StatusCode::INSUFFICIENT_STORAGE, what),
            Refused::Stale => {
                let what = "somebody has changed it since: read it again, and use its new ETag in If-Match";
                Self::new(StatusCode::PRECONDITION_FAILED, what)
            }
            Refused::Unkept(file, error) => {
                let full = matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded);
                let status = if full { StatusCode::INSUFFICIENT_STORAGE } else { StatusCode::INTERNAL_SERVER_ERROR };
                let help = "make runtime.state_dir a folder that Ringway may write to, or say \"until\": \"restart\"";
                Self::new(status, format!("nothing is changed: `{file}` cannot be written: {error}; {help}"))
            }
            Refused::Busy => {
                let what =
                    "control has too much to do, or is ending: it may yet do what was asked; look again in a moment";
                Self::new(StatusCode::SERVICE_UNAVAILABLE, what)
            }
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = Response::new(Body::from(serde_json::to_string(&self).unwrap_or_default() + "\n"));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"ringway\""));
        }
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}
