//! From gRPC to REST: what a call asks for, and the message that its answer says.

use super::Wrong;
use super::binding::{Binding, Body};
use super::descriptors::Services;
use super::json::{self, Shown};
use super::query;
use super::template::Part;
use prost_reflect::prost::Message;
use serde_json::{Map, Value};

/// What is asked for by REST.
#[derive(Debug, PartialEq, Eq)]
pub struct Asked {
    /// The path.
    pub path: Vec<u8>,
    /// Without its `?`; empty: there is none.
    pub query: Vec<u8>,
    /// JSON; `None`: there is no body.
    pub body: Option<Vec<u8>>,
}

/// Bytes of a path and a query.
const LONGEST: usize = 16 << 10;

impl Services {
    /// What a message asks for.
    ///
    /// # Errors
    /// It is none, or says what a path cannot.
    pub fn asked(&self, binding: &Binding, message: &[u8]) -> Result<Asked, Wrong> {
        let method = &binding.method;
        let message = json::read(&method.input, message, method.input_holds_any);
        let message = message.map_err(|what| Wrong::new("message", what))?;
        let shown = Shown { proto_names: false, enum_numbers: false, defaults: false };
        let value = json::value(&message, shown, json::most(&message)).map_err(|what| Wrong::new("message", what))?;
        let Value::Object(mut fields) = value else {
            // Such a message stands in the body as it is.
            return match (&binding.body, binding.variables.is_empty()) {
                (Body::Whole, true) => {
                    let path = self.path(binding, &mut Map::new())?;
                    Ok(Asked { path, query: Vec::new(), body: Some(value.to_string().into_bytes()) })
                }
                _ => Err(Wrong::new("message", "it has no fields of its own")),
            };
        };
        let path = self.path(binding, &mut fields)?;
        let (body, rest) = match &binding.body {
            Body::Whole => (Some(Value::Object(fields)), Map::new()),
            Body::Field(field) => (Some(fields.remove(field.json_name()).unwrap_or(Value::Object(Map::new()))), fields),
            Body::None => (None, fields),
        };
        let mut query = Vec::new();
        for (name, value) in &rest {
            flatten(name, value, &mut query)?;
        }
        if path.len() + query.len() > LONGEST {
            return Err(Wrong::new("message", "what it asks for is too long for a URL"));
        }
        Ok(Asked { path, query, body: body.map(|body| body.to_string().into_bytes()) })
    }

    /// The path, of what is taken out of the fields.
    fn path(&self, binding: &Binding, fields: &mut Map<String, Value>) -> Result<Vec<u8>, Wrong> {
        let template = &binding.template;
        let (mut out, mut at) = (Vec::new(), 0);
        for (variable, named) in template.variables.iter().zip(&binding.variables) {
            literals(&template.parts[at..variable.from], &mut out);
            at = variable.to;
            let name = variable.path.join(".");
            let text = query::take(fields, named).and_then(|value| text(&value)).unwrap_or_default();
            if !fits(&text, &template.parts[variable.from..variable.to]) {
                return Err(Wrong::new("message", format_args!("`{name}` is not as the path of its binding has it")));
            }
            out.push(b'/');
            query::encode(&text, variable.is_long(template), &mut out);
        }
        literals(&template.parts[at..], &mut out);
        if out.is_empty() {
            out.push(b'/');
        }
        if let Some(verb) = &template.verb {
            out.push(b':');
            out.extend_from_slice(verb.as_bytes());
        }
        Ok(out)
    }

    /// The message that the JSON of an answer says, as gRPC has it.
    ///
    /// # Errors
    /// It says none.
    pub fn answered(&self, binding: &Binding, body: &[u8]) -> Result<Vec<u8>, Wrong> {
        let text = if body.iter().all(u8::is_ascii_whitespace) { b"{}" } else { body };
        let mut value: Value = serde_json::from_slice(text).map_err(|error| Wrong::new("body", error))?;
        if let Some(field) = &binding.response {
            value = Value::Object(Map::from_iter([(field.json_name().to_owned(), value)]));
        }
        Ok(self.read(&binding.method.output, value)?.encode_to_vec())
    }
}

/// Segments that stand in a path as they are; there is no other outside of a variable that could be filled in.
fn literals(parts: &[Part], out: &mut Vec<u8>) {
    for part in parts {
        out.push(b'/');
        match part {
            Part::Literal(literal) => out.extend_from_slice(literal.as_bytes()),
            Part::One | Part::Many => out.push(b'-'),
        }
    }
}

/// Whether a value may stand for these segments: none of its own is empty, or leads elsewhere.
fn fits(text: &str, parts: &[Part]) -> bool {
    let segments: Vec<&str> =
        if parts.len() == 1 && parts[0] == Part::One { vec![text] } else { text.split('/').collect() };
    if segments.iter().any(|segment| matches!(*segment, "" | "." | "..")) {
        return false;
    }
    let many = parts.iter().position(|part| *part == Part::Many);
    let enough = match many {
        Some(_) => segments.len() + 1 >= parts.len(),
        None => segments.len() == parts.len(),
    };
    let agrees = |part: &Part, segment: &&str| !matches!(part, Part::Literal(literal) if **literal != **segment);
    let front = many.unwrap_or(parts.len());
    let behind = parts.len() - many.map_or(front, |many| many + 1);
    enough
        && parts[..front].iter().zip(&segments).all(|(part, segment)| agrees(part, segment))
        && parts.iter().rev().zip(segments.iter().rev()).take(behind).all(|(part, segment)| agrees(part, segment))
}

/// A single value as a text.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(is) => Some(is.to_string()),
        _ => None,
    }
}

/// Appends a field as parameters.
fn flatten(name: &str, value: &Value, out: &mut Vec<u8>) -> Result<(), Wrong> {
    if out.len() > LONGEST {
        return Err(Wrong::new("message", "what it asks for is too long for a URL"));
    }
    match value {
        Value::Null => {}
        Value::Array(values) => {
            for value in values {
                match value {
                    Value::Array(_) | Value::Object(_) => {
                        return Err(Wrong::new("message", format_args!("`{name}` cannot stand in a query")));
                    }
                    value => flatten(name, value, out)?,
                }
            }
        }
        Value::Object(fields) => {
            for (inner, value) in fields {
                flatten(&format!("{name}.{inner}"), value, out)?;
            }
        }
        value => {
            if !out.is_empty() {
                out.push(b'&');
            }
            query::encode(name, false, out);
            out.push(b'=');
            query::encode(&text(value).unwrap_or_default(), false, out);
        }
    }
    Ok(())
}
