//! Requests to services that are no targets, as issuers of tokens: bounded in time and size, over TLS with a certificate that is
//! checked. Where an answer sends elsewhere is not followed.

use super::chain;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::header::{HeaderValue, USER_AGENT};
use hyper::{Request, Response};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use std::path::PathBuf;
use std::time::Duration;
use tokio::time::timeout;

/// The way to services.
#[derive(Clone)]
pub(super) struct Web {
    clear: Client<HttpConnector, Full<Bytes>>,
    secure: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

/// A body of a request.
pub(super) type Body = Full<Bytes>;

impl Web {
    /// One that checks certificates by the authorities in this file, or by those that the system trusts.
    ///
    /// Fails if there are none.
    pub(super) async fn new(ca: Option<PathBuf>) -> Result<Self, String> {
        let tls = tokio::task::spawn_blocking(move || crate::tls::acme::client(ca.as_deref()));
        let tls = tls.await.map_err(|error| error.to_string())??;
        let connector = HttpsConnectorBuilder::new().with_tls_config(tls).https_only().enable_http1().build();
        let clear = Client::builder(TokioExecutor::new()).build(HttpConnector::new());
        Ok(Self { clear, secure: Client::builder(TokioExecutor::new()).build(connector) })
    }

    /// The answer to a request, of at most so many bytes and within a time. Fails, with a message for operators, if there is none.
    pub(super) async fn ask(
        &self,
        mut request: Request<Body>,
        limit: Duration,
        largest: usize,
    ) -> Result<Response<Bytes>, String> {
        let own_name = HeaderValue::from_static(concat!("ringway/", env!("CARGO_PKG_VERSION")));
        request.headers_mut().entry(USER_AGENT).or_insert(own_name);
        let is_secure = request.uri().scheme_str() == Some("https");
        let whole = async {
            let answer = match is_secure {
                true => self.secure.request(request).await,
                false => self.clear.request(request).await,
            };
            let (head, body) = answer.map_err(|error| chain(&error))?.into_parts();
            let body = Limited::new(body, largest).collect().await.map_err(|error| chain(&*error))?.to_bytes();
            Ok(Response::from_parts(head, body))
        };
        timeout(limit, whole).await.unwrap_or_else(|_| Err(format!("no answer within {limit:?}")))
    }
}
