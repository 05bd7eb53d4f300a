//! Lists of targets as files and endpoints have them: the JSON of Prometheus' file_sd and http_sd, the TOML of a pool's `targets`, or an
//! address a line. Pure.
//!
//! What always holds: a list with anything that is not understood is not taken at all.

use super::found::Usual;
use crate::config::model::{Address, Target};
use serde_json::{Map, Value};

/// Entries of a list: far more than a pool may have.
const MOST: usize = 100_000;
/// Room that a target may have, as in a configuration.
const ROOM: u32 = 1_000_000;
/// What may be said of a target, beside its address.
const KEYS: &str = "`weight`, `backup` and `max_in_flight`";

/// Reads a list; `usual` is what its targets are where it does not say. Fails with what is wrong with it and where.
pub fn read(text: &str, usual: &Usual) -> Result<Vec<Target>, String> {
    let text = text.trim_start_matches('\u{feff}');
    let first =
        text.lines().map(str::trim).find(|line| !(line.is_empty() || line.starts_with('#'))).unwrap_or_default();
    // A line may begin with an address of IPv6.
    let is_address = Address::parse_target(first.split_whitespace().next().unwrap_or_default()).is_ok();
    if first.starts_with("[[") || first.strip_prefix("targets").is_some_and(|rest| rest.trim_start().starts_with('=')) {
        toml(text, usual)
    } else if first.starts_with(['[', '{']) && !is_address {
        groups(text, usual)
    } else {
        lines(text, usual)
    }
}

/// The JSON of Prometheus: groups of targets with labels, of which others' mean nothing here.
fn groups(text: &str, usual: &Usual) -> Result<Vec<Target>, String> {
    let all: Value = serde_json::from_str(text).map_err(|error| format!("it is no list of targets: {error}"))?;
    let Value::Array(all) = all else { return Err(format!("it is no list of targets but {}", kind(&all))) };
    let mut targets = Vec::new();
    for (place, group) in all.iter().enumerate() {
        let told = |what: String| format!("[{place}]: {what}");
        let Value::Object(group) = group else { return Err(told(format!("a group is no {}", kind(group)))) };
        if let Some(key) = group.keys().find(|key| !matches!(key.as_str(), "targets" | "labels")) {
            return Err(told(format!("`{key}` is nothing that a group has: `targets` and `labels`")));
        }
        let usual = match group.get("labels") {
            None => *usual,
            Some(Value::Object(labels)) => usual.but(labels).map_err(told)?,
            Some(other) => return Err(told(format!("`labels` is no {}", kind(other)))),
        };
        let Some(Value::Array(entries)) = group.get("targets") else {
            return Err(told("the group has no list `targets`".to_owned()));
        };
        too_many(targets.len() + entries.len())?;
        for entry in entries {
            targets.push(target(entry, &usual).map_err(told)?);
        }
    }
    Ok(targets)
}

/// `targets`, as a pool of a configuration has them.
fn toml(text: &str, usual: &Usual) -> Result<Vec<Target>, String> {
    let table: Map<String, Value> =
        toml::from_str(text).map_err(|error| format!("it is no list of targets: {}", error.to_string().trim_end()))?;
    if let Some(key) = table.keys().find(|key| *key != "targets") {
        return Err(format!("`{key}` is nothing that a list has: it has `targets` alone"));
    }
    let Some(Value::Array(entries)) = table.get("targets") else { return Err("`targets` is no list".to_owned()) };
    too_many(entries.len())?;
    let read =
        |(place, entry): (usize, &Value)| target(entry, usual).map_err(|what| format!("targets[{place}]: {what}"));
    entries.iter().enumerate().map(read).collect()
}

fn lines(text: &str, usual: &Usual) -> Result<Vec<Target>, String> {
    let mut targets = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let told = |what: String| format!("line {}: {what}", number + 1);
        let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
        let Some(first) = words.next() else { continue };
        too_many(targets.len() + 1)?;
        let mut table = Map::new();
        for word in words {
            let (key, value) = word.split_once('=').unwrap_or((word, "true"));
            let is_told = matches!(key, "weight" | "max_in_flight") && word != key;
            if !(is_told || key == "backup") {
                return Err(told(format!("`{word}` is neither `weight=…`, `max_in_flight=…` nor `backup`")));
            }
            if table.insert(key.to_owned(), value.into()).is_some() {
                return Err(told(format!("`{key}` is said twice")));
            }
        }
        let usual = usual.but(&table).map_err(told)?;
        targets.push(usual.target(address(first).map_err(told)?));
    }
    Ok(targets)
}

/// A target of a list: its address, or a table.
fn target(entry: &Value, usual: &Usual) -> Result<Target, String> {
    match entry {
        Value::String(text) => Ok(usual.target(address(text)?)),
        Value::Object(table) => {
            let known = ["address", "weight", "backup", "max_in_flight"];
            if let Some(key) = table.keys().find(|key| !known.contains(&key.as_str())) {
                return Err(format!("`{key}` is nothing that a target has: `address`, {KEYS}"));
            }
            match table.get("address") {
                Some(Value::String(text)) => Ok(usual.but(table)?.target(address(text)?)),
                _ => Err("a target has no `address`".to_owned()),
            }
        }
        other => Err(format!("a target is an address or a table, not {}", kind(other))),
    }
}

impl Usual {
    /// The same but for what a table says. Other keys of it mean nothing.
    fn but(self, table: &Map<String, Value>) -> Result<Self, String> {
        let mut own = self;
        if let Some(value) = table.get("weight") {
            own.weight =
                number(value).filter(|weight| *weight <= 256).ok_or(format!("a weight is 0 to 256, not {value}"))?;
        }
        if let Some(value) = table.get("max_in_flight") {
            let room = number(value).filter(|room| (1..=ROOM).contains(room));
            own.max_in_flight = Some(room.ok_or(format!("`max_in_flight` is 1 to {ROOM}, not {value}"))?);
        }
        own.backup = match table.get("backup") {
            None => own.backup,
            Some(Value::Bool(backup)) => *backup,
            Some(Value::String(text)) if text == "true" || text == "false" => text == "true",
            Some(value) => return Err(format!("`backup` is true or false, not {value}")),
        };
        Ok(own)
    }
}

/// A number, or its text: labels are texts.
fn number(value: &Value) -> Option<u32> {
    match value {
        Value::String(text) => text.trim().parse().ok(),
        value => value.as_u64().and_then(|number| u32::try_from(number).ok()),
    }
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

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "text",
        Value::Array(_) => "list",
        Value::Object(_) => "table",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Vec<String> {
        shown_with(text, &Usual::default())
    }

    fn shown_with(text: &str, usual: &Usual) -> Vec<String> {
        let targets = read(text, usual).unwrap_or_else(|wrong| panic!("{text}: {wrong}"));
        let room = |target: &Target| target.max_in_flight.map(|room| format!(" {room}")).unwrap_or_default();
        let shown = |target: &Target| format!("{} {} {}{}", target.address, target.weight, target.backup, room(target));
        targets.iter().map(shown).collect()
    }

    #[test]
    fn prometheus_lists_are_read() {
        let text = r#"[
            {"targets": ["10.0.0.1:80", "[fd00::1]:80"], "labels": {"env": "prod", "__meta_x": "y"}},
            {"targets": ["10.0.0.2:80", {"address": "10.0.0.3:80", "weight": 0, "backup": false, "max_in_flight": 7}],
             "labels": {"weight": "3", "backup": "true", "max_in_flight": "200"}},
            {"targets": []}
        ]"#;
        assert_eq!(
            shown(text),
            ["10.0.0.1:80 1 false", "[fd00::1]:80 1 false", "10.0.0.2:80 3 true 200", "10.0.0.3:80 0 false 7"]
        );
        assert!(shown("[]").is_empty());
    }

    #[test]
    fn lines_are_read() {
        let text = "\u{feff}# ours\n10.0.0.1:80\r\n\n  [fd00::1]:80 weight=3 # heavy\nunix:/run/a.sock backup weight=2 max_in_flight=9\n";
        assert_eq!(shown(text), ["10.0.0.1:80 1 false", "[fd00::1]:80 3 false", "unix:/run/a.sock 2 true 9"]);
        assert_eq!(shown("[fd00::1]:80\n"), ["[fd00::1]:80 1 false"]);
        assert!(shown("").is_empty() && shown("# none\n").is_empty());
    }

    #[test]
    fn the_targets_of_a_configuration_are_read() {
        let text = "# ours\ntargets = [\n  \"10.0.0.1:80\",\n  { address = \"10.0.0.2:80\", weight = 3, max_in_flight = 200, backup = true },\n]\n";
        assert_eq!(shown(text), ["10.0.0.1:80 1 false", "10.0.0.2:80 3 true 200"]);
        assert_eq!(shown("[[targets]]\naddress = \"10.0.0.1:80\"\nweight = 2\n"), ["10.0.0.1:80 2 false"]);
        assert!(shown("targets=[]").is_empty());
    }

    #[test]
    fn what_a_list_does_not_say_is_as_usual() {
        let usual = Usual { weight: 5, backup: true, max_in_flight: Some(8) };
        for text in [
            "10.0.0.1:80\n10.0.0.2:80 weight=1 backup=false max_in_flight=2",
            "targets = [\"10.0.0.1:80\", { address = \"10.0.0.2:80\", weight = 1, backup = false, max_in_flight = 2 }]",
        ] {
            assert_eq!(shown_with(text, &usual), ["10.0.0.1:80 5 true 8", "10.0.0.2:80 1 false 2"], "{text}");
        }
    }

    #[test]
    fn what_cannot_be_read_says_where() {
        for (text, what) in [
            ("10.0.0.1:80\napp.test:80\n", "line 2: `app.test:80` is not a target's address: names are not resolved"),
            ("10.0.0.1:80 weight=257", "line 1: a weight is 0 to 256, not \"257\""),
            ("10.0.0.1:80 max_in_flight=0", "line 1: `max_in_flight` is 1 to 1000000, not \"0\""),
            ("10.0.0.1:80 wieght=2", "line 1: `wieght=2` is neither `weight=…`, `max_in_flight=…` nor `backup`"),
            ("10.0.0.1:80 weight", "line 1: `weight` is neither `weight=…`, `max_in_flight=…` nor `backup`"),
            ("10.0.0.1:80 weight=1 weight=2", "line 1: `weight` is said twice"),
            ("{\"targets\": []}", "it is no list of targets but table"),
            ("[{\"targets\": [\"10.0.0.1\"]}]", "[0]: `10.0.0.1` is not a target's address: the port is missing"),
            ("[{\"targets\": [], \"labels\": {\"backup\": \"yes\"}}]", "[0]: `backup` is true or false, not \"yes\""),
            ("[{\"targets\": [], \"label\": {}}]", "[0]: `label` is nothing that a group has: `targets` and `labels`"),
            ("[{}]", "[0]: the group has no list `targets`"),
            (
                "[{\"targets\": [{\"address\": \"10.0.0.1:80\", \"wieght\": 2}]}]",
                "[0]: `wieght` is nothing that a target has: `address`, `weight`, `backup` and `max_in_flight`",
            ),
            (
                "[{\"targets\": [\"10.0.0.1:80\"",
                "it is no list of targets: EOF while parsing a list at line 1 column 27",
            ),
            (
                "targets = [{ address = \"10.0.0.1:80\", sni = \"a\" }]",
                "targets[0]: `sni` is nothing that a target has: `address`, `weight`, `backup` and `max_in_flight`",
            ),
            ("targets = []\nweight = 2\n", "`weight` is nothing that a list has: it has `targets` alone"),
            ("targets = 3", "`targets` is no list"),
        ] {
            assert_eq!(read(text, &Usual::default()).unwrap_err(), what, "{text}");
        }
        assert!(read("targets = [", &Usual::default()).unwrap_err().starts_with("it is no list of targets: "));
    }
}
