//! What the documentation says holds: its links lead somewhere, and its configurations are accepted.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use toml::{Table, Value};

/// All pages, by their paths from the root of the repository.
fn pages() -> BTreeMap<PathBuf, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut pages = BTreeMap::new();
    let mut folders = vec![root.join("docs")];
    let at_root = std::fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file());
    let mut files: Vec<PathBuf> = at_root.collect();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    for path in files.into_iter().filter(|path| path.extension().is_some_and(|end| end == "md")) {
        pages.insert(path.strip_prefix(root).unwrap().to_owned(), std::fs::read_to_string(&path).unwrap());
    }
    assert!(pages.len() > 8, "{:?}", pages.keys());
    pages
}

/// The lines of a page that are no code, with their numbers from 1.
fn prose(text: &str) -> Vec<(usize, &str)> {
    let mut in_code = false;
    let mut lines = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        } else if !in_code {
            lines.push((number, line));
        }
    }
    lines
}

/// What follows `#` to lead to each heading of a page.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut anchors = BTreeSet::new();
    for (_, line) in prose(text) {
        let Some(heading) = line.strip_prefix('#') else { continue };
        let heading = heading.trim_start_matches('#').trim().to_lowercase();
        let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        let slug: String = kept.map(|c| if c == ' ' { '-' } else { c }).collect();
        let mut name = slug.clone();
        let mut times = 0;
        while !anchors.insert(name.clone()) {
            times += 1;
            name = format!("{slug}-{times}");
        }
    }
    anchors
}

/// Where the links of a line lead.
fn links(line: &str) -> Vec<&str> {
    line.match_indices("](").filter_map(|(at, _)| line[at + 2..].split_once(')').map(|(target, _)| target)).collect()
}

#[test]
fn every_link_within_the_repository_leads_somewhere() {
    let pages = pages();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut lost = Vec::new();
    for (page, text) in &pages {
        for (number, line) in prose(text) {
            for link in links(line).into_iter().filter(|link| !link.contains("://")) {
                let (file, anchor) = link.split_once('#').map_or((link, None), |(file, anchor)| (file, Some(anchor)));
                let path = match file {
                    "" => page.clone(),
                    _ => plain(&page.parent().unwrap().join(file)),
                };
                let leads = match (anchor, pages.get(&path)) {
                    (None, _) => root.join(&path).exists(),
                    (Some(anchor), Some(text)) => anchors(text).contains(anchor),
                    (Some(_), None) => false,
                };
                if !leads {
                    lost.push(format!("{}:{number}: {link}", page.display()));
                }
            }
        }
    }
    assert!(lost.is_empty(), "{lost:#?}");
}

/// Without `..`.
fn plain(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            std::path::Component::ParentDir => drop(out.pop()),
            other => out.push(other),
        }
    }
    out
}

/// What Grafana fills in.
fn filled(query: &str) -> String {
    let query = query.replace("$__rate_interval", "5m");
    ["$instance", "$listener", "$route", "$pool", "$job"].iter().fold(query, |query, name| query.replace(name, ".*"))
}

#[test]
fn the_queries_of_dashboards_and_alerts_are_sound_and_ask_for_metrics_that_there_are() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(root.join("docs/grafana/ringway.json")).unwrap();
    let dashboard: serde_json::Value = serde_json::from_str(&text).unwrap();
    let mut queries = vec![dashboard["annotations"]["list"][0]["expr"].as_str().unwrap().to_owned()];
    for panel in dashboard["panels"].as_array().unwrap() {
        let targets = panel["targets"].as_array().into_iter().flatten();
        queries.extend(targets.map(|target| target["expr"].as_str().unwrap().to_owned()));
    }
    assert!(queries.len() > 30);
    let rules: Vec<serde_json::Value> = queries
        .iter()
        .enumerate()
        .map(|(place, query)| serde_json::json!({ "record": format!("docs:query{place}"), "expr": filled(query) }))
        .collect();
    // JSON is YAML.
    let page = std::fs::read_to_string(root.join("docs/grafana.md")).unwrap();
    let alerts =
        page.split("```yaml\n").find(|block| block.starts_with("groups:")).unwrap().split("```").next().unwrap();
    let groups = serde_json::json!({ "groups": [{ "name": "docs", "rules": rules }] }).to_string();
    let folder = std::env::temp_dir();
    for (name, text) in [("queries", groups.as_str()), ("alerts", alerts)] {
        let file = folder.join(format!("ringway-docs-{name}-{}.yml", std::process::id()));
        std::fs::write(&file, text).unwrap();
        let out = Command::new("promtool").args(["check", "rules"]).arg(&file).output().unwrap();
        std::fs::remove_file(&file).unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    }
    let known = std::fs::read_to_string(root.join("docs/observability.md")).unwrap();
    for query in queries.iter().map(String::as_str).chain([alerts]) {
        let words = query.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
        for metric in words.filter(|word| word.starts_with("ringway_") || word.starts_with("process_")) {
            let metric = metric.trim_end_matches("_bucket");
            assert!(known.contains(&format!("`{metric}`")), "no metric is called {metric}");
        }
    }
}

#[test]
fn every_configuration_is_accepted() {
    let mut refused = Vec::new();
    let mut count = 0;
    for (page, text) in &pages() {
        let mut rest = text.as_str();
        while let Some((before, block)) = rest.split_once("```toml\n") {
            let (block, after) = block.split_once("```").unwrap();
            let line = text.len() - rest.len() + before.len();
            let number = text[..line].lines().count() + 1;
            count += 1;
            if let Err(why) = check(block) {
                refused.push(format!("{}:{number}: {why}", page.display()));
            }
            rest = after;
        }
    }
    assert!(count > 30, "{count} blocks");
    assert!(refused.is_empty(), "{}", refused.join("\n"));
}

/// Has the program check a piece of a configuration: what it names and what a whole one needs is added.
fn check(block: &str) -> Result<(), String> {
    let mut config: Table = block.parse().map_err(|error| format!("{error}"))?;
    complete(&mut config);
    let folder = std::env::temp_dir().join(format!("ringway-docs-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("ringway.toml");
    std::fs::write(&file, config.to_string()).unwrap();
    let ask = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ringway"));
        command.args(["check", "-c"]).arg(&file).env("NO_COLOR", "1");
        for name in variables(block) {
            command.env(name, "x");
        }
        let out = command.output().unwrap();
        (out.status.success(), String::from_utf8_lossy(&out.stderr).into_owned())
    };
    let (mut good, mut said) = ask();
    for _ in 0..10 {
        if good || !make_files(&said) {
            break;
        }
        (good, said) = ask();
    }
    std::fs::remove_dir_all(&folder).unwrap();
    if good { Ok(()) } else { Err(format!("{said}\n{config}")) }
}

/// The environment's that a block asks for.
fn variables(block: &str) -> Vec<&str> {
    block.split("${").skip(1).filter_map(|rest| rest.split(['}', ':']).next()).collect()
}

fn table<'t>(of: &'t mut Table, name: &str) -> &'t mut Table {
    of.entry(name).or_insert_with(|| Value::Table(Table::new())).as_table_mut().unwrap()
}

/// Adds what a whole configuration needs.
fn complete(config: &mut Table) {
    // What a configuration promises of itself can be tried where it is whole alone.
    if !config.contains_key("listeners") {
        config.remove("tests");
    }
    let listeners = table(config, "listeners");
    // An authority that is asked by http-01 needs one in clear.
    if listeners.values().all(|listener| listener.get("tls").is_some()) {
        listeners.insert("elsewhere".into(), Value::Table("pool = \"elsewhere\"".parse().unwrap()));
    }
    for (port, (_, listener)) in (20_001..).zip(listeners.iter_mut()) {
        let listener = listener.as_table_mut().unwrap();
        listener.entry("listen").or_insert_with(|| Value::Array(vec![format!("127.0.0.1:{port}").into()]));
        if listener.get("protocol").is_none_or(|protocol| protocol.as_str() == Some("http"))
            && !listener.contains_key("redirect")
        {
            listener.entry("pool").or_insert("elsewhere".into());
        }
        let tls = listener.get_mut("tls").and_then(Value::as_table_mut);
        if let Some(tls) = tls.filter(|tls| !tls.contains_key("acme")) {
            let certificate: Table = "cert = \"site.pem\"\nkey = \"site.key\"".parse().unwrap();
            tls.entry("certificates").or_insert_with(|| Value::Array(vec![Value::Table(certificate)]));
        }
    }
    let (mut pools, mut rules, mut routes) =
        (BTreeSet::from(["elsewhere".to_owned()]), BTreeSet::new(), BTreeSet::new());
    named(&Value::Table(config.clone()), &mut pools, &mut rules, &mut routes);
    for (_, route) in table(config, "routes").iter_mut() {
        let route = route.as_table_mut().unwrap();
        if !["pool", "split", "aggregate", "files", "respond", "redirect", "portal"]
            .iter()
            .any(|key| route.contains_key(*key))
        {
            route.insert("pool".into(), "elsewhere".into());
        }
    }
    for name in routes {
        let text = format!("paths = [\"/only-{name}/\"]\npool = \"elsewhere\"");
        table(config, "routes").entry(name).or_insert_with(|| Value::Table(text.parse().unwrap()));
    }
    for name in rules {
        let rule = "type = \"api-key\"".parse().unwrap();
        table(config, "rules").entry(name).or_insert(Value::Table(rule));
    }
    let all = table(config, "pools");
    for name in pools {
        all.entry(name).or_insert_with(|| Value::Table(Table::new()));
    }
    for (_, pool) in all.iter_mut() {
        let pool = pool.as_table_mut().unwrap();
        if !pool.contains_key("discover") {
            pool.entry("targets").or_insert_with(|| Value::Array(vec!["127.0.0.1:1".into()]));
        }
    }
}

/// What a configuration names of pools, rules and routes.
fn named(value: &Value, pools: &mut BTreeSet<String>, rules: &mut BTreeSet<String>, routes: &mut BTreeSet<String>) {
    let texts = |value: &Value| -> Vec<String> {
        let many = value.as_array().into_iter().flatten().filter_map(Value::as_str);
        value.as_str().into_iter().chain(many).map(str::to_owned).collect()
    };
    match value {
        Value::Table(all) => {
            for (key, value) in all {
                match key.as_str() {
                    "pool" | "fail_if_down" => pools.extend(texts(value)),
                    "rules" => rules.extend(texts(value)),
                    // Of a stage.
                    "pools" => pools.extend(value.as_table().into_iter().flatten().flat_map(|(_, pool)| texts(pool))),
                    "route" | "except_routes" => routes.extend(texts(value)),
                    "routes" => routes.extend(texts(value)),
                    _ => {}
                }
                named(value, pools, rules, routes);
            }
        }
        Value::Array(all) => all.iter().for_each(|value| named(value, pools, rules, routes)),
        _ => {}
    }
}

/// A certificate and its key.
fn pair() -> &'static str {
    static PAIR: OnceLock<String> = OnceLock::new();
    PAIR.get_or_init(|| {
        let made = rcgen::generate_simple_self_signed(["example.com".to_owned()]).unwrap();
        made.cert.pem() + &made.signing_key.serialize_pem()
    })
}

/// Makes each file that cannot be read for it is not there. False: there is none.
fn make_files(said: &str) -> bool {
    let path = |line: &'_ str| {
        let told = line.strip_prefix("error: ")?;
        let told = told.strip_prefix("cannot read ").unwrap_or(told).strip_prefix('`')?;
        let (path, why) = told.split_once('`')?;
        let is_missing = why.starts_with(": there is no such ") || why.contains("cannot be read: No such file");
        is_missing.then(|| PathBuf::from(path))
    };
    let missing: Vec<PathBuf> = said.lines().filter_map(path).collect();
    for path in &missing {
        if said.contains(&format!("`{}`: there is no such directory", path.display())) {
            std::fs::create_dir_all(path).unwrap();
            std::fs::write(path.join("site.pem"), pair()).unwrap();
            continue;
        }
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        if path.extension().is_some_and(|end| end == "desc") {
            let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/translate");
            let mut compiler = protox::Compiler::new([data]).unwrap();
            compiler.include_imports(true).open_file("shop/shop.proto").unwrap();
            std::fs::write(path, compiler.encode_file_descriptor_set()).unwrap();
            continue;
        }
        let text = match path.extension().and_then(|end| end.to_str()) {
            Some("pem" | "crt" | "key") => pair(),
            Some("txt" | "list") => "10.0.0.0/8\n",
            Some("yaml") => {
                "openapi: 3.1.0\ninfo: { title: docs, version: '1' }\npaths: { /v1/docs: { get: { responses: {} } } }\n"
            }
            _ => "0123456789abcdef0123456789abcdef\n",
        };
        std::fs::write(path, text).unwrap();
        std::fs::set_permissions(path, PermissionsExt::from_mode(0o600)).unwrap();
    }
    !missing.is_empty()
}
