//! The JSON Schema of a configuration file, made from the model.
//!
//! Beside the standard keywords it uses `format` with the names of `formats`, and `x-minimum` and `x-maximum` for values
//! that are written as text. A table whose `type` says which keys it has is `oneOf` whole tables, each with its `type`.

use super::model::Config;
use serde_json::{Map, Value, json};

/// What applies to all of a kind: the table in `[defaults]`, the table of the things, their definition.
pub const KINDS: [(&str, &str, &str); 3] =
    [("listener", "listeners", "Listener"), ("route", "routes", "Route"), ("pool", "pools", "Pool")];

/// The schema of one file: the model, and what reading takes away (`include`, `defaults`).
pub fn schema() -> Value {
    let mut schema = schemars::schema_for!(Config).to_value();
    tidy(&mut schema);
    join(&mut schema);
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

/// What a table has whatever its `type` is goes into each of its forms, which so are whole.
fn join(schema: &mut Value) {
    let definitions = schema["$defs"].clone();
    let Some(all) = schema["$defs"].as_object_mut() else { return };
    for definition in all.values_mut() {
        let Some(forms) = definition["oneOf"].as_array().filter(|forms| kind(&forms[0]).is_some()) else { continue };
        let whole = |form: &Value| {
            let name = form["$ref"].as_str().and_then(|reference| reference.strip_prefix("#/$defs/"));
            let own = name.map_or(&Value::Null, |name| &definitions[name]);
            let parts = [&*definition, form, own];
            let properties: Map<String, Value> = parts
                .iter()
                .filter_map(|part| part["properties"].as_object())
                .flatten()
                .map(|(key, property)| (key.clone(), property.clone()))
                .collect();
            let required: Vec<Value> =
                parts.iter().filter_map(|part| part["required"].as_array()).flatten().cloned().collect();
            json!({
                "type": "object",
                "description": own["description"],
                "properties": properties,
                "required": required,
                "additionalProperties": false,
            })
        };
        let forms: Vec<Value> = forms.iter().map(whole).collect();
        *definition = json!({ "description": definition["description"], "oneOf": forms });
    }
}

/// The `type` that a form of a table has.
pub fn kind(form: &Value) -> Option<&str> {
    form["properties"]["type"]["const"].as_str()
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
