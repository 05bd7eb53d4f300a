//! Fields by their names in paths and queries, put into an object of JSON.

use super::Wrong;
use super::any;
use super::status::digit;
use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};
use serde_json::{Map, Value};

/// Levels of fields that a parameter may name.
const DEEP: usize = 16;

/// The fields that the name of a parameter leads to, the outermost first, by their names in JSON or in their description; `None`: there
/// is none.
pub(super) fn fields(of: &MessageDescriptor, name: &str) -> Option<Vec<FieldDescriptor>> {
    let (mut of, mut fields) = (of.clone(), Vec::new());
    let mut names = name.split('.').peekable();
    while let Some(name) = names.next() {
        let field = named(&of, name).filter(|_| fields.len() < DEEP)?;
        let kind = field.kind();
        let is_single = !field.is_list() && !field.is_map();
        fields.push(field);
        if names.peek().is_none() {
            break;
        }
        of = Some(kind).filter(|kind| is_single && any::is_plain(kind))?.as_message()?.clone();
    }
    Some(fields)
}

fn named(of: &MessageDescriptor, name: &str) -> Option<FieldDescriptor> {
    of.get_field_by_json_name(name).or_else(|| of.get_field_by_name(name))
}

/// What a text says as a value of a field.
///
/// # Errors
/// It has no value that a text could say.
pub(super) fn value(field: &FieldDescriptor, text: String) -> Result<Value, Wrong> {
    let no_text = || Wrong::new("parameter", format_args!("`{}` cannot stand in a path or a query", field.name()));
    let boolean = |text: &str| match text {
        "true" => Ok(Value::Bool(true)),
        "false" => Ok(Value::Bool(false)),
        _ => Err(Wrong::new("parameter", format_args!("`{}` is true or false", field.name()))),
    };
    match field.kind() {
        _ if field.is_map() => Err(no_text()),
        Kind::Bool => boolean(&text),
        // By their numbers, too.
        Kind::Enum(_) => Ok(text.parse::<i32>().map_or_else(|_| Value::String(text), Value::from)),
        Kind::Message(of) => match of.full_name() {
            "google.protobuf.BoolValue" => boolean(&text),
            "google.protobuf.Timestamp" | "google.protobuf.Duration" | "google.protobuf.FieldMask" => {
                Ok(Value::String(text))
            }
            name if name.starts_with("google.protobuf.") && name.ends_with("Value") => match name {
                "google.protobuf.Value" | "google.protobuf.ListValue" | "google.protobuf.NullValue" => Err(no_text()),
                _ => Ok(Value::String(text)),
            },
            _ => Err(no_text()),
        },
        _ => Ok(Value::String(text)),
    }
}

/// How a value goes to its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Put {
    /// In place of whatever is there.
    Over,
    /// Where nothing is, or behind other values.
    Beside,
}

/// Puts a value to the place to which fields lead.
///
/// # Errors
/// Something is in its way.
pub(super) fn put(
    root: &mut Map<String, Value>,
    fields: &[FieldDescriptor],
    value: Value,
    how: Put,
) -> Result<(), Wrong> {
    let Some((last, leading)) = fields.split_last() else { return Ok(()) };
    let mut at = root;
    for field in leading {
        let key = key(at, field)?;
        let next = at.entry(key).or_insert(Value::Null);
        if next.is_null() {
            *next = Value::Object(Map::new());
        }
        let Value::Object(within) = next else {
            return Err(Wrong::new("body", format_args!("`{}` is no object", field.name())));
        };
        at = within;
    }
    if how == Put::Over {
        at.remove(last.name());
        at.insert(last.json_name().to_owned(), value);
        return Ok(());
    }
    let key = key(at, last)?;
    match at.get_mut(&key) {
        Some(Value::Array(values)) if last.is_list() => values.push(value),
        Some(_) => {
            return Err(Wrong::new("parameter", format_args!("`{}` is said twice, and has one value", last.name())));
        }
        None => {
            let value = if last.is_list() { Value::Array(vec![value]) } else { value };
            at.insert(key, value);
        }
    }
    Ok(())
}

/// By which of its names a field is there, or would be.
fn key(at: &Map<String, Value>, field: &FieldDescriptor) -> Result<String, Wrong> {
    let (json, own) = (field.json_name(), field.name());
    match (at.contains_key(json), json != own && at.contains_key(own)) {
        (true, true) => Err(Wrong::new("body", format_args!("`{own}` is there twice, as `{json}`, too"))),
        (false, true) => Ok(own.to_owned()),
        _ => Ok(json.to_owned()),
    }
}

/// Takes what stands at the place to which fields lead, of what was made of a message.
pub(super) fn take(root: &mut Map<String, Value>, fields: &[FieldDescriptor]) -> Option<Value> {
    let (last, leading) = fields.split_last()?;
    let mut at = root;
    for field in leading {
        at = at.get_mut(field.json_name())?.as_object_mut()?;
    }
    at.remove(last.json_name())
}

/// The parameters of a query or a form, in their order; `None`: one is no text in UTF-8.
pub(super) fn pairs(text: &[u8]) -> impl Iterator<Item = Option<(String, String)>> {
    text.split(|&byte| byte == b'&').filter(|pair| !pair.is_empty()).map(|pair| {
        let equals = pair.iter().position(|&byte| byte == b'=').unwrap_or(pair.len());
        let value = pair.get(equals + 1..).unwrap_or_default();
        Some((decoded(&pair[..equals], true, false)?, decoded(value, true, false)?))
    })
}

/// What is meant by a part of a URL; `plus` is a blank where it comes from a form, and encoded slashes stay where it says so. `None`: it
/// is no text in UTF-8.
pub(super) fn decoded(text: &[u8], plus: bool, slashes_stay: bool) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, behind @ ..] = rest {
        rest = behind;
        match (*first, behind) {
            (b'%', [high, low, behind @ ..]) if let (Some(high), Some(low)) = (digit(*high), digit(*low)) => {
                let byte = high << 4 | low;
                if slashes_stay && byte == b'/' {
                    bytes.extend_from_slice(b"%2F");
                } else {
                    bytes.push(byte);
                }
                rest = behind;
            }
            (b'+', _) if plus => bytes.push(b' '),
            (byte, _) => bytes.push(byte),
        }
    }
    String::from_utf8(bytes).ok()
}

/// Appends a text to a part of a URL, in which it stands for nothing but itself; `slashes` may stay as they are.
pub(super) fn encode(text: &str, slashes: bool, out: &mut Vec<u8>) {
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(byte),
            b'/' if slashes => out.push(byte),
            _ => {
                let digit = |four: u8| b"0123456789ABCDEF"[usize::from(four & 15)];
                out.extend([b'%', digit(byte >> 4), digit(byte)]);
            }
        }
    }
}
