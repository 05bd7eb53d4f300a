//! Every key of a configuration, in Markdown, made from its schema.
//!
//! May depend on the schema alone.

use super::schema::{kind, schema};
use serde_json::{Map, Value};
use std::fmt::Write;

/// A page of all tables with their keys, in the order of their names.
pub fn markdown() -> String {
    let schema = schema();
    let mut page = Page { schema: &schema, out: BEGIN.to_owned(), open: Vec::new() };
    let all = schema["properties"].as_object();
    // What `[defaults]` takes is what the kinds have.
    for (name, property) in all.into_iter().flatten().filter(|(name, _)| *name != "defaults") {
        page.thing(name, property);
    }
    page.out
}

const BEGIN: &str = "# Every key\n\n\
    This page is made from the program by `ringway schema --markdown`. [configuration.md](configuration.md) explains how things belong \
    together; [config.example.toml](../config.example.toml) shows every key in use. `[defaults.listener]`, `[defaults.route]` and \
    `[defaults.pool]` take the keys of their kind. A default of – is no value: the meaning says what that does.\n";

struct Page<'s> {
    schema: &'s Value,
    out: String,
    /// The tables that are being written, by their paths: one that holds itself is written once.
    open: Vec<&'s str>,
}

impl<'s> Page<'s> {
    /// What stands under a key: a table, many of them, or no table at all.
    fn thing(&mut self, path: &str, property: &'s Value) {
        let (resolved, reference) = self.resolve(property);
        if let Some(each) = resolved.get("additionalProperties").filter(|each| each.is_object()) {
            return self.thing(&format!("{path}.NAME"), each);
        }
        if let Some(items) = resolved.get("items") {
            return self.thing(path, items);
        }
        if let Some(ways) = resolved["anyOf"].as_array() {
            return ways.iter().for_each(|way| self.thing(path, way));
        }
        if let Some(reference) = reference {
            if self.open.contains(&reference) {
                return;
            }
            self.open.push(reference);
        }
        self.table(path, resolved);
        if reference.is_some() {
            self.open.pop();
        }
    }

    fn table(&mut self, path: &str, table: &'s Value) {
        for form in table["oneOf"].as_array().into_iter().flatten() {
            if let Some(kind) = kind(form) {
                self.table(&format!("{path}: {kind}"), form);
            }
        }
        let Some(properties) = table["properties"].as_object() else { return };
        // Writing to a text cannot fail.
        let _ = write!(self.out, "\n## `[{path}]`\n\n");
        if let Some(what) = table["description"].as_str().filter(|what| !what.starts_with('`')) {
            let _ = write!(self.out, "{what}\n\n");
        }
        self.out.push_str("| key | type | default | meaning |\n| --- | --- | --- | --- |\n");
        for (name, property) in properties {
            let meaning = self.meaning(property);
            let (kind, default) = (self.kind(property), default(table, name, property));
            let _ = writeln!(self.out, "| `{name}` | {} | {default} | {} |", cell(&kind), cell(&meaning));
        }
        self.below(path, properties);
    }

    /// The tables within a table.
    fn below(&mut self, path: &str, properties: &'s Map<String, Value>) {
        for (name, property) in properties {
            self.thing(&format!("{path}.{name}"), property);
        }
    }

    /// Where a property leads, and the name of the definition that it refers to.
    fn resolve(&self, property: &'s Value) -> (&'s Value, Option<&'s str>) {
        match property["$ref"].as_str() {
            Some(reference) => {
                (self.schema.pointer(reference.trim_start_matches('#')).unwrap_or(property), Some(reference))
            }
            None => (property, None),
        }
    }

    fn kind(&self, property: &'s Value) -> String {
        let (value, _) = self.resolve(property);
        if let Some(word) = value["const"].as_str() {
            return format!("\"{word}\"");
        }
        let words = choices(value);
        if !words.is_empty() {
            return words.iter().map(|(word, _)| word.clone()).collect::<Vec<_>>().join(", ");
        }
        if let Some(ways) = value["anyOf"].as_array() {
            return ways.iter().map(|way| self.kind(way)).collect::<Vec<_>>().join(" or ");
        }
        if value["properties"].is_object() || value["oneOf"].is_array() {
            return "table".to_owned();
        }
        if let Some(each) = value.get("additionalProperties").filter(|each| each.is_object()) {
            return format!("table of {} by name", self.kind(each));
        }
        if let Some(items) = value.get("items") {
            return format!("array of {}{}", self.kind(items), range(&value["minItems"], &value["maxItems"]));
        }
        let name = match (value["type"].as_str(), value["format"].as_str()) {
            (Some("integer"), _) => "integer",
            (Some("number"), _) => "number",
            (_, Some(format)) => format,
            (Some(kind), None) => kind,
            (None, None) => "value",
        };
        let bounds = match value["type"].as_str() {
            Some("integer" | "number") => range(&value["minimum"], &value["maximum"]),
            _ => range(&value["x-minimum"], &value["x-maximum"]),
        };
        format!("{name}{bounds}")
    }

    /// What it means, and what each of its words does.
    fn meaning(&self, property: &'s Value) -> String {
        let (value, _) = self.resolve(property);
        let own = property["description"].as_str().or(value["description"].as_str()).unwrap_or_default();
        let mut text = own.replace('\n', " ");
        for (word, what) in choices(value).into_iter().filter(|(_, what)| !what.is_empty()) {
            let _ = write!(text, " {word}: {what}");
        }
        text
    }
}

/// The words that a value may be, each with what it does.
fn choices(value: &Value) -> Vec<(String, String)> {
    let plain = value["enum"].as_array().into_iter().flatten().map(|word| (word.to_string(), String::new()));
    let described = value["oneOf"].as_array().into_iter().flatten().flat_map(|one| {
        let what = one["description"].as_str().unwrap_or_default().replace('\n', " ");
        let word = one["const"].as_str().map(|word| (format!("\"{word}\""), what));
        let words = one["enum"].as_array().into_iter().flatten().map(|word| (word.to_string(), String::new()));
        word.into_iter().chain(words).collect::<Vec<_>>()
    });
    plain.chain(described).collect()
}

fn range(least: &Value, most: &Value) -> String {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    // What a type can hold at most is no limit of ours.
    let is_limit = |value: &Value| !value.is_null() && value.as_u64().is_none_or(|number| number < u64::from(u32::MAX));
    match (least.is_null(), is_limit(most)) {
        (false, true) => format!(", {} to {}", text(least), text(most)),
        (true, true) => format!(", at most {}", text(most)),
        (false, false) if least.as_u64() != Some(0) => format!(", at least {}", text(least)),
        _ => String::new(),
    }
}

/// As the file has it where it says nothing.
fn default(table: &Value, name: &str, property: &Value) -> String {
    let required = table["required"].as_array().is_some_and(|all| all.iter().any(|key| key == name));
    match &property["default"] {
        _ if required => "required".to_owned(),
        Value::Null | Value::Object(_) => "–".to_owned(),
        default => format!("`{}`", default.to_string().replace("\",\"", "\", \"")),
    }
}

/// A text that ends no cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table_and_what_its_keys_take_is_on_the_page() {
        let page = markdown();
        for line in [
            "## `[listeners.NAME]`",
            "## `[listeners.NAME.tls.client_auth]`",
            "## `[pools.NAME.health]`",
            "## `[rules.NAME: rate-limit]`",
        ] {
            assert!(page.contains(&format!("\n{line}\n")), "{line}");
        }
        let mode =
            page.lines().find(|line| line.starts_with("| `mode` | \"enforce\", \"shadow\", \"off\" | `\"enforce\"` |"));
        assert!(mode.is_some_and(|row| row.contains("\"shadow\": It decides, and that is counted")), "{mode:?}");
        assert!(page.lines().any(|line| line.starts_with("| `slow` | duration, 1ms to 24h | `\"1s\"` |")));
        assert!(page.lines().filter(|line| line.starts_with("| ")).all(|row| row.ends_with(" |")), "a row is a line");
    }
}
