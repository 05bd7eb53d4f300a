//! An endpoint that is asked for targets: bounded in time and size, over TLS with a certificate that is checked.

use super::found::Usual;
use super::listing;
use super::pace::Heard;
use crate::config::model::Discover;
use crate::control::chain;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper::header::{ACCEPT, AUTHORIZATION, ETAG, HeaderValue, IF_NONE_MATCH, USER_AGENT};
use hyper::{Request, StatusCode};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::time::timeout;

/// The largest answer that is read, in bytes: 10,000 targets take a tenth of it.
const LARGEST: usize = 8 << 20;
/// The largest token, in bytes.
const LONGEST: usize = 16 << 10;

/// An endpoint.
pub(super) struct Endpoint {
    url: String,
    usual: Usual,
    every: Duration,
    limit: Duration,
    token: Option<PathBuf>,
    ca: Option<PathBuf>,
    /// Made anew after a failure, as what it is checked by may have changed.
    way: Option<Way>,
    /// What the last good answer is known by (RFC 9110 §8.8.3).
    tag: Option<HeaderValue>,
}

#[derive(Clone)]
enum Way {
    Clear(Client<HttpConnector, Empty<Bytes>>),
    Secure(Client<HttpsConnector<HttpConnector>, Empty<Bytes>>),
}

impl Endpoint {
    pub(super) fn new(url: &str, discover: &Discover) -> Self {
        Self {
            url: url.to_owned(),
            usual: Usual::of(discover),
            every: discover.interval.0,
            limit: discover.timeout.0,
            token: discover.token_file.clone(),
            ca: discover.ca.clone(),
            way: None,
            tag: None,
        }
    }

    /// Asks it.
    pub(super) async fn ask(&mut self) -> Heard {
        let limit = self.limit;
        let asked = timeout(limit, self.exchange()).await;
        let result = asked.unwrap_or_else(|_| Err(format!("no answer within {limit:?}")));
        match result {
            Ok(heard) => heard,
            Err(why) => {
                self.way = None;
                Heard::Failed(why)
            }
        }
    }

    async fn exchange(&mut self) -> Result<Heard, String> {
        let way = match &self.way {
            Some(way) => way.clone(),
            None => self.way.insert(Way::new(&self.url, self.ca.clone()).await?).clone(),
        };
        let own_name = concat!("ringway/", env!("CARGO_PKG_VERSION"));
        let mut request = Request::get(&self.url)
            .header(USER_AGENT, own_name)
            .header(ACCEPT, "application/json, application/toml, text/plain");
        if let Some(tag) = &self.tag {
            request = request.header(IF_NONE_MATCH, tag);
        }
        if let Some(path) = self.token.clone() {
            request = request.header(AUTHORIZATION, bearer(path).await?);
        }
        let request = request.body(Empty::new()).map_err(|error| error.to_string())?;
        let answer = match way {
            Way::Clear(client) => client.request(request).await,
            Way::Secure(client) => client.request(request).await,
        };
        let (head, body) = answer.map_err(|error| chain(&error))?.into_parts();
        match head.status {
            StatusCode::OK => {}
            StatusCode::NOT_MODIFIED if self.tag.is_some() => return Ok(Heard::Same(self.every)),
            status => return Err(format!("status {}", status.as_u16())),
        }
        let body = Limited::new(body, LARGEST).collect().await.map_err(|error| chain(&*error))?.to_bytes();
        let usual = self.usual;
        let read = tokio::task::spawn_blocking(move || {
            let text = std::str::from_utf8(&body).map_err(|_| "the answer is not UTF-8".to_owned())?;
            listing::read(text, &usual)
        });
        let targets = read.await.map_err(|error| error.to_string())??;
        // One that could not be read must not count as known.
        self.tag = head.headers.get(ETAG).cloned();
        Ok(Heard::Targets(targets, self.every))
    }
}

impl Way {
    async fn new(url: &str, ca: Option<PathBuf>) -> Result<Self, String> {
        if url.starts_with("http://") {
            return Ok(Self::Clear(Client::builder(TokioExecutor::new()).build(HttpConnector::new())));
        }
        let tls = tokio::task::spawn_blocking(move || crate::tls::acme::client(ca.as_deref()));
        let tls = tls.await.map_err(|error| error.to_string())??;
        let connector = HttpsConnectorBuilder::new().with_tls_config(tls).https_only().enable_http1().build();
        Ok(Self::Secure(Client::builder(TokioExecutor::new()).build(connector)))
    }
}

/// What a token is sent as. Nothing of it is ever told.
async fn bearer(path: PathBuf) -> Result<HeaderValue, String> {
    let read = tokio::task::spawn_blocking(move || token(&path)).await.map_err(|error| error.to_string())??;
    let wrong = |_| "the token has characters that cannot be sent".to_owned();
    let mut value = HeaderValue::from_str(&format!("Bearer {read}")).map_err(wrong)?;
    value.set_sensitive(true);
    Ok(value)
}

fn token(path: &Path) -> Result<String, String> {
    let mut text = String::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(LONGEST as u64 + 1).read_to_string(&mut text))
        .map_err(|error| format!("the token in `{}` cannot be read: {}", path.display(), crate::net::reason(&error)))?;
    match text.trim() {
        "" => Err(format!("there is no token in `{}`", path.display())),
        token if token.len() > LONGEST => {
            Err(format!("the token in `{}` is longer than {LONGEST} bytes", path.display()))
        }
        token => Ok(token.to_owned()),
    }
}
