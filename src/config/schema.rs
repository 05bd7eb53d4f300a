//! The JSON Schema of a configuration file, made from the model.
//!
//! Beside the standard keywords it uses `format` with the names of `formats`, and `x-minimum` and `x-maximum` for values
//! that are written as text.

use super::model::Config;
use serde_json::{Map, Value, json};

/// What applies to all of a kind: the table in `[defaults]`, the table of the things, their definition.
pub const KINDS: [(&str, &str, &str); 3] =
    [("listener", "listeners", "Listener"), ("route", "routes", "Route"), ("pool", "pools", "Pool")];

/// The schema of one file: the model, and what reading takes away (`include`, `defaults`).
pub fn schema() -> Value {
    let mut schema = schemars::schema_for!(Config).to_value();
    tidy(&mut schema);
    let mut defaults = Map::new();
    for (kind, _, definition) in KINDS {
        let name = format!("{definition}Defaults");
        let mut table = schema["$defs"][definition].clone();
        if let Some(table) = table.as_object_mut() {
            table.remove("required");
        }
        table["description"] = format!("`[defaults.{kind}]`").into();
        schema["$defs"][&name] = table;
        let what = format!("What every {kind} has unless it says otherwise, key by key.");
        defaults.insert(kind.into(), json!({ "$ref": format!("#/$defs/{name}"), "description": what }));
    }
    schema["$defs"]["Defaults"] = json!({
        "type": "object",
        "description": "`[defaults]`",
        "properties": defaults,
        "additionalProperties": false,
    });
    schema["properties"]["defaults"] = json!({
        "$ref": "#/$defs/Defaults",
        "description": "What applies to all of a kind.",
    });
    schema["properties"]["include"] = json!({
        "type": "array",
        "items": { "type": "string" },
        "default": [],
        "description": "Files to merge, relative to this one; `*` and `?` stand for parts of a name.",
    });
    schema["title"] = "Ringway configuration".into();
    schema
}

/// TOML has no null (an optional key is left out), and what is required has no default.
fn tidy(schema: &mut Value) {
    match schema {
        Value::Array(items) => items.iter_mut().for_each(tidy),
        Value::Object(object) => {
            if object.get("default").is_some_and(Value::is_null) {
                object.remove("default");
            }
            if let Some(Value::Array(types)) = object.get_mut("type") {
                types.retain(|kind| kind != "null");
                if let [only] = &types[..] {
                    let only = only.clone();
                    object.insert("type".into(), only);
                }
            }
            if let Some(Value::Array(words)) = object.get_mut("enum") {
                words.retain(|word| !word.is_null());
            }
            if let Some(Value::Array(branches)) = object.get_mut("anyOf") {
                branches.retain(|branch| branch["type"] != "null");
                if let [Value::Object(only)] = &branches[..] {
                    let only = only.clone();
                    object.remove("anyOf");
                    for (key, value) in only {
                        object.entry(key).or_insert(value);
                    }
                }
            }
            if let Some(Value::Array(required)) = object.get("required").cloned()
                && let Some(properties) = object.get_mut("properties").and_then(Value::as_object_mut)
            {
                for key in required.iter().filter_map(Value::as_str) {
                    if let Some(Value::Object(property)) = properties.get_mut(key) {
                        property.remove("default");
                    }
                }
            }
            object.values_mut().for_each(tidy);
        }
        _ => {}
    }
}
