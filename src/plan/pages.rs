//! What clients see in place of errors, and while a route is in maintenance: read when the plan is made.

use super::Route;
use super::files::{Files, LARGEST};
use crate::config::model::{self, RetryOn};
use crate::config::{Fault, KeyPath};
use ipnet::IpNet;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Pages by the statuses that they are for; the one for the fewest goes first.
#[derive(Debug, Default)]
pub struct Pages(Vec<(u16, u16, Page)>);

/// What is said in place of an error.
#[derive(Debug, Default)]
pub struct Page {
    /// To clients in general.
    pub file: Option<Content>,
    /// To those that would rather have JSON; to all, if there is nothing else.
    pub json: Option<Content>,
    /// The status that it is sent with; `None`: that of the error.
    pub status: Option<u16>,
    /// Whether it takes the place of what targets say, too.
    pub intercept: bool,
}

/// What stands in a file.
#[derive(Debug)]
pub struct Content {
    /// Its media type.
    pub media: Box<str>,
    text: Arc<[u8]>,
    /// Whether something in it is filled in.
    has_fields: bool,
}

/// What is filled in.
const ID: &str = "{request.id}";
const STATUS: &str = "{status}";

impl Pages {
    /// Those that stand at `at`; `None`: there are none.
    pub(super) fn compile(
        pages: &BTreeMap<String, model::ErrorPage>,
        at: &KeyPath,
        files: &Files,
    ) -> Result<Option<Arc<Self>>, Vec<Fault>> {
        let mut compiled = Self::default();
        for (key, page) in pages {
            let at = at.child(key);
            // The schema lets in nothing else.
            let Ok(RetryOn::Status(first, last)) = key.parse::<RetryOn>() else { continue };
            let content = |key: &str, path: &Option<PathBuf>| {
                let path = path.as_ref()?;
                Some(Content::read(path, at.child(key), files, key == "json"))
            };
            let file = content("file", &page.file).transpose()?;
            let json = content("json", &page.json).transpose()?;
            compiled.0.push((first, last, Page { file, json, status: page.status, intercept: page.intercept }));
        }
        compiled.0.sort_by_key(|&(first, last, _)| (last - first, first));
        Ok((!compiled.0.is_empty()).then(|| Arc::new(compiled)))
    }

    /// The page for a status.
    pub fn find(&self, status: u16) -> Option<&Page> {
        self.0.iter().find(|(first, last, _)| (*first..=*last).contains(&status)).map(|(_, _, page)| page)
    }
}

/// Adds what clients of a route see in place of errors and while it is in maintenance.
pub(super) fn add(route: Route, of: &model::Route, files: &Files) -> Result<Route, Vec<Fault>> {
    let at = KeyPath::from(["routes", &route.name]);
    let pages = Pages::compile(&of.error_pages, &at.child("error_pages"), files)?;
    let maintenance = of.maintenance.as_ref();
    let maintenance = maintenance.map(|of| Maintenance::compile(of, &at.child("maintenance"), files)).transpose()?;
    Ok(Route { pages, maintenance, ..route })
}

impl Page {
    /// What a client is sent, which would rather have JSON or would not; `None`: there is nothing.
    pub fn content(&self, rather_json: bool) -> Option<&Content> {
        match (&self.file, &self.json) {
            (Some(_), Some(json)) if rather_json => Some(json),
            (Some(file), _) => Some(file),
            (None, json) => json.as_ref(),
        }
    }

    /// Whether it depends on the client which of two it is sent.
    pub fn varies(&self) -> bool {
        self.file.is_some() && self.json.is_some()
    }
}

impl Content {
    fn read(path: &Path, at: KeyPath, files: &Files, is_json: bool) -> Result<Self, Vec<Fault>> {
        let fault =
            |what: String, help: &str| vec![Fault { at: at.clone(), also: None, what, help: Some(help.into()) }];
        let text = match files.shared(&at) {
            Ok(text) if text.len() as u64 >= LARGEST => {
                return Err(fault(format!("`{}` is larger than a page may be", path.display()), "1 MiB at most"));
            }
            Ok(text) => text,
            Err(why) => return Err(fault(why.to_owned(), "a page is read when the configuration is")),
        };
        let has = |field: &str| memchr::memmem::find(text, field.as_bytes()).is_some();
        let mut content = Self { media: "".into(), has_fields: has(ID) || has(STATUS), text: text.clone() };
        content.media = if is_json {
            let filled = content.fill("0", 500);
            match serde_json::from_slice::<serde_json::Value>(&filled) {
                // RFC 9457
                Ok(value) if value.get("title").is_some() => "application/problem+json".into(),
                Ok(_) => "application/json".into(),
                Err(error) => return Err(fault(format!("`{}` is no JSON: {error}", path.display()), "mend it")),
            }
        } else {
            let media = mime_guess::from_path(path).first_raw().unwrap_or("application/octet-stream");
            if media.starts_with("text/") { format!("{media}; charset=utf-8").into() } else { media.into() }
        };
        Ok(content)
    }

    /// The text, with what is filled in of the request.
    pub fn fill(&self, id: &str, status: u16) -> Cow<'_, [u8]> {
        if !self.has_fields {
            return Cow::Borrowed(&self.text);
        }
        let status = status.to_string();
        let mut filled = Vec::with_capacity(self.text.len() + 64);
        let mut rest = &self.text[..];
        while let Some(at) = memchr::memchr(b'{', rest) {
            filled.extend_from_slice(&rest[..at]);
            rest = &rest[at..];
            let (field, value) = match rest {
                _ if rest.starts_with(ID.as_bytes()) => (ID.len(), id.as_bytes()),
                _ if rest.starts_with(STATUS.as_bytes()) => (STATUS.len(), status.as_bytes()),
                _ => (1, &b"{"[..]),
            };
            filled.extend_from_slice(value);
            rest = &rest[field..];
        }
        filled.extend_from_slice(rest);
        Cow::Owned(filled)
    }
}

/// A route that may be in maintenance.
#[derive(Debug)]
pub struct Maintenance {
    /// What clients see; nothing: the page that there is for the status.
    pub page: Page,
    /// The status.
    pub status: u16,
    /// After how many seconds clients are told to come again; 0: they are told nothing.
    pub retry_after: u32,
    /// Clients that see nothing of it.
    pub allow: Vec<IpNet>,
    /// The file by whose being there it is on.
    pub flag_file: Option<PathBuf>,
    enabled: bool,
    /// Whether that file was there.
    flagged: AtomicBool,
}

impl Maintenance {
    /// That which stands at `at`. Whether the file is there is looked at: this blocks.
    pub(super) fn compile(of: &model::Maintenance, at: &KeyPath, files: &Files) -> Result<Arc<Self>, Vec<Fault>> {
        let content = |key: &str, path: &Option<PathBuf>| {
            let path = path.as_ref()?;
            Some(Content::read(path, at.child(key), files, key == "json"))
        };
        let file = content("file", &of.file).transpose()?;
        let json = content("json", &of.json).transpose()?;
        let made = Self {
            page: Page { file, json, status: None, intercept: false },
            status: of.status,
            retry_after: of.retry_after.map_or(0, |span| u32::try_from(span.0.as_secs()).unwrap_or(u32::MAX).max(1)),
            allow: of.allow.clone(),
            flag_file: of.flag_file.clone(),
            enabled: of.enabled,
            flagged: AtomicBool::new(false),
        };
        made.look();
        Ok(Arc::new(made))
    }

    /// Whether this client is kept out now.
    pub fn keeps_out(&self, client: IpAddr) -> bool {
        (self.enabled || self.flagged.load(Ordering::Relaxed)) && !self.allow.iter().any(|net| net.contains(&client))
    }

    /// Whether it is on, whatever there is of files.
    pub fn is_enabled(&self) -> bool {
        self.enabled
    }

    /// Looks whether the file is there. Returns what has come of it, if that is something else than before. Blocks.
    pub fn look(&self) -> Option<bool> {
        let there = self.flag_file.as_ref()?.exists();
        (self.flagged.swap(there, Ordering::Relaxed) != there).then_some(there)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(text: &str) -> Content {
        let has_fields = text.contains(ID) || text.contains(STATUS);
        Content { media: "text/html".into(), text: text.as_bytes().into(), has_fields }
    }

    #[test]
    fn only_what_is_known_is_filled_in() {
        for (text, filled) in [
            ("plain {x}", "plain {x}"),
            ("{status}: {request.id}", "503: r-1"),
            ("a { b } {request.id}{request.id} {", "a { b } r-1r-1 {"),
            ("body{margin:0}{{status}}", "body{margin:0}{503}"),
        ] {
            assert_eq!(content(text).fill("r-1", 503), filled.as_bytes(), "{text}");
        }
    }

    #[test]
    fn the_page_for_the_fewest_statuses_goes_first() {
        let page = |name: &str| Page { file: Some(content(name)), ..Page::default() };
        let mut pages = Pages(vec![(400, 599, page("all")), (500, 599, page("5xx")), (503, 503, page("503"))]);
        pages.0.sort_by_key(|&(first, last, _)| (last - first, first));
        let found = |status| pages.find(status).and_then(|page| page.content(false)).map(|found| found.fill("", 0));
        assert_eq!(found(503).unwrap(), &b"503"[..]);
        assert_eq!(found(502).unwrap(), &b"5xx"[..]);
        assert_eq!(found(404).unwrap(), &b"all"[..]);
        assert!(found(302).is_none());
    }
}
