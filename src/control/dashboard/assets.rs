//! The files of the page.

use std::sync::LazyLock;
use xxhash_rust::xxh3::xxh3_128;

/// A file of the page.
pub(super) struct Asset {
    name: &'static str,
    pub(super) bytes: &'static [u8],
    /// What changes with it: an entity tag.
    pub(super) tag: String,
}

macro_rules! assets {
    ($($name:literal,)+) => {
        static ASSETS: LazyLock<Vec<Asset>> =
            LazyLock::new(|| vec![$(Asset::new($name, include_bytes!(concat!("assets/", $name))),)+]);
    };
}

assets! {
    "icon.svg",
    "index.html",
    "css/base.css",
    "css/parts.css",
    "css/topology.css",
    "js/api.js",
    "js/bans.js",
    "js/caches.js",
    "js/certificates.js",
    "js/changes.js",
    "js/charts.js",
    "js/dialog.js",
    "js/dom.js",
    "js/explain.js",
    "js/figures.js",
    "js/format.js",
    "js/headline.js",
    "js/heat.js",
    "js/main.js",
    "js/poll.js",
    "js/rates.js",
    "js/requests.js",
    "js/rules.js",
    "js/session.js",
    "js/table.js",
    "js/targets.js",
    "js/theme.js",
    "js/topology.js",
    "js/usage.js",
    "vendor/THIRD-PARTY.md",
    "vendor/uPlot.LICENSE",
    "vendor/uPlot.iife.min.js",
    "vendor/uPlot.min.css",
}

impl Asset {
    /// The file of this name.
    pub(super) fn find(name: &str) -> Option<&'static Self> {
        ASSETS.iter().find(|asset| asset.name == name)
    }

    fn new(name: &'static str, bytes: &'static [u8]) -> Self {
        Self { name, bytes, tag: format!("\"{:032x}\"", xxh3_128(bytes)) }
    }

    /// Its media type.
    pub(super) fn kind(&self) -> &'static str {
        match self.name.rsplit_once('.').map(|(_, ending)| ending) {
            Some("html") => "text/html; charset=utf-8",
            Some("css") => "text/css; charset=utf-8",
            Some("js") => "text/javascript; charset=utf-8",
            Some("svg") => "image/svg+xml",
            _ => "text/plain; charset=utf-8",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::path::Path;

    #[test]
    fn every_file_of_the_folder_is_part_of_the_binary() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/control/dashboard/assets");
        let mut there = BTreeSet::new();
        let mut folders = vec![folder.clone()];
        while let Some(next) = folders.pop() {
            for path in std::fs::read_dir(next).unwrap().map(|entry| entry.unwrap().path()) {
                match path.is_dir() {
                    true => folders.push(path),
                    false => drop(there.insert(path.strip_prefix(&folder).unwrap().to_str().unwrap().to_owned())),
                }
            }
        }
        assert_eq!(ASSETS.iter().map(|asset| asset.name.to_owned()).collect::<BTreeSet<_>>(), there);
    }

    #[test]
    fn nothing_comes_from_elsewhere_and_nothing_is_written_into_the_page() {
        for asset in ASSETS.iter().filter(|asset| !asset.name.starts_with("vendor/")) {
            let text = std::str::from_utf8(asset.bytes).unwrap();
            for word in ["innerHTML", " style=", "onclick=\"", "eval("] {
                assert!(!text.contains(word), "{} has {word}", asset.name);
            }
            // Examples of URLs, and the name of a language.
            let is_known = |rest: &str| rest.starts_with("www.example.com/") || rest.starts_with("www.w3.org/");
            let other = text.split("://").skip(1).find(|rest| !is_known(rest));
            assert!(other.is_none(), "{}: {other:?}", asset.name);
        }
    }
}
