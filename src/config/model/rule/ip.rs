//! Rules of type ip.

use crate::config::formats::{FilePath, Network};
use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// A rule of type ip: who is kept out gets 403.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Ip {
    /// Address ranges of clients that come in. Empty, and without `allow_files`: all that are not kept out.
    #[schemars(with = "Vec<Network>")]
    pub allow: Vec<IpNet>,
    /// Files with more of them, one in a line; empty lines and those that begin with # are none.
    #[schemars(with = "Vec<FilePath>")]
    pub allow_files: Vec<PathBuf>,
    /// Address ranges of clients that are kept out, whatever `allow` says.
    #[schemars(with = "Vec<Network>")]
    pub deny: Vec<IpNet>,
    /// Files with more of them, in the same form.
    #[schemars(with = "Vec<FilePath>")]
    pub deny_files: Vec<PathBuf>,
}
