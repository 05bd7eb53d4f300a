//! Schemas, compiled, and what texts stand for by them.

use super::Wrong;
use super::document::{Document, NAME};
use super::tree::Read;
use jsonschema::json::{Json, SerdeJson};
use jsonschema::{Draft, PatternCache, PatternOptions, Registry, Validator};
use serde_json::Value;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

/// A schema that values are held against.
pub(super) struct Check<F: Json = SerdeJson>(Validator<F>);

/// Compiles the schemas of a document, equal ones once.
pub(super) struct Schemas<'d> {
    document: &'d Document,
    registry: Registry<'d>,
    /// Those of parameters.
    known: Known<SerdeJson>,
    /// Those of bodies.
    whole: Known<Read>,
    patterns: PatternCache,
}

/// Those that are compiled, by what was written.
type Known<F> = HashMap<String, Arc<Check<F>>>;
/// One of them, or what is wrong with its schema.
type Compiled<F> = Result<Arc<Check<F>>, Wrong>;

/// Levels of schemas that are looked into for what texts stand for.
const DEPTH: usize = 8;
/// Bytes that a compiled pattern may take.
const PATTERN: usize = 1 << 20;

/// What a text may stand for, as its schema says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Kinds {
    number: bool,
    boolean: bool,
    null: bool,
    text: bool,
    array: bool,
    object: bool,
}

/// What the value of a parameter is made of.
#[derive(Debug)]
pub(super) enum Shape {
    /// One text.
    One(Kinds),
    /// Several.
    List(Kinds),
    /// Some with names.
    Map(Vec<(Box<str>, Kinds)>),
}

impl<'d> Schemas<'d> {
    pub(super) fn new(document: &'d Document) -> Result<Self, Wrong> {
        let registry = Registry::new()
            .draft(Draft::Draft202012)
            .retrieve_known_draft_meta_schemas(false)
            .add(NAME, &document.root)
            .and_then(|registry| registry.prepare())
            .map_err(|error| Wrong::new("", error.to_string()))?;
        Ok(Self { document, registry, known: HashMap::new(), whole: HashMap::new(), patterns: PatternCache::new() })
    }

    /// What values of parameters are held against.
    ///
    /// # Errors
    /// The schema is none.
    pub(super) fn compile(&mut self, schema: &Value, at: &str) -> Compiled<SerdeJson> {
        self.once(schema, at, |all| &mut all.known)
    }

    /// What bodies are held against.
    ///
    /// # Errors
    /// The schema is none.
    pub(super) fn compile_whole(&mut self, schema: &Value, at: &str) -> Compiled<Read> {
        self.once(schema, at, |all| &mut all.whole)
    }

    fn once<F: Json>(&mut self, schema: &Value, at: &str, of: fn(&mut Self) -> &mut Known<F>) -> Compiled<F> {
        let key = schema.to_string();
        if let Some(known) = of(self).get(&key) {
            return Ok(known.clone());
        }
        let check = Arc::new(self.build(schema, at)?);
        of(self).insert(key, check.clone());
        Ok(check)
    }

    fn build<F: Json>(&self, schema: &Value, at: &str) -> Result<Check<F>, Wrong> {
        let validator = jsonschema::options_for::<F>()
            .with_draft(Draft::Draft202012)
            .with_registry(&self.registry)
            .with_pattern_options(patterns())
            .with_pattern_cache(self.patterns.clone())
            .should_validate_formats(true)
            .build(schema)
            .map_err(|error| {
                let inner = error.schema_path().as_str();
                // What a reference leads to has a place of its own.
                let is_whole = inner.len() > 1 && self.document.root.pointer(inner).is_some();
                let place = if is_whole { inner.to_owned() } else { format!("{at}{inner}") };
                Wrong::new(place, error.masked().to_string().replace(NAME, ""))
            })?;
        Ok(Check(validator))
    }

    /// What the value of a parameter is made of.
    pub(super) fn shape(&self, schema: &Value) -> Shape {
        let kinds = self.kinds(schema, DEPTH);
        if kinds.array {
            return Shape::List(self.part(schema, "items").map_or(Kinds::TEXT, |items| self.kinds(items, DEPTH)));
        }
        if !kinds.object {
            return Shape::One(kinds);
        }
        let named = self.part(schema, "properties").and_then(Value::as_object);
        let named = named.into_iter().flatten();
        Shape::Map(named.map(|(name, inner)| (name.as_str().into(), self.kinds(inner, DEPTH))).collect())
    }

    fn resolved<'s>(&'s self, schema: &'s Value) -> &'s Value {
        self.document.resolve(schema, "").map_or(schema, |(found, _)| found)
    }

    /// A key of a schema, or of one that it is made of.
    fn part<'s>(&'s self, schema: &'s Value, key: &str) -> Option<&'s Value> {
        let schema = self.resolved(schema);
        let of_all = || schema.get("allOf")?.as_array()?.iter().find_map(|one| self.resolved(one).get(key));
        schema.get(key).or_else(of_all)
    }

    fn kinds(&self, schema: &Value, depth: usize) -> Kinds {
        let schema = self.resolved(schema);
        let Some(depth) = depth.checked_sub(1) else { return Kinds::TEXT };
        let mut kinds = Kinds::default();
        match schema.get("type") {
            Some(Value::String(name)) => kinds.add(name),
            Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).for_each(|name| kinds.add(name)),
            _ => {}
        }
        if kinds == Kinds::default() {
            let constant = schema.get("const").into_iter();
            let values = schema.get("enum").and_then(Value::as_array).into_iter().flatten().chain(constant);
            values.for_each(|value| kinds.add(kind(value)));
        }
        for key in ["allOf", "oneOf", "anyOf"] {
            if kinds == Kinds::default() {
                let inner = schema.get(key).and_then(Value::as_array).into_iter().flatten();
                kinds = inner.map(|one| self.kinds(one, depth)).fold(kinds, |all, one| match key {
                    // The one that says what it is.
                    "allOf" if one == Kinds::TEXT && all != Kinds::default() => all,
                    "allOf" => one,
                    _ => all.or(one),
                });
            }
        }
        if kinds == Kinds::default() { Kinds::TEXT } else { kinds }
    }
}

/// How patterns are matched: in linear time.
fn patterns() -> PatternOptions<jsonschema::Regex> {
    PatternOptions::regex().size_limit(PATTERN)
}

/// Whether texts can be held against a pattern.
///
/// # Errors
/// It is none, or cannot be matched in linear time.
pub(super) fn pattern(text: &str) -> Result<(), String> {
    let schema = serde_json::json!({ "pattern": text });
    let built = jsonschema::options().with_draft(Draft::Draft202012).with_pattern_options(patterns()).build(&schema);
    let short: String = text.chars().take(60).collect();
    match built {
        Ok(_) => Ok(()),
        Err(_) => Err(format!("{short:?} is no pattern that can be matched in linear time")),
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

impl Kinds {
    /// Nothing but a text.
    pub(super) const TEXT: Self =
        Self { number: false, boolean: false, null: false, text: true, array: false, object: false };

    fn add(&mut self, name: &str) {
        match name {
            "integer" | "number" => self.number = true,
            "boolean" => self.boolean = true,
            "null" => self.null = true,
            "array" => self.array = true,
            "object" => self.object = true,
            _ => self.text = true,
        }
    }

    fn or(self, other: Self) -> Self {
        Self {
            number: self.number || other.number,
            boolean: self.boolean || other.boolean,
            null: self.null || other.null,
            text: self.text || other.text,
            array: self.array || other.array,
            object: self.object || other.object,
        }
    }

    /// What a text stands for. One that stands for nothing of what it may is a text, so that its schema says so.
    pub(super) fn value(self, text: &str) -> Value {
        let is_number = |byte: &u8| byte.is_ascii_digit() || *byte == b'-';
        if self.number
            && text.as_bytes().first().is_some_and(is_number)
            && text.as_bytes().last().is_some_and(is_number)
            && let Ok(number) = serde_json::from_str::<serde_json::Number>(text)
        {
            return Value::Number(number);
        }
        match text {
            "true" if self.boolean => Value::Bool(true),
            "false" if self.boolean => Value::Bool(false),
            "" if self.null && !self.text => Value::Null,
            _ => Value::String(text.to_owned()),
        }
    }
}

impl<F: Json> Check<F> {
    /// Whether a value is as it has to be. Where it is not, `tell` hears what is wrong, by pointers into it, until it has heard enough.
    pub(super) fn holds<'v>(
        &'v self,
        value: F::Node<'v>,
        mut tell: impl FnMut(&str, &dyn fmt::Display) -> bool,
    ) -> bool {
        if self.0.is_valid(value.clone()) {
            return true;
        }
        for error in self.0.iter_errors(value) {
            if !tell(error.instance_path().as_str(), &error.masked()) {
                break;
            }
        }
        false
    }
}

impl<F: Json> fmt::Debug for Check<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Check")
    }
}
