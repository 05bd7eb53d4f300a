//! A folder whose files a route sends.

use super::Forward;
use crate::config::model;
use crate::net::Root;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// A folder whose files a route sends.
#[derive(Debug)]
pub struct Site {
    /// The folder.
    pub root: Root,
    /// Removed from the front of the path.
    pub strip_prefix: Option<String>,
    /// The files that stand for a folder.
    pub index: Vec<String>,
    /// The name, below the folder, of what is sent where nothing is found.
    pub fallback: Option<String>,
    /// Whether files that were compressed before are sent in place of others.
    pub precompressed: bool,
    /// The line of Cache-Control, or nothing.
    pub cache_control: Box<str>,
    /// Whether names that begin with a dot are found.
    pub dotfiles: bool,
    /// Media types by the ends of names, in lower case.
    pub types: BTreeMap<String, String>,
    /// How long the disk may take.
    pub timeout: Duration,
    /// Where requests go for which there is no file.
    pub otherwise: Option<Arc<Forward>>,
}

impl Site {
    /// That of `files` on a route that takes `strip_prefix` from paths.
    pub(super) fn compile(
        files: &model::Files,
        strip_prefix: Option<&String>,
        otherwise: Option<Arc<Forward>>,
    ) -> Arc<Self> {
        let line = |value: &String| format!("Cache-Control: {value}\r\n").into_boxed_str();
        Arc::new(Self {
            root: Root::of(&files.root),
            strip_prefix: strip_prefix.cloned(),
            index: files.index.clone(),
            fallback: files.fallback.as_ref().map(|path| path.trim_start_matches('/').to_owned()),
            precompressed: files.precompressed,
            cache_control: files.cache_control.as_ref().map(line).unwrap_or_default(),
            dotfiles: files.dotfiles,
            types: files.types.iter().map(|(end, kind)| (end.to_ascii_lowercase(), kind.clone())).collect(),
            timeout: files.timeout.0,
            otherwise,
        })
    }
}
