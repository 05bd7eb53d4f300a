//! `[routes.NAME.files]`: files of a folder, sent as they are.

use crate::config::formats::{FilePath, HeaderValue, MediaType, PlainPath};
use crate::config::units::Span;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// `[routes.NAME.files]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["root"]))]
pub struct Files {
    /// The folder. Nothing outside of it is ever sent: links that lead out of it are not followed. It may be a link itself, which counts
    /// anew every second.
    #[schemars(with = "FilePath")]
    pub root: PathBuf,
    /// The files that stand for a folder, the first that is there. Empty: folders are not found.
    pub index: Vec<String>,
    /// What is sent, with status 200, where nothing is found: "/index.html" for applications that have their pages in the browser.
    /// Absent: 404, or the route's `pool`.
    #[schemars(with = "Option<PlainPath>")]
    pub fallback: Option<String>,
    /// Whether `page.html.br`, `.zst` or `.gz` is sent in place of `page.html` to clients that take it, if it is not older.
    pub precompressed: bool,
    /// The Cache-Control of files. Absent: they have none.
    #[schemars(with = "Option<HeaderValue>")]
    pub cache_control: Option<String>,
    /// Whether names that begin with a dot are found. If not, only what is in `/.well-known/` is.
    pub dotfiles: bool,
    /// Media types by the ends of names, without the dot, for those that are not known or known otherwise.
    #[schemars(with = "BTreeMap<String, MediaType>")]
    pub types: BTreeMap<String, String>,
    /// How long the disk may take to open a file, and to read a part of it.
    #[schemars(extend("x-minimum" = "10ms", "x-maximum" = "10m"))]
    pub timeout: Span,
}

impl Default for Files {
    fn default() -> Self {
        Self {
            root: PathBuf::new(),
            index: vec!["index.html".into()],
            fallback: None,
            precompressed: false,
            cache_control: None,
            dotfiles: false,
            types: BTreeMap::new(),
            timeout: Span::secs(10),
        }
    }
}
