//! Rules of type csrf.

use crate::config::formats::Origin;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A rule of type csrf: what a page of another site has a browser ask for, and what may change something, gets 403.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Csrf {
    /// Whose pages may ask beside those of the site itself: "https://app.example.com", or "https://*.example.com" for all below it.
    #[schemars(with = "Vec<Origin>")]
    pub origins: Vec<String>,
    /// Whether who does not say where it comes from, as no browser is, gets 403, too.
    pub require: bool,
}
