//! The page for browsers: a few files that are part of the binary and the same for everybody. What it shows, and what it does, goes
//! through the API of [`admin`](super::admin).
//!
//! What always holds: nothing comes from elsewhere and nothing is written into the page, so that its policy can forbid both. A
//! browser asks each time whether a file is as it was, so that an upgrade is seen at the next look.
//!
//! May depend on nothing of `control`.

mod assets;

use assets::Asset;
use axum::Router;
use axum::extract::Path;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HeaderName, IF_NONE_MATCH, LOCATION,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

/// Where it is.
const PLACE: &str = "/dashboard/";

/// Scripts and styles of our own alone, no frame around it, and no form that goes anywhere.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";
const PERMISSIONS: &str = "camera=(), geolocation=(), microphone=(), payment=(), usb=()";

/// Whether this is a path of the page and no data.
pub(super) fn is_page(path: &str) -> bool {
    path == "/" || path.starts_with(PLACE) || Some(path) == PLACE.strip_suffix('/')
}

/// The page's files, and the ways to them.
pub(super) fn router() -> Router {
    let there = || async { (StatusCode::FOUND, [(LOCATION, HeaderValue::from_static(PLACE))]) };
    Router::new()
        .route("/", get(there))
        .route("/dashboard", get(there))
        .route(PLACE, get(|headers: HeaderMap| async move { show("index.html", &headers) }))
        .route(
            "/dashboard/{*file}",
            get(|Path(file): Path<String>, headers: HeaderMap| async move { show(&file, &headers) }),
        )
}

fn show(name: &str, headers: &HeaderMap) -> Response {
    let Some(asset) = Asset::find(name) else { return (StatusCode::NOT_FOUND, "no such file\n").into_response() };
    let tag = &asset.tag;
    let known = headers.get_all(IF_NONE_MATCH).iter().filter_map(|line| line.to_str().ok());
    let is_known = known.flat_map(|line| line.split(',')).any(|one| one.trim().trim_start_matches("W/") == *tag);
    let mut response = match is_known {
        true => StatusCode::NOT_MODIFIED.into_response(),
        false => asset.bytes.into_response(),
    };
    let fields = response.headers_mut();
    fields.insert(CONTENT_TYPE, HeaderValue::from_static(asset.kind()));
    fields.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    fields.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    fields.insert(HeaderName::from_static("permissions-policy"), HeaderValue::from_static(PERMISSIONS));
    if let Ok(tag) = HeaderValue::from_str(tag) {
        fields.insert(ETAG, tag);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_told_from_data() {
        for path in ["/", "/dashboard", "/dashboard/", "/dashboard/js/main.js"] {
            assert!(is_page(path), "{path}");
        }
        for path in ["/v1/status", "/metrics", "/dashboards", "/v1/dashboard/"] {
            assert!(!is_page(path), "{path}");
        }
    }

    #[test]
    fn what_a_browser_has_is_not_sent_again() {
        let first = show("index.html", &HeaderMap::new());
        assert_eq!(first.status(), StatusCode::OK);
        let mut headers = HeaderMap::new();
        headers.insert(IF_NONE_MATCH, first.headers()[ETAG].clone());
        assert_eq!(show("index.html", &headers).status(), StatusCode::NOT_MODIFIED);
        assert_eq!(show("js/main.js", &headers).status(), StatusCode::OK);
        assert_eq!(show("../mod.rs", &headers).status(), StatusCode::NOT_FOUND);
    }
}
