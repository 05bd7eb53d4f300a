//! The configuration compiled into the immutable [`Plan`]: routers and pools. Pure, but for reading the files that the
//! TLS of a listener or a pool names, and that of a secret: no other I/O.
//!
//! A plan is valid by construction: every index in it points at something, and no two of its routes tie.
//!
//! May depend on `config`, `gateway`, `upstream`, `tls`, `translate`, `net` (addresses) and `observe` (the shape of the counters).

mod aggregate;
mod alike;
mod apis;
mod cache;
mod compile;
mod compress;
mod edge;
mod edits;
pub mod files;
mod front;
pub mod guard;
pub mod host;
mod lifecycle;
mod live;
mod mirror;
mod own;
mod pages;
mod passage;
pub mod path;
mod pool;
mod probes;
mod retry;
mod rewrite;
pub mod router;
mod rules;
mod security;
mod sharing;
mod site;
mod sockets;
mod split;
mod sticky;
mod tracing;
mod translation;
mod udp;
mod vary;

use crate::config::model::{Compression, Config};
use crate::gateway::condition::Condition;
use crate::gateway::issuer::Issuer;
use crate::gateway::{Aftermath, Chain, Cors, Tarpit};
use crate::net::{self, Address};
use crate::observe::counters::Shape;
use crate::tls::{self, Edge, acme};
use ipnet::IpNet;
use path::Forms;
use router::Router;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

pub use aggregate::{Aggregate, Part};
pub use cache::{Caching, Store};
pub use compile::{compile, inherit, renew, succeed};
pub use compress::{Breach, Compress, Effort, Tags, Whose};
pub use edits::{Edit, Edits};
pub use front::{Front, Headers};
pub use guard::Guard;
pub use lifecycle::{Lifecycle, Refused, Stage};
pub use mirror::{MIRRORED, Mirror, MirrorMethods};
pub use own::{Redirect, Respond};
pub use pages::{Content, Maintenance, Page, Pages};
pub use passage::Passages;
pub use pool::{Check, Key, Pool};
pub use retry::{Conditions, Methods, Retry};
pub use rewrite::{Back, Query, Rewrite, Step};
pub use rules::{BodyEdit, Counted, KeptKeys, KeptQuota, Keys, Lasting};
pub use sharing::Sharing;
pub use site::Site;
pub use sockets::SocketSetup;
pub use split::{Choice, Split};
pub use tracing::{Collector, Tracing};
pub use translation::{StreamForm, Translation, Translations, What};
pub use udp::Udp;

/// What a process runs: immutable, shared by all threads.
#[derive(Debug)]
pub struct Plan {
    /// Process-wide settings.
    pub runtime: Runtime,
    /// Bounds on what clients may send.
    pub limits: Limits,
    /// Which exchanges are told of as traces, and to whom; `None`: nothing is traced.
    pub tracing: Option<Arc<Tracing>>,
    /// How hosts share what they know; `None`: this one has its own.
    pub sharing: Option<Arc<Sharing>>,
    /// In the order of their names.
    pub listeners: Vec<Arc<Listener>>,
    /// In the order of their names.
    pub routes: Vec<Route>,
    /// In the order of their names.
    pub pools: Vec<Pool>,
    /// Where answers are kept, in the order of their names.
    pub caches: Vec<Store>,
    /// What rules know that outlives the plan.
    pub lasting: Lasting,
    /// What is described of APIs.
    pub apis: apis::Apis,
    /// What requests and answers may become.
    pub translations: Translations,
    /// The issuers of tokens whose keys are fetched, with the names of the rules that they are for.
    pub issuers: Vec<(String, Arc<Issuer>)>,
    /// Health checks to run, for pools that have them.
    pub checks: Vec<Check>,
    /// Certificates to ask authorities for, for listeners that want them.
    pub acme: Vec<Arc<acme::Spec>>,
    /// The answers to the challenges of these authorities.
    pub answers: Arc<acme::Answers>,
    /// The keys of tickets.
    pub rings: tls::Rings,
    /// What it was compiled from.
    pub config: Config,
    /// What stands in the files that were read for it alone.
    pub files: files::Files,
    /// Where those are kept waiting who are refused.
    pub tarpits: Vec<Arc<Tarpit>>,
    /// What the counters are counted under; its last route stands for requests that no route took.
    pub shape: Shape,
    /// What its rules count.
    pub counted: Vec<Counted>,
}

/// Process-wide settings.
#[derive(Clone, Copy, Debug)]
pub struct Runtime {
    /// Data-plane threads.
    pub workers: usize,
    /// What the workers run on.
    pub driver: net::Driver,
    /// How long live exchanges get when the process is told to end.
    pub shutdown_timeout: Duration,
    /// How long live connections get when a new process has taken over.
    pub upgrade_drain: Duration,
    /// Old processes that may serve their last connections at a time.
    pub upgrade_max_old: usize,
    /// Client connections; `None`: as the file limit allows.
    pub max_connections: Option<usize>,
    /// Exchanges that take longer, in nanoseconds, are worth a look, as are those that fail; `None`: nobody looks.
    pub slow: Option<u64>,
}

/// Bounds on what clients may send.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Bytes of a request head.
    pub request_head: usize,
    /// Header lines.
    pub headers: usize,
    /// Bytes of a request body; `None`: any.
    pub request_body: Option<u64>,
    /// Bytes that may be held to compress and decompress, by all workers.
    pub compression: usize,
    /// Bytes that verified tokens may take, of all workers.
    pub verified_tokens: u64,
    /// Bytes of request bodies that are held for another try, by all workers.
    pub retry_bodies: usize,
    /// Bytes of bodies that routes buffer in memory, by all workers.
    pub buffers: usize,
    /// Bytes of them on the disk.
    pub buffers_disk: u64,
    /// Where on the disk.
    pub temp_dir: Arc<Path>,
}

/// A listener.
#[derive(Debug)]
pub struct Listener {
    /// Its name in the configuration.
    pub name: String,
    /// Its position in the plan.
    pub index: usize,
    /// What to bind.
    pub addresses: Vec<Address>,
    /// What it speaks.
    pub protocol: Protocol,
    /// Bounds on what clients may take.
    pub timeouts: ListenerTimeouts,
    /// How they are bound and listened on.
    pub sockets: SocketSetup,
    /// Who may connect; `None`: everybody.
    pub guard: Option<Box<Guard>>,
    /// What precedes TLS and the protocol; `None`: nothing does.
    pub front: Option<Box<Front>>,
    /// What ends TLS here; `None`: clients speak in clear.
    pub tls: Option<Arc<Edge>>,
    /// What comes of refusals here; `None`: nothing does.
    pub aftermath: Option<Box<Aftermath>>,
}

impl Listener {
    /// Whether an address is that of a proxy in front, so that whoever is behind it would be meant with it.
    pub fn is_fronted_by(&self, ip: IpAddr) -> bool {
        let trusted = matches!(&self.protocol, Protocol::Http(http) if http.trusts(ip));
        let header = self.front.as_ref().and_then(|front| front.header.as_ref());
        trusted || header.is_some_and(|header| header.names(ip))
    }
}

impl Plan {
    /// The listener of this name.
    pub fn listener(&self, name: &str) -> Option<&Arc<Listener>> {
        let place = self.listeners.binary_search_by(|listener| listener.name.as_str().cmp(name)).ok()?;
        self.listeners.get(place)
    }

    /// The pool of this name.
    pub fn pool(&self, name: &str) -> Option<&Pool> {
        let place = self.pools.binary_search_by(|pool| pool.shared.name.as_str().cmp(name)).ok()?;
        self.pools.get(place)
    }

    /// When requests of the route of this name are tried again.
    pub fn retry(&self, name: &str) -> Option<&Retry> {
        let place = self.routes.binary_search_by(|route| route.name.as_str().cmp(name)).ok()?;
        match &self.routes[place].action {
            Action::Forward(forward) => Some(&forward.retry),
            Action::Files(site) => site.otherwise.as_ref().map(|forward| &forward.retry),
            Action::Aggregate(aggregate) => aggregate.parts.first().map(|part| &part.forward.retry),
            _ => None,
        }
    }

    /// Whether any route compresses.
    pub fn compresses(&self) -> bool {
        self.config.routes.values().any(|route| route.compress != Compression::Off)
    }

    /// Its listeners for datagrams, with what is particular to them.
    pub fn datagrams(&self) -> impl Iterator<Item = (&Listener, &Udp)> {
        self.listeners.iter().filter_map(|listener| match &listener.protocol {
            Protocol::Udp(udp) => Some((&**listener, udp)),
            Protocol::Tcp { .. } | Protocol::Http(_) => None,
        })
    }

    /// Who may connect, by the positions of listeners where not everybody may.
    pub fn guards(&self) -> impl Iterator<Item = (usize, &Guard)> {
        self.listeners.iter().filter_map(|listener| Some((listener.index, listener.guard.as_deref()?)))
    }

    /// The names of its listeners, in their order.
    pub fn listener_names(&self) -> impl Iterator<Item = &str> {
        self.listeners.iter().map(|listener| listener.name.as_str())
    }
}

impl Listener {
    /// Whether datagrams come to it.
    pub fn is_udp(&self) -> bool {
        matches!(self.protocol, Protocol::Udp(_))
    }

    /// Whether who came in by `old` may stay: what was agreed on with them is what would be agreed on now.
    pub fn continues(&self, old: &Self) -> bool {
        let same_speech = matches!(
            (&self.protocol, &old.protocol),
            (Protocol::Tcp { .. }, Protocol::Tcp { .. })
                | (Protocol::Udp(_), Protocol::Udp(_))
                | (Protocol::Http(_), Protocol::Http(_))
        );
        let same_tls = match (&self.tls, &old.tls) {
            (None, None) => true,
            (Some(new), Some(old)) => Arc::ptr_eq(new, old) || new.agrees_as(old),
            _ => false,
        };
        same_speech && same_tls
    }
}

/// What a listener speaks.
#[derive(Debug)]
pub enum Protocol {
    /// Bytes to one pool.
    Tcp {
        /// Position of the pool; `None`: only what a route passes on gets anywhere.
        pool: Option<usize>,
    },
    /// Datagrams to one pool.
    Udp(Udp),
    /// HTTP/1.
    Http(Http),
}

/// What is particular to an HTTP listener.
#[derive(Debug)]
pub struct Http {
    /// Finds positions in [`Http::routes`].
    pub router: Router,
    /// The routes on this listener, as positions in the plan.
    pub routes: Vec<usize>,
    /// Where goes what no route takes.
    pub fallback: Option<Arc<Forward>>,
    /// The challenges of authorities that are answered before anything else; `None` where there are none.
    pub answers: Option<Arc<acme::Answers>>,
    /// Whether everything is redirected to https.
    pub redirect_https: bool,
    /// Whose forwarding headers count.
    pub trusted_proxies: Vec<IpNet>,
    /// Whether `X-Forwarded-*` are written.
    pub x_forwarded: bool,
    /// Whether `Forwarded` (RFC 7239) is written.
    pub forwarded: bool,
    /// Whether `Upgrade: websocket` makes a tunnel.
    pub websocket: bool,
    /// The line that tells browsers to come over TLS only, or nothing.
    pub hsts: Box<[u8]>,
    /// What clients see in place of errors where no route says so; `None`: what there is by default.
    pub pages: Option<Arc<Pages>>,
}

/// Bounds on what clients may take.
#[derive(Clone, Copy, Debug)]
pub struct ListenerTimeouts {
    /// From a request's first byte to the end of its head.
    pub request_head: Duration,
    /// Silence of a client that owes body bytes.
    pub client_body: Duration,
    /// How long a peer may take no byte.
    pub write_stall: Duration,
    /// Between requests.
    pub idle: Duration,
}

/// A route.
#[derive(Debug)]
pub struct Route {
    /// Its name in the configuration.
    pub name: String,
    /// The version of the API that it serves; empty: it says none.
    pub version: String,
    /// What it does.
    pub action: Action,
    /// What its paths may have that targets may read otherwise.
    pub allowed: Forms,
    /// What is decided of its requests before they go on; `None`: nothing.
    pub rules: Option<Arc<Chain>>,
    /// What comes of refusals here; `None`: nothing does.
    pub aftermath: Option<Box<Aftermath>>,
    /// Whose scripts may read its answers; `None`: nothing is said of that.
    pub cors: Option<Arc<Cors>>,
    /// What it changes in heads; `None`: nothing.
    pub edits: Option<Arc<Edits>>,
    /// What clients see in place of errors; `None`: what there is by default.
    pub pages: Option<Arc<Pages>>,
    /// What they see in place of all that it does, and when; `None`: nothing, never.
    pub maintenance: Option<Arc<Maintenance>>,
    /// How it comes to its end; `None`: it does not.
    pub lifecycle: Option<Arc<Lifecycle>>,
    /// What has to hold of its requests, which its router asks; `None`: nothing.
    pub when: Option<Arc<Condition>>,
}

/// What a route does.
#[derive(Debug)]
pub enum Action {
    /// Forwards to a pool.
    Forward(Arc<Forward>),
    /// Puts together what several pools say.
    Aggregate(Arc<Aggregate>),
    /// Sends files.
    Files(Arc<Site>),
    /// Answers by itself.
    Respond(Arc<Respond>),
    /// Sends the client elsewhere.
    Redirect(Redirect),
    /// Passes TLS on to the pool at this position, unopened: no request ever takes it.
    Pass(usize),
}

/// How a request is forwarded.
#[derive(Clone, Debug)]
pub struct Forward {
    /// Position of the pool.
    pub pool: usize,
    /// Removed from the front of the path.
    pub strip_prefix: Option<String>,
    /// The `Host` that the target sees.
    pub host: Host,
    /// When it is tried again.
    pub retry: Retry,
    /// After which time without an answer a second target is asked as well.
    pub hedge: Option<Duration>,
    /// Where its requests stand in the pool's queue: lower ones go first.
    pub priority_class: i32,
    /// What it changes in heads, as its route says; `None`: nothing.
    pub edits: Option<Arc<Edits>>,
    /// What of a request's URL targets see otherwise; `None`: what `strip_prefix` and `host` say alone.
    pub rewrite: Option<Arc<Rewrite>>,
    /// The method that targets are asked by in place of the client's; see [`Forward::method`].
    pub method: Option<Box<str>>,
    /// What rules change in JSON bodies; `None`: nothing.
    pub bodies: Option<Arc<Bodies>>,
    /// How targets are told that clients came; `None`: as they did.
    pub scheme: Option<&'static str>,
    /// Bytes of a request's body that are taken before a target is chosen; `None`: it streams.
    pub buffer_request: Option<usize>,
    /// Bytes of an answer that are taken for a client that reads slowly; `None`: it streams.
    pub buffer_response: Option<usize>,
    /// Bytes of each of them that go to the disk where memory has no more room; `None`: none do.
    pub buffer_disk: Option<u64>,
    /// Bytes of a request body, in place of what holds for all; `None`: that.
    pub request_body: Option<u64>,
    /// How answers are kept; `None`: they are not.
    pub cache: Option<Arc<Caching>>,
    /// How its answers are compressed; `None`: they are not.
    pub compress: Option<Arc<Compress>>,
    /// What its requests and answers become, of which the first that a request is one for counts; `None`: they stay what they are.
    pub translate: Option<Arc<[Arc<Translation>]>>,
    /// The pools that requests are divided among, of which this is the first; `None`: all go to `pool`.
    pub split: Option<Arc<Split>>,
    /// Another pool that gets requests as well; `None`: none does.
    pub mirror: Option<Arc<Mirror>>,
}

/// What rules change in JSON bodies, in their order.
#[derive(Debug, Default)]
pub struct Bodies {
    /// Of requests.
    pub request: Vec<Arc<BodyEdit>>,
    /// Of answers.
    pub response: Vec<Arc<BodyEdit>>,
}

/// The `Host` that a target sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    /// As the client sent it.
    Client,
    /// The target's address.
    Target,
    /// This one.
    Fixed(String),
}

impl Listener {
    /// Whether TLS for a host, in canonical form, is passed on and does not end here.
    pub fn passes(&self, host: &[u8]) -> bool {
        self.front.as_ref().and_then(|front| front.passages.as_ref()).is_some_and(|passages| passages.has(host))
    }

    /// How requests come: `http` or `https`.
    pub fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }

    /// The port that the scheme has by default.
    pub fn own_port(&self) -> u16 {
        if self.tls.is_some() { 443 } else { 80 }
    }
}

impl Http {
    /// Whether forwarding headers from `peer` count.
    pub fn trusts(&self, peer: IpAddr) -> bool {
        self.trusted_proxies.iter().any(|net| net.contains(&peer))
    }
}

impl Forward {
    /// The most bytes that a request's body may have.
    pub fn body_limit(&self, all: &Limits) -> u64 {
        self.request_body.or(all.request_body).unwrap_or(u64::MAX)
    }

    /// Whether rules edit the bodies of its answers.
    pub fn edits_answers(&self) -> bool {
        self.bodies.as_ref().is_some_and(|bodies| !bodies.response.is_empty())
    }

    /// To `pool`, with the defaults of a route.
    pub fn to(pool: usize) -> Self {
        Self {
            pool,
            strip_prefix: None,
            host: Host::Client,
            retry: Retry::default(),
            hedge: None,
            priority_class: 0,
            edits: None,
            rewrite: None,
            method: None,
            bodies: None,
            scheme: None,
            buffer_request: None,
            buffer_response: None,
            buffer_disk: None,
            request_body: None,
            cache: None,
            compress: None,
            translate: None,
            split: None,
            mirror: None,
        }
    }
}
