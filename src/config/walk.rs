//! Checks the tree against the schema and makes the JSON that the model reads: quoted numbers become numbers, texts take
//! the form of their format, and what is at fault is left out, so that the rest can still be understood.

use super::diff::is_secret;
use super::formats::{self, Format};
use super::report::{Entry, File, Place};
use super::schema::kind;
use super::sources::KeyPath;
use super::template::Text;
use super::tree::{Node, Table, Value};
use serde_json::{Map, Value as Json};
use std::collections::BTreeSet;
use std::path::Path;

/// What walking gives.
#[derive(Default)]
pub struct Outcome {
    /// What the model can read.
    pub json: Map<String, Json>,
    /// The faults.
    pub entries: Vec<Entry>,
    /// The keys whose values were at fault.
    faulty: BTreeSet<KeyPath>,
    /// The tables with keys that nobody knows: one may be a misspelt one that seems missing.
    misnamed: BTreeSet<KeyPath>,
    /// Whether text was lost before it came here.
    torn: bool,
}

impl Outcome {
    /// Whether what the model has of a key is all that was written.
    pub fn is_sound(&self, path: &KeyPath) -> bool {
        !self.faulty.iter().any(|faulty| faulty.is_within(path))
    }

    /// Whether a key that is not in a table was really not written.
    pub fn is_complete(&self, path: &KeyPath) -> bool {
        !self.torn && !self.misnamed.contains(path)
    }
}

/// Checks a whole configuration. Nothing can be called missing from the tables in `gaps`, or from any if it is `torn`.
pub fn walk(root: &Table, schema: &Json, files: &[File], gaps: BTreeSet<KeyPath>, torn: bool) -> Outcome {
    let outcome = Outcome { misnamed: gaps, torn, ..Outcome::default() };
    let mut walker = Walker { schema, files, outcome };
    let top = Place::new(0, 0..0);
    let json = walker.table(root, &top, false, schema, &KeyPath::default());
    if let Some(Json::Object(mut json)) = json {
        json.remove("defaults");
        walker.outcome.json = json;
    }
    walker.outcome
}

struct Walker<'a> {
    schema: &'a Json,
    files: &'a [File],
    outcome: Outcome,
}

impl<'a> Walker<'a> {
    fn value(&mut self, node: &Node, schema: &'a Json, path: &KeyPath) -> Option<Json> {
        if matches!(node.value, Value::Lost) {
            self.outcome.faulty.insert(path.clone());
            return None;
        }
        let schema = match self.branch(self.target(schema), node) {
            Ok(schema) => schema,
            Err(noun) => return self.wrong_type(node, &noun, None, path),
        };
        if schema["format"] == "json" {
            return self.json(node, path);
        }
        if let Some(forms) = schema["oneOf"].as_array().filter(|forms| kind(&forms[0]).is_some()) {
            return self.form(node, forms, path);
        }
        if let Some(words) = words(schema) {
            return self.word(node, &words, path);
        }
        if let Some(format) = schema["format"].as_str().and_then(formats::find) {
            return self.formatted(node, schema, format, path);
        }
        match (schema["type"].as_str().unwrap_or_default(), &node.value) {
            ("object", Value::Table(table)) => self.table(table, &node.key, node.inherited, schema, path),
            ("array", Value::List(items)) => {
                let element = &schema["items"];
                if let Err((what, help)) = counted(items.len(), schema, path) {
                    return self.fault(node, node.mark(self.files), what, Some(help), path);
                }
                let each = items.iter().enumerate();
                Some(Json::Array(each.filter_map(|(at, item)| self.value(item, element, &path.child(at))).collect()))
            }
            ("string", Value::Text { text, .. }) => Some(text.as_str().into()),
            ("boolean", Value::Boolean(boolean)) => Some((*boolean).into()),
            ("boolean", Value::Text { text, .. }) if matches!(text.as_str(), "true" | "false") => {
                Some((text == "true").into())
            }
            ("integer", Value::Integer(number)) => self.integer(node, *number, schema, path),
            ("integer", Value::Text { text, .. }) if text.trim().parse::<i64>().is_ok() => {
                self.integer(node, text.trim().parse().unwrap_or_default(), schema, path)
            }
            _ => {
                let help = match (schema["type"].as_str(), &node.value) {
                    (Some("array"), Value::Text { .. }) if is_secret(path) => Some("write it in brackets".to_owned()),
                    (Some("array"), Value::Text { .. }) => Some(format!("write [{}]", node.shown(self.files))),
                    _ => None,
                };
                self.wrong_type(node, noun(schema), help, path)
            }
        }
    }

    /// A table whose `type` says which keys it has.
    fn form(&mut self, node: &Node, forms: &'a [Json], path: &KeyPath) -> Option<Json> {
        let Value::Table(table) = &node.value else { return self.wrong_type(node, "a table", None, path) };
        let kinds: Vec<&Json> = forms.iter().map(|form| &form["properties"]["type"]["const"]).collect();
        let Some(chosen) = table.get("type") else {
            if self.outcome.is_complete(path) {
                let help = format!("write type = {}", one_of(kinds.iter().map(|kind| kind.to_string())));
                self.report(node.inherited, Entry::at(&node.key, format!("`{path}` has no `type`")).help(help));
            }
            self.outcome.faulty.insert(path.clone());
            return None;
        };
        let kind = self.word(chosen, &kinds, &path.child("type"))?;
        let form = forms.iter().find(|form| form["properties"]["type"]["const"] == kind)?;
        self.table(table, &node.key, node.inherited, form, path)
    }

    fn table(&mut self, table: &Table, key: &Place, silent: bool, schema: &'a Json, path: &KeyPath) -> Option<Json> {
        let properties = schema["properties"].as_object();
        let free = Some(&schema["additionalProperties"]).filter(|rest| rest.is_object() || **rest == true);
        let names = schema["propertyNames"]["format"].as_str().and_then(formats::find);
        let mut json = Map::new();
        for (name, node) in table {
            let here = path.child(name);
            let Some(property) = properties.and_then(|p| p.get(name)).or(free) else {
                self.unknown(name, node, schema, path);
                continue;
            };
            let name = match names.map(|format| (format, (format.read)(name, Path::new("")))) {
                Some((format, Err(invalid))) => {
                    let what = format!("`{name}` is not {}: {}", format.noun, invalid.what);
                    let help = invalid.help.unwrap_or_else(|| format.help.into());
                    self.fault(node, &node.key, what, Some(help), &here);
                    name.clone()
                }
                Some((_, Ok(name))) => name,
                None => name.clone(),
            };
            if let Some(value) = self.value(node, property, &here)
                && json.insert(name.clone(), value).is_some()
            {
                self.fault(node, &node.key, format!("`{name}` is given twice"), None, &here);
            }
        }
        for required in schema["required"].as_array().into_iter().flatten().filter_map(Json::as_str) {
            if json.contains_key(required) {
                continue;
            }
            if !table.contains_key(required) && self.outcome.is_complete(path) {
                let what = format!("`{path}` has no `{required}`");
                let help = properties.and_then(|p| p[required]["description"].as_str()).map(first_sentence);
                self.report(silent, Entry::at(key, what).help(help.map(|h| format!("`{required}`: {h}"))));
            }
            self.outcome.faulty.insert(path.child(required));
            match properties.map(|p| &p[required]["type"]) {
                Some(kind) if kind == "array" => drop(json.insert(required.into(), Json::Array(Vec::new()))),
                _ => return None,
            }
        }
        Some(Json::Object(json))
    }

    /// A value of any kind, whose texts are templates.
    fn json(&mut self, node: &Node, path: &KeyPath) -> Option<Json> {
        match &node.value {
            Value::Text { text, .. } => match text.parse::<Text>() {
                Ok(_) => Some(text.as_str().into()),
                Err(invalid) => {
                    let what = format!("{} is not a value: {}", self.written(node), invalid.what);
                    self.fault(node, &node.at, what, invalid.help, path)
                }
            },
            Value::Integer(number) => Some((*number).into()),
            Value::Fraction(number) => match number.parse::<f64>().ok().and_then(serde_json::Number::from_f64) {
                Some(number) => Some(Json::Number(number)),
                None => self.wrong_type(node, "a value that JSON has", None, path),
            },
            Value::Boolean(boolean) => Some((*boolean).into()),
            Value::List(items) => {
                let each = items.iter().enumerate().map(|(at, item)| self.json(item, &path.child(at)));
                each.collect::<Vec<_>>().into_iter().collect::<Option<_>>().map(Json::Array)
            }
            Value::Table(table) => {
                let each = table.iter().map(|(name, value)| Some((name.clone(), self.json(value, &path.child(name))?)));
                each.collect::<Vec<_>>().into_iter().collect::<Option<_>>().map(Json::Object)
            }
            Value::Other(_) | Value::Lost => self.wrong_type(node, "a value that JSON has", None, path),
        }
    }

    fn unknown(&mut self, name: &str, node: &Node, schema: &'a Json, path: &KeyPath) {
        let known: Vec<&str> = schema["properties"].as_object().into_iter().flatten().map(|(k, _)| &**k).collect();
        let inner = known.iter().find(|key| {
            let property = self.target(&schema["properties"][**key]);
            property["properties"].get(name).is_some()
        });
        let help = match (nearest(name, &known), inner) {
            (Some(near), _) => format!("did you mean `{near}`?"),
            (None, Some(table)) => format!("did you mean `{table}.{name}`?"),
            (None, None) => self.owner(name, path).unwrap_or_else(|| choice("key here", &known)),
        };
        let whose = if path.keys().is_empty() { String::new() } else { format!(" in `{path}`") };
        if node.table().is_some() || !path.keys().is_empty() {
            self.outcome.misnamed.insert(path.clone());
        }
        self.report(node.inherited, Entry::at(&node.key, format!("unknown key `{name}`{whose}")).help(help));
    }

    /// What kind of named thing has a key that is written in one of another kind.
    fn owner(&self, name: &str, path: &KeyPath) -> Option<String> {
        let [here, _] = path.keys() else { return None };
        let has = |kind: &&&str| {
            let things = self.target(&self.schema["properties"][**kind]);
            *here != **kind && self.target(&things["additionalProperties"])["properties"].get(name).is_some()
        };
        let kind = ["listeners", "routes", "pools"].iter().find(has)?;
        Some(format!("`{name}` is a key of `[{kind}.NAME]`"))
    }

    fn word(&mut self, node: &Node, words: &[&'a Json], path: &KeyPath) -> Option<Json> {
        let plain = |word: &Json| word.as_str().map_or_else(|| word.to_string(), str::to_owned);
        let written = match &node.value {
            Value::Text { text, .. } => text.clone(),
            Value::Integer(number) if words.iter().any(|word| word.is_number()) => number.to_string(),
            _ => {
                let noun = if words.iter().any(|word| word.is_number()) { "a number" } else { "a string" };
                return self.wrong_type(node, noun, None, path);
            }
        };
        if let Some(word) = words.iter().find(|word| plain(word) == written) {
            return Some((*word).clone());
        }
        let texts: Vec<String> = words.iter().map(|word| plain(word)).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let quote = |text: &str| if words[0].is_number() { text.into() } else { format!("\"{text}\"") };
        let help = match nearest(&written, &texts).filter(|_| !words[0].is_number() && !self.is_secret(node)) {
            Some(near) => format!("did you mean {}?", quote(near)),
            None => format!("write {}", one_of(texts.iter().map(|text| quote(text)))),
        };
        let what = format!("{} is no value of `{}`", self.written(node), last_name(path));
        self.fault(node, &node.at, what, Some(help), path)
    }

    fn formatted(&mut self, node: &Node, schema: &'a Json, format: &Format, path: &KeyPath) -> Option<Json> {
        let text = match &node.value {
            Value::Text { text, .. } => text.clone(),
            Value::Integer(number) if admits(schema, "integer") => number.to_string(),
            Value::Integer(number) if format.name == "duration" => number.to_string(),
            Value::Fraction(number) if admits(schema, "number") => number.clone(),
            _ => return self.wrong_type(node, format.noun, Some(format.help.into()), path),
        };
        let folder = self.files[node.at.file].path.parent().unwrap_or(Path::new(""));
        let read = match (format.read)(&text, folder) {
            Ok(read) => read,
            Err(invalid) => {
                let near = nearest(&text, format.words).map(|word| format!("did you mean \"{word}\"?"));
                let (what, help) = match self.is_secret(node) {
                    true => (String::new(), None),
                    false => (format!(": {}", invalid.what), near.or(invalid.help)),
                };
                let what = match is_secret(path) {
                    true => format!("`{}` is not {}{what}", last_name(path), format.noun),
                    false => format!("{} is not {}{what}", self.written(node), format.noun),
                };
                return self.fault(node, &node.at, what, Some(help.unwrap_or_else(|| format.help.into())), path);
            }
        };
        let bound = |key: &str| schema[key].as_str();
        let beyond = |bound: Option<&str>, wrong: fn(&u128, &u128) -> bool| {
            let measures = (format.measure)(&read).zip(bound.and_then(format.measure));
            measures.is_some_and(|(value, bound)| wrong(&value, &bound))
        };
        if beyond(bound("x-minimum"), u128::lt) || beyond(bound("x-maximum"), u128::gt) {
            let help = range(bound("x-minimum"), bound("x-maximum"));
            let what = format!("{} is out of range for `{}`", self.written(node), last_name(path));
            return self.fault(node, &node.at, what, Some(help), path);
        }
        Some(read.into())
    }

    fn integer(&mut self, node: &Node, number: i64, schema: &'a Json, path: &KeyPath) -> Option<Json> {
        let (low, high) = (schema["minimum"].as_i64(), schema["maximum"].as_i64());
        if low.is_some_and(|low| number < low) || high.is_some_and(|high| number > high) {
            let (low, high) = (low.map(|n| n.to_string()), high.map(|n| n.to_string()));
            let what = format!("{} is out of range for `{}`", self.written(node), last_name(path));
            return self.fault(node, &node.at, what, Some(range(low.as_deref(), high.as_deref())), path);
        }
        Some(number.into())
    }

    fn wrong_type(&mut self, node: &Node, noun: &str, help: Option<String>, path: &KeyPath) -> Option<Json> {
        let name = last_name(path);
        let element = path.keys().last().map(String::as_str) != Some(name);
        let what = if element { format!("an element of `{name}`") } else { format!("`{name}`") };
        let what = format!("{what} must be {noun}, not {}", node.kind());
        self.fault(node, node.mark(self.files), what, help, path)
    }

    fn fault(&mut self, node: &Node, at: &Place, what: String, help: Option<String>, path: &KeyPath) -> Option<Json> {
        self.outcome.faulty.insert(path.clone());
        self.report(node.inherited, Entry::at(at, what).help(help));
        None
    }

    /// What is inherited is reported where the defaults are walked, and only there.
    fn report(&mut self, inherited: bool, entry: Entry) {
        if !inherited {
            self.outcome.entries.push(entry);
        }
    }

    /// The alternative that takes this kind of value, or what the alternatives take.
    fn branch(&self, schema: &'a Json, node: &Node) -> Result<&'a Json, String> {
        let Some(branches) = schema["anyOf"].as_array() else { return Ok(schema) };
        let kind = match &node.value {
            Value::Table(_) => "object",
            Value::List(_) => "array",
            Value::Boolean(_) => "boolean",
            Value::Integer(_) => "integer",
            Value::Fraction(_) => "number",
            Value::Text { .. } | Value::Lost => "string",
            Value::Other(_) => "nothing",
        };
        let branches: Vec<&Json> = branches.iter().map(|branch| self.target(branch)).collect();
        let fitting = branches.iter().find(|branch| admits(branch, kind));
        fitting.copied().ok_or_else(|| one_of(branches.iter().map(|branch| noun(branch).to_owned())))
    }

    fn target(&self, schema: &'a Json) -> &'a Json {
        let pointer = schema["$ref"].as_str().and_then(|reference| reference.strip_prefix('#'));
        pointer.and_then(|pointer| self.schema.pointer(pointer)).unwrap_or(schema)
    }

    fn written(&self, node: &Node) -> String {
        let shown = node.shown(self.files);
        match shown.char_indices().nth(60) {
            Some((end, _)) => format!("{}…", &shown[..end]),
            None => shown.to_owned(),
        }
    }

    fn is_secret(&self, node: &Node) -> bool {
        matches!(node.value, Value::Text { secret: true, .. })
    }
}

/// The nearest of the known names, if one is near enough to be meant.
pub fn nearest<'n>(name: &str, known: &[&'n str]) -> Option<&'n str> {
    let plain = |text: &str| text.to_lowercase().replace(['-', '_', ' '], "");
    let written = plain(name);
    let distance = |known: &str| {
        let known = plain(known);
        let far = strsim::damerau_levenshtein(&written, &known);
        let prefix = written.len() >= 3 && known.starts_with(&written);
        (prefix || far <= 1 + written.len().min(known.len()) / 4).then_some(far)
    };
    let near = known.iter().filter_map(|known| Some((distance(known)?, *known)));
    near.filter(|(_, known)| known.len() > 1).min().map(|(_, known)| known)
}

/// Says which ones there are, not too many of them: "the pools are `a`, `b`".
pub fn choice(noun: &str, names: &[&str]) -> String {
    const SHOWN: usize = 16;
    if let [only] = names {
        return format!("the only {noun} is `{only}`");
    }
    let (noun, rest) = noun.split_once(' ').unwrap_or((noun, ""));
    let blank = if rest.is_empty() { "" } else { " " };
    let mut list: Vec<String> = names.iter().take(SHOWN).map(|name| format!("`{name}`")).collect();
    if names.len() > SHOWN {
        list.push("…".into());
    }
    format!("the {noun}s{blank}{rest} are {}", list.join(", "))
}

fn words(schema: &Json) -> Option<Vec<&Json>> {
    let all = schema["oneOf"].as_array().map(|branches| branches.iter().map(|branch| &branch["const"]).collect());
    all.or_else(|| schema["enum"].as_array().map(|words| words.iter().collect()))
}

fn admits(schema: &Json, kind: &str) -> bool {
    match &schema["type"] {
        Json::Array(kinds) => kinds.iter().any(|k| k == kind),
        only => only == kind,
    }
}

fn noun(schema: &Json) -> &'static str {
    match schema["type"].as_str() {
        Some("object") => "a table",
        Some("array") => "an array",
        Some("integer") => "a whole number",
        Some("boolean") => "true or false",
        _ => "a string",
    }
}

/// Whether a list may have so many elements.
fn counted(count: usize, schema: &Json, path: &KeyPath) -> Result<(), (String, String)> {
    let bound = |key: &str| schema[key].as_u64().and_then(|bound| usize::try_from(bound).ok());
    let (low, high) = (bound("minItems"), bound("maxItems"));
    if low.is_none_or(|low| count >= low) && high.is_none_or(|high| count <= high) {
        return Ok(());
    }
    let what = match count {
        0 => format!("`{}` is empty", last_name(path)),
        _ => format!("`{}` has {count} elements", last_name(path)),
    };
    let (low, high) = (low.map(|n| n.to_string()), high.map(|n| n.to_string()));
    Err((what, format!("of elements {}", range(low.as_deref(), high.as_deref()).replacen("it", "there", 1))))
}

fn range(low: Option<&str>, high: Option<&str>) -> String {
    match (low, high) {
        (Some(low), Some(high)) => format!("it may be {low} to {high}"),
        (Some(low), None) => format!("it must be at least {low}"),
        (None, Some(high)) => format!("it must be at most {high}"),
        (None, None) => String::new(),
    }
}

fn one_of(texts: impl Iterator<Item = String>) -> String {
    let texts: Vec<String> = texts.collect();
    match texts.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => texts.concat(),
    }
}

/// The key that a value belongs to, be it an element or not.
fn last_name(path: &KeyPath) -> &str {
    let name = path.keys().iter().rev().find(|key| key.parse::<usize>().is_err());
    name.map(String::as_str).unwrap_or_default()
}

fn first_sentence(text: &str) -> String {
    let text = text.replace('\n', " ");
    let sentence = text.split(". ").next().unwrap_or_default().trim_end_matches('.');
    let mut letters = sentence.chars();
    letters.next().map(|first| first.to_lowercase().chain(letters).collect()).unwrap_or_default()
}
