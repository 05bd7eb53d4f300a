//! A description as it was written: its parts by their references, and its schemas in one dialect.
//!
//! What always holds: a reference is followed within the document alone, and a bounded number of times.

use super::{Wrong, schema};
use serde_json::{Map, Value, json};
use std::collections::HashMap;

/// A description whose schemas are all of JSON Schema 2020-12, with references that name the document.
pub(super) struct Document {
    pub(super) root: Value,
    /// The same, as it was written.
    plain: Value,
    /// What of it is not understood, and asks for nothing therefore.
    pub(super) left_out: Vec<Wrong>,
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
        let mut walk = Walk::new(is_old);
        walk.part(&mut root)?;
        Ok(Self { root, plain, left_out: walk.left_out })
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

/// Finds the schemas of a description, and brings them into one dialect.
struct Walk {
    is_old: bool,
    /// Where it is.
    path: String,
    /// Patterns that were looked at, each with what is wrong with it.
    patterns: HashMap<String, Option<String>>,
    left_out: Vec<Wrong>,
}

impl Walk {
    fn new(is_old: bool) -> Self {
        Self { is_old, path: String::new(), patterns: HashMap::new(), left_out: Vec::new() }
    }

    fn below<T>(&mut self, key: &str, work: impl FnOnce(&mut Self) -> T) -> T {
        let length = self.path.len();
        self.path.push_str(&step("", key));
        let done = work(self);
        self.path.truncate(length);
        done
    }

    fn part(&mut self, value: &mut Value) -> Result<(), Wrong> {
        match value {
            Value::Object(map) => {
                if let Some(reference) = map.get("$ref").and_then(Value::as_str) {
                    within(reference, &self.path)?;
                }
                for (key, inner) in map.iter_mut() {
                    let is_components = self.path == "/components";
                    self.below(key, |walk| match key.as_str() {
                        "schema" => walk.schema(inner),
                        "schemas" if is_components => walk.each(inner),
                        "example" | "examples" => Ok(()),
                        _ if key.starts_with("x-") => Ok(()),
                        _ => walk.part(inner),
                    })?;
                }
            }
            Value::Array(list) => self.list(list, Self::part)?,
            _ => {}
        }
        Ok(())
    }

    fn list(
        &mut self,
        list: &mut [Value],
        work: impl Fn(&mut Self, &mut Value) -> Result<(), Wrong>,
    ) -> Result<(), Wrong> {
        let mut each = list.iter_mut().enumerate();
        each.try_for_each(|(index, inner)| self.below(&index.to_string(), |walk| work(walk, inner)))
    }

    fn each(&mut self, schemas: &mut Value) -> Result<(), Wrong> {
        let mut each = schemas.as_object_mut().into_iter().flatten();
        each.try_for_each(|(key, inner)| self.below(key, |walk| walk.schema(inner)))
    }

    /// Brings a schema into the dialect of JSON Schema 2020-12.
    fn schema(&mut self, value: &mut Value) -> Result<(), Wrong> {
        let Value::Object(map) = value else { return Ok(()) };
        if let Some(reference) = map.get("$ref").and_then(Value::as_str) {
            within(reference, &self.path)?;
            let named = Value::String(format!("{NAME}{reference}"));
            if self.is_old {
                // What stands beside a reference counts for nothing there.
                map.clear();
            }
            map.insert("$ref".to_owned(), named);
        }
        for key in ["$dynamicRef", "$recursiveRef", "$id"] {
            if map.remove(key).is_some() {
                self.leave_out(key, format!("`{key}` is not understood: write `$ref`"));
            }
        }
        map.retain(|key, _| !TOLD.contains(&key.as_str()));
        exclusive(map);
        if self.is_old {
            nullable(map);
        }
        self.patterns(map);
        of_requests(map);
        bound(map);
        for (key, inner) in map.iter_mut() {
            self.below(key, |walk| match key.as_str() {
                // Of the older form, a list for each place.
                "items" if inner.is_array() => Ok(()),
                key if ONE.contains(&key) => walk.schema(inner),
                key if LISTS.contains(&key) => {
                    inner.as_array_mut().map_or(Ok(()), |list| walk.list(list, Self::schema))
                }
                key if MAPS.contains(&key) => walk.each(inner),
                _ => Ok(()),
            })?;
        }
        Ok(())
    }

    /// Leaves out patterns that texts cannot be held against.
    fn patterns(&mut self, map: &mut Map<String, Value>) {
        if let Some(wrong) = map.get("pattern").and_then(Value::as_str).and_then(|text| self.pattern(text)) {
            map.remove("pattern");
            self.leave_out("pattern", wrong);
        }
        let Some(Value::Object(keyed)) = map.get_mut("patternProperties") else { return };
        let wrong: Vec<(String, String)> =
            keyed.keys().filter_map(|text| Some((text.clone(), self.pattern(text)?))).collect();
        for (text, why) in wrong {
            keyed.remove(&text);
            self.leave_out("patternProperties", why);
        }
    }

    /// What is wrong with a pattern.
    fn pattern(&mut self, text: &str) -> Option<String> {
        if let Some(known) = self.patterns.get(text) {
            return known.clone();
        }
        let wrong = schema::pattern(text).err();
        self.patterns.insert(text.to_owned(), wrong.clone());
        wrong
    }

    fn leave_out(&mut self, key: &str, what: String) {
        self.left_out.push(Wrong::new(format!("{}{}", self.path, step("", key)), what));
    }
}

fn within(reference: &str, path: &str) -> Result<(), Wrong> {
    if reference.starts_with("#/") || reference == "#" {
        return Ok(());
    }
    Err(Wrong::new(format!("{path}/$ref"), format!("`{reference}` leads out of the document: nothing is fetched")))
}

/// Bounds that are flags, as OpenAPI 3.0 has them, and descriptions of 3.1 by mistake, where they can mean nothing else.
fn exclusive(map: &mut Map<String, Value>) {
    for (flag, bound) in [("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")] {
        if let Some(Value::Bool(is)) = map.get(flag) {
            let is = *is;
            map.remove(flag);
            if is && let Some(limit) = map.remove(bound) {
                map.insert(flag.to_owned(), limit);
            }
        }
    }
}

/// What OpenAPI 3.0 has in place of the type `null`.
fn nullable(map: &mut Map<String, Value>) {
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
