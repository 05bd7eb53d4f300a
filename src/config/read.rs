//! Reads a file and what it includes into one tree. Every fault of every file is kept; none ends the reading.

use super::glob;
use super::report::{Entry, File, Place};
use super::schema::KINDS;
use super::sources::KeyPath;
use super::tree::{Node, Planter, Table, Value};
use std::collections::BTreeSet;
use std::io::Read;
use std::path::{Path, PathBuf};
use toml::de::DeTable;

/// The largest file that is read, in bytes: far above any real one, so that a device or a log is refused.
const FILE_MAX: u64 = 16 << 20;
/// The most files that one configuration may have.
const FILES_MAX: usize = 1000;

/// What reading gives.
pub struct Reading {
    /// The files, the one given first.
    pub files: Vec<File>,
    /// All of them merged, without `include`.
    pub root: Table,
    /// What was wrong.
    pub entries: Vec<Entry>,
    /// The tables that have a line with a syntax error: what seems missing there may not be.
    pub gaps: BTreeSet<KeyPath>,
    /// Whether whole tables or files are lost.
    pub torn: bool,
}

/// Reads `path` and what it includes.
pub fn read(path: &Path, env: &dyn Fn(&str) -> Option<String>) -> Reading {
    let reading =
        Reading { files: Vec::new(), root: Table::new(), entries: Vec::new(), gaps: BTreeSet::new(), torn: false };
    let mut reader = Reader { env, reading, open: Vec::new(), seen: BTreeSet::new() };
    reader.file(path, None);
    reader.reading
}

struct Reader<'e> {
    env: &'e dyn Fn(&str) -> Option<String>,
    reading: Reading,
    /// The files whose includes are being read, by their real paths.
    open: Vec<PathBuf>,
    seen: BTreeSet<PathBuf>,
}

impl Reader<'_> {
    fn file(&mut self, path: &Path, named_by: Option<&Place>) {
        let real = path.canonicalize().unwrap_or_else(|_| path.into());
        if let (true, Some(place)) = (self.open.contains(&real), named_by) {
            let chain: Vec<String> = self.open.iter().chain([&real]).map(|p| p.display().to_string()).collect();
            let entry = Entry::at(place, format!("`{}` includes itself", path.display()));
            self.reading.entries.push(entry.help(format!("the chain is {}", chain.join(" → "))));
            return;
        }
        if !self.seen.insert(real.clone()) {
            return;
        }
        let text = match text(path) {
            _ if self.seen.len() > FILES_MAX => return self.lost(named_by, format!("more than {FILES_MAX} files")),
            Ok(text) => text,
            Err(reason) => return self.lost(named_by, format!("cannot read `{}`: {reason}", path.display())),
        };
        let index = self.reading.files.len();
        self.reading.files.push(File { path: path.into(), text: text.clone() });
        let (document, errors) = DeTable::parse_recoverable(&text);
        let mut broken = BTreeSet::new();
        for error in errors {
            let place = Place::new(index, error.span().unwrap_or(0..0));
            broken.insert(place.start);
            if is_unclosed(&text, &place, error.message()) {
                let help = "an array, a table or a string before this line is not closed";
                self.reading.entries.push(Entry::at(&place, error.message()).help(Some(help.into())));
                self.reading.torn = true;
                break;
            }
            self.reading.entries.push(syntax(&text, &place, error.message()));
        }
        let mut planter = Planter { file: index, text: &text, env: self.env, faults: Vec::new() };
        let mut table = planter.table(document.into_inner());
        self.reading.entries.append(&mut planter.faults);
        if let Some(&first) = broken.first() {
            self.reading.torn |= is_torn(&table, &text, first);
            self.reading.gaps.extend(broken.iter().map(|&at| table_of(&table, at)));
            let lines = broken.iter().map(|&at| line_of(&text, at)).collect();
            drop_broken(&mut table, &text, &lines);
        }
        let include = table.remove("include");
        self.merge(table);
        if let Some(include) = include {
            self.open.push(real);
            self.include(&include, path.parent().unwrap_or(Path::new("")));
            self.open.pop();
        }
    }

    fn lost(&mut self, named_by: Option<&Place>, what: String) {
        self.reading.torn = true;
        self.reading.entries.push(match named_by {
            Some(place) => Entry::at(place, what),
            None => Entry { at: None, also: None, what, help: None },
        });
    }

    fn include(&mut self, include: &Node, folder: &Path) {
        let wrong = |node: &Node| {
            let what = format!("`include` must be an array of paths, not {}", node.kind());
            Entry::at(&node.at, what).help(Some("write include = [\"conf.d/*.toml\"]".into()))
        };
        let Value::List(patterns) = &include.value else {
            return self.reading.entries.push(wrong(include));
        };
        for node in patterns {
            let Some(pattern) = node.text().filter(|text| !text.is_empty()) else {
                self.reading.entries.push(wrong(node));
                continue;
            };
            let shown = node.shown(&self.reading.files).to_owned();
            match glob::find(folder, pattern) {
                Ok(paths) if paths.is_empty() && !glob::is_pattern(pattern) => {
                    self.lost(Some(&node.at), format!("{shown} names no file"));
                }
                Ok(paths) => paths.iter().for_each(|path| self.file(path, Some(&node.at))),
                Err(error) => self.lost(Some(&node.at), format!("cannot look for {shown}: {}", reason(&error))),
            }
        }
    }

    fn merge(&mut self, table: Table) {
        for (key, node) in table {
            let plural = KINDS.iter().find(|(_, plural, _)| *plural == key);
            let entries = &mut self.reading.entries;
            merge(&mut self.reading.root, key, node, plural.map(|(kind, ..)| *kind), false, entries);
        }
    }
}

/// Adds a key to a table. Tables are merged, but not named things: `kind` is what the keys of this one are, and `thing`
/// whether this is one.
fn merge(into: &mut Table, key: String, node: Node, kind: Option<&str>, thing: bool, entries: &mut Vec<Entry>) {
    let Some(old) = into.get_mut(&key) else {
        into.insert(key, node);
        return;
    };
    match (&mut old.value, node.value) {
        (Value::Table(old), Value::Table(new)) if !thing => {
            for (key, node) in new {
                match (kind, old.get(&key)) {
                    (Some(kind), Some(first)) => entries.push(
                        Entry::at(&node.key, format!("{kind} `{key}` is defined twice"))
                            .also(&first.key, "first defined here")
                            .help(Some("give one of them another name, or remove it".into())),
                    ),
                    _ => merge(old, key, node, None, kind.is_some(), entries),
                }
            }
        }
        _ => entries.push(
            Entry::at(&node.key, format!("`{key}` is set twice"))
                .also(&old.key, "first set here")
                .help(Some("remove one of them: files are merged, none goes before another".into())),
        ),
    }
}

fn text(path: &Path) -> Result<String, String> {
    let file = std::fs::File::open(path).map_err(|e| reason(&e))?;
    if file.metadata().map_err(|e| reason(&e))?.is_dir() {
        return Err("it is a directory".into());
    }
    let mut bytes = Vec::new();
    file.take(FILE_MAX + 1).read_to_end(&mut bytes).map_err(|e| reason(&e))?;
    if bytes.len() as u64 > FILE_MAX {
        return Err(format!("it is larger than {} MiB", FILE_MAX >> 20));
    }
    String::from_utf8(bytes).map_err(|error| {
        let good = error.utf8_error().valid_up_to();
        let line = 1 + error.as_bytes()[..good].iter().filter(|&&b| b == b'\n').count();
        format!("line {line} is not UTF-8")
    })
}

fn reason(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "there is no such file".into(),
        std::io::ErrorKind::PermissionDenied => "permission denied".into(),
        _ => error.to_string(),
    }
}

/// Whether the parser took a line of its own for part of what was opened before: all that it says after is a guess.
fn is_unclosed(text: &str, place: &Place, message: &str) -> bool {
    let (before, after) = text.split_at_checked(place.start).unwrap_or((text, ""));
    let line = after.lines().next().unwrap_or_default();
    let key = line.split('=').next().unwrap_or_default().trim_end();
    let own = line.starts_with('[')
        || (key.len() < line.len() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'));
    let begins = before.is_empty() || before.ends_with('\n');
    begins && own && ["comma", "inline table", "array"].iter().any(|part| message.contains(part))
}

fn syntax(text: &str, place: &Place, message: &str) -> Entry {
    if message != "duplicate key" {
        return Entry::at(place, message);
    }
    let key = text.get(place.start..place.end).unwrap_or_default();
    let entry = Entry::at(place, format!("`{key}` is defined twice"));
    match first_definition(text, place) {
        Some(first) => entry.also(&first, "first defined here"),
        None => entry,
    }
}

/// The parser does not say where a duplicate key stood before: looks for the same header, or the same key in the table.
fn first_definition(text: &str, place: &Place) -> Option<Place> {
    let key = text.get(place.start..place.end)?;
    let begin = text[..place.start].rfind('\n').map_or(0, |n| n + 1);
    let header = |line: &str| line.split('#').next().unwrap_or_default().replace([' ', '\t'], "");
    let this = header(text[begin..].lines().next()?);
    let mut end = begin;
    while end > 0 {
        let start = text[..end - 1].rfind('\n').map_or(0, |n| n + 1);
        let line = &text[start..end];
        let found = if this.starts_with('[') {
            (header(line.trim()) == this).then(|| line.rfind(key)).flatten()
        } else if line.trim_start().starts_with('[') {
            return None;
        } else {
            let rest = line.trim_start().strip_prefix(key);
            rest.filter(|rest| rest.trim_start().starts_with('=')).and_then(|_| line.find(key))
        };
        if let Some(at) = found {
            return Some(Place::new(place.file, start + at..start + at + key.len()));
        }
        end = start;
    }
    None
}

fn line_of(text: &str, at: usize) -> usize {
    text[..at.min(text.len())].matches('\n').count()
}

/// What the parser recovered on a line with a syntax error is a guess: nothing further is said about it.
fn drop_broken(table: &mut Table, text: &str, broken: &BTreeSet<usize>) {
    table.retain(|_, node| match &mut node.value {
        Value::Table(inner) => {
            drop_broken(inner, text, broken);
            true
        }
        _ => {
            let lines = line_of(text, node.key.start)..=line_of(text, node.at.end);
            !broken.iter().any(|line| lines.contains(line))
        }
    });
}

/// Whether a header after the first syntax error is missing from what the parser recovered.
fn is_torn(table: &Table, text: &str, first: usize) -> bool {
    let mut headers = BTreeSet::new();
    each_table(table, &KeyPath::default(), &mut |_, node| {
        headers.insert(node.at.start);
    });
    let mut start = text[..first.min(text.len())].rfind('\n').map_or(0, |n| n + 1);
    text[start..].split_inclusive('\n').any(|line| {
        let at = start + line.len() - line.trim_start().len();
        start += line.len();
        line.trim_start().starts_with('[') && !headers.contains(&at)
    })
}

/// The table that a line belongs to: the last one whose header is before it.
fn table_of(table: &Table, at: usize) -> KeyPath {
    let mut last = (0, KeyPath::default());
    each_table(table, &KeyPath::default(), &mut |path, node| {
        if (last.0..=at).contains(&node.at.start) {
            last = (node.at.start, path.clone());
        }
    });
    last.1
}

fn each_table(table: &Table, path: &KeyPath, look: &mut dyn FnMut(&KeyPath, &Node)) {
    for (key, node) in table {
        if let Value::Table(inner) = &node.value {
            let path = path.child(key);
            look(&path, node);
            each_table(inner, &path, look);
        }
    }
}
