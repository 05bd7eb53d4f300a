//! A description as it was written: its parts by their references, and its schemas in one dialect.
//!
//! What always holds: a reference is followed within the document alone, and a bounded number of times.

use super::Wrong;
use serde_json::{Map, Value, json};

/// A description whose schemas are all of JSON Schema 2020-12, with references that name the document.
pub(super) struct Document {
    pub(super) root: Value,
    /// The same, as it was written.
    plain: Value,
}

/// What references of schemas begin with, once they name the document.
pub(super) const NAME: &str = "api:///document";
/// References that lead to references.
const HOPS: usize = 16;
/// Keys of schemas below which there are further ones: one, a list, or a map of them.
const ONE: [&str; 12] = [
    "items",
    "not",
    "additionalProperties",
    "contains",
    "propertyNames",
    "if",
    "then",
    "else",
    "unevaluatedProperties",
    "unevaluatedItems",
    "additionalItems",
    "contentSchema",
];
const LISTS: [&str; 4] = ["allOf", "anyOf", "oneOf", "prefixItems"];
const MAPS: [&str; 5] = ["properties", "patternProperties", "dependentSchemas", "$defs", "definitions"];
/// Keys of schemas that no value is held against.
const TOLD: [&str; 10] = [
    "example",
    "examples",
    "xml",
    "externalDocs",
    "discriminator",
    "deprecated",
    "description",
    "title",
    "default",
    "$schema",
];

impl Document {
    /// Takes a description.
    ///
    /// # Errors
    /// It is none of version 3.0 or 3.1, or has references that leave it.
    pub(super) fn new(plain: Value) -> Result<Self, Wrong> {
        let version = plain.get("openapi").and_then(Value::as_str);
        let is_old = match version {
            Some(version) if version.starts_with("3.0.") => true,
            Some(version) if version.starts_with("3.1.") => false,
            Some(_) => return Err(Wrong::new("/openapi", "versions 3.0 and 3.1 of OpenAPI are understood")),
            None => return Err(Wrong::new("", "it has no `openapi` that says which version of OpenAPI it is")),
        };
        let mut root = plain.clone();
        let mut path = String::new();
        walk(&mut root, is_old, &mut path)?;
        Ok(Self { root, plain })
    }

    /// It as it was written.
    pub(super) fn plain(&self) -> &Value {
        &self.plain
    }

    /// What stands at a place, be it by references; with that place.
    ///
    /// # Errors
    /// A reference leads nowhere, or in a circle.
    pub(super) fn resolve<'d>(&'d self, mut value: &'d Value, at: &str) -> Result<(&'d Value, String), Wrong> {
        let mut place = at.to_owned();
        for _ in 0..HOPS {
            let Some(reference) = value.get("$ref").and_then(Value::as_str) else { return Ok((value, place)) };
            let inner = reference.strip_prefix(NAME).unwrap_or(reference);
            let pointer = inner.strip_prefix('#').map(percent_decoded);
            let found = pointer.as_deref().and_then(|pointer| Some((self.root.pointer(pointer)?, pointer.to_owned())));
            let Some((found, pointer)) = found else {
                return Err(Wrong::new(place, format!("`{reference}` leads to nothing in this document")));
            };
            (value, place) = (found, pointer);
        }
        Err(Wrong::new(place, "references lead to references without end"))
    }
}

/// One more step of a JSON pointer.
pub(super) fn step(at: &str, key: &str) -> String {
    format!("{at}/{}", key.replace('~', "~0").replace('/', "~1"))
}

/// References are URIs (RFC 6901 §6).
fn percent_decoded(text: &str) -> String {
    String::from_utf8_lossy(&super::sent::decoded(text.as_bytes(), false)).into_owned()
}

/// Finds the schemas of a part of a description, and brings them into one dialect.
fn walk(value: &mut Value, is_old: bool, path: &mut String) -> Result<(), Wrong> {
    match value {
        Value::Object(map) => {
            if let Some(reference) = map.get("$ref").and_then(Value::as_str) {
                within(reference, path)?;
            }
            for (key, inner) in map.iter_mut() {
                let length = path.len();
                path.push_str(&step("", key));
                match key.as_str() {
                    "schema" => schema(inner, is_old, path)?,
                    "schemas" if length == "/components".len() => each(inner, is_old, path)?,
                    "example" | "examples" => {}
                    _ if key.starts_with("x-") => {}
                    _ => walk(inner, is_old, path)?,
                }
                path.truncate(length);
            }
        }
        Value::Array(list) => {
            for (index, inner) in list.iter_mut().enumerate() {
                let length = path.len();
                path.push_str(&format!("/{index}"));
                walk(inner, is_old, path)?;
                path.truncate(length);
            }
        }
        _ => {}
    }
    Ok(())
}

fn within(reference: &str, path: &str) -> Result<(), Wrong> {
    if reference.starts_with("#/") || reference == "#" {
        return Ok(());
    }
    Err(Wrong::new(format!("{path}/$ref"), format!("`{reference}` leads out of the document: nothing is fetched")))
}

fn each(schemas: &mut Value, is_old: bool, path: &mut String) -> Result<(), Wrong> {
    let Some(map) = schemas.as_object_mut() else { return Ok(()) };
    for (key, inner) in map {
        let length = path.len();
        path.push_str(&step("", key));
        schema(inner, is_old, path)?;
        path.truncate(length);
    }
    Ok(())
}

/// Brings a schema into the dialect of JSON Schema 2020-12.
fn schema(value: &mut Value, is_old: bool, path: &mut String) -> Result<(), Wrong> {
    let Value::Object(map) = value else { return Ok(()) };
    if let Some(reference) = map.get("$ref").and_then(Value::as_str) {
        within(reference, path)?;
        let named = Value::String(format!("{NAME}{reference}"));
        if is_old {
            // What stands beside a reference counts for nothing there.
            map.clear();
        }
        map.insert("$ref".to_owned(), named);
    }
    for key in ["$dynamicRef", "$recursiveRef", "$id"] {
        if map.contains_key(key) {
            return Err(Wrong::new(step(path, key), format!("`{key}` is not understood: write `$ref`")));
        }
    }
    map.retain(|key, _| !TOLD.contains(&key.as_str()));
    if is_old {
        modernise(map);
    }
    of_requests(map);
    bound(map);
    for (key, inner) in map.iter_mut() {
        let length = path.len();
        path.push_str(&step("", key));
        match key.as_str() {
            // Of the older form, a list for each place.
            "items" if inner.is_array() => {}
            key if ONE.contains(&key) => schema(inner, is_old, path)?,
            key if LISTS.contains(&key) => {
                for (index, one) in inner.as_array_mut().into_iter().flatten().enumerate() {
                    let length = path.len();
                    path.push_str(&format!("/{index}"));
                    schema(one, is_old, path)?;
                    path.truncate(length);
                }
            }
            key if MAPS.contains(&key) => each(inner, is_old, path)?,
            _ => {}
        }
        path.truncate(length);
    }
    Ok(())
}

/// What OpenAPI 3.0 has of its own.
fn modernise(map: &mut Map<String, Value>) {
    for (flag, bound) in [("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")] {
        if let Some(Value::Bool(is)) = map.get(flag) {
            let is = *is;
            map.remove(flag);
            if is && let Some(limit) = map.remove(bound) {
                map.insert(flag.to_owned(), limit);
            }
        }
    }
    if map.remove("nullable") == Some(Value::Bool(true))
        && let Some(Value::String(kind)) = map.get("type").cloned()
    {
        map.insert("type".to_owned(), json!([kind, "null"]));
        if let Some(Value::Array(values)) = map.get_mut("enum")
            && !values.contains(&Value::Null)
        {
            values.push(Value::Null);
        }
    }
}

/// What is for answers alone is not missing in requests.
fn of_requests(map: &mut Map<String, Value>) {
    let Some(Value::Object(properties)) = map.get("properties") else { return };
    let is_told = |name: &Value| {
        let property = name.as_str().and_then(|name| properties.get(name));
        property.and_then(|property| property.get("readOnly")) == Some(&Value::Bool(true))
    };
    let Some(Value::Array(required)) = map.get("required") else { return };
    let kept: Vec<Value> = required.iter().filter(|name| !is_told(name)).cloned().collect();
    map.insert("required".to_owned(), Value::Array(kept));
}

/// Numbers of 32 bits have their bounds.
fn bound(map: &mut Map<String, Value>) {
    if map.get("format").and_then(Value::as_str) == Some("int32") {
        for (key, limit) in [("minimum", i32::MIN), ("maximum", i32::MAX)] {
            map.entry(key).or_insert_with(|| limit.into());
        }
    }
}
