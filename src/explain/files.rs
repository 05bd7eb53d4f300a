//! What there is to tell of a request for a file.

use super::explanation::readable;
use crate::http::dry;
use serde::Serialize;

/// Where a file is looked for. Whether it is there is not looked at.
#[derive(Clone, Debug, Serialize)]
pub struct Files {
    /// The folder.
    pub root: String,
    /// The name below it; null where no file has such a name, or it is hidden.
    pub name: Option<String>,
    /// The files that stand for it if it is a folder.
    pub index: Vec<String>,
    /// Whether `.zst`, `.br` or `.gz` beside it is sent in its place.
    pub precompressed: bool,
    /// What is sent where there is nothing; null: 404, or the pool's answer.
    pub fallback: Option<String>,
    /// Its Cache-Control.
    pub cache_control: Option<String>,
}

/// Puts what was found into words.
pub(super) fn tell(files: &dry::Files) -> Files {
    let site = &files.site;
    let line = site.cache_control.strip_prefix("Cache-Control: ");
    Files {
        root: site.root.path().display().to_string(),
        name: files.name.as_deref().map(readable),
        index: site.index.clone(),
        precompressed: site.precompressed,
        fallback: site.fallback.clone(),
        cache_control: line.map(|line| line.trim_end().to_owned()),
    }
}

impl Files {
    /// What is sent, in words.
    pub(super) fn place(&self) -> String {
        match &self.name {
            Some(name) => format!("{}/{name}", self.root.trim_end_matches('/')),
            None => "none: no file has such a name, or it is hidden".to_owned(),
        }
    }

    /// What else may be sent, in words.
    pub(super) fn otherwise(&self, to_pool: bool) -> Vec<String> {
        let mut lines = Vec::new();
        if !self.index.is_empty() && self.name.is_some() {
            lines.push(format!("of a folder {}", self.index.join(" or ")));
        }
        if self.precompressed {
            lines.push("or .zst, .br or .gz of it, as the client accepts".to_owned());
        }
        lines.push(match &self.fallback {
            Some(fallback) => format!("or else {fallback}"),
            None if to_pool => "or else the pool's answer".to_owned(),
            None => "or else 404".to_owned(),
        });
        lines
    }
}
