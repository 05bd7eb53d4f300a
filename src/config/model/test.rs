//! `[tests.NAME]`: a request, and what is expected to become of it.

use crate::config::formats::{ClientAddress, HeaderValue, Method, Name, RequestUrl};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// `[tests.NAME]`: run by `ringway check`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Test {
    /// The request that is asked about. It is not sent.
    pub request: TestRequest,
    /// What must become of it: at least one key.
    pub expect: Expect,
}

/// A request that is asked about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TestRequest {
    /// Where it goes: "https://api.example.com/v1/orders?page=1". The path is sent as it stands.
    #[schemars(with = "RequestUrl")]
    pub url: String,
    /// The method.
    #[serde(default = "get")]
    #[schemars(with = "Method")]
    pub method: String,
    /// Its headers. `host` goes before the host of the URL.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, HeaderValue>", extend("propertyNames" = { "format": "header-name" }))]
    pub headers: BTreeMap<String, String>,
    /// Who connects: "10.0.0.1", or with a port. Absent: 127.0.0.1.
    #[schemars(with = "Option<ClientAddress>")]
    pub client: Option<SocketAddr>,
    /// The listener that it comes to. Absent: the one that the URL leads to.
    #[schemars(with = "Option<Name>")]
    pub listener: Option<String>,
}

/// What must become of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Expect {
    /// The route that takes it; false for none, true for any.
    pub route: Option<ExpectRoute>,
    /// The pool that it is forwarded to.
    #[schemars(with = "Option<Name>")]
    pub pool: Option<String>,
    /// The status that Ringway itself answers with: of a refusal, a redirect or a fixed answer.
    #[schemars(range(min = 100, max = 599))]
    pub status: Option<u16>,
    /// Where the client is sent: the whole Location.
    pub location: Option<String>,
    /// The path that the target gets, without the query.
    pub target_path: Option<String>,
}

/// Which route is expected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ExpectRoute {
    /// Any, or none.
    Any(bool),
    /// This one.
    Named(String),
}

fn get() -> String {
    "GET".to_owned()
}
