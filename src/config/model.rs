//! The configuration as the user writes it, after includes, environment and defaults tables are applied.
//!
//! This is the one source of truth: the JSON Schema, the checks of keys, types and values, the defaults and the reading
//! all come from these types and their attributes. Names are identities: maps are ordered by name. What concerns several
//! values (dangling names, duplicate binds) is checked by `sense`.

mod aggregate;
mod analytics;
mod api;
mod buffer;
mod cache;
mod compress;
mod consumer;
mod discover;
mod edit;
mod files;
mod guard;
mod health;
mod json;
mod lifecycle;
mod live;
mod log;
mod mirror;
mod pages;
mod plan;
mod pool;
mod proxy;
mod queue;
mod retry;
mod rewrite;
mod route;
mod route_limits;
mod rule;
mod security;
mod sockets;
mod split;
mod stage;
mod sticky;
mod store;
mod test;
mod tls;
mod tracing;
mod translation;
mod udp;

pub use super::logs::{LogFormat, LogPath, LogStatus, SyslogTo};
pub use aggregate::*;
pub use analytics::*;
pub use api::*;
pub use buffer::*;
pub use cache::*;
pub use compress::*;
pub use consumer::*;
pub use discover::*;
pub use edit::*;
pub use files::*;
pub use guard::*;
pub use health::*;
pub use json::*;
pub use lifecycle::*;
pub use live::*;
pub use log::*;
pub use mirror::*;
pub use pages::*;
pub use plan::*;
pub use pool::*;
pub use proxy::*;
pub use queue::*;
pub use retry::*;
pub use rewrite::*;
pub use route::*;
pub use route_limits::*;
pub use rule::*;
pub use security::*;
pub use sockets::*;
pub use split::*;
pub use stage::*;
pub use sticky::*;
pub use store::*;
pub use test::*;
pub use tls::*;
pub use tracing::*;
pub use translation::*;
pub use udp::*;

use super::formats::{
    AdminAddress, CountOrAuto, FilePath, InterfaceName, ListenAddress, Name, Network, SizeOrUnlimited, SocketPath,
};
use super::units::{Size, Span};
use super::words;
use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

/// A whole configuration.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Threads and limits of the process.
    pub runtime: Runtime,
    /// What becomes of a process that a new one has taken over from.
    pub upgrade: Upgrade,
    /// Metrics, probes and the API of operators. Absent: none.
    pub admin: Option<Admin>,
    /// One record per exchange or TCP session. Absent: none are written.
    pub access_log: Option<AccessLog>,
    /// Who is told of requests as traces. Absent: nobody, and traces pass through as they are.
    pub tracing: Option<Tracing>,
    /// Sums of requests by consumer, route, version and status, kept under `runtime.state_dir`. Absent: none.
    pub analytics: Option<Analytics>,
    /// What several hosts share.
    pub store: Stores,
    /// Who is asked for the names of targets.
    pub dns: Dns,
    /// What a client may send.
    pub limits: Limits,
    /// Where connections come from, by name.
    #[schemars(extend("propertyNames" = { "format": "name" }))]
    pub listeners: BTreeMap<String, Listener>,
    /// Which requests go where, by name. The most specific route wins: exact host, wildcard host, any host; then exact
    /// path, longest prefix, regex; then method, headers, query.
    #[schemars(extend("propertyNames" = { "format": "name" }))]
    pub routes: BTreeMap<String, Route>,
    /// What routes are served as, by name: those that name stages are there once for each, as ROUTE@STAGE.
    #[schemars(extend("propertyNames" = { "format": "name" }))]
    pub stages: BTreeMap<String, Stage>,
    /// Descriptions of APIs, by name.
    #[schemars(extend("propertyNames" = { "format": "name" }))]
    pub apis: BTreeMap<String, Api>,
    /// What requests and answers become on their way, by name: routes name those that are for them.
    #[schemars(extend("propertyNames" = { "format": "name" }))]
    pub translations: BTreeMap<String, Translation>,
    /// What is decided of requests before they go on, by name: routes name those that are for them.
    #[schemars(extend("propertyNames" = { "format": "name" }))]
    pub rules: BTreeMap<String, Rule>,
    /// Who asks, by name.
    #[schemars(extend("propertyNames" = { "format": "name" }))]
    pub consumers: BTreeMap<String, Consumer>,
    /// Limits that groups of consumers get, by name.
    #[schemars(extend("propertyNames" = { "format": "name" }))]
    pub plans: BTreeMap<String, LimitPlan>,
    /// Targets that share one kind of work, by name.
    #[schemars(extend("propertyNames" = { "format": "name" }))]
    pub pools: BTreeMap<String, Pool>,
    /// Where answers are kept for those who ask for the same, by name.
    #[schemars(extend("propertyNames" = { "format": "name" }))]
    pub caches: BTreeMap<String, Cache>,
    /// What must become of requests, by name: `ringway check` looks.
    #[schemars(extend("propertyNames" = { "format": "name" }))]
    pub tests: BTreeMap<String, Test>,
}

impl Config {
    /// Has the access log show nothing with which clients prove themselves, as rules name it.
    pub(super) fn hide_keys(&mut self) {
        let Some(log) = &mut self.access_log else { return };
        for rule in self.rules.values() {
            let (header, query) = rule.kind.shown_secrets();
            let shown = &log.redact.except_headers;
            if let Some(header) = header.map(str::to_owned).filter(|header| !shown.contains(header)) {
                push_new(&mut log.redact.headers, header);
            }
            if let Some(query) = query {
                push_new(&mut log.redact.query, query.to_owned());
            }
        }
    }

    /// The keys of queries by which clients prove themselves, as rules name them, and those that the access log does not show.
    pub fn secret_queries(&self) -> Vec<String> {
        let mut names = self.access_log.as_ref().map(|log| log.redact.query.clone()).unwrap_or_default();
        for name in self.rules.values().filter_map(|rule| rule.kind.shown_secrets().1) {
            push_new(&mut names, name.to_owned());
        }
        names
    }

    /// Whether a route passes TLS of a listener on.
    pub fn passes_on(&self, route: &Route, listener: &str) -> bool {
        route.passthrough && route.listeners.iter().any(|named| named == listener)
    }

    /// The pools that a route goes to, at whatever stage.
    pub fn pools_of<'a>(&'a self, route: &'a Route) -> impl Iterator<Item = &'a String> {
        let stages = || route.stages.iter().filter_map(|name| self.stages.get(name));
        route.pools().flat_map(move |pool| std::iter::once(pool).chain(stages().map(move |stage| stage.pool(pool))))
    }

    /// Whether requests of a listener may take a route: one that it names, or by default those with TLS, or all if none has.
    pub fn is_on(&self, route: &Route, listener: &str) -> bool {
        if route.passthrough {
            return false;
        }
        if !route.listeners.is_empty() {
            return route.listeners.iter().any(|named| named == listener);
        }
        let secure = |listener: &Listener| listener.protocol == Protocol::Http && listener.tls.is_some();
        !self.listeners.values().any(secure) || self.listeners.get(listener).is_some_and(secure)
    }
}

/// `[runtime]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Runtime {
    /// Data-plane threads, each pinned to a core; "auto" is one per allowed CPU.
    #[serde(with = "words::auto")]
    #[schemars(with = "CountOrAuto", extend("x-minimum" = "1", "x-maximum" = "1024"))]
    pub workers: Option<usize>,
    /// How workers do I/O.
    pub driver: Driver,
    /// How long live exchanges get when the process is told to end.
    #[schemars(extend("x-maximum" = "24h"))]
    pub shutdown_timeout: Span,
    /// Client connections at once, over all listeners; "auto" is bounded by the file limit.
    #[serde(with = "words::auto")]
    #[schemars(with = "CountOrAuto", extend("x-minimum" = "1", "x-maximum" = "100000000"))]
    pub max_connections: Option<usize>,
    /// Whether the files of the configuration are read again when they change, as on SIGHUP.
    pub watch: bool,
    /// The user that the process runs as once it has bound its sockets; root alone can take on another one. Absent: who starts it.
    pub user: Option<String>,
    /// The group that it is in, beside those that `user` is a member of. Absent: the first group of `user`.
    pub group: Option<String>,
    /// Whether the kernel refuses the process all system calls but those on a list (seccomp), the programs of checks included.
    pub seccomp: bool,
    /// Where is kept what outlives the process: accounts and certificates of ACME, what operators have overridden, targets
    /// that were found. Made when it is needed.
    #[schemars(with = "FilePath")]
    pub state_dir: PathBuf,
    /// The folder for the files of bodies that routes buffer on the disk. They have no name there, and go when the process does. It must be
    /// there, and be on a disk: /tmp is memory on many systems.
    #[schemars(with = "FilePath")]
    pub temp_dir: PathBuf,
    /// A file of consumers: tables `[consumers.NAME]`, and nothing else. A change of it is taken up within seconds, without a reload.
    #[schemars(with = "Option<FilePath>")]
    pub consumers_file: Option<PathBuf>,
}

impl Default for Runtime {
    fn default() -> Self {
        Self {
            workers: None,
            driver: Driver::Auto,
            shutdown_timeout: Span::secs(30),
            max_connections: None,
            watch: false,
            user: None,
            group: None,
            seccomp: false,
            state_dir: "/var/lib/ringway".into(),
            temp_dir: "/var/tmp".into(),
            consumers_file: None,
        }
    }
}

/// How workers do I/O.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Driver {
    /// io_uring, with a logged fallback to epoll where it is not allowed.
    Auto,
    /// io_uring or nothing.
    IoUring,
    /// epoll.
    Epoll,
}

/// `[upgrade]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Upgrade {
    /// How long an old process may serve its last connections.
    #[schemars(extend("x-maximum" = "30d"))]
    pub drain: Span,
    /// Old processes at a time; with more of them the oldest ends what it has.
    #[schemars(range(min = 1, max = 100))]
    pub max_old: usize,
}

impl Default for Upgrade {
    fn default() -> Self {
        Self { drain: Span::secs(24 * 3600), max_old: 4 }
    }
}

/// `[admin]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Admin {
    /// Where metrics, probes and the API are served over TCP. Without `token_file` a loopback address, and read only.
    #[schemars(with = "Option<AdminAddress>")]
    pub listen: Option<SocketAddr>,
    /// A Unix socket that serves the same to this process's user alone (mode 0600), who may change things.
    #[schemars(with = "Option<SocketPath>")]
    pub socket: Option<PathBuf>,
    /// A file with the token that changes over TCP need, and all that is asked of an address other hosts can reach. At least 16
    /// bytes, readable by its owner and group alone; taken up when it changes.
    #[schemars(with = "Option<FilePath>")]
    pub token_file: Option<PathBuf>,
    /// Whether the page for browsers is served, at `/dashboard/`, and what it draws is measured.
    pub dashboard: bool,
    /// Requests that take longer are shown as slow there.
    #[schemars(extend("x-minimum" = "1ms", "x-maximum" = "1h"))]
    pub slow: Span,
}

impl Default for Admin {
    fn default() -> Self {
        Self { listen: None, socket: None, token_file: None, dashboard: true, slow: Span::secs(1) }
    }
}

/// `[limits]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Bytes of a request's line and headers together; more are answered with 431.
    #[schemars(extend("x-minimum" = "1KiB", "x-maximum" = "1MiB"))]
    pub request_head: Size,
    /// Headers of a request; more are answered with 431.
    #[schemars(range(min = 8, max = 1024))]
    pub headers: usize,
    /// Bytes of a request's body; more are answered with 413. "unlimited" streams any length.
    #[serde(with = "words::unlimited")]
    #[schemars(with = "SizeOrUnlimited", extend("x-minimum" = "1B"))]
    pub request_body: Option<Size>,
    /// Bytes that may be held to compress and decompress answers that are under way, for all of them together; beyond it others are
    /// not compressed.
    #[schemars(extend("x-minimum" = "16MiB", "x-maximum" = "64GiB"))]
    pub compression: Size,
    /// Bytes that tokens may take whose signatures have been verified, of all workers together: one that comes again need not be.
    #[schemars(extend("x-maximum" = "64GiB"))]
    pub verified_tokens: Size,
    /// Bytes of requests' bodies that are held for another try, of all requests together.
    #[schemars(extend("x-maximum" = "64GiB"))]
    pub retry_bodies: Size,
    /// Bytes of bodies that routes buffer in memory, of all requests together. What finds no room goes to the disk, where its route has
    /// one, or on as it comes.
    #[schemars(extend("x-maximum" = "1024GiB"))]
    pub buffers: Size,
    /// Bytes of bodies that routes buffer on the disk, of all requests together. What finds no room goes on as it comes.
    #[schemars(extend("x-maximum" = "1024GiB"))]
    pub buffers_disk: Size,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            request_head: Size(32 << 10),
            headers: 128,
            request_body: None,
            compression: Size(256 << 20),
            verified_tokens: Size(16 << 20),
            retry_bodies: Size(64 << 20),
            buffers: Size(256 << 20),
            buffers_disk: Size(4 << 30),
        }
    }
}

/// Where to listen or connect.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Address {
    /// An IP address and a port.
    Ip(SocketAddr),
    /// `unix:/path`
    Unix(PathBuf),
}

/// `[listeners.NAME]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["listen"]))]
pub struct Listener {
    /// Addresses to bind: "0.0.0.0:80", "[::]:80", ":80" (all of IPv4), "unix:/run/x.sock". Port 0 picks a free port
    /// and prints it.
    #[schemars(with = "Vec<ListenAddress>")]
    pub listen: Vec<Address>,
    /// What clients speak.
    pub protocol: Protocol,
    /// The pool of a tcp or udp listener; on an http listener, where requests go that no route takes (without it they get 404).
    #[schemars(with = "Option<Name>")]
    pub pool: Option<String>,
    /// Sends every request of this listener to the same URL with another scheme, before routing.
    pub redirect: Option<SchemeRedirect>,
    /// Address ranges of proxies in front, whose X-Forwarded-* and Forwarded count. Others' are replaced.
    #[schemars(with = "Vec<Network>")]
    pub trusted_proxies: Vec<IpNet>,
    /// Which headers tell the target about the client.
    pub forwarded: Forwarded,
    /// What clients see in place of errors, by status: "404", "502-504", "5xx". What a route says goes first.
    #[schemars(extend("propertyNames" = { "format": "error-status" }))]
    pub error_pages: BTreeMap<String, ErrorPage>,
    /// The Upgrade tokens that may make a tunnel. An empty list forbids all.
    #[schemars(with = "Vec<UpgradeToken>")]
    pub upgrades: Vec<String>,
    /// Clients' addresses come by the PROXY protocol, versions 1 and 2, before anything else. Absent: nobody's header counts.
    pub proxy_protocol: Option<ProxyProtocol>,
    /// Address ranges of clients that may connect; the others may not. Empty: all may.
    #[schemars(with = "Vec<Network>")]
    pub allow: Vec<IpNet>,
    /// Address ranges of clients that may not connect, whatever `allow` says.
    #[schemars(with = "Vec<Network>")]
    pub deny: Vec<IpNet>,
    /// How many connections a client may have and make. Absent: any.
    pub limits: Option<ClientLimits>,
    /// What becomes of a connection that `allow`, `deny`, `limits` or `rules` keep out.
    pub on_refuse: OnRefuse,
    /// What is decided of who connects, by the address alone, and what comes of refusals here: names of `[rules]`.
    #[schemars(with = "Vec<Name>")]
    pub rules: Vec<String>,
    /// The interface that connections come in by. Absent: any.
    #[schemars(with = "Option<InterfaceName>")]
    pub interface: Option<String>,
    /// How connections with clients are.
    pub tcp: ListenerTcp,
    /// Whether connections to addresses of other hosts may come in, as TPROXY diverts them; needs CAP_NET_ADMIN.
    pub transparent: bool,
    /// Whether an address of IPv6 is for IPv6 alone; else "[::]:80" takes IPv4, too.
    pub v6only: bool,
    /// How long clients may take.
    pub timeouts: ListenerTimeouts,
    /// Ends TLS here. Absent: clients speak in clear.
    pub tls: Option<Tls>,
    /// How datagrams make sessions, on a udp listener.
    pub udp: Udp,
}

impl Default for Listener {
    fn default() -> Self {
        Self {
            listen: Vec::new(),
            protocol: Protocol::Http,
            pool: None,
            redirect: None,
            trusted_proxies: Vec::new(),
            forwarded: Forwarded::Xff,
            error_pages: BTreeMap::new(),
            upgrades: vec!["websocket".into()],
            proxy_protocol: None,
            allow: Vec::new(),
            deny: Vec::new(),
            limits: None,
            on_refuse: OnRefuse::Reject,
            rules: Vec::new(),
            interface: None,
            tcp: ListenerTcp::default(),
            transparent: false,
            v6only: true,
            timeouts: ListenerTimeouts::default(),
            tls: None,
            udp: Udp::default(),
        }
    }
}

/// What clients of a listener speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Protocol {
    /// HTTP/1.0, HTTP/1.1 and HTTP/2: in clear by prior knowledge, over TLS as agreed on.
    Http,
    /// Any protocol over TCP: bytes are passed on as they come.
    Tcp,
    /// Any protocol over UDP: datagrams are passed on one by one.
    Udp,
}

/// The scheme that a listener redirects to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SchemeRedirect {
    /// To `https://`, default port.
    Https,
}

/// Which headers tell the target about the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Forwarded {
    /// X-Forwarded-For, -Proto, -Host, -Port.
    Xff,
    /// Forwarded (RFC 7239).
    Rfc7239,
    /// Both of them.
    Both,
    /// Neither of them.
    None,
}

#[derive(JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[expect(dead_code, reason = "carries the accepted words into the schema")]
enum UpgradeToken {
    /// WebSocket (RFC 6455).
    Websocket,
}

/// How long clients may take.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ListenerTimeouts {
    /// What must precede the first byte of the protocol: a PROXY header and the handshake of TLS, each of them.
    #[schemars(extend("x-minimum" = "10ms", "x-maximum" = "1h"))]
    pub handshake: Span,
    /// First byte to end of a request's head; then 408.
    #[schemars(extend("x-minimum" = "10ms", "x-maximum" = "1h"))]
    pub request_head: Span,
    /// Longest silence of a client that owes bytes of a body.
    #[schemars(extend("x-minimum" = "10ms", "x-maximum" = "24h"))]
    pub client_body: Span,
    /// Longest a peer may take no byte that we have for it.
    #[schemars(extend("x-minimum" = "10ms", "x-maximum" = "24h"))]
    pub write_stall: Span,
    /// Keep-alive between requests.
    #[schemars(extend("x-minimum" = "10ms", "x-maximum" = "24h"))]
    pub idle: Span,
}

impl Default for ListenerTimeouts {
    fn default() -> Self {
        Self {
            handshake: Span::secs(5),
            request_head: Span::secs(10),
            client_body: Span::secs(30),
            write_stall: Span::secs(30),
            idle: Span::secs(60),
        }
    }
}

fn push_new(list: &mut Vec<String>, one: String) {
    if !list.contains(&one) {
        list.push(one);
    }
}
