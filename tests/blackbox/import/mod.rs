//! Configurations of others, imported by the real binary and then run: what they meant is what happens.
//!
//! The files under tests/data/import are realistic, addresses included; a test puts its own addresses in their place.

mod haproxy;
mod kong;
mod nginx;

use crate::support::Proxy;
use crate::support::client::{Client, Response};
use crate::support::proxy::{Setup, ringway, ringway_with};
use std::path::Path;

/// A request with these further lines of its head, on a connection of its own.
#[track_caller]
fn ask(at: &str, method: &str, path: &str, host: &str, fields: &[&str]) -> Response {
    let mut client = Client::to(at);
    let fields: String = fields.iter().map(|field| format!("{field}\r\n")).collect();
    client.send(format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\n{fields}Connection: close\r\n\r\n"));
    client.response_to(method).unwrap_or_else(|e| panic!("no response to {method} {path}: {e:?}"))
}

/// What became of a file.
pub struct Imported {
    pub proxy: Proxy,
    pub toml: String,
    pub report: Vec<Reported>,
}

/// A line of the report.
#[derive(Clone, Debug)]
pub struct Reported {
    pub file: String,
    pub line: usize,
    pub text: String,
    pub verdict: String,
    pub opens: bool,
    pub notes: String,
}

/// A file that is to be imported: where it lies, what is put in place of its addresses, and files beside it.
pub struct Case {
    setup: Setup,
    name: &'static str,
    text: String,
    env: Vec<(String, String)>,
    others: bool,
}

impl Case {
    pub fn new(path: &'static str) -> Case {
        let whole = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/import").join(path);
        let text = std::fs::read_to_string(&whole).unwrap_or_else(|e| panic!("{}: {e}", whole.display()));
        Case { setup: Setup::new(""), name: path.rsplit('/').next().unwrap(), text, env: Vec::new(), others: false }
    }

    /// Puts something in place of what stands in the file.
    #[track_caller]
    pub fn swap(mut self, what: &str, by: impl ToString) -> Case {
        assert!(self.text.contains(what), "{what} is in {}", self.name);
        self.text = self.text.replace(what, &by.to_string());
        self
    }

    /// Listens on any port wherever the file listens on this address.
    #[track_caller]
    pub fn bind(self, what: &str) -> Case {
        let line = format!("bind {what}");
        self.swap(&line, "bind 127.0.0.1:0")
    }

    /// A file beside it.
    pub fn file(self, name: &str, text: impl AsRef<[u8]>) -> Case {
        let path = self.setup.directory().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
        self
    }

    /// A variable of the environment, for whoever reads what comes out.
    pub fn env(mut self, name: &str, value: &str) -> Case {
        self.env.push((name.to_owned(), value.to_owned()));
        self.setup = self.setup.env(name, value);
        self
    }

    /// The folder of these files.
    pub fn folder(&self) -> &Path {
        self.setup.directory()
    }

    /// Imports it, looks at the report, checks what came out, and runs it.
    #[track_caller]
    pub fn run(self) -> Imported {
        self.run_on(&[])
    }

    /// The same where the file includes others, whose lines are in the report as well.
    #[track_caller]
    pub fn run_with_others(mut self) -> Imported {
        self.others = true;
        self.run_on(&[])
    }

    /// The same with other addresses than what came out listens on.
    #[track_caller]
    pub fn run_on(self, addresses: &[(&str, &str)]) -> Imported {
        let (toml, report) = self.import();
        let text = addresses
            .iter()
            .fold(toml.clone(), |text, (what, by)| text.replace(&format!("\"{what}\""), &format!("\"{by}\"")));
        let mut config: toml::Table = text.parse().unwrap_or_else(|e| panic!("{e}\n{toml}"));
        // The harness says these itself.
        config.remove("runtime");
        config.remove("admin");
        config.remove("upgrade");
        let proxy = self.setup.with(toml::to_string(&config).unwrap()).start();
        Imported { proxy, toml, report }
    }

    /// Imports it and checks what came out.
    #[track_caller]
    pub fn import(&self) -> (String, Vec<Reported>) {
        let folder = self.setup.directory();
        let path = |name: &str| folder.join(name).to_str().unwrap().to_owned();
        let (input, output, report) = (path(self.name), path("imported.toml"), path("report.json"));
        std::fs::write(&input, &self.text).unwrap();
        let (code, out, err) = ringway(&["import", &input, "-o", &output, "--report", &report, "--json"]);
        assert_eq!((code, out.as_str(), err.as_str()), (Some(0), "", ""), "{}", self.name);
        let toml = std::fs::read_to_string(&output).unwrap();
        let report = std::fs::read_to_string(&report).unwrap();
        let report = read_report(&serde_json::from_str(&report).unwrap());
        let own: Vec<&Reported> = report.iter().filter(|line| line.file == self.name).collect();
        assert!(self.others || own.len() == report.len(), "a line names its file");
        every_line_once(&self.text, &own);
        let env: Vec<(&str, &str)> = self.env.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let (code, _, err) = ringway_with(&["check", "-c", &output], &env);
        assert_eq!(code, Some(0), "{err}\n{toml}\n{report:#?}");
        (toml, report)
    }
}

fn read_report(report: &serde_json::Value) -> Vec<Reported> {
    let lines = report["lines"].as_array().unwrap();
    let read = |line: &serde_json::Value| {
        let notes: Vec<&str> = line["notes"].as_array().unwrap().iter().map(|note| note.as_str().unwrap()).collect();
        let verdict = line["verdict"].as_str().unwrap().to_owned();
        assert!(verdict == "carried" || !notes.is_empty(), "{line} says why");
        assert!(!notes.contains(&"it is not understood"), "{line}");
        Reported {
            file: line["file"].as_str().unwrap().to_owned(),
            line: line["line"].as_u64().unwrap() as usize,
            text: line["text"].as_str().unwrap().to_owned(),
            verdict,
            opens: line["opens"].as_bool().unwrap(),
            notes: notes.join("; "),
        }
    };
    lines.iter().map(read).collect()
}

/// Every line that is not empty and no comment has one verdict.
#[track_caller]
fn every_line_once(text: &str, report: &[&Reported]) {
    // The end of a block says nothing.
    let said = |line: &str| !["", "}", "---"].contains(&line.trim()) && !line.trim().starts_with('#');
    let wanted: Vec<usize> =
        text.lines().enumerate().filter(|(_, line)| said(line)).map(|(place, _)| place + 1).collect();
    let mut found: Vec<usize> = report.iter().map(|line| line.line).collect();
    // Of nginx several directives may stand on one line.
    found.dedup();
    assert_eq!(found, wanted, "each line is in the report, once");
}

impl Imported {
    /// The line of the report that holds `text`.
    #[track_caller]
    pub fn line(&self, text: &str) -> &Reported {
        self.report.iter().find(|line| line.text.contains(text)).unwrap_or_else(|| panic!("no line has {text:?}"))
    }

    /// The lines that are not supported, with their places.
    pub fn unsupported(&self) -> Vec<&str> {
        self.report.iter().filter(|line| line.verdict == "unsupported").map(|line| line.text.as_str()).collect()
    }
}
