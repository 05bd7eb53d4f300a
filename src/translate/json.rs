//! Messages as JSON.

use super::any;
use super::binding::Method;
use prost_reflect::prost::Message;
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, SerializeOptions};
use serde_json::Value;
use std::io::{self, Write};

/// How messages are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shown {
    /// Fields are called as in their description, and not in camel case.
    pub proto_names: bool,
    /// Values of enums are numbers.
    pub enum_numbers: bool,
    /// Fields that have their default stand there, too.
    pub defaults: bool,
}

impl Shown {
    pub(super) fn options(self) -> SerializeOptions {
        SerializeOptions::new()
            .use_proto_field_name(self.proto_names)
            .use_enum_numbers(self.enum_numbers)
            .skip_default_fields(!self.defaults)
    }
}

/// How much longer than its message JSON may be, and how long it may be in any case.
const TIMES: usize = 16;
const LEAST: usize = 64 << 10;

/// Appends an answer of `method` as JSON, or that field of it.
///
/// # Errors
/// It cannot be read, or has no form in JSON.
pub(super) fn push(
    method: &Method,
    message: &[u8],
    field: Option<&FieldDescriptor>,
    shown: Shown,
    out: &mut Vec<u8>,
) -> Result<(), String> {
    let message = read(&method.output, message, method.output_holds_any)?;
    let most = message.encoded_len().saturating_mul(TIMES).max(LEAST);
    let Some(field) = field else { return write(&message, shown, most, out) };
    let whole = value(&message, shown, most)?;
    let key = if shown.proto_names { field.name() } else { field.json_name() };
    let value = match whole {
        Value::Object(mut fields) => fields.remove(key),
        _ => None,
    };
    let value = value.unwrap_or_else(|| absent(field));
    serde_json::to_writer(out, &value).map_err(|error| error.to_string())
}

/// A message as its bytes have it.
pub(super) fn read(of: &MessageDescriptor, bytes: &[u8], may_hold_any: bool) -> Result<DynamicMessage, String> {
    let message = DynamicMessage::decode(of.clone(), bytes).map_err(|error| error.to_string())?;
    if may_hold_any && !any::is_shallow(&message) {
        return Err("messages of google.protobuf.Any are nested too deep".to_owned());
    }
    Ok(message)
}

/// A message as a value.
pub(super) fn value(message: &DynamicMessage, shown: Shown, most: usize) -> Result<Value, String> {
    let mut text = Vec::new();
    write(message, shown, most, &mut text)?;
    serde_json::from_slice(&text).map_err(|error| error.to_string())
}

pub(super) fn most(message: &DynamicMessage) -> usize {
    message.encoded_len().saturating_mul(TIMES).max(LEAST)
}

fn write(message: &DynamicMessage, shown: Shown, most: usize, out: &mut Vec<u8>) -> Result<(), String> {
    let before = out.len();
    let mut serializer = serde_json::Serializer::new(Bounded { out, left: most });
    message.serialize_with_options(&mut serializer, &shown.options()).map_err(|error| {
        out.truncate(before);
        error.to_string()
    })
}

/// What stands for a field that is not there.
fn absent(field: &FieldDescriptor) -> Value {
    match field.kind() {
        _ if field.is_map() => Value::Object(Default::default()),
        _ if field.is_list() => Value::Array(Vec::new()),
        Kind::Message(_) => Value::Null,
        Kind::Bool => false.into(),
        Kind::String | Kind::Bytes => "".into(),
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 | Kind::Uint64 | Kind::Fixed64 => "0".into(),
        Kind::Enum(of) => of.default_value().name().into(),
        _ => 0.into(),
    }
}

struct Bounded<'o> {
    out: &'o mut Vec<u8>,
    left: usize,
}

impl Write for Bounded<'_> {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        self.left = self.left.checked_sub(text.len()).ok_or_else(|| io::Error::other("it becomes too long"))?;
        self.out.extend_from_slice(text);
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
