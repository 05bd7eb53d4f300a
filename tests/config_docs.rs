//! The example and the documentation say what the schema says.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use ringway::config;
use std::path::{Path, PathBuf};

#[test]
fn the_example_loads_and_shows_every_key() {
    let path = repository("config.example.toml");
    let loaded = config::load(&path, &|_| None).unwrap_or_else(|report| panic!("{report}"));
    assert!(loaded.warnings.is_empty(), "{}", loaded.warnings);
    let text = std::fs::read_to_string(path).unwrap();
    for key in tables().iter().flat_map(|(_, keys)| keys.iter().map(|key| &key.name)) {
        let shown = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).any(|word| word == key);
        assert!(shown, "config.example.toml does not show `{key}`");
    }
}

#[test]
fn the_documentation_has_every_key_with_its_default() {
    let text = std::fs::read_to_string(repository("docs/configuration.md")).unwrap();
    for (table, keys) in tables() {
        let heading = format!("`[{table}]`\n");
        let start = text.find(&heading).unwrap_or_else(|| panic!("no section for [{table}]")) + heading.len();
        let section = text[start..].split("\n##").next().unwrap();
        for key in keys {
            let row = section.lines().find(|line| line.starts_with(&format!("| `{}` |", key.name)));
            let row = row.unwrap_or_else(|| panic!("[{table}] has no row for `{}`", key.name));
            assert!(
                row.contains(&format!("| {} |", key.default)),
                "[{table}] {}: the default is {}",
                key.name,
                key.default
            );
        }
    }
}

#[test]
fn the_reference_is_what_the_program_says() {
    let page = config::reference::markdown();
    let text = std::fs::read_to_string(repository("docs/reference.md")).unwrap_or_default();
    assert!(text == page, "docs/reference.md is not what `ringway schema --markdown` prints: write it anew");
    for (table, keys) in tables() {
        let heading = format!("\n## `[{}]`\n", table.trim_start_matches('[').trim_end_matches(']'));
        let section = text
            .split_once(&heading)
            .unwrap_or_else(|| panic!("no section {heading}"))
            .1
            .split("\n## ")
            .next()
            .unwrap();
        for key in keys {
            let has_it = section.lines().any(|line| line.starts_with(&format!("| `{}` |", key.name)));
            assert!(has_it, "[{table}] has no row for `{}`", key.name);
        }
    }
}

struct Key {
    name: String,
    default: String,
}

/// Every table of the schema with its keys, by the heading that the documentation gives it.
fn tables() -> Vec<(String, Vec<Key>)> {
    let schema = config::schema::schema();
    let mut tables = Vec::new();
    for (name, property) in schema["properties"].as_object().unwrap() {
        match property["additionalProperties"].is_object() {
            true => table(&schema, format!("{name}.NAME"), &property["additionalProperties"], &mut tables),
            false if name != "defaults" => table(&schema, name.clone(), property, &mut tables),
            false => {}
        }
    }
    assert!(tables.len() > 12, "the walk over the schema lost its way");
    tables
}

fn table(schema: &serde_json::Value, path: String, value: &serde_json::Value, tables: &mut Vec<(String, Vec<Key>)>) {
    let target = |value: &serde_json::Value| match value["$ref"].as_str() {
        Some(reference) => schema.pointer(reference.trim_start_matches('#')).unwrap().clone(),
        None => value.clone(),
    };
    let value = target(value);
    for form in value["oneOf"].as_array().into_iter().flatten() {
        if let Some(kind) = config::schema::kind(form) {
            table(schema, format!("{path}: {kind}"), form, tables);
        }
    }
    let Some(properties) = value["properties"].as_object() else { return };
    let keys = properties.iter().map(|(name, property)| {
        let required = value["required"].as_array().is_some_and(|all| all.iter().any(|key| key == name));
        let default = match &property["default"] {
            _ if required => "required".into(),
            serde_json::Value::Null | serde_json::Value::Object(_) => "–".into(),
            default => format!("`{}`", default.to_string().replace("\",\"", "\", \"")),
        };
        Key { name: name.clone(), default }
    });
    tables.push((path.clone(), keys.collect()));
    for (name, property) in properties {
        table(schema, format!("{path}.{name}"), property, tables);
        for form in property["anyOf"].as_array().into_iter().flatten() {
            table(schema, format!("{path}.{name}"), form, tables);
        }
        for form in target(&target(property)["items"])["anyOf"].as_array().into_iter().flatten() {
            table(schema, format!("[{path}.{name}]"), form, tables);
        }
    }
}

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}
