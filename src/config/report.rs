//! What a user is told about wrong input: each fault as file:line:column, the text underlined, what is wrong, and help.

use super::masked::masked;
use annotate_snippets::{AnnotationKind, Level, Origin, Renderer, Snippet};
use std::fmt;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

/// A file as it was read.
#[derive(Clone, Debug)]
pub struct File {
    /// Where it was read from, as the user would name it.
    pub path: PathBuf,
    /// Its whole text.
    pub text: String,
}

/// A piece of a file's text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Which of the files.
    pub file: usize,
    /// Where it starts, in bytes.
    pub start: usize,
    /// Where it ends, in bytes.
    pub end: usize,
}

impl Place {
    /// The place of a span.
    pub fn new(file: usize, span: Range<usize>) -> Self {
        Self { file, start: span.start, end: span.end }
    }
}

/// One fault or warning with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What is underlined; nothing, where there is no text to show.
    pub at: Option<Place>,
    /// A second place, and what it has to do with the first.
    pub also: Option<(Place, String)>,
    /// What is wrong.
    pub what: String,
    /// What to do.
    pub help: Option<String>,
}

impl Entry {
    /// A fault at a place.
    pub fn at(place: &Place, what: impl Into<String>) -> Self {
        Self { at: Some(place.clone()), also: None, what: what.into(), help: None }
    }

    /// Adds what to do.
    pub fn help(mut self, help: impl Into<Option<String>>) -> Self {
        self.help = help.into();
        self
    }

    /// Adds a second place.
    pub fn also(mut self, place: &Place, label: impl Into<String>) -> Self {
        self.also = Some((place.clone(), label.into()));
        self
    }
}

/// Faults (or warnings) in the order of files and lines, each once.
#[derive(Clone, Debug)]
pub struct Report {
    files: Arc<Vec<File>>,
    entries: Vec<Entry>,
    warning: bool,
}

impl Report {
    /// A report of faults.
    pub fn faults(files: Arc<Vec<File>>, entries: Vec<Entry>) -> Self {
        Self::new(files, entries, false)
    }

    /// A report of warnings.
    pub fn warnings(files: Arc<Vec<File>>, entries: Vec<Entry>) -> Self {
        Self::new(files, entries, true)
    }

    /// The same with further ones.
    pub(super) fn with(mut self, entries: Vec<Entry>) -> Self {
        self.entries.extend(entries);
        Self::new(self.files, self.entries, self.warning)
    }

    fn new(files: Arc<Vec<File>>, mut entries: Vec<Entry>, warning: bool) -> Self {
        entries.sort_by(|a, b| (&a.at, &a.what).cmp(&(&b.at, &b.what)));
        entries.dedup_by(|a, b| a.at == b.at && a.what == b.what);
        Self { files, entries, warning }
    }

    /// Whether there is nothing to tell.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How many faults or warnings there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// What is wrong, an entry a line, without the text that it was found in: that may be secret.
    pub fn brief(&self) -> String {
        let place = |at: &Place| {
            let File { path, text } = &self.files[at.file];
            format!("{}:{}: ", path.display(), 1 + text[..at.start].matches('\n').count())
        };
        let line = |entry: &Entry| format!("{}{}", entry.at.as_ref().map(place).unwrap_or_default(), entry.what);
        self.entries.iter().map(line).collect::<Vec<_>>().join("\n")
    }

    /// The text for a terminal that shows colours, or for anything else.
    pub fn render(&self, colour: bool) -> String {
        let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
        let drawn: Vec<String> = self.entries.iter().map(|entry| self.draw(entry, &renderer)).collect();
        drawn.join("\n\n")
    }

    fn draw(&self, entry: &Entry, renderer: &Renderer) -> String {
        let level = if self.warning { Level::WARNING } else { Level::ERROR };
        let mut group = level.primary_title(entry.what.as_str()).elements(None::<Origin<'_>>);
        if let Some(at) = &entry.at {
            let also = entry.also.as_ref();
            let near = also.filter(|(place, _)| place.file == at.file);
            let mut snippet = self.snippet(at, near.map(|(place, _)| place));
            let offset = snippet.1;
            snippet.0 = snippet.0.annotation(AnnotationKind::Primary.span(at.start - offset..at.end - offset));
            if let Some((place, label)) = near {
                let span = place.start - offset..place.end - offset;
                snippet.0 = snippet.0.annotation(AnnotationKind::Context.span(span).label(label.as_str()));
            }
            group = group.element(snippet.0);
            if let Some((place, label)) = also.filter(|(place, _)| place.file != at.file) {
                let (far, offset) = self.snippet(place, None);
                let span = place.start - offset..place.end - offset;
                group = group.element(far.annotation(AnnotationKind::Context.span(span).label(label.as_str())));
            }
        }
        if let Some(help) = &entry.help {
            group = group.element(Level::HELP.message(help.as_str()));
        }
        renderer.render(&[group])
    }

    /// The lines of one or two places, without secrets, and the byte that they begin at: drawing looks at no other line of the file.
    fn snippet(&self, at: &Place, other: Option<&Place>) -> (Snippet<'_, annotate_snippets::Annotation<'_>>, usize) {
        let File { path, text } = &self.files[at.file];
        let first = other.map_or(at.start, |o| o.start.min(at.start));
        let last = other.map_or(at.end, |o| o.end.max(at.end));
        let begin = text[..first].rfind('\n').map_or(0, |n| n + 1);
        let end = text[last..].find('\n').map_or(text.len(), |n| last + n);
        let line = 1 + text[..begin].matches('\n').count();
        (Snippet::source(masked(text, begin, end)).path(path.display().to_string()).line_start(line), begin)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for Report {}
