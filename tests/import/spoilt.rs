//! What is imported is accepted whatever is wrong with a file: each of those under tests/data/import, with each of its lines taken away, said
//! twice, or as the last.
//! Nothing of it panics, every line has a verdict, and the configuration has no fault but files that are not there.

use super::Alone;
use ringway::import::{Imported, Line, Source, Verdict, import};
use ringway::{config, plan};
use std::collections::HashSet;
use std::path::{Path, PathBuf};

fn files(kind: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/import").join(kind);
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// What became of a file, each line once and with a reason where it is not carried over as it is.
fn lines_without_a_verdict(made: &Imported, text: &str) -> Vec<String> {
    let said = |line: &str| !["", "}", "---"].contains(&line.trim()) && !line.trim().starts_with('#');
    let wanted = text.lines().enumerate().filter(|(_, line)| said(line)).map(|(place, line)| (place as u32 + 1, line));
    let told: HashSet<u32> = made.report.lines.iter().map(|line| line.line).collect();
    let missing =
        wanted.filter(|(place, _)| !told.contains(place)).map(|(_, line)| format!("`{line}` is not in the report"));
    let bare = |line: &&Line| line.verdict != Verdict::Carried && line.notes.is_empty();
    let bare = made.report.lines.iter().filter(bare).map(|line| format!("`{}` has no reason", line.text));
    missing.chain(bare).collect()
}

/// What is wrong with a configuration, but for files that are not there and variables that are not set.
pub fn faults(toml: &str, place: &Path) -> Vec<String> {
    std::fs::write(place, toml).unwrap();
    let environment = |name: &str| (name != "LISTEN_ON").then(|| "127.0.0.1:80".to_owned());
    let text = match config::load(place, &environment) {
        Err(report) => report.render(false),
        Ok(loaded) => match plan::compile(&loaded.config, 1) {
            Ok(_) => return Vec::new(),
            Err(faults) => loaded.sources.report(&faults).render(false),
        },
    };
    let faults = text.split("\n\n").filter(|fault| fault.starts_with("error")).map(str::to_owned);
    faults.filter(|fault| !fault.contains("cannot read") && !fault.contains("cannot be read")).collect()
}

/// A file with what may be wrong with it, and what that is.
fn spoilt(source: Source, text: &str) -> Vec<(String, String)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut all = Vec::new();
    for at in 0..lines.len() {
        let (before, behind) = lines.split_at(at);
        all.push((format!("without line {}", at + 1), [before, &behind[1..]].concat().join("\n")));
        all.push((format!("with line {} twice", at + 1), [before, &behind[..1], behind].concat().join("\n")));
        let mut end = [before, &behind[..1]].concat().join("\n");
        if source == Source::Nginx {
            // Blocks are closed, as the file could not be read else.
            let open = end.matches('{').count().saturating_sub(end.matches('}').count());
            end.push_str(&"\n}".repeat(open));
        }
        all.push((format!("to line {}", at + 1), end));
    }
    all
}

fn every_line_is_spoilt(kind: &str, source: Source) {
    let place = std::env::temp_dir().join(format!("ringway-import-{kind}-{}.toml", std::process::id()));
    let mut wrong = Vec::new();
    // What comes out the same is looked at once.
    let mut seen = HashSet::new();
    for file in files(kind) {
        let text = std::fs::read_to_string(&file).unwrap();
        let name = file.file_name().unwrap().to_str().unwrap();
        for (what, text) in spoilt(source, &text) {
            let Ok(made) = import(source, name, &text, &Alone) else { continue };
            wrong.extend(lines_without_a_verdict(&made, &text).iter().map(|fault| format!("{name} {what}: {fault}")));
            // The first line counts verdicts.
            let (_, rest) = made.toml.split_once('\n').unwrap();
            if seen.insert(rest.to_owned()) {
                wrong.extend(faults(&made.toml, &place).iter().map(|fault| format!("{name} {what}: {fault}")));
            }
        }
    }
    let _ = std::fs::remove_file(&place);
    assert!(seen.len() > 100, "{} outcomes", seen.len());
    assert!(wrong.is_empty(), "{} faults:\n{}", wrong.len(), wrong[..wrong.len().min(40)].join("\n"));
}

#[test]
fn a_haproxy_cfg_with_any_line_spoilt_is_imported() {
    every_line_is_spoilt("haproxy", Source::Haproxy);
}

#[test]
fn an_nginx_conf_with_any_line_spoilt_is_imported() {
    every_line_is_spoilt("nginx", Source::Nginx);
}

#[test]
fn a_kong_yml_with_any_line_spoilt_is_imported() {
    every_line_is_spoilt("kong", Source::Kong);
}
