//! Rules of type api-key.

use crate::config::formats::{CookieName, HeaderName, QueryKey};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A rule of type api-key: whoever sends a key of a consumer is that consumer; who sends none, or another, gets 401. A key is looked for
/// in all places that are named; who sends more than one gets 401, too. Targets see none, and logs do not show them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ApiKey {
    /// The header that has the key. "apikey" where neither `query` nor `cookie` is named.
    #[schemars(with = "Option<HeaderName>")]
    pub header: Option<String>,
    /// The parameter of the query that has it.
    #[schemars(with = "Option<QueryKey>")]
    pub query: Option<String>,
    /// The cookie that has it.
    #[schemars(with = "Option<CookieName>")]
    pub cookie: Option<String>,
    /// What the `WWW-Authenticate` of a refusal calls what is protected.
    pub realm: String,
}

impl Default for ApiKey {
    fn default() -> Self {
        Self { header: None, query: None, cookie: None, realm: "api".to_owned() }
    }
}

impl ApiKey {
    /// The header that has the key; `None`: it is elsewhere.
    pub fn header(&self) -> Option<&str> {
        let elsewhere = self.query.is_some() || self.cookie.is_some();
        self.header.as_deref().or((!elsewhere).then_some("apikey"))
    }
}
