//! `[routes.NAME]`: which requests, and what becomes of them.

use super::{
    Aggregate, Buffer, Compression, Deprecated, ErrorPage, Files, Hedge, Maintenance, Mirror, RequestEdits,
    ResponseEdits, Retry, Rewrite, RouteCache, RouteLimits, SecurityHeaders, SplitPool,
};
use crate::config::formats::{
    AlpnProtocol, HostName, HostPattern, MediaType, Method, Name, Network, PathPattern, PlainPath, SplitKey,
};
use crate::config::limit_key::LimitKey;
use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// `[routes.NAME]`. Exactly one of `pool`, `split`, `aggregate`, `files`, `respond`, `redirect`, `portal` is set; `files` may have a `pool` beside it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Route {
    /// The listeners it is on. Empty: the http listeners with TLS, or all of them if none has.
    #[schemars(with = "Vec<Name>")]
    pub listeners: Vec<String>,
    /// Hosts: "www.example.com", or "*.example.com" for all names below. Empty: every host. Ports are ignored.
    #[schemars(with = "Vec<HostPattern>")]
    pub hosts: Vec<String>,
    /// Paths: "/v1/" is a prefix on segment borders, "=/v1" exact, "=/v1/{id}" exact but for what stands for {id} within a segment,
    /// "~^/v[0-9]+/" a regex. Empty: every path.
    #[schemars(with = "Vec<PathPattern>")]
    pub paths: Vec<String>,
    /// The API of which it is made, a name of `[apis]`: a route for each operation, with all other keys of this one, called after it and the
    /// operation: "NAME.listOrders". Absent: it is one route.
    #[schemars(with = "Option<Name>")]
    pub from_openapi: Option<String>,
    /// Methods, in the client's case. Empty: every method.
    #[schemars(with = "Vec<Method>")]
    pub methods: Vec<String>,
    /// What headers must be, all of them: a value, "~regex", true for present, false for absent.
    #[schemars(extend("propertyNames" = { "format": "header-name" }))]
    pub headers: BTreeMap<String, ValueMatch>,
    /// What it is served as: names of `[stages]`. It is then there once for each, with what that says, as "NAME@STAGE". Empty: it is one
    /// route.
    #[schemars(with = "Vec<Name>")]
    pub stages: Vec<String>,
    /// Media types of which a client names one in Accept, "application/vnd.example.v2+json" or "application/json;version=2", and wants none of
    /// the other routes' more. Empty: whatever it accepts.
    #[schemars(with = "Vec<MediaType>")]
    pub accept: Vec<String>,
    /// Media types of which a body has one, in the same forms. Empty: any body, or none.
    #[schemars(with = "Vec<MediaType>")]
    pub content_type: Vec<String>,
    /// What query parameters must be, in the forms of `headers`.
    pub query: BTreeMap<String, ValueMatch>,
    /// With `passthrough`, names that clients ask for by SNI: "db.example.com", or "*.example.com" for all names below. Empty: every
    /// name, or none.
    #[schemars(with = "Vec<HostPattern>")]
    pub sni: Vec<String>,
    /// With `passthrough`, protocols of which a client offers one by ALPN. Empty: whatever it offers.
    #[schemars(with = "Vec<AlpnProtocol>")]
    pub alpn: Vec<String>,
    /// Passes TLS on to the pool as it comes, unopened, chosen by `sni` and `alpn`.
    pub passthrough: bool,
    /// Address ranges of clients. Empty: every client.
    #[schemars(with = "Vec<Network>")]
    pub client_ip: Vec<IpNet>,
    /// What else has to hold, in CEL: 'request.headers["x-beta"] == "1"'.
    pub when: Option<String>,
    /// Goes before how specific a route is: the higher wins.
    #[schemars(range(min = -1_000_000, max = 1_000_000))]
    pub priority: i64,
    /// The version of the API that it serves, such as "v2": a label that the access log and analytics have. Absent: it has none.
    #[schemars(with = "Option<Name>")]
    pub version: Option<String>,
    /// How it comes to its end: what its answers say of that, and what becomes of requests then. Absent: it does not.
    pub deprecated: Option<Deprecated>,
    /// Its requests' class where they wait in the queue of a pool: lower ones are served first, as HAProxy's priority-class.
    #[schemars(range(min = -2047, max = 2047))]
    pub priority_class: i32,
    /// The pool that answers; beside `files`, where there is no file.
    #[schemars(with = "Option<Name>")]
    pub pool: Option<String>,
    /// Pools that its requests are divided among, in place of `pool`.
    pub split: Vec<SplitPool>,
    /// What stays with one pool of `split`: "client-ip", "consumer", "header:NAME", "cookie:NAME", "query:NAME", "claim:NAME", or a
    /// template. What lacks it goes by the client's address. Absent: each request goes by chance.
    #[schemars(with = "Option<SplitKey>")]
    pub split_by: Option<LimitKey>,
    /// One answer that is put together of what several pools say.
    pub aggregate: Option<Aggregate>,
    /// Another pool that gets a copy of requests, whose answers nobody gets. Absent: none does.
    pub mirror: Option<Mirror>,
    /// Files of a folder, sent as they are.
    pub files: Option<Files>,
    /// A fixed answer, made here.
    pub respond: Option<Respond>,
    /// The API of which a page is served for those who write programs for it, a name of `[apis]`. `paths` has one prefix: "/docs/".
    #[schemars(with = "Option<Name>")]
    pub portal: Option<String>,
    /// An answer that sends the client elsewhere.
    pub redirect: Option<Redirect>,
    /// What clients see in place of errors, by status: "404", "502-504", "5xx".
    #[schemars(extend("propertyNames" = { "format": "error-status" }))]
    pub error_pages: BTreeMap<String, ErrorPage>,
    /// A page in place of all that the route does, while that is switched on.
    pub maintenance: Option<Maintenance>,
    /// What is taken from the front of the path before the target sees it, or a file is looked for.
    #[schemars(with = "Option<PlainPath>")]
    pub strip_prefix: Option<String>,
    /// The Host sent to the target: "client" as the client sent it, "target" the target's address, or a name.
    pub host: HostPolicy,
    /// Further tries on other targets.
    pub retry: Retry,
    /// A second target that is asked as well where the first is slow, for requests without a body that may be sent twice by
    /// `retry.methods`. Absent: one at a time.
    pub hedge: Option<Hedge>,
    /// Whether and how answers are compressed: true, or a table.
    pub compress: Compression,
    /// What of a request's URL targets see otherwise.
    pub rewrite: Rewrite,
    /// What targets get otherwise than the client sent it.
    pub request: RequestEdits,
    /// What clients get otherwise than it was answered.
    pub response: ResponseEdits,
    /// What browsers are told so that a page is harder to abuse, and what they are not told of targets: true for what breaks no page,
    /// "strict" for the most, or a table. Absent: nothing.
    pub security_headers: Option<SecurityHeaders>,
    /// What clients may send.
    pub limits: RouteLimits,
    /// What of bodies is held here, so that slow clients keep no target waiting. Absent: they stream.
    pub buffer: Buffer,
    /// The cache that keeps its answers, a name of `[caches]`, or a table. Absent: each request goes to the pool.
    pub cache: Option<RouteCache>,
    /// What is decided of its requests before they go on: names of `[rules]`. Addresses go first, then identity, then who may come
    /// in; of the same kind they go in this order.
    #[schemars(with = "Vec<Name>")]
    pub rules: Vec<String>,
    /// What its requests and answers become on their way: names of `[translations]`. The first that a request is one for is carried out;
    /// what is for none goes on as it is.
    #[schemars(with = "Vec<Name>")]
    pub translate: Vec<String>,
    /// Path forms that are refused with 400 unless named here.
    #[schemars(with = "Vec<PathForm>")]
    pub allow_in_path: Vec<String>,
}

impl Route {
    /// The pools that its requests go to.
    pub fn pools(&self) -> impl Iterator<Item = &String> {
        let mirror = self.mirror.iter().map(|mirror| &mirror.pool);
        let parts = self.aggregate.iter().flat_map(|aggregate| aggregate.parts.iter().map(|part| &part.pool));
        self.pool.iter().chain(self.split.iter().map(|part| &part.pool)).chain(parts).chain(mirror)
    }
}

#[derive(JsonSchema)]
#[expect(dead_code, reason = "carries the accepted words into the schema")]
enum PathForm {
    /// An encoded slash.
    #[serde(rename = "%2F")]
    Slash,
    /// An encoded backslash.
    #[serde(rename = "%5C")]
    EncodedBackslash,
    /// An encoded zero byte.
    #[serde(rename = "%00")]
    Zero,
    /// A backslash.
    #[serde(rename = "\\")]
    Backslash,
    /// A path parameter.
    #[serde(rename = ";")]
    Semicolon,
    /// Encoded dot segments.
    #[serde(rename = "dot-segments")]
    DotSegments,
}

/// How a header or a query parameter must look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ValueMatch {
    /// `true`
    Present,
    /// `false`
    Absent,
    /// A plain string, compared byte by byte.
    Exact(String),
    /// `"~regex"`
    Regex(String),
}

/// An answer made here.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Respond {
    /// The status code.
    #[schemars(range(min = 200, max = 599))]
    pub status: u16,
    /// The body.
    #[serde(default)]
    pub body: String,
    /// The media type of the body.
    #[serde(default = "plain_text")]
    #[schemars(with = "MediaType")]
    pub content_type: String,
    /// Pools that must have a target that is up; otherwise, and while the process is leaving, the answer is 503: for the monitors of
    /// keepalived and cloud balancers.
    #[serde(default)]
    #[schemars(with = "Vec<Name>")]
    pub fail_if_down: Vec<String>,
}

fn plain_text() -> String {
    "text/plain; charset=utf-8".into()
}

/// At least one of scheme, host, port, path is set; the rest stays as the client sent it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Redirect {
    /// The new scheme.
    #[schemars(with = "Option<Scheme>")]
    pub scheme: Option<String>,
    /// The new host, without a port.
    #[schemars(with = "Option<HostName>")]
    pub host: Option<String>,
    /// The new port.
    #[schemars(range(min = 1, max = 65535))]
    pub port: Option<u16>,
    /// The new path; the query stays.
    #[schemars(with = "Option<PlainPath>")]
    pub path: Option<String>,
    /// 301 and 308 are permanent and cached; 307 and 308 keep the method.
    #[schemars(extend("enum" = [301, 302, 303, 307, 308]))]
    pub status: u16,
}

impl Default for Redirect {
    fn default() -> Self {
        Self { scheme: None, host: None, port: None, path: None, status: 302 }
    }
}

#[derive(JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[expect(dead_code, reason = "carries the accepted words into the schema")]
enum Scheme {
    /// In clear.
    Http,
    /// Over TLS.
    Https,
}

/// The Host that a target gets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum HostPolicy {
    /// As the client sent it.
    #[default]
    Client,
    /// The target's address.
    Target,
    /// A name, with a port or without.
    Fixed(String),
}
