//! Requests to an authority: over TLS with a certificate that is checked, and bounded in time and size.

use crate::control::chain;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::{Request, Response};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client as Pool;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient};
use std::path::Path;
use std::pin::Pin;
use std::time::Duration;
use tokio::time::timeout;

/// How long an authority may take for one answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// The largest answer, in bytes: a chain of certificates has some thousand.
const LARGEST: usize = 1 << 20;

type Cause = Box<dyn std::error::Error + Send + Sync>;

pub(super) struct Client(Pool<HttpsConnector<HttpConnector>, BodyWrapper<Bytes>>);

impl Client {
    /// Reads what the authority's certificate is checked by. Blocks.
    pub(super) fn new(ca: Option<&Path>) -> Result<Self, String> {
        let tls = crate::tls::acme::client(ca)?;
        let connector = HttpsConnectorBuilder::new().with_tls_config(tls).https_only().enable_http1().build();
        Ok(Self(Pool::builder(TokioExecutor::new()).build(connector)))
    }
}

impl HttpClient for Client {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let answer = self.0.request(request);
        Box::pin(async move {
            let whole = async {
                let (head, body) = answer.await.map_err(|error| Cause::from(chain(&error)))?.into_parts();
                let body = Limited::new(body, LARGEST).collect().await?.to_bytes();
                Ok(Response::from_parts(head, Full::new(body)))
            };
            match timeout(PATIENCE, whole).await {
                Ok(Ok(response)) => Ok(response.into()),
                Ok(Err(error)) => Err(Error::Other(error)),
                Err(_) => Err(Error::Other(format!("no answer within {PATIENCE:?}").into())),
            }
        })
    }
}
