//! Reads a file and what it includes into one tree. Every fault of every file is kept; none ends the reading.

use super::glob;
use super::report::{Entry, File, Place};
use super::schema::KINDS;
use super::sources::KeyPath;
use super::syntax::Broken;
use super::tree::{Node, Planter, Table, Value};
use crate::net;
use std::collections::BTreeSet;
use std::io::Read;
use std::path::{Path, PathBuf};
use toml::de::DeTable;

/// The largest file of a configuration, in bytes: far above any real one, so that a device or a log is refused.
pub const FILE_MAX: u64 = 16 << 20;
/// The most files that one configuration may have.
const FILES_MAX: usize = 1000;

/// What reading gives.
pub struct Reading {
    /// The files, the one given first.
    pub files: Vec<File>,
    /// The folders in which included files are looked for by a pattern.
    pub folders: Vec<PathBuf>,
    /// All of them merged, without `include`.
    pub root: Table,
    /// What was wrong.
    pub entries: Vec<Entry>,
    /// The tables that have a line with a syntax error: what seems missing there may not be.
    pub gaps: BTreeSet<KeyPath>,
    /// Whether whole tables or files are lost.
    pub torn: bool,
}

/// Reads `path` and what it includes, each of `most` bytes at most.
pub fn read(path: &Path, env: &dyn Fn(&str) -> Option<String>, most: u64) -> Reading {
    let reading = Reading {
        files: Vec::new(),
        folders: Vec::new(),
        root: Table::new(),
        entries: Vec::new(),
        gaps: BTreeSet::new(),
        torn: false,
    };
    let mut reader = Reader { env, most, reading, open: Vec::new(), seen: BTreeSet::new() };
    reader.file(path, None);
    reader.reading
}

struct Reader<'e> {
    env: &'e dyn Fn(&str) -> Option<String>,
    most: u64,
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
        let text = match text(path, self.most) {
            _ if self.seen.len() > FILES_MAX => return self.lost(named_by, format!("more than {FILES_MAX} files")),
            Ok(text) => text,
            Err(reason) => return self.lost(named_by, format!("cannot read `{}`: {reason}", path.display())),
        };
        let index = self.reading.files.len();
        self.reading.files.push(File { path: path.into(), text: text.clone() });
        let (document, errors) = DeTable::parse_recoverable(&text);
        let mut broken = Broken::new(index, &text, &errors);
        self.reading.entries.append(&mut broken.entries);
        let mut planter = Planter { file: index, text: &text, env: self.env, faults: Vec::new() };
        let mut table = planter.table(document.into_inner());
        self.reading.entries.append(&mut planter.faults);
        self.reading.torn |= broken.is_torn(&table);
        self.reading.gaps.extend(broken.gaps(&table));
        broken.prune(&mut table);
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
            if glob::is_pattern(pattern) {
                let folder = folder.join(pattern);
                self.reading.folders.extend(folder.parent().filter(|folder| folder.is_dir()).map(Path::to_owned));
            }
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
            let plural = KINDS.iter().map(|(kind, plural, _)| (*kind, *plural)).chain([("test", "tests")]);
            let kind = plural.into_iter().find(|(_, plural)| *plural == key).map(|(kind, _)| kind);
            let entries = &mut self.reading.entries;
            merge(&mut self.reading.root, key, node, kind, false, entries);
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

fn text(path: &Path, most: u64) -> Result<String, String> {
    let file = std::fs::File::open(path).map_err(|e| reason(&e))?;
    if file.metadata().map_err(|e| reason(&e))?.is_dir() {
        return Err("it is a directory".into());
    }
    let mut bytes = Vec::new();
    file.take(most + 1).read_to_end(&mut bytes).map_err(|e| reason(&e))?;
    if bytes.len() as u64 > most {
        return Err(format!("it is larger than {} MiB", most >> 20));
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
        std::io::ErrorKind::PermissionDenied => format!("permission denied to {}", net::whoami()),
        _ => error.to_string(),
    }
}
