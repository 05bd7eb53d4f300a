//! What rules ask others, asked in their place: servers, and processors for what computes long.
//!
//! What always holds: so many questions at most are being asked at a time, and so many wait; one whose asker has gone is not asked any
//! more. Each has a time and a bound.

use super::passwords::Passwords;
use crate::gateway::{Failure, Fetch, Fetched, Question, Said, What};
use crate::net::{self, Desk, Put};
use crate::observe::counters::Passwords as Counts;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::{Request, Response};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client as Pool;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::ClientConfig;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;

/// Questions that may wait.
const ROOM: usize = 4096;
/// Servers that are asked at a time.
const AT_ONCE: usize = 256;
/// How long a connection is kept that nobody uses.
const IDLE: Duration = Duration::from_secs(30);

pub(super) type Asking = Put<Question, Result<Said, Failure>>;
type Clear = Pool<HttpConnector, Full<Bytes>>;
type Secure = Pool<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// The ways to servers, which keep connections.
struct Ways {
    clear: Clear,
    /// By the address of how TLS is spoken.
    secure: HashMap<usize, (Arc<ClientConfig>, Secure)>,
}

/// The way to a server.
enum Way {
    Clear(Clear),
    Secure(Secure),
}

/// Begins to answer on the calling thread's runtime, for as long as anybody may ask.
pub(super) fn open(passwords: Arc<Counts>) -> Desk<Question, Result<Said, Failure>> {
    let (desk, questions) = net::desk(ROOM);
    tokio::spawn(serve(questions, Passwords::new(passwords)));
    desk
}

async fn serve(mut questions: mpsc::Receiver<Asking>, mut passwords: Passwords) {
    let mut ways = Ways { clear: client().build(HttpConnector::new()), secure: HashMap::new() };
    let turns = Arc::new(Semaphore::new(AT_ONCE));
    loop {
        let asking = tokio::select! {
            Some(done) = passwords.next() => {
                passwords.tell(done);
                continue;
            }
            asking = questions.recv() => asking,
        };
        let Some(mut asking) = asking else { return };
        let Some(question) = asking.take().filter(|_| asking.is_wanted()) else { continue };
        match question.what {
            What::Fetch(fetch) => {
                let Ok(turn) = turns.clone().acquire_owned().await else { return };
                let way = ways.to(&fetch);
                tokio::spawn(async move {
                    asking.answer(ask(way, fetch).await.map(Said::Fetched));
                    drop(turn);
                });
            }
            What::Fits { password, hash } => passwords.ask(asking, password, hash),
            What::Keys(issuer) => {
                tokio::spawn(async move {
                    // What it says of itself, and its keys.
                    let asked = timeout(issuer.wanted().timeout * 2, issuer.refresh()).await;
                    asking.answer(asked.map(|()| Said::Keys).map_err(|_| Failure::Timeout));
                });
            }
        }
    }
}

fn client() -> hyper_util::client::legacy::Builder {
    let mut builder = Pool::builder(TokioExecutor::new());
    builder.pool_idle_timeout(IDLE).pool_timer(hyper_util::rt::TokioTimer::new());
    builder
}

impl Ways {
    fn to(&mut self, fetch: &Fetch) -> Way {
        let Some(tls) = &fetch.tls else { return Way::Clear(self.clear.clone()) };
        // Those of plans that have gone.
        self.secure.retain(|_, (tls, _)| Arc::strong_count(tls) > 1);
        let (_, way) = self.secure.entry(Arc::as_ptr(tls).addr()).or_insert_with(|| {
            let connector = HttpsConnectorBuilder::new().with_tls_config((**tls).clone()).https_only().enable_http1();
            (tls.clone(), client().build(connector.build()))
        });
        Way::Secure(way.clone())
    }
}

async fn ask(way: Way, fetch: Fetch) -> Result<Fetched, Failure> {
    let (time, most) = (fetch.timeout, fetch.most);
    let mut request = Request::builder().method(fetch.method).uri(fetch.url);
    for (name, value) in fetch.headers {
        request = request.header(&*name, value);
    }
    let request = request.body(Full::new(fetch.body.into())).map_err(|_| Failure::Away)?;
    let answer = async {
        let answer = match way {
            Way::Clear(pool) => pool.request(request).await,
            Way::Secure(pool) => pool.request(request).await,
        };
        read(answer.map_err(|_| Failure::Away)?, most).await
    };
    timeout(time, answer).await.unwrap_or(Err(Failure::Timeout))
}

async fn read(answer: Response<Incoming>, most: usize) -> Result<Fetched, Failure> {
    let (head, body) = answer.into_parts();
    let body = Limited::new(body, most).collect().await.map_err(|_| Failure::Away)?;
    let headers = head.headers.iter().map(|(name, value)| (name.as_str().into(), value.as_bytes().to_vec())).collect();
    Ok(Fetched { status: head.status.as_u16(), headers, body: body.to_bytes().to_vec() })
}
