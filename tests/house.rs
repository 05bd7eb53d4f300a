//! The rules of the house that no compiler checks: which module may know which, where `unsafe` may stand, how long a
//! file may be, and that what the documents tell a user to run is there.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a test may block, and fails by panicking"
)]

use regex::Regex;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Files beyond this are two files.
const LONGEST: usize = 600;

/// All files below `folder` of the repository, without what is built or kept by git.
fn files(folder: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![Path::new(ROOT).join(folder)];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for path in entries.map(|entry| entry.unwrap().path()) {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_symlink() || name == "target" || name == ".git" {
                continue;
            }
            if path.is_dir() { folders.push(path) } else { found.push(path) }
        }
    }
    found.sort();
    found
}

fn sources(folder: &str) -> impl Iterator<Item = (String, String)> {
    files(folder).into_iter().filter(|path| path.extension().is_some_and(|e| e == "rs")).map(|path| {
        let text = fs::read_to_string(&path).unwrap();
        (path.strip_prefix(ROOT).unwrap().to_str().unwrap().to_owned(), text)
    })
}

/// A source without its comments; line numbers stay.
fn code(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(|line| line.split("//").next().unwrap()).collect();
    lines.join("\n")
}

/// The modules in the order of the table in src/lib.rs.
fn order() -> Vec<String> {
    let table = Regex::new(r"(?m)^//! \| \[`(\w+)`\]").unwrap();
    let text = fs::read_to_string(Path::new(ROOT).join("src/lib.rs")).unwrap();
    let order: Vec<String> = table.captures_iter(&text).map(|c| c[1].to_owned()).collect();
    assert!(order.len() >= 10, "the table of src/lib.rs is read: {order:?}");
    order
}

/// The modules that a source names by `crate::name` or in `crate::{…}`.
fn named(text: &str) -> Vec<String> {
    let plain = Regex::new(r"\bcrate::(\w+)").unwrap();
    let mut names: Vec<String> = plain.captures_iter(text).map(|c| c[1].to_owned()).collect();
    for (at, group) in text.match_indices("crate::{") {
        let (mut depth, mut start) = (1, true);
        let mut name = String::new();
        for c in text[at + group.len()..].chars() {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                _ => {}
            }
            if depth == 0 || depth == 1 && c == ',' {
                names.push(std::mem::take(&mut name));
                start = true;
            } else if depth == 1 && start && (c.is_alphanumeric() || c == '_') {
                name.push(c);
            } else if !c.is_whitespace() {
                start = false;
            }
            if depth == 0 {
                break;
            }
        }
    }
    names
}

#[test]
fn dependencies_point_down_the_table() {
    let order = order();
    let place = |name: &str| order.iter().position(|module| module == name);
    let mut wrong = Vec::new();
    for (path, text) in sources("src") {
        let module = path["src/".len()..].split(['/', '.']).next().unwrap();
        let Some(own) = place(module) else {
            assert!(["main", "lib"].contains(&module), "{path}: {module} is not in the table of src/lib.rs");
            continue;
        };
        for name in named(&code(&text)) {
            if place(&name).is_some_and(|other| other < own) {
                wrong.push(format!("{path} uses {name}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_reader_of_uses_sees_groups() {
    assert_eq!(named("use crate::{net, plan::{Plan, Route}, observe};"), ["net", "plan", "observe"]);
    assert_eq!(named("crate::net::spawn(x); use crate::config::Config;"), ["net", "config"]);
}

#[test]
fn unsafe_stands_under_net_alone() {
    let word = Regex::new(r"\bunsafe\b").unwrap();
    for (path, text) in sources("src") {
        let found = code(&text).lines().position(|line| word.is_match(line));
        assert!(path.starts_with("src/net/") || found.is_none(), "{path}:{}", found.unwrap() + 1);
    }
}

#[test]
fn the_ring_is_named_under_net_alone() {
    let word = Regex::new(r"\b(io_uring|epoll)::").unwrap();
    for (path, text) in sources("src") {
        assert!(path.starts_with("src/net/") || !word.is_match(&code(&text)), "{path} names the ring");
    }
}

#[test]
fn a_file_can_be_read_in_one_sitting() {
    for (path, text) in sources("src").chain(sources("tests")) {
        let lines = text.lines().count();
        assert!(lines <= LONGEST, "{path} has {lines} lines");
    }
}

#[test]
fn no_module_is_called_after_nothing() {
    for (path, _) in sources("src") {
        let name = Path::new(&path).file_stem().unwrap().to_str().unwrap().to_owned();
        assert!(!["util", "utils", "common", "helpers", "manager", "misc"].contains(&name.as_str()), "{path}");
    }
}

#[test]
fn nothing_is_left_to_be_done_and_no_registry_is_named() {
    let banned = [
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("todo", "!("),
        concat!("unimplemented", "!("),
        concat!("crates", ".io"),
        concat!("py", "pi.org"),
        concat!("npmjs", ".org"),
        concat!("deb.debian", ".org"),
    ];
    for path in files("") {
        // The lock file names where packages come from by its nature.
        if path.ends_with("Cargo.lock") {
            continue;
        }
        let Ok(text) = fs::read_to_string(&path) else { continue };
        for word in banned {
            let line = text.lines().position(|line| line.contains(word));
            assert!(line.is_none(), "{}:{}: {word}", path.display(), line.unwrap() + 1);
        }
    }
}

#[test]
fn what_the_documents_say_to_run_is_there() {
    let help = Command::new(env!("CARGO_BIN_EXE_ringway")).arg("--help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let script = Regex::new(r"\./(scripts/[\w./-]+|\.ci/run)").unwrap();
    let subcommand =
        Regex::new(r"(?m)^\s*(?:\$ )?(?:cargo run (?:--release )?-- |(?:\./)?(?:\S*/)?ringway )([a-z]+)").unwrap();
    let readme = fs::read_to_string(Path::new(ROOT).join("README.md")).expect("README.md is there");
    for command in ["cargo run --release -- demo", "./scripts/test"] {
        assert!(readme.contains(command), "README.md does not say {command}");
    }
    let documents = files("docs").into_iter().filter(|path| path.extension().is_some_and(|e| e == "md"));
    for text in documents.map(|path| fs::read_to_string(path).unwrap()).chain([readme]) {
        for found in script.captures_iter(&text) {
            let path = Path::new(ROOT).join(found[1].trim_end_matches('.'));
            let mode = fs::metadata(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display())).permissions().mode();
            assert!(mode & 0o111 != 0, "{} is not executable", path.display());
        }
        for block in text.split("```").skip(1).step_by(2) {
            for found in subcommand.captures_iter(block) {
                let name = &found[1];
                assert!(help.lines().any(|line| line.trim_start().starts_with(name)), "no subcommand {name}");
            }
        }
    }
}

#[test]
fn the_guide_for_contributors_names_files_that_are_there() {
    let text = fs::read_to_string(Path::new(ROOT).join("CONTRIBUTING.md")).unwrap();
    let path = Regex::new(r"`((?:src|tests|docs|scripts|bench|benches|packaging)/[\w./-]*)`").unwrap();
    let named: Vec<&str> = path.captures_iter(&text).map(|found| found.get(1).unwrap().as_str()).collect();
    assert!(named.len() > 50, "{named:?}");
    for path in named {
        // The walks make this one.
        let is_there = Path::new(ROOT).join(path).exists() || path == "src/upstream/balance/first.rs";
        assert!(is_there, "CONTRIBUTING.md names {path}");
    }
}

#[test]
fn continuous_integration_runs_the_same_script() {
    let text = fs::read_to_string(Path::new(ROOT).join(".ci/run")).unwrap();
    let commands: Vec<&str> = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    assert!(commands.last().is_some_and(|line| line.contains("./scripts/test")), "{commands:?}");
}
