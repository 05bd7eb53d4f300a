//! Lists of targets as files and endpoints have them: the JSON of Prometheus' file_sd and http_sd, or an address a line. Pure.

use super::found;
use crate::config::model::{Address, Target};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// One group of a list in JSON. Others' labels mean nothing here.
#[derive(Deserialize)]
struct Group {
    targets: Vec<Entry>,
    #[serde(default)]
    labels: BTreeMap<String, Value>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Entry {
    Address(String),
    Table(Table),
}

/// A target that has something of its own.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    address: String,
    weight: Option<Value>,
    backup: Option<Value>,
}

/// Entries of a list: far more than a pool may have.
const MOST: usize = 100_000;

/// Reads a list. Fails with what is wrong with it and where: then none of it counts.
pub fn read(text: &str) -> Result<Vec<Target>, String> {
    match text.trim_start_matches('\u{feff}').trim_start().starts_with(['[', '{']) {
        true if !is_address(text) => groups(text.trim_start_matches('\u{feff}')),
        _ => lines(text),
    }
}

/// Whether a text begins with an address of IPv6, and not with JSON.
fn is_address(text: &str) -> bool {
    let first = text.split_whitespace().next().unwrap_or_default();
    Address::parse_target(first).is_ok()
}

fn groups(text: &str) -> Result<Vec<Target>, String> {
    let groups: Vec<Group> =
        serde_json::from_str(text).map_err(|error| format!("it is no list of targets: {error}"))?;
    let mut targets = Vec::new();
    for (place, Group { targets: entries, labels }) in groups.into_iter().enumerate() {
        let told = |what: String| format!("[{place}]: {what}");
        too_many(targets.len() + entries.len())?;
        let weight = weight(labels.get("weight")).map_err(told)?;
        let backup = backup(labels.get("backup")).map_err(told)?;
        for entry in entries {
            let (text, own_weight, own_backup) = match entry {
                Entry::Address(address) => (address, None, None),
                Entry::Table(Table { address, weight, backup }) => (address, weight, backup),
            };
            let weight = self::weight(own_weight.as_ref()).map_err(told)?.or(weight).unwrap_or(1);
            let backup = self::backup(own_backup.as_ref()).map_err(told)?.or(backup).unwrap_or(false);
            targets.push(found::target(address(&text).map_err(told)?, weight, backup));
        }
    }
    Ok(targets)
}

fn lines(text: &str) -> Result<Vec<Target>, String> {
    let mut targets = Vec::new();
    for (number, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        let told = |what: String| format!("line {}: {what}", number + 1);
        let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
        let Some(first) = words.next() else { continue };
        too_many(targets.len() + 1)?;
        let mut target = found::target(address(first).map_err(told)?, 1, false);
        for word in words {
            match word.split_once('=') {
                Some(("weight", text)) => {
                    target.weight = weight(Some(&text.into())).map_err(told)?.unwrap_or(1);
                }
                None if word == "backup" => target.backup = true,
                _ => return Err(told(format!("`{word}` is neither `weight=…` nor `backup`"))),
            }
        }
        targets.push(target);
    }
    Ok(targets)
}

fn too_many(entries: usize) -> Result<(), String> {
    match entries > MOST {
        true => Err(format!("it has more than {MOST} targets")),
        false => Ok(()),
    }
}

fn address(text: &str) -> Result<Address, String> {
    Address::parse_target(text).map_err(|wrong| format!("`{text}` is not a target's address: {wrong}"))
}

/// A number, or its text: labels are texts.
fn weight(value: Option<&Value>) -> Result<Option<u32>, String> {
    let number = match value {
        None => return Ok(None),
        Some(Value::String(text)) => text.trim().parse::<u32>().ok(),
        Some(value) => value.as_u64().and_then(|number| u32::try_from(number).ok()),
    };
    match number {
        Some(number @ 0..=256) => Ok(Some(number)),
        _ => Err(format!("a weight is 0 to 256, not {}", value.unwrap_or(&Value::Null))),
    }
}

fn backup(value: Option<&Value>) -> Result<Option<bool>, String> {
    match value {
        None => Ok(None),
        Some(Value::Bool(backup)) => Ok(Some(*backup)),
        Some(Value::String(text)) if text == "true" || text == "false" => Ok(Some(text == "true")),
        Some(value) => Err(format!("`backup` is true or false, not {value}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Vec<String> {
        let targets = read(text).unwrap();
        targets.iter().map(|target| format!("{} {} {}", target.address, target.weight, target.backup)).collect()
    }

    #[test]
    fn prometheus_lists_are_read() {
        let text = r#"[
            {"targets": ["10.0.0.1:80", "[fd00::1]:80"], "labels": {"env": "prod", "__meta_x": "y"}},
            {"targets": ["10.0.0.2:80", {"address": "10.0.0.3:80", "weight": 0, "backup": false}],
             "labels": {"weight": "3", "backup": "true"}},
            {"targets": []}
        ]"#;
        assert_eq!(
            shown(text),
            ["10.0.0.1:80 1 false", "[fd00::1]:80 1 false", "10.0.0.2:80 3 true", "10.0.0.3:80 0 false"]
        );
        assert!(shown("[]").is_empty());
    }

    #[test]
    fn lines_are_read() {
        let text =
            "\u{feff}# ours\n10.0.0.1:80\r\n\n  [fd00::1]:80 weight=3 # heavy\nunix:/run/a.sock backup weight=2\n";
        assert_eq!(shown(text), ["10.0.0.1:80 1 false", "[fd00::1]:80 3 false", "unix:/run/a.sock 2 true"]);
        assert_eq!(shown("[fd00::1]:80\n"), ["[fd00::1]:80 1 false"]);
        assert!(shown("").is_empty() && shown("# none\n").is_empty());
    }

    #[test]
    fn what_cannot_be_read_says_where() {
        for (text, what) in [
            ("10.0.0.1:80\napp.test:80\n", "line 2: `app.test:80` is not a target's address: names are not resolved"),
            ("10.0.0.1:80 weight=257", "line 1: a weight is 0 to 256, not \"257\""),
            ("10.0.0.1:80 wieght=2", "line 1: `wieght=2` is neither `weight=…` nor `backup`"),
            (
                "{\"targets\": []}",
                "it is no list of targets: invalid type: map, expected a sequence at line 1 column 0",
            ),
            ("[{\"targets\": [\"10.0.0.1\"]}]", "[0]: `10.0.0.1` is not a target's address: the port is missing"),
            ("[{\"targets\": [], \"labels\": {\"backup\": \"yes\"}}]", "[0]: `backup` is true or false, not \"yes\""),
            (
                "[{\"targets\": [\"10.0.0.1:80\"",
                "it is no list of targets: EOF while parsing a list at line 1 column 27",
            ),
        ] {
            assert_eq!(read(text).unwrap_err(), what, "{text}");
        }
    }
}
