//! Configurations of others as Ringway's own: haproxy.cfg, nginx.conf and kong.yml become TOML, and a report says of each line what became
//! of it.
//!
//! Each source has a parser and a translator, which make a [`draft`] and a [`report`]; one emitter writes the TOML. All of it is a function
//! from texts to texts: files that an input names, such as maps, come through [`Around`].
//! What always holds: every line that says something has exactly one verdict, and nothing is left out in silence; what is written is
//! accepted by `ringway check` where the files are that it names.
//! May depend on `config`.

mod condition;
mod draft;
mod emit;
mod haproxy;
mod kong;
mod nginx;
mod report;
mod valid;

pub use report::{Line, Report, Verdict};

use std::net::IpAddr;
use std::path::Path;

/// Whose configuration it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Source {
    /// haproxy.cfg
    Haproxy,
    /// nginx.conf
    Nginx,
    /// kong.yml, a file of decK
    Kong,
}

/// What lies around an input.
pub trait Around {
    /// The text of a file that it names; `None` if it cannot be had.
    fn read(&self, path: &str) -> Option<String>;
    /// Whether that is a folder.
    fn is_folder(&self, path: &str) -> bool;
    /// The files whose names are like this one, in which `*` stands for any part of a name.
    fn matching(&self, pattern: &str) -> Vec<String>;
    /// An address of a host.
    fn resolve(&self, host: &str) -> Option<IpAddr>;
}

/// What was made of an input.
#[derive(Clone, Debug)]
pub struct Imported {
    /// The configuration.
    pub toml: String,
    /// What became of each line.
    pub report: Report,
}

/// An input that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// The line, from 1; 0 for the file as a whole.
    pub line: u32,
    /// What is wrong.
    pub what: String,
}

impl Source {
    /// Whose configuration a file is, by its name and what is in it.
    pub fn of(path: &Path, text: &str) -> Option<Source> {
        match path.extension().and_then(|end| end.to_str()) {
            Some("yml" | "yaml") => return Some(Source::Kong),
            Some("cfg") => return Some(Source::Haproxy),
            _ => {}
        }
        let first = |line: &str| line.split_whitespace().next().map(str::to_owned);
        let sections = ["global", "defaults", "frontend", "backend", "listen"];
        let has = text.lines().filter_map(first).any(|word| sections.contains(&word.as_str()));
        let blocks = text.lines().any(|line| {
            ["http", "server", "stream", "upstream"].iter().any(|word| line.trim_start().starts_with(word))
                && line.contains('{')
        });
        match (has, blocks) {
            (_, true) => Some(Source::Nginx),
            (true, _) => Some(Source::Haproxy),
            _ if text.contains("_format_version") => Some(Source::Kong),
            _ => None,
        }
    }
}

/// Makes a configuration of an input. `name` is what the report calls the file.
///
/// # Errors
/// What keeps the input from being read at all.
pub fn import(source: Source, name: &str, text: &str, around: &dyn Around) -> Result<Imported, Wrong> {
    let (draft, report) = match source {
        Source::Haproxy => haproxy::import(name, text, around)?,
        Source::Nginx => nginx::import(name, text, around)?,
        Source::Kong => kong::import(name, text, around)?,
    };
    if !draft.entries.iter().any(|entry| entry.path.first().is_some_and(|kind| kind == "listeners")) {
        return Err(nowhere(&report));
    }
    let title = [format!("Made of {name} by `ringway import`: {}.", report.summary())];
    Ok(Imported { toml: emit::emit(&draft, &title), report })
}

/// Why a configuration would serve nothing: the first address that cannot be listened on, and the reason.
fn nowhere(report: &Report) -> Wrong {
    let binds = |line: &&Line| {
        line.verdict == Verdict::Unsupported
            && ["bind", "listen"].contains(&line.text.split_whitespace().next().unwrap_or_default())
    };
    match report.lines.iter().find(binds) {
        Some(line) => Wrong {
            line: line.line,
            what: format!(
                "it listens nowhere, so that nothing would be served: `{}`: {}",
                line.text,
                line.notes.join("; ")
            ),
        },
        None => Wrong { line: 0, what: "it listens nowhere: nothing would be served".to_owned() },
    }
}
