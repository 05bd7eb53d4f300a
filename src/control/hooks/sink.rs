//! Where records of a hook go.

use super::Part;
use crate::config::model::{Hook, SyslogTo};
use crate::control::chain;
use crate::observe::file::{Link, Server};
use crate::tls;
use http_body_util::{BodyExt, Full, Limited};
use hyper::Request;
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::time::Duration;
use tokio::time::timeout;

/// How long a server may take for an answer.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of an answer that are read.
const LARGEST: usize = 64 << 10;

/// What became of records.
#[derive(Default)]
pub(super) struct Sent {
    /// Bytes that are settled: whole lines, but for a file.
    pub(super) bytes: usize,
    /// Whether nobody will ever want them.
    pub(super) is_rejected: bool,
    /// What is wrong, if anything is.
    pub(super) trouble: Option<String>,
}

/// Where records go.
pub(super) enum Sink {
    Http { url: String, headers: HeaderMap, way: Option<Box<Way>> },
    File(PathBuf),
    Syslog { server: Server, origin: String, link: Option<Link> },
}

#[derive(Clone)]
pub(super) enum Way {
    Clear(Client<HttpConnector, Full<Bytes>>),
    Secure(Client<HttpsConnector<HttpConnector>, Full<Bytes>>),
}

impl Sink {
    /// That of a hook; nothing is opened yet.
    pub(super) fn new(hook: &Hook) -> Self {
        if let Some(path) = &hook.path {
            return Self::File(path.clone());
        }
        if let Some(to) = &hook.syslog {
            let server = match to {
                SyslogTo::Udp(address) => Server::Udp(*address),
                SyslogTo::Tcp(address) => Server::Tcp(*address),
                SyslogTo::Unix(path) => Server::Unix(path.clone()),
            };
            let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
            let origin = format!("{} ringway {} analytics - ", host.trim(), std::process::id());
            return Self::Syslog { server, origin, link: None };
        }
        let mut headers = HeaderMap::new();
        for (name, value) in &hook.headers {
            let pair = HeaderName::from_bytes(name.as_bytes()).ok().zip(HeaderValue::from_str(&value.0).ok());
            if let Some((name, mut value)) = pair {
                value.set_sensitive(true);
                headers.append(name, value);
            }
        }
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/jsonl"));
        headers.entry(USER_AGENT).or_insert(HeaderValue::from_static(concat!("ringway/", env!("CARGO_PKG_VERSION"))));
        Self::Http { url: hook.url.clone().unwrap_or_default(), headers, way: None }
    }

    /// Sends records, and says how far it came.
    pub(super) async fn send(&mut self, part: &Part) -> Sent {
        match self {
            Self::Http { url, headers, way } => match post(url, headers, way, part.bytes.clone()).await {
                Ok(is_rejected) => {
                    Sent { bytes: part.bytes.len(), is_rejected: is_rejected.is_some(), trouble: is_rejected }
                }
                Err(why) => Sent { trouble: Some(why), ..Sent::default() },
            },
            Self::File(path) => append(path.clone(), part.bytes.clone()).await,
            Self::Syslog { server, origin, link } => {
                let mut open = match link.take() {
                    Some(open) => open,
                    None => match Link::open(server).await {
                        Ok(open) => open,
                        Err(error) => return Sent { trouble: Some(error.to_string()), ..Sent::default() },
                    },
                };
                // Informational, of local0, now (RFC 5424 §6.2).
                let header = format!("<134>1 {} {origin}", jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S.%3fZ"));
                let mut lines = Vec::with_capacity(part.bytes.len() * 2);
                for line in part.bytes.split_inclusive(|byte| *byte == b'\n') {
                    lines.extend_from_slice(header.as_bytes());
                    lines.extend_from_slice(line);
                }
                let (progress, result) = open.send(&lines).await;
                let whole = lines.get(..progress.bytes).map_or(0, |done| memchr::memchr_iter(b'\n', done).count());
                let bytes = progress.bytes.saturating_sub(whole * header.len());
                match result {
                    Ok(()) => *link = Some(open),
                    Err(error) => return Sent { bytes, trouble: Some(error.to_string()), ..Sent::default() },
                }
                Sent { bytes, ..Sent::default() }
            }
        }
    }
}

/// Posts records. Returns why the server will never want them, if it says so; fails if they are to be sent again.
async fn post(
    url: &str,
    headers: &HeaderMap,
    way: &mut Option<Box<Way>>,
    body: Bytes,
) -> Result<Option<String>, String> {
    let pool = match way {
        Some(way) => way.clone(),
        None => way.insert(Box::new(open(url).await?)).clone(),
    };
    let mut request = Request::post(url).body(Full::new(body)).map_err(|error| error.to_string())?;
    *request.headers_mut() = headers.clone();
    let answer = async {
        match *pool {
            Way::Clear(pool) => pool.request(request).await,
            Way::Secure(pool) => pool.request(request).await,
        }
    };
    let answer = timeout(TIMEOUT, answer).await.map_err(|_| format!("no answer within {TIMEOUT:?}"))?;
    let answer = answer.map_err(|error| chain(&error))?;
    let status = answer.status().as_u16();
    // The connection can be used again once the answer is read.
    let _ = timeout(TIMEOUT, Limited::new(answer.into_body(), LARGEST).collect()).await;
    match status {
        200..300 => Ok(None),
        // They are too large, or make no sense, for good.
        400 | 413 | 415 | 422 => Ok(Some(format!("status {status}"))),
        _ => Err(format!("status {status}")),
    }
}

async fn open(url: &str) -> Result<Way, String> {
    if url.starts_with("http://") {
        return Ok(Way::Clear(Client::builder(TokioExecutor::new()).build(HttpConnector::new())));
    }
    let tls = tokio::task::spawn_blocking(|| tls::acme::client(None)).await.map_err(|error| error.to_string())??;
    let connector = HttpsConnectorBuilder::new().with_tls_config(tls).https_only().enable_http1().build();
    Ok(Way::Secure(Client::builder(TokioExecutor::new()).build(connector)))
}

/// Appends to a file, which is opened each time, so that it may be moved away.
async fn append(path: PathBuf, bytes: Bytes) -> Sent {
    let write = move || {
        let mut done = 0;
        let mut file = match OpenOptions::new().append(true).create(true).mode(0o640).open(&path) {
            Ok(file) => file,
            Err(error) => return Sent { trouble: Some(error.to_string()), ..Sent::default() },
        };
        while let Some(rest) = bytes.get(done..).filter(|rest| !rest.is_empty()) {
            match file.write(rest) {
                Ok(0) => return Sent { bytes: done, trouble: Some("nothing is taken".to_owned()), ..Sent::default() },
                Ok(written) => done += written,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Sent { bytes: done, trouble: Some(error.to_string()), ..Sent::default() },
            }
        }
        Sent { bytes: done, ..Sent::default() }
    };
    tokio::task::spawn_blocking(write)
        .await
        .unwrap_or_else(|error| Sent { trouble: Some(error.to_string()), ..Sent::default() })
}
